"""This node's open rooms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from chatd.core.broker import BLOCK, ERASED, Ack
from chatd.core.events import Joined, Left, Message, Relay, RoomEvent, Sender, compact
from chatd.core.room import Room
from chatd.core.wheel import TICK_S
from chatd.errors import (
    FORBIDDEN,
    FULL,
    INTERNAL,
    UNAVAILABLE,
    UNKNOWN_OUTCOME,
    UNKNOWN_ROOM,
    ChatError,
    Refusal,
)
from tests.support.brokers import sqlite_error
from tests.support.peers import connect
from tests.support.people import PeopleCase
from tests.support.scene import HERALD, Scene, lines
from tests.support.scripted import EPOCH, Lines

GRACE_S = 4 * TICK_S

ANN = Sender("ann", "ann1", "Ann")
ANN_TOO = Sender("ann", "ann2", "Ann")
BOB = Sender("bob", "bob1", "Bob")


class HubCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.scene = Scene(grace_s=GRACE_S)
        self.broker = self.scene.broker
        self.hub = self.scene.hub
        self.told: list[Room | Refusal] = []

    def opened(self) -> Room:
        """The room that was told last."""
        room = self.told[-1]
        assert isinstance(room, Room)
        return room


class OpenTests(HubCase):
    def test_opened(self) -> None:
        """A room is told when the broker has opened it, as the broker has found it."""
        first = self.scene.room()
        self.scene.say("lobby", 3)
        self.hub.release(first)
        self.hub.open("lobby", self.told.append)
        self.assertEqual((self.told, self.hub.find("lobby"), len(self.hub)), ([], None, 0))
        self.broker.answer()
        room = self.opened()
        self.assertEqual((room.name, room.epoch, room.head, room.uses), ("lobby", EPOCH, 3, 1))
        self.assertEqual([row.message.offset for row in room.tail], [1, 2, 3])
        self.assertIs(self.hub.find("lobby"), room)
        self.assertEqual(len(self.hub), 1)

    def test_shared(self) -> None:
        """Those who ask while it is being opened are told the same room, and each holds it."""
        for _ in range(3):
            self.hub.open("lobby", self.told.append)
        self.assertEqual(len(self.broker.asked), 1)
        self.broker.answer()
        self.assertEqual(self.told, [self.opened()] * 3)
        self.assertEqual(self.opened().uses, 3)

    def test_open_already(self) -> None:
        """A room that is open is told at once."""
        room = self.scene.room()
        self.hub.open("lobby", self.told.append)
        self.assertEqual((self.told, room.uses, self.broker.asked), ([room], 2, []))

    def test_given_back_at_once(self) -> None:
        """One who gives it back at once does not close it for the others who are to be told."""

        def brief(room: Room | Refusal) -> None:
            assert isinstance(room, Room)
            self.hub.release(room)

        self.hub.open("lobby", brief)
        self.hub.open("lobby", self.told.append)
        self.broker.answer()
        self.assertIs(self.hub.find("lobby"), self.opened())
        self.assertEqual(self.broker.open_rooms, {"lobby"})

    def test_refused(self) -> None:
        """When the broker refuses, all are told so, and the next one may ask again."""

        def again(outcome: Room | Refusal) -> None:
            self.told.append(outcome)
            self.hub.open("lobby", self.told.append)

        self.hub.open("lobby", again)
        self.hub.open("lobby", self.told.append)
        self.broker.answer(refusal=UNAVAILABLE)
        self.assertEqual(self.told, [UNAVAILABLE, UNAVAILABLE])
        self.assertEqual(len(self.hub), 0)
        self.broker.answer()
        self.assertIs(self.hub.find("lobby"), self.opened())

    def test_release(self) -> None:
        """When the last one gives it back, it is closed; afterwards it is opened anew."""
        room = self.scene.room()
        self.scene.room()
        self.hub.release(room)
        self.assertEqual(self.broker.open_rooms, {"lobby"})
        self.hub.release(room)
        self.assertEqual((self.broker.open_rooms, len(self.hub)), (set(), 0))
        self.assertIsNone(self.hub.find("lobby"))
        self.assertIsNot(self.scene.room(), room)


class IdleTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.scene = Scene(idle_rooms=2)
        self.hub = self.scene.hub

    def test_stays_open(self) -> None:
        """A room that nobody needs stays open for the next one, and counts no more."""
        room = self.scene.room()
        self.hub.release(room)
        self.assertEqual((self.hub.find("lobby"), len(self.hub)), (room, 0))
        self.scene.say("lobby", 1)
        self.assertIs(self.scene.room(), room)
        self.assertEqual((room.head, room.uses, len(self.hub)), (1, 1, 1))

    def test_latest(self) -> None:
        """Of too many, the one that was needed longest ago is closed."""
        rooms = {name: self.scene.room(name) for name in ("a", "b", "c")}
        for name in ("a", "b"):
            self.hub.release(rooms[name])
        self.hub.release(self.scene.room("a"))
        self.hub.release(rooms["c"])
        self.assertEqual(self.scene.broker.open_rooms, {"a", "c"})
        self.assertIsNone(self.hub.find("b"))


class PresenceTests(HubCase):
    def setUp(self) -> None:
        super().setUp()
        self.room = self.scene.room()

    def test_keeps_open(self) -> None:
        """A room in which somebody is present stays open, whoever gives it back."""
        self.hub.arrive(self.room, ANN)
        self.hub.arrive(self.room, BOB)
        self.hub.release(self.room)
        self.assertIs(self.hub.find("lobby"), self.room)
        self.assertEqual(self.room.presence.users, 2)

    def test_depart(self) -> None:
        """When the last user has gone for good, only those who hold it keep it open."""
        self.hub.arrive(self.room, ANN)
        self.hub.arrive(self.room, ANN_TOO)
        for sender in (ANN, ANN_TOO):
            self.assertEqual(self.room.uses, 2)
            self.hub.depart(self.room, sender, comes_back=False)
        self.assertEqual(self.room.uses, 1)
        self.hub.release(self.room)
        self.assertEqual(len(self.hub), 0)

    def test_grace(self) -> None:
        """A room stays open while somebody who may come back is awaited, then it is closed."""
        self.hub.arrive(self.room, ANN)
        self.hub.depart(self.room, ANN, comes_back=True)
        self.hub.release(self.room)
        self.scene.wait(GRACE_S - TICK_S)
        self.assertEqual(self.broker.open_rooms, {"lobby"})
        self.scene.wait(3 * TICK_S)
        self.assertEqual((self.broker.open_rooms, len(self.hub)), (set(), 0))

    def test_dismissed(self) -> None:
        """Who is awaited in rooms is awaited no longer, and others are."""
        other = self.scene.room("other")
        for room in (self.room, other):
            for sender in (ANN, BOB):
                self.hub.arrive(room, sender)
                self.hub.depart(room, sender, comes_back=True)
        self.assertTrue(self.hub.dismiss(ANN.user))
        self.assertFalse(self.hub.dismiss(ANN.user))
        for room in (self.room, other):
            self.assertEqual((ANN.user in room.presence, BOB.user in room.presence), (False, True))

    def test_back_in_time(self) -> None:
        """Who comes back in time finds the same room, which is held once for all presence."""
        self.hub.arrive(self.room, ANN)
        self.hub.depart(self.room, ANN, comes_back=True)
        self.hub.release(self.room)
        self.hub.open("lobby", self.told.append)
        self.hub.arrive(self.room, ANN)
        self.scene.wait(3 * GRACE_S)
        self.assertEqual((self.told, self.room.uses), ([self.room], 2))
        self.hub.depart(self.room, ANN, comes_back=False)
        self.hub.release(self.room)
        self.assertEqual(len(self.hub), 0)

    def test_told(self) -> None:
        """Who comes and goes is told to those who want to know, in the order of the messages."""
        peer = self.scene.peer()
        self.scene.enter(peer, self.room, dialect=Lines(join_leave=True))
        self.hub.arrive(self.room, ANN)
        self.scene.publish("lobby", "1")
        self.hub.depart(self.room, ANN, comes_back=False)
        self.broker.commit()
        self.assertEqual(peer.lines, ["lobby + ann", 'lobby 1 "1"', "lobby - ann"])

    @given(
        st.lists(
            st.tuples(
                st.sampled_from(("open", "arrive", "back", "gone", "release", "wait")),
                st.integers(0, 5),
            ),
            max_size=30,
        )
    )
    def test_anything(self, plan: list[tuple[str, int]]) -> None:
        """A room is open as long as it is held or anybody is present, and no longer."""
        scene = Scene(grace_s=GRACE_S)
        senders = [Sender(f"u{n // 2}", f"s{n}", "n") for n in range(6)]
        holds: list[Room] = []
        there: dict[int, Room] = {}
        for step, number in plan:
            if step == "open":
                holds.append(scene.room())
            elif step == "arrive" and number not in there:
                there[number] = scene.room()
                scene.hub.arrive(there[number], senders[number])
            elif step in ("back", "gone") and number in there:
                room = there.pop(number)
                scene.hub.depart(room, senders[number], comes_back=step == "back")
                scene.hub.release(room)
            elif step == "release" and holds:
                scene.hub.release(holds.pop())
            elif step == "wait":
                scene.wait(number * TICK_S)
            found = scene.hub.find("lobby")
            if holds or there:
                self.assertIsNotNone(found)
            if found is None:
                self.assertEqual(scene.broker.open_rooms, set())
            else:
                users = found.presence.users
                self.assertEqual(found.uses, len(holds) + len(there) + bool(users))
                self.assertGreater(found.uses, 0)
        for number, room in there.items():
            scene.hub.depart(room, senders[number], comes_back=True)
            scene.hub.release(room)
        for room in holds:
            scene.hub.release(room)
        scene.wait(GRACE_S + 2 * TICK_S)
        self.assertEqual((len(scene.hub), scene.broker.open_rooms), (0, set()))


class DeliverTests(HubCase):
    def setUp(self) -> None:
        super().setUp()
        self.room = self.scene.room()
        self.peer = self.scene.peer()
        self.member = self.scene.enter(self.peer, self.room)

    def message(self, offset: int, *, room: str = "lobby", erases: Sequence[int] = ()) -> Message:
        """A message as `Scene.say` makes it."""
        return Message(room, HERALD, compact(str(offset)), offset, 0, tuple(erases))

    def test_publishing_never_delivers(self) -> None:
        """What is published arrives when the broker brings it back, not before."""
        self.scene.publish("lobby", "1")
        self.assertEqual(self.peer.writes, [])
        self.broker.commit()
        self.assertEqual(self.peer.lines, lines("lobby", 1, 1))
        self.assertEqual([type(outcome) for outcome in self.scene.outcomes], [Ack])

    def test_refused(self) -> None:
        """Of what is refused nothing is delivered but what is not stored; no offset is lost."""
        self.scene.publish("lobby", "refused")
        self.broker.ephemeral(Relay("lobby", ANN, b"hey", True), self.scene.outcomes.append)
        self.broker.commit(refusal=UNAVAILABLE)
        self.assertEqual(self.scene.outcomes, [UNAVAILABLE])
        self.scene.say("lobby")
        self.assertEqual(self.peer.lines, ["lobby ~ hey", *lines("lobby", 1, 1)])

    def test_rooms(self) -> None:
        """A batch over several rooms is one write; each room's part keeps its order."""
        den = self.scene.room("den")
        self.scene.enter(self.peer, den)
        batch: list[RoomEvent] = [
            self.message(1),
            self.message(1, room="den"),
            Relay("lobby", ANN, b"hey", True),
            self.message(2),
        ]
        self.hub.deliver(batch)
        wanted = [*lines("lobby", 1, 1), "lobby ~ hey", *lines("lobby", 2, 2), *lines("den", 1, 1)]
        self.assertEqual(self.peer.lines, wanted)
        self.assertEqual((len(self.peer.writes), self.room.head, den.head), (1, 2, 1))

    def test_closed_room(self) -> None:
        """What comes for a room that is not open here, or not yet, is passed over."""
        self.hub.open("den", self.told.append)
        self.hub.deliver([self.message(1, room="den"), self.message(7, room="hall")])
        self.hub.deliver([self.message(1, room="hall"), self.message(1)])
        self.broker.answer()
        self.assertEqual(self.peer.lines, lines("lobby", 1, 1))
        self.assertEqual(self.opened().head, 0)
        self.assertIsNone(self.hub.find("hall"))

    def test_seen_twice(self) -> None:
        """What the room has already is passed over, without a word."""
        self.hub.deliver([self.message(1), self.message(2)])
        self.hub.deliver([self.message(2)])
        self.hub.deliver([self.message(1), self.message(2), self.message(3)])
        self.assertEqual(self.peer.lines, lines("lobby", 1, 3))
        self.assertEqual((self.room.head, len(self.room.tail)), (3, 3))

    def test_hole(self) -> None:
        """What would leave a hole is not delivered, and is logged: it cannot be."""
        with capturedLogs() as events:
            self.hub.deliver([self.message(1), self.message(3)])
        self.assertEqual((self.peer.lines, self.room.head), (lines("lobby", 1, 1), 1))
        ours = [event for event in events if event["log_namespace"] == "chatd.core.hub"]
        self.assertEqual([(e["room"], e["offset"], e["head"]) for e in ours], [("lobby", 3, 1)])

    def test_lagging_meanwhile(self) -> None:
        """Who joins and is paused between two batches misses exactly what came after."""
        self.scene.say("lobby", 1)
        self.peer.pause()
        self.scene.say("lobby", 2)
        self.assertEqual(self.member.outbox.behind, {self.member: 1})
        self.peer.drain()
        self.assertEqual(self.peer.lines, lines("lobby", 1, 3))

    def test_blocks(self) -> None:
        """Each block that is filled, also within a batch, is kept for those who lag."""
        self.peer.pause()
        self.scene.say("lobby", 2 * BLOCK + 1)
        self.assertEqual([row.message.offset for row in self.room.tail], [2 * BLOCK + 1])
        self.peer.drain()
        self.assertEqual(self.peer.lines, lines("lobby", 1, 2 * BLOCK + 1))
        self.assertEqual(self.broker.pages, [])

    def test_erased(self) -> None:
        """What is erased is gone from memory, from the tail and from a block."""
        self.scene.say("lobby", BLOCK + 2)
        for erases in (BLOCK + 1, 5):
            self.scene.publish("lobby", "x", erases=[erases])
            self.broker.commit()
        late = self.scene.peer()
        self.scene.enter(late, self.room, 0)
        self.broker.settle()
        erased = ERASED.decode()
        self.assertEqual(late.lines[4], f"lobby 5 {erased}")
        self.assertEqual(late.lines[BLOCK], f"lobby {BLOCK + 1} {erased}")
        self.assertEqual(late.lines[:4], lines("lobby", 1, 4))

    def test_erased_nowhere(self) -> None:
        """To erase what is not there, or oneself, harms nothing."""
        self.hub.deliver([self.message(1, erases=[9]), self.message(2, erases=[2])])
        self.assertEqual(self.peer.lines, lines("lobby", 1, 2))
        self.assertEqual(self.room.tail[1].message.payload, ERASED)


