"""Who is in a room."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatd.core.events import Sender
from chatd.core.room import Member, Room
from chatd.wire.plain import Plain
from tests.support import strategies  # noqa: F401  # loads the profile
from tests.support.peers import connect


def member(session: str, *, nicks: bool = False) -> Member:
    """Somebody who could come in."""
    return Member(Sender(session, "nick"), Plain(nicks), connect()[1], echo=True)


def grouped(room: Room) -> dict[Plain, list[str]]:
    """The sessions in a room by dialect, as they are sent to."""
    groups = {}
    for dialect, members in room.audiences():
        assert isinstance(dialect, Plain)
        groups[dialect] = [each.sender.session for each in members]
    return groups


class RoomTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.room = Room("lobby")

    def test_empty(self) -> None:
        """A new room has its name and nobody in it, and is false."""
        self.assertEqual(self.room.name, "lobby")
        self.assertEqual(len(self.room), 0)
        self.assertFalse(self.room)
        self.assertEqual(grouped(self.room), {})

    def test_equal_dialects(self) -> None:
        """Members whose dialects are equal are one audience, though the objects differ."""
        for each in (member("a"), member("b", nicks=True), member("c")):
            self.room.join(each)
        self.assertEqual(grouped(self.room), {Plain(): ["a", "c"], Plain(nicks=True): ["b"]})
        self.assertEqual(len(self.room), 3)

    def test_leave(self) -> None:
        """Who has left is in no audience; an audience without members is forgotten."""
        a, b = member("a"), member("b", nicks=True)
        self.room.join(a)
        self.room.join(b)
        self.room.leave(b)
        self.assertEqual(grouped(self.room), {Plain(): ["a"]})

    def test_leave_stranger(self) -> None:
        """Letting somebody out who is not in it is a bug that shows."""
        self.room.join(member("a"))
        self.assertRaises(KeyError, self.room.leave, member("b"))
        self.assertRaises(KeyError, self.room.leave, member("c", nicks=True))

    def test_leave_meanwhile(self) -> None:
        """Members may leave, and audiences vanish, while the room is gone through."""
        members = [member("a"), member("b"), member("c", nicks=True)]
        for each in members:
            self.room.join(each)
        seen = []
        for _, audience in self.room.audiences():
            for each in audience:
                seen.append(each.sender.session)
                if each is members[0]:
                    for other in members:
                        self.room.leave(other)
        self.assertEqual(seen, ["a", "b"])
        self.assertFalse(self.room)

    @given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=40))
    def test_joins_and_leaves(self, plan: list[tuple[int, bool]]) -> None:
        """After any joins and leaves exactly those are in it who joined last."""
        room = Room("r")
        inside: dict[int, Member] = {}
        for number, nicks in plan:
            if number in inside:
                room.leave(inside.pop(number))
            else:
                inside[number] = member(str(number), nicks=nicks)
                room.join(inside[number])
            found = [each for _, members in room.audiences() for each in members]
            self.assertCountEqual(found, inside.values())
            self.assertEqual(len(room), len(inside))
