"""`chatd.doors.reading`: nobody can tell the short way from Autobahn's own parser.

`CHATD_TEST_EXAMPLES=100000` in the environment makes it the long run; otherwise it is 2 000
streams, which take 7 seconds.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatd.doors.reading import whole_messages
from chatd.errors import SHUTDOWN
from tests import examples
from tests.support.doors import Client, World
from tests.support.rfc6455 import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    client_frame,
    close,
    handshake,
    text,
)

EXAMPLES = int(os.environ.get("CHATD_TEST_EXAMPLES", "2000"))

MOST = 300
"""Bytes of a message, in most streams."""

LARGE = "é".encode() * 32768
"""65 536 bytes: the least that the longest form of a length may say."""

OFFER = "Sec-WebSocket-Extensions: permessage-deflate"

Stream = Sequence[bytes]
"""In pieces; most are whole frames, which is where cuts are made near to."""


def odd_frame(first: int, form: int, length: int, payload: bytes) -> bytes:
    """A masked frame with any first byte, and a length in any form: 0 to 125, 126 or 127."""
    longer = {126: "!H", 127: "!Q"}
    size = struct.pack(longer[form], length) if form in longer else b""
    return bytes((first, 0x80 | form)) + size + bytes(4) + payload


def deflated(payload: bytes) -> bytes:
    """A payload as permessage-deflate has it."""
    press = zlib.compressobj(wbits=-15)
    return (press.compress(payload) + press.flush(zlib.Z_SYNC_FLUSH))[:-4]


DAMAGED = client_frame(TEXT, b"\xff" * 30, rsv=4)
"""What nobody can inflate."""

BOMB = client_frame(TEXT, deflated(b"x" * 100_000), rsv=4)
"""What is small until it is inflated."""


def fragments(opcode: int, payload: bytes, at: int, between: bytes) -> bytes:
    """A message in two frames with something between them."""
    at = min(at, len(payload))
    first, last = payload[:at], payload[at:]
    return client_frame(opcode, first, fin=False) + between + client_frame(CONTINUATION, last)


def _payloads() -> st.SearchStrategy[bytes]:
    sizes = st.one_of(
        st.sampled_from((0, 1, 3, 125, 126, 127, MOST - 1, MOST)), st.integers(0, MOST)
    )
    return st.one_of(
        sizes.map(lambda size: b"x" * size),
        sizes.map(lambda size: ("a" * (size % 3) + "€" * (size // 3)).encode()),
        st.text(max_size=9).map(str.encode),
    )


_BAD = (b"\xff", b"ab\xe2\x82", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80", b"a\x80b")

_masks = st.sampled_from((b"\1\2\3\4", bytes(4), b"\xff\xfe\x00\x80", b"\x80\x00\x00\x00"))
_opcodes = st.sampled_from((TEXT, TEXT, TEXT, BINARY))
_control = st.sampled_from(
    (
        client_frame(PING, b"x"),
        client_frame(PING),
        client_frame(PONG, b"y" * 125),
        client_frame(PING) * 25,  # more than is allowed at once
        client_frame(PING, b"x" * 126),
        client_frame(PING, fin=False),
        client_frame(0xB),
        close(1000, "bye"),
        close(None),
        close(1005),
        client_frame(CLOSE, b"\3"),
        client_frame(CLOSE, b"\3\xe8\xff"),
    )
)


def _good() -> st.SearchStrategy[bytes]:
    return st.builds(
        lambda opcode, payload, mask: client_frame(opcode, payload, mask=mask),
        _opcodes,
        _payloads(),
        _masks,
    )


def _odd() -> st.SearchStrategy[bytes]:
    """What is not a whole message in a frame, or no good one."""
    bad = st.one_of(st.sampled_from(_BAD), st.binary(max_size=12))
    texts = partial(client_frame, TEXT)
    return st.one_of(
        bad.map(texts),
        _control,
        _control.filter(lambda frame: frame[0] & 0xF in (PING, PONG)),
        st.builds(
            fragments, _opcodes, st.one_of(_payloads(), bad), st.integers(0, 20), st.just(b"")
        ),
        st.builds(
            fragments, _opcodes, _payloads(), st.integers(0, 20), st.one_of(_control, _good())
        ),
        st.just(client_frame(CONTINUATION, b"of nothing")),
        st.just(client_frame(TEXT, fin=False) + client_frame(CONTINUATION, fin=False) * 64),
        _payloads().map(lambda payload: client_frame(TEXT, payload, mask=None)),
        st.builds(lambda rsv: client_frame(TEXT, b"reserved", rsv=rsv), st.integers(1, 7)),
        _payloads().map(lambda payload: client_frame(TEXT, deflated(payload), rsv=4)),
        st.builds(
            lambda payload, at: fragments(TEXT | 0x40, deflated(payload), at, b""),
            _payloads(),
            st.integers(0, 20),
        ),
        st.sampled_from((DAMAGED, BOMB)),
        st.integers(3, 15).map(lambda opcode: client_frame(opcode, b"whatever")),
        st.integers(MOST + 1, MOST + 9).map(lambda size: client_frame(TEXT, b"x" * size)),
        st.just(client_frame(TEXT, LARGE)),
        st.just(client_frame(BINARY, LARGE + b"x")),
        st.just(client_frame(TEXT, LARGE + b"\xc3")),
        st.integers(0, 125).map(lambda size: odd_frame(0x81, 126, size, b"x" * size)),
        st.integers(0, MOST).map(lambda size: odd_frame(0x81, 127, size, b"x" * size)),
        st.just(odd_frame(0x81, 127, 1 << 63, b"x" * 20)),
        st.just(client_frame(TEXT, b"cut short", claims=90)),
        st.binary(max_size=20),
    )


_streams = st.lists(st.one_of(_good(), _good(), _good(), _odd()), min_size=1, max_size=9)


@dataclass(frozen=True, slots=True)
class Near:
    """A cut some bytes after the beginning of a frame, or anywhere in it."""

    frame: int
    behind: int


_cuts: st.SearchStrategy[list[Near]] = st.one_of(
    st.just([]),
    st.lists(st.builds(Near, st.integers(0, 9), st.integers(0, 15)), max_size=4),
    st.lists(st.builds(Near, st.integers(0, 9), st.integers(0, 400)), max_size=3),
)


def cut(frames: Stream, cuts: Sequence[Near]) -> list[bytes]:
    """The bytes of a stream in the pieces that they come in."""
    stream = b"".join(frames)
    begins = [len(b"".join(frames[:at])) for at in range(len(frames))]
    places = {begins[each.frame % len(begins)] + each.behind for each in cuts}
    edges = [0, *sorted(place for place in places if 0 < place < len(stream)), len(stream)]
    return [stream[a:b] for a, b in pairwise(edges)]


@dataclass(frozen=True, slots=True)
class Limits:
    """How large things may be; 0: any size."""

    message: int = MOST
    frame: int = 0


_limits = st.sampled_from(
    (*[Limits()] * 4, Limits(0, 0), Limits(0, 200), Limits(MOST, 200), Limits(200, MOST))
)


def fails(protocol: Any) -> None:
    """A bug in a conversation."""
    raise RuntimeError("a bug")


def closes(protocol: Any) -> None:
    """A conversation that says goodbye."""
    protocol.say_goodbye(SHUTDOWN)


def drops(protocol: Any) -> None:
    """A conversation that ends at once."""
    protocol.drop()


def offended(protocol: Any) -> None:
    """A peer that broke a rule."""
    protocol.offended()


_deeds: st.SearchStrategy[dict[int, Any]] = st.one_of(
    st.just({}),
    st.builds(
        lambda at, deed: {at: deed},
        st.integers(0, 3),
        st.sampled_from((fails, closes, drops, offended)),
    ),
)


class Ear:
    """A connection, and what it hears.

    Args:
        world: where it comes in.
        limits: of this connection.
        deeds: what is done when a message comes, by its number.
        deflate: whether the client offers to compress.
    """

    def __init__(self, world: World, limits: Limits, deeds: dict[int, Any], deflate: bool) -> None:
        self.client: Client = world.arrive()
        deflate = deflate and limits.message > 0  # chatd compresses nothing without a limit
        self.client.send(handshake(more=(OFFER,) if deflate else ()))
        assert ("permessage-deflate" in self.client.head) is deflate
        self.heard: list[tuple[bytes, bool]] = []
        self._deeds = deeds
        self.protocol: Any = self.client.transport.protocol
        self.protocol.maxMessagePayloadSize = limits.message
        self.protocol.maxFramePayloadSize = limits.frame
        self.protocol.received = self._received

    def _received(self, payload: bytes, binary: bool) -> None:
        assert type(payload) is bytes
        self.heard.append((payload, binary))
        deed = self._deeds.get(len(self.heard) - 1)
        if deed is not None:
            deed(self.protocol)

    def state(self) -> dict[str, object]:
        """All that anybody can tell about it."""
        protocol, transport = self.protocol, self.client.transport
        frame, within = protocol.current_frame, protocol.inside_message
        return {
            "heard": self.heard,
            "sent": transport.taken,
            "unsent": transport.unsent,
            "ended": (transport.disconnecting, transport.aborted, transport.lost),
            "how": (
                protocol.state,
                protocol.failedByMe,
                protocol.wasClean,
                *protocol.how_it_ended(),
            ),
            "deaf": (protocol._deaf, protocol._last_frames),
            "alive": protocol.heard,
            "dawdles": protocol.dawdles(),
            "kept": protocol.data,
            "frame": frame
            and (frame.opcode, frame.fin, frame.length, protocol.current_frame_masker.pointer()),
            "message": within and (protocol._fragments, protocol.message_data),
        }


class EqualTests(SynchronousTestCase):
    """Both ways."""

    def setUp(self) -> None:
        self.world = World(greeting="", compression=True)

    def same(
        self,
        frames: Stream,
        cuts: Sequence[Near] = (),
        limits: Limits = Limits(),
        deeds: dict[int, Any] | None = None,
        deflate: bool = False,
    ) -> Ear:
        """Feed the same pieces both ways, and compare after each; returns the short way's."""
        short, long = (Ear(self.world, limits, deeds or {}, deflate) for _ in range(2))
        long.protocol.read = long.protocol._dataReceived
        for piece in cut(frames, cuts):
            failures = []
            for ear in (short, long):
                ear.client.send(piece)
                failures.append(len(self.flushLoggedErrors(RuntimeError)))
            self.assertEqual(short.state(), long.state())
            self.assertEqual(failures[0], failures[1])
        for ear in (short, long):
            if not ear.client.transport.lost:
                ear.client.transport.abortConnection()
        self.assertEqual(short.state(), long.state())
        return short

    @settings(max_examples=examples(EXAMPLES), deadline=None)
    @given(_streams, _cuts, _limits, _deeds, st.booleans())
    # cut so that what follows looks like an empty message
    @example([client_frame(TEXT, b"a", mask=b"\x80\0\0\0")], [Near(0, 1)], Limits(), {}, False)
    # compressed wrongly: Autobahn stops in the middle of what came
    @example([DAMAGED, text("b")], [Near(0, 6)], Limits(), {}, True)
    @example([BOMB, text("b")], [Near(0, 6)], Limits(), {}, True)
    @example([text("a"), text("b"), text("c")], [], Limits(), {1: closes}, False)
    def test_equal(
        self,
        frames: Stream,
        cuts: Sequence[Near],
        limits: Limits,
        deeds: dict[int, Any],
        deflate: bool,
    ) -> None:
        """Any stream, cut anywhere, has the same effects at each moment either way."""
        self.same(frames, cuts, limits, deeds, deflate)


