"""`chatd.doors.channel`: what twisted.web leaves open is closed."""

from __future__ import annotations

import tempfile
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from chatd.doors.assets import PageResource, load, web_root
from tests.support.doors import Client, World
from tests.support.http import HOST, body, request
from tests.support.logs import LogCase


class AnswerTests(SynchronousTestCase):
    """Methods, and what answers look like."""

    def setUp(self) -> None:
        self.world = World()

    def get(self, data: bytes) -> Client:
        """Send bytes on a new connection."""
        client = self.world.browse()
        client.send(data)
        return client

    def test_banned(self) -> None:
        """From a banned address nothing can be posted, and the page can be looked at."""
        self.world.ban("203.0.113.7")
        for host, status in (("203.0.113.7", 403), ("203.0.113.8", 405)):
            client = self.world.browse(host)
            client.send(request("/greet", HOST, "Content-Length: 0", method="POST"))
            self.assertEqual(client.status, status)
        client = self.world.browse("203.0.113.7")
        client.send(request("/greet"))
        self.assertEqual(client.status, 200)

    def test_head(self) -> None:
        """HEAD has GET's headers and no body."""
        client = self.get(request("/greet", method="HEAD"))
        self.assertIn("Content-Length: 12", client.head)
        self.assertEqual(body(client), b"")

    def test_head_of_a_page(self) -> None:
        """HEAD of the page has the length that GET would have."""
        self.world.site.resource = PageResource(load(web_root(), own=True))
        client = self.get(request("/", method="HEAD"))
        length = int(client.head.partition("Content-Length: ")[2].split()[0])
        self.assertEqual(length, len(body(self.get(request("/")))))
        self.assertEqual(body(client), b"")

    def test_other_methods(self) -> None:
        """What is only to be read is not written."""
        for method in ("POST", "PUT", "DELETE", "BREW"):
            for path in ("/greet", "/plain"):
                client = self.get(request(path, HOST, "Content-Length: 0", method=method))
                self.assertEqual(client.status, 405, method)
                self.assertIn("Allow: ", client.head)

    def test_pipelined(self) -> None:
        """Requests sent together are answered in order."""
        client = self.get(request("/greet") + request("/"))
        self.assertLess(
            client.transport.taken.index(b"Hello"), client.transport.taken.index(b"a page")
        )


class HeaderTests(SynchronousTestCase):
    """What every answer says."""

    def test_everywhere(self) -> None:
        """Every answer carries the headers that browsers need to be strict."""
        world = World()
        for data in (request(), request("/greet"), request("/plain"), request("/", "Host: x")):
            client = world.browse()
            client.send(data)
            for header in (
                "Server: chatd",
                "X-Content-Type-Options: nosniff",
                "X-Frame-Options: DENY",
                "Referrer-Policy: no-referrer",
                "Permissions-Policy: camera=()",
                "Cross-Origin-Opener-Policy: same-origin",
                "Cross-Origin-Resource-Policy: same-origin",
                "Content-Security-Policy: default-src 'none'; script-src 'self'",
                "require-trusted-types-for 'script'; trusted-types 'none'",
            ):
                self.assertIn(header, client.head)
            self.assertNotIn("Twisted", client.head)

    def test_foreign_page(self) -> None:
        """Somebody's own page may have its scripts where it likes; the rest holds."""
        client = World(strict=False).browse()
        client.send(request())
        self.assertNotIn("Content-Security-Policy", client.head)
        self.assertIn("X-Content-Type-Options: nosniff", client.head)

    def test_own_address(self) -> None:
        """The policy names the WebSocket of this very address, for older Safari."""
        client = World().browse()
        client.send(request())
        self.assertIn("connect-src 'self' ws://localhost:1920 wss://localhost:1920;", client.head)

    def test_strange_address(self) -> None:
        """An address that is no plain name is left out of the policy."""
        client = World().browse()
        client.send(request("/", "Host: [fe80::1%25'; script-src *]"))
        self.assertNotIn("script-src *", client.head)


