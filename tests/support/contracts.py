"""What every implementation of a seam promises, to be run over each of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatd.core.broker import BLOCK, LONGEST_PAGE, Ack, Broker, Opened, Place, Position, RoomSummary
from chatd.core.events import (
    MESSAGE,
    About,
    Joined,
    Kind,
    Left,
    Message,
    Relay,
    RoomEvent,
    Sender,
    Signal,
    payload,
)
from chatd.core.records import Records
from chatd.errors import Refusal
from tests.support import strategies
from tests.support.models import Model

if TYPE_CHECKING:
    from twisted.trial.unittest import SynchronousTestCase as Case
else:
    # A mixin that is no case itself, or both runners would run it alone.
    Case = object

__all__ = ["ROOMS", "SENDER", "BrokerContract", "DurableContract", "RecordsContract", "Told"]

ROOMS = ("ann", "bob", "cid")
SENDER = Sender("user", "session", "nick")
OTHER = Sender("other", "session-2", "Nick")

T = TypeVar("T")

_plans = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.sampled_from(ROOMS), st.integers(0, 3)),
        st.tuples(st.just("publish"), st.sampled_from(ROOMS), st.integers(4, 1000)),
        st.tuples(st.just("relay"), st.sampled_from(ROOMS), st.just(0)),
        st.tuples(st.just("erase"), st.sampled_from(ROOMS), st.integers(1, 5)),
        st.tuples(st.just("edit"), st.sampled_from(ROOMS), st.integers(1, 5)),
        st.tuples(st.just("mention"), st.sampled_from(ROOMS), st.integers(0, 20)),
        st.tuples(st.just("trim"), st.sampled_from(ROOMS), st.integers(1, 5)),
        st.tuples(st.just("reopen"), st.sampled_from(ROOMS), st.just(0)),
        st.tuples(st.just("turn"), st.just(""), st.just(0)),
        st.tuples(st.just("restart"), st.just(""), st.just(0)),
        st.tuples(st.just("step"), st.just(""), st.sampled_from((-3600, -1, 1, 3600))),
    ),
    max_size=40,
)


class Told:
    """What a broker told, in the order it did.

    Attributes:
        batches: what was delivered.
        outcomes: of each name, what its `done` was told.
        opened: of each room, what its `open` was told.
        log: of each outcome and each delivered event, its name.
    """

    def __init__(self) -> None:
        self.batches: list[list[RoomEvent]] = []
        self.outcomes: dict[str, list[Ack | Refusal]] = {}
        self.opened: dict[str, list[Opened | Refusal]] = {}
        self.log: list[str] = []

    def deliver(self, batch: Sequence[RoomEvent]) -> None:
        """See `core.broker.Deliver`."""
        self.batches.append(list(batch))
        self.log += [f"delivered {name(event)}" for event in batch]

    def done(self, key: str, outcome: Ack | Refusal) -> None:
        """See `core.broker.Done`."""
        self.outcomes.setdefault(key, []).append(outcome)
        self.log.append(f"done {key}")

    def open(self, broker: Broker, room: str) -> None:
        """Open a room."""
        broker.open(room, self.opened.setdefault(room, []).append)

    def publish(
        self,
        broker: Broker,
        key: str,
        room: str = ROOMS[0],
        sender: Sender = SENDER,
        erases: Sequence[int] = (),
        about: About = MESSAGE,
    ) -> None:
        """Publish a message; `key` is its id and its text."""
        if erases:
            about = About(Kind.DELETE, erases[0], tuple(erases))
        broker.publish(
            room, sender, key, payload(key, key), lambda told: self.done(key, told), about
        )

    def relay(self, broker: Broker, key: str, room: str = ROOMS[0]) -> None:
        """Pass on an event that is not stored."""
        broker.ephemeral(Relay(room, SENDER, key.encode(), True), lambda told: self.done(key, told))

    @property
    def events(self) -> list[RoomEvent]:
        """All that was delivered."""
        return [event for batch in self.batches for event in batch]

    def messages(self, room: str = ROOMS[0]) -> list[Message]:
        """What was delivered to a room, without what is not stored."""
        return [each for each in self.events if isinstance(each, Message) and each.room == room]

    def names(self, room: str = ROOMS[0]) -> list[str]:
        """Names of all that was delivered to a room."""
        return [name(event) for event in self.events if event.room == room]

    def acks(self, key: str) -> list[tuple[int, bool]]:
        """Offset, and whether it was there before, of each acknowledgement."""
        outcomes = self.outcomes.get(key, [])
        assert all(isinstance(each, Ack) for each in outcomes), outcomes
        return [(ack.position.offset, ack.duplicate) for ack in outcomes if isinstance(ack, Ack)]

    def head(self, room: str) -> Opened:
        """How a room stood when it was opened last."""
        opened = self.opened[room][-1]
        assert isinstance(opened, Opened), opened
        return opened


def name(event: RoomEvent) -> str:
    """What an event was published as."""
    if isinstance(event, Message):
        return text(event)
    if isinstance(event, Relay):
        return event.data.decode("latin-1")
    if isinstance(event, Signal):
        return event.payload.decode()
    return f"{'+' if isinstance(event, Joined) else '-'}{event.sender.user}"


def text(message: Message) -> str:
    """The text of a message; nothing if it was erased."""
    value = json.loads(message.payload)
    return str(value["text"]) if value["type"] == "message" else ""


class BrokerContract(Case):
    """The promise of `core.broker.Broker`.

    A case with it as its first base makes brokers and lets time go by for them.
    """

    def make(self) -> Broker:
        """Make a broker that takes at least 100 events at once; each keeps apart from others."""
        raise NotImplementedError

    def restart(self, broker: Broker) -> Broker:
        """Drain and stop a broker and make another over what it stored; it is not started."""
        raise NotImplementedError

    def turn(self) -> None:
        """Wait until everything that was accepted is delivered and all that was asked is told."""
        raise NotImplementedError

    def step_clock(self, seconds: float) -> None:
        """Have its wall clock step, backwards too."""
        raise NotImplementedError

    is_durable = False

    def begin(self, rooms: Sequence[str] = ROOMS) -> tuple[Broker, Told]:
        """Make a broker, started, with rooms open."""
        return self.begin_over(self.make(), rooms)

    def begin_over(self, broker: Broker, rooms: Sequence[str] = ROOMS) -> tuple[Broker, Told]:
        """Start a broker and open rooms."""
        told = Told()
        broker.start(told.deliver)
        for room in rooms:
            told.open(broker, room)
        self.turn()
        return broker, told

    def say(self, broker: Broker, told: Told, keys: Sequence[str], room: str = ROOMS[0]) -> None:
        """Publish messages, a hundred in a turn."""
        for number, key in enumerate(keys, 1):
            told.publish(broker, key, room)
            if number % 100 == 0:
                self.turn()
        self.turn()

    def page(
        self, broker: Broker, after: int, upto: int, room: str = ROOMS[0], **more: int
    ) -> list[int]:
        """Read the offsets of a page."""
        return [message.offset for message in self.read(broker, after, upto, room, **more)]

    def read(
        self, broker: Broker, after: int, upto: int, room: str = ROOMS[0], **more: int
    ) -> Sequence[Message]:
        """Read a page."""
        pages: list[Sequence[Message] | Refusal] = []
        broker.page(room, after, upto, pages.append, **more)  # type: ignore[arg-type]
        self.assertEqual(pages, [])
        return self.only(pages)

    def locate(self, broker: Broker, epoch: str, offset: int, room: str = ROOMS[0]) -> Place:
        """Find out what became of a position."""
        places: list[Place | Refusal] = []
        broker.locate(room, Position(epoch, offset), places.append)
        self.assertEqual(places, [])
        return self.only(places)

    def rooms(self, broker: Broker, names: Sequence[str] | None = None) -> list[str]:
        """Read the names of rooms."""
        lines: list[Sequence[RoomSummary] | Refusal] = []
        broker.rooms(lines.append, names)
        self.assertEqual(lines, [])
        return [line.name for line in self.only(lines)]

    def trim(self, broker: Broker, upto: int, room: str = ROOMS[0]) -> None:
        """Trim a room, in as many steps as it takes."""
        gone = -1
        while gone < upto:
            steps: list[int | Refusal] = []
            broker.trim(room, upto, steps.append)
            self.assertEqual(steps, [])
            before, gone = gone, self.only(steps)
            self.assertGreater(gone, before)

    def only(self, told: Sequence[T | Refusal]) -> T:
        """Wait for the one outcome, which is no refusal."""
        self.turn()
        (outcome,) = told
        assert not isinstance(outcome, Refusal), outcome
        return outcome

    def test_nothing_from_within(self) -> None:
        """No outcome comes and nothing is delivered from within the call that asks."""
        broker = self.make()
        told = Told()
        other: list[object] = []
        broker.start(told.deliver)
        told.open(broker, "ann")
        self.assertEqual(told.opened, {"ann": []})
        self.turn()
        told.publish(broker, "one")
        told.publish(broker, "one")
        told.relay(broker, "two")
        told.publish(broker, "lost", "not open")
        told.relay(broker, "lost", "not open")
        broker.join("ann", SENDER)
        broker.present("ann", other.append)
        broker.rooms(other.append)
        broker.drain(lambda: other.append(None))
        self.assertEqual((told.log, other), ([], []))
        self.turn()
        self.assertEqual(told.names(), ["one", "two", "+user"])
        self.assertEqual(len(told.outcomes["lost"]), 2)
        self.assertEqual(len(other), 3)

    def test_asked_early(self) -> None:
        """What is asked right after the start is answered as soon as it can be."""
        broker = self.make()
        told: list[object] = []
        broker.start(lambda batch: None)
        broker.rooms(told.append)
        broker.rooms(told.append, ["ann"])
        self.assertEqual(told, [])
        self.turn()
        self.assertEqual(told, [[], []])

    def test_as_published(self) -> None:
        """Room, sender and payload come back as they went in, told and read."""
        broker, told = self.begin()
        told.publish(broker, "one", "bob", OTHER)
        self.turn()
        (message,) = told.messages("bob")
        self.assertEqual(
            (message.room, message.sender, message.payload, message.offset),
            ("bob", OTHER, payload("one", "one"), 1),
        )
        self.assertEqual(self.read(broker, 0, 1, "bob"), [message])

    def test_acknowledged(self) -> None:
        """An acknowledgement comes before the delivery, with its offset and the room's epoch."""
        broker, told = self.begin()
        for key in ("one", "two"):
            told.publish(broker, key)
            self.turn()
        self.assertEqual(told.log, ["done one", "delivered one", "done two", "delivered two"])
        self.assertEqual(told.outcomes["two"], [Ack(Position(told.head("ann").epoch, 2))])
        self.assertEqual([message.offset for message in told.messages()], [1, 2])
        self.assertTrue(broker.is_up)

    def test_open_empty(self) -> None:
        """A room in which nothing was said has head 0, and no tail."""
        _, told = self.begin()
        self.assertEqual((told.head("ann").head, list(told.head("ann").tail)), (0, []))

    def test_open_tail(self) -> None:
        """An opened room tells its messages above the last multiple of `BLOCK`."""
        broker, told = self.begin(())
        for head in (1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 3):
            told.open(broker, "ann")
            self.turn()
            self.say(broker, told, [f"{head} {n}" for n in range(told.head("ann").head, head)])
            broker.close("ann")
            told.open(broker, "ann")
            self.turn()
            opened = told.head("ann")
            self.assertEqual(opened.head, head)
            self.assertEqual(list(opened.tail), told.messages()[head - head % BLOCK :])
            broker.close("ann")

    def test_published_before_opened(self) -> None:
        """What is published before a room has opened comes after it has, in order."""
        broker = self.make()
        told = Told()
        broker.start(told.deliver)
        broker.open("ann", lambda opened: told.log.append("opened"))
        told.publish(broker, "one")
        told.relay(broker, "two")
        broker.join("ann", SENDER)
        told.publish(broker, "one")
        self.turn()
        self.assertEqual(
            told.log,
            ["opened", "done one", "done one"]
            + [f"delivered {name}" for name in ("one", "two", "+user")],
        )
        self.assertEqual(told.acks("one"), [(1, False), (1, True)])

    def test_closed_meanwhile(self) -> None:
        """What was published before its room was closed is stored and acknowledged."""
        broker, told = self.begin()
        told.publish(broker, "one")
        broker.close("ann")
        self.turn()
        self.assertEqual(told.acks("one"), [(1, False)])
        told.open(broker, "ann")
        self.turn()
        self.assertEqual(told.head("ann").head, 1)

    def test_opened_again_meanwhile(self) -> None:
        """A room that is opened again knows what was published before, and goes on after it."""
        broker, told = self.begin()
        told.publish(broker, "one")
        for key in ("two", "three", "two"):
            broker.close("ann")
            told.open(broker, "ann")
            told.publish(broker, key)
        self.turn()
        heads = [opened.head for opened in told.opened["ann"] if isinstance(opened, Opened)]
        self.assertEqual(heads, [0, 1, 2, 3])
        self.assertEqual(told.acks("three"), [(3, False)])
        self.assertEqual(told.acks("two"), [(2, False), (2, True)])

    def test_closed_is_not_open(self) -> None:
        """In a closed room nothing can be done."""
        broker, told = self.begin()
        broker.close("ann")
        broker.close("ann")
        told.publish(broker, "one")
        told.relay(broker, "two")
        others: list[object] = []
        broker.page("ann", 0, 1, others.append)
        broker.locate("ann", Position("epoch", 0), others.append)
        broker.present("ann", others.append)
        broker.join("ann", SENDER)
        broker.leave("ann", SENDER)
        self.turn()
        self.assertEqual(told.events, [])
        for outcome in (*told.outcomes["one"], *told.outcomes["two"], *others):
            self.assertIsInstance(outcome, Refusal)
        self.assertEqual(len(others), 3)

    def test_same_id_in_a_turn(self) -> None:
        """Four equal ids in one turn are one message and four acknowledgements."""
        broker, told = self.begin()
        for _ in range(4):
            told.publish(broker, "one")
        self.turn()
        self.assertEqual(told.acks("one"), [(1, False), (1, True), (1, True), (1, True)])
        self.assertEqual(told.names(), ["one"])

    def test_same_id_later(self) -> None:
        """An id that was stored is acknowledged again, with its position; nothing is delivered."""
        broker, told = self.begin()
        self.say(broker, told, ["one", "two"])
        before = len(told.batches)
        told.publish(broker, "one")
        self.turn()
        self.assertEqual(told.acks("one"), [(1, False), (1, True)])
        self.assertEqual(told.batches[before:], [[]])

    def test_repeated(self) -> None:
        """What was said is acknowledged once more, and what was not is not known."""
        broker, told = self.begin()
        self.say(broker, told, ["one", "two"])
        again: list[Ack | Refusal] = []
        self.assertTrue(broker.repeated("ann", SENDER, "one", again.append))
        self.assertEqual(again, [])
        self.turn()
        epoch = told.head("ann").epoch
        self.assertEqual(again, [Ack(Position(epoch, 1), duplicate=True)])
        for room, sender, key in (
            ("ann", SENDER, "three"),
            ("ann", OTHER, "one"),
            ("bob", SENDER, "one"),
        ):
            self.assertFalse(broker.repeated(room, sender, key, again.append))
        self.turn()
        self.assertEqual((len(again), len(told.messages())), (1, 2))

    def test_repeated_under_way(self) -> None:
        """What is under way when it is asked about shares its fate; a closed room knows nothing."""
        broker, told = self.begin()
        again: list[Ack | Refusal] = []
        told.publish(broker, "one")
        self.assertTrue(broker.repeated("ann", SENDER, "one", again.append))
        self.turn()
        epoch = told.head("ann").epoch
        self.assertEqual(again, [Ack(Position(epoch, 1), duplicate=True)])
        self.assertEqual(len(told.messages()), 1)
        broker.close("ann")
        self.turn()
        self.assertFalse(broker.repeated("ann", SENDER, "one", again.append))

    def test_same_id_elsewhere(self) -> None:
        """An id is the user's own, and the room's."""
        broker, told = self.begin()
        told.publish(broker, "one", "ann")
        told.publish(broker, "one", "ann", OTHER)
        told.publish(broker, "one", "bob")
        self.turn()
        told.publish(broker, "one", "ann", Sender(SENDER.user, "session-9", "renamed"))
        self.turn()
        self.assertEqual(told.acks("one"), [(1, False), (2, False), (1, False), (1, True)])

    def test_window_of_time(self) -> None:
        """An id is remembered for ten minutes."""
        broker, told = self.begin()
        self.say(broker, told, ["one"])
        self.step_clock(599)
        self.say(broker, told, ["one"])
        self.step_clock(2)
        self.say(broker, told, ["one", "one"])
        self.assertEqual(told.acks("one"), [(1, False), (1, True), (2, False), (2, True)])

    def test_window_of_messages(self) -> None:
        """An id is remembered for ten thousand messages of its room."""
        broker, told = self.begin()
        self.say(broker, told, ["one", "two"])
        self.say(broker, told, [f"m{number}" for number in range(9_998)])
        self.say(broker, told, ["one", "two"])
        self.assertEqual(told.acks("one"), [(1, False), (1, True)])
        self.say(broker, told, ["more", "one"])
        self.assertEqual(told.acks("one"), [(1, False), (1, True), (10_002, False)])
        self.assertEqual(told.acks("two"), [(2, False), (2, True)])

    def test_erased(self) -> None:
        """A message that is erased keeps its offset and sender, and its payload is gone."""
        broker, told = self.begin()
        self.say(broker, told, ["one", "two"])
        told.publish(broker, "bob's", "bob")
        told.publish(broker, "gone", erases=[2])
        self.turn()
        found = self.read(broker, 0, 3)
        self.assertEqual([message.payload for message in found][1], b'{"type":"deleted"}')
        self.assertEqual([text(message) for message in found], ["one", "", "gone"])
        self.assertEqual([message.sender for message in found], [SENDER] * 3)
        broker.close("ann")
        told.open(broker, "ann")
        self.turn()
        self.assertEqual([text(each) for each in told.head("ann").tail], ["one", "", "gone"])

    def test_erased_in_its_turn(self) -> None:
        """A message can be erased in the turn in which it is published."""
        broker, told = self.begin()
        told.publish(broker, "one")
        told.publish(broker, "gone", erases=[1])
        self.turn()
        self.assertEqual([text(message) for message in self.read(broker, 0, 2)], ["", "gone"])

    def test_erased_many(self) -> None:
        """One message erases many; told is of which, less those that are not before it."""
        broker, told = self.begin()
        self.say(broker, told, ["one", "two", "three"])
        told.publish(broker, "gone", erases=[1, 3, 4, 5, 99])
        told.publish(broker, "again", erases=[1])
        self.turn()
        found = self.read(broker, 0, 9)
        self.assertEqual([text(each) for each in found], ["", "two", "", "gone", "again"])
        self.assertEqual([each.erases for each in told.messages()[3:]], [(1, 3), (1,)])
        self.assertEqual([each.erases for each in found], [()] * 5)

    def test_changes(self) -> None:
        """What an edit says is stored as an event of its own; what it changes stays as it was."""
        broker, told = self.begin()
        self.say(broker, told, ["one"])
        told.publish(broker, "two", about=About(Kind.EDIT, 1, mentions=("bob",)))
        told.publish(broker, "three", about=About(Kind.REACTION, 1))
        told.publish(broker, "four", about=About(Kind.EDIT, 99, mentions=("bob",)))
        self.turn()
        self.assertEqual([text(each) for each in self.read(broker, 0, 9)], told.names())
        self.assertEqual(told.names(), ["one", "two", "three", "four"])

    def test_passing(self) -> None:
        """What is not stored keeps its place among what is, and its `done` is not called."""
        broker, told = self.begin()
        told.publish(broker, "one")
        told.relay(broker, "two")
        broker.ephemeral(Signal("ann", SENDER, b'"three"'), lambda told: self.fail(str(told)))
        told.publish(broker, "four")
        self.turn()
        told.relay(broker, "five")
        self.turn()
        self.assertEqual(told.names(), ["one", "two", '"three"', "four", "five"])
        self.assertEqual(self.page(broker, 0, 9), [1, 2])
        self.assertEqual(list(told.outcomes), ["one", "four"])

    def test_presence(self) -> None:
        """Who joins is present until they leave; both are told in their place."""
        broker, told = self.begin()
        told.publish(broker, "one")
        broker.join("ann", SENDER)
        told.publish(broker, "two")
        broker.join("ann", OTHER)
        broker.join("bob", OTHER)
        before: list[Mapping[str, Sender] | Refusal] = []
        broker.present("ann", before.append)
        broker.leave("ann", SENDER)
        self.turn()
        self.assertEqual(self.only(before), {"user": SENDER, "other": OTHER})
        after: list[Mapping[str, Sender] | Refusal] = []
        broker.present("ann", after.append)
        self.assertEqual(self.only(after), {"other": OTHER})
        self.assertEqual(told.names(), ["one", "+user", "two", "+other", "-user"])
        self.assertEqual(
            [each for each in told.events if not isinstance(each, Message)][-1],
            Left("ann", SENDER),
        )

    def test_locate(self) -> None:
        """A position is good up to the head; beyond it, or of another epoch, it is not."""
        broker, told = self.begin()
        self.say(broker, told, ["one", "two", "three"])
        epoch = told.head("ann").epoch
        for offset in (0, 1, 3):
            self.assertIs(self.locate(broker, epoch, offset), Place.OK)
        self.assertIs(self.locate(broker, epoch, 4), Place.TRUNCATE)
        self.assertIs(self.locate(broker, epoch, 1, "bob"), Place.TRUNCATE)
        self.assertIs(self.locate(broker, epoch, 0, "bob"), Place.OK)
        self.assertIs(self.locate(broker, "unknown", 1), Place.RESET)

    def test_page(self) -> None:
        """A page is what lies after one offset up to another, ascending, from either end."""
        broker, told = self.begin()
        self.say(broker, told, [f"m{number}" for number in range(1, 10)])
        self.assertEqual(self.page(broker, 0, 9), list(range(1, 10)))
        self.assertEqual(self.page(broker, 3, 6), [4, 5, 6])
        self.assertEqual(self.page(broker, 3, 6, backward=True), [4, 5, 6])
        self.assertEqual(self.page(broker, 3, 9, limit=2), [4, 5])
        self.assertEqual(self.page(broker, 3, 9, limit=2, backward=True), [8, 9])
        self.assertEqual(self.page(broker, 7, 1000), [8, 9])
        self.assertEqual(self.page(broker, 7, 1000, limit=1, backward=True), [9])
        for after, upto in ((9, 9), (9, 20), (5, 4), (0, 0)):
            self.assertEqual(self.page(broker, after, upto), [])
        self.assertEqual(self.page(broker, 0, 9, "bob"), [])

    def test_long_page(self) -> None:
        """A page has `LONGEST_PAGE` messages at most, whatever is asked, and one at least."""
        broker, told = self.begin()
        head = LONGEST_PAGE + 10
        self.say(broker, told, [f"m{number}" for number in range(head)])
        self.assertEqual(self.page(broker, 0, head, limit=10_000), list(range(1, 501)))
        self.assertEqual(self.page(broker, 0, head, limit=499), list(range(1, 500)))
        self.assertEqual(self.page(broker, 0, head, limit=0), [1])

    def test_page_of_bytes(self) -> None:
        """A page has so many bytes at most, but one message at least."""
        broker, told = self.begin()
        for number in range(6):
            told.publish(broker, f"{number}" + "x" * 999)
        self.turn()
        size = len(told.messages()[0].payload) + len(SENDER.encoded)
        for most, count in ((1, 1), (size, 1), (2 * size - 1, 1), (2 * size, 2), (9 * size, 6)):
            first, last = list(range(1, count + 1)), list(range(7 - count, 7))
            self.assertEqual(self.page(broker, 0, 6, most_bytes=most), first)
            self.assertEqual(self.page(broker, 0, 6, most_bytes=most, backward=True), last)

    def test_trim(self) -> None:
        """What is trimmed is gone; the rest keeps its offsets, and positions before are gaps."""
        broker, told = self.begin()
        self.say(broker, told, [f"m{number}" for number in range(1, 8)])
        self.trim(broker, 3)
        self.assertEqual(self.page(broker, 0, 7), [4, 5, 6, 7])
        epoch = told.head("ann").epoch
        places = [self.locate(broker, epoch, offset) for offset in (0, 2, 3, 4, 7)]
        self.assertEqual(places, [Place.GAP, Place.GAP, Place.OK, Place.OK, Place.OK])
        broker.close("ann")
        told.open(broker, "ann")
        self.turn()
        self.assertEqual([each.offset for each in told.head("ann").tail], [4, 5, 6, 7])

    def test_trim_at_once(self) -> None:
        """With the first step all that is to go is gone for whoever reads."""
        broker, told = self.begin()
        self.say(broker, told, [f"m{number}" for number in range(1, 1301)])
        steps: list[int | Refusal] = []
        broker.trim("ann", 1234, steps.append)
        self.assertLessEqual(self.only(steps), 1234)
        self.assertEqual(self.page(broker, 0, 1300, limit=500), list(range(1235, 1301)))
        epoch = told.head("ann").epoch
        places = [self.locate(broker, epoch, offset) for offset in (1, 1233, 1234)]
        self.assertEqual(places, [Place.GAP, Place.GAP, Place.OK])
        broker.close("ann")
        told.open(broker, "ann")
        self.turn()
        first = 1300 - 1300 % BLOCK + 1
        found = [each.offset for each in told.head("ann").tail]
        self.assertEqual(found, list(range(first, 1301)))
        self.trim(broker, 1290)
        broker.close("ann")
        told.open(broker, "ann")
        self.turn()
        found = [each.offset for each in told.head("ann").tail]
        self.assertEqual(found, list(range(1291, 1301)))

    def test_time_after_trim(self) -> None:
        """Times do not fall in a room of which all was trimmed and that was opened anew."""
        broker, told = self.begin()
        self.say(broker, told, ["one"])
        self.trim(broker, 1)
        broker.close("ann")
        self.step_clock(-3600)
        told.open(broker, "ann")
        self.turn()
        self.say(broker, told, ["two"])
        one, two = told.messages()
        self.assertEqual(two.time_ms, one.time_ms)

    def test_trim_all(self) -> None:
        """A room that is trimmed to its head keeps its head, and numbers go on."""
        broker, told = self.begin()
        self.say(broker, told, ["one", "two"])
        self.trim(broker, 2)
        self.trim(broker, 2)
        broker.close("ann")
        told.open(broker, "ann")
        self.turn()
        opened = told.head("ann")
        self.assertEqual((opened.head, list(opened.tail)), (2, []))
        self.say(broker, told, ["three"])
        self.assertEqual(told.acks("three"), [(3, False)])
        self.assertIs(self.locate(broker, opened.epoch, 2), Place.OK)
        self.assertIs(self.locate(broker, opened.epoch, 1), Place.GAP)

    def test_trim_in_steps(self) -> None:
        """However much is to go, it goes in the end, from the first on."""
        broker, told = self.begin()
        self.say(broker, told, [f"m{number}" for number in range(1, 1301)])
        self.trim(broker, 1234)
        self.assertEqual(self.page(broker, 0, 1300, limit=500), list(range(1235, 1301)))

    def test_trim_not_open(self) -> None:
        """A room that is not open is trimmed too; it begins with what is left."""
        broker, told = self.begin(("bob",))
        told.open(broker, "ann")
        self.turn()
        self.say(broker, told, ["one", "two", "three"])
        broker.close("ann")
        self.trim(broker, 2)
        told.open(broker, "ann")
        self.turn()
        opened = told.head("ann")
        self.assertEqual((opened.head, [each.offset for each in opened.tail]), (3, [3]))
        self.assertIs(self.locate(broker, opened.epoch, 1), Place.GAP)

    def test_trim_unknown(self) -> None:
        """Of a room in which nothing was ever stored nothing goes."""
        broker, _ = self.begin(())
        gone: list[int | Refusal] = []
        broker.trim("ann", 9, gone.append)
        self.assertEqual(self.only(gone), 0)

    def test_trim_nothing(self) -> None:
        """Trimming a room with nothing stored does nothing."""
        broker, _ = self.begin()
        self.trim(broker, 0)

    def test_rooms(self) -> None:
        """Rooms in which something was stored are told, the latest first."""
        broker, told = self.begin()
        for room in ("ann", "bob", "ann"):
            self.step_clock(1)
            told.publish(broker, f"{room} {len(told.log)}", room)
            self.turn()
        told.relay(broker, "no", "cid")
        self.turn()
        lines: list[Sequence[RoomSummary] | Refusal] = []
        broker.rooms(lines.append)
        found = self.only(lines)
        self.assertEqual([(line.name, line.head) for line in found], [("ann", 2), ("bob", 1)])
        self.assertEqual(found[0].time_ms, told.messages("ann")[-1].time_ms)
        self.assertEqual(found[0].time_ms - found[1].time_ms, 1000)

    def test_rooms_shared(self) -> None:
        """However many ask for the rooms, each is told; again, if asked from within the answer."""
        broker, told = self.begin()
        self.say(broker, told, ["one"])
        lines: list[Sequence[RoomSummary] | Refusal] = []

        def ask_again(outcome: Sequence[RoomSummary] | Refusal) -> None:
            lines.append(outcome)
            broker.rooms(lines.append)

        for each in (lines.append, ask_again, lines.append):
            broker.rooms(each)
        self.turn()
        first, second, third, again = lines
        self.assertEqual((first, second), (second, third))
        assert not isinstance(again, Refusal)
        self.assertIn("ann", [line.name for line in again])

    def test_rooms_left(self) -> None:
        """A room of which all was trimmed is not told any more, until something is said there."""
        broker, told = self.begin()
        self.say(broker, told, ["one", "two"])
        self.say(broker, told, ["three"], "bob")
        self.trim(broker, 2)
        self.assertEqual(self.rooms(broker), ["bob"])
        self.assertEqual(self.rooms(broker, ["ann", "bob"]), ["bob"])
        self.step_clock(1)
        self.say(broker, told, ["four"])
        self.assertEqual(self.rooms(broker), ["ann", "bob"])

    def test_rooms_named(self) -> None:
        """Rooms that are not everybody's are told only by name; others by name, too."""
        broker, told = self.begin(("ann", "@a:b", "!audit"))
        for room in ("ann", "@a:b", "!audit"):
            self.say(broker, told, ["one"], room)
            self.step_clock(1)
        self.assertEqual(self.rooms(broker), ["ann"])
        self.assertEqual(self.rooms(broker, ["ann", "!audit", "none"]), ["!audit", "ann"])
        self.assertEqual(self.rooms(broker, ["@a:b", "@a:b"]), ["@a:b"])
        self.assertEqual(self.rooms(broker, []), [])

    def test_no_rooms(self) -> None:
        """When nothing was ever stored there are no rooms."""
        broker, _ = self.begin()
        lines: list[Sequence[RoomSummary] | Refusal] = []
        broker.rooms(lines.append)
        self.assertEqual(list(self.only(lines)), [])

    def test_drain(self) -> None:
        """Draining stores and delivers what was accepted and refuses what comes later."""
        broker, told = self.begin()
        told.publish(broker, "one")
        told.relay(broker, "two")
        broker.drain(lambda: told.log.append("drained"))
        told.publish(broker, "late")
        told.relay(broker, "late too")
        self.turn()
        self.assertEqual(told.names(), ["one", "two"])
        self.assertLess(told.log.index("delivered two"), told.log.index("drained"))
        for key in ("late", "late too"):
            (outcome,) = told.outcomes[key]
            self.assertIsInstance(outcome, Refusal)

    def test_drain_opening(self) -> None:
        """What waits for its room to be opened is stored before draining is done."""
        broker, told = self.make(), Told()
        broker.start(told.deliver)
        told.open(broker, "ann")
        told.publish(broker, "one")
        broker.drain(lambda: told.log.append("drained"))
        self.turn()
        self.assertEqual(told.log, ["done one", "delivered one", "drained"])

    def test_drain_twice(self) -> None:
        """Draining with nothing accepted, and again, is done and delivers nothing."""
        broker, told = self.begin()
        for _ in range(2):
            broker.drain(lambda: told.log.append("drained"))
            self.turn()
        self.assertEqual((told.log, told.batches), (["drained", "drained"], []))

    def test_stop_unstarted(self) -> None:
        """A broker that was not started can be stopped, and again."""
        broker = self.make()
        done: list[str] = []
        broker.stop(lambda: done.append("one"))
        broker.stop(lambda: done.append("two"))
        self.turn()
        broker.stop(lambda: done.append("three"))
        self.turn()
        self.assertEqual(done, ["one", "two", "three"])

    @settings(suppress_health_check=[HealthCheck.differing_executors], deadline=None)
    @given(_plans)
    def test_anything(self, plan: list[tuple[str, str, int]]) -> None:
        """Whatever is done in whatever order, it is as in a model of a few lines.

        Each is acknowledged once, with its offset, before the delivery; what is stored is numbered
        1, 2, 3... in the order of publishing and read back so; what passes keeps its place.
        """
        broker, told = self.begin()
        model = Model(ROOMS)
        for number, (what, room, value) in enumerate(plan):
            if what == "publish":
                key = f"{room} {model.rooms[room].trims} {value}"
                told.publish(broker, key, room)
                model.publish(room, key)
            elif what == "erase":
                erases = range(value, 2 * value)
                told.publish(broker, f"erase {number}", room, erases=erases)
                model.publish(room, f"erase {number}", erases)
            elif what in ("edit", "mention"):
                names = tuple(f"nick{each}" for each in range(value))
                about = About(Kind.MESSAGE, mentions=names)
                if what == "edit":
                    about = About(Kind.EDIT, value, mentions=names)
                told.publish(broker, f"{what} {number}", room, about=about)
                model.publish(room, f"{what} {number}")
            elif what == "relay":
                told.relay(broker, f"relay {number}", room)
                model.relay(room, f"relay {number}")
            elif what == "reopen":
                broker.close(room)
                told.open(broker, room)
                model.reopen(room)
            else:
                self.turn()
                model.turn()
                if what == "step":
                    self.step_clock(value)
                    model.now += value
                elif what == "trim":
                    upto = len(model.rooms[room].stored) // value
                    self.trim(broker, upto, room)
                    model.trim(room, upto)
                elif what == "restart" and self.is_durable:
                    batches, outcomes, log = told.batches, told.outcomes, told.log
                    broker, told = self.begin_over(self.restart(broker))
                    told.batches[:0], told.log[:0] = batches, log
                    told.outcomes.update(outcomes)
        self.turn()
        model.turn()
        for room, expected in model.rooms.items():
            self.assertEqual(
                [each for each in told.names(room) if each not in model.unheard],
                [each for each in expected.told if each not in model.unheard],
            )
            times = [message.time_ms for message in told.messages(room)]
            self.assertEqual(times, sorted(times))
            head, found = len(expected.stored), []
            self.assertEqual(self.page(broker, head, head + 9, room), [])
            last = expected.floor
            while messages := self.read(broker, last, head, room, limit=7):
                found += [(message.offset, text(message)) for message in messages]
                last = found[-1][0]
            self.assertEqual(found, expected.left())
        self.assertEqual({key: told.acks(key) for key in told.outcomes}, model.acks)
        for key in model.acks:
            if f"delivered {key}" in told.log:
                self.assertLess(told.log.index(f"done {key}"), told.log.index(f"delivered {key}"))

    @settings(suppress_health_check=[HealthCheck.differing_executors])
    @given(strategies.blobs(), st.booleans())
    def test_bytes(self, blob: bytes, binary: bool) -> None:
        """Bytes that are passed on come back as they are."""
        broker, told = self.begin()
        event = Relay(ROOMS[0], SENDER, blob, binary)
        broker.ephemeral(event, lambda outcome: told.done("bytes", outcome))
        self.turn()
        self.assertEqual(told.events, [event])

    @settings(suppress_health_check=[HealthCheck.differing_executors])
    @given(st.lists(strategies.texts(), max_size=5))
    def test_texts(self, texts: list[str]) -> None:
        """Whatever text a payload carries, it is read back byte for byte."""
        broker, told = self.begin()
        payloads = [payload("id", each) for each in texts]
        for number, each in enumerate(payloads):
            broker.publish("ann", SENDER, str(number), each, lambda outcome: None)
        self.turn()
        self.assertEqual([each.payload for each in told.messages()], payloads)
        self.assertEqual([each.payload for each in self.read(broker, 0, 9)], payloads)
        broker.close("ann")
        told.open(broker, "ann")
        self.turn()
        self.assertEqual([each.payload for each in told.head("ann").tail], payloads)


