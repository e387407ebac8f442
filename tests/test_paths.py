"""`chatd.doors.paths`."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from chatd import __version__
from chatd.wire.centrifuge import frame_bytes
from tests.support.deflates import inflated_frames
from tests.support.doors import World
from tests.support.rfc6455 import handshake


class PathsTests(SynchronousTestCase):
    """Which path leads where."""

    def test_known(self) -> None:
        """Plain at / and /plain, Centrifuge at its own path, the greeter when it is asked for."""
        paths = World().paths
        asked = ("/", "/plain", "/connection/websocket", "/greeter", "/nowhere", "")
        self.assertEqual([path in paths for path in asked], [True] * 3 + [False] * 3)
        self.assertIn("/greeter", World(greeter=True).paths)

    def test_on_both_ports(self) -> None:
        """All but / are on the web port too, where that is the page."""
        paths = World(greeter=True).paths
        self.assertEqual(paths.on_both_ports(), ["/plain", "/connection/websocket", "/greeter"])

    def test_doors(self) -> None:
        """Each door has its limit of size, its ping, its time for a pong, and its codes."""
        paths = World(message_bytes=1000, pong_timeout_s=7, sdk_pong_timeout_s=3).paths
        plain, sdk = paths["/"], paths["/connection/websocket"]
        self.assertEqual(
            (plain.message_bytes, plain.ping, plain.pong_timeout_s, plain.is_sdk),
            (1000, b"", 7, False),
        )
        self.assertEqual(
            (sdk.message_bytes, sdk.ping, sdk.pong_timeout_s, sdk.is_sdk),
            (frame_bytes(1000), b"\x81\x02{}", 3, True),
        )

    def test_sessions(self) -> None:
        """Each connection is a session of its own, of one process with one name."""
        world = World()
        found = []
        for _ in range(2):
            client = world.open("/connection/websocket")
            client.say('{"id":1,"connect":{}}')
            world.turn()
            found.append(json.loads(client.texts[0])["connect"])
        self.assertNotEqual(found[0]["client"], found[1]["client"])
        self.assertEqual(found[0]["node"], found[1]["node"])
        self.assertEqual(found[0]["version"], f"chatd {__version__}")

    def test_plain(self) -> None:
        """At / and /plain one talks in a room, lobby unless another is asked for."""
        world = World(greeting="")
        clients = [world.open(path) for path in ("/", "/plain", "/?room=lobby", "/?room=other")]
        clients[0].say("hello")
        world.turn()
        self.assertEqual([c.texts for c in clients], [["hello"], ["hello"], ["hello"], []])

    def test_nicks(self) -> None:
        """With ?nicks=1 one sees who said it, by the nick asked for or one that is made."""
        world = World(greeting="")
        reader = world.open("/?nicks=1")
        world.open("/?nick=ann").say("hello")
        world.open().say("hi")
        world.turn()
        self.assertEqual(reader.texts[0], "ann: hello")
        self.assertRegex(reader.texts[1], r"^guest-[0-9a-f-]+: hi$")

    def test_refused(self) -> None:
        """What makes no sense in the query closes with 1008 and words."""
        world = World()
        for query, words in (
            ("room=a%20b", "room name invalid"),
            ("nick=admin", "nick invalid or reserved"),
            ("room=", "room name invalid"),
            ("nick=", "nick invalid"),
            ("room=&room=k", "bad request"),
            ("room=a&room=b", "bad request"),
            ("nicks=2", "bad request"),
        ):
            close = world.open(f"/?{query}").close
            assert close is not None, query
            self.assertEqual(close[0], 1008)
            self.assertTrue(close[1].startswith(words), close)
        self.assertEqual(len(world.hub), 0)

    def test_throttle(self) -> None:
        """The limits of the configuration hold at both doors."""
        for path in ("/", "/greeter"):
            world = World(greeter=True, publish_per_s=1, publish_burst=3)
            client = world.open(path)
            world.turn()
            for _ in range(4):
                client.say("x")
                world.turn()
            close = client.close
            assert close is not None
            self.assertEqual(close[0], 1008, path)

    def test_greeter(self) -> None:
        """The greeter answers, and ends at the word stop."""
        client = World(greeter=True).open("/greeter")
        client.say("hi")
        client.say("stop")
        self.assertEqual(client.texts, ["Hello from server!"])
        self.assertEqual(client.close, (1000, ""))

    def test_open(self) -> None:
        """Where nobody signs in every door is open to everybody."""
        paths = World(greeter=True, plain_rooms=("den",)).paths
        for path in ("/", "/plain", "/connection/websocket", "/greeter"):
            self.assertEqual(paths.shut(path, lambda: {"room": ["lobby"]}), "", path)

    def test_banned(self) -> None:
        """A banned address is let in by no door, whoever may sign in there."""
        world = World(greeter=True)
        world.ban("203.0.113.7")
        for path in ("/", "/plain", "/greeter", "/connection/websocket"):
            self.assertIn("banned", world.paths.shut(path, dict, "203.0.113.7"))
            self.assertEqual(world.paths.shut(path, dict, "203.0.113.8"), "")

    def test_shut(self) -> None:
        """Where people sign in only the door is open at which they can, and some plain rooms."""
        paths = World(greeter=True, users=True, plain_rooms=("den", "lobby")).paths
        self.assertEqual(paths.shut("/connection/websocket", dict), "")
        self.assertIn("sign in", paths.shut("/greeter", lambda: {"room": ["den"]}))
        for path in ("/", "/plain"):
            for query in ({}, {"room": ["den"]}, {"room": ["DEN"], "nick": ["Ann"]}):
                self.assertEqual(paths.shut(path, lambda: query), "", query)  # noqa: B023
            self.assertIn("hall is not in", paths.shut(path, lambda: {"room": ["hall"]}))

    def test_shut_strange(self) -> None:
        """A query that makes no sense leads nowhere, whatever is in it."""
        paths = World(users=True, plain_rooms=("den",)).paths
        for query in (
            {},
            {"room": ["den", "den"]},
            {"room": [""]},
            {"room": ["a b"]},
            {"room": ["den"], "nicks": ["2"]},
            {"room": ["@a:b"]},
            {"room": ["!audit"]},
        ):
            self.assertIn("sign in", paths.shut("/plain", lambda: query), query)  # noqa: B023

    def test_address(self) -> None:
        """A session knows the address of its peer, by whichever door it came."""
        world = World(greeting="")
        plain = world.open("/plain", "10.0.0.7")
        sdk = world.open("/connection/websocket", "10.0.0.8")
        sdk.say('{"id":1,"connect":{}}')
        world.turn()
        sessions = [each for user in world.node.sessions.values() for each in user.values()]
        self.assertEqual(sorted(each.address for each in sessions), ["10.0.0.7", "10.0.0.8"])
        for client in (plain, sdk):
            client.transport.abortConnection()

    def test_compressed(self) -> None:
        """Who agreed to it is sent the same as all others, and what is large compressed.

        At the SDK's door replies are compressed as well, but what names the session.
        """
        world = World(greeting="", compression=True, greeter=True)
        said = "some words, and some more. " * 100
        for path, *commands in (
            ("/",),
            ("/plain?nicks=1",),
            (
                "/connection/websocket",
                '{"id":1,"connect":{}}\n{"id":2,"subscribe":{"channel":"lobby"}}',
                '{"id":3,"history":{"channel":"lobby","limit":9}}',
            ),
        ):
            speaker = world.open()
            plain, small = world.arrive(), world.arrive()
            plain.send(handshake(path))
            small.send(handshake(path, more=("Sec-WebSocket-Extensions: permessage-deflate",)))
            for client in (plain, small):
                for command in commands[:1]:
                    client.say(command)
            world.turn()
            speaker.say(said)
            speaker.say("short")
            world.turn()
            for client in (plain, small):
                for command in commands[1:]:
                    client.say(command)
            world.turn()
            taken = small.transport.taken.partition(b"\r\n\r\n")[2]
            frames = list(inflated_frames(taken))
            shown = [(opcode, payload) for opcode, payload, _ in frames]
            own = 2 if commands else 0  # what names the session
            self.assertEqual(shown[own:], plain.frames[own:], path)
            self.assertEqual(len(frames), 5 if commands else 2)
            for _, payload, compressed in frames:
                is_reply = payload.startswith(b'{"id"')  # for one peer alone
                self.assertEqual(compressed, len(payload) > 1024 and not is_reply, path)
            self.assertIn(True, [compressed for _, _, compressed in frames], path)
            for client in (plain, small, speaker):
                client.transport.abortConnection()
