"""What is too old, or too many, is trimmed."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatd.brokers import connections
from chatd.brokers.retention import Retention
from chatd.brokers.trims import STEP
from chatd.core.broker import Place, Position
from chatd.errors import Refusal
from tests.support.brokers import ClockWorker, clock_broker, settle, sqlite_error
from tests.support.contracts import Told

DAY_S = 86_400


class RetentionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(100 * DAY_S)
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.reader, self.writer = ClockWorker(self.clock), ClockWorker(self.clock)
        self.broker = clock_broker(
            self.clock,
            str(Path(folder.name, "chat")),
            reader=self.reader,
            writer=self.writer,
        )
        self.addCleanup(settle, self.clock)
        self.addCleanup(self.broker.stop, lambda: None)
        self.told = Told()
        self.broker.start(self.told.deliver)
        self.numbers = count(1)
        self.trims: list[tuple[str, int]] = []

    def retention(
        self, *, days: float | None = None, messages: int | None = None, after_s: float = 600
    ) -> Retention:
        """Begin, when what was said before is so old."""
        self.clock.advance(after_s)
        made = Retention(
            self.trim,
            self.broker.connections,
            later=self.clock.callLater,
            now_ms=lambda: round(self.clock.seconds() * 1000),
            days=days,
            messages=messages,
        )
        self.addCleanup(made.stop)
        made.start()
        return made

    def trim(self, room: str, upto: int, done: Callable[[int | Refusal], None]) -> None:
        self.trims.append((room, upto))
        self.broker.trim(room, upto, done)

    def say(self, room: str, many: int, *, close: bool = False) -> None:
        self.told.open(self.broker, room)
        for _ in range(many):
            self.told.publish(self.broker, f"m{next(self.numbers)}", room)
        settle(self.clock)
        if close:
            self.broker.close(room)

    def pass_by(self, seconds: float = 60) -> None:
        for _ in range(round(seconds * 10)):
            self.clock.advance(0.1)
            settle(self.clock)

    def left(self, room: str) -> list[int]:
        told: list[object] = []
        self.broker.page(room, 0, 1 << 30, told.append, limit=500)
        settle(self.clock)
        (messages,) = told
        assert isinstance(messages, list | tuple), messages
        return [message.offset for message in messages]

    def test_default(self) -> None:
        """Without being told otherwise it keeps all."""
        self.say("ann", 3)
        self.retention()
        self.pass_by(3700)
        self.assertEqual((self.trims, self.left("ann")), ([], [1, 2, 3]))

    def test_left_over(self) -> None:
        """What a trim left that did not go on goes, though all is kept."""
        self.say("ann", 3, close=True)
        self.say("bob", 1300)
        self.broker.trim("bob", 1200, lambda gone: None)
        settle(self.clock)
        self.retention()
        self.pass_by(1)
        self.assertEqual([room for room, _ in self.trims], ["bob", "bob"])
        self.assertEqual(self.left("bob"), list(range(1201, 1301)))
        counts: list[object] = []
        self.broker.connections.read(
            lambda each: each.execute("select count(*) from message").fetchone(), counts.append
        )
        settle(self.clock)
        self.assertEqual(counts, [(103,)])

    def test_messages(self) -> None:
        """Of each room so many messages are kept, whether it is open or not."""
        self.say("ann", 10, close=True)
        self.say("bob", 3)
        self.say("cid", 5)
        self.retention(messages=4)
        self.pass_by()
        self.assertEqual(self.trims, [("ann", 6), ("cid", 1)])
        self.assertEqual((self.left("bob"), self.left("cid")), ([1, 2, 3], [2, 3, 4, 5]))
        self.told.open(self.broker, "ann")
        settle(self.clock)
        self.assertEqual(self.left("ann"), [7, 8, 9, 10])

    def test_days(self) -> None:
        """What is older than so many days goes, all of a room if need be, an hour later."""
        self.say("ann", 2)
        self.clock.advance(DAY_S)
        self.say_more("ann", 1)
        self.say("bob", 1)
        self.retention(days=1.5, after_s=0)
        self.pass_by()
        self.assertEqual(self.left("ann"), [1, 2, 3])
        self.clock.advance(DAY_S / 2)
        self.pass_by(1)
        self.assertEqual((self.left("ann"), self.left("bob")), ([3], [1]))
        self.clock.advance(DAY_S)
        self.pass_by(1)
        self.assertEqual((self.left("ann"), self.left("bob")), ([], []))
        self.say_more("ann", 1)
        self.assertEqual(self.left("ann"), [4])

    def say_more(self, room: str, many: int) -> None:
        for _ in range(many):
            self.told.publish(self.broker, f"m{next(self.numbers)}", room)
        settle(self.clock)

    def test_open_room_knows(self) -> None:
        """An open room knows its new floor."""
        self.say("ann", 3)
        self.retention(messages=1)
        self.pass_by()
        epoch = self.told.head("ann").epoch
        places: list[Place | Refusal] = []
        for offset in (1, 2):
            self.broker.locate("ann", Position(epoch, offset), places.append)
        settle(self.clock)
        self.assertEqual(places, [Place.GAP, Place.OK])

    def test_window(self) -> None:
        """What is younger than ten minutes stays, and is not stored again in a reopened room."""
        self.say("ann", 3)
        self.retention(messages=1, after_s=590)
        self.say_more("ann", 1)
        self.pass_by(9)
        self.assertEqual(self.trims, [])
        self.broker.close("ann")
        self.told.open(self.broker, "ann")
        self.told.publish(self.broker, "m1", "ann")
        settle(self.clock)
        self.assertEqual(self.told.acks("m1"), [(1, False), (1, True)])
        self.clock.advance(3600)
        self.pass_by(1)
        self.assertEqual(self.left("ann"), [4])

    def test_window_of_days(self) -> None:
        """So it is when less than ten minutes are asked for."""
        self.say("ann", 1)
        self.retention(days=1 / DAY_S, after_s=590)
        self.pass_by(9)
        self.assertEqual(self.left("ann"), [1])
        self.clock.advance(3600)
        self.pass_by(1)
        self.assertEqual(self.left("ann"), [])

    def test_small_steps(self) -> None:
        """However much is to go, one step is under way at a time, with a pause after it."""
        self.say("ann", 3 * STEP + 11)
        self.retention(messages=10)
        steps = []
        for _ in range(100):
            before = len(self.trims)
            self.clock.advance(0.05)
            steps.append(len(self.trims) - before)
        self.assertEqual(self.left("ann"), list(range(3 * STEP + 2, 3 * STEP + 12)))
        self.assertEqual([upto for _, upto in self.trims], [STEP, 2 * STEP, 3 * STEP, 3 * STEP + 1])
        self.assertEqual(max(steps), 1)

    def test_many_rooms(self) -> None:
        """It goes over all rooms, some at a time."""
        for number in range(300):
            self.say(f"r{number}", 2 if number == 299 else 1, close=True)
        self.retention(messages=1)
        self.pass_by(5)
        self.assertEqual(self.trims, [("r299", 1)])

    def test_again(self) -> None:
        """It goes over them again, an hour after it has ended."""
        self.say("ann", 2)
        self.retention(messages=1)
        self.pass_by()
        self.say_more("ann", 1)
        self.pass_by()
        self.assertEqual(self.trims, [("ann", 1)])
        self.clock.advance(3600 - 130)
        self.pass_by(9)
        self.assertEqual(self.trims, [("ann", 1)])
        self.pass_by(2)
        self.assertEqual(self.trims, [("ann", 1), ("ann", 2)])

    def test_failures(self) -> None:
        """After a failure it begins anew in an hour."""
        self.say("ann", 2)
        self.retention(messages=1)
        self.reader.failures.append(sqlite_error("SQLITE_IOERR"))
        self.pass_by()
        self.assertEqual(self.trims, [])
        self.writer.failures.append(sqlite_error("SQLITE_BUSY"))
        self.clock.advance(3600)
        self.pass_by()
        self.assertEqual((len(self.trims), self.left("ann")), (1, [1, 2]))
        most = connections.MOST_READS
        self.patch(connections, "MOST_READS", 0)
        self.clock.advance(3600)
        self.pass_by()
        connections.MOST_READS = most
        self.clock.advance(3600)
        self.pass_by()
        self.assertEqual((len(self.trims), self.left("ann")), (2, [2]))

    def test_leads_nowhere(self) -> None:
        """A room that cannot be trimmed does not keep it from the others."""
        for room in ("ann", "bob"):
            self.say(room, 2)
        trimmed: list[str] = []

        def trim(room: str, upto: int, done: Callable[[int | Refusal], None]) -> None:
            trimmed.append(room)
            self.clock.callLater(0, done, 0)

        made = Retention(
            trim,
            self.broker.connections,
            later=self.clock.callLater,
            now_ms=lambda: round(self.clock.seconds() * 1000) + 600_000,
            messages=1,
        )
        self.addCleanup(made.stop)
        made.start()
        self.pass_by()
        self.assertEqual(trimmed, ["ann", "bob"])

    def test_stop(self) -> None:
        """Once stopped it begins nothing more, wherever it is."""
        self.say("ann", 2)
        made = self.retention(messages=1)
        made.stop()
        self.pass_by()
        made = self.retention(messages=1)
        self.reader.is_held = True
        self.pass_by(1)
        made.stop()
        made.stop()
        self.reader.release()
        self.pass_by()
        self.assertEqual((self.trims, self.clock.getDelayedCalls()), ([], []))
        made = self.retention(messages=1)
        self.writer.is_held = True
        self.pass_by(1)
        made.stop()
        self.writer.release()
        self.pass_by()
        self.assertEqual(self.trims.pop(), ("ann", 1))
        self.assertEqual((self.trims, self.clock.getDelayedCalls()), ([], []))
