"""`chatd.doors.handshake`: each hole of the opening has a test that fails without its guard."""

from __future__ import annotations

import os
from itertools import cycle

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.logger import formatEvent
from twisted.trial.unittest import SynchronousTestCase

from chatd.doors.upgrade import read
from chatd.errors import ChatError
from tests.support.doors import Client, World
from tests.support.logs import LogCase
from tests.support.rfc6455 import ACCEPT, KEY, handshake, text

_EXAMPLES = int(os.environ.get("CHATD_TEST_HANDSHAKES", "300"))

# Each line of a head as most send it, and otherwise.
_LINES: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (
        (
            "GET / HTTP/1.1",
            "GET /plain?room=a&nick=b HTTP/1.1",
            "GET /?nicks=2 HTTP/1.1",
            "GET /connection/websocket HTTP/1.1",
            "GET /?room= HTTP/1.1",
        ),
        (
            "POST / HTTP/1.1",
            "GET / HTTP/1.0",
            "GET  / HTTP/1.1",
            "GET /?a#b HTTP/1.1",
            "GET /;a",
            "GET //plain HTTP/1.1",
            "GET /plain?a;b HTTP/1.1",
            "GET /nowhere HTTP/1.1",
            "GET http://localhost/plain HTTP/1.1",
            "GET /plain?# HTTP/1.1",
        ),
    ),
    (
        ("Host: localhost:1919", "host:localhost", "Host: 127.0.0.1:1", "Host: evil.example"),
        ("Host: localhost:x", "Host: [::1]:1919", "Host: localhost:99999", "Host: a@localhost", ""),
    ),
    (
        ("Upgrade: websocket", "UPGRADE: WebSocket"),
        ("Upgrade: websocket, h2c", "Upgrade: h2c", ""),
    ),
    (
        ("Connection: Upgrade", "Connection: keep-alive, Upgrade"),
        ("Connection: upgrade,close", "Connection: close", ""),
    ),
    (
        (f"Sec-WebSocket-Key: {KEY}", "sec-websocket-key:AQIDBAUGBwgJCgsMDQ4PEA== "),
        (
            "Sec-WebSocket-Key: x",
            f"Sec-WebSocket-Key: {KEY}=",
            f"Sec-WebSocket-Key: *{KEY[1:]}",
            "",
        ),
    ),
    (
        ("Sec-WebSocket-Version: 13",),
        (
            "Sec-WebSocket-Version: 8",
            "Sec-WebSocket-Version: 013",
            "Sec-WebSocket-Version: +13",
            "Sec-WebSocket-Version: x",
            "",
        ),
    ),
    (
        ("", "Origin: http://localhost:1919", "Origin: https://localhost", "Origin: http://evil"),
        ("Origin: null", "Origin: http://localhost:99999", "Origin: file:///a", "Origin: http://"),
    ),
    (
        ("", "User-Agent: Mozilla/5.0 (X11; Linux x86_64)", "X-Forwarded-For: 6.6.6.6", "X:"),
        (
            "Sec-WebSocket-Protocol: a, b",
            "Sec-WebSocket-Extensions: x",
            "X: a\r\n b: c",
            "No colon",
            ": no name",
            "X: a\nY: b",
            "X: a\rOrigin: http://evil",
            "Host: localhost",
            "\tX: a",
        ),
    ),
    (
        (
            "",
            "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
            "sec-websocket-extensions: permessage-deflate",
            "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=9",
        ),
        ("Sec-WebSocket-Extensions: permessage-deflate; x", "Sec-WebSocket-Extensions:"),
    ),
)
_CHARACTERS = "\t\r\n !#%+,-./09:;=?@AGZ[]azhttp~"


@st.composite
def heads(draw: st.DrawFn) -> bytes:
    """A head: in order, or with some lines that are not, or with a few characters changed."""
    strange = draw(st.sets(st.sampled_from(range(len(_LINES))), max_size=1))
    first, *lines = (draw(st.sampled_from(each[at in strange])) for at, each in enumerate(_LINES))
    rest = draw(st.permutations([line for line in lines if line]))
    head = "\r\n".join((first, *rest))
    for _ in range(draw(st.sampled_from((0, 0, 1, 2)))):
        at, cut = draw(st.integers(0, len(head))), draw(st.integers(0, 3))
        head = head[:at] + draw(st.text(_CHARACTERS, max_size=3)) + head[at + cut :]
    return head.replace("\r\n\r\n", "\r\n").encode() + b"\r\n\r\n"


