"""The checker finds each kind of anomaly, and nothing where nothing is."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.checker import Fault, Outcome, Publish, Read, Stored, View, check


def stored(offset: int, user: str = "ann", message_id: str = "") -> Stored:
    """A message."""
    name = message_id or f"m{offset}"
    return Stored(offset, user, name, f"text of {name}")


def said(number: int, user: str = "ann") -> Publish:
    """It was said between the ticks 10n and 10n + 5, and acknowledged."""
    name = f"m{number}"
    begun = 10 * number
    return Publish(user, name, f"text of {name}", begun, begun + 5, Outcome.OK)


HISTORY = [stored(number) for number in range(1, 5)]
SAID = [said(number) for number in range(1, 5)]


def view(*shown: Stored, after: int = 0, upto: int | None = None) -> View:
    """What somebody saw."""
    return View("bob", after, upto, list(shown))


class CheckTests(SynchronousTestCase):
    def _finds(
        self,
        fault: Fault,
        history: list[Stored] = HISTORY,
        publishes: list[Publish] = SAID,
        reads: list[Read] | None = None,
        views: list[View] | None = None,
    ) -> None:
        found = check(history, publishes, reads or [], views or [])
        self.assertEqual({each.fault for each in found}, {fault}, found)

    def test_good(self) -> None:
        """What is as it should be gives nothing."""
        reads = [Read(16, 17, 1), Read(44, 47, 3), Read(44, 47, 4), Read(50, 51, 4)]
        views = [view(*HISTORY, upto=4), view(*HISTORY[1:3], after=1), view()]
        self.assertEqual(check(HISTORY, SAID, reads, views), [])

    def test_unknown(self) -> None:
        """What nobody knows the outcome of may be there or not."""
        unknown = [replace(each, outcome=Outcome.UNKNOWN, ended=0) for each in SAID]
        self.assertEqual(check(HISTORY, unknown), [])
        self.assertEqual(check(HISTORY[:2], unknown), [])

    def test_lost(self) -> None:
        """An acknowledged message that is not in history is lost."""
        self._finds(Fault.LOST, history=HISTORY[:3])

    def test_doubled_in_history(self) -> None:
        """A message that is twice in history is doubled."""
        self._finds(Fault.DOUBLED, history=[*HISTORY, stored(5, message_id="m2")])

    def test_same_id_of_two_users(self) -> None:
        """The same id of two users is two messages."""
        two = [stored(1), stored(2, "bob", "m1")]
        self.assertEqual(check(two, [said(1), said(1, "bob")]), [])

    def test_doubled_in_a_view(self) -> None:
        """A message that is shown twice is doubled, at once or later."""
        for again in ([1, 2, 2, 3], [1, 2, 3, 2, 4]):
            shown = [HISTORY[offset - 1] for offset in again]
            self._finds(Fault.DOUBLED, views=[view(*shown)])

    def test_one_users_order(self) -> None:
        """What one user said first comes first."""
        both = [replace(each, begun=0, ended=100) for each in SAID[:2]]
        swapped = [stored(1, message_id="m2"), stored(2, message_id="m1")]
        self._finds(Fault.REORDERED, history=swapped, publishes=both)
        retried = [replace(both[0], is_in_line=False), both[1]]
        self.assertEqual(check(swapped, retried), [])

    def test_order_of_what_ended(self) -> None:
        """What was acknowledged before another was said comes before it, whoever said it."""
        swapped = [stored(1, "bob", "m2"), stored(2, "ann", "m1")]
        self._finds(Fault.REORDERED, history=swapped, publishes=[said(1), said(2, "bob")])
        at_once = [replace(said(1), ended=20), said(2, "bob")]
        self.assertEqual(check(swapped, at_once), [])

    def test_reordered_in_a_view(self) -> None:
        """What is shown before where a reader began is out of order."""
        self._finds(Fault.REORDERED, views=[view(HISTORY[2], HISTORY[0], after=2)])

    def test_phantom_in_history(self) -> None:
        """What nobody said, or said otherwise, must not be in history."""
        self._finds(Fault.PHANTOM, history=[*HISTORY, stored(5)])
        changed = [*HISTORY[:3], replace(HISTORY[3], text="other")]
        self._finds(Fault.PHANTOM, history=changed)

    def test_refused_and_stored(self) -> None:
        """What was refused must not be in history."""
        refused = [*SAID[:3], replace(SAID[3], outcome=Outcome.REFUSED)]
        self._finds(Fault.PHANTOM, publishes=refused)
        self.assertEqual(check(HISTORY[:3], refused), [])

    def test_phantom_in_a_view(self) -> None:
        """What is shown must be in history, as it was shown."""
        self._finds(Fault.PHANTOM, views=[view(stored(5), after=4)])
        self._finds(Fault.PHANTOM, views=[view(replace(HISTORY[0], text="other"))])

    def test_hole_in_history(self) -> None:
        """An offset that history leaves out is a hole."""
        moved = [*HISTORY[:3], replace(HISTORY[3], offset=5)]
        self._finds(Fault.HOLE, history=moved)

    def test_hole_in_a_view(self) -> None:
        """What a reader was not shown in between, at first or at last is a hole."""
        self._finds(Fault.HOLE, views=[view(HISTORY[0], HISTORY[2])])
        self._finds(Fault.HOLE, views=[view(HISTORY[2], after=1)])
        self._finds(Fault.HOLE, views=[view(*HISTORY[:3], upto=4)])
        self._finds(Fault.HOLE, views=[view(upto=4)])

    def test_stale(self) -> None:
        """A head that is older than what was acknowledged before is stale."""
        self._finds(Fault.STALE, reads=[Read(26, 27, 1)])
        self._finds(Fault.STALE, reads=[Read(50, 51, 3), Read(16, 17, 4)])

    def test_head_of_nothing(self) -> None:
        """A head beyond the last message is made up."""
        self._finds(Fault.PHANTOM, reads=[Read(50, 51, 5)])

    def test_last(self) -> None:
        """A view knows how far it has come."""
        self.assertEqual((view(after=3).last, view(*HISTORY).last), (3, 4))

    @settings(suppress_health_check=[HealthCheck.differing_executors])
    @given(st.integers(1, 20), st.data())
    def test_any_loss(self, count: int, data: st.DataObject) -> None:
        """Whichever message is taken out of a view, it is missed; of history, too."""
        history = [stored(number) for number in range(1, count + 1)]
        publishes = [said(number) for number in range(1, count + 1)]
        gone = data.draw(st.integers(0, count - 1))
        rest = history[:gone] + history[gone + 1 :]
        found = check(history, publishes, views=[view(*rest, upto=count)])
        self.assertEqual([each.fault for each in found], [Fault.HOLE])
        renumbered = [replace(each, offset=place) for place, each in enumerate(rest, 1)]
        found = check(renumbered, publishes)
        self.assertEqual([each.fault for each in found], [Fault.LOST])
