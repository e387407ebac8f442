"""Which user holds which nick."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatd.core import names
from chatd.core.nicks import Nicks
from chatd.core.wheel import TICK_S, Wheel
from chatd.errors import NICK_TAKEN, ChatError

GRACE_S = 4 * TICK_S
LONG = "n" * 32

USERS = ("u1", "u2", "u3", "u4")
WANTED = ("", "ann", "Ann", "ANN-2", "bob", LONG, LONG.upper())  # the first: none
STEPS = st.tuples(
    st.sampled_from(("take", "rename", "lose", "end", "wait")),
    st.sampled_from(USERS),
    st.sampled_from(WANTED),
)


@dataclass
class Held:
    """A user of the model.

    Args:
        nick: theirs.
        sessions: how many they have.
        until: when they are forgotten, in seconds; above all times while they have sessions.
    """

    nick: str
    sessions: int = 1
    until: float = float("inf")


class NicksCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Nobody is there."""
        self.clock = Clock()
        self.wheel = Wheel(self.clock.seconds)
        self.nicks = Nicks(self.wheel, GRACE_S)

    def wait(self, seconds: float) -> None:
        """Let time go by, with a tick each `TICK_S`."""
        for _ in range(round(seconds / TICK_S)):
            self.clock.advance(TICK_S)
            self.wheel.tick()

    def take(self, user: str, wanted: str | None = None) -> str:
        """Take a nick, with the guest's as the last resort."""
        return self.nicks.take(user, wanted, names.guest(user))


class TakeTests(NicksCase):
    def test_wanted(self) -> None:
        """Who asks for a free nick gets it as they spell it."""
        self.assertEqual(self.take("u1", "Ann"), "Ann")

    def test_fallback(self) -> None:
        """Who asks for none gets the fallback."""
        self.assertEqual(self.take("u1"), "guest-u1")

    def test_second_session(self) -> None:
        """Another session of a user has the nick of the first, whatever it asks for."""
        self.take("u1", "ann")
        self.assertEqual(self.take("u1", "bob"), "ann")
        self.assertEqual(self.take("u1"), "ann")
        self.assertEqual(self.take("u2", "bob"), "bob")
        self.assertEqual(len(self.nicks), 2)

    def test_numbered(self) -> None:
        """Who asks for one that is taken, in any case, gets it with the first free number."""
        self.take("u1", "ann")
        self.take("u3", "ann-3")
        self.assertEqual(self.take("u2", "ANN"), "ANN-2")
        self.assertEqual(self.take("u4", "ann"), "ann-4")

    def test_numbered_cut(self) -> None:
        """A nick is cut to make room for the number behind it."""
        nicks = [self.take(f"u{number}", LONG) for number in range(1, 12)]
        self.assertEqual(nicks[1], "n" * 30 + "-2")
        self.assertEqual(nicks[9], "n" * 29 + "-10")

    def test_numbers_end(self) -> None:
        """99 users share one wish; the next one gets the fallback."""
        nicks = [self.take(f"u{number}", "ann") for number in range(99)]
        self.assertEqual(nicks[-1], "ann-99")
        self.assertEqual(self.take("late", "ann"), "guest-late")

    def test_fallback_taken(self) -> None:
        """A fallback that is taken, in any case, is numbered, however many numbers are taken."""
        self.take("u1", "Guest-late")
        self.assertEqual(self.take("late"), "guest-late-2")
        for number in range(3, 300):
            self.take(f"v{number}", f"guest-late-{number}")
        self.assertEqual(self.nicks.take("w", None, "GUEST-LATE"), "GUEST-LATE-300")


class RenameTests(NicksCase):
    def test_frees(self) -> None:
        """The old nick is free at once, the new one is not, and later sessions have the new one."""
        self.take("u1", "ann")
        self.nicks.rename("u1", "bob")
        self.assertEqual(self.take("u1"), "bob")
        self.assertEqual(self.take("u2", "ann"), "ann")
        self.assertEqual(self.take("u3", "bob"), "bob-2")

    def test_taken(self) -> None:
        """The nick of another is refused in any case, and nothing changes."""
        self.take("u1", "ann")
        self.take("u2", "bob")
        error = self.assertRaises(ChatError, self.nicks.rename, "u2", "ANN")
        self.assertIs(error.refusal, NICK_TAKEN)
        self.assertEqual(self.take("u2"), "bob")
        self.assertEqual(self.take("u3", "bob"), "bob-2")

    def test_taken_in_grace(self) -> None:
        """The nick of somebody who may come back is refused."""
        self.take("u1", "ann")
        self.take("u2", "bob")
        self.nicks.release("u1", comes_back=True)
        self.assertRaises(ChatError, self.nicks.rename, "u2", "ann")
        self.wait(GRACE_S)
        self.nicks.rename("u2", "ann")
        self.assertEqual(self.take("u2"), "ann")

    def test_own(self) -> None:
        """One's own nick may be spelled in another way, and is still nobody else's."""
        self.take("u1", "ann")
        self.nicks.rename("u1", "ANN")
        self.assertEqual(self.take("u1"), "ANN")
        self.assertEqual(self.take("u2", "ann"), "ann-2")