class DurableContract(BrokerContract):
    """What a broker promises besides, that keeps what it stores when it is stopped."""

    is_durable = True

    def test_restart(self) -> None:
        """Messages are there after a restart, numbers go on, and the room has a new epoch."""
        broker, told = self.begin()
        self.say(broker, told, ["one", "two"])
        before = told.head("ann").epoch
        broker, again = self.begin_over(self.restart(broker))
        opened = again.head("ann")
        self.assertEqual((opened.head, list(opened.tail)), (2, told.messages()))
        self.assertNotEqual(opened.epoch, before)
        self.say(broker, again, ["three"])
        self.assertEqual(again.outcomes["three"], [Ack(Position(opened.epoch, 3))])
        self.assertEqual(self.page(broker, 0, 3), [1, 2, 3])

    def test_positions(self) -> None:
        """A position is good after restarts; one that could not have been is not."""
        broker, told = self.begin()
        self.say(broker, told, ["one", "two"])
        first = told.head("ann").epoch
        broker, told = self.begin_over(self.restart(broker))
        self.say(broker, told, ["three"])
        second = told.head("ann").epoch
        broker, told = self.begin_over(self.restart(broker))
        places = [self.locate(broker, first, offset) for offset in range(5)]
        self.assertEqual(places, [Place.OK] * 3 + [Place.TRUNCATE] * 2)
        places = [self.locate(broker, second, offset) for offset in range(5)]
        self.assertEqual(places, [Place.OK] * 4 + [Place.TRUNCATE])
        self.assertIs(self.locate(broker, told.head("ann").epoch, 3), Place.OK)

    def test_ids_remembered(self) -> None:
        """An id is remembered over a restart, for the rest of its window."""
        broker, told = self.begin()
        self.say(broker, told, ["one"])
        self.step_clock(300)
        self.say(broker, told, ["two"])
        broker, told = self.begin_over(self.restart(broker))
        self.step_clock(299)
        self.say(broker, told, ["one"])
        self.assertEqual(told.acks("one"), [(1, True)])
        self.step_clock(2)
        broker, told = self.begin_over(self.restart(broker))
        self.say(broker, told, ["one", "two"])
        self.assertEqual(told.acks("one"), [(3, False)])
        self.assertEqual(told.acks("two"), [(2, True)])

    def test_trimmed_stays(self) -> None:
        """A trimmed room keeps its floor and its head over a restart."""
        broker, told = self.begin()
        self.say(broker, told, ["one", "two"])
        epoch = told.head("ann").epoch
        self.trim(broker, 2)
        broker, told = self.begin_over(self.restart(broker))
        self.assertEqual(told.head("ann").head, 2)
        self.assertIs(self.locate(broker, epoch, 1), Place.GAP)
        self.assertIs(self.locate(broker, epoch, 2), Place.OK)
        self.say(broker, told, ["three"])
        self.trim(broker, 3)
        broker, told = self.begin_over(self.restart(broker))
        self.assertIs(self.locate(broker, epoch, 3), Place.TRUNCATE)

    def test_time_never_falls(self) -> None:
        """A clock that was set back during a restart does not set a room's time back."""
        broker, told = self.begin()
        self.say(broker, told, ["one"])
        self.step_clock(-3600)
        broker, again = self.begin_over(self.restart(broker))
        self.say(broker, again, ["two"])
        self.assertEqual(again.messages()[0].time_ms, told.messages()[0].time_ms)


