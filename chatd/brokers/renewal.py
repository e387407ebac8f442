"""The index of words, damaged, is made empty, to be filled anew.

It is made from the messages and holds nothing else. So damage to it must stop nobody, least of all
those who take back what they said.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from sqlite3 import Connection, DatabaseError

from chatd.brokers.schema import WORDS

__all__ = ["DamagedIndexError", "empty", "was_emptied", "write"]


class DamagedIndexError(DatabaseError):
    """The index cannot be changed; says so as SQLite did."""

    def __init__(self, error: DatabaseError) -> None:
        super().__init__(*error.args)
        self.sqlite_errorcode = error.sqlite_errorcode
        self.sqlite_errorname = error.sqlite_errorname


# What FTS5 says of tables that make no sense: the last one when it cannot read how it is set up.
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_ERROR})


def empty(connection: Connection) -> None:
    """Make the index a new one with nothing in it, however damaged, within a transaction.

    Args:
        connection: the writer's.
    """
    connection.execute("update room set indexed = 0 where indexed <> 0")
    # Of the connection alone, and taken back with the transaction.
    connection.execute("pragma temp.user_version = 1")
    try:
        write(connection, "insert into words (words) values ('delete-all')")
    except DamagedIndexError:
        _replace(connection)


def was_emptied(connection: Connection) -> bool:
    """Whether the index was emptied through a connection since this was asked last."""
    ((is_new,),) = connection.execute("pragma temp.user_version")
    if is_new:
        connection.execute("pragma temp.user_version = 0")
    return bool(is_new)


def _replace(connection: Connection) -> None:
    """Put a new index in the place of one that FTS5 cannot open, not even to drop it."""
    connection.execute("pragma writable_schema = 1")
    try:
        connection.execute("delete from sqlite_schema where name = 'words'")
    finally:
        connection.execute("pragma writable_schema = reset")
    for part in ("data", "idx", "docsize", "config"):
        connection.execute(f"drop table if exists words_{part}")
    connection.execute(WORDS)


def write(connection: Connection, statement: str, values: Sequence[object] = ()) -> None:
    """Change the index, and nothing else.

    Raises:
        DamagedIndexError: it is damaged.
        sqlite3.Error: it cannot be changed now.
    """
    try:
        connection.execute(statement, values)
    except DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _DAMAGED:
            raise
        raise DamagedIndexError(error) from error
