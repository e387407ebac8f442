"""`chatd.doors.guards`: each hole of Autobahn has a test that fails when its guard is taken out."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from chatd.doors.inflate import Inflater
from chatd.doors.paths import CENTRIFUGE
from chatd.wire.centrifuge import frame_bytes
from tests.support.deflates import deflated
from tests.support.doors import Client, World
from tests.support.logs import LogCase
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

PING_FRAME = client_frame(PING, b"x")


class OpeningTests(SynchronousTestCase):
    """The beginning."""

    def setUp(self) -> None:
        self.world = World()

    def test_no_timers(self) -> None:
        """A connection costs no timer of Autobahn's, open or not."""
        client = self.world.arrive()
        protocol = client.transport.protocol
        self.assertIsNone(protocol.openHandshakeTimeoutCall)
        client.send(handshake())
        self.assertIsNone(protocol.autoPingPendingCall)
        protocol.goodbye()
        self.assertIsNone(protocol.closeHandshakeTimeoutCall)

    def test_no_delay(self) -> None:
        """Small frames are sent at once."""
        self.assertTrue(self.world.arrive().transport.no_delay)

    def test_opened_raises(self) -> None:
        """A bug while opening closes that connection with 1011 and is logged."""
        client = self.world.arrive()

        def opened() -> None:
            raise RuntimeError("secret")

        client.transport.protocol.opened = opened
        client.send(handshake())
        self.assertEqual(client.close, (1011, "internal error"))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)