class ReleaseTests(NicksCase):
    def test_at_once(self) -> None:
        """The nick of one who does not come back is free at once."""
        self.take("u1", "ann")
        self.nicks.release("u1", comes_back=False)
        self.assertEqual(len(self.nicks), 0)
        self.assertEqual(self.take("u2", "ann"), "ann")

    def test_not_the_last(self) -> None:
        """A nick is held as long as there is a session."""
        self.take("u1", "ann")
        self.take("u1")
        self.nicks.release("u1", comes_back=False)
        self.assertEqual(self.take("u2", "ann"), "ann-2")
        self.nicks.release("u1", comes_back=False)
        self.assertEqual(len(self.nicks), 1)

    def test_grace(self) -> None:
        """The nick of one who may come back is kept for the grace and free after it."""
        self.take("u1", "ann")
        self.nicks.release("u1", comes_back=True)
        self.wait(GRACE_S - TICK_S)
        self.assertEqual(self.take("u2", "ann"), "ann-2")
        self.wait(TICK_S)
        self.assertEqual(self.take("u3", "ann"), "ann")

    def test_dismissed(self) -> None:
        """Who is only awaited can be dismissed, and nobody else; their nick is free then."""
        self.take("u1", "ann")
        self.assertFalse(self.nicks.dismiss("u1"))
        self.assertFalse(self.nicks.dismiss("nobody"))
        self.nicks.release("u1", comes_back=True)
        self.assertTrue(self.nicks.dismiss("u1"))
        self.assertFalse(self.nicks.dismiss("u1"))
        self.assertEqual(self.take("u2", "ann"), "ann")
        self.wait(2 * GRACE_S)
        self.assertEqual(self.take("u3", "ann"), "ann-2")

    def test_back(self) -> None:
        """Who comes back within the grace has their nick, and the grace is over."""
        self.take("u1", "ann")
        self.nicks.release("u1", comes_back=True)
        self.wait(GRACE_S - TICK_S)
        self.assertEqual(self.take("u1", "bob"), "ann")
        self.wait(GRACE_S * 3)
        self.assertEqual(self.take("u2", "ann"), "ann-2")

    def test_back_twice(self) -> None:
        """Each grace is a whole one."""
        self.take("u1", "ann")
        self.nicks.release("u1", comes_back=True)
        self.wait(GRACE_S - TICK_S)
        self.take("u1")
        self.nicks.release("u1", comes_back=True)
        self.wait(GRACE_S - TICK_S)
        self.assertEqual(len(self.nicks), 1)
        self.wait(TICK_S)
        self.assertEqual(len(self.nicks), 0)


class AnyOrderTests(NicksCase):
    @given(st.lists(STEPS, max_size=40))
    def test_model(self, steps: list[tuple[str, str, str]]) -> None:
        """Whatever happens in what order: one nick a user, no two the same, none left over."""
        self.begin()
        self.model: dict[str, Held] = {}
        for what, user, nick in steps:
            held = self.model.get(user)
            if what == "take":
                self.take_in_both(user, nick or None)
            elif what == "wait":
                self.wait_in_both()
            elif held is not None and what == "rename":
                self.rename_in_both(user, nick or "Carl")
            elif held is not None and held.sessions:
                self.release_in_both(user, comes_back=what == "lose")
            self.assertEqual(len(self.nicks), len(self.model))
            self.assertEqual(len(self.folded()), len(self.model))
        for user, held in list(self.model.items()):
            for _ in range(held.sessions):
                self.release_in_both(user, comes_back=True)
        self.wait(GRACE_S)
        self.assertEqual(len(self.nicks), 0)
        for nick in ("ann", "ann-2", "bob", "carl", LONG, *map(names.guest, USERS)):
            self.assertEqual(self.take(f"has {nick}", nick), nick)

    def folded(self, but: str = "") -> set[str]:
        """The nicks of the model, without those of one user, as they are compared."""
        return {names.fold_nick(held.nick) for user, held in self.model.items() if user != but}

    def take_in_both(self, user: str, wanted: str | None) -> None:
        """Take, and compare: one's own, else the wish if free, else something that may be had."""
        nick = self.take(user, wanted)
        self.assertEqual(names.nick(nick), nick)
        if user in self.model:
            self.assertEqual(nick, self.model[user].nick)
            self.model[user].sessions += 1
            self.model[user].until = float("inf")
            return
        self.assertNotIn(names.fold_nick(nick), self.folded())
        if wanted is None or names.fold_nick(wanted) not in self.folded():
            self.assertEqual(nick, wanted or names.guest(user))
        self.model[user] = Held(nick)

    def rename_in_both(self, user: str, nick: str) -> None:
        """Rename, and compare: refused exactly when another user holds it."""
        if names.fold_nick(nick) in self.folded(but=user):
            self.assertRaises(ChatError, self.nicks.rename, user, nick)
        else:
            self.nicks.rename(user, nick)
            self.model[user].nick = nick

    def release_in_both(self, user: str, *, comes_back: bool) -> None:
        """Release one session."""
        self.nicks.release(user, comes_back=comes_back)
        held = self.model[user]
        held.sessions -= 1
        if not held.sessions and comes_back:
            held.until = self.clock.seconds() + GRACE_S
        elif not held.sessions:
            del self.model[user]

    def wait_in_both(self) -> None:
        """Let a tick go by."""
        self.wait(TICK_S)
        for user in [
            each for each, held in self.model.items() if held.until <= self.clock.seconds()
        ]:
            del self.model[user]
