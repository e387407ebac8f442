"""`chatd.doors.lean`: a connection is Autobahn's in all but its bytes."""

from __future__ import annotations

import sys
from typing import Any

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from chatd.doors.lean import LeanProtocol, configured
from tests.support.doors import World
from tests.support.rfc6455 import CONTINUATION, PING, TEXT, client_frame, handshake

REPLACED = {"is_open", "is_closed", "trafficStats", "send_queue", "utf8validator", "peer"}
UNREAD = {"_results", "_transport_details", "_valid_events"}  # by what is not overridden
OPTIONS = {"webStatus": False, "autoPingInterval": 0, "openHandshakeTimeout": 0}


def factory() -> WebSocketServerFactory:
    """Autobahn's, with some options."""
    made = WebSocketServerFactory()
    made.setProtocolOptions(**OPTIONS)
    return made


def connected(protocol: WebSocketServerProtocol, of: WebSocketServerFactory) -> StringTransport:
    """Connect a protocol to nobody."""
    transport = StringTransport()
    protocol.factory = of
    protocol.makeConnection(transport)
    return transport


class LeanTests(SynchronousTestCase):
    """One connection."""

    def setUp(self) -> None:
        self.world = World()

    def test_as_original(self) -> None:
        """Whatever Autobahn gives a connection at its beginning is there, with the same value."""
        of = factory()
        original, lean = WebSocketServerProtocol(), configured(LeanProtocol, of)()
        for protocol in (original, lean):
            connected(protocol, of)
        for name, value in vars(original).items():
            if name not in UNREAD:
                self.assertTrue(hasattr(lean, name), name)
            if name not in REPLACED | UNREAD | {"transport"}:
                self.assertEqual(getattr(lean, name), value, name)
        self.assertEqual(of.getConnectionCount(), 2)

    def test_as_original_open(self) -> None:
        """A handshake is answered as Autobahn does; what is set then can be read meanwhile."""
        of = factory()
        original, lean = WebSocketServerProtocol(), configured(LeanProtocol, of)()
        answers = []
        for protocol in (original, lean):
            transport = connected(protocol, of)
            protocol.dataReceived(handshake("/x?y=z"))
            answers.append(transport.value())
        self.assertEqual(answers[0], answers[1])
        for name, value in vars(original).items():
            if name not in REPLACED | UNREAD | {"transport"}:
                self.assertEqual(getattr(lean, name), value, name)

    def test_options_are_shared(self) -> None:
        """Options belong to the class; one that is a function stays one."""
        of = factory()
        lean: Any = configured(LeanProtocol, of)
        self.assertFalse(lean.webStatus)
        self.assertIsNone(lean().perMessageCompressionAccept([]))
        self.assertEqual(
            (lean.__name__, lean.__module__), ("LeanProtocol", LeanProtocol.__module__)
        )

    def test_handshake_is_forgotten(self) -> None:
        """Of an open connection's handshake the path is kept, nothing else."""
        protocol = self.world.open().transport.protocol
        self.assertEqual(protocol.http_request_path, "/")
        for name in ("http_headers", "http_request_data", "http_response_data", "_wskey"):
            with self.assertRaisesRegex(AttributeError, name):
                getattr(protocol, name)
        self.assertFalse(LeanProtocol.http_headers is None)

    def test_not_shared(self) -> None:
        """Handshakes under way at once do not see each other."""
        of = factory()
        one, two = configured(LeanProtocol, of)(), configured(LeanProtocol, of)()
        one.http_request_uri = "/one"
        two.http_request_uri = "/two"
        self.assertEqual((one.http_request_uri, two.http_request_uri), ("/one", "/two"))
        one.forget_handshake()
        self.assertFalse(hasattr(one, "http_request_uri"))
        self.assertEqual(two.http_request_uri, "/two")

    def test_parts_of_a_text(self) -> None:
        """A text whose letter is parted is read as one, whoever else sends parts meanwhile."""
        one, two = self.world.open(), self.world.open()
        for client in (one, two):
            client.send(client_frame(TEXT, b"\xc3", fin=False))
        one.send(client_frame(PING, b"!"))
        for client in (one, two):
            client.send(client_frame(CONTINUATION, b"\xa9"))
        self.world.turn()
        self.assertEqual(one.texts.count("é"), 2)
        self.assertIsNone(two.close)

    def test_small(self) -> None:
        """An open connection has nothing in a dictionary but its largest message."""
        client = self.world.open()
        client.say("x")
        client.send(client_frame(PING, b"!"))
        protocol = client.transport.protocol
        self.assertIsNone(protocol._utf8validator)
        self.assertIsNone(protocol.current_frame_masker)
        self.assertEqual(set(protocol.__dict__), {"maxMessagePayloadSize"})
        self.assertLess(sys.getsizeof(protocol), 512)
