"""`chatd.service`: the real object graph on a reactor of memory."""

from __future__ import annotations

import json
import os
import sqlite3
import tempfile
import threading
from pathlib import Path
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import CannotListenError
from twisted.internet.testing import MemoryReactorClock

from chatd import service as service_module
from chatd.config import Config
from chatd.core.audit import AUDIT_ROOM
from chatd.core.bans import by_address, by_user
from chatd.core.wheel import TICK_S
from chatd.errors import ConfigError
from chatd.service import STOP_TIMEOUT_S, ChatService, build
from tests.support.brokers import ClockWorker, settle
from tests.support.doors import Client, MemoryTransport
from tests.support.logs import LogCase
from tests.support.rfc6455 import close, handshake
from tests.support.signing import Provider


class ServiceCase(LogCase):
    """A test of a service whose workers work in turns of its reactor."""

    def setUp(self) -> None:
        super().setUp()
        self.reactor: Any = MemoryReactorClock()
        self.workers: dict[str, ClockWorker] = {}
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.database = str(self.folder / "chatd.sqlite3")

    def worker(self, name: str) -> ClockWorker:
        """A worker, kept by its name."""
        worker = self.workers[name] = ClockWorker(self.reactor)
        return worker

    def build(self, **settings: Any) -> ChatService:
        """Build chatd, with a database in memory unless another is said."""
        settings = {"database": ":memory:", **settings}
        service = build(Config(**settings), self.reactor, worker=self.worker)
        self.addCleanup(self.stop, service)
        return service

    def start(self, **settings: Any) -> ChatService:
        """Build and start chatd."""
        service = self.build(**settings)
        service.startService()
        self.turn()
        return service

    def stop(self, service: ChatService) -> None:
        """Stop it, however long that takes."""
        for each in self.workers.values():
            each.release()
        done = service.stopService()
        self.advance(STOP_TIMEOUT_S + 1)
        self.successResultOf(done)

    def turn(self) -> None:
        """Let all happen that needs no time."""
        settle(self.reactor)

    def refuse(self, **settings: Any) -> str:
        """The words with which a start is refused."""

        def start() -> None:
            settings.setdefault("database", ":memory:")
            build(Config(**settings), self.reactor, worker=self.worker)

        words = str(self.assertRaises(ConfigError, start))
        self.assertNotIn("\n", words)
        return words

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
            self.turn()


class ServiceTests(ServiceCase):
    """Start."""

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
        self.turn()
        one.say("hello")
        self.assertEqual(two.texts, [])
        self.turn()
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

    def web(self, port: int) -> str:
        """What somebody who connects is told of the page."""
        client = self.connect(port)
        client.send(handshake("/connection/websocket", host=f"localhost:{port}"))
        client.say('{"id":1,"connect":{}}')
        self.turn()
        return str(json.loads(client.texts[0])["connect"]["data"].get("web", ""))

    def test_page_is_named(self) -> None:
        """Who connects is told which page of ours there is, so that an older one can tell."""
        service = self.start()
        browser = self.connect(1920)
        browser.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        named = self.web(1920)
        self.assertTrue(named)
        self.assertIn(f'"v/{named}/'.encode(), browser.transport.taken)
        self.stop(service)
        self.reactor.tcpServers.clear()
        (self.folder / "index.html").write_text("theirs")
        self.start(page=str(self.folder))
        self.assertEqual(self.web(1919), "")

    def test_greeter(self) -> None:
        """The greeter's path is there when it was asked for."""
        self.start(greeter=True)
        client = self.connect(1920)
        client.send(handshake("/greeter", host="localhost:1920"))
        self.assertEqual(client.status, 101)

    def test_missing_page(self) -> None:
        """A page that is not there is an error of the configuration."""
        self.assertRaises(ConfigError, self.build, page="/nonexistent")

    def test_deadlines_run(self) -> None:
        """The wheel turns while it runs."""
        self.start()
        client = self.connect(1919)
        self.advance(6)
        self.assertTrue(client.transport.aborted)

    def test_ports_are_ours(self) -> None:
        """A page of one port may connect to the other."""

        class Port:
            def __init__(self, number: int) -> None:
                self.number = number

            def getHost(self) -> IPv4Address:
                return IPv4Address("TCP", "127.0.0.1", self.number)

            def stopListening(self) -> None: ...

        self.reactor.listenTCP = lambda port, *_, **__: Port(port)
        service = self.start(greeting="")
        self.assertEqual(service._sockets.access.ports, {1919, 1920})

    def test_descriptors(self) -> None:
        """More connections than the process may have are refused at the start."""
        words = self.refuse(connections=1_000_000)
        self.assertIn("limits.connections: 1000000 need 1000256 descriptors", words)
        self.assertIn("ulimit -n", words)

    def test_once(self) -> None:
        """Started again while it runs, nothing happens; once it was stopped, it is refused."""
        service = self.start()
        service.startService()
        self.assertEqual(len(self.reactor.tcpServers), 2)
        self.assertEqual(sum("started" in line for line in self.lines), 1)
        self.stop(service)
        self.assertRaises(RuntimeError, service.startService)

    def test_retention(self) -> None:
        """What is beyond `keep_messages` goes while it runs; by default nothing does."""
        self.patch(service_module, "_now_ms", lambda: round(self.reactor.seconds() * 1000))
        for keep, left in ((0, 3), (1, 1)):
            path = str(self.folder / f"{keep}.sqlite3")
            service = self.start(greeting="", database=path, keep_messages=keep)
            client = self.connect(1919)
            client.send(handshake())
            self.turn()
            for words in ("a", "b", "c"):
                client.say(words)
                self.turn()
            self.advance(3700)
            self.stop(service)
            self.reactor.tcpServers.clear()
            with sqlite3.connect(path) as connection:
                (count,) = connection.execute("select count(*) from message").fetchone()
            connection.close()
            self.assertEqual(count, left)