class AnswerTests(HubCase):
    def test_before(self) -> None:
        """Answers leave with the delivery, in front of it, in one write."""
        room = self.scene.room()
        peer = self.scene.peer()
        member = self.scene.enter(peer, room)
        for number in (1, 2):
            self.scene.publish("lobby", str(number))
            member.outbox.answer(b"= %d\n" % number)
            self.hub.answers(member.outbox)
        self.broker.commit()
        self.assertEqual(peer.lines, ["= 1", "= 2", *lines("lobby", 1, 2)])
        self.assertEqual(len(peer.writes), 1)

    def test_nothing_to_deliver(self) -> None:
        """They leave also when nothing is delivered to their peers, or nothing at all, once."""
        self.scene.room()
        for events in ([], [Message("lobby", ANN, b"1", 1, 0)]):
            peer, outbox = connect()
            outbox.answer(b"= 1\n")
            self.hub.answers(outbox)
            self.hub.deliver(events)
            self.hub.flush()
            self.assertEqual(peer.writes, [b"= 1\n"])

    def test_presence_events(self) -> None:
        """What is not stored moves no head."""
        room = self.scene.room()
        self.hub.deliver([Joined("lobby", ANN), Left("lobby", ANN)])
        self.assertEqual(room.head, 0)


class AmendTests(PeopleCase):
    def setUp(self) -> None:
        super().setUp()
        self.held: list[Room | Refusal] = []
        self.hub.open("den", self.held.append)
        self.settle()
        self.told: list[Refusal | None] = []

    @property
    def den(self) -> Room:
        """The room that is changed."""
        (room,) = self.held
        assert isinstance(room, Room)
        return room

    def amend(self, changes: Mapping[str, str | None] | Exception) -> None:
        """Change what is laid down, or let the judge raise."""

        def judge() -> Mapping[str, str | None]:
            if isinstance(changes, Exception):
                raise changes
            return changes

        self.hub.amend(self.den, judge, self.told.append)

    def record(self) -> Mapping[str, str]:
        """What is stored."""
        told: list[Mapping[str, str] | Refusal] = []
        self.records.read("room:den", told.append)
        self.settle()
        (found,) = told
        assert not isinstance(found, Refusal)
        return found

    def test_stored(self) -> None:
        """A change is told when it is stored and in the charter, not before."""
        self.amend({"topic": "x"})
        self.assertEqual((self.told, self.den.charter.topic), ([], ""))
        self.settle()
        self.assertEqual((self.told, self.den.charter.topic), ([None], "x"))
        self.assertEqual(self.record(), {"topic": "x"})

    def test_in_turn(self) -> None:
        """Each is judged when the one before it is in the charter."""
        seen: list[int] = []

        def judge() -> Mapping[str, str]:
            seen.append(self.den.charter.generation)
            return {"invites": str(self.den.charter.generation + 1)}

        for _ in range(5):
            self.hub.amend(self.den, judge, self.told.append)
        self.settle()
        self.assertEqual((seen, self.told), ([0, 1, 2, 3, 4], [None] * 5))
        self.assertEqual(self.record(), {"invites": "5"})

    def test_from_within(self) -> None:
        """Who is told may ask for the next one."""
        self.hub.amend(self.den, lambda: {"topic": "x"}, lambda told: self.amend({"slow": "1"}))
        self.settle()
        self.assertEqual(self.record(), {"topic": "x", "slow": "1"})
        self.assertEqual(self.told, [None])

    def test_refused(self) -> None:
        """What is judged not to be is told so, and nothing is written; nor is no change at all."""
        self.amend(ChatError(FORBIDDEN))
        self.amend({})
        self.assertEqual(self.told, [FORBIDDEN, None])
        self.assertEqual(self.record(), {})

    def test_bug(self) -> None:
        """A judge that fails keeps nobody waiting."""
        self.amend(ValueError("oops"))
        self.amend({"topic": "x"})
        self.settle()
        self.assertEqual(self.told, [INTERNAL, None])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_not_stored(self) -> None:
        """What is not stored is not in the charter, and the next one has its turn."""
        self.worker.failures.append(sqlite_error("SQLITE_FULL"))
        self.amend({"topic": "x"})
        self.amend({"slow": "1"})
        self.settle()
        self.assertEqual(self.told, [FULL, None])
        self.assertEqual((self.den.charter.topic, self.den.charter.slow_s), ("", 1))

    def test_maybe_stored(self) -> None:
        """Of what is maybe stored the record is asked, until it tells; then the next is judged."""
        for is_stored in (False, True):
            self.told.clear()
            write, read = self.records.write, self.records.read
            refusals = [UNAVAILABLE] * 2

            def unsure(
                subject: str, changes: Any, done: Any, write: Any = write, put: bool = is_stored
            ) -> None:
                self.patch(self.records, "write", write)
                write(subject, changes if put else {}, lambda told: done(UNKNOWN_OUTCOME))

            def unwilling(subject: str, done: Any, read: Any = read, left: Any = refusals) -> None:
                if left:
                    done(left.pop())
                else:
                    read(subject, done)

            self.patch(self.records, "write", unsure)
            self.patch(self.records, "read", unwilling)
            self.amend({"topic": "x"})
            self.amend({"slow": "1"})
            self.settle()
            self.assertEqual(self.told, [])
            self.advance(3)
            self.assertEqual(self.told, [UNKNOWN_OUTCOME, None])
            self.assertEqual(self.den.charter.topic, "x" if is_stored else "")
            self.assertEqual(self.record().get("topic", ""), self.den.charter.topic)

    def test_many(self) -> None:
        """So many may wait and no more."""
        for _ in range(101):
            self.amend({"topic": "x"})
        self.assertEqual(self.told, [UNAVAILABLE])
        self.settle()
        self.assertEqual(self.told.count(None), 100)

    def test_held(self) -> None:
        """The room stays open until it is done, though nobody else needs it."""
        room = self.den
        self.amend({"topic": "x"})
        self.hub.release(room)
        self.assertIs(self.hub.find("den"), room)
        self.settle()
        self.assertIsNone(self.hub.find("den"))

    def test_going(self) -> None:
        """A room that is being destroyed is not changed."""
        self.amend({"gone": "1"})
        self.amend({"topic": "x"})
        self.settle()
        self.assertEqual(self.told, [None, UNKNOWN_ROOM])
        self.assertEqual(self.record(), {"gone": "1"})

    def test_buried_once(self) -> None:
        """Nobody destroys a room that somebody is at; it stays open for that."""
        self.say(3, "den")
        self.amend({"gone": "1"})
        self.settle()
        room, last = self.den, list[Any]()
        self.hub.bury(room, last.append, self.told.append)
        self.hub.bury(room, last.append, self.told.append)
        self.assertEqual(self.told, [None, UNKNOWN_ROOM])
        self.hub.release(room)
        self.settle()
        self.assertIs(self.hub.find("den"), room)
        last[0](3)
        self.settle()
        self.assertEqual(self.told[2:], [None])
        self.assertIsNone(self.hub.find("den"))
        self.assertEqual(self.record(), {})

    def test_not_buried(self) -> None:
        """When the last offset cannot be told it may be asked for again."""
        self.amend({"gone": "1"})
        self.settle()
        self.hub.bury(self.den, lambda told: told(UNAVAILABLE), self.told.append)
        self.hub.bury(self.den, lambda told: told(0), self.told.append)
        self.settle()
        self.assertEqual(self.told, [None, UNAVAILABLE, None])

    def test_half_destroyed(self) -> None:
        """A room that is found half destroyed is opened when nothing is left of it."""
        for _ in range(2):
            self.say(3, "hall")
            gone = {"gone": "1", "private": "1"}
            self.records.write("room:hall", gone, lambda told: None)
            self.settle()
            self.hub.open("hall", self.held.append)
            self.settle()
            hall = self.held.pop()
            assert isinstance(hall, Room)
            self.assertEqual((hall.tail, hall.charter.is_blank), ([], True))
            self.hub.release(hall)

    def test_half_destroyed_still(self) -> None:
        """As long as that cannot be, it is not opened."""
        self.say(3, "hall")
        self.records.write("room:hall", {"gone": "1"}, lambda told: None)
        self.settle()
        rooms = self.broker.rooms
        self.patch(self.broker, "rooms", lambda done, names: done(UNAVAILABLE))
        self.hub.open("hall", self.held.append)
        self.settle()
        self.assertIs(self.held.pop(), UNAVAILABLE)
        self.patch(self.broker, "rooms", rooms)
        self.patch(self.broker, "trim", lambda room, upto, done: done(UNAVAILABLE))
        self.hub.open("hall", self.held.append)
        self.settle()
        self.assertIs(self.held.pop(), UNAVAILABLE)

    def test_dismissed(self) -> None:
        """Who is awaited somewhere is awaited nowhere any more."""
        person = self.guest("Ann", "hall")
        user = person.user
        person.lost()
        self.assertTrue(self.hub.dismiss(user))
        self.assertFalse(self.hub.dismiss(user))
        self.settle()
        self.assertIsNone(self.hub.find("hall"))


class CharterTests(HubCase):
    def test_record_first(self) -> None:
        """The record is read before the broker is asked; what it says is there with the room."""
        self.scene.records.stored["room:lobby"] = {"topic": "x"}
        self.hub.open("lobby", self.told.append)
        self.broker.answer()
        self.assertEqual(self.opened().charter.topic, "x")

    def test_record_refused(self) -> None:
        """Without its record a room is not opened, and the broker is not even asked."""
        self.scene.records.refusal = UNAVAILABLE
        self.hub.open("lobby", self.told.append)
        self.assertEqual((self.told, self.broker.asked), ([UNAVAILABLE], []))
        self.scene.records.refusal = None
        self.hub.open("lobby", self.told.append)
        self.broker.answer()
        self.assertEqual(self.opened().name, "lobby")