class RecordsContract(Case):
    """The promise of `core.records.Records`."""

    def make(self) -> Records:
        """Make empty records that take at least 100 changes at once."""
        raise NotImplementedError

    def turn(self) -> None:
        """Wait until all that was asked is told."""
        raise NotImplementedError

    def read(self, records: Records, subject: str) -> dict[str, str]:
        """Read a record."""
        told: list[Mapping[str, str] | Refusal] = []
        records.read(subject, told.append)
        self.assertEqual(told, [])
        self.turn()
        (found,) = told
        assert not isinstance(found, Refusal), found
        return dict(found)

    def test_unknown(self) -> None:
        """A subject that was never written to has no fields."""
        self.assertEqual(self.read(self.make(), "user:none"), {})

    def test_written(self) -> None:
        """What is written is told to be stored later, once, and is read then."""
        records = self.make()
        told: list[Refusal | None] = []
        records.write("user:a", {"nick": "Ann", "topic": ""}, told.append)
        self.assertEqual(told, [])
        self.turn()
        self.assertEqual(told, [None])
        self.assertEqual(self.read(records, "user:a"), {"nick": "Ann", "topic": ""})
        self.assertEqual(self.read(records, "user:A"), {})

    def test_changed(self) -> None:
        """A field is changed, added or gone; others stay."""
        records = self.make()
        for changes in ({"a": "1", "b": "2", "c": "3"}, {"a": "x", "b": None, "d": "4", "e": None}):
            records.write("room:r", changes, lambda told: None)
            self.turn()
        self.assertEqual(self.read(records, "room:r"), {"a": "x", "c": "3", "d": "4"})

    def test_many(self) -> None:
        """Of many records the fields that are wanted are read; those without any are left out."""
        records = self.make()
        for subject in ("room:a", "room:b", "room:c", "user:a"):
            records.write(subject, {"x": f'{subject}\0"', "y": "", "z": "3"}, lambda told: None)
        records.write("room:d", {"z": "4"}, lambda told: None)
        self.turn()
        told: list[Mapping[str, Mapping[str, str]] | Refusal] = []
        asked = ["room:a", "room:c", "room:d", "room:e", "room:a"]
        records.read_many(asked, ["x", "y", "none"], told.append)
        records.read_many([], ["x"], told.append)
        records.read_many(asked, [], told.append)
        self.assertEqual(told, [])
        self.turn()
        found = {name: {"x": f'{name}\0"', "y": ""} for name in ("room:a", "room:c")}
        self.assertEqual(told, [found, {}, {}])

    def test_nothing(self) -> None:
        """No change is a change that is stored."""
        told: list[Refusal | None] = []
        self.make().write("room:r", {}, told.append)
        self.turn()
        self.assertEqual(told, [None])

    def test_in_order(self) -> None:
        """Changes of one turn take effect in call order, each is told of."""
        records = self.make()
        told: list[Refusal | None] = []
        for value in ("1", None, "2", "3", None, "4"):
            records.write("user:a", {"f": value, "g": "x"}, told.append)
        records.write("user:a", {"g": None}, told.append)
        self.turn()
        self.assertEqual(told, [None] * 7)
        self.assertEqual(self.read(records, "user:a"), {"f": "4"})

    @settings(suppress_health_check=[HealthCheck.differing_executors], deadline=None)
    @given(
        st.lists(
            st.one_of(
                st.none(),
                st.tuples(
                    st.sampled_from(("user:a", "room:b")),
                    st.dictionaries(
                        st.sampled_from(("f", "g", "H", "\n\0")),
                        st.one_of(st.none(), strategies.texts()),
                    ),
                ),
            ),
            max_size=20,
        )
    )
    def test_anything(self, plan: list[tuple[str, dict[str, str | None]] | None]) -> None:
        """Whatever is written in whatever turns, the last text of each field is read."""
        records = self.make()
        model: dict[str, dict[str, str]] = {"user:a": {}, "room:b": {}}
        for step in plan:
            if step is None:
                self.turn()
                continue
            subject, changes = step
            records.write(subject, changes, lambda told: self.assertIsNone(told))
            for field, value in changes.items():
                if value is None:
                    model[subject].pop(field, None)
                else:
                    model[subject][field] = value
        self.turn()
        for subject, fields in model.items():
            self.assertEqual(self.read(records, subject), fields)