class HandshakeTests(SynchronousTestCase):
    """Opening."""

    def setUp(self) -> None:
        self.world = World()

    def test_opens(self) -> None:
        """A handshake is answered with 101 and the key of the RFC."""
        client = self.world.open()
        self.assertEqual(client.status, 101)
        self.assertIn(f"Sec-WebSocket-Accept: {ACCEPT}", client.head)
        self.assertIn("Server: chatd", client.head)

    def test_forwarded_for(self) -> None:
        """Nobody is somebody else by saying so in a header."""
        client = self.world.arrive("10.0.0.1")
        client.send(handshake(more=("X-Forwarded-For: 6.6.6.6",)))
        self.assertEqual(client.transport.protocol.who, "10.0.0.1:40000")
        self.assertEqual(client.transport.protocol.admitted_from, "10.0.0.1")

    def test_host_comes_first(self) -> None:
        """Under a foreign name nothing is told but that it is foreign."""
        for path in ("/", "/nowhere"):
            client = self.world.arrive()
            client.send(f"GET {path} HTTP/1.1\r\nHost: evil.example\r\n\r\n".encode())
            self.assertEqual(client.status, 403)
        client = self.world.arrive()
        client.send(handshake(host="evil.example").replace(b"GET", b"POST"))
        self.assertEqual(client.status, 403)

    def test_in_pieces(self) -> None:
        """A handshake may come a byte at a time."""
        client = self.world.arrive()
        for byte in handshake():
            client.send(bytes([byte]))
        self.assertEqual(client.status, 101)

    def test_too_large(self) -> None:
        """A handshake over 8 KiB is refused with 431, once it is, and not kept."""
        client = self.world.arrive()
        client.send(b"GET / HTTP/1.1\r\nX: " + b"x" * 8192)
        self.assertEqual(client.status, 431)
        self.assertTrue(client.transport.lost)

    def test_too_large_but_whole(self) -> None:
        """A whole handshake over 8 KiB is refused too."""
        client = self.world.arrive()
        client.send(handshake(more=("X: " + "x" * 8192,)))
        self.assertEqual(client.status, 431)

    def test_largest(self) -> None:
        """A handshake of 8 KiB exactly is accepted."""
        room = 8192 - len(handshake(more=("X: ",)))
        client = self.world.arrive()
        client.send(handshake(more=("X: " + "x" * room,)))
        self.assertEqual(client.status, 101)

    def test_early_data(self) -> None:
        """What comes before the handshake was answered is refused, not lost or half read."""
        for early in (text("hello"), b"hello", handshake()):
            client = self.world.arrive()
            client.send(handshake() + early)
            self.assertEqual(client.status, 400, early)
            self.assertNotIn(b" 101 ", client.transport.taken)

    def test_line_ends(self) -> None:
        """No header can be smuggled in behind a character that ends no line."""
        for byte in ("\x85", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x00", "\xff"):
            client = self.world.arrive()
            client.send(handshake(more=(f"X-Junk: a{byte}Origin: http://localhost:1919",)))
            self.assertEqual(client.status, 400, repr(byte))

    def test_second_handshake(self) -> None:
        """A connection that was closed before it was accepted is not opened any more."""
        client = self.world.arrive()
        protocol = client.transport.protocol
        client.send(handshake(more=("Sec-WebSocket-Key: x",)))
        self.assertEqual(client.status, 400)
        protocol.succeedHandshake(None)
        self.assertNotIn("101", client.head)
        self.assertEqual(len(self.world.admission), 0)

    def test_exception_is_not_told(self) -> None:
        """What goes wrong while judging is logged, and no word of it is sent."""
        client = self.world.arrive()

        def judge(*_: object) -> int:
            raise RuntimeError("secret path")

        client.transport.protocol.judge = judge
        client.send(handshake())
        self.assertEqual(client.status, 500)
        self.assertNotIn(b"secret", client.transport.taken)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_refusal_does_not_repeat_the_request(self) -> None:
        """An answer holds no text of the request, and has a length."""
        client = self.world.arrive()
        client.send(b"GET / HTTP/9.9<script>\r\nHost: localhost\r\n\r\n")
        self.assertEqual(client.status, 505)
        self.assertNotIn(b"script", client.transport.taken)
        self.assertIn("Content-Length: ", client.head)

    def test_plain_http(self) -> None:
        """A browser that goes to the WebSocket port is told what it is."""
        for path, status in (("/", 426), ("/nowhere", 404)):
            client = self.world.arrive()
            client.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            self.assertEqual(client.status, status)
        client = self.world.arrive()
        client.send(b"GET /?redirect=http://evil.example HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.assertEqual(client.status, 426)
        self.assertIn("Upgrade: websocket", client.head)

    def test_other_method(self) -> None:
        """Only GET opens a WebSocket."""
        client = self.world.arrive()
        client.send(handshake().replace(b"GET", b"POST"))
        self.assertEqual(client.status, 405)
        self.assertIn("Allow: GET", client.head)

    def test_draft_version(self) -> None:
        """Drafts of the protocol are not spoken; the answer says what is."""
        client = self.world.arrive()
        client.send(handshake().replace(b"Version: 13", b"Version: 8"))
        self.assertEqual(client.status, 400)
        self.assertIn("Sec-WebSocket-Version: 13", client.head)

    def test_mute(self) -> None:
        """A socket that does not finish its handshake is dropped after five seconds."""
        client = self.world.arrive()
        for _ in range(4):
            client.send(b"G")
            self.world.advance(1)
        self.assertFalse(client.transport.lost)
        self.world.advance(1.5)
        self.assertTrue(client.transport.aborted)

    @given(st.binary(max_size=300), st.lists(st.integers(1, 40), min_size=1, max_size=10))
    def test_handshake_garbage(self, garbage: bytes, cuts: list[int]) -> None:
        """No handshake raises; it is refused, or times out."""
        world = World()
        client = world.arrive()
        stream = b"GET / HTTP/1.1\r\n" + garbage + b"\r\n\r\n"
        at = 0
        for size in cycle(cuts):
            client.send(stream[at : at + size])
            at += size
            if at >= len(stream):
                break
        world.advance(20)
        self.assertTrue(client.transport.lost)
        self.assertEqual(self.flushLoggedErrors(ChatError), [])


class CompressionTests(SynchronousTestCase):
    """What is answered to `Sec-WebSocket-Extensions`."""

    def answer(self, offered: str, *, compression: bool = True, path: str = "/") -> str:
        """The extensions in the answer, of a connection that opens in any case."""
        client = World(compression=compression).arrive()
        client.send(handshake(path, more=(f"Sec-WebSocket-Extensions: {offered}",)))
        self.assertEqual(client.status, 101, offered)
        found = [line for line in client.head.split("\r\n") if "Extensions" in line]
        return "".join(found).removeprefix("Sec-WebSocket-Extensions: ")

    def test_off(self) -> None:
        """Nothing is agreed to unless it is switched on."""
        self.assertEqual(self.answer("permessage-deflate", compression=False), "")

    def test_agreed(self) -> None:
        """What browsers and libraries offer is taken."""
        both = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
        for offered, agreed in (
            ("permessage-deflate", ""),
            ("permessage-deflate; client_max_window_bits", "; client_max_window_bits=12"),
            ('Permessage-Deflate ;client_max_window_bits="10"', "; client_max_window_bits=10"),
            (
                "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12",
                "; server_max_window_bits=12; client_max_window_bits=12",
            ),
            ("permessage-deflate; server_max_window_bits=9, permessage-deflate", ""),
        ):
            self.assertEqual(self.answer(offered), both + agreed)

    def test_declined(self) -> None:
        """With an offer that cannot be taken or makes no sense, it goes on without."""
        for offered in (
            "permessage-deflate; server_max_window_bits=9",
            "permessage-deflate; server_max_window_bits=junk",
            "permessage-deflate; client_no_context_takeover=1",
            "permessage-bzip2; client_max_compress_level=junk",
            "permessage-brotli",
            "x-webkit-deflate-frame, mux; a=b; a=b",
            ";;,,;=",
            "",
        ):
            for on in (True, False):
                self.assertEqual(self.answer(offered, compression=on), "", offered)


class UpgradeTests(LogCase):
    """The way of common handshakes, beside Autobahn's."""

    def test_is_taken(self) -> None:
        """A common handshake is not read by Autobahn."""
        client = World().arrive()
        client.transport.protocol.processHandshake = lambda: self.fail("read by Autobahn")
        client.send(handshake("/plain"))
        self.assertEqual(client.status, 101)

    @settings(max_examples=_EXAMPLES, suppress_health_check=[HealthCheck.differing_executors])
    @given(heads(), st.booleans())
    def test_is_the_same(self, head: bytes, compression: bool) -> None:
        """Whatever the head, the answer, the state and the log are as if Autobahn had read it."""
        one, other = self._world(compression), self._world(compression)
        before = len(self.events)
        mine = one.arrive()
        mine.send(head)
        middle = len(self.events)
        theirs = other.arrive()
        theirs.transport.protocol._dataReceived(head)
        self.assertEqual(mine.transport.taken, theirs.transport.taken)
        self.assertEqual(self._left(one, mine), self._left(other, theirs))
        self.assertEqual(self._said(before, middle), self._said(middle, len(self.events)))
        self.assertTrue(read(head) is None or mine.status in (101, 403, 404))

    def _world(self, compression: bool) -> World:
        world = World(greeting="hello" * 300, compression=compression)
        world.turn()
        return world

    def _left(self, world: World, client: Client) -> dict[str, object]:
        """What the rest reads of a handshake, and what came of it."""
        world.turn()
        protocol = client.transport.protocol
        names = ["state", "data", "who", "admitted_from", "wasClean", "maxMessagePayloadSize"]
        if protocol.state == protocol.STATE_OPEN:
            names += ["http_request_path", "websocket_version"]
            names += ["inside_message", "current_frame", "terms", "_title"]
        left = {name: getattr(protocol, name) for name in names}
        return {
            **left,
            "inflates": protocol._perMessageCompress is not None,
            "lost": client.transport.lost,
            "admitted": len(world.admission),
            "taken": client.transport.taken,
            "deadlines": len(world.wheel),
        }

    def _said(self, begin: int, end: int) -> list[str]:
        return [formatEvent(event) for event in self.events[begin:end]]
