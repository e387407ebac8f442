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


class ServiceTests(LogCase):
    """Start and stop."""

    def setUp(self) -> None:
        super().setUp()
        self.reactor: Any = MemoryReactorClock()

    def start(self, **settings: Any) -> ChatService:
        """Build and start chatd."""
        service = build(Config(**settings), self.reactor)
        service.privilegedStartService()
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

    def test_addresses(self) -> None:
        """On the loopback interface it says how to open up to the LAN; else it does not."""
        service = self.start()
        self.events.clear()
        self.assertEqual(service._announce("http", IPv4Address("TCP", "127.0.0.1", 7)), "127.0.0.1")
        self.assertEqual(self.lines, ["open http://localhost:7/"])
        self.events.clear()
        service._announce("ws", IPv4Address("TCP", "0.0.0.0", 7))
        self.assertEqual(self.lines[0], "connect to ws://localhost:7/")
        self.assertEqual(len(self.lines), 2)
        self.events.clear()
        service._announce("http", IPv4Address("TCP", "fe80::1", 7))
        self.assertEqual(self.lines, ["open http://[fe80::1]:7/"])
        self.events.clear()
        self.assertEqual(service._announce("ws", UNIXAddress("/run/chatd.sock")), "")
        self.assertIn("/run/chatd.sock", self.lines[0])

    def test_port_taken_meanwhile(self) -> None:
        """A port that somebody took since it was tried ends the start in one line."""

        def taken(port: int, *_: object, **__: object) -> None:
            raise CannotListenError("", port, OSError(98, "Address already in use"))

        self.reactor.listenTCP = taken
        service = build(Config(), self.reactor)
        error = self.assertRaises(SystemExit, service.startService)
        self.assertIn("cannot listen", str(error))
        self.assertIn("1919", str(error))
        self.assertFalse(service.running)

    def test_bug_while_listening(self) -> None:
        """What is no failure to listen is not taken for one."""

        def broken(*_: object, **__: object) -> None:
            raise ZeroDivisionError

        self.reactor.listenTCP = broken
        service = build(Config(), self.reactor)
        self.assertRaises(ZeroDivisionError, service.startService)

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
