"""`chatd.doors.websocket`: the conversation of a connection, its life, and the registry."""

from __future__ import annotations

import dataclasses
import gc
import socket
import struct
import weakref
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.tcp import Server
from twisted.internet.testing import MemoryReactorClock

from chatd.doors.link import Link
from chatd.doors.paths import CENTRIFUGE
from tests.support.doors import Client, World
from tests.support.logs import LogCase
from tests.support.rfc6455 import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    client_frame,
    close,
    handshake,
)


class TalkTests(LogCase):
    """The demo."""

    def test_greeting(self) -> None:
        """Who connects is greeted."""
        world = World()
        client = world.open()
        world.turn()
        self.assertEqual(client.frames, [(TEXT, b"connected to WebSocket server")])

    def test_broadcast(self) -> None:
        """What one says all get, the sender too, as it was, in its order."""
        world = World(greeting="")
        clients = [world.open() for _ in range(3)]
        sent = [(TEXT, b"one"), (BINARY, b"\x00\xff"), (TEXT, b""), (BINARY, b""), (TEXT, b"two")]
        for opcode, payload in sent:
            clients[0].send(client_frame(opcode, payload))
        world.turn()
        for client in clients:
            self.assertEqual(client.frames, sent)

    def test_answered_at_once(self) -> None:
        """A handshake over TCP is answered in the turn in which it came."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            far = socket.create_connection(listener.getsockname())
            near, address = listener.accept()
        self.addCleanup(far.close)
        self.addCleanup(near.close)
        near.setblocking(False)
        protocol: Any = World().factory.buildProtocol(IPv4Address("TCP", *address))
        port: Any = None
        reactor: Any = MemoryReactorClock()
        protocol.makeConnection(Server(near, protocol, address, port, 1, reactor))
        far.sendall(handshake("/plain"))
        protocol.transport.doRead()
        far.settimeout(10)
        self.assertIn(b" 101 ", far.recv(1000))

    def test_one_write(self) -> None:
        """What is said in one turn reaches a peer in one write."""
        world = World(greeting="")
        speaker, reader = world.open(), world.open()
        writes: list[bytes] = []
        reader.transport.write = writes.append  # type: ignore[assignment,method-assign]
        for words in ("a", "b", "c"):
            speaker.say(words)
        world.turn()
        self.assertEqual(writes, [b"\x81\x01a\x81\x01b\x81\x01c"])

    def test_no_echo(self) -> None:
        """With --no-echo the others get it and the sender does not."""
        world = World(greeting="", echo=False)
        speaker, reader = world.open(), world.open()
        speaker.say("hello")
        world.turn()
        self.assertEqual((speaker.texts, reader.texts), ([], ["hello"]))

    def test_log(self) -> None:
        """The log says who opened and closed, how, and never what was said."""
        world = World()
        client = world.open("/?room=Kitchen&nick=ann")
        client.say("secret")
        world.turn()
        client.send(close(4001, "see\x1b you"))
        self.assertEqual(
            self.lines,
            [
                "opened 127.0.0.1:40000 / 'ann' in 'kitchen'",
                "closed 127.0.0.1:40000 / 'ann' in 'kitchen' 4001 'see\\x1b you' by peer",
            ],
        )

    def test_log_of_a_refused_query(self) -> None:
        """Somebody whose query made no sense was nobody."""
        client = World().open("/?nicks=x")
        self.assertEqual(self.lines[0], "opened 127.0.0.1:40000 / nobody")
        client.transport.abortConnection()
        self.assertTrue(self.lines[-1].startswith("closed 127.0.0.1:40000 / nobody "), self.lines)

    def test_log_of_sdk(self) -> None:
        """Who says only after the opening who they are is named at the end, as they are then."""
        world = World()
        client = world.open("/connection/websocket")
        self.assertEqual(self.lines[0], "opened 127.0.0.1:40000 /connection/websocket nobody")
        client.say('{"id":1,"connect":{"data":{"nick":"ann"}}}')
        world.turn()
        client.say('{"id":2,"rpc":{"method":"nick","data":{"nick":"zoe"}}}')
        world.turn()
        client.send(close(1000))
        world.turn()
        self.assertTrue(
            self.lines[-1].startswith("closed 127.0.0.1:40000 /connection/websocket 'zoe' 1000 "),
            self.lines,
        )


class EndTests(LogCase):
    """What is left of a connection."""

    def test_gone_at_once(self) -> None:
        """An ended connection is gone without a look for garbage, which may be long in coming."""
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        world = World()
        joined = '{"id":1,"connect":{}}\n{"id":2,"subscribe":{"channel":"lobby"}}'
        for path, words in (("/", "hello"), (CENTRIFUGE, "{}"), (CENTRIFUGE, joined)):
            client = world.open(path)
            client.say(words)
            world.turn()
            ended = weakref.ref(client.transport.protocol)
            client.transport.abortConnection()
            client.transport.protocol = client.transport._producer = None  # as Twisted's does
            world.advance(60)
            self.assertIsNone(ended())


class OneReadTests(LogCase):
    """What came at once, and one thing in it ends the conversation."""

    def setUp(self) -> None:
        super().setUp()
        self.world = World(greeting="", publish_burst=2)
        self.hearer = self.world.open("/plain?room=den")
        self.world.turn()

    def test_obeyed_before(self) -> None:
        """What came before is obeyed, and what comes after it is not."""
        client = self.world.open(CENTRIFUGE)
        client.say('{"id":1,"connect":{}}')
        self.world.turn()
        for last, code in (
            (_said("no command"), 3501),
            (client_frame(CLOSE, struct.pack("!H", 1000)), 1000),
        ):
            said = [_said(f'{{"id":{n},"publish":{{"channel":"den","data":{n}}}}}') for n in (2, 3)]
            client.send(said[0] + last + said[1])
            self.world.turn()
            self.assertEqual(self.hearer.texts, ["2"])
            self.assertEqual((client.close or (None,))[0], code)
            self.setUp()
            client = self.world.open(CENTRIFUGE)
            client.say('{"id":1,"connect":{}}')
            self.world.turn()

    def test_too_often(self) -> None:
        """Who asks too often is closed while what came is still being read."""
        client = self.world.open(CENTRIFUGE)
        client.say('{"id":1,"connect":{}}')
        self.world.turn()
        read = []
        protocol = client.transport.protocol
        decode = protocol._talk.decode

        def counting(payload: bytes, binary: bool) -> Any:
            read.append(payload)
            return decode(payload, binary)

        protocol._talk = dataclasses.replace(protocol._talk, decode=counting)
        client.send(_said("{}") * 5000)
        self.assertEqual((client.close or (0,))[0], 3013)
        self.assertLess(len(read), 1000)

    def test_one_code(self) -> None:
        """The first thing that ends it gives the code."""
        client = self.world.open("/plain?room=den")
        self.world.turn()
        client.send(b"".join(map(_said, "abcd")) + client_frame(TEXT, b"\xff"))
        self.world.turn()
        self.assertEqual(self.hearer.texts, ["a", "b"])
        self.assertEqual((client.close or (0,))[0], 1008)

    def test_failing(self) -> None:
        """What came before a message that makes us fail is obeyed too."""
        client = self.world.open("/plain?room=den")
        self.world.turn()
        protocol = client.transport.protocol
        decode = protocol._talk.decode

        def failing(payload: bytes, binary: bool) -> Any:
            if payload == b"bug":
                raise RuntimeError("a bug")
            return decode(payload, binary)

        protocol._talk = dataclasses.replace(protocol._talk, decode=failing)
        client.send(_said("before") + _said("bug") + _said("after"))
        self.world.turn()
        self.assertEqual(self.hearer.texts, ["before"])
        self.assertEqual((client.close or (0,))[0], 1011)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)


def _said(words: str) -> bytes:
    return client_frame(TEXT, words.encode())


class RegistryTests(LogCase):
    """All connections."""

    def test_registry(self) -> None:
        """Connections are known from their first byte to their last."""
        world = World()
        client = world.open()
        mute = world.arrive()
        self.assertEqual(len(world.factory.connections), 2)
        self.assertEqual(len(world.admission), 1)
        client.send(close())
        mute.transport.abortConnection()
        self.assertEqual(len(world.factory.connections), 0)
        self.assertEqual(len(world.admission), 0)
        self.assertEqual(len(world.hub), 0)

    def test_too_many(self) -> None:
        """One too many is told 503 and when to try again."""
        world = World(connections=2)
        world.open()
        first = world.open()
        refused = world.open()
        self.assertEqual(refused.status, 503)
        self.assertIn("Retry-After: 10", refused.head)
        first.send(close())
        self.assertEqual(world.open().status, 101)

    def test_far_too_many(self) -> None:
        """Sockets far beyond the limit are closed without a word."""
        world = World(connections=1)
        arrived = [world.arrive() for _ in range(200)]
        self.assertTrue(arrived[-1].transport.lost)
        self.assertLess(len(world.factory.connections), 150)

    def test_departed(self) -> None:
        """Sockets that are gone take no place, mute ones and those that talked."""
        world = World(connections=1)
        for _ in range(200):
            world.arrive().transport.abortConnection()
            world.open().send(close())
        self.assertEqual(world.open().status, 101)

    def test_from_one_address(self) -> None:
        """One address cannot take all places; behind a PROXY header its own one counts."""
        world = World(connections_per_address=1)
        self.assertEqual(world.open(host="10.0.0.1").status, 101)
        self.assertEqual(world.open(host="10.0.0.1").status, 503)
        proxied = world.arrive("10.9.9.9")
        proxied.transport._peer = IPv4Address("TCP", "10.0.0.1", 7)
        proxied.send(handshake())
        self.assertEqual(proxied.status, 503)

    def test_access(self) -> None:
        """A foreign page is told 403, a wrong path 404, and the log says why."""
        world = World()
        client = world.arrive()
        client.send(handshake(origin="http://evil.example"))
        self.assertEqual(client.status, 403)
        client = world.arrive()
        client.send(handshake(host="evil.example"))
        self.assertEqual(client.status, 403)
        self.assertEqual(world.open("/nowhere").status, 404)
        self.assertIn("--allow-origin http://evil.example", self.lines[0])
        self.assertIn("--public-url http://evil.example", self.lines[1])
        client = world.arrive()
        client.send(handshake(origin="http://localhost:1920"))
        self.assertEqual(client.status, 101)

    def test_shut(self) -> None:
        """Where people sign in a door at which they cannot is 403, on both ports; the log says why.

        That holds however the handshake is spelled.
        """
        world = World(users=True, greeter=True, greeting="", plain_rooms=("den",))
        for path in ("/plain", "/plain?room=hall", "/greeter", "/greeter?room=den", "/plain?room="):
            for client in (world.arrive(), world.browse()):
                client.send(handshake(path))
                self.assertEqual(client.status, 403, path)
            client = world.arrive()
            client.send(handshake(path, more=("Sec-WebSocket-Protocol: chat",)))
            self.assertEqual(client.status, 403, path)
        self.assertIn("hall is not in auth.plain_rooms", "".join(self.lines))
        client = world.open("/?room=Den&nick=ann")
        reader = world.open("/plain?room=den&nicks=1")
        client.say("hello")
        world.turn()
        self.assertEqual(reader.texts, ["guest-ann: hello"])
        self.assertEqual(world.open("/connection/websocket").status, 101)

    def test_banned(self) -> None:
        """From a banned address nobody comes in, on either port, and the log says so."""
        world = World()
        world.ban("203.0.113.7")
        for path in ("/", "/plain", "/connection/websocket"):
            self.assertEqual(world.open(path, host="203.0.113.7").status, 403)
            self.assertEqual(world.open(path, host="::ffff:203.0.113.7").status, 403)
            self.assertEqual(world.open(path, host="203.0.113.8").status, 101)
        self.assertIn("the address is banned", self.lines[0])
        browser = world.browse("203.0.113.7")
        browser.send(handshake("/plain", host="localhost:1920"))
        self.assertEqual(browser.status, 403)
        self.assertEqual(len(world.admission), 3)
        self.assertEqual(world.open("/nowhere", host="203.0.113.7").status, 404)

    def test_banned_behind_a_proxy(self) -> None:
        """What counts is the address that the proxy's header names."""
        world = World()
        world.ban("203.0.113.7")
        proxied = world.arrive("10.9.9.9")
        proxied.transport._peer = IPv4Address("TCP", "203.0.113.7", 7)
        proxied.send(handshake())
        self.assertEqual(proxied.status, 403)

    def test_address(self) -> None:
        """A session knows where its peer is, by the text that the socket was counted under."""
        world = World()
        for path in ("/", "/connection/websocket"):
            world.open(path, host="203.0.113.7").say('{"id":1,"connect":{}}')
        world.turn()
        sessions = [each for user in world.node.sessions.values() for each in user.values()]
        self.assertEqual([each.address for each in sessions], ["203.0.113.7"] * 2)
        counted = {id(each.admitted_from) for each in world.factory.connections}
        self.assertEqual({id(each.address) for each in sessions}, counted)

    def test_goodbye(self) -> None:
        """At a stop everybody gets 1001, who is mute is dropped, and then it is done."""
        world = World()
        polite, mute, unfinished = world.open(), world.open(), world.arrive()
        gone = world.factory.goodbye()
        self.assertEqual([c.close for c in (polite, mute)], [(1001, "server is stopping")] * 2)
        self.assertTrue(unfinished.transport.aborted)
        polite.send(close(1001))
        self.assertNoResult(gone)
        world.advance(3)
        self.successResultOf(gone)
        self.assertTrue(mute.transport.aborted)

    def test_goodbyes_are_spread(self) -> None:
        """At a stop 500 are told in a tick of the wheel, or more, so that it takes 3 seconds."""

        class Connection:
            has_opened = True

            def goodbye(self) -> None:
                told.append(self)

        for many, counts in ((600, [500, 600]), (12_000, [1000 * tick for tick in range(1, 13)])):
            world = World()
            told: list[Connection] = []
            everybody: Any = {Connection() for _ in range(many)}
            world.factory.connections = everybody
            world.factory.goodbye()
            found = []
            for _ in counts:
                found.append(len(told))
                world.advance(0.25)
            self.assertEqual(found, counts)
            self.assertEqual(len(set(told)), many)

    def test_gone_before_its_goodbye(self) -> None:
        """Who goes before it is their turn keeps nobody waiting."""
        world = World(greeting="")
        clients = [world.open() for _ in range(510)]
        gone = world.factory.goodbye()
        for each in clients:
            each.transport.abortConnection()
        self.successResultOf(gone)
        world.advance(1)

    def test_goodbye_to_nobody(self) -> None:
        """A stop with nobody there is done at once."""
        self.successResultOf(World().factory.goodbye())

    def test_nobody_comes_in_at_the_end(self) -> None:
        """While it stops, new sockets are closed and handshakes under way refused."""
        world = World()
        world.factory.closing = True
        self.assertTrue(world.arrive().transport.lost)
        world.factory.closing = False
        late = world.arrive()
        world.factory.closing = True
        late.send(handshake())
        self.assertEqual(late.status, 503)


