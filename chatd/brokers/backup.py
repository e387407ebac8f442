"""A copy of the database while others use it."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing

from chatd.brokers.sqlite_file import SIDES, connect, flush, foreign, missing, ours, refusal, remove
from chatd.errors import ConfigError

__all__ = ["Progress", "backup"]

Progress = Callable[[int, int], None]
"""Is told how much is done, and of how much."""

_STEP_PAGES = 1024


def backup(source: str, target: str, progress: Progress, *, overwrite: bool = False) -> int:
    """Copy a database as it is at this moment, whoever writes to it meanwhile.

    The copy grows under another name, `<target>.part`, and gets its own when it is whole and on
    the disk; whatever goes wrong before, that other file is removed. It needs nothing beside it
    to be read, so it can be moved as one file.

    Args:
        source: path of the database.
        target: path of the copy, which is for this user alone (mode 0600).
        progress: told pages.
        overwrite: whether the target may be there already.

    Returns:
        The size of the copy in bytes.

    Raises:
        ConfigError: it cannot; one line says why.
    """
    _check_target(source, target, overwrite=overwrite)
    if not os.path.exists(source):
        raise missing(source)
    part = f"{target}.part"
    try:
        reading = connect(source, write=False)
    except sqlite3.Error as error:
        raise refusal(source, error) from None
    with closing(reading):
        _begin(reading, source)
        try:
            held = _claim(part)
        except OSError as error:
            raise refusal(target, error) from None
        try:
            _copy(reading, part, progress)
            flush(part)
            _check_target(source, target, overwrite=overwrite)
            size = os.stat(part).st_size
            os.rename(part, target)
            flush(os.path.dirname(os.path.abspath(target)))
        except BaseException as error:
            # While it is held: afterwards it may be another's. After the rename it is not there.
            remove(part)
            if isinstance(error, sqlite3.Error | OSError):
                raise refusal(target, error) from None
            raise
        finally:
            os.close(held)
    return size


def _check_target(source: str, target: str, *, overwrite: bool) -> None:
    if not os.path.lexists(target):
        return
    if not os.path.isfile(target):
        raise ConfigError(f"{target!r} is there and is no file")
    if os.path.exists(source) and os.path.samefile(source, target):
        raise ConfigError(f"{target!r} is the database itself")
    if not overwrite:
        raise ConfigError(f"{target!r} is there already; see --force")
    for side in SIDES:  # would be taken for a part of the new file
        if os.path.lexists(target + side):
            raise ConfigError(f"{target!r} is in use: {target + side!r} is there")


def _begin(reading: sqlite3.Connection, source: str) -> None:
    """Hold on to this moment: a copy in steps would else start anew after each foreign commit."""
    try:
        reading.execute("begin")
        version = ours(reading)
    except sqlite3.Error as error:
        raise refusal(source, error) from None
    if not version:
        raise foreign(source)


def _claim(part: str) -> int:
    """Have an empty file to ourselves; one that a killed backup left is taken over.

    Returns:
        The descriptor that claims it. To be closed only when SQLite has closed the file.

    Raises:
        ConfigError: another backup writes it.
        OSError: it cannot be made.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    held = os.open(part, flags, 0o600)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Since it was opened the other one may have renamed it: then it is a whole backup.
        if not os.path.exists(part) or not os.path.samestat(os.fstat(held), os.stat(part)):
            raise BlockingIOError
        os.fchmod(held, 0o600)
        os.ftruncate(held, 0)
    except BaseException as error:
        os.close(held)
        if isinstance(error, BlockingIOError):
            raise ConfigError(f"another backup is writing {part!r}") from None
        raise
    return held


def _copy(reading: sqlite3.Connection, part: str, progress: Progress) -> None:
    def step(_status: int, remaining: int, total: int) -> None:
        progress(total - remaining, total)

    with closing(sqlite3.connect(part, isolation_level=None)) as writing:
        # Nobody reads it before it is whole, and it is flushed once, at the end.
        writing.execute("pragma journal_mode = off")
        writing.execute("pragma synchronous = off")
        reading.backup(writing, pages=_STEP_PAGES, progress=step, sleep=0)
        # The copy says that it has a WAL; without, it can be read from a read-only folder.
        writing.execute("pragma journal_mode = delete")
