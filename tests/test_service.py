"""`chatd.service`: the real object graph on a reactor of memory."""

from __future__ import annotations

import os
import tempfile
from typing import Any

from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.error import CannotListenError
from twisted.internet.testing import MemoryReactorClock

from chatd.config import Config
from chatd.core.wheel import TICK_S
from chatd.errors import ConfigError
from chatd.service import STOP_TIMEOUT_S, ChatService, build
from tests.support.doors import Client, MemoryTransport
from tests.support.logs import LogCase
from tests.support.rfc6455 import close, handshake
from tests.support.tls import certificate


class ServiceTests(LogCase):
    """Start and stop."""

    def setUp(self) -> None:
        super().setUp()
        self.reactor: Any = MemoryReactorClock()

    def start(self, **settings: Any) -> ChatService:
        """Build and start chatd."""
        service = build(Config(**settings), self.reactor)
        service.listen()
        service.startService()
        self.addCleanup(lambda: service.running and service.stopService())
        return service

    def connect(self, port: int) -> Client:
        """A socket comes to a port."""
        factory = next(server[1] for server in self.reactor.tcpServers if server[0] == port)
        address = IPv4Address("TCP", "127.0.0.1", 40000)
        protocol = factory.buildProtocol(address)
        transport = MemoryTransport(protocol, address)
        if protocol is not None:
            protocol.makeConnection(transport)
        transport.lost = protocol is None
        return Client(transport)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        for _ in range(round(seconds / TICK_S)):
            self.reactor.advance(TICK_S)

    def test_listens(self) -> None:
        """It listens where it was told to, and logs where to go."""
        self.start()
        self.assertEqual(
            [(port, host) for port, _, _, host in self.reactor.tcpServers],
            [(1919, "127.0.0.1"), (1920, "127.0.0.1")],
        )

    def test_talks(self) -> None:
        """Somebody at the one port and somebody at the other talk, in the turn that follows."""
        self.start(greeting="")
        one, two = self.connect(1919), self.connect(1920)
        one.send(handshake())
        two.send(handshake("/plain", host="localhost:1920"))
        one.say("hello")
        self.assertEqual(two.texts, [])
        self.reactor.advance(0)
        self.assertEqual((one.texts, two.texts), (["hello"], ["hello"]))

    def test_page(self) -> None:
        """The site serves our own page under its strict policy, or somebody's without."""
        self.start()
        browser = self.connect(1920)
        browser.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.assertEqual(browser.status, 200)
        self.assertIn("Content-Security-Policy", browser.head)

    def test_own_page(self) -> None:
        """`--page` serves another folder, without our page's policy."""
        folder = tempfile.mkdtemp()
        with open(os.path.join(folder, "index.html"), "w") as file:
            file.write("theirs")
        self.start(page=folder)
        browser = self.connect(1920)
        browser.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.assertTrue(browser.transport.taken.endswith(b"theirs"))
        self.assertNotIn("Content-Security-Policy", browser.head)

    def test_greeter(self) -> None:
        """The greeter's path is there when it was asked for."""
        self.start(greeter=True)
        client = self.connect(1920)
        client.send(handshake("/greeter", host="localhost:1920"))
        self.assertEqual(client.status, 101)

    def test_missing_page(self) -> None:
        """A page that is not there is an error of the configuration."""
        self.assertRaises(ConfigError, build, Config(page="/nonexistent"), self.reactor)

    def test_deadlines_run(self) -> None:
        """The wheel turns while it runs."""
        self.start()
        client = self.connect(1919)
        self.advance(6)
        self.assertTrue(client.transport.aborted)

    def announced(self, scheme: str, address: Any) -> list[str]:
        """What is logged of one address."""
        service = self.start()
        self.events.clear()
        service._announce(scheme, address)
        return self.lines

    def test_addresses(self) -> None:
        """An address is said as one would type it; of all interfaces, by both names."""
        self.assertEqual(
            self.announced("http", IPv4Address("TCP", "127.0.0.1", 7)), ["open http://localhost:7/"]
        )
        everywhere = self.announced("wss", IPv4Address("TCP", "0.0.0.0", 7))
        self.assertEqual(everywhere[0], "connect to wss://localhost:7/")
        self.assertEqual(len(everywhere), 2)
        self.assertEqual(
            self.announced("https", IPv4Address("TCP", "fe80::1", 7)), ["open https://[fe80::1]:7/"]
        )
        self.assertIn("/run/x.sock", self.announced("ws", UNIXAddress("/run/x.sock"))[0])

    def test_hint(self) -> None:
        """When only this machine can connect it says so, before the addresses."""
        hint = "only this machine can connect; see the README for the LAN"
        self.listen_at("127.0.0.2")
        self.start()
        self.assertEqual(self.lines[1], hint)
        self.events.clear()
        self.listen_at("10.0.0.1")
        self.start()
        self.assertNotIn(hint, self.lines)

    def listen_at(self, host: str) -> None:
        """Have every port be at an address."""

        class Port:
            def __init__(self, number: int) -> None:
                self.number = number

            def getHost(self) -> IPv4Address:
                return IPv4Address("TCP", host, self.number)

            def stopListening(self) -> None: ...

        self.reactor.listenTCP = lambda port, *_, **__: Port(port)

    def test_ports_are_ours(self) -> None:
        """A page of one port may connect to the other."""
        self.listen_at("127.0.0.1")
        service = self.start(greeting="")
        self.assertEqual(service._access.ports, {1919, 1920})

    def test_schemes(self) -> None:
        """A TLS endpoint's addresses are those of TLS."""
        pem = certificate(tempfile.mkdtemp())
        endpoint = f"ssl:443:privateKey={pem}"
        service = self.start(ws=(endpoint,), web=(endpoint, "tcp:80"))
        self.assertEqual([scheme for scheme, _ in service.ports], ["wss", "https", "http"])

    def test_backlog(self) -> None:
        """There is room for many who come at once, unless the endpoint says otherwise."""
        self.start(ws=("tcp:1",), web=("tcp:2:backlog=7",))
        self.assertEqual([backlog for _, _, backlog, _ in self.reactor.tcpServers], [4096, 7])

    def refuse(self, **settings: Any) -> str:
        """The words with which a start is refused."""

        def start() -> None:
            build(Config(**settings), self.reactor).listen()

        return str(self.assertRaises(ConfigError, start))

    def test_no_endpoint(self) -> None:
        """What is no endpoint is refused by name, with where it was said."""
        for endpoint in ("nonsense", "tcp:abc", "foo:1", "tcp", "ssl:1:privateKey=/no/file"):
            words = self.refuse(ws=(endpoint,), said={"ws": "CHATD_LISTEN_WS"})
            self.assertIn(f"CHATD_LISTEN_WS: {endpoint!r} is no endpoint", words)

    def test_port_taken(self) -> None:
        """A port in use is named, and those that were free are free again."""
        closed: list[int] = []

        class Port:
            def getHost(self) -> IPv4Address:
                return IPv4Address("TCP", "127.0.0.1", 1)

            def stopListening(self) -> None:
                closed.append(1)

        def listen(port: int, *_: object, **__: object) -> Port:
            if port == 1:
                return Port()
            raise CannotListenError("", port, OSError(98, "Address already in use"))

        self.reactor.listenTCP = listen
        words = self.refuse(ws=("tcp:1",), web=("tcp:2",))
        self.assertEqual(words, "listen.web: 'tcp:2': cannot listen: Address already in use")
        self.assertEqual(closed, [1])

    def test_cannot_listen_at_all(self) -> None:
        """Whatever else an endpoint stumbles over is one line too."""

        def broken(*_: object, **__: object) -> None:
            raise OverflowError("port must be 0-65535")

        self.reactor.listenTCP = broken
        self.assertIn("port must be 0-65535", self.refuse(ws=("tcp:70000",)))

    def test_listens_when_nobody_had_it_listen(self) -> None:
        """Started without having been told to listen, it does."""
        service = build(Config(), self.reactor)
        service.startService()
        self.addCleanup(service.stopService)
        self.assertEqual(len(service.ports), 2)

    def test_descriptors(self) -> None:
        """More connections than the process may have are refused at the start."""
        words = self.refuse(connections=1_000_000)
        self.assertIn("limits.connections: 1000000 need 1000256 descriptors", words)
        self.assertIn("ulimit -n", words)

    def test_stops(self) -> None:
        """What was said is delivered, then everybody gets 1001, and then it is done."""
        service = self.start(greeting="")
        polite, browser = self.connect(1919), self.connect(1920)
        polite.send(handshake())
        polite.say("last words")
        done = service.stopService()
        self.assertEqual(polite.texts, ["last words"])
        self.assertEqual(polite.close, (1001, "server is stopping"))
        self.assertTrue(browser.transport.lost)
        self.assertTrue(self.connect(1919).transport.lost)
        self.assertNoResult(done)
        polite.send(close(1001))
        self.successResultOf(done)
        self.assertEqual(self.lines[-1], "stopped")
        self.reactor.advance(0)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_stops_though_peers_are_mute(self) -> None:
        """Peers that answer nothing and read nothing are gone within the deadlines."""
        service = self.start()
        mute = self.connect(1919)
        mute.send(handshake())
        mute.transport.reads = False
        mute.transport.write(b"x" * 100_000)
        self.connect(1919)
        done = service.stopService()
        self.advance(3)
        self.successResultOf(done)

    def test_port_that_does_not_close(self) -> None:
        """A port that fails to close is logged, and the rest is stopped all the same."""

        def fail() -> None:
            raise RuntimeError("stuck")

        service = self.start()
        service.ports[0][1].stopListening = fail  # type: ignore[method-assign]
        self.successResultOf(service.stopService())
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(self.lines[-1], "stopped")

    def test_stops_what_never_started(self) -> None:
        """Listening and not yet started, it can be stopped, and its ports are closed."""
        service = build(Config(), self.reactor)
        service.listen()
        self.successResultOf(service.stopService())
        self.assertEqual(service.ports, [])

    def test_gives_up(self) -> None:
        """What does not end by itself does not keep the process."""
        service = self.start()
        client = self.connect(1919)
        client.transport.abortConnection = lambda: None  # type: ignore[method-assign]
        done = service.stopService()
        self.advance(STOP_TIMEOUT_S - 1)
        self.assertNoResult(done)
        self.advance(1)
        self.successResultOf(done)
        self.assertIn("1 connections did not end", self.lines)
