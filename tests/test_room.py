"""One room: its head, its last messages, and who is in it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatd.core.broker import ERASED, Opened
from chatd.core.events import Message, Sender
from chatd.core.room import Member, Room, Row, erase
from chatd.errors import UNAVAILABLE
from tests.support.peers import connect
from tests.support.scene import lone_room
from tests.support.scripted import Lines

HEAD = 7


def member(room: Room, session: str = "s", *, join_leave: bool = False) -> Member:
    """Somebody who could come in."""

    def lost(member: Member) -> None:
        raise AssertionError("a room loses nobody by itself")

    dialect = Lines(join_leave=join_leave)
    return Member(room, Sender(session, session, session), dialect, connect()[1], True, lost)


def live(room: Room) -> dict[bool, list[str]]:
    """The live sessions, by whether they are told who comes and goes."""
    groups = {}
    for dialect, members in room.audiences():
        assert isinstance(dialect, Lines)
        groups[dialect.join_leave] = [each.sender.session for each in members]
    return groups


def message(offset: int) -> Message:
    """What was said there."""
    return Message("lobby", Sender("u", "s", "n"), b'"%d"' % offset, offset, 0)


class HeadTests(SynchronousTestCase):
    def test_opened(self) -> None:
        """A room begins as the broker has found it, with nobody in it."""
        tail = [message(6), message(7)]
        room = Room("lobby", Opened("epoch", 7, tail), lone_room().presence)
        self.assertEqual((room.name, room.epoch, room.head, room.uses), ("lobby", "epoch", 7, 0))
        self.assertEqual([row.message for row in room.tail], tail)
        self.assertEqual(live(room), {})

    def test_grow(self) -> None:
        """The head and the tail go on by what is said."""
        room = lone_room(head=HEAD)
        row = room.grow(message(HEAD + 1))
        room.grow(message(HEAD + 2))
        self.assertEqual(room.head, HEAD + 2)
        self.assertIs(room.tail[0], row)
        self.assertEqual([row.message.offset for row in room.tail], [HEAD + 1, HEAD + 2])

    def test_erase(self) -> None:
        """An erased message keeps its place and its sender, not what it said nor its frames."""
        rows = [Row(message(offset)) for offset in (5, 6, 7)]
        rows[1].frame(Lines())
        erase(rows, 6)
        self.assertEqual([row.message.payload for row in rows], [b'"5"', ERASED, b'"7"'])
        self.assertEqual(rows[1].frame(Lines()), b"lobby 6 %b\n" % ERASED)
        self.assertEqual(rows[1].message.sender, rows[0].message.sender)

    def test_erase_elsewhere(self) -> None:
        """Offsets before the first and after the last, and no rows at all, change nothing."""
        for offset in (-1, 0, 4, 8):
            rows = [Row(message(offset)) for offset in (5, 6, 7)]
            erase(rows, offset)
            self.assertEqual([row.message for row in rows], [message(n) for n in (5, 6, 7)])
        erase([], 1)


class ReadingTests(SynchronousTestCase):
    def test_erased_meanwhile(self) -> None:
        """What is erased while it is read says so; what is read later or before is as it came."""
        room = lone_room(head=HEAD)
        told: list[object] = []
        first, second = room.reading(told.append), room.reading(told.append)
        room.erase(2)
        third = room.reading(told.append)
        page = [message(1), message(2), message(3)]
        erased = [page[0], page[1]._replace(payload=ERASED), page[2]]
        for came in (second, third, first):
            came(page)
        self.assertEqual(told, [erased, page, erased])
        self.assertEqual(room._readings, {})

    def test_refused(self) -> None:
        """A refusal is told as it is."""
        room = lone_room(head=HEAD)
        told: list[object] = []
        came = room.reading(told.append)
        room.erase(2)
        came(UNAVAILABLE)
        self.assertEqual(told, [UNAVAILABLE])

    def test_tail(self) -> None:
        """What is erased is gone from the tail."""
        room = lone_room(head=HEAD)
        room.grow(message(HEAD + 1))
        room.erase(HEAD + 1)
        self.assertEqual([row.message.payload for row in room.tail], [ERASED])

    def test_turns(self) -> None:
        """All who change something in a room share its turns."""
        room = lone_room()
        room.turns.take(lambda: None)
        self.assertEqual(len(room.turns), 1)


class RowTests(SynchronousTestCase):
    def test_common(self) -> None:
        """For a common dialect the frames of a row are made once, also when there are none."""
        for dialect in (Lines(), Lines(join_leave=True)):
            row = Row(message(1))
            self.assertEqual(row.frame(dialect), b'lobby 1 "1"\n')
            self.assertIs(
                row.frame(dialect.of_room("LOBBY", join_leave=dialect.join_leave)),
                row.frame(dialect),
            )
            self.assertEqual(len(dialect.encoded), 1)

    def test_equal_dialects(self) -> None:
        """Dialects that are equal share them, others do not."""
        first, second, other = Lines(), Lines(), Lines(join_leave=True)
        row = Row(message(1))
        self.assertIs(row.frame(first), row.frame(second))
        row.frame(other)
        self.assertEqual([len(each.encoded) for each in (first, second, other)], [1, 0, 1])

    def test_uncommon(self) -> None:
        """Frames in a dialect of few are not kept."""
        dialect = Lines(is_common=False)
        row = Row(message(1))
        row.frame(dialect)
        row.frame(dialect)
        self.assertEqual(len(dialect.encoded), 2)


class MembershipTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.room = lone_room(head=HEAD)

    def test_join_at_head(self) -> None:
        """Who has got everything is live."""
        a = member(self.room, "a")
        self.room.join(a, HEAD)
        self.assertEqual(live(self.room), {False: ["a"]})
        self.assertEqual(a.outbox.behind, {})

    def test_join_behind(self) -> None:
        """Who has not is behind, be it by everything."""
        for after in (HEAD - 1, 0):
            a = member(self.room)
            self.room.join(a, after)
            self.assertEqual(live(self.room), {})
            self.assertEqual(a.outbox.behind, {a: after})

    def test_equal_dialects(self) -> None:
        """Members whose dialects are equal are one audience, though the objects differ."""
        for each in ("a", "b", "c"):
            self.room.join(member(self.room, each, join_leave=each == "b"), HEAD)
        self.assertEqual(live(self.room), {False: ["a", "c"], True: ["b"]})

    def test_miss(self) -> None:
        """A live member that has got nothing after an offset is behind from there."""
        a, b = member(self.room, "a"), member(self.room, "b")
        self.room.join(a, HEAD)
        self.room.join(b, HEAD)
        self.room.miss(a, 5)
        self.assertEqual(live(self.room), {False: ["b"]})
        self.assertEqual(a.outbox.behind, {a: 5})

    def test_miss_behind(self) -> None:
        """One that is behind already stays where it is."""
        a = member(self.room)
        self.room.join(a, 2)
        self.room.miss(a, 5)
        self.assertEqual(a.outbox.behind, {a: 2})

    def test_miss_left(self) -> None:
        """One that is no member any more is behind nowhere."""
        a = member(self.room)
        self.room.miss(a, 5)
        self.assertEqual(a.outbox.behind, {})

    def test_miss_gone(self) -> None:
        """One whose peer is gone is neither live nor behind."""
        a = member(self.room)
        self.room.join(a, HEAD)
        a.outbox.lost()
        self.room.miss(a, 5)
        self.assertEqual((live(self.room), a.outbox.behind), ({}, {}))

    def test_leave(self) -> None:
        """Who has left is neither live nor behind, whichever it was; others stay."""
        members = [member(self.room, name, join_leave=name == "b") for name in "abcd"]
        for each, after in zip(members, (HEAD, HEAD, 3, 0), strict=True):
            self.room.join(each, after)
        for each in members[1:]:
            self.room.leave(each)
            self.assertEqual(each.outbox.behind, {})
        self.assertEqual(live(self.room), {False: ["a"]})

    def test_leave_twice(self) -> None:
        """Who is not there may leave, as one does whose peer is gone."""
        a = member(self.room)
        self.room.join(a, 3)
        a.outbox.lost()
        self.room.leave(a)
        self.room.leave(a)
        self.assertEqual(live(self.room), {})

    def test_audiences(self) -> None:
        """What is done while the audiences are gone through does not show in them."""
        a, b, c = (member(self.room, name, join_leave=name == "c") for name in "abc")
        self.room.join(a, HEAD)
        self.room.join(c, HEAD)
        seen = []
        for _, members in self.room.audiences():
            self.room.leave(c)
            self.room.join(b, HEAD)
            seen += members
        self.assertEqual(seen, [a, c])
        self.assertEqual(live(self.room), {False: ["a", "b"]})

    @given(
        st.lists(
            st.tuples(st.sampled_from(("join", "miss", "leave")), st.integers(0, 5), st.booleans()),
            max_size=40,
        )
    )
    def test_anything(self, plan: list[tuple[str, int, bool]]) -> None:
        """A member is live, behind, or neither; never both, whatever happens."""
        room = lone_room(head=HEAD)
        members = [member(room, str(number), join_leave=number > 2) for number in range(6)]
        at: dict[Member, int] = {}
        for step, number, is_at_head in plan:
            each = members[number]
            if step == "join" and each not in at:
                at[each] = HEAD if is_at_head else number
                room.join(each, at[each])
            elif step == "miss":
                room.miss(each, number)
                if at.get(each) == HEAD:
                    at[each] = number
            elif step == "leave":
                room.leave(each)
                at.pop(each, None)
            found = [each for _, audience in room.audiences() for each in audience]
            self.assertCountEqual(found, [each for each in at if at[each] == HEAD])
            for each in members:
                behind = {each: at[each]} if at.get(each, HEAD) < HEAD else {}
                self.assertEqual(each.outbox.behind, behind)