class ReadingTests(LogCase):
    """What comes in."""

    def setUp(self) -> None:
        super().setUp()
        self.world = World(greeting="")
        self.client = self.world.open()

    def test_fragments(self) -> None:
        """A message may come in 64 frames; the 65th, though empty, closes with 1008."""
        self.client.send(client_frame(TEXT, fin=False))
        self.client.send(client_frame(CONTINUATION, fin=False) * 62)
        self.client.send(client_frame(CONTINUATION, b"end"))
        self.world.turn()
        self.assertEqual(self.client.texts, ["end"])
        self.client.send(client_frame(TEXT, fin=False))
        self.client.send(client_frame(CONTINUATION, fin=False) * 1000)
        assert self.client.close is not None
        self.assertEqual(self.client.close[0], 1008)
        self.assertLess(len(self.client.transport.protocol.message_data or []), 70)

    def test_fragments_of_several(self) -> None:
        """Frames are counted for each message by itself."""
        for _ in range(5):
            self.client.send(client_frame(TEXT, b"a", fin=False))
            self.client.send(client_frame(CONTINUATION, b"b", fin=False) * 40)
            self.client.send(client_frame(CONTINUATION))
        self.world.turn()
        self.assertEqual(self.client.texts, ["a" + "b" * 40] * 5)

    def test_too_big(self) -> None:
        """A message of 65 536 bytes is taken, one byte more closes with 1009."""
        self.client.send(client_frame(TEXT, b"x" * 65536))
        self.world.turn()
        self.assertEqual([len(words) for words in self.client.texts], [65536])
        self.client.send(client_frame(TEXT, b"x" * 65537))
        assert self.client.close is not None
        self.assertEqual(self.client.close[0], 1009)

    def test_too_big_in_fragments(self) -> None:
        """Fragments of one message count together."""
        self.client.send(client_frame(TEXT, b"x" * 40000, fin=False))
        self.client.send(client_frame(CONTINUATION, b"x" * 40000))
        assert self.client.close is not None
        self.assertEqual(self.client.close[0], 1009)

    def test_huge_control_frame(self) -> None:
        """An oversize control frame closes with 1002, and what follows of it is not kept."""
        self.client.send(client_frame(PING, claims=1 << 40))
        for _ in range(100):
            self.client.send(b"x" * 65536)
        protocol = self.client.transport.protocol
        self.assertLess(sum(map(len, protocol.control_frame_data or [])), 65537)
        self.assertLess(len(protocol.data), 65537)
        assert self.client.close is not None
        self.assertEqual(self.client.close[0], 1002)

    def test_a_byte_at_a_time(self) -> None:
        """A frame that comes in many pieces is not kept in as many objects, and is whole."""
        self.client.send(client_frame(TEXT, b"x" * 60_000)[:14])
        for _ in range(1000):
            self.client.send(b"{|yz")  # four x under the mask
        self.assertLess(len(self.client.transport.protocol.frame_data), 70)

    @given(st.binary(max_size=3000).map(bytes.hex), st.integers(1, 9))
    def test_pieces_are_joined_in_order(self, words: str, size: int) -> None:
        """However small the pieces, the message is what was sent."""
        client = World(greeting="").open()
        heard: list[bytes] = []
        client.transport.protocol.received = lambda payload, binary: heard.append(payload)
        _feed(client, text(words), [size])
        self.assertEqual(heard, [words.encode()])

    def test_not_utf8(self) -> None:
        """Text that is not UTF-8 closes with 1007."""
        self.client.send(client_frame(TEXT, b"\xff"))
        assert self.client.close is not None
        self.assertEqual(self.client.close[0], 1007)

    def test_ping(self) -> None:
        """A ping is answered with its own payload."""
        self.client.send(PING_FRAME)
        self.assertEqual(self.client.frames, [(PONG, b"x")])

    def test_ping_flood(self) -> None:
        """More than 20 pings at once close with 1008, and nothing more is parsed or answered."""
        self.client.send(PING_FRAME * 5000 + text("never"))
        self.world.turn()
        opcodes = [opcode for opcode, _ in self.client.frames]
        self.assertEqual(opcodes, [PONG] * 20 + [CLOSE])
        self.assertEqual(self.client.transport.protocol.data, b"")

    def test_pong_flood(self) -> None:
        """Unasked pongs count alike and make no lines in the log."""
        self.client.send(client_frame(PONG, b"x") * 5000)
        assert self.client.close is not None
        self.assertEqual(self.client.close[0], 1008)

    def test_pings_over_time(self) -> None:
        """Two pings a second are always fine."""
        for _ in range(60):
            self.world.advance(0.5)
            self.client.send(PING_FRAME)
        self.assertIsNone(self.client.close)

    def test_no_pong_above_high_water(self) -> None:
        """A peer that does not read gets no pongs, which would pile up."""
        self.client.transport.reads = False
        self.client.transport.write(b"x" * 70000)
        unsent = len(self.client.transport.unsent)
        self.client.send(PING_FRAME)
        self.assertEqual(len(self.client.transport.unsent), unsent)

    def test_after_our_close(self) -> None:
        """Somebody who was told to go can say nothing more."""
        heard: list[bytes] = []
        protocol = self.client.transport.protocol
        protocol.received = lambda payload, binary: heard.append(payload)
        self.client.say("first words")
        protocol.goodbye()
        self.client.say("last words")
        self.assertEqual(heard, [b"first words"])

    def test_flood_after_our_close(self) -> None:
        """Of what comes after our Close only so much is read that the peer's own is found."""
        protocol = self.client.transport.protocol
        protocol.goodbye()
        frames: list[int] = []
        begin = protocol.onMessageFrameBegin

        def count(length: int) -> None:
            frames.append(length)
            begin(length)

        protocol.onMessageFrameBegin = count
        self.client.send(client_frame(BINARY) * 10_000)
        self.client.send(client_frame(BINARY) * 10_000)
        self.assertLess(len(frames), 70)
        self.assertEqual(protocol.data, b"")

    def test_close_after_a_few_words(self) -> None:
        """A peer that had more to say is still heard to close."""
        self.client.transport.protocol.goodbye()
        self.client.send(text("more") * 50 + close(1001))
        self.assertTrue(self.client.transport.lost)
        self.assertFalse(self.client.transport.aborted)

    def test_message_raises(self) -> None:
        """A bug in a conversation closes that connection with 1011; others go on."""

        def received(*_: object) -> None:
            raise RuntimeError("secret")

        other = self.world.open()
        self.client.transport.protocol.received = received
        self.client.say("hello")
        self.assertEqual(self.client.close, (1011, "internal error"))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        other.say("hi")
        self.world.turn()
        self.assertEqual(other.texts, ["hi"])

    def test_parser_raises(self) -> None:
        """A bug in the parser drops that connection and is logged once."""

        def broken() -> None:
            raise RuntimeError("secret")

        self.client.transport.protocol.consumeData = broken
        self.client.send(PING_FRAME)
        self.assertTrue(self.client.transport.aborted)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_autobahn_is_mute(self) -> None:
        """A stranger's mistakes make no lines of Autobahn's, which repeat his words."""
        self.client.send(client_frame(TEXT, b"secret", mask=None))
        self.world.arrive().send(b"GET /secret HTTP/9\r\n\r\n")
        self.client.send(client_frame(CONTINUATION, b"secret"))
        self.assertEqual([e for e in self.events if "autobahn" in str(e.get("log_namespace"))], [])

    def test_no_deferred_for_a_message(self) -> None:
        """A message fires no signal of Autobahn's, which would make a Deferred for each."""
        fired: list[object] = []
        self.client.transport.protocol.fire = lambda *a, **k: fired.append(a)
        self.client.say("hello")
        self.assertEqual(fired, [])


