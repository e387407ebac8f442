"""Token buckets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatd.core.throttle import Throttle
from tests.support import strategies  # noqa: F401  # loads the profile

BURST = 5
RATE = 2.0


class ThrottleTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.throttle = Throttle(RATE, BURST, self.clock.seconds)

    def take(self, times: int) -> int:
        """Try to take so many tokens; returns how many there were."""
        return sum(self.throttle.take() for _ in range(times))

    def test_burst(self) -> None:
        """A new bucket is full: `burst` at once, then none."""
        self.assertEqual(self.take(BURST + 3), BURST)

    def test_rate(self) -> None:
        """An empty bucket gains `rate` tokens a second."""
        self.take(BURST)
        self.clock.advance(1)
        self.assertEqual(self.take(10), 2)
        self.clock.advance(0.5)
        self.assertEqual(self.take(10), 1)

    def test_parts_add_up(self) -> None:
        """Parts of a token gained between two looks are kept."""
        self.take(BURST)
        self.clock.advance(0.25)
        self.assertEqual(self.take(1), 0)
        self.clock.advance(0.25)
        self.assertEqual(self.take(1), 1)

    def test_full(self) -> None:
        """However long nothing is taken, no more than `burst` are there."""
        self.take(BURST)
        self.clock.advance(1e9)
        self.assertEqual(self.take(BURST + 3), BURST)

    def test_step_back(self) -> None:
        """A clock that steps back takes nothing away, and gaining goes on from there."""
        self.take(2)
        self.clock.rightNow -= 1000
        self.assertEqual(self.take(10), BURST - 2)
        self.clock.advance(1)
        self.assertEqual(self.take(10), 2)

    @given(
        st.floats(0.01, 1000),
        st.integers(1, 100),
        st.lists(
            st.tuples(st.floats(-20, 20), st.integers(0, 30)),
            max_size=30,
        ),
    )
    def test_never_more(self, rate: float, burst: int, moves: list[tuple[float, int]]) -> None:
        """In no window is more taken than burst + rate * the time that went by in it."""
        clock = Clock()
        throttle = Throttle(rate, burst, clock.seconds)
        went_by = 0.0
        taken = [(0.0, 0)]  # (how much time went forward, how many tokens) since the beginning
        for step, tries in moves:
            clock.rightNow += step
            went_by += max(0.0, step)
            got = sum(throttle.take() for _ in range(tries))
            taken.append((went_by, got))
        for begin in range(1, len(taken)):
            total = 0
            for time, got in taken[begin:]:
                total += got
                most = burst + rate * (time - taken[begin][0])
                self.assertLessEqual(total, most * (1 + 1e-9) + 1e-6)
