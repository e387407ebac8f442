"""The database of a daemon, before it starts: it is locked, checked, made or brought up to date.

In this order: `lock`, `check`, and only after the daemon detached from its terminal `connect`: a
connection must not cross a fork.
"""

from __future__ import annotations

import fcntl
import glob
import os
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing

from twisted.logger import Logger

from chatd.brokers.backup import backup
from chatd.brokers.schema import MIGRATIONS
from chatd.brokers.sqlite_file import (
    MEMORY,
    RESTORE,
    connect,
    create,
    flush,
    foreign,
    lacks,
    migrate,
    open_raw,
    ours,
    refusal,
    remove,
)
from chatd.errors import ConfigError

__all__ = ["MEMORY", "Lock", "check", "check_library", "connect", "create", "lock"]

_NEEDED = (3, 38, 0)  # ->>
_LOOKED_THROUGH = 64 * 1024 * 1024  # bytes; a larger file would make the start slow
_HAS_WAL = b"\2\2"  # bytes 18 and 19 of a file that is kept with a WAL
_ASIDE = "move the -wal and -shm away"
_MOST_BACKUPS = 3  # of one version: a daemon that is restarted for ever must not fill the disk

log = Logger()


class Lock:
    """The right to use a database, until it is released or the process and its forks are gone."""

    __slots__ = ("_descriptor",)

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def release(self) -> None:
        """Give it up. The file of the lock stays: another may be waiting with it open."""
        os.close(self._descriptor)


def lock(path: str) -> Lock | None:
    """Make sure that no other daemon uses a database, by a lock on `<path>.lock`.

    Not on the database itself, which may be opened through SQLite only. The lock goes along
    through a fork, and no crash leaves it behind.

    Args:
        path: of the database.

    Returns:
        What to keep; None for a database in memory, which nobody shares.

    Raises:
        ConfigError: another daemon uses it, or the lock cannot be had.
    """
    if path == MEMORY:
        return None
    path = os.path.realpath(path)  # a link to it is the same database
    _check_folder(path)
    try:
        descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise refusal(f"{path}.lock", error) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if isinstance(error, BlockingIOError):
            raise ConfigError(f"{path!r}: another chatd uses it; see --database") from None
        raise refusal(f"{path}.lock", error) from None
    return Lock(descriptor)


def check(path: str, *, migrations: Sequence[str] = MIGRATIONS, now: float) -> None:
    """Make sure that a database can be used, while somebody still reads what we print.

    One that is missing is made, one of an older version is backed up beside itself and brought
    to the newest. A small one is looked through for damage; of one above 64 MiB only that it is
    ours and has its tables. No connection is left open.

    Args:
        path: of the database, for which `lock` is held.
        migrations: statements that make version n + 1 out of version n.
        now: seconds since 1970, for the name of a second backup of one version.

    Raises:
        ConfigError: it cannot be used; one line says what to do.
    """
    check_library(path)
    if path == MEMORY:
        return
    path = os.path.realpath(path)
    _check_folder(path)
    try:
        _check_wal(path)
        if not os.path.lexists(path):
            _make(path, migrations)
            return
        if not os.path.isfile(path):
            raise ConfigError(f"{path!r} is no file")
        # The lock and SQLite's files beside it go by the name, so that two would write to one file.
        if os.stat(path).st_nlink > 1:
            raise ConfigError(f"{path!r}: has another name (a hard link); remove one of them")
        # SQLite would open it to read, and lay files beside it that cannot be written either.
        if not os.access(path, os.R_OK | os.W_OK, effective_ids=True):
            raise ConfigError(f"{path!r}: this user may not read and write it")
        version = _look_through(path, migrations)
        if version == 0:
            with closing(connect(path, write=True)) as connection:
                create(connection, migrations)
            log.info("made the database {path}", path=path)
    except (sqlite3.Error, OSError) as error:
        raise refusal(path, error) from None
    if 0 < version < len(migrations):
        _bring_forward(path, version, migrations, now)


def check_library(
    path: str,
    version: tuple[int, int, int] = sqlite3.sqlite_version_info[:3],
    *,
    searches: bool | None = None,
) -> None:
    """Refuse a SQLite that cannot do what we need, and warn of one that has the WAL-reset bug.

    Args:
        path: of the database, which is named.
        version: of the library.
        searches: whether it has FTS5; None: look.

    Raises:
        ConfigError: it is too old, or built without FTS5.
    """
    name = ".".join(map(str, version))
    if version < _NEEDED:
        raise ConfigError(f"SQLite {name} is too old: chatd needs 3.38 or newer")
    if not (_searches() if searches is None else searches):
        raise ConfigError(f"SQLite {name} is built without FTS5, which chatd needs to search")
    fixed = version >= (3, 51, 3) or any(
        first <= version < (3, first[1] + 1, 0) for first in ((3, 50, 7), (3, 44, 6))
    )
    if path != MEMORY and not fixed:
        log.warn(
            "SQLite {version} can damage a database to which two programs write (fixed in "
            "3.51.3): let nobody write to {path} beside chatd",
            version=name,
            path=path,
        )