class ClosingTests(SynchronousTestCase):
    """The end."""

    def setUp(self) -> None:
        self.world = World(greeting="")
        self.client = self.world.open()

    def test_echo(self) -> None:
        """A peer's Close is answered with its own code and reason, and the socket closed."""
        self.client.send(close(4001, "bye"))
        self.assertEqual(self.client.close, (4001, "bye"))
        self.assertTrue(self.client.transport.lost)
        self.assertFalse(self.client.transport.aborted)

    def test_close_without_code(self) -> None:
        """A Close without a code is answered without one."""
        self.client.send(close(None))
        self.assertEqual(self.client.frames, [(CLOSE, b"")])

    def test_codes_of_ours(self) -> None:
        """Codes that Autobahn refuses to send are sent."""
        self.client.transport.protocol.goodbye()
        self.assertEqual(self.client.close, (1001, "server is stopping"))

    def test_nothing_after_close(self) -> None:
        """No message follows a Close, ours or the answer to theirs."""
        other = self.world.open()
        other.say("hello")
        self.client.transport.protocol.goodbye()
        self.world.turn()
        self.assertEqual([opcode for opcode, _ in self.client.frames], [CLOSE])
        self.assertEqual(other.texts, ["hello"])

    def test_failed_by_autobahn(self) -> None:
        """After a protocol error nothing is sent but the Close."""
        self.client.say("hello")
        self.client.send(client_frame(TEXT, b"unmasked", mask=None))
        self.world.turn()
        self.assertEqual([opcode for opcode, _ in self.client.frames], [CLOSE])

    def test_polite_peer(self) -> None:
        """A peer that answers our Close is not reset: what it still reads reaches it."""
        self.client.transport.protocol.goodbye()
        self.client.send(close(1001))
        self.assertTrue(self.client.transport.lost)
        self.assertFalse(self.client.transport.aborted)

    def test_mute_peer(self) -> None:
        """A peer that does not answer our Close is dropped after two seconds."""
        self.client.transport.protocol.goodbye()
        self.world.advance(1.75)
        self.assertFalse(self.client.transport.lost)
        self.world.advance(1)
        self.assertTrue(self.client.transport.aborted)
        self.assertEqual(self.world.factory.connections, set())

    def test_lingering_peer(self) -> None:
        """A peer that sends Close and stops reading is gone five seconds later."""
        self.client.transport.reads = False
        self.client.transport.write(b"x" * 100_000)
        self.client.send(close())
        self.assertFalse(self.client.transport.lost)
        self.world.advance(6)
        self.assertTrue(self.client.transport.aborted)
        self.assertEqual(len(self.world.admission), 0)

    def test_refused_peer_that_does_not_read(self) -> None:
        """A refused handshake whose answer is not read is gone five seconds later."""
        client = self.world.arrive()
        client.transport.reads = False
        client.send(handshake("/nowhere"))
        self.assertFalse(client.transport.lost)
        client.send(b"x" * 100_000)
        self.assertEqual(client.transport.protocol.data, b"")
        self.world.advance(6)
        self.assertTrue(client.transport.aborted)

    def test_no_deadline_after_the_end(self) -> None:
        """A connection that is gone leaves nothing to come."""
        self.client.send(close())
        taken = self.client.transport.taken
        self.world.advance(120)
        self.assertEqual(self.client.transport.taken, taken)
        self.assertFalse(self.client.transport.aborted)
        self.assertEqual(len(self.world.wheel), 0)

    def test_ended_raises(self) -> None:
        """A bug while ending is logged, and the connection is forgotten all the same."""

        def ended() -> None:
            raise RuntimeError

        self.client.transport.protocol.ended = ended
        self.client.send(close())
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(self.world.factory.connections, set())

    def test_lost(self) -> None:
        """A connection that breaks ends with 1006 by the peer."""
        protocol = self.client.transport.protocol
        protocol.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(protocol.how_it_ended()[:2], ("peer", 1006))


