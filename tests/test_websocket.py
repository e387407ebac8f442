"""`chatd.doors.websocket`: the conversation of a connection, its life, and the registry."""

from __future__ import annotations

from twisted.internet.address import IPv4Address

from chatd.errors import BAD_REQUEST, NICK_INVALID
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
        self.assertEqual(World().open().frames, [(TEXT, b"connected to WebSocket server")])

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
                "closed 127.0.0.1:40000 / 4001 'see\\x1b you' by peer",
            ],
        )

    def test_errors_pin_nothing(self) -> None:
        """An error that many saw keeps nothing of them."""
        world = World()
        for _ in range(10):
            world.open("/?nicks=2")
            world.open("/?nick=admin")
        self.assertIsNone(BAD_REQUEST.__traceback__)
        self.assertIsNone(NICK_INVALID.__traceback__)

    def test_log_of_a_refused_query(self) -> None:
        """Somebody whose query made no sense was nobody."""
        World().open("/?nicks=x")
        self.assertEqual(self.lines[0], "opened 127.0.0.1:40000 / nobody")


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
        self.assertEqual(self.lines[-1], "closed 127.0.0.1:40000 / 1006 'no pong' by chatd")

    def test_any_byte(self) -> None:
        """Any byte is a sign of life."""
        self.world.advance(26)
        self.client.say("hello")
        self.world.advance(21)
        self.assertFalse(self.client.transport.lost)

    def test_nothing_taken(self) -> None:
        """A peer whose kernel takes nothing more is not spared for what it has not taken."""
        self.client.transport.protocol._link.unsent = lambda: 30_000
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
        protocol._link.unsent = lambda: unsent[0]
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


class SlowPeerTests(LogCase):
    """Who does not read."""

    def setUp(self) -> None:
        super().setUp()
        self.world = World(greeting="", publish_per_s=1000, publish_burst=1000)
        self.slow = self.world.open()
        self.speaker = self.world.open()
        self.reader = self.world.open()
        self.slow.transport.reads = False

    def say(self, count: int, size: int = 60_000) -> None:
        """Say long things, a turn each."""
        for _ in range(count):
            self.speaker.say("x" * size)
            self.world.turn()

    def test_held_and_closed(self) -> None:
        """It costs bounded memory, then it is closed; the others miss nothing."""
        self.say(6)
        self.assertIsNone(self._close_of(self.slow))
        held = len(self.slow.transport.unsent) + self.slow.transport.protocol._outbox._held_now
        self.assertLessEqual(held, 65536 * 2 + 262144)
        self.say(4)
        self.slow.transport.take()
        self.assertEqual(self._close_of(self.slow), 1013)
        self.assertEqual(len(self.reader.texts), 10)
        self.world.advance(3)
        self.assertIn("1013 'reading too slowly' by chatd", self.lines[-1])

    def test_catches_up(self) -> None:
        """What was held follows, in order, when it reads again."""
        self.say(5)
        self.assertTrue(self.slow.transport.held)
        self.slow.transport.reads = True
        self.slow.transport.take()
        self.assertEqual(len(self.slow.texts), 5)
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