class JudgeTests(SynchronousTestCase):
    """Host and Origin."""

    def setUp(self) -> None:
        self.world = World()

    def status(self, *lines: str, path: str = "/") -> int:
        """The answer to a request with these headers."""
        client = self.world.browse()
        client.send(request(path, *lines))
        return client.status

    def test_own(self) -> None:
        """Our own names and pages are served."""
        self.assertEqual(self.status(HOST), 200)
        self.assertEqual(self.status("Host: 127.0.0.1"), 200)
        self.assertEqual(self.status(HOST, "Origin: http://localhost:1919"), 200)

    def test_foreign(self) -> None:
        """Foreign names and pages are told 403, on every path."""
        for path in ("/", "/greet", "/plain", "/nowhere"):
            self.assertEqual(self.status("Host: evil.example", path=path), 403)
            self.assertEqual(self.status(HOST, "Origin: http://evil.example", path=path), 403)

    def test_nothing_after_a_refusal(self) -> None:
        """What follows a malformed request is neither answered nor kept."""
        client = self.world.browse()
        client.send(request("/", HOST, HOST))
        client.send(request("/greet") * 100)
        self.assertEqual(client.transport.taken.count(b"HTTP/1.1"), 1)
        self.assertEqual(client.transport.protocol._dataBuffer, [])

    def test_malformed(self) -> None:
        """No Host, two of them or two Origins are no request."""
        self.assertEqual(self.status("X: y"), 400)
        self.assertEqual(self.status(HOST, HOST), 400)
        own = "Origin: http://localhost:1920"
        self.assertEqual(self.status(HOST, own, own), 400)


class LimitTests(LogCase):
    """Bodies, headers, numbers."""

    def setUp(self) -> None:
        super().setUp()
        self.world = World(body_bytes=1000)

    def test_large_body(self) -> None:
        """A body over the limit is refused before it comes, and nothing of it is kept."""
        files: list[object] = []
        self.patch(tempfile, "TemporaryFile", lambda *a, **k: files.append(a))
        client = self.world.browse()
        client.send(request("/nowhere", HOST, "Content-Length: 9999999999", method="POST"))
        self.assertEqual(client.status, 413)
        for _ in range(100):
            client.send(b"x" * 65536)
        self.assertEqual(client.transport.taken.count(b"HTTP/1.1"), 1)
        self.assertEqual(files, [])
        self.assertEqual(client.transport.protocol._dataBuffer, [])
        self.world.advance(3)
        self.assertTrue(client.transport.lost)

    def test_endless_length(self) -> None:
        """A length of thousands of digits is refused and raises nothing."""
        client = self.world.browse()
        client.send(request("/", "Content-Length: " + "9" * 5000, HOST, method="POST"))
        self.assertEqual(client.status, 400)

    def test_awaited_body(self) -> None:
        """Nobody is told to go on with a body that was refused; others are."""
        for length, status in ((9999999, 413), (5, 100)):
            client = self.world.browse()
            lines = (HOST, f"Content-Length: {length}", "Expect: 100-continue")
            client.send(request("/", *lines, method="POST"))
            self.assertEqual(client.status, status)
            self.assertEqual(client.transport.taken.count(b"HTTP/1.1"), 1)

    def test_chunked_body(self) -> None:
        """A body in chunks is counted as it comes."""
        client = self.world.browse()
        client.send(request("/", HOST, "Transfer-Encoding: chunked", method="POST"))
        client.send(b"200\r\n" + b"x" * 512 + b"\r\n")
        self.assertEqual(client.status, 0)
        client.send(b"200\r\n" + b"x" * 512 + b"\r\n")
        self.assertEqual(client.status, 413)
        client.send(b"0\r\n\r\n")
        self.assertEqual(client.transport.taken.count(b"HTTP/1.1"), 1)

    def test_chunked_in_one_packet(self) -> None:
        """A body that is whole with the packet that is too much is refused once."""
        client = self.world.browse()
        head = request("/", HOST, "Transfer-Encoding: chunked", method="POST")
        client.send(
            head + b"400\r\n" + b"x" * 1024 + b"\r\n400\r\n" + b"x" * 1024 + b"\r\n0\r\n\r\n"
        )
        self.assertEqual(client.transport.taken.count(b"HTTP/1.1"), 1)
        self.assertEqual(client.status, 413)

    def test_small_body(self) -> None:
        """A body within the limit is taken."""
        client = self.world.browse()
        client.send(request("/greet", HOST, "Content-Length: 1000") + b"x" * 1000)
        self.assertEqual(client.status, 200)

    def test_form(self) -> None:
        """No form is parsed before somebody asks for it."""
        seen: list[Any] = []

        class Form(Resource):
            isLeaf = True

            def render_POST(self, request: Any) -> bytes:
                seen.append(request.args)
                return b""

        self.world.site._routes[b"/form"] = Form()  # type: ignore[index]
        form = "Content-Type: application/x-www-form-urlencoded"
        client = self.world.browse()
        client.send(request("/form", HOST, form, "Content-Length: 3", method="POST") + b"a=b")
        self.assertEqual(seen, [{}])

    def test_headers(self) -> None:
        """More than 64 headers are refused."""
        client = self.world.browse()
        client.send(request("/", HOST, *(f"X{n}: y" for n in range(63))))
        self.assertEqual(client.status, 200)
        client = self.world.browse()
        client.send(request("/", HOST, *(f"X{n}: y" for n in range(64))))
        self.assertEqual(client.status, 431)

    def test_large_headers(self) -> None:
        """Headers over 16 KiB are refused, in one line or in many."""
        for lines in (["X: " + "y" * 20_000], [f"X{n}: " + "y" * 1000 for n in range(20)]):
            client = self.world.browse()
            client.send(request("/", HOST, *lines))
            self.assertEqual(client.status, 431)

    def test_no_request(self) -> None:
        """What is no HTTP is told so, and logged."""
        client = self.world.browse()
        client.send(b"nonsense\r\n\r\n")
        self.assertEqual(client.status, 400)
        self.assertIn("400 'not a request'", self.lines[-1])


