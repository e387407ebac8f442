"""One batch of events to the members of its rooms."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatd.core.events import Joined, Message, Passing, Relay, Sender, compact
from chatd.core.fanout import Part, fan_out, pieces
from chatd.core.outbox import PIECE_BYTES, State
from chatd.core.room import Dialect, Member, Room, Row
from tests.support.peers import NoFeeder, RecordingPeer, connect
from tests.support.scene import lines, lone_room
from tests.support.scripted import Lines

ANN = Sender("ann", "ann1", "Ann")
BOB = Sender("bob", "bob1", "Bob")
SIGNAL = Relay("lobby", BOB, b"hey", binary=True)


class FanOutCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.room = lone_room()
        self.den = lone_room("den")
        self.dialect = Lines()

    def enter(
        self,
        *rooms: Room,
        pause_after: int | None = None,
        sender: Sender = BOB,
        echo: bool = True,
        dialect: Dialect | None = None,
        peer: RecordingPeer | None = None,
    ) -> tuple[RecordingPeer, Member]:
        """Let somebody into some rooms, the lobby if none is named; the last membership."""
        peer = peer or connect(pause_after=pause_after)[0]
        assert peer.outbox is not None
        for room in rooms or (self.room,):
            member = Member(
                room, sender, dialect or self.dialect, peer.outbox, echo, lambda member: None
            )
            room.join(member, room.head)
        return peer, member

    def part(
        self, *events: str | Passing, room: Room | None = None, by: Sender = ANN, size: int = 0
    ) -> Part:
        """What is said in a room, the lobby if none is named; texts become messages."""
        room = room or self.room
        before = room.head
        taken: list[Row | Passing] = []
        for event in events:
            if isinstance(event, str):
                said = compact(event.ljust(size, "."))
                taken.append(room.grow(Message(room.name, by, said, room.head + 1, 0)))
            else:
                taken.append(event)
        return Part(room, before, taken)


class OneRoomTests(FanOutCase):
    def test_all(self) -> None:
        """Everybody gets the whole batch in order, the sender too, and is live at its end."""
        (ann, a), (bob, _) = self.enter(sender=ANN), self.enter()
        fan_out([self.part("1", SIGNAL, "2")])
        for peer in (ann, bob):
            self.assertEqual(peer.lines, ['lobby 1 "1"', "lobby ~ hey", 'lobby 2 "2"'])
        self.assertTrue(a.outbox.is_idle)

    def test_one_write(self) -> None:
        """A batch is one write a peer, of bytes that all of a dialect share."""
        (ann, _), (bob, _) = self.enter(), self.enter()
        fan_out([self.part("1", "2")])
        self.assertEqual(len(ann.writes), 1)
        self.assertIs(ann.writes[0], bob.writes[0])

    def test_once_a_dialect(self) -> None:
        """An event is encoded once for a dialect, however many speak it, with echo and without."""
        for number in range(6):
            self.enter(echo=number % 2 == 0, sender=ANN if number % 3 else BOB)
        fan_out([self.part("1", SIGNAL, "2")])
        self.assertEqual(len(self.dialect.encoded), 3)

    def test_dialects(self) -> None:
        """Each is shown what its dialect shows; of nothing there is no write."""
        told = Lines(join_leave=True)
        (ann, _), (bob, _) = self.enter(), self.enter(dialect=told)
        fan_out([self.part(Joined("lobby", ANN))])
        self.assertEqual(ann.writes, [])
        self.assertEqual(bob.lines, ["lobby + ann"])

    def test_no_echo(self) -> None:
        """A member without echo gets all but what its session said, stored or not."""
        (bob, _), (bob_too, _) = (
            self.enter(echo=False),
            self.enter(echo=False, sender=Sender("bob", "bob2", "Bob")),
        )
        fan_out([self.part(SIGNAL, "1", by=BOB)])
        self.assertEqual(bob.writes, [])
        self.assertEqual(bob_too.lines, ["lobby ~ hey", 'lobby 1 "1"'])

    def test_no_echo_shares(self) -> None:
        """Those without echo who said nothing share the bytes of the others."""
        (ann, _), (bob, _) = self.enter(), self.enter(echo=False)
        fan_out([self.part("1")])
        self.assertIs(ann.writes[0], bob.writes[0])

    def test_behind(self) -> None:
        """Who is behind gets nothing, and stays where it was."""
        peer, outbox = connect()
        self.part("1", "2")
        member = Member(self.room, BOB, self.dialect, outbox, True, lambda member: None)
        self.room.join(member, 1)
        fan_out([self.part("3")])
        self.assertEqual((peer.writes, outbox.behind), ([], {member: 1}))

    def test_answers(self) -> None:
        """Answers that wait leave in front of the batch, in the same write."""
        peer, member = self.enter()
        member.outbox.answer(b"= 1\n")
        fan_out([self.part("1")])
        self.assertEqual(peer.writes, [b'= 1\nlobby 1 "1"\n'])

    def test_unspeakable(self) -> None:
        """An event that cannot be encoded is logged and left out."""
        peer, _ = self.enter(dialect=Lines(unspeakable=frozenset({2})))
        fan_out([self.part("1", "2", "3")])
        self.assertEqual(peer.lines, ['lobby 1 "1"', 'lobby 3 "3"'])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_nothing(self) -> None:
        """A part without events, as of what was seen before, writes nothing."""
        peer, member = self.enter()
        fan_out([self.part()])
        fan_out([self.part(), self.part(room=self.den)])
        self.assertEqual(peer.writes, [])
        self.assertTrue(member.outbox.is_idle)


class LaggingTests(FanOutCase):
    def test_missed(self) -> None:
        """A lagging peer gets nothing of the batch and is behind from before it."""
        peer, member = self.enter()
        self.part("1")
        peer.pause()
        fan_out([self.part("2", "3")])
        self.assertEqual((peer.writes, member.outbox.behind), ([], {member: 1}))

    def test_missed_signals(self) -> None:
        """A lagging peer that missed nothing stored is behind at the head, which is not by much."""
        peer, member = self.enter()
        peer.pause()
        fan_out([self.part(SIGNAL)])
        self.assertEqual(member.outbox.behind, {member: 0})

    def test_pieces(self) -> None:
        """A large batch goes out in pieces, shared, until the peer takes no more."""
        (ann, _), (bob, member) = self.enter(), self.enter(pause_after=PIECE_BYTES)
        fan_out([self.part(*"123456789", size=20_000)])
        self.assertEqual([write.count(b"\n") for write in ann.writes], [3, 3, 3])
        self.assertEqual(bob.writes, ann.writes[:2])
        self.assertIs(bob.writes[1], ann.writes[1])
        self.assertEqual((bob.overruns, member.outbox.behind), (0, {member: 6}))

    def test_missed_after_signal(self) -> None:
        """A piece that begins with a signal is missed from the message before it."""
        peer, member = self.enter(pause_after=30_000)
        self.part("1")
        large = Relay("lobby", ANN, b"x" * 40_000, binary=True)
        fan_out([self.part("2", large, "3", size=40_000)])
        self.assertEqual([write[:9] for write in peer.writes], [b'lobby 2 "'])
        self.assertEqual(member.outbox.behind, {member: 2})

    def test_no_echo(self) -> None:
        """A member without echo has got what it said itself up to the piece it misses."""
        peer, member = self.enter(pause_after=30_000, echo=False, sender=ANN)
        own, other = self.part("1", "2", size=40_000), self.part("3", "4", by=BOB, size=40_000)
        more = self.part("5", size=40_000)
        last = self.part("6", by=BOB, size=40_000)
        fan_out([Part(self.room, 0, [*own.events, *other.events, *more.events, *last.events])])
        self.assertEqual([write[:8] for write in peer.writes], [b"lobby 3 "])
        self.assertEqual(member.outbox.behind, {member: 3})

    def test_unspeakable(self) -> None:
        """What cannot be encoded is not missed twice: the place stays before what follows."""
        dialect = Lines(unspeakable=frozenset({2}))
        _, member = self.enter(pause_after=30_000, dialect=dialect)
        fan_out([self.part("1", "2", "3", size=40_000)])
        self.assertEqual(member.outbox.behind, {member: 1})
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_drained_from_within(self) -> None:
        """A peer that is paused and drained from within a write misses nothing."""
        peer, member = self.enter(pause_after=30_000)
        write = peer.write

        def quick(data: bytes) -> None:
            write(data)
            peer.drain()

        peer.write = quick  # type: ignore[method-assign]
        fan_out([self.part(*"123", size=40_000)])
        self.assertEqual(len(peer.writes), 3)
        self.assertTrue(member.outbox.is_idle)

    def test_gone(self) -> None:
        """A peer that is gone gets nothing and is a live member no more."""
        peer, member = self.enter()
        member.outbox.lost()
        fan_out([self.part("1")])
        self.assertEqual((peer.writes, self.room.audiences()), ([], []))


class ManyRoomsTests(FanOutCase):
    def parts(self, size: int = 0) -> Sequence[Part]:
        """Two messages in each room."""
        return [self.part("1", "2", size=size), self.part("1", "2", room=self.den, size=size)]

    def test_one_write(self) -> None:
        """A batch over several rooms is one write a peer; those with the same rooms share it."""
        ann, bob = (self.enter(self.room, self.den)[0] for _ in range(2))
        cid, _ = self.enter(self.den)
        fan_out(self.parts())
        self.assertEqual([len(peer.writes) for peer in (ann, bob, cid)], [1, 1, 1])
        self.assertEqual(ann.lines, lines("lobby", 1, 2) + lines("den", 1, 2))
        self.assertIs(ann.writes[0], bob.writes[0])
        self.assertEqual(cid.lines, lines("den", 1, 2))

    def test_no_echo(self) -> None:
        """A member without echo gets its own part; the other rooms' bytes are as for others."""
        peer, _ = self.enter(self.room, sender=ANN, echo=False)
        self.enter(self.den, peer=peer, sender=ANN)
        fan_out(self.parts())
        self.assertEqual(peer.lines, lines("den", 1, 2))

    def test_own_words_only(self) -> None:
        """Who said all of it and wants no echo is not written to."""
        peer, _ = self.enter(self.room, self.den, sender=ANN, echo=False)
        fan_out(self.parts())
        self.assertEqual(peer.writes, [])

    def test_nothing_shown(self) -> None:
        """Who is shown nothing of it is not written to."""
        peer, _ = self.enter(self.room, self.den)
        fan_out([self.part(Joined("lobby", ANN)), self.part(Joined("den", ANN), room=self.den)])
        self.assertEqual(peer.writes, [])

    def test_large(self) -> None:
        """More than a piece goes out room by room, until the peer takes no more."""
        ann, _ = self.enter(self.room, self.den)
        bob, member = self.enter(self.room, self.den, pause_after=PIECE_BYTES)
        fan_out(self.parts(size=40_000))
        self.assertEqual(len(ann.writes), 4)
        self.assertEqual(bob.writes, ann.writes[:2])
        self.assertEqual((bob.overruns, member.outbox.behind), (0, {member: 0}))

    def test_exactly_a_piece(self) -> None:
        """As much as a piece is still one write; a byte more is not."""
        peer, _ = self.enter(self.room, self.den)
        rest = PIECE_BYTES - len(b'lobby 1 ""\n') - len(b'den 1 ""\n')
        fan_out([self.part("x" * (rest - 5)), self.part("12345", room=self.den)])
        self.assertEqual([len(write) for write in peer.writes], [PIECE_BYTES])
        fan_out([self.part("x" * (rest - 5)), self.part("123456", room=self.den)])
        self.assertEqual(len(peer.writes), 3)

    def test_lagging(self) -> None:
        """A lagging peer is behind in each of the rooms from then on."""
        peer, inner = self.enter(self.room, self.den)
        self.part("1", room=self.den)
        peer.pause()
        fan_out(self.parts())
        behind = {member.room.name: after for member, after in inner.outbox.behind.items()}
        self.assertEqual((peer.writes, behind), ([], {"lobby": 0, "den": 1}))

    def test_live_in_one(self) -> None:
        """Who is behind in one room goes on getting what is said in the other."""
        peer, member = self.enter(self.den)
        self.part("1")
        outer = Member(self.room, BOB, self.dialect, member.outbox, True, lambda member: None)
        self.room.join(outer, 0)
        fan_out([self.part("2"), self.part("1", room=self.den)])
        self.assertEqual((peer.lines, member.outbox.behind), (lines("den", 1, 1), {outer: 0}))