class LivenessTests(LogCase):
    """Who is still there."""

    def setUp(self) -> None:
        super().setUp()
        self.world = World(greeting="")
        self.client = self.world.open()

    def pings(self) -> int:
        """How many pings came."""
        return [opcode for opcode, _ in self.client.frames].count(PING)

    def test_ping(self) -> None:
        """A ping comes every 25 seconds, and who answers stays."""
        for number in range(1, 5):
            self.world.advance(25.5 if number == 1 else 20)
            self.assertEqual(self.pings(), number)
            self.client.send(client_frame(PONG))
            self.world.advance(5.5)
        self.assertFalse(self.client.transport.lost)

    def test_no_pong(self) -> None:
        """Who gives no sign of life is gone within 46 seconds, and the log says why."""
        self.world.advance(44)
        self.assertFalse(self.client.transport.lost)
        self.world.advance(2)
        self.assertTrue(self.client.transport.aborted)
        self.assertRegex(
            self.lines[-1],
            r"^closed 127\.0\.0\.1:40000 / '[^']+' in 'lobby' 1006 'no pong' by chatd$",
        )

    def test_any_byte(self) -> None:
        """Any byte is a sign of life."""
        self.world.advance(26)
        self.client.say("hello")
        self.world.advance(21)
        self.assertFalse(self.client.transport.lost)

    def test_nothing_taken(self) -> None:
        """A peer whose kernel takes nothing more is not spared for what it has not taken."""
        self.patch(Link, "unsent", lambda _: 30_000)
        self.world.advance(46)
        self.assertTrue(self.client.transport.aborted)

    def test_dawdling(self) -> None:
        """A message that is not whole within two pings closes with 1008; a whole one does not."""
        for _ in range(3):
            self.client.send(client_frame(TEXT, b"a", fin=False))
            self.world.advance(20)
            self.client.send(client_frame(CONTINUATION, b"b"))
            self.world.advance(3)
        self.assertIsNone(self.client.close)
        self.client.send(client_frame(TEXT, b"a", fin=False))
        for _ in range(6):
            self.world.advance(9)
            self.client.send(client_frame(PONG))
        close = self.client.close
        assert close is not None
        self.assertEqual(close[0], 1008)

    def test_not_while_bytes_are_on_their_way(self) -> None:
        """A peer that is busy taking bytes is not pinged behind them."""
        self.client.transport.reads = False
        self.client.transport.write(b"x" * 70_000)
        self.world.advance(55)
        self.client.transport.take()
        self.assertEqual(self.client.transport.taken[-70_000:], b"x" * 70_000)
        self.assertFalse(self.client.transport.lost)

    def test_slow_after_a_ping(self) -> None:
        """A peer that is taking bytes when its pong is due is not dropped; a dead one is."""
        protocol = self.client.transport.protocol
        unsent = [0]
        self.patch(Link, "unsent", lambda _: unsent[0])
        self.world.advance(26)
        protocol._link.written += 100_000
        unsent[0] = 50_000
        self.world.advance(21)
        self.assertFalse(self.client.transport.lost)
        unsent[0] = 0
        self.world.advance(6)
        self.assertEqual(self.pings(), 2)
        protocol._link.written += 1000
        unsent[0] = 1002
        self.world.advance(21)
        self.assertTrue(self.client.transport.aborted)


