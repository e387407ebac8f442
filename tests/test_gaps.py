"""What SQLite leaves behind when it moves rows is overwritten, and nothing else."""

from __future__ import annotations

import os
import random
import re
import sqlite3
from contextlib import closing
from typing import Any

from chatd.brokers import gaps
from chatd.brokers.faults import ReplacedError
from chatd.brokers.sqlite_file import connect
from tests.support.databases import DatabaseCase


class GapsTests(DatabaseCase):
    def setUp(self) -> None:
        super().setUp()
        self.connection = connect(self.made(), write=True, flush_each=False)
        self.descriptor = os.open(self.path, os.O_RDWR)
        # In this order: to close a descriptor drops the locks.
        self.addCleanup(os.close, self.descriptor)
        self.addCleanup(self.connection.close)

    def clear(self, start: int = 0) -> gaps.Cleared:
        """Do a step."""
        cleared = gaps.clear(self.connection, self.path, self.descriptor, start)
        assert cleared is not None
        return cleared

    def fill(self, seed: int) -> tuple[list[bytes], list[bytes]]:
        """Store rows of all lengths between others, erase some; returns words erased and kept."""
        chance = random.Random(seed)
        kept: dict[int, bytes] = {}
        gone = []
        for step in range(30):
            self.connection.execute("begin")
            for _ in range(40):
                key = chance.randrange(1 << 40)
                word = b"%012xq" % chance.randrange(1 << 48)
                repeated = chance.choice((1, 3, 9, 30, 60, 60, 400))
                kept[key] = word
                self.connection.execute(
                    "insert into message values (?, 1, 0, 1, 0, null, 'u', 'i', '[]', ?)",
                    (key, (word * repeated).decode()),
                )
            self.connection.execute("commit")
            for key in chance.sample(sorted(kept), 8):
                gone.append(kept.pop(key))
                what = ("delete from message", "update message set body = ''")[step % 2]
                self.connection.execute(f"{what} where key = ?", (key,))
        return gone, list(kept.values())

    def stored(self, words: list[bytes]) -> int:
        """How many of some words are in the file, read by the descriptor that is open."""
        content = os.pread(self.descriptor, 1 << 30, 0)
        found = set(re.findall(rb"[0-9a-f]{12}q", content))
        return sum(word in found for word in words)

    def test_gone(self) -> None:
        """Of what was erased nothing is left in the file; what was not is all there."""
        left = 0
        for seed in range(3):
            gone, kept = self.fill(seed)
            gaps.empty_log(self.connection)
            left += self.stored(gone)
            cleared = self.clear()
            self.assertTrue(cleared.is_end)
            self.assertEqual(self.stored(gone), 0)
            self.assertEqual(self.stored(kept), len(kept))
            self.assertEqual(self.clear().pages, 0)
        # Else this shows nothing, and is needed no more.
        self.assertGreater(left, 0)
        ((found,),) = self.connection.execute("pragma integrity_check")
        self.assertEqual(found, b"ok")

    def test_stays_gone(self) -> None:
        """It does not come back with a page that the writer had in memory."""
        gone, _ = self.fill(7)
        self.clear()
        for key in range(0, 1 << 40, 1 << 30):
            self.connection.execute(
                "insert into message values (?, 1, 0, 1, 0, null, 'u', 'i', '[]', '')", (key,)
            )
        gaps.empty_log(self.connection)
        self.assertEqual(self.stored(gone), 0)

    def test_steps(self) -> None:
        """A large file is done in steps, from where the last one ended."""
        self.patch(gaps, "STEP_BYTES", 64 << 10)
        self.fill(1)
        gaps.empty_log(self.connection)
        size = os.path.getsize(self.path)
        places, pages, start = [], 0, 0
        while True:
            cleared = self.clear(start)
            start, pages = cleared.upto, pages + cleared.pages
            places.append(start)
            if cleared.is_end:
                break
        self.assertEqual(places[:2], [64 << 10, 128 << 10])
        self.assertEqual((places[-1], len(places)), (size, -(-size // (64 << 10))))
        self.assertGreater(pages, 10)
        self.assertEqual(self.clear(size), gaps.Cleared(size, True, 0))

    def test_held(self) -> None:
        """While somebody reads what is in the log, nothing is done and nobody waits."""
        reader = connect(self.path, write=False)
        self.addCleanup(reader.close)
        self.connection.execute("insert into room (n, name) values (1, 'one')")
        reader.execute("begin")
        reader.execute("select * from room").fetchall()
        self.connection.execute("insert into room (n, name) values (2, 'two')")
        self.assertIsNone(gaps.clear(self.connection, self.path, self.descriptor, 0))
        self.assertEqual(self.connection.execute("pragma busy_timeout").fetchone(), (1000,))
        reader.execute("commit")
        self.assertTrue(self.clear().is_end)
        self.assertFalse(self.connection.in_transaction)

    def test_log_of_others(self) -> None:
        """What came into the log after it was emptied is not overlooked."""

        class Between(sqlite3.Connection):
            def execute(between, sql: str, /, asked: Any = ()) -> sqlite3.Cursor:  # noqa: N805
                if sql == "begin immediate":
                    self.execute_elsewhere()
                return super().execute(sql, asked)

        connection = sqlite3.connect(self.path, factory=Between, isolation_level=None)
        self.addCleanup(connection.close)
        self.assertIsNone(gaps.clear(connection, self.path, self.descriptor, 0))
        self.assertFalse(connection.in_transaction)

    def execute_elsewhere(self) -> None:
        self.connection.execute("insert into room (n, name) values (1, 'one')")

    def test_replaced(self) -> None:
        """Of a file that took the place of the one that is open nothing is overwritten."""
        gone, _ = self.fill(1)
        gaps.empty_log(self.connection)
        before = os.pread(self.descriptor, 1 << 30, 0)
        os.rename(self.path, f"{self.path}.aside")
        with open(self.path, "wb") as other:
            other.write(before)
        with self.assertRaises(ReplacedError):
            self.clear()
        self.assertFalse(self.connection.in_transaction)
        self.assertEqual(os.pread(self.descriptor, 1 << 30, 0), before)
        os.rename(f"{self.path}.aside", self.path)
        self.assertGreater(self.clear().pages, 0)
        self.assertEqual(self.stored(gone), 0)

    def test_other_pages(self) -> None:
        """Pages that are no part of a tree, or make no sense, stay as they are."""
        page = bytearray(b"\x0d" + b"\xff" * 4095)
        self.assertEqual(gaps._gap(bytes(page), 0, 4096, is_first=False), (0, 0))
        page[:8] = b"\x0d\0\0\xff\xff\0\1\0"
        self.assertEqual(gaps._gap(bytes(page), 0, 4096, is_first=False), (0, 0))
        page[0] = 0
        self.assertEqual(gaps._gap(bytes(page), 0, 4096, is_first=False), (0, 0))
        page[:8] = b"\x05\0\0\0\2\x0f\0\0"
        self.assertEqual(gaps._gap(bytes(page), 0, 4096, is_first=False), (16, 0xF00))

    def test_not_a_database(self) -> None:
        """Of a file that is none nothing is overwritten."""
        other = self.folder / "other"
        other.write_bytes(b"\x0d" * 8192)
        descriptor = os.open(other, os.O_RDWR)
        self.addCleanup(os.close, descriptor)
        self.assertEqual(gaps._clear(descriptor, 0), gaps.Cleared(8192, True, 0))
        self.assertEqual(other.read_bytes(), b"\x0d" * 8192)

    def test_auto_vacuum(self) -> None:
        """Of a file that has pages of another kind neither; ours are no such files."""
        self.assertEqual(self.connection.execute("pragma auto_vacuum").fetchone(), (0,))
        other = self.folder / "other"
        with closing(sqlite3.connect(other, isolation_level=None)) as connection:
            connection.execute("pragma auto_vacuum = full")
            connection.execute("create table one (a)")
        before = other.read_bytes()
        changed = before[:3000] + b"left" + before[3004:]
        other.write_bytes(changed)
        descriptor = os.open(other, os.O_RDWR)
        self.addCleanup(os.close, descriptor)
        self.assertEqual(gaps._clear(descriptor, 0), gaps.Cleared(len(before), True, 0))
        self.assertEqual(other.read_bytes(), changed)
