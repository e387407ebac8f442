"""What the database looks like, and how an older one becomes like it."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing

from twisted.trial.unittest import SynchronousTestCase

from chatd.brokers.database import check
from chatd.brokers.schema import (
    APPLICATION_ID,
    LAST_OFFSET,
    LAST_ROOM,
    MIGRATIONS,
    OFFSET_BITS,
    key,
)
from chatd.brokers.sqlite_file import connect, migrate, ours
from chatd.core.broker import ERASED
from chatd.core.events import Kind, payload
from tests.support.databases import DatabaseCase

SENDER = '{"user":"u"}'
_FORMER = "insert into message values (?, ?, 1, ?, ?, 'u', 'm' || ?, ?, ?, ?)"


class SchemaTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.database = sqlite3.connect(":memory:")
        self.addCleanup(self.database.close)
        for statements in MIGRATIONS:
            self.database.executescript(statements)

    def test_application(self) -> None:
        """Our databases are known by four letters, which SQLite keeps as they are."""
        self.assertEqual(APPLICATION_ID.to_bytes(4, "big"), b"chat")
        self.database.execute(f"pragma application_id = {APPLICATION_ID}")
        (found,) = self.database.execute("pragma application_id").fetchone()
        self.assertEqual(found, APPLICATION_ID)

    def test_strict(self) -> None:
        """Each table takes only values of its columns' types."""
        tables = self.database.execute("pragma table_list").fetchall()
        ours = {row[1] for row in tables if row[5]}
        self.assertEqual(ours, {"opening", "room", "message", "mention", "record"})
        others = {row[1] for row in tables if not row[5] and not row[1].startswith("sqlite_")}
        self.assertTrue(all(name.startswith("words") for name in others), others)
        with self.assertRaises(sqlite3.IntegrityError):
            self.database.execute("insert into room (n, name, top) values (1, 'a', 'x')")

    def test_unique(self) -> None:
        """An epoch, a room's name, a key, a mention and a field of a record are there once."""
        for twice in (
            "insert into opening (epoch) values ('e')",
            "insert into room (name) values ('a')",
            "insert into message values (1, 1, 0, 0, 0, null, 'u', 'i', 's', 'b')",
            "insert into mention values ('ann', 1)",
            "insert into record values ('user:a', 'nick', 'Ann')",
        ):
            self.database.execute(twice)
            with self.assertRaises(sqlite3.IntegrityError):
                self.database.execute(twice)

    def test_room(self) -> None:
        """A room begins with nothing said, nothing trimmed and nothing indexed."""
        self.database.execute("insert into room (name) values ('a')")
        found = self.database.execute(
            "select top, floor, floor_opening, time, indexed from room"
        ).fetchall()
        self.assertEqual(found, [(0, 0, 0, 0, 0)])

    def test_key(self) -> None:
        """A key has the room above and the offset below; the greatest is SQLite's greatest."""
        self.assertEqual(key(1, 5), (1 << OFFSET_BITS) + 5)
        self.assertEqual(key(LAST_ROOM, LAST_OFFSET), (1 << 63) - 1)
        self.assertGreater(key(2, 0), key(1, LAST_OFFSET))
        found = self.database.execute(
            f"select ? << {OFFSET_BITS} | ?", (LAST_ROOM, LAST_OFFSET)
        ).fetchone()
        self.assertEqual(found, (key(LAST_ROOM, LAST_OFFSET),))

    def test_edits(self) -> None:
        """The edits of a message are found without looking through the others."""
        plan = self.database.execute(
            "explain query plan select key from message where ref = 7 and kind = 2 order by key"
        ).fetchall()
        self.assertIn("USING INDEX edit (ref=?)", plan[0][-1])
        self.assertEqual(int(Kind.EDIT), 2)

    def test_words(self) -> None:
        """Words are found however they are accented, and their text is not kept."""
        self.database.execute("insert into words (rowid, text) values (7, 'Zażółć gęślą')")
        found = self.database.execute("select rowid, text from words where words match 'zazołc'")
        self.assertEqual(found.fetchall(), [(7, None)])

    def test_erased(self) -> None:
        """What is left of an erased message is JSON that needs no quoting in a statement."""
        self.assertEqual(json.loads(ERASED), {"type": "deleted"})
        self.assertNotIn(b"'", ERASED)