class ShortWayTests(SynchronousTestCase):
    """What Autobahn never sees."""

    def setUp(self) -> None:
        self.ear = Ear(World(greeting=""), Limits(70_000), {}, False)
        self.seen: list[int] = []
        begin = self.ear.protocol.onFrameBegin

        def note() -> None:
            self.seen.append(self.ear.protocol.current_frame.opcode)
            begin()

        self.ear.protocol.onFrameBegin = note

    def test_whole(self) -> None:
        """All whole messages that come at once are read without it, of any size."""
        words = [b"", b"x" * 125, b"x" * 126, LARGE, b"last"]
        self.ear.client.send(b"".join(client_frame(TEXT, each) for each in words))
        self.ear.client.send(client_frame(BINARY, b"\xff"))
        self.assertEqual(self.ear.heard, [*((each, False) for each in words), (b"\xff", True)])
        self.assertEqual(self.seen, [])

    def test_cut(self) -> None:
        """It finishes what was cut, and nothing after it; of a frame's head alone, nothing."""
        for at, seen in ((1, []), (5, []), (6, [TEXT]), (9, [TEXT])):
            stream = text("hello") * 9
            self.seen.clear()
            self.ear.heard.clear()
            for piece in (stream[:at], stream[at:]):
                self.ear.client.send(piece)
            self.assertEqual(self.ear.heard, [(b"hello", False)] * 9)
            self.assertEqual(self.seen, seen, at)

    def test_odd(self) -> None:
        """From the first frame on that is anything else, it has the rest of what came."""
        self.ear.client.send(text("a") + client_frame(PING) + text("b"))
        self.ear.client.send(text("c"))
        self.assertEqual([payload for payload, _ in self.ear.heard], [b"a", b"b", b"c"])
        self.assertEqual(self.seen, [PING, TEXT])

    def test_after_the_end(self) -> None:
        """A peer that was told to go is not read on: what follows is Autobahn's to count."""
        self.ear.client.send(text("a"))
        self.ear.protocol.goodbye()
        self.ear.client.send(text("b") * 100)
        self.assertEqual(self.ear.heard, [(b"a", False)])
        self.assertTrue(self.ear.protocol._deaf)

    def test_dawdles(self) -> None:
        """Messages that come whole never make a connection dawdle."""
        self.ear.client.send(client_frame(TEXT, b"begun", fin=False))
        self.assertFalse(self.ear.protocol.dawdles())
        self.ear.client.send(client_frame(CONTINUATION) + text("a"))
        self.ear.client.send(text("b"))
        self.ear.client.send(client_frame(TEXT, b"begun", fin=False))
        self.assertFalse(self.ear.protocol.dawdles())
        self.assertTrue(self.ear.protocol.dawdles())

    def test_utf8(self) -> None:
        """Text that is not UTF-8 is not read."""
        for bad in _BAD:
            self.assertEqual(list(whole_messages(client_frame(TEXT, bad), 100)), [], bad)
            self.assertEqual(len(list(whole_messages(client_frame(BINARY, bad), 100))), 1, bad)

    def test_where_it_ends(self) -> None:
        """Each message says where its frame ends, which is where the rest begins."""
        stream = text("a") + text("bb") + client_frame(TEXT, b"c", fin=False)
        ends = [end for end, _, _ in whole_messages(stream, 2)]
        self.assertEqual(ends, [len(text("a")), len(text("a") + text("bb"))])
        self.assertEqual(len(list(whole_messages(stream, 1))), 1)
