"""The key with which chatd signs what it gives out, kept beside the database."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress

from twisted.logger import Logger

from chatd.errors import ConfigError

__all__ = ["LENGTH", "load", "read"]

LENGTH = 32
"""Bytes of a secret."""

_MEMORY = ":memory:"

log = Logger()


def load(database: str, *, is_new: bool) -> bytes:
    """Read the secret of a database, `<database>.secret`; make it, when there is none yet.

    It is never logged. Only one process at a time may call this for one database.

    Args:
        database: path of the database; for ':memory:' the secret is gone with the process.
        is_new: whether the database was made just now; else one that is missing was lost, which
            is logged.

    Returns:
        `LENGTH` random bytes.

    Raises:
        ConfigError: others may read it, it is not whole, or it can be neither read nor made.
    """
    if database == _MEMORY:
        return secrets.token_bytes(LENGTH)
    path = f"{os.path.realpath(database)}.secret"
    try:
        if not os.path.lexists(path):
            _make(path)
            if not is_new:
                log.warn(
                    "{path} was missing and is made anew: guests of before begin as somebody new; "
                    "to have them back stop chatd, put the old one in its place",
                    path=path,
                )
        return _read(path)
    except OSError as error:
        raise ConfigError(f"{path!r}: {error.strerror}") from None


def read(database: str) -> bytes:
    """Read the secret of a database in a file; any process may.

    Args:
        database: path of the database.

    Raises:
        ConfigError: it is not there, others may read it, it is not whole, or it cannot be read.
    """
    path = f"{os.path.realpath(database)}.secret"
    try:
        return _read(path)
    except FileNotFoundError:
        raise ConfigError(f"{path!r} is not there; chatd makes it when it starts") from None
    except OSError as error:
        raise ConfigError(f"{path!r}: {error.strerror}") from None


def _make(path: str) -> None:
    """Make it under another name first, so that a crash leaves a whole one or none."""
    new = f"{path}.new"
    with suppress(FileNotFoundError):
        os.unlink(new)  # which a crash left
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(new, flags, 0o600), "wb") as file:
            file.write(secrets.token_bytes(LENGTH))
            file.flush()
            os.fsync(file.fileno())
        os.rename(new, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(new)
        raise
    folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _read(path: str) -> bytes:
    # Not blocking: a pipe would keep the daemon waiting for ever.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ConfigError(f"{path!r} is no file")
        if status.st_mode & 0o077:
            raise ConfigError(f"others may read or write {path!r}: chmod 600 it")
        secret = os.read(descriptor, LENGTH + 1)
    finally:
        os.close(descriptor)
    if len(secret) != LENGTH:
        raise ConfigError(
            f"{path!r} is not of {LENGTH} bytes: put it back from a backup, or move it away and a "
            f"new one is made, with which everybody begins as somebody new"
        )
    return secret