class LogTests(ServiceCase):
    """Strangers cannot fill the log of what is built."""

    def said(self, first: str) -> int:
        """How many lines begin so."""
        return sum(line.startswith(first) for line in self.lines)

    def test_refusals(self) -> None:
        """Of refusals 20 lines are written at once and 5 a second, of both ports together."""
        self.start()
        for number in range(40):
            client = self.connect((1919, 1920)[number % 2])
            client.send(handshake(host="evil.example"))
            self.assertEqual(client.status, 403)
        self.assertEqual(self.said("refused "), 20)
        self.advance(1)
        for _ in range(40):
            self.connect(1919).send(handshake(host="evil.example"))
        self.assertEqual(self.said("refused "), 25)
        self.assertEqual(self.said("refused: 20 more, not listed"), 1)

    def test_connections(self) -> None:
        """Of connections 1000 lines are written at once and 50 a second."""
        self.start(greeter=True)
        for _ in range(600):
            client = self.connect(1919)
            client.send(handshake("/greeter"))
            client.transport.abortConnection()
        self.assertEqual(self.said("opened ") + self.said("closed "), 1000)
        self.advance(1)
        for _ in range(100):
            client = self.connect(1919)
            client.send(handshake("/greeter"))
            client.transport.abortConnection()
        lines = self.said("opened ") + self.said("closed ")
        self.assertEqual(lines - self.said("opened or closed: "), 1050)


