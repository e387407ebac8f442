"""A whole chatd without a network: the real doors, hub and broker over memory and a clock."""

from __future__ import annotations

import struct
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import IPushProducer, ITCPTransport
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from zope.interface import implementer

from chatd import tokens
from chatd.brokers.archive import SqliteArchive
from chatd.brokers.records import SqliteRecords
from chatd.config import Config
from chatd.core.audit import Audit
from chatd.core.auth import Gate
from chatd.core.bans import Bans, by_address
from chatd.core.feed import Feed
from chatd.core.guests import Guests
from chatd.core.hub import Hub
from chatd.core.invites import Invites
from chatd.core.nicks import Nicks
from chatd.core.node import Node
from chatd.core.outbox import HIGH_WATER_BYTES
from chatd.core.profiles import Profiles
from chatd.core.throttle import Throttle
from chatd.core.wheel import TICK_S, Wheel
from chatd.doors.access import Access
from chatd.doors.admission import Admission
from chatd.doors.journal import Journal
from chatd.doors.paths import Paths
from chatd.doors.site import ChatSite, Greet, WebSocketPath
from chatd.doors.websocket import ChatFactory
from tests.support.brokers import clock_broker, settle
from tests.support.rfc6455 import CLOSE, TEXT, client_frame, handshake, server_frames

END_OF_HEAD = b"\r\n\r\n"


@implementer(ITCPTransport, IPushProducer)
class MemoryTransport:
    """A TCP transport whose other side reads only when told to.

    It behaves like Twisted's where chatd depends on it: a producer is paused above high water
    and resumed when everything is taken; `loseConnection` waits for that, and waits for ever
    with a producer registered.
    """

    def __init__(self, protocol: Any, peer: IPv4Address) -> None:
        self.protocol = protocol
        self.taken = b""
        self.unsent = b""
        self.reads = True
        self.no_delay = False
        self.held = False
        self.disconnecting = False
        self.aborted = False
        self.lost = False
        self._producer: IPushProducer | None = None
        self._paused = False
        self._peer = peer

    def write(self, data: bytes) -> None:
        if self.lost or self.disconnecting:
            return
        self.unsent += data
        if len(self.unsent) > HIGH_WATER_BYTES and self._producer is not None:
            self._paused = True
            self._producer.pauseProducing()
        if self.reads:
            self.take()

    def writeSequence(self, pieces: Any) -> None:
        self.write(b"".join(pieces))

    def take(self) -> None:
        """The other side reads all there is."""
        while self.unsent:
            self.taken += self.unsent
            self.unsent = b""
            if self._paused and self._producer is not None:
                self._paused = False
                self._producer.resumeProducing()
        self._end_if_asked()

    def loseConnection(self) -> None:
        self.disconnecting = True
        self._end_if_asked()

    def abortConnection(self) -> None:
        self.aborted = True
        self._end(ConnectionAborted())

    def loseWriteConnection(self) -> None:
        raise NotImplementedError

    def _end_if_asked(self) -> None:
        if self.disconnecting and not self.unsent and self._producer is None:
            self._end(ConnectionDone())

    def _end(self, why: Exception) -> None:
        if not self.lost:
            self.lost = True
            self.protocol.connectionLost(Failure(why))

    def registerProducer(self, producer: IPushProducer, streaming: bool) -> None:
        if self._producer is not None:
            raise RuntimeError("there is a producer")
        self._producer = producer

    def unregisterProducer(self) -> None:
        self._producer = None
        self._end_if_asked()

    def pauseProducing(self) -> None:
        self.held = True

    def resumeProducing(self) -> None:
        self.held = False

    def stopProducing(self) -> None:
        self.loseConnection()

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.no_delay = enabled

    def getTcpNoDelay(self) -> bool:
        return self.no_delay

    def getTcpKeepAlive(self) -> bool:
        return False

    def setTcpKeepAlive(self, enabled: bool) -> None:
        raise NotImplementedError

    def getPeer(self) -> IPv4Address:
        return self._peer

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", "127.0.0.1", 1919)


class Client:
    """The other end of one connection."""

    def __init__(self, transport: MemoryTransport) -> None:
        self.transport = transport

    def send(self, data: bytes) -> None:
        """Send bytes, unless the connection is over."""
        if not self.transport.lost:
            self.transport.protocol.dataReceived(data)

    def say(self, words: str) -> None:
        """Send one text message."""
        self.send(client_frame(TEXT, words.encode()))

    @property
    def head(self) -> str:
        """The answer to the handshake, or all that was answered."""
        return self.transport.taken.partition(END_OF_HEAD)[0].decode("latin-1")

    @property
    def status(self) -> int:
        """The status of the answer, 0 when there is none."""
        return int(self.head.split()[1]) if self.head else 0

    @property
    def frames(self) -> list[tuple[int, bytes]]:
        """Every frame that came."""
        stream = self.transport.taken.partition(END_OF_HEAD)[2]
        return [(each.opcode, each.payload) for each in server_frames(stream)]

    @property
    def texts(self) -> list[str]:
        """Every text message that came."""
        return [payload.decode() for opcode, payload in self.frames if opcode == TEXT]

    @property
    def close(self) -> tuple[int, str] | None:
        """Code and reason of the Close that came; None: none."""
        for opcode, payload in self.frames:
            if opcode == CLOSE:
                return struct.unpack("!H", payload[:2])[0], payload[2:].decode()
        return None


