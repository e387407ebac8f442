"""The conversation of the Bun demo."""

from __future__ import annotations

from typing import cast

from twisted.internet.task import Clock
from twisted.logger import LogEvent, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from chatd.core.commands import Enter, Say, Send
from chatd.core.greeter import ANSWER, Greeter
from chatd.core.throttle import Throttle
from chatd.errors import NORMAL, TOO_MANY_REQUESTS
from chatd.wire.plain import Plain
from tests.support.peers import connect


class GreeterTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.peer, outbox = connect()
        self.outbox = outbox
        self.greeter = Greeter(
            outbox, Plain(), peer="192.0.2.1:5", messages=Throttle(1, 3, self.clock.seconds)
        )
        self.everything = self.enterContext(capturedLogs())

    @property
    def logged(self) -> list[LogEvent]:
        """What the greeter has logged."""
        return [each for each in self.everything if each["log_namespace"] == "chatd.core.greeter"]

    def test_answers(self) -> None:
        """Whatever is said, text or bytes, is answered the same."""
        self.greeter.receive([Say("hello")])
        self.greeter.receive([Send(b"\xff", binary=True)])
        self.greeter.receive([Send(b"", binary=False)])
        self.assertEqual(self.peer.messages, [ANSWER] * 3)
        self.assertEqual(ANSWER, "Hello from server!")

    def test_stop(self) -> None:
        """The word stop ends it with 1000, without an answer; then nothing is answered."""
        self.greeter.receive([Say("stop")])
        self.greeter.receive([Say("hello")])
        self.assertEqual(self.peer.closes, [NORMAL])
        self.assertEqual(self.peer.writes, [])
        self.assertEqual(len(self.logged), 1)

    def test_nearly_stop(self) -> None:
        """Other words, and the word as bytes, do not end it."""
        for command in (Say("Stop"), Say("stop "), Send(b"stop", binary=True)):
            self.greeter.receive([command])
        self.assertEqual(self.peer.closes, [])
        self.assertEqual(len(self.peer.messages), 3)

    def test_throttled(self) -> None:
        """Who asks too much is closed with 1008."""
        for _ in range(4):
            self.greeter.receive([Say("hello")])
        self.assertEqual(self.peer.messages, [ANSWER] * 3)
        self.assertEqual(self.peer.closes, [TOO_MANY_REQUESTS.close])
        self.assertEqual(self.peer.closes[0].code, 1008)

    def test_log(self) -> None:
        """The length in bytes and the peer are logged, the text is not."""
        self.greeter.receive([Say("zażółć")])
        self.greeter.receive([Send(b"12345", binary=True)])
        self.assertEqual([event["length"] for event in self.logged], [10, 5])
        self.assertEqual(self.logged[0]["peer"], "192.0.2.1:5")
        self.assertNotIn("zażółć", repr(self.logged))

    def test_drained(self) -> None:
        """That a peer has taken everything is logged."""
        self.greeter.drained()
        self.assertIn("drained", cast(str, self.logged[0]["log_format"]))

    def test_lost(self) -> None:
        """When the connection is no more nothing is left to do."""
        self.greeter.lost()
        self.assertEqual((self.peer.writes, self.peer.closes, self.logged), ([], [], []))

    def test_several(self) -> None:
        """Several that came together are each answered, none after the stop."""
        self.greeter.receive([Say("a"), Say("b"), Say("stop"), Say("c")])
        self.assertEqual(self.peer.messages, [ANSWER] * 2)
        self.assertEqual(self.peer.closes, [NORMAL])

    def test_lagging(self) -> None:
        """Answers wait for a peer that reads slowly, from which nothing is read meanwhile."""
        self.peer.pause()
        self.greeter.receive([Say("a")])
        self.assertTrue(self.peer.is_held)
        self.assertEqual(self.peer.messages, [])
        self.peer.drain()
        self.assertEqual(self.peer.messages, [ANSWER])

    def test_title(self) -> None:
        """The log calls it what it is; nobody has to say who they are."""
        self.assertFalse(self.greeter.is_connecting)
        self.assertEqual(self.greeter.title, "greeter")

    def test_enter(self) -> None:
        """Nobody enters here: the door that sends it has a bug."""
        self.assertRaises(AssertionError, self.greeter.receive, [Enter(None, None)])
