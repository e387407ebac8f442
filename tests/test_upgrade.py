"""`chatd.doors.upgrade`: common handshakes are read, all others are left alone."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from chatd.doors.upgrade import agreement, read
from tests.support.rfc6455 import ACCEPT, KEY, handshake


class ReadTests(SynchronousTestCase):
    """What is read, and what is not."""

    def test_common(self) -> None:
        """A handshake in order is read: its URI, path, headers and key."""
        upgrade = read(handshake("/plain?room=a&nick=b", origin="http://localhost:1919"))
        assert upgrade is not None
        self.assertEqual(upgrade.uri, "/plain?room=a&nick=b")
        self.assertEqual(upgrade.path, "/plain")
        self.assertEqual(upgrade.key, KEY)
        self.assertEqual(upgrade.headers["host"], "localhost:1919")
        self.assertEqual(upgrade.headers["origin"], "http://localhost:1919")

    def test_spellings(self) -> None:
        """Names in any case, spaces around values, and Firefox's Connection are common."""
        head = handshake().replace(b"Connection: Upgrade", b"CONNECTION:keep-alive, Upgrade ")
        self.assertIsNotNone(read(head.replace(b"websocket\r\n", b"WebSocket\t\r\n")))

    def test_left(self) -> None:
        """What is not plainly in order is left to who knows its error, or what to agree to."""
        whole = handshake(origin="http://localhost:1919", more=("X-More: a",))
        self.assertIsNotNone(read(whole))
        for old, new in (
            ("GET", "POST"),
            ("GET", "get"),
            ("GET /", "GET  /"),
            ("GET / ", "GET / \t"),
            ("GET / ", "GET /a\tb "),
            ("GET /", "GET http://localhost/"),
            ("GET /", "GET /#"),
            ("GET /", "GET /;a"),
            ("HTTP/1.1", "HTTP/1.0"),
            ("Host: localhost:1919\r\n", ""),
            ("localhost:1919\r\nUp", "localhost:x\r\nUp"),
            ("localhost:1919\r\nUp", "[::1]\r\nUp"),
            ("Upgrade: websocket\r\n", ""),
            ("Upgrade: websocket", "Upgrade: websocket, h2c"),
            ("Connection: Upgrade\r\n", ""),
            ("Connection: Upgrade", "Connection: close"),
            ("Version: 13", "Version: 8"),
            ("Version: 13", "Version: 013"),
            (KEY, KEY[1:]),
            (KEY, KEY + "="),
            (KEY, "-" + KEY[1:]),
            (f"Sec-WebSocket-Key: {KEY}\r\n", ""),
            ("Origin: http", "Origin: null http"),
            ("Origin: http://localhost:1919", "Origin: http://localhost:99999"),
            ("Origin: http://localhost:1919", "Origin:"),
            ("X-More: a", "host : localhost"),
            ("X-More: a", "X-More"),
            ("X-More: a", ": a"),
            ("X-More: a", "X-More: a\nOrigin: b"),
            ("X-More: a", "X-More: a\rOrigin: b"),
            ("X-More: a", "Sec-WebSocket-Protocol: a"),
        ):
            changed = whole.replace(old.encode(), new.encode(), 1)
            self.assertNotEqual(changed, whole, old)
            self.assertIsNone(read(changed), (old, new))


class AgreementTests(SynchronousTestCase):
    """The answer."""

    def test_key(self) -> None:
        """The answer holds the hash of the RFC's example."""
        answer = agreement(KEY, {}).decode()
        self.assertTrue(answer.startswith("HTTP/1.1 101 "))
        self.assertIn(f"\r\nSec-WebSocket-Accept: {ACCEPT}\r\n\r\n", answer)

    def test_more(self) -> None:
        """What is agreed to beside stands in the answer as a header of its own."""
        plain, more = agreement(KEY, {}), agreement(KEY, {"Sec-WebSocket-Extensions": "x; y"})
        self.assertEqual(more.replace(b"Sec-WebSocket-Extensions: x; y\r\n", b""), plain)
        self.assertNotEqual(more, plain)
