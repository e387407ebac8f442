"""Who is present in a room."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatd.core.broker import Broker
from chatd.core.events import Sender
from chatd.core.presence import Presence
from chatd.core.wheel import TICK_S, Wheel

GRACE_S = 4 * TICK_S

ANN = Sender("ann", "a1", "Ann")
ANN_TOO = Sender("ann", "a2", "Ann")
BOB = Sender("bob", "b1", "Bob")

SESSIONS = tuple(Sender(user, f"{user}{n}", user) for user in "xyz" for n in range(3))
# who comes or goes, and may come back then; None: time goes by
STEPS = st.one_of(st.none(), st.tuples(st.sampled_from(SESSIONS), st.booleans()))


@dataclass
class Told:
    """What a broker does with who comes and goes: what it tells, and who is there."""

    lines: list[tuple[str, str, Sender]] = field(default_factory=list)
    present: dict[str, Sender] = field(default_factory=dict)

    def join(self, room: str, sender: Sender) -> None:
        """See `Broker.join`."""
        if sender.user not in self.present:
            self.lines.append(("joined", room, sender))
        self.present[sender.user] = sender

    def leave(self, room: str, sender: Sender) -> None:
        """See `Broker.leave`."""
        del self.present[sender.user]
        self.lines.append(("left", room, sender))


class PresenceCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Nobody is there."""
        self.clock = Clock()
        self.wheel = Wheel(self.clock.seconds)
        self.told = Told()
        self.emptied: list[int] = []
        self.presence = Presence(
            "lobby",
            cast(Broker, self.told),
            self.wheel,
            GRACE_S,
            lambda: self.emptied.append(len(self.told.lines)),
        )

    def wait(self, seconds: float) -> None:
        """Let time go by, with a tick each `TICK_S`."""
        for _ in range(round(seconds / TICK_S)):
            self.clock.advance(TICK_S)
            self.wheel.tick()

    def assertTold(self, *lines: tuple[str, Sender]) -> None:
        """This was told of the room since the last look."""
        self.assertEqual(self.told.lines, [(what, "lobby", sender) for what, sender in lines])
        self.told.lines.clear()

    def assertCounts(self, clients: int, users: int) -> None:
        """So many sessions and users are in the room."""
        self.assertEqual((self.presence.clients, self.presence.users), (clients, users))


class JoinTests(PresenceCase):
    def test_first(self) -> None:
        """The first session of each user is told."""
        self.presence.join(ANN)
        self.presence.join(BOB)
        self.assertTold(("joined", ANN), ("joined", BOB))
        self.assertCounts(2, 2)

    def test_another(self) -> None:
        """Another session of a user who is there is counted and not told."""
        self.presence.join(ANN)
        self.presence.join(ANN_TOO)
        self.assertTold(("joined", ANN))
        self.assertCounts(2, 1)

    def test_contains(self) -> None:
        """A user is there by their id, sessions and nicks are not looked up."""
        self.presence.join(ANN)
        self.assertIn("ann", self.presence)
        for other in ("a1", "Ann", "bob"):
            self.assertNotIn(other, self.presence)


