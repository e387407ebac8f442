"""Looking something up in a database from beside, read-only, while a daemon uses it or not."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import NamedTuple, TypeVar

from chatd.brokers.schema import MIGRATIONS, OFFSET_BITS
from chatd.brokers.sqlite_file import connect, foreign, missing, ours, refusal
from chatd.core.accounts import PREFIX, Account, parsed
from chatd.core.audit import AUDIT_ROOM
from chatd.errors import ConfigError

__all__ = ["Deed", "accounts", "deeds"]

T = TypeVar("T")

_DEEDS = f"""
select message.time, message.body from room
join message on message.key > room.n << {OFFSET_BITS}
  and message.key < (room.n + 1) << {OFFSET_BITS}
where room.name = ? and message.time >= ? order by message.key desc limit ?
"""

_ACCOUNTS = """
select subject, json_group_object(field, value) from record
where subject >= ? and subject < ? group by subject order by subject
"""


class Deed(NamedTuple):
    """A line of the audit log.

    Args:
        time_ms: when it was written, in milliseconds since 1970.
        said: what was done, as JSON.
    """

    time_ms: int
    said: dict[str, object]


def deeds(path: str, *, since_ms: int, most: int) -> list[Deed]:
    """Read the audit log, the newest last.

    Args:
        path: of the database.
        since_ms: only what was written then or later.
        most: only so many of the newest; -1: all.

    Raises:
        ConfigError: it cannot be read.
    """
    found = _read(path, lambda connection: list(_deeds(connection, since_ms, most)))
    return found[::-1]


def _deeds(connection: sqlite3.Connection, since_ms: int, most: int) -> Iterator[Deed]:
    for time_ms, body in connection.execute(_DEEDS, (AUDIT_ROOM, since_ms, most)):
        said = json.loads(body)
        if isinstance(said, dict):
            yield Deed(time_ms, said)


def accounts(path: str) -> list[Account]:
    """Read who has a password here, by id.

    Args:
        path: of the database.

    Raises:
        ConfigError: it cannot be read.
    """
    after = PREFIX[:-1] + chr(ord(PREFIX[-1]) + 1)
    rows = _read(path, lambda connection: connection.execute(_ACCOUNTS, (PREFIX, after)).fetchall())
    found = (
        parsed(subject.decode().removeprefix(PREFIX), json.loads(record))
        for subject, record in rows
    )
    return [account for account in found if account is not None]


def _read(path: str, read: Callable[[sqlite3.Connection], T]) -> T:
    if not os.path.exists(path):
        raise missing(path)
    if not os.path.isfile(path):
        raise ConfigError(f"{path!r} is no file")
    try:
        with closing(connect(path, write=False)) as connection:
            version = ours(connection)
            if not version:
                raise foreign(path)
            if version != len(MIGRATIONS):
                raise ConfigError(
                    f"{path!r} is of version {version}, and this chatd reads {len(MIGRATIONS)}; "
                    f"chatd serve brings an older one to it"
                )
            return read(connection)
    except sqlite3.Error as error:
        raise refusal(path, error) from None