def _searches() -> bool:
    question = "select count(*) from pragma_module_list where name = 'fts5'"
    with closing(sqlite3.connect(MEMORY)) as connection:
        return bool(connection.execute(question).fetchone()[0])


def _check_folder(path: str) -> None:
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        raise ConfigError(f"{path!r}: there is no folder {folder!r}; make it, or see --database")
    # The WAL, the lock and the secret lie there too.
    if not os.access(folder, os.W_OK | os.X_OK, effective_ids=True):
        raise ConfigError(f"{path!r}: this user may not write to the folder {folder!r}")


def _check_wal(path: str) -> None:
    """Refuse a WAL without its database: SQLite would take it for a part of another one.

    Nothing of this process has the database open yet, so that it may be read as a file.
    """
    wal = f"{path}-wal"
    if not os.path.exists(wal) or os.path.getsize(wal) == 0:
        return
    if not os.path.exists(path):
        raise ConfigError(f"{path!r} is missing and its {wal!r} is there: put it back, or {_ASIDE}")
    with open(path, "rb") as file:
        header = file.read(20)
    if header[18:] != _HAS_WAL:  # what a backup, or an empty file, says
        raise ConfigError(f"{wal!r} is of the file that {path!r} was before: {_ASIDE}")


def _make(path: str, migrations: Sequence[str]) -> None:
    """Make a new database: whole, or not at all."""
    new = f"{path}.new"
    try:
        remove(new)  # which a crash left
        os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        with closing(connect(new, write=True)) as connection:
            create(connection, migrations)
        flush(new)
        os.rename(new, path)
        flush(os.path.dirname(path))
    finally:
        remove(new)
    log.info("made the database {path}", path=path)


def _look_through(path: str, migrations: Sequence[str]) -> int:
    """Find out what a file is and whether it is in order.

    Returns:
        Its version; 0 when nothing is in it.
    """
    with closing(open_raw(path, "rw")) as connection:
        version = ours(connection)
        if version is None:
            raise foreign(path)
        if version > len(migrations):
            raise ConfigError(
                f"{path!r} was made by a newer chatd: it is of version {version}, and this one "
                f"knows {len(migrations)}; use that chatd, or a backup of version "
                f"{len(migrations)}"
            )
        connection.execute("begin immediate")  # while nobody else writes
        connection.execute("rollback")
        trouble = [f"{name} is missing" for name in lacks(connection, migrations[:version])]
        ((pages,),) = connection.execute("pragma page_count")
        ((page_bytes,),) = connection.execute("pragma page_size")
        if not trouble and pages * page_bytes <= _LOOKED_THROUGH:
            found = connection.execute("pragma quick_check(1)").fetchone()[0].decode()
            trouble = [] if found == "ok" else found.splitlines()
    if trouble:
        raise ConfigError(f"{path!r} is damaged: {trouble[-1]}; chatd verify says more; {RESTORE}")
    return version


def _bring_forward(path: str, version: int, migrations: Sequence[str], now: float) -> None:
    """Bring a database of an older version to the newest, after a backup beside it."""
    newest = len(migrations)
    copy = f"{path}.v{version}-backup"
    if os.path.lexists(copy):
        if len(glob.glob(f"{glob.escape(copy)}*")) >= _MOST_BACKUPS:
            raise ConfigError(
                f"{path!r}: {_MOST_BACKUPS} backups of version {version} lie beside it; move them "
                f"away, then it is brought to version {newest}"
            )
        copy += time.strftime("-%Y%m%dT%H%M%SZ", time.gmtime(now))
    backup(path, copy, lambda _done, _total: None)
    try:
        with closing(connect(path, write=True)) as connection:
            migrate(connection, version, migrations)
    except (sqlite3.Error, ConfigError) as error:
        advice = f", and its backup is {copy!r}"
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL:
            # Else there is less room with each start.
            remove(copy)
            advice = "; make room first"
        raise ConfigError(
            f"{path!r} could not be brought from version {version} to {newest}: {error}; it is "
            f"as it was{advice}"
        ) from None
    log.info(
        "brought the database {path} from version {old} to {new}; its backup is {copy}",
        path=path,
        old=version,
        new=newest,
        copy=copy,
    )