class LeaveTests(PresenceCase):
    def test_at_once(self) -> None:
        """A user who does not come back has gone at once; then the room is empty."""
        self.presence.join(ANN)
        self.presence.leave(ANN, comes_back=False)
        self.assertEqual(self.emptied, [2])  # after both were told
        self.assertTold(("joined", ANN), ("left", ANN))
        self.assertCounts(0, 0)
        self.assertNotIn("ann", self.presence)

    def test_not_the_last_session(self) -> None:
        """A user has gone with the last session, and it is that one which is told."""
        self.presence.join(ANN)
        self.presence.join(ANN_TOO)
        self.presence.leave(ANN, comes_back=False)
        self.assertTold(("joined", ANN))
        self.assertCounts(1, 1)
        self.presence.leave(ANN_TOO, comes_back=False)
        self.assertTold(("left", ANN_TOO))
        self.assertEqual(len(self.emptied), 1)

    def test_not_the_last_user(self) -> None:
        """A room is not empty while another user is there."""
        self.presence.join(ANN)
        self.presence.join(BOB)
        self.presence.leave(ANN, comes_back=False)
        self.assertEqual(self.emptied, [])
        self.presence.leave(BOB, comes_back=False)
        self.assertEqual(len(self.emptied), 1)

    def test_nick_of_then(self) -> None:
        """Who goes is told with the nick they have then."""
        renamed = Sender(ANN.user, ANN.session, "Anna")
        self.presence.join(ANN)
        self.presence.leave(renamed, comes_back=False)
        self.assertTold(("joined", ANN), ("left", renamed))

    def test_grace(self) -> None:
        """A user who may come back is there for the grace, without a session, then has gone."""
        self.presence.join(ANN)
        self.presence.leave(ANN, comes_back=True)
        self.wait(GRACE_S - TICK_S)
        self.assertTold(("joined", ANN))
        self.assertCounts(0, 1)
        self.assertIn("ann", self.presence)
        self.assertEqual(self.emptied, [])
        self.wait(TICK_S)
        self.assertTold(("left", ANN))
        self.assertCounts(0, 0)
        self.assertEqual(len(self.emptied), 1)
        self.wait(GRACE_S * 2)
        self.assertEqual(len(self.emptied), 1)

    def test_given_up(self) -> None:
        """Who is only awaited can be given up, and nobody else; that is told as they left."""
        self.presence.join(ANN)
        self.presence.give_up("ann")
        self.presence.give_up("nobody")
        self.assertTold(("joined", ANN))
        self.presence.leave(ANN, comes_back=True)
        self.presence.give_up("ann")
        self.assertTold(("left", ANN))
        self.presence.give_up("ann")
        self.wait(2 * GRACE_S)
        self.assertTold()
        self.assertEqual(list(self.presence), [])

    def test_back(self) -> None:
        """Coming back within the grace is silent, and the grace is over."""
        self.presence.join(ANN)
        self.presence.leave(ANN, comes_back=True)
        self.wait(GRACE_S - TICK_S)
        self.presence.join(ANN_TOO)
        self.wait(GRACE_S * 3)
        self.assertTold(("joined", ANN))
        self.assertCounts(1, 1)
        self.assertEqual(self.emptied, [])

    def test_back_as_they_are(self) -> None:
        """Who comes back is there by the session and the nick they have now."""
        renamed = Sender(ANN_TOO.user, ANN_TOO.session, "Anna")
        self.presence.join(ANN)
        self.presence.leave(ANN, comes_back=True)
        self.presence.join(renamed)
        self.assertEqual(self.told.present, {"ann": renamed})
        self.presence.join(ANN)
        self.assertEqual(self.told.present, {"ann": renamed})

    def test_back_twice(self) -> None:
        """Each grace is a whole one."""
        self.presence.join(ANN)
        self.presence.leave(ANN, comes_back=True)
        self.wait(GRACE_S - TICK_S)
        self.presence.join(ANN_TOO)
        self.presence.leave(ANN_TOO, comes_back=True)
        self.wait(GRACE_S - TICK_S)
        self.assertTold(("joined", ANN))
        self.wait(TICK_S)
        self.assertTold(("left", ANN_TOO))

    def test_back_and_gone(self) -> None:
        """Who comes back and then goes for good has gone at once, and only once."""
        self.presence.join(ANN)
        self.presence.leave(ANN, comes_back=True)
        self.presence.join(ANN)
        self.presence.leave(ANN, comes_back=False)
        self.assertTold(("joined", ANN), ("left", ANN))
        self.wait(GRACE_S * 3)
        self.assertTold()
        self.assertEqual(len(self.emptied), 1)

    def test_late(self) -> None:
        """Who comes back after the grace is told again, and may empty the room again."""
        for _ in range(2):
            self.presence.join(ANN)
            self.presence.leave(ANN, comes_back=True)
            self.wait(GRACE_S)
            self.assertTold(("joined", ANN), ("left", ANN))
        self.assertEqual(len(self.emptied), 2)

    def test_empty_once(self) -> None:
        """Several who are gone in the same moment empty the room once, with the last of them."""
        for sender in (ANN, BOB):
            self.presence.join(sender)
        for sender in (ANN, BOB):
            self.presence.leave(sender, comes_back=True)
        self.wait(GRACE_S)
        self.assertTold(("joined", ANN), ("joined", BOB), ("left", ANN), ("left", BOB))
        self.assertEqual(self.emptied, [4])