class PiecesTests(SynchronousTestCase):
    @given(
        st.lists(
            st.one_of(
                st.just(0),
                st.integers(1, 40),
                st.integers(PIECE_BYTES // 3 - 2, PIECE_BYTES // 3 + 2),
                st.integers(PIECE_BYTES - 1, PIECE_BYTES + 1),
            ),
            max_size=30,
        )
    )
    def test_anything(self, sizes: list[int]) -> None:
        """All frames are there, in order and whole.

        A piece is at most `PIECE_BYTES`, or one frame; it is full, or the next frame would not
        have fitted; it knows what was before its first frame.
        """
        frames = [bytes([number]) * size for number, size in enumerate(sizes)]
        made = pieces((frame, number) for number, frame in enumerate(frames))
        self.assertEqual(b"".join(piece.frames for piece in made), b"".join(frames))
        for piece in made:
            self.assertTrue(piece.frames)
            self.assertEqual(piece.before, piece.frames[0])
            self.assertTrue(frames[piece.frames[-1]].endswith(piece.frames[-1:]))
            whole = piece.frames[0] == piece.frames[-1]
            self.assertTrue(whole or len(piece.frames) <= PIECE_BYTES)
        for piece, following in pairwise(made):
            first = following.frames[: sizes[following.frames[0]]]
            self.assertGreater(len(piece.frames) + len(first), PIECE_BYTES)


class AnythingTests(SynchronousTestCase):
    @given(
        st.lists(st.tuples(st.integers(0, 2), st.sampled_from((1, 9000, 30_000)))),
        st.lists(
            st.tuples(st.sampled_from((0, 40_000, None)), st.booleans(), st.integers(1, 7)),
            max_size=5,
        ),
    )
    def test_anything(
        self, said: list[tuple[int, int]], members: list[tuple[int | None, bool, int]]
    ) -> None:
        """Each has got all of a room up to where it is behind, or to the head, and is live then."""
        rooms = [lone_room(name) for name in "abc"]
        events: dict[Room, list[Row]] = {}
        for number, size in said:
            room = rooms[number]
            by = BOB if size == 9000 else ANN
            row = room.grow(Message(room.name, by, b"x" * size, room.head + 1, 0))
            events.setdefault(room, []).append(row)
        seats: list[tuple[RecordingPeer, Member]] = []
        for pause_after, echo, where in members:
            peer, outbox = connect(feeder=NoFeeder(), pause_after=pause_after)
            for bit, room in enumerate(rooms):
                if where & 1 << bit:
                    member = Member(room, BOB, Lines(), outbox, echo, lambda member: None)
                    room.join(member, room.head)
                    seats.append((peer, member))
        fan_out([Part(room, 0, rows) for room, rows in events.items()])
        for peer, member in seats:
            at = member.outbox.behind.get(member, member.room.head)
            wanted = [
                row.frame(Lines()).decode().rstrip("\n")
                for row in events.get(member.room, ())[:at]
                if member.echo or row.message.sender != BOB
            ]
            name = member.room.name + " "
            self.assertEqual([line for line in peer.lines if line.startswith(name)], wanted)
            self.assertEqual(peer.overruns, 0)
            if member.outbox.state is State.LIVE:
                self.assertEqual(member.outbox.behind, {})
