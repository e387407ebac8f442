"""What the database looks like."""

from __future__ import annotations

import json
import sqlite3

from twisted.trial.unittest import SynchronousTestCase

from chatd.brokers.schema import APPLICATION_ID, MIGRATIONS
from chatd.core.broker import ERASED

SENDER = '{"user":"u"}'
_ADD = "insert into message values (?, ?, 1, 0, ?, 'u', ?, ?, ?, ?)"


class SchemaTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.database = sqlite3.connect(":memory:")
        self.addCleanup(self.database.close)
        for statements in MIGRATIONS:
            self.database.executescript(statements)

    def add(self, offset: int, body: str, *, room: int = 1, erases: int | None = None) -> None:
        """Store a message."""
        size = len(SENDER) + len(body.encode())
        row = (room, offset, size, f"m{offset}", erases, SENDER, body)
        self.database.execute(_ADD, row)

    def bodies(self, room: int = 1) -> list[tuple[str, int]]:
        """Body and size of each message of a room."""
        return self.database.execute(
            "select body, size from message where room = ? order by offset", (room,)
        ).fetchall()

    def test_application(self) -> None:
        """Our databases are known by four letters, which SQLite keeps as they are."""
        self.assertEqual(APPLICATION_ID.to_bytes(4, "big"), b"chat")
        self.database.execute(f"pragma application_id = {APPLICATION_ID}")
        (found,) = self.database.execute("pragma application_id").fetchone()
        self.assertEqual(found, APPLICATION_ID)

    def test_strict(self) -> None:
        """Each table takes only values of its columns' types."""
        tables = self.database.execute("pragma table_list").fetchall()
        ours = {row[1]: row[5] for row in tables if not row[1].startswith("sqlite_")}
        self.assertEqual(ours, {"opening": 1, "room": 1, "message": 1, "record": 1})
        with self.assertRaises(sqlite3.IntegrityError):
            self.database.execute("insert into room (n, name, top) values (1, 'a', 'x')")

    def test_unique(self) -> None:
        """An epoch, a room's name, an offset in a room and a field of a record are there once."""
        for twice in (
            "insert into opening (epoch) values ('e')",
            "insert into room (name) values ('a')",
            "insert into message values (1, 1, 1, 0, 0, 'u', 'i', null, 's', 'b')",
            "insert into record values ('user:a', 'nick', 'Ann')",
        ):
            self.database.execute(twice)
            with self.assertRaises(sqlite3.IntegrityError):
                self.database.execute(twice)

    def test_room(self) -> None:
        """A room begins with nothing said and nothing trimmed."""
        self.database.execute("insert into room (name) values ('a')")
        found = self.database.execute("select top, floor, floor_opening from room").fetchall()
        self.assertEqual(found, [(0, 0, 0)])

    def test_erase(self) -> None:
        """With the message that erases another one the other's body is gone; its row stays."""
        self.add(1, '"zażółć"')
        self.add(2, '"b"')
        self.add(1, '"elsewhere"', room=2)
        elsewhere = self.bodies(2)
        self.add(3, '"c"', erases=1)
        size = len(SENDER) + len(ERASED)
        self.assertEqual(self.bodies()[0], (ERASED.decode(), size))
        self.assertEqual([body for body, _ in self.bodies()[1:]], ['"b"', '"c"'])
        self.assertEqual(self.bodies(2), elsewhere)

    def test_erase_nothing(self) -> None:
        """What is not there, because it was trimmed, is erased all the same."""
        self.add(9, '"c"', erases=1)
        self.assertEqual(len(self.bodies()), 1)

    def test_erased(self) -> None:
        """What is left of an erased message is JSON that needs no quoting in a statement."""
        self.assertEqual(json.loads(ERASED), {"type": "deleted"})
        self.assertNotIn(b"'", ERASED)