class DeadlineTests(LogCase):
    """Time."""

    def setUp(self) -> None:
        super().setUp()
        self.world = World()
        self.client = self.world.browse()

    def drip(self, data: bytes, seconds: int) -> None:
        """Send a byte a second."""
        for at in range(seconds):
            self.client.send(data[at : at + 1] or b"x")
            self.world.advance(1)

    def test_mute(self) -> None:
        """A connection on which nothing comes is closed after ten seconds."""
        self.world.advance(11)
        self.assertTrue(self.client.transport.lost)

    def test_header_drip(self) -> None:
        """Bytes do not move the deadline of a request."""
        self.drip(b"GET / HTTP/1.1\r\n", 9)
        self.assertFalse(self.client.transport.lost)
        self.drip(b"X: ", 2)
        self.assertTrue(self.client.transport.lost)

    def test_late_requests_are_logged(self) -> None:
        """A request that came in part is logged; a connection that was idle is not."""
        self.client.send(request("/"))
        idle = self.world.browse()
        late = self.world.browse()
        late.send(b"GET /")
        self.world.advance(40)
        self.assertTrue(idle.transport.lost)
        self.assertEqual(len(self.lines), 1)
        self.assertIn("408 'request not finished in time'", self.lines[0])

    def test_ending(self) -> None:
        """What still comes while a connection ends is not answered and moves no deadline."""
        # As TLS does, which waits for the other side.
        self.client.transport.loseConnection = lambda: None  # type: ignore[method-assign]
        self.client.send(request("/"))
        self.world.advance(31)
        taken = self.client.transport.taken
        for _ in range(6):
            self.client.send(request("/greet"))
            self.world.advance(1)
        self.assertEqual(self.client.transport.taken, taken)
        self.assertTrue(self.client.transport.aborted)

    def test_ended_twice(self) -> None:
        """The deadline that was there is gone when the connection is ended for another reason."""
        aborts: list[int] = []
        self.client.transport.loseConnection = lambda: None  # type: ignore[method-assign]
        self.client.transport.abortConnection = (  # type: ignore[method-assign]
            lambda: aborts.append(1)
        )
        self.client.transport.protocol.end()
        self.world.advance(30)
        self.assertEqual(aborts, [1])

    def test_body_drip(self) -> None:
        """Nor do those of a body."""
        self.client.send(request("/", HOST, "Content-Length: 1000", method="POST"))
        self.drip(b"", 11)
        self.assertTrue(self.client.transport.lost)

    def test_next_request_drip(self) -> None:
        """Nor those of a second request; it has its own ten seconds."""
        self.client.send(request())
        self.world.advance(5)
        self.drip(b"GET / HTTP/1.1\r\n", 9)
        self.assertFalse(self.client.transport.lost)
        self.drip(b"X: ", 2)
        self.assertTrue(self.client.transport.lost)

    def test_idle(self) -> None:
        """A connection is kept for the next request for half a minute."""
        self.client.send(request())
        self.world.advance(29)
        self.assertFalse(self.client.transport.lost)
        self.world.advance(2)
        self.assertTrue(self.client.transport.lost)
        self.assertFalse(self.client.transport.aborted)

    def test_answer_not_read(self) -> None:
        """Who asks and does not read the answer is dropped, and no memory is kept for it."""
        self.client.transport.reads = False
        self.client.send(request("/big") * 50)
        self.assertLess(len(self.client.transport.unsent), 200_000)
        self.assertTrue(self.client.transport.held)
        self.world.advance(30)
        self.assertFalse(self.client.transport.lost)
        self.world.advance(6)
        self.assertTrue(self.client.transport.aborted)

    def test_answers_pile_up(self) -> None:
        """A packet full of requests is not answered faster than the answers are taken."""
        self.client.transport.reads = False
        self.client.send(request("/medium") * 100)
        self.assertLess(len(self.client.transport.unsent), 200_000)
        for _ in range(100):
            self.client.transport.take()
        self.assertEqual(self.client.transport.taken.count(b"HTTP/1.1 200"), 100)

    def test_errors_pile_up(self) -> None:
        """Nor are errors: the requests that were read wait for those before them to be taken."""
        self.client.transport.reads = False
        self.client.send(request("/greet", method="BREW") * 1000)
        self.assertLess(len(self.client.transport.unsent), 70_000)

    def test_requests_that_wait(self) -> None:
        """Requests that wait for an answer before them shorten none of its time."""
        self.client.transport.reads = False
        self.client.send(request("/big") + request("/medium"))
        for _ in range(2):
            self.client.transport.taken += self.client.transport.unsent
            self.client.transport.unsent = b""
            self.client.transport.protocol.resumeProducing()  # as when the kernel took it all
            self.world.advance(11)
        self.assertFalse(self.client.transport.disconnecting)
        self.assertEqual(self.lines, [])

    def test_answers_read_late(self) -> None:
        """Requests that waited for their turn are answered when the others were taken."""
        self.client.transport.reads = False
        self.client.send(request("/big") * 3)
        self.client.transport.take()
        self.assertEqual(self.client.transport.taken.count(b"HTTP/1.1 200"), 3)
        self.assertEqual(self.client.transport.taken.count(b"x" * 300_000), 3)
        self.assertFalse(self.client.transport.held)

    def test_nothing_left(self) -> None:
        """A connection that is gone leaves nothing to come."""
        self.client.send(request())
        self.client.transport.abortConnection()
        self.world.advance(60)
        self.assertEqual(len(self.world.wheel), 0)


