"""`chatd.doors.link`, over Twisted's real TCP transport and the kernel's real buffers."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import INegotiated, IPushProducer
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.tcp import Connection
from twisted.internet.testing import MemoryReactorClock
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from chatd.core.outbox import HIGH_WATER_BYTES, Outbox, State
from chatd.core.wheel import Wheel
from chatd.doors.link import Link, host_of, peer_name, set_no_delay, set_not_sent, unsent_bytes
from chatd.errors import NORMAL, Close


class NameTests(SynchronousTestCase):
    """Who somebody is."""

    def test_names(self) -> None:
        """A peer is named as people write addresses; a Unix socket has no address."""
        v4 = IPv4Address("TCP", "10.0.0.1", 5)
        v6 = IPv6Address("TCP", "::1", 5)
        unix = UNIXAddress("/run/x")
        self.assertEqual(
            [peer_name(each) for each in (v4, v6, unix, None)],
            ["10.0.0.1:5", "[::1]:5", "unix", "unix"],
        )
        self.assertEqual(
            [host_of(each) for each in (v4, v6, unix, None)], ["10.0.0.1", "::1", "", ""]
        )


class Nobody:
    """A `core.outbox.Feeder` for a peer that is in no room."""

    def catch_up(self, outbox: Outbox) -> None:
        """See `Feeder.catch_up`."""


class LinkTests(SynchronousTestCase):
    """One connection."""

    def setUp(self) -> None:
        self.reactor: Any = MemoryReactorClock()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.far = socket.create_connection(listener.getsockname())
            near, _ = listener.accept()
        self.addCleanup(self.far.close)
        self.addCleanup(near.close)
        near.setblocking(False)
        self.near = near
        self.transport: Any = Connection(near, Protocol(), self.reactor)
        self.transport.connected = 1
        self.closes: list[Close] = []
        self.drains: list[int] = []
        self.link = Link(self.transport, self.closes.append, lambda: self.drains.append(1))
        self.outbox = Outbox(self.link, Wheel(self.reactor.seconds), Nobody(), stall_timeout_s=60)
        self.link.attach(self.outbox)
        self.far.settimeout(10)

    def read(self, size: int) -> bytes:
        """Read that much at the far end, the near one writing as the reactor would."""
        data = b""
        while len(data) < size:
            if self.transport in self.reactor.writers:
                self.transport.doWrite()
            data += self.far.recv(1 << 20)
        return data

    def fill(self) -> int:
        """Write until the transport is above high water; returns how much was written."""
        while self.outbox.state is State.LIVE:
            self.outbox.put(b"x" * 65536)
        return self.link.written

    def test_producer(self) -> None:
        """It is a push producer, and the transport's only one."""
        verifyObject(IPushProducer, self.link)
        self.assertIs(self.transport.producer, self.link)
        self.assertEqual(self.transport.bufferSize, HIGH_WATER_BYTES)

    def test_at_once(self) -> None:
        """With nothing before it, data is sent without asking the reactor."""
        self.link.write(b"hello")
        self.assertEqual(self.far.recv(100), b"hello")
        self.assertNotIn(self.transport, self.reactor.writers)
        self.assertEqual(self.link.written, 5)

    def test_not_under_tls(self) -> None:
        """A transport that speaks TLS is never written to directly."""

        class Tls(Protocol):
            clear = b""

            def write(self, data: bytes) -> None:
                self.clear += data

        self.transport.TLS = True
        self.transport.protocol = Tls()
        Link(self.transport, self.closes.append, lambda: None).write(b"hello")
        self.assertEqual(self.transport.protocol.clear, b"hello")
        self.far.setblocking(False)
        self.assertRaises(BlockingIOError, self.far.recv, 100)

    def test_in_order(self) -> None:
        """What does not fit follows, and nothing overtakes it, though there is room again."""
        for turns in (0, 1):
            sent = self.fill()
            taken = len(self.far.recv(1 << 20))
            for _ in range(turns):
                self.transport.doWrite()
                taken += len(self.far.recv(1 << 20))
            before = self.link.written
            self.link.write(b"last")
            rest = self.read(sent + 4 - taken)
            self.assertEqual((rest.find(b"l"), len(rest)), (len(rest) - 4, sent + 4 - taken))
            self.assertEqual(self.link.written, before + 4)
            self.link.written = 0

    def test_not_while_ending(self) -> None:
        """Nothing is sent on a transport that is losing its connection, aborts it or lost it."""
        self.link.write(b"before")
        for attribute, value in (("disconnecting", 1), ("_aborting", True), ("connected", 0)):
            self.transport._tempDataBuffer = []
            before = getattr(self.transport, attribute)
            setattr(self.transport, attribute, value)
            calls: list[bytes] = []
            self.transport.writeSomeData = calls.append
            self.link.write(b"after")
            self.assertEqual(calls, [], attribute)
            setattr(self.transport, attribute, before)

    def test_not_behind_others(self) -> None:
        """While anything waits in the transport, nothing is sent before it."""
        for attribute, waiting in (("dataBuffer", b"x"), ("_tempDataBuffer", [b"x"])):
            calls: list[bytes] = []
            self.transport.writeSomeData = calls.append
            before = getattr(self.transport, attribute)
            setattr(self.transport, attribute, waiting)
            self.link.write(b"after")
            self.assertEqual(calls, [], attribute)
            setattr(self.transport, attribute, before)
            self.transport._tempDataBuffer = []

    def test_reset(self) -> None:
        """A link that is lost is for the reactor to find; writing does not raise."""
        self.far.close()
        for _ in range(10):
            self.link.write(b"x" * 1000)
        self.assertTrue(self.transport._tempDataBuffer or self.transport.dataBuffer)

    def test_high_water(self) -> None:
        """Above high water the outbox is told and reading stops; when drained, both end."""
        self.transport.startReading()
        sent = self.fill()
        self.assertIs(self.outbox.state, State.LAGGING)
        self.assertNotIn(self.transport, self.reactor.readers)
        self.outbox.answer(b"held")
        self.assertTrue(self.link.is_held)
        self.assertEqual(self.read(sent + 4)[-4:], b"held")
        self.assertFalse(self.link.is_held)
        while self.transport in self.reactor.writers:
            self.transport.doWrite()
        self.assertIs(self.outbox.state, State.LIVE)
        self.assertIn(self.transport, self.reactor.readers)
        self.assertEqual(self.drains, [1])

    def test_unsent(self) -> None:
        """What the kernel keeps counts, and what Twisted keeps counts, under wrappers too."""
        self.assertEqual(self.link.unsent(), 0)
        sent = self.fill()
        kept = len(self.transport.dataBuffer) + self.transport._tempDataLen
        self.assertGreater(self.link.unsent(), kept)
        self.assertLessEqual(self.link.unsent(), sent)
        wrapper = ProtocolWrapper(WrappingFactory(Factory()), Protocol())
        wrapper.transport = self.transport
        self.assertEqual(unsent_bytes(wrapper), self.link.unsent())
        taken = 0
        while taken < sent - kept:
            taken += len(self.far.recv(1 << 20))
        self.assertEqual(self.link.unsent(), kept)

    def test_unsent_of_nothing(self) -> None:
        """A transport that is no socket, or no more connected, has nothing unsent."""
        self.assertEqual(unsent_bytes(object()), 0)
        self.transport.connected = 0
        self.assertEqual(self.link.unsent(), 0)

    def test_close(self) -> None:
        """A goodbye is the protocol's to say."""
        self.link.close(NORMAL)
        self.assertEqual(self.closes, [NORMAL])

    def test_attached_to_nobody(self) -> None:
        """Before there is an outbox, the transport's calls mean nothing."""
        link = Link(self.transport, self.closes.append, lambda: self.drains.append(1))
        link.pauseProducing()
        link.resumeProducing()
        link.stopProducing()
        self.assertEqual(self.drains, [])

    def not_sent(self) -> int:
        """The socket's TCP_NOTSENT_LOWAT."""
        return self.near.getsockopt(socket.IPPROTO_TCP, 25)

    def test_not_sent(self) -> None:
        """The kernel keeps little that is not on its way; under TLS, of TLS, a little more."""
        self.assertEqual(self.not_sent(), 16384)

        @implementer(INegotiated)
        class Tls(ProtocolWrapper):
            """As Twisted's TLS is: around a bare transport."""

        inner = Tls(WrappingFactory(Factory()), Protocol())
        inner.transport = self.transport
        set_not_sent(inner)
        self.assertEqual(self.not_sent(), 65536)
        outer = ProtocolWrapper(WrappingFactory(Factory()), Protocol())
        outer.transport = self.transport
        set_not_sent(outer)
        self.assertEqual(self.not_sent(), 16384)
        self.transport.TLS = True
        set_not_sent(self.transport)
        self.assertEqual(self.not_sent(), 65536)

    def test_not_sent_elsewhere(self) -> None:
        """On a Unix socket, or on nothing, it is not set, and nothing fails."""
        near, far = socket.socketpair()
        self.addCleanup(near.close)
        self.addCleanup(far.close)
        unix: Any = Connection(near, Protocol(), self.reactor)
        set_not_sent(unix)
        set_not_sent(object())

    def test_gone(self) -> None:
        """Whatever is asked of a link whose socket is gone, nothing fails."""
        self.transport.protocol.makeConnection(self.transport)
        self.fill()
        self.transport.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.link.unsent(), 0)
        self.link.write(b"late")
        self.link.hold(True)
        self.link.hold(False)
        self.outbox.close(NORMAL)
        self.assertNotIn(self.transport, self.reactor.readers)
        set_not_sent(self.transport)

    def test_held(self) -> None:
        """It knows whether anything is read from the peer."""
        self.transport.startReading()
        for on in (True, False):
            self.link.hold(on)
            self.assertEqual(
                (self.link.is_held, self.transport in self.reactor.readers), (on, not on)
            )

    def test_no_delay(self) -> None:
        """TCP_NODELAY is set on TCP and nothing is on what is no TCP."""

        def flag() -> int:
            return self.near.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

        self.assertEqual(flag(), 0)
        set_no_delay(object())
        set_no_delay(self.transport)
        self.assertEqual(flag(), 1)
