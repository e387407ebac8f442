"""What every implementation of a seam promises, to be run over each of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatd.core.broker import Ack, Broker
from chatd.core.events import Message, Relay, Sender, payload
from chatd.errors import ChatError
from tests.support import strategies

if TYPE_CHECKING:
    from twisted.trial.unittest import SynchronousTestCase as Case
else:
    # A mixin that is no case itself, or both runners would run it alone.
    Case = object

__all__ = ["BrokerContract", "Told"]

ROOMS = ("ann", "bob", "cid")
SENDER = Sender("session", "nick")


class Told:
    """What a broker told, in the order it did.

    Attributes:
        batches: what was delivered.
        log: of each outcome and each delivered event, its number of publishing.
    """

    def __init__(self) -> None:
        self.batches: list[list[Message | Relay]] = []
        self.outcomes: dict[str, list[Ack | ChatError]] = {}
        self.log: list[str] = []

    def deliver(self, batch: Sequence[Message | Relay]) -> None:
        """See `core.broker.Deliver`."""
        self.batches.append(list(batch))
        self.log += [f"delivered {name(event)}" for event in batch]

    def done(self, key: str, outcome: Ack | ChatError) -> None:
        """See `core.broker.Done`."""
        self.outcomes.setdefault(key, []).append(outcome)
        self.log.append(f"done {key}")

    @property
    def events(self) -> list[Message | Relay]:
        """All that was delivered."""
        return [event for batch in self.batches for event in batch]

    def messages(self, room: str) -> list[Message]:
        """What was delivered to a room, without what is not kept."""
        return [each for each in self.events if isinstance(each, Message) and each.room == room]


def name(event: Message | Relay) -> str:
    """What an event was published as."""
    return event.id if isinstance(event, Message) else event.data.decode("latin-1")


class BrokerContract(Case):
    """The promise of `core.broker.Broker`.

    A case with it as its first base makes brokers and lets time go by for them.
    """

    def make(self) -> Broker:
        """Make a broker that takes at least 100 events at once."""
        raise NotImplementedError

    def turn(self) -> None:
        """Wait until everything that was accepted has been delivered."""
        raise NotImplementedError

    def step_clock(self, seconds: float) -> None:
        """Have its wall clock step, backwards too."""
        raise NotImplementedError

    def begin(self) -> tuple[Broker, Told]:
        """Make a broker, started, with all rooms open."""
        broker, told = self.make(), Told()
        broker.start(told.deliver)
        for room in ROOMS:
            broker.open(room)
        return broker, told

    def publish(self, broker: Broker, told: Told, key: str, room: str = ROOMS[0]) -> None:
        """Publish a message; `key` is its id and its text."""
        broker.publish(
            room, SENDER, key, payload(key, key), lambda outcome: told.done(key, outcome)
        )

    def relay(self, broker: Broker, told: Told, key: str, room: str = ROOMS[0]) -> None:
        """Pass on an event that is not kept."""
        event = Relay(room, SENDER, key.encode(), True)
        broker.ephemeral(event, lambda outcome: told.done(key, outcome))

    def test_publishing_never_delivers(self) -> None:
        """Nothing is delivered from within the call that publishes it."""
        broker, told = self.begin()
        self.publish(broker, told, "one")
        self.relay(broker, told, "two")
        self.assertEqual(told.batches, [])
        self.turn()
        self.assertEqual([name(event) for event in told.events], ["one", "two"])

    def test_as_published(self) -> None:
        """Room, sender, id and payload come back as they went in."""
        broker, told = self.begin()
        self.publish(broker, told, "one", "bob")
        self.turn()
        (message,) = told.messages("bob")
        self.assertEqual(
            (message.room, message.sender, message.id, message.payload),
            ("bob", SENDER, "one", payload("one", "one")),
        )

    def test_acknowledged(self) -> None:
        """An acknowledgement tells the offset that is delivered; a room keeps its epoch."""
        broker, told = self.begin()
        for key in ("one", "two"):
            self.publish(broker, told, key)
            self.turn()
        (one,), (two,) = told.outcomes["one"], told.outcomes["two"]
        assert isinstance(one, Ack) and isinstance(two, Ack)
        self.assertEqual((one.position.offset, two.position.offset), (1, 2))
        self.assertEqual(one.position.epoch, two.position.epoch)

    def test_drain(self) -> None:
        """Draining delivers what was accepted at once and refuses what comes later."""
        broker, told = self.begin()
        self.publish(broker, told, "one")
        self.relay(broker, told, "two")
        broker.drain()
        self.assertEqual([name(event) for event in told.events], ["one", "two"])
        self.publish(broker, told, "late")
        self.relay(broker, told, "late too")
        self.turn()
        self.assertEqual(len(told.events), 2)
        for key in ("late", "late too"):
            (outcome,) = told.outcomes[key]
            self.assertIsInstance(outcome, ChatError)

    def test_drain_twice(self) -> None:
        """Draining with nothing accepted, and again, delivers nothing."""
        broker, told = self.begin()
        broker.drain()
        broker.drain()
        self.turn()
        self.assertEqual(told.batches, [])

    @settings(suppress_health_check=[HealthCheck.differing_executors])
    @given(
        st.lists(
            st.one_of(
                st.tuples(st.sampled_from(("publish", "relay")), st.sampled_from(ROOMS)),
                st.tuples(st.just("turn"), st.just("")),
                st.tuples(st.just("step"), st.sampled_from(("-3600", "-1", "0.5", "3600"))),
            ),
            max_size=40,
        )
    )
    def test_anything(self, plan: list[tuple[str, str]]) -> None:
        """Whatever is published in whatever order over rooms and turns.

        Everything is delivered once and in call order for each room. Messages are numbered
        1, 2, 3... without holes and their time never falls. `done` comes exactly once, before
        the delivery, and for what is not kept never.
        """
        broker, told = self.begin()
        published: dict[str, list[str]] = {room: [] for room in ROOMS}
        kept: set[str] = set()
        for number, (what, where) in enumerate(plan):
            key = f"m{number}"
            if what == "turn":
                self.turn()
            elif what == "step":
                self.step_clock(float(where))
            else:
                published[where].append(key)
                if what == "publish":
                    kept.add(key)
                    self.publish(broker, told, key, where)
                else:
                    self.relay(broker, told, key, where)
        self.turn()
        for room in ROOMS:
            heard = [name(event) for event in told.events if event.room == room]
            self.assertEqual(heard, published[room])
            messages = told.messages(room)
            self.assertEqual(
                [message.offset for message in messages], list(range(1, len(messages) + 1))
            )
            times = [message.time_ms for message in messages]
            self.assertEqual(times, sorted(times))
        self.assertEqual(told.outcomes.keys(), kept)
        for key, outcomes in told.outcomes.items():
            self.assertEqual(len(outcomes), 1)
            self.assertIsInstance(outcomes[0], Ack)
            self.assertLess(told.log.index(f"done {key}"), told.log.index(f"delivered {key}"))

    @settings(suppress_health_check=[HealthCheck.differing_executors])
    @given(strategies.blobs(), st.booleans())
    def test_bytes(self, data: bytes, binary: bool) -> None:
        """Bytes that are passed on come back as they are."""
        broker, told = self.begin()
        event = Relay(ROOMS[0], SENDER, data, binary)
        broker.ephemeral(event, lambda outcome: told.done("bytes", outcome))
        self.turn()
        self.assertEqual(told.events, [event])
