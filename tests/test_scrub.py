"""What was erased leaves the files, in small steps, whatever else goes on."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.internet.task import Clock

from chatd.brokers import gaps, words
from chatd.brokers.connections import Connections
from chatd.brokers.database import MEMORY, check
from chatd.brokers.scrub import Scrub
from chatd.brokers.sqlite_file import connect
from tests.support.brokers import ClockWorker, settle, sqlite_error
from tests.support.logs import LogCase
from tests.test_words import Rooms


class ScrubTests(LogCase):
    def setUp(self) -> None:
        super().setUp()
        self.clock = Clock()
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.begin(str(Path(folder.name, "chat")))

    def begin(self, path: str) -> None:
        self.path = path
        check(path, now=0)
        self.reader, self.writer = ClockWorker(self.clock), ClockWorker(self.clock)
        self.connections = Connections(
            path, reader=self.reader, writer=self.writer, now_ms=lambda: 0, free_bytes=0
        )
        started: list[object] = []
        self.connections.start(started.append)
        settle(self.clock)
        self.assertEqual(started, [None])
        writing = self.connections._writing
        assert writing is not None
        self.rooms = Rooms(writing, 3)
        self.scrub = Scrub(self.connections, path, later=self.clock.callLater)
        self.addCleanup(self.scrub.close)
        self.addCleanup(settle, self.clock)
        self.addCleanup(self.connections.stop, lambda: None)
        self.addCleanup(self.scrub.stop)
        self.events.clear()

    def pass_by(self, seconds: float) -> None:
        for _ in range(round(seconds * 20)):
            self.clock.advance(0.05)
            settle(self.clock)

    def warnings(self) -> list[str]:
        """What is said about failures, and that they are over."""
        return [line for line in self.lines if "overwriting" in line]

    def say(self, many: int = 1, text: str = "a plain text") -> int:
        """Store messages and take them in; returns the last one's key."""
        for _ in range(many):
            key = self.rooms.say(text)
        words.take_in(self.rooms.connection, 1, 1000)
        return key

    def in_files(self, *texts: str) -> list[str]:
        """Which of some texts are in the database or beside it. By a process of its own, for locks.

        To open and close the file in this one would drop SQLite's locks.
        """
        read, write = os.pipe()
        child = os.fork()
        if not child:
            content = b"".join(
                Path(self.path + side).read_bytes()
                for side in ("", "-wal", "-shm")
                if os.path.exists(self.path + side)
            )
            os.write(write, " ".join(each for each in texts if each.encode() in content).encode())
            os._exit(0)
        os.close(write)
        with open(read) as pipe:
            found = pipe.read().split()
        os.waitpid(child, 0)
        return found

    def test_gone(self) -> None:
        """A text, its edits and its words are gone from the files soon after they were erased."""
        self.scrub.start()
        self.pass_by(10)
        self.assertTrue(self.scrub.is_clean)
        key = self.say(text="qwertzuiop first")
        edit = self.rooms.edit(key, "yxcvbnmlkj second")
        self.say(50)
        secrets = ("ertzuiop", "cvbnmlkj")
        self.assertEqual(self.in_files(*secrets), list(secrets))
        self.rooms.erase(key, edit)
        self.assertEqual(self.in_files(*secrets), list(secrets))
        self.scrub.wake()
        self.assertFalse(self.scrub.is_clean)
        self.pass_by(15)
        self.assertTrue(self.scrub.is_clean)
        self.assertEqual(self.in_files(*secrets), [])
        self.assertEqual(os.path.getsize(f"{self.path}-wal"), 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_start(self) -> None:
        """The first round comes by itself: what the last process erased may be there still."""
        key = self.say(text="qwertzuiop")
        self.say(5)
        self.rooms.erase(key)
        self.scrub.start()
        self.assertFalse(self.scrub.is_clean)
        self.pass_by(7)
        self.assertEqual(self.in_files("ertzuiop"), [])

    def test_together(self) -> None:
        """What is erased within some seconds goes in one round; what comes later, in another."""
        self.say(5)
        for _ in range(3):
            self.scrub.wake()
            self.pass_by(1)
        self.pass_by(9)
        self.assertTrue(self.scrub.is_clean)
        asked = self.writer.asked
        self.assertGreaterEqual(asked, 2)
        self.scrub.wake()
        self.pass_by(9)
        self.assertEqual(self.writer.asked, asked)
        self.writer.is_held = True
        self.pass_by(2)
        self.scrub.wake()
        self.writer.release()
        self.pass_by(2)
        self.assertFalse(self.scrub.is_clean)
        self.pass_by(12)
        self.assertTrue(self.scrub.is_clean)

    def test_steps(self) -> None:
        """One step is under way at a time, and each waits a little after the one before."""
        self.patch(gaps, "STEP_BYTES", 16 << 10)
        for _ in range(20):
            self.say(20, text="rather long " * 40)
        self.rooms.erase(1 << 40 | 7)
        self.scrub.start()
        self.clock.advance(5)
        before, most = self.writer.asked, 0
        while not self.scrub.is_clean:
            asked = self.writer.asked
            self.clock.advance(0.01)
            settle(self.clock)
            most = max(most, self.writer.asked - asked)
        # In one turn the merging ends and the clearing begins.
        self.assertLessEqual(most, 2)
        self.assertGreater(self.writer.asked - before, 20)

    def test_held(self) -> None:
        """While somebody reads for long it goes on trying, and is done soon after they end."""
        key = self.say(text="qwertzuiop")
        other = connect(self.path, write=False)
        self.addCleanup(other.close)
        other.execute("begin")
        other.execute("select * from room").fetchall()
        self.say(5)
        self.rooms.erase(key)
        self.scrub.wake()
        self.pass_by(60)
        self.assertFalse(self.scrub.is_clean)
        self.assertEqual(self.in_files("ertzuiop"), ["ertzuiop"])
        other.execute("commit")
        self.pass_by(3)
        self.assertTrue(self.scrub.is_clean)
        self.assertEqual(self.in_files("ertzuiop"), [])
        self.assertEqual(self.warnings(), [])

    def test_failures(self) -> None:
        """After a failure of either part it begins anew, later each time, and says so once."""
        key = self.say(text="qwertzuiop")
        self.rooms.erase(key)
        self.writer.failures.append(sqlite_error("SQLITE_FULL"))
        self.scrub.wake()
        self.pass_by(10.5)
        self.writer.failures += [None, sqlite_error("SQLITE_FULL")]
        self.pass_by(1.5)
        self.assertFalse(self.scrub.is_clean)
        self.assertEqual(self.warnings(), ["overwriting what was erased fails: SQLITE_FULL"])
        self.pass_by(4)
        self.assertTrue(self.scrub.is_clean)
        self.assertEqual(self.warnings()[1:], ["overwriting what was erased works again"])
        self.assertEqual(self.in_files("ertzuiop"), [])

    def test_file_fails(self) -> None:
        """So it does when the file cannot be written to."""

        def fail(*asked: object) -> gaps.Cleared:
            raise OSError("made up")

        self.patch(gaps, "clear", fail)
        self.scrub.wake()
        self.pass_by(12)
        self.assertFalse(self.scrub.is_clean)
        self.assertEqual(len(self.warnings()), 1)

    def test_second_pass(self) -> None:
        """When something was left in gaps it looks once more, and not for ever."""
        passes = []
        pages = [3, 5, 0]

        def clear(*asked: object) -> gaps.Cleared:
            passes.append(asked[-1])
            return gaps.Cleared(8192, True, pages[len(passes) - 1])

        self.patch(gaps, "clear", clear)
        self.scrub.wake()
        self.pass_by(12)
        self.assertEqual(passes, [0, 0])
        self.scrub.wake()
        self.pass_by(12)
        self.assertEqual(passes, [0, 0, 0])

    def test_stop(self) -> None:
        """Once stopped it begins nothing more, wherever it is, and says nothing."""
        self.say()
        self.scrub.start()
        self.scrub.stop()
        self.scrub.wake()
        self.pass_by(60)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        other = Scrub(self.connections, self.path, later=self.clock.callLater)
        other.wake()
        self.writer.is_held = True
        self.pass_by(11)
        other.stop()
        self.writer.failures.append(sqlite_error("SQLITE_FULL"))
        self.writer.release()
        self.pass_by(10)
        other.close()
        self.assertEqual((self.warnings(), self.clock.getDelayedCalls()), ([], []))

    def test_memory(self) -> None:
        """In memory only the index is merged."""
        self.begin(MEMORY)
        key = self.say(text="qwertzuiop")
        self.say()
        self.rooms.erase(key)
        self.scrub.start()
        self.pass_by(10)
        self.assertTrue(self.scrub.is_clean)
        self.assertFalse(self.rooms.keeps("ertzuiop"))
