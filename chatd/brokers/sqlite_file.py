"""One SQLite file: opened so that what is stored stays, brought to a version, its errors in words.

A process that has the file open through SQLite must never open and close it in any other way:
closing any descriptor of a file drops all of the process's POSIX locks on it, SQLite's too.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from typing import Literal
from urllib.parse import quote

from chatd.brokers.schema import APPLICATION_ID, MIGRATIONS
from chatd.errors import ConfigError

__all__ = [
    "MEMORY",
    "RESTORE",
    "SIDES",
    "connect",
    "create",
    "flush",
    "foreign",
    "lacks",
    "migrate",
    "missing",
    "open_raw",
    "ours",
    "refusal",
    "remove",
]

MEMORY = ":memory:"
"""The path of a database that is gone with its connection."""

SIDES = ("-wal", "-shm", "-journal")
"""What SQLite appends to a path for the files that it keeps beside a database."""

RESTORE = (
    "to restore a backup stop chatd, move the file and its -wal and -shm away and put the backup "
    "in its place"
)
"""What to do about a damaged file."""

_WAIT_S = 1  # for somebody else's lock
_WAL_BYTES = 16 * 1024 * 1024  # what is left of the WAL after a checkpoint
_NORMAL, _FULL = 1, 2

_WORDS = {
    sqlite3.SQLITE_BUSY: "another program writes to it; end that first",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened; is it there, and may this user read and write it?",
    sqlite3.SQLITE_FULL: "the disk is full; make room first",
    sqlite3.SQLITE_IOERR: "the disk is full, or it fails; make room first",
    sqlite3.SQLITE_PERM: "this user may not open it",
    sqlite3.SQLITE_READONLY: "this user may not write to it, or its disk is read-only",
}


def connect(path: str, *, write: bool, flush_each: bool = True) -> sqlite3.Connection:
    """Open a database that is there already (`check` makes it), for one thread at a time.

    Nothing of Python's comes between: no transaction begins by itself, and texts are bytes.

    Args:
        path: of the file; ':memory:' for a new and empty database, only to write.
        write: whether this is the one connection that writes and checkpoints; others read.
        flush_each: whether each commit is on the disk when it is done; else with the next
            checkpoint: a crash takes nothing, but a power cut the commits since.

    Raises:
        ConfigError: the file system does not do what a safe write needs.
        sqlite3.Error: the file cannot be opened.
    """
    if path == MEMORY and not write:
        raise ValueError("a database in memory has one connection, which writes")
    connection = open_raw(path, "rw" if write else "ro")
    try:
        if write:
            _prepare_writer(connection, path, _FULL if flush_each else _NORMAL)
        else:
            connection.execute("pragma query_only = 1")
            # Two connections that checkpoint can corrupt a file (SQLite before 3.51.3).
            connection.execute("pragma wal_autocheckpoint = 0")
    except BaseException:
        connection.close()
        raise
    return connection


def create(connection: sqlite3.Connection, migrations: Sequence[str] = MIGRATIONS) -> None:
    """Make an empty database ours, of the newest version, in one transaction.

    Args:
        connection: that writes, to a database in which nothing is.
        migrations: statements that make version n + 1 out of version n.

    Raises:
        sqlite3.Error: it cannot; the database is as it was.
    """
    migrate(connection, 0, migrations)


def migrate(connection: sqlite3.Connection, version: int, migrations: Sequence[str]) -> None:
    """Bring a database from a version to the newest, in one transaction.

    Args:
        connection: that writes.
        version: that the database has.
        migrations: statements that make version n + 1 out of version n.

    Raises:
        sqlite3.Error: it cannot; the database is as it was.
    """
    script = "\n;\n".join(
        [
            "begin immediate",
            *migrations[version:],
            f"pragma application_id = {APPLICATION_ID}",
            f"pragma user_version = {len(migrations)}",
            "commit;",
        ]
    )
    try:
        connection.executescript(script)
    except BaseException:
        if connection.in_transaction:  # a full disk has rolled it back already
            connection.execute("rollback")
        raise


def open_raw(path: str, mode: Literal["ro", "rw"]) -> sqlite3.Connection:
    """Open a file as it is, without changing how it is kept.

    Args:
        path: of the file; or ':memory:'.
        mode: `ro` to read, `rw` to write too; a file that is missing is an error in both.

    Raises:
        sqlite3.Error: it cannot be opened.
    """
    # An absolute path, percent-encoded: else `?`, `#`, `%` and a first `//` mean something.
    uri = path if path == MEMORY else f"file://{quote(os.fsencode(os.path.abspath(path)))}"
    connection = sqlite3.connect(
        uri if path == MEMORY else f"{uri}?mode={mode}",
        timeout=_WAIT_S,
        isolation_level=None,
        check_same_thread=False,
        uri=path != MEMORY,
    )
    connection.text_factory = bytes
    return connection


def _prepare_writer(connection: sqlite3.Connection, path: str, synchronous: int = _FULL) -> None:
    """Make every commit as safe as was asked for, and say so if that cannot be had."""
    journal = b"memory" if path == MEMORY else b"wal"
    for pragma, wanted in (
        ("journal_mode = wal", journal),
        (f"synchronous = {synchronous}", None),
        ("synchronous", synchronous),
        (f"journal_size_limit = {_WAL_BYTES}", None),
        # What a foreign hand may have put into the schema does nothing here.
        ("trusted_schema = 0", None),
        ("foreign_keys = 0", None),
        # What is erased is overwritten, not left in the unused parts of the file.
        ("secure_delete = 1", 1),
    ):
        found = connection.execute(f"pragma {pragma}").fetchone()
        if wanted is not None and found != (wanted,):
            raise ConfigError(
                f"{path!r}: its file system cannot keep it safely: {pragma} is {found}"
            )


def ours(connection: sqlite3.Connection) -> int | None:
    """Say which version of ours a database is: 0 when nothing is in it, None when it is foreign.

    Raises:
        sqlite3.Error: it cannot be read.
    """
    ((application,),) = connection.execute("pragma application_id")
    ((version,),) = connection.execute("pragma user_version")
    ((count,),) = connection.execute("select count(*) from sqlite_schema")
    if (application, version, count) == (0, 0, 0):
        return 0
    return int(version) if application == APPLICATION_ID and version > 0 else None


def foreign(path: str) -> ConfigError:
    """Say that a file is no database of ours."""
    return ConfigError(f"{path!r} is another program's database, not chatd's")


def missing(path: str) -> ConfigError:
    """Say that there is no database, and what to do."""
    return ConfigError(f"{path!r} is not there; chatd serve makes it, and --database names another")


def lacks(connection: sqlite3.Connection, migrations: Sequence[str]) -> list[str]:
    """Name the tables, indexes and triggers that a database should have and has not.

    Args:
        connection: to a database of ours.
        migrations: that made it.

    Raises:
        sqlite3.Error: it cannot be read.
    """
    names = "select name from sqlite_schema"
    with closing(connect(MEMORY, write=True)) as model:
        create(model, migrations)
        wanted = {name for (name,) in model.execute(names)}
    found = {name for (name,) in connection.execute(names)}
    return sorted(name.decode() for name in wanted - found)


def refusal(path: str, error: sqlite3.Error | OSError) -> ConfigError:
    """Put an error about a file into one line for the operator."""
    if isinstance(error, OSError):
        return ConfigError(f"{path!r}: {error.strerror or type(error).__name__}")
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        words = f"is damaged, or no database: {error}; chatd verify says more; {RESTORE}"
        return ConfigError(f"{path!r} {words}")
    return ConfigError(f"{path!r}: {_WORDS.get(code, str(error))}")


def remove(path: str) -> None:
    """Remove a database nobody uses, and what lies beside it; none of it need be there."""
    for side in ("", *SIDES):
        with suppress(FileNotFoundError):
            os.unlink(path + side)


def flush(path: str) -> None:
    """Bring a file or folder to the disk. Not one that this process has open through SQLite.

    Raises:
        OSError: it cannot.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
