"""The archive over SQLite."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatd.brokers import archive as module
from chatd.brokers import connections, words
from chatd.brokers.archive import SqliteArchive
from chatd.brokers.database import connect, create
from chatd.brokers.sqlite import SqliteBroker
from chatd.core.archive import COUNTED, Archive, Query, Unread
from chatd.core.broker import Broker
from chatd.errors import UNAVAILABLE
from tests.support.archives import ArchiveContract
from tests.support.brokers import ClockWorker, clock_broker, settle
from tests.support.databases import fill

NOW_MS = 1_000_000


class SqliteTests(ArchiveContract, SynchronousTestCase):
    def make(self) -> tuple[Broker, Archive]:
        self.clock = Clock()
        self.now_ms = NOW_MS
        self.worker = ClockWorker(self.clock)
        self.stored = clock_broker(self.clock, writer=self.worker, now_ms=lambda: self.now_ms)
        return self.stored, self.archive_of(self.stored)

    def archive_of(self, broker: SqliteBroker) -> SqliteArchive:
        return SqliteArchive(
            broker.connections,
            later=lambda call: self.clock.callLater(0, call),
            seconds=self.clock.seconds,
        )

    def turn(self) -> None:
        settle(self.clock)
        if not self.worker.is_held:
            self.stored.connections.write(self.take_in, lambda told: None)
            settle(self.clock)

    @staticmethod
    def take_in(connection: sqlite3.Connection) -> None:
        for n in (1, 2, 3):
            words.take_in(connection, n, 1000)

    def step_clock(self, seconds: float) -> None:
        self.now_ms += round(seconds * 1000)

    def test_too_many(self) -> None:
        """When too much waits to be read it is refused, later."""
        self.begin()
        self.patch(connections, "MOST_READS", 3)
        self.worker.is_held = True
        told: list[object] = []
        for _ in range(3):
            self.archive.target("lobby", 1, told.append)
        self.archive.unread("lobby", 0, "ann", (), told.append)
        self.archive.target("lobby", 1, told.append)
        self.archive.search(Query("lobby", "x"), told.append)
        self.assertEqual(told, [])
        settle(self.clock)
        self.assertEqual(told, [UNAVAILABLE] * 3)
        self.worker.is_held = False
        self.worker.release()
        settle(self.clock)
        self.assertEqual(len(told), 6)

    def test_unreadable(self) -> None:
        """What cannot be read is unavailable."""
        self.begin()
        told: list[object] = []
        self.worker.failures.append(OSError("made up"))
        self.archive.target("lobby", 1, told.append)
        settle(self.clock)
        self.assertEqual(told, [UNAVAILABLE])
        self.flushLoggedErrors()


class FileTests(SqliteTests):
    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.made: list[SqliteBroker] = []
        self.addCleanup(self.stop_all)

    def stop_all(self) -> None:
        for broker in self.made:
            broker.stop(lambda: None)
            settle(self.clock)

    def make(self) -> tuple[Broker, Archive]:
        self.stop_all()
        self.clock = Clock()
        self.now_ms = NOW_MS
        return self.make_at(str(Path(self.folder, f"{len(self.made)}.sqlite3")))

    def make_at(self, path: str) -> tuple[Broker, Archive]:
        self.path = path
        self.worker = ClockWorker(self.clock)
        self.stored = clock_broker(self.clock, path, reader=self.worker, now_ms=lambda: self.now_ms)
        self.made.append(self.stored)
        return self.stored, self.archive_of(self.stored)

    def restart(self) -> None:
        self.stored.drain(lambda: self.stored.stop(lambda: None))
        settle(self.clock)
        self.broker, self.archive = self.make_at(self.path)
        self.broker.start(lambda events: None)
        self.broker.open("lobby", lambda opened: None)
        settle(self.clock)


class PlanTests(SynchronousTestCase):
    def test_bounded(self) -> None:
        """To count takes no longer in a long history, whoever said it, and however long it is."""
        connection = connect(":memory:", write=True)
        self.addCleanup(connection.close)
        create(connection)
        fill(connection, 1)
        steps: list[int] = []
        for first, last in ((2, 4000), (4001, 20_000)):
            connection.execute(
                "with recursive every(n) as (select ?1 union all select n + 1 from every"
                " where n < ?2) insert into message select (1 << 40) + n, 1, n, 102, 1, null,"
                " 'u', 'i' || n, '[]', '\"' || hex(zeroblob(49)) || '\"' from every",
                (first, last),
            )
            connection.execute("delete from mention")
            connection.execute("insert into mention select 'ann', key from message")
            seen: list[int] = []

            def count(seen: list[int] = seen) -> int:
                seen.append(1)
                return 0

            connection.set_progress_handler(count, 100)
            told = module.unread(connection, "lobby", 0, "bob", ["ann", "cid"])
            own = module.unread(connection, "lobby", 0, "u", ["ann", "cid"])
            connection.set_progress_handler(None, 0)
            self.assertEqual((told, own), (Unread(COUNTED, COUNTED), Unread(0, 0)))
            steps.append(len(seen))
        self.assertLess(steps[1], steps[0] * 1.1, steps)

    def test_searches(self) -> None:
        """Neither a target nor a count walks through a table."""
        connection = connect(":memory:", write=True)
        self.addCleanup(connection.close)
        create(connection)
        for question in (module._TARGET, module._UNREAD):
            names = [None] * (2 if question is module._TARGET else 7)
            plan = connection.execute(f"explain query plan {question}", names).fetchall()
            steps = [step[-1].decode() for step in plan]
            self.assertTrue(any("SEARCH" in step for step in steps), steps)
            for table in ("message", "mention", "r", "m"):
                self.assertNotIn(f"SCAN {table}", steps)
