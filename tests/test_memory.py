"""The broker that keeps nothing."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import count

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatd.brokers.memory import MemoryBroker
from chatd.core.broker import Ack
from chatd.core.events import Message, Relay, Sender
from chatd.errors import UNAVAILABLE
from tests.support.contracts import ROOMS, BrokerContract, Told

MOST_PENDING = 100
MOST_BYTES = 100_000


class MemoryBrokerTests(BrokerContract, SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.wall_ms = 1_700_000_000_000
        self.epochs = count(1)

    def make(self) -> MemoryBroker:
        return MemoryBroker(
            later=lambda call: self.clock.callLater(0, call),
            now_ms=lambda: self.wall_ms,
            new_epoch=lambda: f"epoch-{next(self.epochs)}",
            most_pending=MOST_PENDING,
            most_bytes=MOST_BYTES,
        )

    def turn(self) -> None:
        self.clock.advance(0)

    def step_clock(self, seconds: float) -> None:
        self.wall_ms += round(seconds * 1000)

    def test_one_batch_a_turn(self) -> None:
        """What is published in one turn is delivered by one call in the next, over all rooms."""
        broker, told = self.begin()
        for key, room in (("one", "ann"), ("two", "bob"), ("three", "ann")):
            self.publish(broker, told, key, room)
        self.relay(broker, told, "four")
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.turn()
        self.assertEqual([len(batch) for batch in told.batches], [4])
        self.publish(broker, told, "five")
        self.turn()
        self.assertEqual([len(batch) for batch in told.batches], [4, 1])

    def test_published_meanwhile(self) -> None:
        """What is published from within a delivery is the next batch."""
        broker, told = self.make(), Told()

        def deliver(batch: Sequence[Message | Relay]) -> None:
            told.deliver(batch)
            if len(told.batches) == 1:
                self.publish(broker, told, "answer")
                self.assertEqual(len(told.events), 1)

        broker.start(deliver)
        broker.open(ROOMS[0])
        self.publish(broker, told, "question")
        self.turn()
        self.assertEqual([len(batch) for batch in told.batches], [1, 1])
        self.assertEqual([message.offset for message in told.messages(ROOMS[0])], [1, 2])

    def test_full(self) -> None:
        """More than `most_pending` in a turn are refused, at once; the next turn takes more."""
        broker, told = self.begin()
        for number in range(MOST_PENDING - 1):
            self.publish(broker, told, f"m{number}")
        self.relay(broker, told, "last")
        self.publish(broker, told, "late")
        self.relay(broker, told, "late too")
        self.assertEqual(told.outcomes, {"late": [UNAVAILABLE], "late too": [UNAVAILABLE]})
        self.turn()
        self.assertEqual(len(told.events), MOST_PENDING)
        self.publish(broker, told, "again")
        self.turn()
        (outcome,) = told.outcomes["again"]
        assert isinstance(outcome, Ack)
        self.assertEqual(outcome.position.offset, MOST_PENDING)

    def test_full_of_bytes(self) -> None:
        """More than `most_bytes` in a turn are refused too; small ones still fit."""
        broker, told = self.begin()
        for number in range(3):
            event = Relay(ROOMS[0], Sender("s", "ann"), b"x" * 40_000, True)
            broker.ephemeral(event, partial(told.done, f"big {number}"))
        self.relay(broker, told, "small")
        self.assertEqual(told.outcomes, {"big 2": [UNAVAILABLE]})
        self.turn()
        self.assertEqual(len(told.events), 3)

    def test_not_started(self) -> None:
        """Before it is started it refuses."""
        broker, told = self.make(), Told()
        broker.open(ROOMS[0])
        self.publish(broker, told, "early")
        self.assertEqual(told.outcomes, {"early": [UNAVAILABLE]})

    def test_opened_again(self) -> None:
        """A room that is closed and opened again is a new stream, from 1."""
        broker, told = self.begin()
        self.publish(broker, told, "one")
        self.turn()
        broker.close(ROOMS[0])
        broker.open(ROOMS[0])
        self.publish(broker, told, "two")
        self.turn()
        (one,), (two,) = told.outcomes["one"], told.outcomes["two"]
        assert isinstance(one, Ack) and isinstance(two, Ack)
        self.assertEqual((one.position.offset, two.position.offset), (1, 1))
        self.assertNotEqual(one.position.epoch, two.position.epoch)

    def test_opened_again_meanwhile(self) -> None:
        """Those who enter a room that all had left do not get what was said before."""
        broker, told = self.begin()
        self.publish(broker, told, "one")
        broker.close(ROOMS[0])
        broker.open(ROOMS[0])
        self.publish(broker, told, "two")
        self.turn()
        self.assertEqual([event.id for event in told.messages(ROOMS[0])], ["two"])
        self.assertIsInstance(told.outcomes["one"][0], Ack)

    def test_closed_meanwhile(self) -> None:
        """What was accepted before its room was closed is still numbered and delivered."""
        broker, told = self.begin()
        self.publish(broker, told, "one")
        broker.close(ROOMS[0])
        self.turn()
        self.assertEqual(len(told.events), 1)
        self.assertIsInstance(told.outcomes["one"][0], Ack)

    def test_time(self) -> None:
        """A message has the time of the wall clock, in milliseconds."""
        broker, told = self.begin()
        self.publish(broker, told, "one")
        self.step_clock(1)
        self.turn()
        self.assertEqual(told.messages(ROOMS[0])[0].time_ms, 1_700_000_001_000)
