"""`chatd.doors.paths`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support.doors import World


class PathsTests(SynchronousTestCase):
    """Which path leads where."""

    def test_known(self) -> None:
        """The plain door is at / and /plain; the greeter's only when it is asked for."""
        paths = World().paths
        self.assertEqual(
            [path in paths for path in ("/", "/plain", "/greeter", "/nowhere", "")],
            [True, True, False, False, False],
        )
        self.assertIn("/greeter", World(greeter=True).paths)

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
        self.assertRegex(reader.texts[1], r"^guest-[0-9a-f]+: hi$")

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
            for _ in range(4):
                client.say("x")
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
