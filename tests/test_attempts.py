"""`chatd.core.attempts`: how often somebody may try."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatd.core.attempts import Attempts


class AttemptsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.attempts = Attempts(5, 60, most=3, seconds=self.clock.seconds)

    def took(self, key: str = "a") -> int:
        """How many attempts there are until one is refused."""
        count = 0
        while not self.attempts.take(key):
            count += 1
        return count

    def test_count(self) -> None:
        """So many at once, and then one every so often."""
        self.clock.advance(1000.1)
        self.assertEqual(self.took(), 5)
        self.assertAlmostEqual(self.attempts.take("a"), 12)
        self.clock.advance(11)
        self.assertAlmostEqual(self.attempts.take("a"), 1)
        self.clock.advance(1)
        self.assertEqual(self.took(), 1)
        self.clock.advance(3600)
        self.assertEqual(self.took(), 5)

    def test_keys(self) -> None:
        """Each has attempts of their own."""
        self.took("a")
        self.assertEqual(self.took("b"), 5)

    def test_given_back(self) -> None:
        """An attempt that is given back does not count."""
        for _ in range(100):
            self.assertEqual(self.attempts.take("a"), 0)
            self.attempts.give_back("a")
        self.assertEqual(self.took(), 5)

    def test_refused_costs_nothing(self) -> None:
        """Who goes on asking does not wait longer for it."""
        self.took()
        for _ in range(100):
            self.attempts.take("a")
        self.clock.advance(12)
        self.assertEqual(self.took(), 1)

    def test_forgotten(self) -> None:
        """Only so many are remembered: the least recently used is forgotten."""
        for key in "abca":
            self.attempts.take(key)
        self.took("d")
        self.assertEqual(len(self.attempts), 3)
        self.assertEqual(self.took("b"), 5)  # forgotten, and now c is
        self.attempts.give_back("c")
        self.assertEqual(len(self.attempts), 3)
        self.assertEqual(self.took("a"), 3)
