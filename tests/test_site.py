"""`chatd.doors.site`: each path leads somewhere, and a WebSocket out of HTTP."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support.doors import Client, World
from tests.support.http import body, request
from tests.support.rfc6455 import PING, PONG, TEXT, client_frame, close, handshake


class RouteTests(SynchronousTestCase):
    """Paths."""

    def setUp(self) -> None:
        self.world = World()

    def get(self, data: bytes) -> Client:
        """Send bytes on a new connection."""
        client = self.world.browse()
        client.send(data)
        return client

    def test_page(self) -> None:
        """Every path that is nothing else is the page's."""
        for path in ("/", "/anything", "/greet/", "//greet"):
            self.assertEqual(body(self.get(request(path))), b"a page", path)

    def test_greet(self) -> None:
        """GET /greet says hello as text, with a query too."""
        for path in ("/greet", "/greet?x=1"):
            client = self.get(request(path))
            self.assertEqual((client.status, body(client)), (200, b"Hello chatd!"))
            self.assertIn("Content-Type: text/plain", client.head)

    def test_not_a_handshake(self) -> None:
        """A plain request to a WebSocket path is told what is there, and may go on."""
        client = self.get(request("/plain"))
        self.assertEqual(client.status, 426)
        self.assertIn("HTTP/1.1 426 Upgrade Required", client.head)
        self.assertIn("Upgrade: websocket", client.head)
        client.send(request("/greet"))
        self.assertIn(b"Hello chatd!", client.transport.taken)

    def test_head_opens_nothing(self) -> None:
        """Only GET opens a WebSocket."""
        handshake_of_head = handshake("/plain", host="localhost:1920").replace(b"GET", b"HEAD")
        self.assertEqual(self.get(handshake_of_head).status, 405)

    def test_closed_door(self) -> None:
        """A WebSocket path whose door is shut is not found."""
        self.assertEqual(self.get(handshake("/greeter", host="localhost:1920")).status, 404)


class RegistryTests(SynchronousTestCase):
    """All connections of the site."""

    def setUp(self) -> None:
        self.world = World()
        self.client = self.world.browse()

    def test_sockets(self) -> None:
        """Sockets of the site and of the WebSocket port have one limit, and depart."""
        world = World(connections=1)
        clients = [world.browse() for _ in range(200)]
        self.assertTrue(clients[-1].transport.lost)
        self.assertTrue(world.arrive().transport.lost)
        for client in clients:
            if not client.transport.lost:
                client.transport.abortConnection()
        self.assertFalse(world.arrive().transport.lost)
        self.assertEqual(len(world.site.channels), 0)

    def test_goodbye(self) -> None:
        """At a stop connections end, also those that do not read, and nobody comes in."""
        reader = self.world.browse()
        reader.transport.reads = False
        reader.send(request("/big"))
        self.world.site.goodbye()
        self.assertTrue(self.client.transport.lost)
        self.assertTrue(self.world.browse().transport.lost)
        self.world.advance(6)
        self.assertTrue(reader.transport.aborted)

    def test_no_timer(self) -> None:
        """Neither a connection nor the site costs a timer of the reactor."""
        self.world.turn()
        self.world.site.startFactory()
        self.client.send(request())
        self.assertEqual(self.world.clock.getDelayedCalls(), [])
        self.world.site.stopFactory()


class HandOverTests(SynchronousTestCase):
    """A WebSocket that comes in by the site."""

    def setUp(self) -> None:
        self.world = World(greeting="")

    def open(self, *more: str, origin: str | None = "http://localhost:1920") -> Client:
        """A client that has opened a WebSocket at /plain."""
        client = self.world.browse("10.0.0.1")
        client.send(handshake("/plain?nick=ann", host="localhost:1920", origin=origin, more=more))
        return client

    def test_talks(self) -> None:
        """It talks with those of the other port."""
        client, other = self.open(), self.world.open()
        client.say("hello")
        other.say("hi")
        self.world.turn()
        self.assertEqual(client.status, 101)
        self.assertEqual((client.texts, other.texts), (["hello", "hi"], ["hello", "hi"]))

    def test_outbox(self) -> None:
        """Its outbox is bounded too: the channel's producer is replaced."""
        client = self.open()
        client.transport.reads = False
        client.transport.write(b"x" * 70_000)
        self.assertTrue(client.transport.held)
        client.send(client_frame(PING))
        client.transport.take()
        self.assertNotIn(bytes((0x80 | PONG,)), client.transport.taken[-10:])

    def test_counted_once(self) -> None:
        """It is one socket and one connection, and none when it is gone."""
        world = World(connections=1, connections_per_address=1)
        self.world = world
        client = self.open()
        self.assertEqual((len(world.admission), len(world.site.channels)), (1, 0))
        self.assertEqual(self.open().status, 503)
        client.send(close())
        world.advance(10)
        self.assertEqual(world.admission._sockets_now, 0)
        self.assertEqual(self.open().status, 101)

    def test_no_deadline_of_http(self) -> None:
        """The deadlines of HTTP do not end a conversation."""
        client = self.open()
        for _ in range(5):
            self.world.advance(10)
            client.send(client_frame(PONG))
        self.assertFalse(client.transport.lost)

    def test_early_data(self) -> None:
        """A frame before the answer is refused, not lost between two parsers."""
        client = self.world.browse()
        client.send(handshake("/plain", host="localhost:1920") + client_frame(TEXT, b"early"))
        self.assertEqual(client.status, 400)

    def test_body(self) -> None:
        """A handshake with a body is none."""
        client = self.world.browse()
        head = handshake("/plain", host="localhost:1920", more=("Content-Length: 5",))
        client.send(head + b"hello")
        self.assertEqual(client.status, 400)

    def test_old_http(self) -> None:
        """A handshake of HTTP/1.0 is refused."""
        client = self.world.browse()
        client.send(handshake("/plain", host="localhost:1920", version="HTTP/1.0"))
        self.assertEqual(client.status, 505)

    def test_header_smuggling(self) -> None:
        """A header cannot be split by what twisted.web takes for part of it."""
        client = self.open("X-Junk: a\x85Origin: http://localhost:1920", origin=None)
        self.assertEqual(client.status, 400)

    def test_headers_twice(self) -> None:
        """What must come once and comes twice is refused, not joined."""
        twice = ("Sec-WebSocket-Extensions: a", "Sec-WebSocket-Extensions: b")
        client = self.open(*twice)
        self.assertEqual(client.status, 400)