class AnyOrderTests(PresenceCase):
    @given(st.lists(STEPS, max_size=60))
    def test_model(self, steps: list[tuple[Sender, bool] | None]) -> None:
        """Whatever happens in what order: who is there, what is told and when it is empty."""
        self.begin()
        there: dict[str, set[Sender]] = {}
        awaited: dict[str, tuple[float, Sender]] = {}  # until when, in the order they went
        told: list[tuple[str, str, Sender]] = []
        emptied: list[int] = []

        def gone(sender: Sender) -> None:
            del there[sender.user]
            told.append(("left", "lobby", sender))
            if not there:
                emptied.append(len(told))

        def wait() -> None:
            self.wait(TICK_S)
            for until, sender in list(awaited.values()):
                if until <= self.clock.seconds():
                    del awaited[sender.user]
                    gone(sender)

        def join(sender: Sender) -> None:
            self.presence.join(sender)
            if sender.user not in there:
                there[sender.user] = set()
                told.append(("joined", "lobby", sender))
            there[sender.user].add(sender)
            awaited.pop(sender.user, None)

        def leave(sender: Sender, comes_back: bool) -> None:
            self.presence.leave(sender, comes_back=comes_back)
            there[sender.user].remove(sender)
            if there[sender.user]:
                return
            if comes_back:
                awaited[sender.user] = (self.clock.seconds() + GRACE_S, sender)
            else:
                gone(sender)

        def compare() -> None:
            self.assertEqual(self.told.lines, told)
            self.assertEqual(self.emptied, emptied)
            self.assertCounts(sum(map(len, there.values())), len(there))
            for user in "xyz":
                self.assertEqual(user in self.presence, user in there)

        for step in steps:
            if step is None:
                wait()
            elif step[0] in there.get(step[0].user, ()):
                leave(*step)
            else:
                join(step[0])
            compare()
        for sender in [each for sessions in there.values() for each in sessions]:
            leave(sender, comes_back=True)
        for _ in range(round(GRACE_S / TICK_S)):
            wait()
        compare()
        self.assertCounts(0, 0)
        for user in "xyz":
            whats = [what for what, _, sender in told if sender.user == user]
            self.assertEqual(whats, ["joined", "left"] * (len(whats) // 2))


class GiveUpTests(PresenceCase):
    def test_awaited(self) -> None:
        """Who is awaited is not any more, at once and once, and may come anew."""
        self.presence.join(ANN)
        self.presence.leave(ANN, comes_back=True)
        self.assertEqual(list(self.presence), ["ann"])
        self.presence.give_up("ann")
        self.assertEqual((list(self.presence), self.told.lines[-1]), ([], ("left", "lobby", ANN)))
        count = len(self.told.lines)
        self.presence.give_up("ann")
        self.assertEqual(len(self.told.lines), count)
        self.presence.join(ANN_TOO)
        self.assertEqual(list(self.presence), ["ann"])

    def test_here(self) -> None:
        """Who is here stays, and who never was is nobody."""
        self.presence.join(ANN)
        self.presence.give_up("ann")
        self.presence.give_up("bob")
        self.assertEqual(list(self.presence), ["ann"])