class Words(Resource):
    """Answers GET with some words."""

    isLeaf = True

    def __init__(self, words: bytes) -> None:
        super().__init__()
        self._words = words

    def render_GET(self, request: object) -> bytes:
        return self._words


class World:
    """The object graph of `service.build`, by hand, with a clock for a reactor.

    Args:
        connections: how many may be open.
        strict: whether the site's page is our own.
        limits: fields of `Config` that are not to be as they are by default.
    """

    def __init__(self, *, connections: int = 1000, strict: bool = True, **limits: Any) -> None:
        self.clock = Clock()
        self.config = Config(**limits)
        self.wheel = Wheel(self.clock.seconds)
        self.ids = iter(range(1_000_000))
        self.broker = clock_broker(
            self.clock,
            most_pending=self.config.pending_messages,
            most_bytes=self.config.pending_bytes,
        )
        self.feed = Feed(self.broker, cached_bytes=self.config.cached_bytes)
        records = SqliteRecords(
            self.broker.connections,
            later=lambda call: self.clock.callLater(0, call),
            most_pending=100,
            most_bytes=100_000,
        )
        self.hub = Hub(
            self.broker,
            self.feed,
            records,
            self.wheel,
            grace_s=self.config.grace_s,
            idle_rooms=0,
        )
        self.node = Node(
            config=self.config,
            hub=self.hub,
            broker=self.broker,
            feed=self.feed,
            guests=Guests(b"secret", self.new_id),
            nicks=Nicks(self.wheel, self.config.grace_s),
            records=records,
            archive=SqliteArchive(
                self.broker.connections,
                later=lambda call: self.clock.callLater(0, call),
                seconds=self.clock.seconds,
            ),
            profiles=Profiles(records),
            gate=Gate(
                tokens.verifier(self.config, b"secret"),
                self.config,
                now_ms=lambda: round(self.clock.seconds() * 1000),
                seconds=self.clock.seconds,
            ),
            wheel=self.wheel,
            invites=Invites(b"secret"),
            bans=Bans(records, self.wheel, exempt=self.config.trusted_proxies),
            audit=Audit(self.hub, self.broker, self.new_id),
            new_id=self.new_id,
            seconds=self.clock.seconds,
            now_ms=lambda: round(self.clock.seconds() * 1000),
        )
        self.hub.start()
        self.node.bans.load()
        settle(self.clock)
        self.access = Access(
            frozenset({"localhost"}),
            public_url=self.config.public_url,
            allow_origin=self.config.allow_origin,
        )
        self.access.ports |= {1919, 1920}
        self.admission = Admission(
            most=connections,
            most_per_address=self.config.connections_per_address,
            trusted_proxies=self.config.trusted_proxies,
        )
        self.journal = Journal(
            connections=Throttle(50, 1000, self.clock.seconds),
            refusals=Throttle(5, 20, self.clock.seconds),
        )
        self.paths = Paths(self.node, web="digest")
        self.factory = ChatFactory(
            self.config,
            paths=self.paths,
            access=self.access,
            admission=self.admission,
            journal=self.journal,
            feeder=self.feed,
            wheel=self.wheel,
            reactor=self.clock,
        )
        upgrade = WebSocketPath(self.factory)
        self.site = ChatSite(
            self.config,
            routes={
                b"/plain": upgrade,
                b"/connection/websocket": upgrade,
                b"/greeter": upgrade,
                b"/greet": Greet(),
                b"/medium": Words(b"x" * 30_000),
                b"/big": Words(b"x" * 300_000),
            },
            page=Words(b"a page"),
            strict=strict,
            access=self.access,
            admission=self.admission,
            is_banned=self.is_banned,
            journal=self.journal,
            wheel=self.wheel,
            reactor=self.clock,
        )

    def new_id(self) -> str:
        """An id unlike any other."""
        return f"{next(self.ids):016x}"

    def is_banned(self, address: str) -> bool:
        """Whether nobody may come in from an address."""
        return self.node.bans.covers(address, self.node.now_ms())

    def ban(self, address: str) -> None:
        """Ban an address for a while."""
        now_ms = self.node.now_ms()
        self.node.bans.ban(by_address(address), now_ms + 9000, now_ms, lambda outcome: None)
        self.turn()

    def arrive(self, host: str = "127.0.0.1") -> Client:
        """A socket comes to the WebSocket port."""
        return self._arrive(self.factory, host)

    def browse(self, host: str = "127.0.0.1") -> Client:
        """A socket comes to the site's port."""
        return self._arrive(self.site, host)

    def _arrive(self, factory: Any, host: str) -> Client:
        address = IPv4Address("TCP", host, 40000)
        protocol = factory.buildProtocol(address)
        transport = MemoryTransport(protocol, address)
        if protocol is None:
            transport.lost = True
        else:
            protocol.makeConnection(transport)
        return Client(transport)

    def open(self, path: str = "/", host: str = "127.0.0.1") -> Client:
        """A client that has opened a WebSocket."""
        client = self.arrive(host)
        client.send(handshake(path))
        return client

    def turn(self) -> None:
        """Let everything that goes on now come to its end."""
        settle(self.clock)

    def advance(self, seconds: float) -> None:
        """Let time pass, the wheel turning."""
        for _ in range(round(seconds / TICK_S)):
            self.clock.advance(TICK_S)
            self.wheel.tick()
            settle(self.clock)
