"""What was committed is found a moment later, and nothing waits for it."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.internet.task import Clock

from chatd.brokers import connections, indexer
from chatd.brokers.indexer import Indexer
from chatd.brokers.words import MOST_EVENTS
from chatd.errors import FULL, UNAVAILABLE, ChatError, Refusal
from tests.support.brokers import ClockWorker, clock_broker, settle, sqlite_error
from tests.support.logs import LogCase
from tests.test_words import Rooms


class IndexerTests(LogCase):
    def setUp(self) -> None:
        super().setUp()
        self.clock = Clock()
        self.reader, self.writer = ClockWorker(self.clock), ClockWorker(self.clock)
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.broker = clock_broker(
            self.clock,
            str(Path(folder.name, "chat")),
            reader=self.reader,
            writer=self.writer,
        )
        self.addCleanup(settle, self.clock)
        self.addCleanup(self.broker.stop, lambda: None)
        self.broker.start(lambda events: None)
        settle(self.clock)
        writing = self.broker.connections._writing
        assert writing is not None
        self.rooms = Rooms(writing, 3)
        self.caught_up = 0

        def caught_up() -> None:
            self.caught_up += 1

        self.step_s = 0.0
        self.looks = 0

        def seconds() -> float:
            self.looks += 1
            return self.looks * self.step_s

        self.indexer = Indexer(
            self.broker.connections,
            later=self.clock.callLater,
            seconds=seconds,
            caught_up=caught_up,
        )
        self.addCleanup(self.indexer.stop)
        self.events.clear()

    def pass_by(self, seconds: float) -> None:
        for _ in range(round(seconds * 100)):
            self.clock.advance(0.01)
            settle(self.clock)

    def found(self, word: str = "one") -> int:
        return len(self.rooms.found(word))

    def test_catches_up(self) -> None:
        """What was there when it started is taken in, of all rooms, step by step."""
        for n in range(4, 301):
            self.rooms.connection.execute("insert into room (n, name) values (?, ?)", (n, f"r{n}"))
            self.rooms.heads[n] = 0
        self.rooms.connection.execute("begin")
        for n in (1, 2, 300):
            for _ in range(MOST_EVENTS + 1):
                self.rooms.say("one", n)
        self.rooms.connection.execute("commit")
        self.indexer.start()
        self.assertFalse(self.indexer.is_idle)
        self.pass_by(3)
        self.assertEqual(self.found(), 3 * MOST_EVENTS + 3)
        self.assertTrue(self.indexer.is_idle)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_grows(self) -> None:
        """What is committed then is found within a second, several commits by one step."""
        self.indexer.start()
        self.pass_by(2)
        jobs = self.writer.asked
        for n in (1, 2, 1):
            self.rooms.say("one", n)
            self.indexer.grew((n,))
        self.pass_by(1)
        self.assertEqual((self.found(), self.writer.asked - jobs), (3, 1))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_grows_meanwhile(self) -> None:
        """What comes during a step is seen to by the next."""
        self.writer.is_held = True
        self.rooms.say("one")
        self.indexer.grew((1,))
        self.pass_by(1)
        self.assertFalse(self.indexer.is_idle)
        self.rooms.say("one", 2)
        self.indexer.grew((2,))
        self.writer.release()
        self.pass_by(1)
        self.assertEqual(self.found(), 2)

    def talk_on(self, seconds: float) -> None:
        """Let time go by in which something new is always there."""
        for _ in range(round(seconds * 100)):
            self.rooms.say("new", 2)
            self.indexer.grew((2,))
            self.pass_by(0.01)

    def test_always_new(self) -> None:
        """What is behind is taken in, and that told, though there is always something new."""
        for _ in range(3 * MOST_EVENTS):
            self.rooms.say("one")
        self.indexer.start()
        self.talk_on(3)
        self.assertEqual((self.found(), self.caught_up), (3 * MOST_EVENTS, 1))
        ended: list[Refusal | None] = []
        self.indexer.rebuild(lambda done, total: None, ended.append)
        self.talk_on(3)
        self.assertEqual((self.found(), ended), (3 * MOST_EVENTS, [None]))
        self.assertEqual(self.caught_up, 2)

    def test_steps_aside(self) -> None:
        """While others commit it takes a small part of the time; alone it goes on at once."""
        for _ in range(20 * MOST_EVENTS):
            self.rooms.say("one")
        self.step_s = 0.01
        self.indexer.start()
        self.talk_on(3)
        self.assertLess(self.found(), 13 * MOST_EVENTS)  # 0.01 s in each 0.26 s, from 1 s on
        self.assertGreater(self.found(), 3 * MOST_EVENTS)
        self.pass_by(1)
        self.assertEqual(self.found(), 20 * MOST_EVENTS)

    def test_rebuilds_at_once(self) -> None:
        """What somebody asked for does not step aside."""
        for _ in range(20 * MOST_EVENTS):
            self.rooms.say("one")
        self.step_s = 0.01
        self.indexer.rebuild(lambda done, total: None, lambda refusal: None)
        self.talk_on(3)
        self.assertEqual(self.found(), 20 * MOST_EVENTS)

    def test_caught_up(self) -> None:
        """Who wants to know is told when it is behind no more, and not for what comes anyway."""
        self.rooms.say("one")
        self.indexer.start()
        self.pass_by(2)
        self.assertEqual(self.caught_up, 1)
        self.rooms.say("one")
        self.indexer.grew((1,))
        self.pass_by(1)
        self.assertEqual((self.found(), self.caught_up), (2, 1))
        self.rooms.say("one")
        self.writer.failures.append(ChatError(FULL))
        self.indexer.grew((1,))
        self.pass_by(1)
        self.assertEqual((self.found(), self.caught_up), (2, 1))
        self.pass_by(1)
        self.assertEqual((self.found(), self.caught_up), (3, 2))

    def test_damaged(self) -> None:
        """A damaged index is made anew, of all rooms, and it is said."""
        self.indexer.start()
        for n in (1, 2, 3):
            self.rooms.say("one", n)
        self.pass_by(2)
        self.assertEqual(self.found(), 3)
        self.rooms.connection.execute("delete from words_data where id = 1")
        self.rooms.connection.execute("update words_docsize set sz = x'' where 0")
        self.rooms.say("one", 2)
        self.events.clear()
        self.indexer.grew((2,))
        self.pass_by(4)
        self.assertEqual((self.found(), self.indexer.is_idle), (4, True))
        formats = [each["log_format"] for each in self.events]
        self.assertEqual(sum("made anew" in str(each) for each in formats), 1, formats)

    def test_too_many(self) -> None:
        """Of more rooms than it keeps in mind none is forgotten."""
        self.patch(indexer, "MOST_ROOMS", 2)
        for n in (1, 2, 3):
            self.rooms.say("one", n)
        self.indexer.grew((1, 2, 3))
        self.pass_by(2)
        self.assertEqual(self.found(), 3)
        self.reader.is_held = True
        self.indexer.grew((1, 2, 3))
        self.pass_by(2)
        self.rooms.say("one", 1)
        self.indexer.grew((1, 2, 3))
        self.reader.release()
        self.pass_by(2)
        self.assertEqual(self.found(), 4)

    def test_failures(self) -> None:
        """After a failure it tries again, later each time, and says so once."""
        self.rooms.say("one")
        self.writer.failures += [ChatError(FULL), sqlite_error("SQLITE_FULL"), ChatError(FULL)]
        self.indexer.grew((1,))
        self.pass_by(0.6)
        self.assertEqual(self.logged("indexing words fails"), 1)
        self.pass_by(1 + 2 + 3.5)
        self.assertEqual(self.found(), 0)
        self.pass_by(1)
        self.assertEqual((self.found(), self.logged("indexing words works again")), (1, 1))

    def logged(self, words: str) -> int:
        return sum(words in line for line in self.lines)

    def test_no_look(self) -> None:
        """When it may not look now, it looks later."""
        self.rooms.say("one")
        self.reader.failures.append(sqlite_error("SQLITE_IOERR"))
        self.indexer.start()
        self.pass_by(1.5)
        self.patch(connections, "MOST_READS", 0)
        self.pass_by(1)
        self.assertEqual(self.found(), 0)
        connections.MOST_READS = 10
        self.pass_by(3)
        self.assertEqual(self.found(), 1)

    def test_stop(self) -> None:
        """Once stopped it begins nothing more, wherever it is."""
        self.rooms.say("one")
        self.indexer.start()
        self.indexer.stop()
        self.indexer.grew((1,))
        self.pass_by(2)
        self.assertEqual((self.found(), self.clock.getDelayedCalls()), (0, []))
        other = Indexer(
            self.broker.connections, later=self.clock.callLater, seconds=self.clock.seconds
        )
        other.grew((1,))
        self.writer.is_held = True
        self.pass_by(1)
        other.stop()
        self.writer.failures.append(ChatError(UNAVAILABLE))
        self.writer.release()
        self.pass_by(2)
        self.assertEqual((self.found(), self.clock.getDelayedCalls()), (0, []))
        self.assertEqual(self.lines, [])

    def rebuild(self) -> list[object]:
        """Have the index made anew; returns what is told, as it is."""
        told: list[object] = []

        def done(outcome: Refusal | None) -> None:
            told.append(outcome)

        self.indexer.rebuild(lambda done, total: told.append((done, total)), done)
        return told

    def test_rebuild(self) -> None:
        """The index is made anew, and it is told how far that is and when it is done."""
        self.patch(indexer, "TOLD_EACH", 2)
        self.rooms.connection.execute("begin")
        for _ in range(4 * MOST_EVENTS + 1):
            self.rooms.say("one")
        self.rooms.connection.execute("commit")
        self.indexer.start()
        self.pass_by(3)
        self.rooms.connection.execute("delete from words_data where id > 10")
        told, refused = self.rebuild(), self.rebuild()
        self.pass_by(1)
        self.assertEqual(refused, [UNAVAILABLE])
        total = 4 * MOST_EVENTS + 1
        self.assertEqual(told, [(2 * MOST_EVENTS, total), (4 * MOST_EVENTS, total), None])
        self.assertEqual(self.found(), total)
        self.rooms.sound()
        again = self.rebuild()
        self.pass_by(2)
        self.assertEqual((again[-1], self.found()), (None, total))

    def test_rebuild_meanwhile(self) -> None:
        """It may be asked for during a step."""
        self.rooms.say("one")
        self.writer.is_held = True
        self.indexer.grew((1,))
        self.pass_by(1)
        told = self.rebuild()
        self.writer.release()
        self.pass_by(1)
        self.assertEqual((told, self.found()), ([None], 1))

    def test_rebuild_fails(self) -> None:
        """When the index cannot be emptied, it stays as it is."""
        self.rooms.say("one")
        self.indexer.grew((1,))
        self.pass_by(1)
        self.writer.failures.append(sqlite_error("SQLITE_FULL"))
        told = self.rebuild()
        self.pass_by(1)
        self.assertEqual((told, self.found()), ([FULL], 1))

    def test_rebuild_stopped(self) -> None:
        """A stop breaks it off, and it is begun no more."""
        told = self.rebuild()
        self.indexer.stop()
        late = self.rebuild()
        self.pass_by(1)
        self.assertEqual((told, late), ([UNAVAILABLE], [UNAVAILABLE]))