class DatabaseTests(ServiceCase):
    """The database, before and while it runs."""

    def open_files(self) -> set[str]:
        """Names of the files in the folder that this process has open."""
        found = set()
        for each in os.listdir("/proc/self/fd"):
            try:
                target = os.readlink(f"/proc/self/fd/{each}")
            except OSError:
                continue
            if target.startswith(str(self.folder)):
                found.add(Path(target).name)
        return found

    def test_nothing_crosses_the_fork(self) -> None:
        """Until it is started, only the lock is open, and no thread runs."""
        before = threading.active_count()
        self.reactor.callFromThread = lambda call: self.reactor.callLater(0, call)
        service = build(Config(database=self.database), self.reactor)
        self.addCleanup(self.stop, service)
        self.assertEqual(self.open_files(), {"chatd.sqlite3.lock"})
        self.assertEqual(threading.active_count(), before)

    def test_second(self) -> None:
        """A database has one daemon; when that is stopped, the next may have it."""
        first = self.start(database=self.database)
        self.assertIn("another chatd uses it", self.refuse(database=self.database))
        self.stop(first)
        self.assertEqual(self.open_files(), set())
        self.start(database=self.database)

    def test_lock_of_what_cannot_be_built(self) -> None:
        """Whatever is wrong with a start, the database is free after it."""
        secret = Path(f"{self.database}.secret")
        secret.write_bytes(b"short")
        secret.chmod(0o600)
        self.assertIn("is not of 32 bytes", self.refuse(database=self.database))
        secret.unlink()

        def taken(port: int, *_: object, **__: object) -> None:
            raise CannotListenError("", port, OSError(98, "Address already in use"))

        listen, self.reactor.listenTCP = self.reactor.listenTCP, taken
        self.assertIn("Address already in use", self.refuse(database=self.database))
        self.reactor.listenTCP = listen
        self.assertEqual(self.open_files(), set())
        self.start(database=self.database)

    def test_bad_database(self) -> None:
        """A database that cannot be used is refused, and no port stays open."""
        from twisted.internet import reactor

        socket = self.folder / "socket"
        self.reactor.listenUNIX = reactor.listenUNIX  # type: ignore[attr-defined]
        Path(self.database).write_text("not a database, and long enough to be looked at" * 100)
        words = self.refuse(database=self.database, ws=(f"unix:{socket}",))
        self.assertIn(self.database, words)
        self.assertFalse(socket.exists())
        self.assertIn("no folder", self.refuse(database="/nonexistent/x"))

    def test_named(self) -> None:
        """The log says which database it is; beside a new one no secret was lost."""
        self.stop(self.start(database=os.path.relpath(self.database)))
        path = os.path.realpath(self.database)
        self.assertIn(f"the database is {path}", self.lines)
        self.assertFalse(any("somebody new" in line for line in self.lines), self.lines)
        self.stop(self.start())
        self.assertIn("the database is in memory: nothing is kept", self.lines)

    def test_durability(self) -> None:
        """Commits are flushed one by one unless that was not wanted; then the log says so."""
        for word, synchronous, told in (("full", 2, False), ("normal", 1, True)):
            self.events.clear()
            service = self.start(database=self.database, durability=word)
            found: list[object] = []
            service._broker.connections.write(
                lambda connection: connection.execute("pragma synchronous").fetchone(),
                found.append,
            )
            self.turn()
            self.assertEqual(found, [(synchronous,)])
            said = any("a power cut may take the last messages" in line for line in self.lines)
            self.assertIs(said, told)
            self.stop(service)

    def test_lost_secret(self) -> None:
        """A secret that is missing beside a database of before is told; beside an empty one not."""
        secret = Path(f"{self.database}.secret")
        for text, told in (("", False), (None, True)):
            self.events.clear()
            if text is not None:
                Path(self.database).write_text(text)
            self.stop(self.start(database=self.database))
            warned = any("guests of before begin as somebody new" in line for line in self.lines)
            self.assertEqual(warned, told)
            secret.unlink()
            self.reactor.tcpServers.clear()

    def test_nothing_made_in_vain(self) -> None:
        """A start that is refused for something else leaves no file."""

        def taken(port: int, *_: object, **__: object) -> None:
            raise CannotListenError("", port, OSError(98, "Address already in use"))

        for settings in ({"ws": ("nonsense",)}, {"page": "/no"}, {"connections": 1_000_000}):
            self.refuse(database=self.database, **settings)
        self.reactor.listenTCP = taken
        self.refuse(database=self.database)
        self.assertEqual(os.listdir(self.folder), [])

    def test_gone_after_the_fork(self) -> None:
        """When the database cannot be opened it is said once; who comes is told to try again."""
        service = self.build(database=self.database)
        os.rename(self.database, f"{self.database}.away")
        service.startService()
        self.turn()
        for _ in range(2):
            client = self.connect(1919)
            client.send(handshake())
            self.turn()
            assert client.close is not None
            self.assertEqual(client.close[0], 1013)
        sdk = self.connect(1919)
        sdk.send(handshake("/connection/websocket"))
        sdk.say('{"id":1,"connect":{}}')
        self.turn()
        self.assertIn('"id":1,"error":{"code":400', sdk.texts[-1])  # or a banned one would be in
        critical = [line for line in self.lines if "storing messages" in line]
        self.assertEqual(len(critical), 1, self.lines)
        self.flushLoggedErrors()
        os.rename(f"{self.database}.away", self.database)
        self.advance(2)
        client = self.connect(1919)
        client.send(handshake())
        self.turn()
        self.assertEqual(client.texts, ["connected to WebSocket server"])
        self.stop(service)

    def test_bans_kept(self) -> None:
        """Who was banned is still banned after a start anew, before anybody comes in."""
        service = self.start(database=self.database)
        now_ms = service._node.now_ms()
        for ban in (by_address("203.0.113.7"), by_user("ann")):
            service._node.bans.ban(ban, now_ms + 90_000, now_ms, lambda outcome: None)
        self.turn()
        self.stop(service)
        self.reactor.tcpServers.clear()
        service = self.start(database=self.database)
        self.assertTrue(service._node.bans.covers("203.0.113.7", now_ms))
        self.assertTrue(service._node.bans.refused("ann", "", now_ms))
        self.assertFalse(service._node.bans.refused("ann", "", now_ms + 90_000))

    def test_audited(self) -> None:
        """The audit log's room is open from the start."""
        self.assertIsNotNone(self.start()._node.hub.find(AUDIT_ROOM))

    def test_kept(self) -> None:
        """What was said is there after a start anew, and so are those who said it."""
        session = ""
        texts = []
        for number in range(2):
            service = self.start(database=self.database)
            client = self.connect(1919)
            client.send(handshake("/connection/websocket"))
            resume = f'{{"resume":"{session}"}}' if session else "{}"
            client.say(f'{{"id":1,"connect":{{"data":{resume}}}}}')
            self.turn()
            texts.append(client.texts[0])
            session = client.texts[0].partition('"resume":"')[2].partition('"')[0]
            client.say('{"id":2,"subscribe":{"channel":"lobby"}}')
            self.turn()
            self.assertEqual('"offset":1' in client.texts[1], number == 1)
            client.say('{"id":3,"publish":{"channel":"lobby","data":1}}')
            self.turn()
            self.stop(service)
            self.reactor.tcpServers.clear()
        users = [text.partition('"user":"')[2].partition('"')[0] for text in texts]
        self.assertEqual(users[0], users[1])


