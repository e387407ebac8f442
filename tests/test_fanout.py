"""One batch of events to the members of a room."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatd.core.events import Event, Message, Relay, Sender, payload
from chatd.core.fanout import fan_out, pieces
from chatd.core.outbox import PIECE_BYTES
from chatd.core.room import Dialect, Member, Room
from chatd.wire.plain import Plain
from tests.support import strategies
from tests.support.peers import RecordingPeer, connect


def said(by: Member, text: str) -> Message:
    """A message of a member."""
    return Message("lobby", by.sender, "m", payload("m", text), 1, 0)


def passed_on(by: Member, data: bytes) -> Relay:
    """Bytes of a member."""
    return Relay("lobby", by.sender, data, binary=True)


@dataclass(frozen=True)
class Counting:
    """A dialect that notes what it encodes, and cannot encode some.

    Args:
        encoded: where it notes.
        fails_on: offsets of messages it fails on.
    """

    encoded: list[Event] = field(default_factory=list, compare=False)
    fails_on: frozenset[int] = frozenset()

    def encode(self, event: Event) -> bytes:
        self.encoded.append(event)
        if isinstance(event, Message) and event.offset in self.fails_on:
            raise ZeroDivisionError
        return Plain().encode(event)


class FanOutTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.room = Room("lobby")

    def join(
        self, session: str, *, echo: bool = True, dialect: Dialect | None = None
    ) -> tuple[RecordingPeer, Member]:
        """Let somebody in."""
        peer, outbox = connect()
        member = Member(Sender(session, session), dialect or Plain(), outbox, echo)
        self.room.join(member)
        return peer, member

    def test_all(self) -> None:
        """Everybody gets the whole batch in order, the sender too."""
        (ann, a), (bob, b) = self.join("ann"), self.join("bob")
        fan_out(self.room, [said(a, "one"), passed_on(b, b"two"), said(a, "three")])
        for peer in (ann, bob):
            self.assertEqual(peer.messages, ["one", b"two", "three"])

    def test_one_write(self) -> None:
        """A batch is one write a peer, of bytes that all of a dialect share."""
        (ann, a), (bob, _) = self.join("ann"), self.join("bob")
        fan_out(self.room, [said(a, "one"), said(a, "two")])
        self.assertEqual(len(ann.writes), 1)
        self.assertIs(ann.writes[0], bob.writes[0])

    def test_once_a_dialect(self) -> None:
        """An event is encoded once for a dialect, however many speak it."""
        dialect = Counting()
        _, a = self.join("a", dialect=dialect)
        for number in range(5):
            self.join(f"b{number}", dialect=dialect, echo=number % 2 == 0)
        events = [said(a, "one"), said(a, "two")]
        fan_out(self.room, events)
        self.assertEqual(dialect.encoded, events)

    def test_no_echo(self) -> None:
        """A member without echo gets all but what it said itself."""
        (ann, a), (bob, b) = self.join("ann", echo=False), self.join("bob")
        fan_out(self.room, [said(a, "one"), said(b, "two"), passed_on(a, b"three")])
        self.assertEqual(ann.messages, ["two"])
        self.assertEqual(bob.messages, ["one", "two", b"three"])

    def test_no_echo_only_own(self) -> None:
        """A member without echo that alone has spoken is written nothing."""
        ann, a = self.join("ann", echo=False)
        fan_out(self.room, [said(a, "one")])
        self.assertEqual(ann.writes, [])

    def test_no_echo_silent(self) -> None:
        """A member without echo that has said nothing shares the bytes of the others."""
        (ann, _), (bob, b) = self.join("ann", echo=False), self.join("bob")
        fan_out(self.room, [said(b, "one"), said(b, "two")])
        self.assertIs(ann.writes[0], bob.writes[0])

    def test_cannot_encode(self) -> None:
        """An event that cannot be encoded is logged without its text; the others arrive."""
        ann, a = self.join("ann", dialect=Counting(fails_on=frozenset({2})))
        events = [
            Message("lobby", a.sender, "m", payload("m", text), offset, 0)
            for offset, text in ((1, "one"), (2, "secret"), (3, "three"))
        ]
        fan_out(self.room, events)
        self.assertEqual(ann.messages, ["one", "three"])
        (failure,) = self.flushLoggedErrors(ZeroDivisionError)
        self.assertNotIn("secret", failure.getTraceback())

    def test_slow_hurts_nobody(self) -> None:
        """A member that holds too much is given up, in the midst of a batch; others get it."""
        slow, outbox = connect(held_bytes=0)
        self.room.join(Member(Sender("slow", "slow"), Plain(), outbox, True))
        ann, a = self.join("ann")
        slow.pause()
        fan_out(self.room, [said(a, "one")])
        self.assertEqual(len(slow.closes), 1)
        self.assertEqual(ann.messages, ["one"])

    @given(
        st.lists(
            st.one_of(
                st.tuples(st.just("join"), st.booleans(), st.booleans()),
                st.tuples(st.just("leave"), st.integers(0, 9), st.none()),
                st.tuples(
                    st.just("batch"),
                    st.lists(
                        st.tuples(
                            st.integers(0, 9), st.one_of(strategies.texts(), strategies.blobs())
                        ),
                        max_size=5,
                    ),
                    st.none(),
                ),
            ),
            max_size=20,
        )
    )
    def test_anything(self, plan: list[tuple[str, object, object]]) -> None:
        """After any joins, leaves and batches each member got what was said while it was in."""
        room = Room("lobby")
        everybody: list[tuple[RecordingPeer, Member, list[str | bytes]]] = []
        inside: set[int] = set()
        for kind, one, two in plan:
            if kind == "join":
                number = len(everybody)
                peer, outbox = connect()
                sender = Sender(f"s{number}", f"n{number}")
                member = Member(sender, Plain(bool(one)), outbox, bool(two))
                everybody.append((peer, member, []))
                room.join(member)
                inside.add(number)
            elif kind == "leave" and one in inside:
                assert isinstance(one, int)
                inside.remove(one)
                room.leave(everybody[one][1])
            elif kind == "batch" and everybody:
                assert isinstance(one, list)
                speeches = [(everybody[who % len(everybody)][1], what) for who, what in one]
                fan_out(
                    room,
                    [
                        said(who, what) if isinstance(what, str) else passed_on(who, what)
                        for who, what in speeches
                    ],
                )
                for number in inside:
                    _, member, expected = everybody[number]
                    for who, what in speeches:
                        if who is member and not member.echo:
                            continue
                        named = member.dialect == Plain(nicks=True) and isinstance(what, str)
                        expected.append(f"{who.sender.nick}: {what}" if named else what)
        for peer, _, expected in everybody:
            self.assertEqual(peer.messages, expected)


class PiecesTests(SynchronousTestCase):
    def test_nothing(self) -> None:
        """No frames, and frames without bytes, make no pieces."""
        self.assertEqual(pieces([]), [])
        self.assertEqual(pieces([b"", b""]), [])

    def test_full(self) -> None:
        """A piece may be as large as `PIECE_BYTES`, and not a byte larger."""
        frames = [b"x" * (PIECE_BYTES - 1), b"y"]
        self.assertEqual(pieces(frames), [b"".join(frames)])
        frames.append(b"z")
        self.assertEqual(pieces(frames), [b"".join(frames[:2]), b"z"])

    def test_too_large(self) -> None:
        """A frame larger than that stands alone; those around it do not join it."""
        large = b"x" * (PIECE_BYTES + 1)
        self.assertEqual(pieces([b"a", large, b"b", b"c"]), [b"a", large, b"bc"])

    @given(st.lists(st.one_of(st.integers(0, 10), st.integers(0, 2 * PIECE_BYTES)), max_size=12))
    def test_anything(self, sizes: list[int]) -> None:
        """Pieces are whole frames in order, none left out, none joined beyond `PIECE_BYTES`."""
        frames = [bytes([at]) * size for at, size in enumerate(sizes)]
        made = pieces(frames)
        self.assertEqual(b"".join(made), b"".join(frames))
        self.assertNotIn(b"", made)
        for piece in made:
            self.assertTrue(len(piece) <= PIECE_BYTES or piece in frames)
        ends = {0}
        for frame in frames:
            ends.add(max(ends) + len(frame))
        at = 0
        for piece in made:
            at += len(piece)
            self.assertIn(at, ends)
