"""`chatd.brokers.lookup`: read from beside."""

from __future__ import annotations

import json
import os
from contextlib import closing

from chatd.brokers.lookup import accounts, deeds
from chatd.brokers.schema import MIGRATIONS
from chatd.brokers.sqlite_file import connect, create
from chatd.errors import ConfigError
from tests.support.databases import DatabaseCase


class LookupTests(DatabaseCase):
    def note(self, *times_ms: int, room: str = "!audit", n: int = 1) -> None:
        """Write lines of the audit log, each of which says when."""
        self.execute(f"insert into room (n, name, top) values ({n}, '{room}', {len(times_ms)})")
        for offset, time_ms in enumerate(times_ms, 1):
            body = json.dumps({"action": room, "at": time_ms})
            self.execute(
                "insert into message (key, opening, time, size, kind, user, id, sender, body) "
                f"values ({n} << 40 | {offset}, 1, {time_ms}, 0, 0, 'u', 'i', '{{}}', '{body}')"
            )

    def times(self, since_ms: int = 0, most: int = -1) -> list[int]:
        """When what is read was written."""
        return [deed.time_ms for deed in deeds(self.path, since_ms=since_ms, most=most)]

    def refused(self, words: str) -> None:
        """Check that neither can be read, and why."""
        for read in (lambda: accounts(self.path), self.times):
            error = str(self.assertRaises(ConfigError, read))
            self.assertIn(words, error)
            self.assertTrue(error.isprintable())

    def test_deeds(self) -> None:
        """The audit log is read, the newest last; and of no other room."""
        self.made()
        self.assertEqual(self.times(), [])
        self.note(5, room="lobby", n=1)
        self.note(10, 20, 20, 30, n=2)
        self.note(15, room="zoo", n=3)
        self.assertEqual(self.times(), [10, 20, 20, 30])
        self.assertEqual(self.times(since_ms=20), [20, 20, 30])
        self.assertEqual(self.times(most=2), [20, 30])
        self.assertEqual(
            deeds(self.path, since_ms=0, most=1)[0].said, {"action": "!audit", "at": 30}
        )

    def test_strange(self) -> None:
        """What is no object in that room is left out."""
        self.made()
        self.note(10, 20)
        self.execute("update message set body = '[]' where time = 10")
        self.assertEqual(self.times(), [20])

    def test_accounts(self) -> None:
        """Accounts are read in their order; what is none is left out."""
        self.made()
        for subject, field, value in (
            *(("account:bob", field, field) for field in ("nick", "hash", "made")),
            *(("account:ann", field, field) for field in ("nick", "hash", "made")),
            ("account:ann", "moderator", "1"),
            ("account:lost", "nick", "lost"),
            ("account;", "nick", "x"),
            ("accounts:x", "nick", "x"),
        ):
            self.execute(f"insert into record values ('{subject}', '{field}', '{value}')")
        found = [(account.user, account.is_moderator) for account in accounts(self.path)]
        self.assertEqual(found, [("ann", True), ("bob", False)])

    def test_refused(self) -> None:
        """What is not there, not ours, not of this version or damaged is told as that."""
        self.refused("is not there; chatd serve makes it")
        os.mkdir(self.path)
        self.refused("is no file")
        os.rmdir(self.path)
        (self.folder / "chatd.sqlite3").write_bytes(b"x" * 5000)
        self.refused("is damaged, or no database")
        os.truncate(self.path, 0)
        self.refused("another program's database")
        with closing(connect(self.path, write=True)) as connection:
            create(connection, MIGRATIONS[:1])
        self.refused("is of version 1, and this chatd reads 2")
