"""RFC 6455 frames of a server."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatd.wire.frames import BINARY, TEXT, frame, split
from tests.support import strategies
from tests.support.rfc6455 import Frame, server_frames

# The sizes at which the form of the header changes, with how many bytes of it tell the size.
FORMS = ((0, 0), (125, 0), (126, 2), (65535, 2), (65536, 8), (70000, 8))


class FrameTests(SynchronousTestCase):
    @given(st.sampled_from((TEXT, BINARY)), strategies.blobs())
    @example(TEXT, b"")
    def test_round_trip(self, opcode: int, payload: bytes) -> None:
        """A frame is one final, unmasked data frame with these bytes, its header the shortest."""
        taken = list(server_frames(frame(opcode, payload)))
        self.assertEqual(taken, [Frame(opcode, payload, True)])

    def test_shortest(self) -> None:
        """At each boundary the header has the shortest form that fits (RFC 6455 5.2)."""
        for size, extra in FORMS:
            made = frame(BINARY, b"x" * size)
            self.assertEqual(len(made), 2 + extra + size)
            (taken,) = server_frames(made)
            self.assertEqual(len(taken.payload), size)

    def test_examples(self) -> None:
        """The unmasked examples of RFC 6455 5.7."""
        self.assertEqual(frame(TEXT, b"Hello"), b"\x81\x05Hello")
        self.assertEqual(frame(BINARY, bytes(256)), b"\x82\x7e\x01\x00" + bytes(256))
        self.assertEqual(frame(BINARY, bytes(65536)), b"\x82\x7f\0\0\0\0\0\1\0\0" + bytes(65536))

    @given(st.lists(strategies.blobs(), max_size=6))
    def test_joined(self, payloads: list[bytes]) -> None:
        """Frames written one after the other are told apart again."""
        data = b"".join(frame(BINARY, payload) for payload in payloads)
        self.assertEqual([each.payload for each in server_frames(data)], payloads)

    @given(st.lists(st.tuples(st.sampled_from((TEXT, BINARY)), strategies.blobs()), max_size=6))
    @example([(TEXT, b"x" * size) for size, _ in FORMS])
    def test_split(self, frames: list[tuple[int, bytes]]) -> None:
        """Frames that were joined are had apart again."""
        joined = b"".join(frame(opcode, payload) for opcode, payload in frames)
        self.assertEqual(list(split(joined)), frames)

    def test_deflated(self) -> None:
        """A compressed one has RSV1 set, as in the example of RFC 7692 7.2.3.1."""
        made = frame(TEXT, bytes.fromhex("f248cdc9c90700"), deflated=True)
        self.assertEqual(made, bytes.fromhex("c107f248cdc9c90700"))