class HandOverTests(SynchronousTestCase):
    """A socket that another protocol takes over."""

    def setUp(self) -> None:
        self.world = World()

    def test_wrapped(self) -> None:
        """Under a wrapper such as TLS the wrapper gets the new protocol."""
        client = self.world.browse()
        channel = client.transport.protocol
        wrapper = ProtocolWrapper(WrappingFactory(Factory()), channel)
        wrapper.transport = client.transport
        channel.transport = wrapper
        channel.hand_over(Protocol())
        self.assertIsNot(wrapper.wrappedProtocol, channel)
        self.assertIs(client.transport.protocol, channel)


class AnythingTests(SynchronousTestCase):
    """Hostile input."""

    @given(st.binary(max_size=500), st.integers(1, 100))
    def test_any_bytes(self, data: bytes, size: int) -> None:
        """No bytes raise, or are answered with 500, or keep a connection for ever."""
        world = World()
        client = world.browse()
        for at in range(0, len(data), size):
            client.send(data[at : at + size])
        self.assertNotIn(b" 500 ", client.transport.taken)
        world.advance(60)
        self.assertTrue(client.transport.lost)

    @given(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=60))
    def test_any_path(self, path: str) -> None:
        """No path raises."""
        world = World()
        client = world.browse()
        client.send(request(f"/{path}"))
        self.assertIn(client.status, (200, 400, 426))
