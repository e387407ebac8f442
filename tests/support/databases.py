"""Database files to test with."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from chatd.brokers.database import check
from chatd.brokers.sqlite_file import connect
from tests.support.logs import LogCase

__all__ = ["NOBODY", "DatabaseCase", "fill", "flip", "powerless"]

NOBODY = 65534

_MESSAGES = """
with recursive every(n) as (select :after + 1 union all select n + 1 from every where n < :last)
insert into message
select :room << 40 | n, 1, n, 2 + 2 + :bytes, 0, null, 'u', 'i' || n, '[]',
  '"' || hex(zeroblob(:bytes / 2)) || '"' from every
"""


class DatabaseCase(LogCase):
    """A test with a folder of its own, and the path of a database in it."""

    def setUp(self) -> None:
        """Twisted: before each test."""
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(os.path.realpath(folder.name))
        self.path = str(self.folder / "chatd.sqlite3")

    def names(self) -> list[str]:
        """The files in the folder."""
        return sorted(os.listdir(self.folder))

    def made(self) -> str:
        """Make the database; returns its path."""
        check(self.path, now=0)
        return self.path

    def filled(self, messages: int = 10, size: int = 20) -> str:
        """Make the database with a room of some messages; returns its path."""
        with closing(connect(self.made(), write=True)) as connection:
            fill(connection, messages, size)
        return self.path

    def execute(self, *statements: str) -> None:
        """Change the database."""
        with closing(connect(self.path, write=True)) as connection:
            for statement in statements:
                connection.execute(statement)

    def rows(self, question: str, path: str | None = None) -> list[tuple[object, ...]]:
        """Ask a database, that of the test if no other."""
        with closing(connect(path or self.path, write=False)) as connection:
            return connection.execute(question).fetchall()


def fill(connection: sqlite3.Connection, messages: int, size: int = 20) -> None:
    """Make room 1, `lobby`, with messages at the offsets 1, 2, 3...

    Args:
        connection: that writes.
        messages: how many.
        size: of a text, even.
    """
    connection.execute("insert into opening values (1, 'one')")
    connection.execute("insert into room (n, name) values (1, 'lobby')")
    connection.execute(_MESSAGES, {"room": 1, "after": 0, "last": messages, "bytes": size})


def flip(path: str, start: int, length: int) -> None:
    """Turn bytes of a file that nobody has open into others."""
    with open(path, "r+b") as file:
        file.seek(start)
        before = file.read(length)
        file.seek(start)
        file.write(bytes(byte ^ 0x55 for byte in before))


@contextmanager
def powerless(folder: Path) -> Iterator[None]:
    """Be somebody who has no power over files that are not their own, as root is not."""
    if os.geteuid() != 0:
        yield
        return
    for path in (folder, *folder.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
