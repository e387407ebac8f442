"""The one timer for all deadlines."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatd.core.wheel import TICK_S, Deadline, Wheel
from tests.support import strategies  # noqa: F401  # loads the profile


class WheelTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000.1)
        self.wheel = Wheel(self.clock.seconds)
        self.called: list[str] = []

    def after(self, delay_s: float, name: str) -> Deadline:
        """Have a name noted."""
        return self.wheel.after(delay_s, lambda: self.called.append(name))

    def advance(self, seconds: float) -> None:
        """Let time go by, with a tick each `TICK_S`."""
        for _ in range(round(seconds / TICK_S)):
            self.clock.advance(TICK_S)
            self.wheel.tick()

    def test_comes_once(self) -> None:
        """A deadline comes when its time has passed, and not again."""
        self.after(2, "a")
        self.advance(2 - TICK_S)
        self.assertEqual(self.called, [])
        self.advance(TICK_S * 2)
        self.assertEqual(self.called, ["a"])
        self.advance(10)
        self.assertEqual(self.called, ["a"])

    def test_order(self) -> None:
        """Deadlines of different slots come in the order of their times."""
        for delay_s, name in ((3, "c"), (1, "a"), (2, "b")):
            self.after(delay_s, name)
        self.clock.advance(10)
        self.wheel.tick()
        self.assertEqual(self.called, ["a", "b", "c"])

    def test_nothing_due(self) -> None:
        """A tick within the same slot calls nothing."""
        self.after(0, "a")
        self.wheel.tick()
        self.assertEqual(self.called, [])

    def test_past(self) -> None:
        """A deadline in the past comes with the next slot."""
        self.after(-50, "a")
        self.advance(TICK_S)
        self.assertEqual(self.called, ["a"])

    def test_cancelled(self) -> None:
        """A cancelled deadline never comes; cancelling it again is harmless."""
        deadline = self.after(1, "a")
        deadline.cancel()
        deadline.cancel()
        self.advance(3)
        self.assertEqual(self.called, [])

    def test_brought_forward(self) -> None:
        """A deadline can come at once, and does not again; a cancelled one does not."""
        one, other = self.after(1, "a"), self.after(1, "b")
        one.come()
        self.assertEqual(self.called, ["a"])
        other.cancel()
        other.come()
        one.come()
        self.advance(3)
        self.assertEqual(self.called, ["a"])

    def test_cancelled_after(self) -> None:
        """Cancelling a deadline that has come is harmless."""
        deadline = self.after(1, "a")
        self.advance(3)
        deadline.cancel()
        self.assertEqual(self.called, ["a"])

    def test_cancelled_by_another(self) -> None:
        """A deadline may cancel another of the same slot."""
        second: list[Deadline] = []
        self.wheel.after(1, lambda: second[0].cancel())
        second.append(self.after(1, "b"))
        self.advance(3)
        self.assertEqual(self.called, [])

    def test_again_from_within(self) -> None:
        """A deadline may ask for the next one; each tick calls it at most once."""

        def again() -> None:
            self.called.append("a")
            self.wheel.after(0, again)

        again()
        for ticks in range(1, 5):
            self.advance(TICK_S)
            self.assertEqual(len(self.called), 1 + ticks)

    def test_exception(self) -> None:
        """One that raises is logged and stops no other, of its slot or of a later one."""
        self.wheel.after(1, lambda: [][0])
        self.after(1, "same")
        self.after(2, "later")
        self.clock.advance(5)
        self.wheel.tick()
        self.assertEqual(self.called, ["same", "later"])
        self.assertEqual(len(self.flushLoggedErrors(IndexError)), 1)

    def test_len(self) -> None:
        """It counts what it keeps: a cancelled entry until its slot has passed."""
        self.after(1, "a").cancel()
        self.after(2, "b")
        self.assertEqual(len(self.wheel), 2)
        self.advance(2)
        self.assertEqual(len(self.wheel), 1)
        self.advance(1)
        self.assertEqual(len(self.wheel), 0)

    @given(
        st.floats(0, 1e6),
        st.lists(
            st.tuples(
                st.floats(0, 5),  # its delay
                st.floats(0, TICK_S),  # then this time goes by, and a tick
                st.sampled_from(("call", "cancel", "raise")),
            ),
            max_size=20,
        ),
    )
    def test_when(self, start: float, plan: list[tuple[float, float, str]]) -> None:
        """Never early, late by less than two ticks; never when cancelled; whatever others do."""
        clock = Clock()
        clock.advance(start)
        wheel = Wheel(clock.seconds)
        came: dict[int, float] = {}
        due: dict[int, float] = {}
        failing = 0

        def noting(number: int, fails: bool) -> Callable[[], None]:
            def come() -> None:
                self.assertNotIn(number, came)
                came[number] = clock.seconds()
                if fails:
                    raise ZeroDivisionError

            return come

        for number, (delay_s, step, what) in enumerate(plan):
            fails = what == "raise"
            failing += fails
            deadline = wheel.after(delay_s, noting(number, fails))
            if what == "cancel":
                deadline.cancel()
            else:
                due[number] = clock.seconds() + delay_s
            clock.advance(step)
            wheel.tick()
        for _ in range(round(6 / TICK_S)):
            clock.advance(TICK_S)
            wheel.tick()
        self.assertEqual(came.keys(), due.keys())
        for number, time in came.items():
            self.assertGreaterEqual(time, due[number] - 1e-6)
            self.assertLess(time, due[number] + 2 * TICK_S + 1e-6)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), failing)
        self.assertEqual(len(wheel), 0)
