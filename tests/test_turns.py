"""Turns."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from chatd.core.turns import Turns


class TurnsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.turns = Turns()
        self.begun: list[str] = []

    def take(self, name: str, *, gives: bool = False) -> None:
        """Ask for a turn."""

        def begin() -> None:
            self.begun.append(name)
            if gives:
                self.turns.give()

        self.turns.take(begin)

    def test_one_at_a_time(self) -> None:
        """The first begins at once, each other when the one before has given its turn."""
        for name in "abc":
            self.take(name)
        self.assertEqual((self.begun, len(self.turns)), (["a"], 3))
        self.turns.give()
        self.assertEqual(self.begun, ["a", "b"])
        self.turns.give()
        self.turns.give()
        self.assertEqual((self.begun, len(self.turns)), (["a", "b", "c"], 0))
        self.take("d")
        self.assertEqual(self.begun[3:], ["d"])

    def test_same(self) -> None:
        """The same one may ask again while it has its turn; it comes again."""
        calls: list[int] = []

        def begin() -> None:
            calls.append(len(self.turns))

        self.turns.take(begin)
        self.turns.take(begin)
        self.assertEqual(calls, [1])
        self.turns.give()
        self.assertEqual(calls, [1, 1])

    def test_given_at_once(self) -> None:
        """Many who give their turns at once take no depth."""
        self.take("first")
        for number in range(10_000):
            self.take(str(number), gives=True)
        self.take("last")
        self.turns.give()
        self.assertEqual((len(self.begun), self.begun[-1]), (10_002, "last"))

    def test_taken_meanwhile(self) -> None:
        """Who asks while another begins comes after it."""

        def outer() -> None:
            self.take("inner")
            self.begun.append("outer")
            self.turns.give()

        self.turns.take(outer)
        self.assertEqual(self.begun, ["outer", "inner"])