class SdkTests(LogCase):
    """The Centrifuge door, on both ports."""

    def setUp(self) -> None:
        super().setUp()
        self.world = World()

    def enter(self, *, web: bool = False, connect: bool = True) -> Client:
        """Somebody at the door, who says who they are."""
        if web:
            client = self.world.browse()
            client.send(handshake(CENTRIFUGE, host="localhost:1920"))
        else:
            client = self.world.open(CENTRIFUGE)
        if connect:
            client.say('{"id":1,"connect":{}}')
            self.world.turn()
        return client

    def code(self, client: Client) -> int | None:
        """The code of its Close."""
        return client.close[0] if client.close is not None else None

    def pings(self, client: Client) -> int:
        """How many pings came, alone or behind others."""
        return sum(line == "{}" for text in client.texts for line in text.split("\n"))

    def test_talks(self) -> None:
        """On either port one connects, enters a room, and hears what is said there."""
        clients = [self.enter(), self.enter(web=True)]
        for each in clients:
            each.say('{"id":2,"subscribe":{"channel":"lobby"}}')
            self.world.turn()
        clients[0].say('{"id":3,"publish":{"channel":"lobby","data":{"a":1}}}')
        self.world.turn()
        for each in clients:
            self.assertIn('"connect":{"client":', each.texts[0])
            self.assertIn('"id":2,"subscribe":', each.texts[1])
            self.assertIn('"data":{"a":1}', "".join(each.texts))
        self.assertIn('{"id":3,"publish":{}}', "".join(clients[0].texts))

    def test_no_connect(self) -> None:
        """Who does not say who they are within 10 seconds is closed with 3502, unpinged."""
        for web in (False, True):
            client = self.enter(web=web, connect=False)
            self.world.advance(9.75)
            self.assertIsNone(client.close)
            self.world.advance(0.5)
            self.assertEqual(client.close, (3502, "no connect in time"))
            self.assertEqual(self.pings(client), 0)

    def test_connect_timeout(self) -> None:
        """How long that may take can be told; the plain door has no such limit."""
        self.world = World(connect_timeout_s=2)
        late, plain = self.enter(connect=False), self.world.open()
        self.world.advance(2.5)
        self.assertEqual((self.code(late), self.code(plain)), (3502, None))

    def test_pings(self) -> None:
        """A ping is the message `{}`, every 25 seconds, and who answers stays."""
        client = self.enter()
        self.world.advance(10.5)
        for number in range(1, 5):
            self.assertEqual(self.pings(client), number)
            client.say("{}")
            self.world.advance(25)
        self.assertNotIn(PING, [opcode for opcode, _ in client.frames])
        self.assertIsNone(client.close)

    def test_no_pong(self) -> None:
        """Who gives no sign of life within 10 seconds of a ping is closed with 3012."""
        client = self.enter()
        self.world.advance(19.75)
        self.assertIsNone(client.close)
        self.world.advance(0.75)
        self.assertEqual(client.close, (3012, "no pong"))
        self.world.advance(2.5)
        self.assertTrue(client.transport.lost)
        self.assertIn("3012 'no pong' by chatd", self.lines[-1])

    def test_pong_timeout(self) -> None:
        """How long a pong may take can be told."""
        self.world = World(sdk_pong_timeout_s=3)
        client = self.enter()
        self.world.advance(13.5)
        self.assertEqual(self.code(client), 3012)

    def test_progress(self) -> None:
        """Who has taken bytes since the ping need not have answered it."""
        client = self.enter()
        link = client.transport.protocol._link
        self.world.advance(10.5)
        link.written += 10_000
        self.patch(Link, "unsent", lambda _: 5_000)
        self.world.advance(10)
        self.assertIsNone(client.close)
        self.patch(Link, "unsent", lambda _: 0)
        self.world.advance(15)
        self.assertEqual(self.pings(client), 2)
        self.world.advance(10.5)
        self.assertEqual(self.code(client), 3012)

    def lagging(self) -> Client:
        """Somebody who has entered and takes nothing more."""
        client = self.enter()
        client.transport.reads = False
        client.transport.write(b"\x82\x7f" + (70_000).to_bytes(8, "big") + b"x" * 70_000)
        self.assertTrue(client.transport.held)
        return client

    def test_lagging(self) -> None:
        """A lagging peer owes no pong, and the pings it is owed join what waits for it."""
        client = self.lagging()
        self.world.advance(40)
        self.assertEqual(self.pings(client), 0)
        client.transport.reads = True
        client.transport.take()
        self.assertEqual(self.pings(client), 2)
        self.assertIsNone(client.close)

    def test_lagging_plain(self) -> None:
        """A peer of the plain door is sent nothing in place of a ping."""
        client = self.world.open("/")
        self.world.turn()
        client.transport.reads = False
        client.transport.write(b"\x82\x7f" + (70_000).to_bytes(8, "big") + b"x" * 70_000)
        self.world.advance(30)
        client.transport.take()
        self.assertEqual([opcode for opcode, _ in client.frames], [TEXT, BINARY])

    def test_lagging_since_the_ping(self) -> None:
        """Who was pinged and lags when the pong is due is not closed: it may wait unread."""
        client = self.enter()
        self.world.advance(10.5)
        self.assertEqual(self.pings(client), 1)
        client.transport.reads = False
        client.transport.write(b"x" * 70_000)
        self.patch(Link, "unsent", lambda _: 70_000)
        self.world.advance(15)
        self.assertIsNone(client.transport.protocol.localCloseCode)

    def test_waiting_for_an_answer(self) -> None:
        """While a command waits for the disk nothing is read, and no pong is due."""
        client = self.enter()
        self.world.advance(10.5)
        client.transport.protocol._outbox.busy(True)
        self.assertTrue(client.transport.held)
        self.world.advance(30)
        self.assertIsNone(client.close)
        client.transport.protocol._outbox.busy(False)
        self.world.advance(40)
        self.assertEqual(self.code(client), 3012)

    def test_pinged_while_waiting(self) -> None:
        """A ping of the peer's, read together with a command that waits, is answered."""
        client = self.enter()
        subscribe = b'{"id":2,"subscribe":{"channel":"lobby"}}'
        client.send(client_frame(TEXT, subscribe) + client_frame(PING, b"?"))
        self.assertTrue(client.transport.held)
        self.world.turn()
        self.assertIn((PONG, b"?"), client.frames)

    def test_stalled(self) -> None:
        """Who takes nothing for a minute is closed with 3008."""
        client = self.lagging()
        self.world.advance(59)
        self.assertIsNone(client.transport.protocol.localCloseCode)
        self.world.advance(2)
        client.transport.take()
        self.assertEqual(self.code(client), 3008)

    def test_shutdown(self) -> None:
        """At a stop it is 3001, before and after who they are is known."""
        clients = [self.enter(), self.enter(web=True), self.enter(connect=False)]
        self.world.factory.goodbye()
        self.assertEqual([self.code(each) for each in clients], [3001] * 3)

    def test_unintelligible(self) -> None:
        """What is no command closes with 3501, binary too, and so does one before connect."""
        for words in ("nonsense", '{"id":1', "[]", '{"id":1,"publish":{"channel":"x","data":1}}'):
            client = self.enter(connect=False)
            client.say(words)
            self.world.turn()
            self.assertEqual(self.code(client), 3501, words)
        client = self.enter()
        client.send(client_frame(BINARY, b"{}"))
        self.assertEqual(self.code(client), 3501)

    def test_control_flood(self) -> None:
        """Too many pings close with 1008, as at the plain door."""
        client = self.enter()
        for _ in range(25):
            client.send(client_frame(PING))
        self.assertEqual(client.close, (1008, "policy violation"))

    def test_frame_limits(self) -> None:
        """A frame may be larger than a message at this door, so that most are refused by name."""
        client = self.enter()
        words = '{"id":2,"publish":{"channel":"lobby","data":"%s"}}'
        client.say('{"id":9,"subscribe":{"channel":"lobby"}}')
        self.world.turn()
        client.say(words % ("x" * 65_534))
        self.world.turn()
        self.assertIn('{"id":2,"publish":{}}', "".join(client.texts))
        client.say(words % ("x" * 65_535))
        self.world.turn()
        self.assertIn('{"id":2,"error":{"code":107,"message":"bad request"}}', client.texts[-1])
        largest = self.world.paths[CENTRIFUGE].message_bytes
        client.say("x" * largest)
        self.assertEqual(self.code(client), 3501)
        client = self.enter()
        client.say("x" * (largest + 1))
        self.assertEqual(self.code(client), 1009)

    def test_frame_limit_of_the_plain_door(self) -> None:
        """At the plain door it is the size of a message; one byte more closes with 1009."""
        for size, code in ((65_536, None), (65_537, 1009)):
            client = self.world.open()
            self.world.turn()
            client.say("x" * size)
            self.assertEqual(self.code(client), code)

    def test_bytes(self) -> None:
        """Who sends more bytes than allowed is closed, at either door, before they are parsed."""
        world = World(received_bytes_per_s=1024, received_bytes_burst=3000)
        plain, sdk = world.open(), world.open(CENTRIFUGE)
        world.turn()
        for client, code in ((plain, 1008), (sdk, 3013)):
            client.say('{"id":1,"connect":{}}'.ljust(2900))
            world.turn()
            self.assertIsNone(client.close)
            client.say(" " * 200)
            self.assertEqual(self.code(client), code)

    def test_gone(self) -> None:
        """A socket that is gone takes its conversation along, whatever was under way."""
        for connect in (True, False):
            client = self.enter(connect=connect)
            client.say('{"id":2,"subscribe":{"channel":"lobby"}}')
            client.transport.abortConnection()
            self.world.turn()
            self.world.advance(60)
            self.assertEqual(len(self.world.factory.connections), 0)
            self.assertEqual(len(self.world.hub), 0)
        self.assertEqual(self.world.node.sessions, {})


