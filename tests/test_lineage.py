"""Which line of history a position is on."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatd.brokers import lineage
from chatd.brokers.connections import Connections
from chatd.brokers.lineage import Lineage
from chatd.brokers.schema import key
from chatd.brokers.store import Floor, add, write_opening
from chatd.brokers.stream import Stream
from chatd.core.broker import Place, Position
from chatd.errors import UNAVAILABLE, Refusal
from tests.support.brokers import ClockWorker, settle, sqlite_error

OK, GAP, TRUNCATE, RESET = Place.OK, Place.GAP, Place.TRUNCATE, Place.RESET


class LineageTests(SynchronousTestCase):
    """Openings 1, 2 and 3 wrote two messages each, and this is the fourth."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.worker = ClockWorker(self.clock)
        self.connections = Connections(
            ":memory:",
            reader=self.worker,
            writer=self.worker,
            now_ms=lambda: 0,
            free_bytes=0,
        )
        self.addCleanup(settle, self.clock)
        self.addCleanup(self.connections.stop, lambda: None)
        self.connections.start(lambda error: self.assertIsNone(error))
        self.write(self.fill)
        self.lineage = Lineage(self.connections, "four")
        self.lineage.begin({"one": 1, "two": 2, "three": 3})
        self.stream = Stream("ann", lambda opened: None, n=1, top=8)
        self.jobs = self.worker.jobs

    def write(self, job: Callable[[sqlite3.Connection], object]) -> None:
        self.connections.write(job, lambda outcome: self.assertNotIsInstance(outcome, Exception))
        settle(self.clock)

    @staticmethod
    def fill(connection: sqlite3.Connection) -> None:
        for n, epoch in enumerate(("one", "two", "three"), 1):
            write_opening(connection, n, epoch)
        rows = [
            (key(1, offset), (offset + 1) // 2, 0, 9, 0, None, "user", str(offset), "{}", "1")
            for offset in range(1, 9)
        ]
        add(connection, [(1, "ann")], rows)

    def locate(self, epoch: str, offset: int) -> Place | Refusal:
        told: list[Place | Refusal] = []
        place = self.lineage.locate(self.stream, Position(epoch, offset), told.append)
        if place is not None:
            self.assertEqual(told, [])
            return place
        settle(self.clock)
        (only,) = told
        return only

    def places(self, epoch: str) -> list[Place | Refusal]:
        return [self.locate(epoch, offset) for offset in range(10)]

    def test_openings(self) -> None:
        """A position is good up to the last message that its opening, or an earlier one, wrote."""
        self.assertEqual(self.places("one"), [OK] * 3 + [TRUNCATE] * 7)
        self.assertEqual(self.places("two"), [OK] * 5 + [TRUNCATE] * 5)
        self.assertEqual(self.places("three"), [OK] * 7 + [TRUNCATE] * 3)
        self.assertEqual(self.places("four"), [OK] * 9 + [TRUNCATE])
        self.assertEqual(self.places("five"), [RESET] * 10)

    def test_this_opening(self) -> None:
        """Positions of this opening take no read."""
        self.places("four")
        self.places("five")
        self.assertEqual(self.worker.jobs, self.jobs)
        self.assertEqual((self.lineage.epoch, self.lineage.opening), ("four", 4))

    def test_first_opening(self) -> None:
        """The first opening of all is number 1."""
        self.lineage.begin({})
        self.assertEqual(self.lineage.epoch_at(0), "four")
        self.assertEqual(self.lineage.opening, 1)
        self.assertEqual(self.places("one"), [RESET] * 10)

    def test_not_stored(self) -> None:
        """An epoch without a row says where the room ended, and of which opening that was."""
        self.assertEqual(self.lineage.epoch_at(8), "four.8.three")
        self.lineage.is_stored = True
        self.assertEqual(self.lineage.epoch_at(8), "four")
        self.assertEqual(self.places("lost.6.three"), [OK] * 7 + [RESET] * 3)
        self.assertEqual(self.places("lost.6.two"), [OK] * 5 + [TRUNCATE] * 2 + [RESET] * 3)
        self.assertEqual(self.places("lost.6.lost too"), [RESET] * 10)
        self.assertEqual(self.places("four.6.three"), [OK] * 9 + [TRUNCATE])
        self.assertEqual(self.places("two.9.one"), [OK] * 5 + [TRUNCATE] * 5)

    def test_not_an_epoch(self) -> None:
        """Whatever a peer makes up is no epoch."""
        for epoch in ("", ".", "..", "x..three", "x.-1.three", "x.six.three", "x.\u00b2.three"):
            self.assertEqual(self.locate(epoch, 0), RESET)
        for epoch in (f"x.{'9' * 5000}.three", "x.9.", "x.9", ".9.", "x.9.three.", "x.9.three.3"):
            self.assertEqual(self.locate(epoch, 0), RESET)

    def test_floor(self) -> None:
        """Before the floor there is a gap; at the floor it matters who wrote that."""
        self.stream.trimmed(Floor(3, 2))
        self.assertEqual(self.places("one")[:5], [GAP, GAP, GAP, TRUNCATE, TRUNCATE])
        self.assertEqual(self.places("two")[:5], [GAP, GAP, GAP, OK, OK])

    def test_trimmed_meanwhile(self) -> None:
        """What a trim took that is not told yet is a gap; later it is looked up again."""
        self.write(lambda each: each.execute("delete from message where key & 255 < 3"))
        for _ in range(2):
            self.assertEqual(self.locate("one", 2), GAP)
        rows = [(key(1, 2), 1, 0, 9, 0, None, "u", "i", "{}", "1")]
        self.write(lambda each: add(each, [], rows))
        self.assertEqual(self.locate("one", 2), OK)

    def test_shared(self) -> None:
        """However many ask for one place, meanwhile or later, it is read once."""
        told: list[Place | Refusal] = []
        for epoch in ["two", "one"] * 2500:
            self.assertIsNone(self.lineage.locate(self.stream, Position(epoch, 4), told.append))
        settle(self.clock)
        self.assertEqual(told, [OK, TRUNCATE] * 2500)
        self.assertEqual((self.locate("two", 4), self.locate("one", 4)), (OK, TRUNCATE))
        self.assertEqual(self.worker.jobs, self.jobs + 1)

    def test_kept(self) -> None:
        """A thousand places are remembered; the first goes first."""
        self.stream.top = 1001
        rows = [(key(1, n), 1, 0, 9, 0, None, "user", str(n), "{}", "1") for n in range(9, 1002)]
        self.write(lambda each: add(each, [], rows))
        before = self.worker.jobs
        for offset, jobs in ((0, 1000), (1, 1000), (1001, 1001), (2, 1001), (1, 1002)):
            for each in range(1, 1001) if not offset else (offset,):
                self.locate("one", each)
            self.assertEqual(self.worker.jobs - before, jobs)

    def test_too_many(self) -> None:
        """So many may wait for one read, and for reads in all."""
        self.patch(lineage, "MOST_READS", 2)
        told: list[Place | Refusal] = []
        places = [self.lineage.locate(self.stream, Position("one", 1), told.append) for _ in "123"]
        self.assertEqual(places, [None, None, UNAVAILABLE])
        settle(self.clock)
        self.assertEqual(told, [OK, OK])
        self.assertIsNone(self.lineage.locate(self.stream, Position("one", 2), told.append))
        self.assertIsNone(self.lineage.locate(self.stream, Position("one", 2), told.append))
        settle(self.clock)
        self.patch(Connections, "read", lambda self, job, done: False)
        self.assertEqual(self.locate("one", 3), UNAVAILABLE)

    def test_refused(self) -> None:
        """When it cannot be read, all who asked are told so; the next one reads again."""
        self.worker.failures.append(sqlite_error("SQLITE_IOERR"))
        told: list[Place | Refusal] = []
        for _ in range(2):
            self.lineage.locate(self.stream, Position("one", 1), told.append)
        settle(self.clock)
        self.assertEqual(told, [UNAVAILABLE, UNAVAILABLE])
        self.assertEqual(self.locate("one", 1), OK)