class SecondVersionTests(DatabaseCase):
    """A database of version 1 becomes one of version 2."""

    def former(self, *bodies: str) -> None:
        """Make a database of version 1 with these messages in room 3."""
        check(self.path, migrations=MIGRATIONS[:1], now=0)
        with closing(connect(self.path, write=True)) as connection:
            connection.execute("insert into opening values (1, 'one')")
            connection.execute("insert into room values (3, 'lobby', 9, 2, 1)")
            connection.execute("begin")
            for at, body in enumerate(bodies, 3):
                row = (3, at, at * 10, len(SENDER) + len(body.encode()), at, None, SENDER, body)
                connection.execute(_FORMER, row)
            connection.execute("commit")

    def test_messages(self) -> None:
        """All messages are there as they were; those of chat are known to be messages."""
        bodies = {
            payload("m", "zażółć").decode(): Kind.MESSAGE,
            '{"id":"m","text":"x","type":"message"}': Kind.MESSAGE,
            '{"type":"message","text":7}': Kind.OTHER,
            ERASED.decode(): Kind.OTHER,
            '"message"': Kind.OTHER,
            '["message"]': Kind.OTHER,
            "[[": Kind.OTHER,
        }
        self.former(*bodies)
        check(self.path, now=0)
        found = self.rows(
            "select key, opening, time, size, kind, ref, user, id, sender, body"
            " from message order by key"
        )
        for row, (at, (body, kind)) in zip(found, enumerate(bodies.items(), 3), strict=True):
            size = len(SENDER) + len(body.encode())
            self.assertEqual(row[:6], (key(3, at), 1, at * 10, size, int(kind), None))
            self.assertEqual(row[6:], (b"u", b"m%d" % at, SENDER.encode(), body.encode()))

    def test_rooms(self) -> None:
        """Rooms keep their numbers, heads and floors, and nothing of them is indexed."""
        self.former('"x"')
        check(self.path, now=0)
        self.assertEqual(self.rows("select * from room"), [(3, b"lobby", 9, 2, 1, 0, 0)])
        self.assertEqual(self.rows("select count(*) from words"), [(0,)])

    def test_nothing_left(self) -> None:
        """Nothing is left of how it was kept before."""
        self.former('"x"')
        check(self.path, now=0)
        found = {name for (name,) in self.rows("select name from sqlite_schema")}
        with closing(connect(":memory:", write=True)) as model:
            migrate(model, 0, MIGRATIONS)
            wanted = {name for (name,) in model.execute("select name from sqlite_schema")}
        self.assertEqual(found, wanted)

    def test_restartable(self) -> None:
        """What was stopped half way is as it was, and can be done again."""
        self.former(payload("m", "x").decode(), '"y"')
        before = self.rows("select * from message")
        with closing(connect(self.path, write=True)) as connection:
            broken = (MIGRATIONS[0], MIGRATIONS[1] + ";\ninsert into nowhere values (1)")
            self.assertRaises(sqlite3.OperationalError, migrate, connection, 1, broken)
            # As a process that is killed there leaves it.
            connection.executescript("begin;" + MIGRATIONS[1])
        self.assertEqual(self.rows("select * from message"), before)
        check(self.path, now=0)
        with closing(connect(self.path, write=False)) as connection:
            self.assertEqual(ours(connection), 2)
        self.assertEqual(self.rows("select count(*) from message"), [(2,)])

    def test_many(self) -> None:
        """A hundred thousand messages take a few seconds."""
        self.former()
        with closing(connect(self.path, write=True)) as connection:
            connection.execute(
                "with recursive every(n) as (select 3 union all select n + 1 from every"
                " where n < 100002) insert into message select 3, n, 1, n, 60, 'u', 'm' || n,"
                " null, ?, ? from every",
                (SENDER, payload("m", "words " * 20).decode()),
            )
        began = time.monotonic()
        with closing(connect(self.path, write=True)) as connection:
            migrate(connection, 1, MIGRATIONS)
        self.assertLess(time.monotonic() - began, 10)
        self.assertEqual(
            self.rows("select count(*), min(kind), max(kind) from message"), [(100_000, 1, 1)]
        )
