"""`chatd.listeners`, on a reactor of memory."""

from __future__ import annotations

import os
import tempfile
from typing import Any

from twisted.internet import tcp
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.defer import fail
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock

from chatd.config import Config
from chatd.errors import ConfigError
from chatd.listeners import Listeners, parse
from tests.support.logs import LogCase
from tests.support.tls import certificate


class Port:
    """A port at an address.

    Args:
        address: that it says it has.
    """

    def __init__(self, address: Any) -> None:
        self.address = address
        self.closed = 0

    def getHost(self) -> Any:
        return self.address

    def stopListening(self) -> None:
        self.closed += 1


class ListenersTests(LogCase):
    """Ports."""

    def setUp(self) -> None:
        super().setUp()
        self.reactor: Any = MemoryReactorClock()
        self.sockets, self.site = Factory(), Factory()

    def make(self, **settings: Any) -> Listeners:
        """Those of some settings."""
        return Listeners(parse(Config(**settings), self.reactor))

    def lead(self, listeners: Listeners) -> list[int]:
        """Let people in; returns the ports' numbers."""
        return listeners.lead_to(sockets=self.sockets, site=self.site)

    def listen_at(self, *addresses: Any) -> None:
        """Have the next ports be at these addresses."""
        left = list(addresses)
        self.reactor.listenTCP = lambda *_, **__: Port(left.pop(0))

    def announced(self, scheme: str, address: Any) -> list[str]:
        """What is logged of one port besides."""
        listeners = self.make(ws=())
        self.listen_at(address)
        listeners.open()
        listeners.ports[:] = [(scheme, port) for _, port in listeners.ports]
        self.events.clear()
        listeners.announce()
        return self.lines

    def test_opens(self) -> None:
        """It listens where it was told to."""
        self.make().open()
        self.assertEqual(
            [(port, host) for port, _, _, host in self.reactor.tcpServers],
            [(1919, "127.0.0.1"), (1920, "127.0.0.1")],
        )

    def test_leads(self) -> None:
        """Who comes is sent away until it is said to whom they come."""
        listeners = self.make()
        listeners.open()
        gates = [factory for _, factory, _, _ in self.reactor.tcpServers]
        self.assertEqual([gate.buildProtocol(None) for gate in gates], [None, None])
        for factory, name in ((self.sockets, "ws"), (self.site, "web")):
            factory.buildProtocol = lambda _, name=name: name  # type: ignore[method-assign,misc]
        self.lead(listeners)
        self.assertEqual([gate.buildProtocol(None) for gate in gates], ["ws", "web"])

    def test_numbers(self) -> None:
        """It tells the numbers of the ports."""
        listeners = self.make()
        self.listen_at(IPv4Address("TCP", "127.0.0.1", 7), IPv4Address("TCP", "127.0.0.1", 8))
        listeners.open()
        self.assertEqual(self.lead(listeners), [7, 8])

    def test_factories(self) -> None:
        """What is behind the ports is started when it is there, and stopped with the last port."""
        told: list[str] = []
        self.sockets.startFactory = lambda: told.append("start")  # type: ignore[method-assign]
        self.sockets.stopFactory = lambda: told.append("stop")  # type: ignore[method-assign]
        listeners = self.make(ws=("tcp:1", "tcp:2"), web=())
        listeners.open()
        gate = self.reactor.tcpServers[0][1]
        self.assertEqual((gate.noisy, gate.logPrefix()), (False, "WebSocket server"))
        for _ in range(2):
            gate.doStart()
        self.assertEqual(told, [])
        self.lead(listeners)
        self.assertEqual(told, ["start"])
        gate.doStop()
        self.assertEqual(told, ["start"])
        gate.doStop()
        self.assertEqual(told, ["start", "stop"])
        gate.doStart()
        gate.doStop()

    def test_abandoned(self) -> None:
        """Abandoned before the reactor runs, nothing is left of a Unix socket."""
        from twisted.internet import reactor

        folder = tempfile.mkdtemp()
        listeners = Listeners(parse(Config(ws=(f"unix:{folder}/socket",), web=()), reactor))
        listeners.open()
        self.assertIn("socket", os.listdir(folder))
        listeners.abandon()
        self.assertEqual((os.listdir(folder), listeners.ports), ([], []))

    def test_unix(self) -> None:
        """A Unix socket has no number, and only its path is said."""
        self.reactor.listenUNIX = lambda *_, **__: Port(UNIXAddress("/run/x.sock"))
        listeners = self.make(ws=("unix:/run/x.sock",), web=())
        listeners.open()
        listeners.announce()
        self.assertEqual(self.lead(listeners), [])
        self.assertEqual(len(self.lines), 1)
        self.assertIn("/run/x.sock", self.lines[0])

    def test_addresses(self) -> None:
        """An address is said as one would type it; of all interfaces, by both names."""
        hint = "only this machine can connect; see the README for the LAN"
        self.assertEqual(
            self.announced("http", IPv4Address("TCP", "127.0.0.1", 7)),
            [hint, "open http://localhost:7/"],
        )
        everywhere = self.announced("wss", IPv4Address("TCP", "0.0.0.0", 7))
        self.assertEqual(everywhere[0], "connect to wss://localhost:7/")
        self.assertEqual(len(everywhere), 2)
        self.assertEqual(
            self.announced("https", IPv4Address("TCP", "fe80::1", 7)), ["open https://[fe80::1]:7/"]
        )

    def test_hint(self) -> None:
        """Only when none but this machine can connect it says so."""
        far, near = IPv4Address("TCP", "10.0.0.1", 1), IPv4Address("TCP", "127.0.0.2", 2)
        for addresses, lines in (((near, near), 3), ((near, far), 2)):
            self.events.clear()
            self.listen_at(*addresses)
            listeners = self.make()
            listeners.open()
            listeners.announce()
            self.assertEqual(len(self.lines), lines)

    def test_schemes(self) -> None:
        """A TLS endpoint's addresses are those of TLS."""
        pem = certificate(tempfile.mkdtemp())
        endpoint = f"ssl:443:privateKey={pem}"
        listeners = self.make(ws=(endpoint,), web=(endpoint, "tcp:80"))
        listeners.open()
        self.assertEqual([scheme for scheme, _ in listeners.ports], ["wss", "https", "http"])

    def test_backlog(self) -> None:
        """There is room for many who come at once, unless the endpoint says otherwise."""
        self.make(ws=("tcp:1",), web=("tcp:2:backlog=7",)).open()
        self.assertEqual([backlog for _, _, backlog, _ in self.reactor.tcpServers], [4096, 7])

    def test_no_endpoint(self) -> None:
        """What is no endpoint is refused by name, with where it was said."""
        for endpoint in ("nonsense", "tcp:abc", "foo:1", "tcp", "ssl:1:privateKey=/no/file"):
            config = Config(ws=(endpoint,), said={"ws": "CHATD_LISTEN_WS"})
            refused = self.assertRaises(ConfigError, parse, config, self.reactor)
            self.assertIn(f"CHATD_LISTEN_WS: {endpoint!r} is no endpoint", str(refused))
            self.assertTrue(str(refused).endswith("; e.g. tcp:1919"), refused)
        config = Config(web=("8080",))
        refused = self.assertRaises(ConfigError, parse, config, self.reactor)
        self.assertTrue(str(refused).endswith("; e.g. tcp:8080"), refused)

    def refuse(self, **settings: Any) -> str:
        """The words with which listening is refused."""
        return str(self.assertRaises(ConfigError, self.make(**settings).open))

    def test_port_taken(self) -> None:
        """A port in use is named, and those that were free are free again."""
        port = Port(IPv4Address("TCP", "127.0.0.1", 1))

        def listen(number: int, *_: object, **__: object) -> Port:
            if number == 1:
                return port
            raise CannotListenError("", number, OSError(98, "Address already in use"))

        self.reactor.listenTCP = listen
        words = self.refuse(ws=("tcp:1",), web=("tcp:2",))
        self.assertEqual(
            words,
            "listen.web: 'tcp:2': cannot listen: Address already in use; stop what listens there "
            "(another chatd?), or choose another",
        )
        self.assertEqual(port.closed, 1)

    def test_cannot_listen_at_all(self) -> None:
        """Whatever else an endpoint stumbles over is one line too, at once or by its Deferred."""

        def broken(*_: object, **__: object) -> None:
            raise OverflowError("port must be 0-65535")

        self.reactor.listenTCP = broken
        self.assertIn("port must be 0-65535", self.refuse(ws=("tcp:70000",)))

        class Endpoint:
            def listen(self, factory: object) -> Any:
                return outcomes.pop()()

        endpoint: Any = Endpoint()

        outcomes: list[Any] = [lambda: fail(OSError(5, "bad")), lambda: 1 // 0]
        listener = parse(Config(web=()), self.reactor)[0]
        for words in ("integer", "cannot listen: bad"):
            broken_one = type(listener)(listener.said, False, "ws", endpoint)
            listeners = Listeners([broken_one])
            self.assertIn(words, str(self.assertRaises(ConfigError, listeners.open)))

    def test_held(self) -> None:
        """Held, a port of a real reactor accepts nobody until it goes on; others are left alone."""
        readers: list[object] = []
        reactor: Any = MemoryReactorClock()
        reactor.addReader, reactor.removeReader = readers.append, readers.remove
        reactor.listenTCP = lambda *arguments, **named: self._real(reactor, *arguments, **named)
        listeners = Listeners(parse(Config(ws=("tcp:0:interface=127.0.0.1",), web=()), reactor))
        listeners.open()
        self.addCleanup(listeners.abandon)
        self.assertEqual(len(readers), 1)
        listeners.hold(True)
        self.assertEqual(readers, [])
        listeners.hold(False)
        self.assertEqual(len(readers), 1)
        self.listen_at(IPv4Address("TCP", "127.0.0.1", 1))
        others = self.make(web=())
        others.open()
        others.hold(True)
        others.hold(False)

    @staticmethod
    def _real(reactor: Any, number: int, factory: Factory, **named: Any) -> tcp.Port:
        port = tcp.Port(number, factory, reactor=reactor, **named)
        port.startListening()
        return port

    def test_closes(self) -> None:
        """Closed, each port is closed once, and none is left."""
        port = Port(IPv4Address("TCP", "127.0.0.1", 1))
        self.reactor.listenTCP = lambda *_, **__: port
        listeners = self.make(web=())
        listeners.open()
        for each in (*listeners.close(), *listeners.close()):
            self.successResultOf(each)
        self.assertEqual((port.closed, listeners.ports), (1, []))
