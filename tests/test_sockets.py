"""`chatd.doors.sockets`: a socket is Twisted's in all but its bytes."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.tcp import Server
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from chatd.doors.sockets import LeanServer, make_lean

SHOWN = {"logstr", "repstr"}  # differ, and are nobody's business but ours


class Talk(Protocol):
    """Echoes, and tells when it is there and when it is gone."""

    made: Deferred[Any]
    gone: Deferred[Any]

    def connectionMade(self) -> None:
        self.made.callback(self.transport)

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.gone.callback(type(reason.value).__name__)


class LeanTests(TestCase):
    """Connections to a port."""

    def _connect(self, *, lean: bool) -> tuple[socket.socket, Talk]:
        from twisted.internet import reactor

        on: Any = reactor
        talk = Talk()
        talk.made, talk.gone = Deferred(), Deferred()
        factory = Factory.forProtocol(lambda: talk)
        factory.noisy = False
        port = on.listenTCP(0, factory, interface="127.0.0.1")
        if lean:
            make_lean(port)
        client = socket.create_connection(("127.0.0.1", port.getHost().port), 5)
        client.setblocking(False)
        self.addCleanup(port.stopListening)
        self.addCleanup(client.close)
        return client, talk

    async def test_as_original(self) -> None:
        """Whatever Twisted gives a connection is there, with the same value or kind of it."""
        made = []
        for lean in (False, True):
            client, talk = self._connect(lean=lean)
            made.append(await talk.made)
            made[-1].registerProducer(talk, True)
            client.close()
            made[-1].unregisterProducer()
            await talk.gone
        original, slim = made
        self.assertIs(type(original), Server)
        self.assertIs(type(slim), LeanServer)
        self.assertTrue(ITCPTransport.providedBy(slim))
        for name, value in vars(original).items():
            self.assertIs(type(getattr(slim, name)), type(value), name)
            if isinstance(value, int | bytes | str) and name not in SHOWN | {"sessionno"}:
                self.assertEqual(getattr(slim, name), value, name)

    async def test_life(self) -> None:
        """It reads and writes, says who it is, and ends; then it has no descriptor."""
        client, talk = self._connect(lean=True)
        transport = await talk.made
        self.assertEqual(transport.getPeer().port, client.getsockname()[1])
        self.assertEqual((transport.hostname, transport.logPrefix()), ("127.0.0.1", "127.0.0.1"))
        self.assertEqual(repr(transport), f"<LeanServer #{transport.sessionno} from 127.0.0.1>")
        self.assertEqual(transport.fileno(), transport.getHandle().fileno())
        self.assertEqual(set(vars(transport)), {"fileno"})
        transport.write(b"bye")
        transport.loseConnection()
        self.assertEqual(await talk.gone, "ConnectionDone")
        self.assertEqual(transport.fileno(), -1)
        self.assertFalse(hasattr(transport, "socket"))
        self.assertEqual(client.recv(10), b"bye")

    async def test_abort(self) -> None:
        """It can be aborted."""
        _, talk = self._connect(lean=True)
        transport = await talk.made
        transport.abortConnection()
        self.assertEqual(await talk.gone, "ConnectionAborted")

    def test_other_ports(self) -> None:
        """What is no TCP port stays as it is."""
        other = Factory()
        make_lean(other)
        self.assertFalse(hasattr(other, "transport"))
