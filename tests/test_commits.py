"""What was accepted, on its way to be stored and told."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatd.brokers import store
from chatd.brokers.commits import MOST_BYTES, MOST_ENTRIES
from chatd.brokers.sqlite import SqliteBroker
from chatd.core.broker import Ack
from chatd.core.events import Message, Relay, RoomEvent, payload
from chatd.errors import FULL, UNAVAILABLE, UNKNOWN_OUTCOME, Refusal
from tests.support.brokers import ClockWorker, clock_broker, settle, sqlite_error
from tests.support.contracts import ROOMS, SENDER, Told


class CommitsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.writer = ClockWorker(self.clock)
        self.told = Told()
        self.broker = self.make()
        self.begin()

    def make(self, most_pending: int = 4000, most_bytes: int = 1 << 24) -> SqliteBroker:
        broker = clock_broker(
            self.clock, writer=self.writer, most_pending=most_pending, most_bytes=most_bytes
        )
        self.addCleanup(settle, self.clock)
        self.addCleanup(broker.stop, lambda: None)
        return broker

    def begin(self) -> None:
        self.broker.start(self.told.deliver)
        for room in ROOMS:
            self.told.open(self.broker, room)
        settle(self.clock)

    def again(self, *, most_pending: int = 4000, most_bytes: int = 1 << 24) -> None:
        """Begin with another broker."""
        self.told = Told()
        self.broker = self.make(most_pending, most_bytes)
        self.begin()

    def publish(self, *keys: str) -> None:
        for key in keys:
            self.told.publish(self.broker, key)

    def sizes(self) -> list[int]:
        return [len(batch) for batch in self.told.batches]

    def fail(self, name: str) -> None:  # type: ignore[override]
        self.writer.failures.append(sqlite_error(name))

    def test_one_commit(self) -> None:
        """What is published in one turn, over all rooms, is one commit and one delivery."""
        asked = self.writer.asked
        for number in range(30):
            self.told.publish(self.broker, str(number), ROOMS[number % 3])
        self.told.relay(self.broker, "relay")
        settle(self.clock)
        self.assertEqual((self.writer.asked - asked, self.sizes()), (1, [31]))

    def test_meanwhile(self) -> None:
        """What comes while a commit is under way is the next one, begun before this is told."""
        asked: list[int] = []

        def deliver(batch: Sequence[RoomEvent]) -> None:
            self.told.deliver(batch)
            asked.append(self.writer.asked)

        self.broker.start(deliver)
        settle(self.clock)
        self.told.batches.clear()
        before = self.writer.asked
        self.writer.is_held = True
        self.publish("one")
        self.clock.advance(0)
        self.publish("two", "three")
        self.clock.advance(0)
        self.assertEqual(self.writer.asked - before, 1)
        self.writer.release()
        settle(self.clock)
        self.assertEqual(self.sizes(), [1, 2])
        self.assertEqual([each - before for each in asked], [2, 2])

    def test_answered_from_within(self) -> None:
        """What is published from within an outcome or a delivery comes after it."""
        told = self.told
        self.publish("one")
        self.broker.publish(
            "ann", SENDER, "two", payload("two", "two"), lambda outcome: self.publish("answer")
        )
        settle(self.clock)
        self.assertEqual(told.names(), ["one", "two", "answer"])
        self.assertEqual(self.sizes(), [2, 1])

    def test_passing_waits(self) -> None:
        """What only passes waits for the commit before it, and needs none itself."""
        self.writer.is_held = True
        self.publish("one")
        self.clock.advance(0)
        self.told.relay(self.broker, "two")
        self.clock.advance(0)
        self.assertEqual(self.told.batches, [])
        asked = self.writer.asked
        self.writer.release()
        settle(self.clock)
        self.assertEqual(self.told.names(), ["one", "two"])
        self.assertEqual((self.sizes(), self.writer.asked), ([1, 1], asked))
        self.told.relay(self.broker, "three")
        settle(self.clock)
        self.assertEqual((self.told.names()[2:], self.writer.asked), (["three"], asked))

    def test_longest(self) -> None:
        """A commit holds so many entries."""
        self.publish(*(f"m{number}" for number in range(MOST_ENTRIES + 3)))
        for number in range(MOST_ENTRIES):
            self.told.relay(self.broker, str(number))
        settle(self.clock)
        self.assertEqual(self.sizes(), [MOST_ENTRIES, MOST_ENTRIES, 3])
        for number in range(MOST_ENTRIES + 4):
            self.told.relay(self.broker, str(number))
        settle(self.clock)
        self.assertEqual(self.sizes()[3:], [MOST_ENTRIES, 4])

    def test_largest(self) -> None:
        """A commit holds so many bytes, or one message."""
        half = MOST_BYTES // 2 - 500
        for number, size in enumerate((half, half, half, MOST_BYTES, 1, 1)):
            text = '"' + "x" * size + '"'
            self.broker.publish("ann", SENDER, str(number), text.encode(), lambda outcome: None)
        batches: list[int] = []
        self.broker.start(lambda batch: batches.append(len(batch)))
        settle(self.clock)
        self.assertEqual(batches, [2, 1, 1, 2])

    def test_too_many(self) -> None:
        """So much may wait, under way, for its room, or behind its equal; then there is room."""
        self.again(most_pending=4)
        self.broker.close("bob")
        self.writer.is_held = True
        self.publish("one")
        self.clock.advance(0)
        self.publish("one", "two")
        self.told.open(self.broker, "bob")
        self.told.publish(self.broker, "bob's", "bob")
        self.publish("late")
        self.told.relay(self.broker, "late too")
        self.broker.join("ann", SENDER)
        self.clock.advance(0)
        self.assertEqual(self.told.outcomes, {"late": [UNAVAILABLE], "late too": [UNAVAILABLE]})
        self.assertEqual(self.told.batches, [[]])
        self.writer.release()
        settle(self.clock)
        self.assertCountEqual(self.told.names() + self.told.names("bob"), ["one", "two", "bob's"])
        self.publish("1", "2", "3")
        self.told.relay(self.broker, "4")
        settle(self.clock)
        self.assertEqual(self.told.names()[2:], ["1", "2", "3", "4"])

    def test_too_much_passing(self) -> None:
        """What only passes may fill a quarter, so that it refuses nothing that is to be stored."""
        self.again(most_pending=8)
        for number in range(4):
            self.told.relay(self.broker, str(number))
        self.publish(*(f"m{number}" for number in range(6)))
        settle(self.clock)
        self.assertEqual(self.told.names(), ["0", "1", *(f"m{number}" for number in range(6))])
        self.assertEqual(self.told.outcomes["2"], [UNAVAILABLE])
        for number in range(4, 6):
            self.told.relay(self.broker, str(number))
        settle(self.clock)
        self.assertEqual(self.told.names()[8:], ["4", "5"])

    def test_too_large(self) -> None:
        """So many bytes may wait; what is smaller still fits."""
        size = len(SENDER.encoded)
        self.again(most_bytes=2 * size + 10)
        for key, length in (("a", 5), ("b", 6), ("c", 5)):
            event = Relay("ann", SENDER, key.encode() * length, True)
            self.broker.ephemeral(event, lambda outcome, key=key: self.told.done(key, outcome))  # type: ignore[misc]
        settle(self.clock)
        self.assertEqual(self.told.outcomes, {"b": [UNAVAILABLE]})
        self.assertEqual(self.told.names(), ["aaaaa", "ccccc"])
        self.told.relay(self.broker, "x" * 10)
        settle(self.clock)
        self.assertEqual(self.told.names()[2:], ["x" * 10])

    def test_unstarted(self) -> None:
        """Before it is started all is refused."""
        self.broker = self.make()
        self.told.open(self.broker, "ann")
        self.publish("one")
        settle(self.clock)
        self.assertEqual(self.told.outcomes, {"one": [UNAVAILABLE]})

    def test_failures(self) -> None:
        """What cannot be stored is refused with what that means and is not told."""
        self.publish("zero")
        settle(self.clock)
        for name, refusal in (
            ("SQLITE_FULL", FULL),
            ("SQLITE_BUSY_SNAPSHOT", UNAVAILABLE),
            ("SQLITE_READONLY", UNAVAILABLE),
            ("SQLITE_IOERR_WRITE", UNKNOWN_OUTCOME),
            ("SQLITE_CONSTRAINT", UNKNOWN_OUTCOME),
        ):
            self.fail(name)
            self.publish("one", "one", "two")
            self.told.relay(self.broker, f"beside {name}")
            self.publish("zero")
            settle(self.clock)
            self.assertEqual(self.told.outcomes.pop("one"), [refusal, refusal])
            self.assertEqual(self.told.outcomes.pop("two"), [refusal])
            self.assertEqual(self.told.names()[-1], f"beside {name}")
            self.assertFalse(self.broker.is_up)
        self.assertEqual(self.told.acks("zero"), [(1, False)] + [(1, True)] * 5)
        self.publish("two", "one")
        settle(self.clock)
        self.assertTrue(self.broker.is_up)
        self.assertEqual(self.told.acks("two") + self.told.acks("one"), [(2, False), (3, False)])
        offsets = [each.offset for each in self.told.events if isinstance(each, Message)]
        self.assertEqual(offsets, [1, 2, 3])

    def test_failure_of_a_new_room(self) -> None:
        """A room whose first message could not be stored gets it later."""
        for _ in range(2):
            self.fail("SQLITE_FULL")
            self.publish("one")
            self.told.publish(self.broker, "bob's", "bob")
            settle(self.clock)
        self.told.outcomes.clear()
        self.publish("one")
        settle(self.clock)
        self.told.publish(self.broker, "bob's", "bob")
        settle(self.clock)
        self.assertEqual(self.told.acks("one") + self.told.acks("bob's"), [(1, False)] * 2)

    def test_shares_fate(self) -> None:
        """What is said again while it is under way fails with it, and only with it."""
        self.writer.is_held = True
        self.fail("SQLITE_FULL")
        self.publish("one")
        self.clock.advance(0)
        self.publish("one", "two")
        self.writer.release()
        settle(self.clock)
        self.assertEqual(self.told.outcomes.pop("one"), [FULL, FULL])
        self.assertEqual(self.told.acks("two"), [(1, False)])

    def test_opening_fails(self) -> None:
        """While this opening cannot be stored, rooms open and nothing is stored; then all is."""
        self.writer.failures += [None, None, sqlite_error("SQLITE_FULL")]  # open, read, begin
        self.again()
        self.assertEqual(self.told.head("ann").head, 0)
        self.assertFalse(self.broker.is_up)
        self.fail("SQLITE_FULL")
        self.publish("one")
        self.told.relay(self.broker, "two")
        settle(self.clock)
        self.assertEqual(self.told.outcomes.pop("one"), [FULL])
        self.assertEqual(self.told.names(), ["two"])
        self.publish("one", "three")
        settle(self.clock)
        self.assertEqual(self.told.acks("one") + self.told.acks("three"), [(1, False), (2, False)])
        self.assertTrue(self.broker.is_up)
        openings: list[object] = []
        self.broker.connections.read(store.openings, openings.append)
        settle(self.clock)
        self.assertEqual(openings, [({self.told.head("ann").epoch: 1}, 1)])

    def test_slips(self) -> None:
        """An outcome or a delivery that raises is logged, and keeps nothing from the others."""

        def raises(outcome: Ack | Refusal) -> None:
            raise ValueError("ours")

        def deliver(batch: Sequence[RoomEvent]) -> None:
            self.told.deliver(batch)
            raise ValueError("ours")

        self.broker.start(deliver)
        settle(self.clock)
        self.broker.publish("ann", SENDER, "one", payload("one", "one"), raises)
        self.publish("two")
        settle(self.clock)
        self.publish("three")
        settle(self.clock)
        self.assertEqual(self.told.names(), ["one", "two", "three"])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 3)

    def test_drain(self) -> None:
        """Draining waits for what is under way, and is done once for each who asks."""
        self.writer.is_held = True
        self.publish("one")
        self.clock.advance(0)
        self.told.relay(self.broker, "two")
        for _ in range(2):
            self.broker.drain(lambda: self.told.log.append("drained"))
        self.clock.advance(0)
        self.assertEqual(self.told.log, [])
        self.writer.release()
        settle(self.clock)
        self.assertEqual(
            self.told.log,
            ["done one", "delivered one", "delivered two", "drained", "drained"],
        )

    def test_room_cannot_be_opened(self) -> None:
        """What waits for a room that cannot be opened is refused, and followed by a delivery."""
        self.broker.close("ann")
        self.fail("SQLITE_IOERR")
        self.told.open(self.broker, "ann")
        self.publish("one", "one")
        self.told.relay(self.broker, "two")
        settle(self.clock)
        self.assertEqual(self.told.opened["ann"][1:], [UNAVAILABLE])
        self.assertEqual(self.told.outcomes, {"one": [UNAVAILABLE] * 2, "two": [UNAVAILABLE]})
        self.assertEqual(self.told.batches, [[]])
        self.told.open(self.broker, "ann")
        self.publish("one")
        settle(self.clock)
        self.assertEqual(self.told.names(), ["one"])