class ParserTests(SynchronousTestCase):
    """Any bytes, in any pieces."""

    @given(
        st.lists(st.tuples(st.booleans(), st.binary(max_size=300)), max_size=8),
        st.lists(st.integers(1, 40), min_size=1, max_size=20),
        st.integers(1, 4),
    )
    def test_messages(
        self, messages: list[tuple[bool, bytes]], cuts: list[int], fragments: int
    ) -> None:
        """What was sent is received, however it is cut into frames and packets."""
        world = World(greeting="")
        client = world.open()
        seen: list[tuple[bytes, bool]] = []
        client.transport.protocol.received = lambda data, binary: seen.append((data, binary))
        sent = [(data if binary else data.hex().encode(), binary) for binary, data in messages]
        stream = b"".join(_fragmented(data, binary, fragments) for data, binary in sent)
        _feed(client, stream, cuts)
        self.assertEqual(seen, sent)

    @given(st.binary(max_size=2000), st.lists(st.integers(1, 200), min_size=1, max_size=20))
    def test_garbage(self, garbage: bytes, cuts: list[int]) -> None:
        """No bytes of a peer raise, or reach anybody as invalid UTF-8, or outlive their limits."""
        world = World(greeting="")
        client, other = world.open(), world.open()
        _feed(client, garbage, cuts)
        world.turn()
        for opcode, payload in other.frames:
            if opcode == TEXT:
                payload.decode()
        world.advance(200)
        self.assertNotIn(client.transport.protocol, world.factory.connections)