class SignInTests(ServiceCase):
    def test_key(self) -> None:
        """A key that cannot be used is refused in a line, before chatd listens anywhere."""
        path = os.path.join(self.mktemp(), "hs.key")
        words = self.refuse(keys=(f"HS256:{path}",))
        self.assertIn(f"auth.keys: {path!r}: No such file", words)
        self.assertEqual(self.reactor.tcpServers, [])

    def test_token(self) -> None:
        """Whoever has a token by a key that is named comes in, and nobody else."""
        folder = self.mktemp()
        os.mkdir(folder)
        provider = Provider("ES256")
        service = self.start(keys=(provider.write(folder),))
        client = self.connect(1919)
        client.send(handshake("/connection/websocket"))
        client.say('{"id":1,"connect":{}}')
        token = provider.token("ann", 4_000_000_000)
        client.say(json.dumps({"id": 2, "connect": {"token": token}}))
        self.turn()
        self.assertIn('"code":440', client.texts[0])
        self.assertIn('"user":"ann"', client.texts[1])
        self.assertNotIn(token.split(".")[2], repr(self.lines))
        self.stop(service)


class StopTests(ServiceCase):
    """Stop."""

    def talking(self, **settings: Any) -> tuple[ChatService, Client]:
        """A service, and somebody who has come in."""
        service = self.start(greeting="", **settings)
        client = self.connect(1919)
        client.send(handshake())
        self.turn()
        return service, client

    def test_stops(self) -> None:
        """What was said is delivered, then everybody gets 1001, and then it is done."""
        service, polite = self.talking()
        browser, sdk = self.connect(1920), self.connect(1919)
        sdk.send(handshake("/connection/websocket"))
        polite.say("last words")
        done = service.stopService()
        self.turn()
        self.assertEqual(polite.texts, ["last words"])
        self.assertEqual(polite.close, (1001, "server is stopping"))
        self.assertEqual(sdk.close, (3001, "server is stopping"))
        self.assertTrue(browser.transport.lost)
        self.assertTrue(self.connect(1919).transport.lost)
        self.assertNoResult(done)
        polite.send(close(1001))
        sdk.send(close(3001))
        self.turn()
        self.successResultOf(done)
        self.assertEqual(self.lines[-1], "stopped")
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_again(self) -> None:
        """Told to stop again, meanwhile or later, it ends once and tells each."""
        service, polite = self.talking()
        done = [service.stopService(), service.stopService()]
        self.turn()
        polite.send(close(1001))
        self.turn()
        for each in (*done, service.stopService()):
            self.successResultOf(each)
        self.assertEqual(self.lines.count("stopped"), 1)

    def test_order(self) -> None:
        """Nobody is told goodbye while something accepted waits; the database goes last."""
        service, polite = self.talking(database=self.database)
        self.workers["writer"].is_held = True
        polite.say("last words")
        done = service.stopService()
        self.advance(1)
        self.assertEqual((polite.texts, polite.close), ([], None))
        self.workers["writer"].release()
        self.turn()
        self.assertEqual(polite.texts, ["last words"])
        assert polite.close is not None
        jobs = self.workers["writer"].jobs
        self.assertTrue(os.path.exists(f"{self.database}-wal"))
        polite.send(close(1001))
        self.turn()
        self.successResultOf(done)
        self.assertGreater(self.workers["writer"].jobs, jobs)
        self.assertFalse(os.path.exists(f"{self.database}-wal"))

    def test_not_drained(self) -> None:
        """When the disk hangs, everybody is told goodbye all the same, in time, and the log why."""
        service, client = self.talking(database=self.database)
        self.workers["writer"].is_held = True
        client.say("lost words")
        done = service.stopService()
        self.advance(3.5)
        self.assertEqual(client.texts, [])
        self.assertEqual(client.close, (1001, "server is stopping"))
        self.assertNoResult(done)
        self.advance(STOP_TIMEOUT_S - 3.5)
        self.successResultOf(done)
        self.assertIn("what was accepted last could not be stored in time", self.lines)
        self.assertIn("the database could not be closed in time", self.lines)
        # What is still being written to is not given to another.
        self.assertIn("another chatd uses it", self.refuse(database=self.database))
        self.workers["writer"].release()
        self.turn()

    def test_records_are_drained(self) -> None:
        """Nicks that were changed last are stored, those too that waited for others."""
        service = self.start(database=self.database)
        clients = []
        for _ in range(2):
            clients.append(client := self.connect(1919))
            client.send(handshake("/connection/websocket"))
            client.say('{"id":1,"connect":{}}')
            self.turn()
        self.workers["writer"].is_held = True
        for client, nick in zip(clients, ("zoe", "mia"), strict=True):
            client.say(f'{{"id":2,"rpc":{{"method":"nick","data":{{"nick":"{nick}"}}}}}}')
            self.turn()
        done = service.stopService()
        for client in clients:
            client.transport.abortConnection()
        self.turn()
        self.workers["writer"].release()
        self.turn()
        self.successResultOf(done)
        with sqlite3.connect(self.database) as connection:
            values = {value for (value,) in connection.execute("select value from record")}
        connection.close()
        self.assertEqual(values, {"zoe", "mia"})

    def test_many(self) -> None:
        """Goodbyes are spread, 500 in a tick, so that not all come back at once."""
        service = self.start(greeting="")
        clients = [self.connect(1919) for _ in range(1200)]
        for each in clients:
            each.send(handshake())
        self.turn()
        done = service.stopService()
        self.turn()
        told = []
        for _ in range(4):
            told.append(sum(each.close is not None for each in clients))
            self.advance(TICK_S)
        self.assertEqual(told, [500, 1000, 1200, 1200])
        self.advance(3)
        self.successResultOf(done)
        self.assertNotIn("did not end", "".join(self.lines))

    def test_stops_though_peers_are_mute(self) -> None:
        """Peers that answer nothing and read nothing are gone within the deadlines."""
        service = self.start()
        mute = self.connect(1919)
        mute.send(handshake())
        self.turn()
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
        self.stop(service)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(self.lines[-1], "stopped")

    def test_stops_what_never_started(self) -> None:
        """Listening and not yet started, it can be stopped, and its ports are closed."""
        service = self.build(database=self.database)
        self.stop(service)
        self.assertEqual(service.ports, [])

    def test_gives_up(self) -> None:
        """What does not end by itself does not keep the process; one is not called several."""
        service = self.start()
        client = self.connect(1919)
        client.transport.abortConnection = lambda: None  # type: ignore[method-assign]
        done = service.stopService()
        self.advance(STOP_TIMEOUT_S - 2)
        self.assertNoResult(done)
        self.advance(2)
        self.successResultOf(done)
        self.assertIn("stopping: 1 connection", self.lines)
        self.assertIn("1 connection did not end", self.lines)

    def test_counts(self) -> None:
        """None, or several, are connections."""
        self.stop(self.start())
        self.assertIn("stopping: 0 connections", self.lines)
