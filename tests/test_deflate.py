"""`chatd.wire.deflate`."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatd.core.events import Message, Relay, Sender, Signal, payload
from chatd.core.replies import Connected, Done, Listed, Reply, Told
from chatd.core.room import Row
from chatd.wire.centrifuge import Centrifuge, Channel
from chatd.wire.deflate import LEAST_BYTES, Deflated, deflate
from chatd.wire.frames import BINARY, TEXT, frame
from chatd.wire.plain import Plain
from tests.support.deflates import inflated, inflated_frames

ANN = Sender("u1", "s1", "ann")
WORDS = "It was the best of times, it was the worst of times. "
NOISE = random.Random(1).randbytes(5000)


def message(text: str) -> Message:
    """A chat message."""
    return Message("r", ANN, payload("1", text), 7, 1000)


@dataclass(frozen=True, slots=True)
class Doubled(Plain):
    """Says everything twice, once as bytes."""

    def encode(self, event: Told) -> bytes:
        assert isinstance(event, Relay)
        return frame(TEXT, event.data) + frame(BINARY, event.data)


class DeflateTests(SynchronousTestCase):
    """One message."""

    @given(st.binary(max_size=3000).map(bytes.hex))
    @example("")
    def test_round_trip(self, words: str) -> None:
        """A peer with a window of 4 KiB reads what was said."""
        self.assertEqual(inflated(deflate(words.encode())), words.encode())

    def test_far_back(self) -> None:
        """What was said more than 4 KiB ago is not referred to."""
        self.assertEqual(inflated(deflate(NOISE * 2)), NOISE * 2)

    def test_by_itself(self) -> None:
        """The same message is the same bytes, whatever went before."""
        first = deflate(WORDS.encode())
        deflate(NOISE)
        self.assertEqual(deflate(WORDS.encode()), first)


class DeflatedTests(SynchronousTestCase):
    """The dialect."""

    def test_small(self) -> None:
        """A payload of 1 KiB is sent as it is, one of a byte more compressed."""
        dialect = Deflated(Plain())
        small, large = ("a" * (LEAST_BYTES + more) for more in (0, 1))
        self.assertEqual(dialect.encode(message(small)), Plain().encode(message(small)))
        ((opcode, payload, compressed),) = inflated_frames(dialect.encode(message(large)))
        self.assertEqual((opcode, payload, compressed), (TEXT, large.encode(), True))

    def test_is_smaller(self) -> None:
        """Text becomes smaller; what would not is sent as it is."""
        dialect = Deflated(Plain())
        self.assertLess(len(dialect.encode(message(WORDS * 100))), 1000)
        noise = Relay("r", ANN, NOISE, binary=True)
        self.assertEqual(dialect.encode(noise), frame(BINARY, NOISE))

    def test_several_frames(self) -> None:
        """Each frame is compressed by itself, and keeps its kind; those that are small stay."""
        for size in (10, 500, 600, 70_000):
            said = (WORDS * 2000)[:size].encode()
            made = Deflated(Doubled()).encode(Relay("r", ANN, said, binary=False))
            is_large = size > LEAST_BYTES
            self.assertEqual(
                list(inflated_frames(made)),
                [(opcode, said, is_large) for opcode in (TEXT, BINARY)],
            )

    def test_nothing(self) -> None:
        """What is not shown is not shown."""
        self.assertEqual(Deflated(Plain()).encode(Reply(1, Done("ping"))), b"")

    def test_equal(self) -> None:
        """Members who are told the same are equal, and share the bytes; others are not."""
        spoken = Deflated(Centrifuge("chatd", "n"))
        one, two = (spoken.of_room("lobby", join_leave=False) for _ in range(2))
        self.assertEqual(one, two)
        self.assertEqual(hash(one), hash(two))
        row = Row(message(WORDS * 100))
        self.assertIs(row.frame(one), row.frame(two))
        self.assertNotEqual(one, Channel("lobby", False))
        self.assertNotEqual(row.frame(one), row.frame(Channel("lobby", False)))
        self.assertNotEqual(one, spoken.of_room("lobby", join_leave=True))

    def test_like_inner(self) -> None:
        """It has replies where the other one has, and is as common."""
        for inner in (Plain(), Centrifuge("chatd", "n"), Channel("a", False), Channel("A", False)):
            dialect = Deflated(inner)
            self.assertEqual(dialect.has_replies, inner.has_replies)
            self.assertEqual(dialect.is_common, inner.is_common)

    def test_uncommon(self) -> None:
        """What would be made for one peer alone is not compressed: nobody keeps it."""
        spoken = Deflated(Centrifuge("chatd", "n"))
        self.assertEqual(spoken.of_room("LOBBY", join_leave=True), Channel("LOBBY", True))
        self.assertEqual(Deflated(Plain()).of_room("LOBBY", join_leave=True), Deflated(Plain()))

    def test_room(self) -> None:
        """A member is told the same as one that takes nothing compressed."""
        plain = Channel("lobby", True)
        dialect = Deflated(Centrifuge("chatd", "n")).of_room("lobby", join_leave=True)
        long = WORDS * 100
        for event in (message(long), message("hi"), Signal("r", ANN, json.dumps(long).encode())):
            ((opcode, said, _),) = inflated_frames(dialect.encode(event))
            self.assertEqual(frame(opcode, said), plain.encode(event))

    def test_replies(self) -> None:
        """What one peer alone is told is never compressed: a page, or its token."""
        inner = Centrifuge("chatd", "n")
        for reply in (
            Reply(3, Listed([message(WORDS)] * 50, "epoch", 7)),
            Reply(1, Connected(Sender("u", "s", "a" * 2000), "token", 25, {})),
        ):
            self.assertEqual(Deflated(inner).encode(reply), inner.encode(reply))
