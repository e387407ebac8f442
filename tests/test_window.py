"""The ids of the latest messages."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatd.brokers.window import WINDOW, WINDOW_MS, Window

KEY = ("user", "id")


class WindowTests(SynchronousTestCase):
    def test_find(self) -> None:
        """A message is found by user and id."""
        window = Window([(KEY, 3, 100)])
        window.add(("user", "other"), 4, 100)
        self.assertEqual(window.find(KEY, 4, 100), 3)
        self.assertEqual(window.find(("user", "other"), 4, 100), 4)
        self.assertEqual(window.find(("other", "id"), 4, 100), 0)

    def test_too_old(self) -> None:
        """After its time a message is not found, even if nothing came after it."""
        window = Window([(KEY, 1, 100)])
        self.assertEqual(window.find(KEY, 1, 99 + WINDOW_MS), 1)
        self.assertEqual(window.find(KEY, 1, 100 + WINDOW_MS), 0)

    def test_too_many(self) -> None:
        """The last `WINDOW` messages are found."""
        window = Window([(KEY, 1, 100)])
        self.assertEqual(window.find(KEY, WINDOW, 100), 1)
        self.assertEqual(window.find(KEY, WINDOW + 1, 100), 0)

    def test_bounded(self) -> None:
        """It holds no more than is in the window, of count and of time."""
        window = Window()
        for offset in range(1, WINDOW + 50):
            window.add(("user", str(offset)), offset, 0)
        self.assertEqual(len(window), WINDOW)
        window.add(KEY, WINDOW + 50, WINDOW_MS)
        self.assertEqual(len(window), 1)

    @given(
        st.lists(
            st.tuples(st.integers(0, 5), st.integers(0, 5000), st.integers(0, WINDOW_MS)),
            max_size=50,
        )
    )
    def test_anything(self, steps: list[tuple[int, int, int]]) -> None:
        """Said again or not, the last place of each id is found while it is in the window."""
        window, model = Window(), dict[int, tuple[int, int]]()
        offset = now = 0
        for number, skipped, passed in steps:
            offset, now = offset + 1 + skipped, now + passed
            window.add(("user", str(number)), offset, now)
            model[number] = (offset, now)
            for each, (at, then) in model.items():
                there = at > offset - WINDOW and then > now - WINDOW_MS
                self.assertEqual(window.find(("user", str(each)), offset, now), at if there else 0)