class SlowPeerTests(LogCase):
    """Who does not read."""

    def setUp(self) -> None:
        super().setUp()
        self.world = World(greeting="", publish_per_s=1000, publish_burst=1000)
        self.slow = self.world.open()
        self.speaker = self.world.open()
        self.reader = self.world.open()
        self.world.turn()
        self.slow.transport.reads = False

    def say(self, count: int, size: int = 60_000) -> None:
        """Say long things, a turn each."""
        for _ in range(count):
            self.speaker.say("x" * size)
            self.world.turn()

    def test_bounded(self) -> None:
        """It costs bounded memory, whatever the others say, and they miss nothing."""
        most = 0
        for _ in range(40):
            self.say(1)
            most = max(most, len(self.slow.transport.unsent))
        self.assertLessEqual(most, 65536 * 2)
        self.assertEqual(len(self.reader.texts), 40)
        self.assertIsNone(self._close_of(self.slow))

    def test_binary_is_missed(self) -> None:
        """What is not stored a lagging peer misses; what is stored follows in its place."""
        self.say(3)
        self.speaker.send(client_frame(BINARY, b"zip"))
        self.speaker.say("words")
        self.world.turn()
        self.slow.transport.reads = True
        self.slow.transport.take()
        self.world.turn()
        self.assertNotIn((BINARY, b"zip"), self.slow.frames)
        self.assertEqual([len(text) for text in self.slow.texts], [60_000] * 3 + [5])
        self.assertIn((BINARY, b"zip"), self.reader.frames)

    def test_catches_up(self) -> None:
        """What it missed follows, in order, when it reads again."""
        for number in range(300):
            self.speaker.say(f"{number} ".ljust(1000, "x"))
            self.world.turn()
        self.assertTrue(self.slow.transport.held)
        self.slow.transport.reads = True
        self.slow.transport.take()
        self.world.turn()
        self.assertEqual([int(text.split()[0]) for text in self.slow.texts], [*range(300)])
        self.assertFalse(self.slow.transport.held)
        self.speaker.say("last")
        self.world.turn()
        self.assertEqual(self.slow.texts[-1], "last")

    def test_stalled(self) -> None:
        """Without progress it is closed after a minute, though nothing more is said."""
        self.say(3)
        self.world.advance(61)
        self.slow.transport.take()
        self.assertEqual(self._close_of(self.slow), 1013)
        self.world.advance(3)
        self.assertIn("1013 'reading too slowly' by chatd", self.lines[-1])

    def test_drained_is_told(self) -> None:
        """The greeter hears when a peer has taken everything."""
        world = World(greeter=True, publish_per_s=100_000, publish_burst=100_000)
        slow = world.open("/greeter")
        slow.transport.reads = False
        for _ in range(4000):
            slow.say("hi")
        slow.transport.take()
        self.assertIn("greeter: 127.0.0.1:40000 drained", self.lines)

    def _close_of(self, client: Client) -> int | None:
        """The code of its Close, as far as it has read."""
        frames = client.transport.taken.partition(b"\r\n\r\n")[2]
        at = frames.rfind(bytes((0x80 | CLOSE,)))
        return int.from_bytes(frames[at + 2 : at + 4], "big") if at >= 0 else None
