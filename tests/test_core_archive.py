"""What is asked of stored messages, and the archive in memory that the tests of others use."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatd.core.archive import MOST_FOUND, Archive, Query
from chatd.core.broker import Broker
from tests.support.archives import ArchiveContract, ScriptedArchive
from tests.support.brokers import settle
from tests.support.scripted import ScriptedBroker

NOW_MS = 1_000_000


class QueryTests(SynchronousTestCase):
    def test_anything(self) -> None:
        """A query that says no more than a room and words is of all that was said there."""
        query = Query("lobby", "word")
        self.assertEqual(
            (query.user, query.before, query.skip, query.limit), ("", 0, 0, MOST_FOUND)
        )
        self.assertEqual((query.since_ms, query.until_ms, query.by_rank), (0, 0, False))


class ScriptedTests(ArchiveContract, SynchronousTestCase):
    def make(self) -> tuple[Broker, Archive]:
        self.clock = Clock()
        self.scripted = ScriptedBroker(self.clock)
        self.scripted.now_ms = NOW_MS
        return self.scripted, ScriptedArchive(self.scripted)

    def turn(self) -> None:
        settle(self.clock)

    def step_clock(self, seconds: float) -> None:
        self.scripted.now_ms += round(seconds * 1000)