def _fragmented(data: bytes, binary: bool, fragments: int) -> bytes:
    size = max(1, len(data) // fragments)
    parts = [data[at : at + size] for at in range(0, len(data), size)] or [b""]
    opcodes = [BINARY if binary else TEXT] + [CONTINUATION] * (len(parts) - 1)
    return b"".join(
        client_frame(opcode, part, fin=at == len(parts) - 1, mask=struct.pack("!I", 7 * at + 1))
        for at, (opcode, part) in enumerate(zip(opcodes, parts, strict=True))
    )


def _feed(client: Client, stream: bytes, cuts: list[int]) -> None:
    at = 0
    turn = 0
    while at < len(stream):
        size = cuts[turn % len(cuts)]
        client.send(stream[at : at + size])
        at += size
        turn += 1


class CompressedTests(LogCase):
    """What comes in compressed."""

    def setUp(self) -> None:
        super().setUp()
        self.begin()

    def begin(self) -> None:
        """A peer opens a connection and agrees to compression."""
        self.world = World(greeting="", compression=True)
        self.client = self.world.arrive()
        self.client.send(handshake(more=("Sec-WebSocket-Extensions: permessage-deflate",)))
        self.protocol = self.client.transport.protocol
        self.heard: list[bytes] = []
        self.protocol.received = lambda payload, binary: self.heard.append(payload)

    def assertClosed(self, code: int) -> None:
        """It was closed once, with this code, nothing was heard, and nothing is kept."""
        closes = [payload for opcode, payload in self.client.frames if opcode == CLOSE]
        self.assertEqual([struct.unpack("!H", each[:2])[0] for each in closes], [code])
        self.assertEqual(self.heard, [])
        self.assertIsNone(self.protocol._perMessageCompress._stream)
        self.assertLess(sum(map(len, getattr(self.protocol, "message_data", None) or ())), 65537)

    def test_message(self) -> None:
        """It is heard as it was said; control frames and plain messages may come between."""
        data = deflated(b"hello" * 1000)
        self.client.send(client_frame(TEXT, data[:9], fin=False, rsv=4))
        self.client.send(PING_FRAME)
        self.client.send(client_frame(CONTINUATION, data[9:]))
        self.client.say("plain")
        self.client.send(client_frame(BINARY, deflated(b""), rsv=4))
        self.assertEqual(self.heard, [b"hello" * 1000, b"plain", b""])
        self.assertEqual(self.client.frames, [(PONG, b"x")])
        self.assertIsNone(self.protocol._perMessageCompress._stream)

    def test_largest(self) -> None:
        """A message of 65 536 bytes is taken, however small it came; one more closes with 1009."""
        self.client.send(client_frame(TEXT, deflated(b"a" * 65536), rsv=4))
        self.assertEqual([len(each) for each in self.heard], [65536])
        self.heard.clear()
        self.client.send(client_frame(TEXT, deflated(b"a" * 65537), rsv=4))
        self.assertClosed(1009)

    def test_limit_of_the_door(self) -> None:
        """Each door has its own limit for what is inflated."""
        for path, most in (("/", 1000), (CENTRIFUGE, frame_bytes(1000))):
            world = World(compression=True, message_bytes=1000)
            client = world.arrive()
            offer = "Sec-WebSocket-Extensions: permessage-deflate"
            client.send(handshake(path, more=(offer,)))
            heard: list[int] = []

            def note(payload: bytes, _: bool, heard: list[int] = heard) -> None:
                heard.append(len(payload))

            client.transport.protocol.received = note
            client.send(client_frame(TEXT, deflated(b"a" * most), rsv=4))
            self.assertEqual(heard, [most])
            client.send(client_frame(TEXT, deflated(b"a" * (most + 1)), rsv=4))
            self.assertEqual(heard, [most])
            assert client.close is not None
            self.assertEqual(client.close[0], 1009)

    def test_bomb(self) -> None:
        """A message that grows a thousandfold closes with 1009, made no larger than the limit."""
        made: list[int] = []
        inflater = self.protocol._perMessageCompress
        self.protocol._perMessageCompress = Counting(inflater, made)
        self.client.send(client_frame(TEXT, deflated(bytes(20_000_000)), rsv=4))
        self.assertClosed(1009)
        self.assertLess(sum(made), 65537)

    def test_bomb_in_frames(self) -> None:
        """So does one in many frames, and in many packets; the rest of it is not inflated."""
        data = deflated(bytes(10_000_000))
        made: list[int] = []
        self.protocol._perMessageCompress = Counting(self.protocol._perMessageCompress, made)
        size = len(data) // 40
        for at in range(0, len(data), size):
            opcode, rsv = (CONTINUATION, 0) if at else (TEXT, 4)
            is_last = at + size >= len(data)
            piece = client_frame(opcode, data[at : at + size], fin=is_last, rsv=rsv)
            self.client.send(piece[:50])
            self.client.send(piece[50:])
        self.assertClosed(1009)
        self.assertLess(sum(made), 65537)
        self.client.send(close(1009))
        self.assertTrue(self.client.transport.lost)

    def test_bombs_after_our_close(self) -> None:
        """Who was told to go has nothing inflated any more that is large."""
        self.protocol.goodbye()
        made: list[int] = []
        self.protocol._perMessageCompress = Counting(self.protocol._perMessageCompress, made)
        self.client.send(client_frame(BINARY, deflated(bytes(65536)), rsv=4) * 1000)
        self.assertLess(sum(made), 65 * 65536)
        self.assertEqual(self.heard, [])

    def test_broken(self) -> None:
        """What is not deflate closes with 1007, and no exception is logged or told."""
        whole = deflated(b"hello world " * 100)
        for payload in (b"\xff" * 10, whole[:-5], whole + b"x", b"", deflated(b"\xff")):
            self.begin()
            self.client.send(client_frame(TEXT, payload, rsv=4))
            self.assertClosed(1007)
            _, reason = self.client.close or (0, "")
            self.assertNotIn("Error", reason)
            self.client.send(client_frame(CLOSE, struct.pack("!H", 1007)))
            self.assertFalse(self.client.transport.aborted)

    def test_broken_in_the_middle(self) -> None:
        """What follows of a broken message is read and let go."""
        self.client.send(client_frame(TEXT, b"\xff" * 10, fin=False, rsv=4))
        self.client.send(client_frame(CONTINUATION, b"x" * 60_000, fin=False) * 10)
        self.client.send(client_frame(CONTINUATION, b"x"))
        self.assertClosed(1007)

    def test_bits(self) -> None:
        """Control frames and later frames of a message are not marked as compressed: 1002."""
        for frames in (
            client_frame(PING, b"x", rsv=4),
            client_frame(TEXT, b"a", fin=False) + client_frame(CONTINUATION, b"b", rsv=4),
            client_frame(TEXT, b"a", rsv=2),
            client_frame(TEXT, b"a", rsv=5),
        ):
            self.begin()
            self.client.send(frames)
            self.assertClosed(1002)

    def test_not_agreed(self) -> None:
        """A compressed frame that was not agreed to closes with 1002."""
        client = World(greeting="", compression=True).open()
        client.send(client_frame(TEXT, deflated(b"a"), rsv=4))
        assert client.close is not None
        self.assertEqual(client.close[0], 1002)

    @given(
        st.lists(
            st.tuples(st.binary(max_size=2000).map(bytes.hex), st.booleans()),
            max_size=5,
        ),
        st.lists(st.integers(1, 700), min_size=1, max_size=20),
    )
    def test_pieces(self, said: list[tuple[str, bool]], sizes: list[int]) -> None:
        """However the stream is cut, messages are heard as said, compressed or not."""
        self.begin()
        stream = b"".join(
            client_frame(TEXT, deflated(words.encode()), rsv=4) if small else text(words)
            for words, small in said
        )
        _feed(self.client, stream, sizes)
        self.assertEqual(self.heard, [words.encode() for words, _ in said])

    @given(
        st.binary(min_size=1, max_size=300).map(bytes.hex),
        st.lists(st.tuples(st.integers(0), st.integers(1, 255)), min_size=1, max_size=5),
    )
    def test_flipped(self, words: str, flips: list[tuple[int, int]]) -> None:
        """Whatever happens to the bytes, a message is heard or the connection closed; no error."""
        self.begin()
        payload = bytearray(deflated(words.encode()))
        for at, bits in flips:
            payload[at % len(payload)] ^= bits
        self.client.send(client_frame(BINARY, bytes(payload), rsv=4))
        if not self.heard:
            assert self.client.close is not None
            self.assertIn(self.client.close[0], (1007, 1009))
        self.assertIsNone(self.protocol._perMessageCompress._stream)
        self.assertEqual(self.flushLoggedErrors(), [])


class Counting:
    """An inflater that notes how much it makes."""

    def __init__(self, inner: Inflater, made: list[int]) -> None:
        self.start_decompress_message = inner.start_decompress_message
        self.end_decompress_message = inner.end_decompress_message
        self.EXTENSION_NAME = inner.EXTENSION_NAME
        self._inner = inner
        self._made = made

    @property
    def _stream(self) -> object:
        return self._inner._stream

    def decompress_message_data(self, data: bytes, max_output_len: int) -> bytes:
        made = self._inner.decompress_message_data(data, max_output_len)
        self._made.append(len(made))
        return made
