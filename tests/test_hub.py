"""This node's rooms."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatd.core.broker import Ack
from chatd.core.events import Message, Relay, Sender, payload
from chatd.core.hub import Hub
from chatd.core.room import Member
from chatd.errors import ChatError
from chatd.wire.plain import Plain
from tests.support.brokers import memory_broker
from tests.support.peers import RecordingPeer, connect


class HubTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.broker = memory_broker(self.clock)
        self.hub = Hub(self.broker)
        self.outcomes: list[Ack | ChatError] = []

    def join(self, session: str, room: str = "lobby") -> tuple[RecordingPeer, Member]:
        """Let somebody in."""
        peer, outbox = connect()
        member = Member(Sender(session, session), Plain(), outbox, echo=True)
        self.hub.join(room, member)
        return peer, member

    def say(self, member: Member, text: str, room: str = "lobby") -> None:
        """Have a member say something."""
        self.hub.publish(room, member.sender, "m", payload("m", text), self.outcomes.append)

    def offsets(self) -> list[int]:
        """Of what was acknowledged."""
        return [outcome.position.offset for outcome in self.outcomes if isinstance(outcome, Ack)]

    def test_publishing_never_delivers(self) -> None:
        """What is published arrives when the broker brings it back, not before."""
        peer, member = self.join("ann")
        self.say(member, "hi")
        self.assertEqual(peer.writes, [])
        self.clock.advance(0)
        self.assertEqual(peer.messages, ["hi"])
        self.assertEqual(self.offsets(), [1])

    def test_relay(self) -> None:
        """What is not to be kept keeps its place among the messages."""
        peer, member = self.join("ann")
        self.say(member, "one")
        self.hub.relay(Relay("lobby", member.sender, b"two", True), self.outcomes.append)
        self.say(member, "three")
        self.clock.advance(0)
        self.assertEqual(peer.messages, ["one", b"two", "three"])
        self.assertEqual(self.offsets(), [1, 2])

    def test_two_rooms(self) -> None:
        """Two rooms do not hear each other, though one batch holds both."""
        (ann, a), (bob, b) = self.join("ann"), self.join("bob", "den")
        self.say(a, "for lobby")
        self.say(b, "for den", "den")
        self.say(a, "again")
        self.clock.advance(0)
        self.assertEqual(ann.messages, ["for lobby", "again"])
        self.assertEqual(bob.messages, ["for den"])
        self.assertEqual((len(ann.writes), len(bob.writes)), (1, 1))
        self.assertEqual(self.offsets(), [1, 1, 2])

    def test_forgotten(self) -> None:
        """A room exists while somebody is in it; afterwards it begins anew."""
        self.assertEqual(len(self.hub), 0)
        (_, a), (_, b) = self.join("ann"), self.join("bob")
        self.assertEqual(len(self.hub), 1)
        self.hub.leave("lobby", a)
        self.assertEqual(len(self.hub), 1)
        self.say(b, "one")
        self.clock.advance(0)
        self.hub.leave("lobby", b)
        self.assertEqual(len(self.hub), 0)
        # The broker has been told: it does not know the room any more.
        self.assertRaises(KeyError, self.broker.close, "lobby")
        _, c = self.join("cid")
        self.say(c, "one")
        self.clock.advance(0)
        self.assertEqual(self.offsets(), [1, 1])
        first, second = self.outcomes
        assert isinstance(first, Ack) and isinstance(second, Ack)
        self.assertNotEqual(first.position.epoch, second.position.epoch)

    def test_nobody_left(self) -> None:
        """What comes back for a room that everybody has left is dropped."""
        peer, member = self.join("ann")
        self.say(member, "hi")
        self.hub.leave("lobby", member)
        self.clock.advance(0)
        self.assertEqual(peer.writes, [])

    def test_unknown_room(self) -> None:
        """A batch may hold events of rooms that nobody here is in."""
        peer, member = self.join("ann")
        sender = member.sender
        self.hub.deliver(
            [
                Message("elsewhere", sender, "m", payload("m", "there"), 1, 0),
                Message("lobby", sender, "m", payload("m", "here"), 1, 0),
            ]
        )
        self.assertEqual(peer.messages, ["here"])
