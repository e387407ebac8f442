"""Muted, or too soon."""

from __future__ import annotations

from chatd.core import restraint
from chatd.core.charter import Charter
from chatd.core.identity import Identity, Role
from chatd.core.restraint import MOST_SPEAKERS
from chatd.errors import MUTED, TOO_SOON, UNKNOWN_ROOM, ChatError, Refusal
from tests.support.people import PeopleCase, Person


class RestraintCase(PeopleCase):
    def setUp(self) -> None:
        super().setUp()
        self.ann, self.bob = self.guest("ann"), self.guest("bob")
        self.charter = Charter("lobby")

    def refusal(self, person: Person, key: str = "", *, counts: bool = True) -> Refusal | None:
        """Why somebody may say nothing; None: they may."""
        self.assertTrue(self.charter.restrains)
        try:
            restraint.check(person.session, self.charter, key, counts=counts)
        except ChatError as error:
            return error.refusal
        return None

    def twin(self, person: Person) -> Person:
        """Another session of somebody."""
        return self.guest(resume=self.resume(person))


class MuteTests(RestraintCase):
    """Muted."""

    def test_muted(self) -> None:
        """A muted user says nothing, on no session, counted or not, until the time is up."""
        self.charter.apply({f"mute:{self.ann.user}": "5000"})
        for person in (self.ann, self.twin(self.ann)):
            self.assertIs(self.refusal(person), MUTED)
            self.assertIs(self.refusal(person, counts=False), MUTED)
        self.assertIsNone(self.refusal(self.bob))
        self.advance(5)
        self.assertIsNone(self.refusal(self.ann))

    def test_gone(self) -> None:
        """To a room that is being destroyed nothing is said."""
        self.charter.apply({"gone": "1"})
        self.assertIs(self.refusal(self.ann), UNKNOWN_ROOM)


class SlowTests(RestraintCase):
    """Too soon."""

    def setUp(self) -> None:
        super().setUp()
        self.charter.apply({"slow": "10"})

    def test_once(self) -> None:
        """A user speaks once in so many seconds, over all of their sessions; others too."""
        twin = self.twin(self.ann)
        self.assertIsNone(self.refusal(self.ann))
        self.assertIs(self.refusal(self.ann), TOO_SOON)
        self.assertIs(self.refusal(twin), TOO_SOON)
        self.assertIsNone(self.refusal(self.bob))
        self.advance(9.75)
        self.assertIs(self.refusal(twin), TOO_SOON)
        self.advance(0.25)
        self.assertIsNone(self.refusal(twin))
        self.assertIs(self.refusal(self.ann), TOO_SOON)

    def test_refused_do_not_count(self) -> None:
        """Who is refused does not wait longer for it."""
        self.refusal(self.ann)
        for _ in range(4):
            self.advance(2)
            self.assertIs(self.refusal(self.ann), TOO_SOON)
        self.advance(2)
        self.assertIsNone(self.refusal(self.ann))

    def test_again(self) -> None:
        """The same message again is let through, and another one is not."""
        self.refusal(self.ann, "m1")
        self.advance(5)
        self.assertIsNone(self.refusal(self.ann, "m1"))
        self.assertIs(self.refusal(self.ann, "m2"), TOO_SOON)
        self.advance(5)  # since it was said first
        self.assertIsNone(self.refusal(self.ann, "m2"))

    def test_again_late(self) -> None:
        """An id that is too old to be known again is one more message."""
        self.charter.apply({"slow": "3600"})
        self.refusal(self.ann, "m1")
        self.advance(599)
        self.assertIsNone(self.refusal(self.ann, "m1"))
        self.advance(1)
        self.assertIs(self.refusal(self.ann, "m1"), TOO_SOON)

    def test_uncounted(self) -> None:
        """What does not count is let through, and does not make anybody wait."""
        self.assertIsNone(self.refusal(self.ann, counts=False))
        self.assertIsNone(self.refusal(self.ann))
        self.assertIsNone(self.refusal(self.ann, counts=False))

    def test_moderator(self) -> None:
        """Who may moderate the room is exempt."""
        self.ann.session.identity = Identity(self.ann.user, role=Role.MODERATOR)
        for _ in range(3):
            self.assertIsNone(self.refusal(self.ann))

    def test_owner(self) -> None:
        """So is the owner of a private room, and its members are not."""
        self.charter.apply({"private": "1", "owner": self.ann.user, f"member:{self.bob.user}": "1"})
        self.refusal(self.ann)
        self.assertIsNone(self.refusal(self.ann))
        self.refusal(self.bob)
        self.assertIs(self.refusal(self.bob), TOO_SOON)

    def test_forgotten(self) -> None:
        """Who may speak again is not kept in mind."""
        self.refusal(self.ann)
        self.advance(10)
        self.refusal(self.bob)
        self.assertEqual(list(self.charter.spoken), [self.bob.user])

    def test_forgotten_in_order(self) -> None:
        """Who was let through again is forgotten later than who spoke in between."""
        self.ann.session.identity = Identity(self.ann.user, role=Role.MODERATOR)
        eve = self.guest("eve")
        for delay_s, person in ((0, self.ann), (4, self.bob), (4, self.ann), (7, eve)):
            self.advance(delay_s)
            self.assertIsNone(self.refusal(person))
        self.assertEqual(list(self.charter.spoken), [self.ann.user, eve.user])

    def test_bounded(self) -> None:
        """So many are kept in mind and no more: the earliest is forgotten."""
        self.refusal(self.ann)
        self.charter.spoken |= {f"x{each}": (0.0, "") for each in range(MOST_SPEAKERS - 1)}
        self.assertIs(self.refusal(self.ann), TOO_SOON)
        self.refusal(self.bob)
        self.assertEqual(len(self.charter.spoken), MOST_SPEAKERS)
        self.assertNotIn(self.ann.user, self.charter.spoken)
