"""The two connections to the database."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatd.brokers import connections
from chatd.brokers.connections import Connections
from chatd.brokers.database import check
from chatd.brokers.disk import Disk
from chatd.brokers.faults import ReplacedError
from chatd.errors import FULL, UNAVAILABLE, ChatError
from tests.support.brokers import ClockWorker, blocks, settle, sqlite_error


def count(connection: sqlite3.Connection) -> int:
    """Count the rooms."""
    (found,) = connection.execute("select count(*) from room").fetchone()
    return int(found)


def add(connection: sqlite3.Connection) -> None:
    """Add a room."""
    connection.execute("insert into room (name) values (hex(randomblob(9)))")


class ConnectionsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.reader, self.writer = ClockWorker(self.clock), ClockWorker(self.clock)
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name, "chat.sqlite3")
        self.told: list[object] = []

    def make(
        self, path: str | None = None, free_bytes: int = 0, *, flush_each: bool = True
    ) -> Connections:
        if path is None and not self.path.exists():
            check(str(self.path), now=0)
        made = Connections(
            path or str(self.path),
            reader=self.reader,
            writer=self.writer,
            now_ms=lambda: 0,
            free_bytes=free_bytes,
            flush_each=flush_each,
        )
        self.addCleanup(settle, self.clock)
        self.addCleanup(made.stop, lambda: None)
        return made

    def start(self, path: str | None = None, free_bytes: int = 0) -> Connections:
        made = self.make(path, free_bytes)
        made.start(self.told.append)
        settle(self.clock)
        self.assertEqual(self.told.pop(), None)
        return made

    def settle(self) -> list[object]:
        settle(self.clock)
        told = list(self.told)
        self.told.clear()
        return told

    def test_opened_for_a_reader(self) -> None:
        """If they could not be opened, who reads has that tried again, and waits for it."""
        made = self.make()
        self.path.rename(f"{self.path}.away")
        made.start(self.told.append)
        self.assertIsInstance(self.settle()[0], Exception)
        asked: list[bool] = []

        def reopen() -> bool:
            asked.append(True)
            if len(asked) > 1:
                made.start(lambda outcome: None)
            return len(asked) > 1

        made.reopen = reopen
        made.read(count, self.told.append)  # it is not wanted ...
        self.assertEqual(self.settle(), [UNAVAILABLE])
        made.read(count, self.told.append)  # ... it is, in vain ...
        self.assertEqual(self.settle(), [UNAVAILABLE])
        Path(f"{self.path}.away").rename(self.path)
        for _ in range(2):  # ... and not
            made.read(count, self.told.append)
        self.assertEqual(self.settle(), [0, 0])
        self.assertEqual(len(asked), 3)

    def test_write_and_read(self) -> None:
        """What one writes the other reads; each by its worker."""
        made = self.start()
        made.write(add, self.told.append)
        self.assertEqual(self.settle(), [None])
        jobs = self.writer.jobs, self.reader.jobs
        self.assertTrue(made.read(count, self.told.append))
        self.assertEqual(self.settle(), [1])
        self.assertEqual((self.writer.jobs, self.reader.jobs), (jobs[0], jobs[1] + 1))

    def test_durability(self) -> None:
        """What writes flushes each commit unless that is not wanted."""

        def synchronous(connection: sqlite3.Connection) -> int:
            return int(connection.execute("pragma synchronous").fetchone()[0])

        self.start().write(synchronous, self.told.append)
        self.assertEqual(self.settle(), [2])
        normal = self.make(flush_each=False)
        normal.start(self.told.append)
        normal.write(synchronous, self.told.append)
        self.assertCountEqual(self.settle(), [None, 1])

    def test_memory(self) -> None:
        """In memory one connection does both, and no file is made."""
        made = self.start(":memory:", 1 << 60)
        made.write(add, self.told.append)
        made.read(count, self.told.append)
        self.assertEqual(self.settle(), [None, 1])
        self.assertEqual(self.reader.jobs, 0)
        made.stop(lambda: self.told.append("stopped"))
        self.assertEqual(self.settle(), ["stopped"])

    def test_reader_only_reads(self) -> None:
        """The connection that reads cannot write."""
        made = self.start()
        made.read(add, self.told.append)
        self.assertEqual(self.settle(), [UNAVAILABLE])

    def test_read_early(self) -> None:
        """What is read before they are open waits for it."""
        made = self.make()
        made.read(count, self.told.append)
        self.assertEqual(self.settle(), [])
        made.start(self.told.append)
        self.assertCountEqual(self.settle(), [None, 0])

    def test_too_many_reads(self) -> None:
        """So many reads may wait; when they are done there is room again."""
        self.patch(connections, "MOST_READS", 2)
        made = self.start()
        self.assertEqual(
            [made.read(count, self.told.append) for _ in range(3)], [True, True, False]
        )
        self.assertEqual(self.settle(), [0, 0])
        self.assertTrue(made.read(count, self.told.append))

    def test_cannot_be_opened(self) -> None:
        """What went wrong is told; then all is refused; started again it works."""
        self.path.write_bytes(b"no database at all" * 99)
        made = self.make()
        made.read(count, self.told.append)
        made.start(self.told.append)
        error, read = self.settle()
        self.assertIs(read, UNAVAILABLE)
        self.assertIsInstance(error, sqlite3.DatabaseError)
        made.write(add, self.told.append)
        (refused,) = self.settle()
        self.assertIsInstance(refused, ChatError)
        self.path.unlink()
        check(str(self.path), now=0)
        for _ in range(2):
            made.start(self.told.append)
            self.assertEqual(self.settle(), [None])
        made.write(add, self.told.append)
        made.read(count, self.told.append)
        self.assertEqual(self.settle()[0], None)

    def test_reader_cannot_be_opened(self) -> None:
        """It is told too when only the second cannot be opened."""
        made = self.make()
        self.reader.failures.append(error := sqlite_error("SQLITE_CANTOPEN"))
        made.start(self.told.append)
        self.assertEqual(self.settle(), [error])
        made.start(self.told.append)
        self.assertEqual(self.settle(), [None])

    def test_rolled_back(self) -> None:
        """A job that fails in a transaction leaves nothing of it, nor the transaction."""
        made = self.start()

        def half(connection: sqlite3.Connection) -> None:
            connection.execute("begin immediate")
            add(connection)
            connection.execute("insert into nothing values (1)")

        made.write(half, self.told.append)
        made.write(add, self.told.append)
        made.read(count, self.told.append)
        error, *_ = self.settle()
        self.assertIsInstance(error, sqlite3.OperationalError)
        made.read(count, self.told.append)
        self.assertEqual(self.settle(), [1])

    def test_replaced(self) -> None:
        """When the file was deleted nothing is written; reading goes on."""
        made = self.start()
        made.read(count, self.told.append)
        self.settle()
        self.path.unlink()
        made.write(add, self.told.append)
        made.write(add, self.told.append, stores=False)
        made.read(count, self.told.append)
        told = self.settle()
        self.assertEqual(sum(isinstance(each, ReplacedError) for each in told), 2)
        self.assertIn(0, told)

    def test_restored_backup(self) -> None:
        """A database without a log, as a backup is, can be written to from the first moment."""
        check(str(self.path), now=0)
        with closing(sqlite3.connect(self.path)) as other:
            other.execute("pragma journal_mode = delete")
        made = self.start()
        made.read(count, self.told.append)
        self.assertEqual(self.settle(), [0])
        made.write(add, self.told.append)
        made.write(add, self.told.append)
        made.read(count, self.told.append)
        self.assertCountEqual(self.settle(), [None, None, 2])

    def test_held_for_a_moment(self) -> None:
        """What finds the database locked is tried once more, and no more."""
        made = self.start()
        errors = [sqlite_error("SQLITE_BUSY"), sqlite_error("SQLITE_BUSY")]

        def busy(connection: sqlite3.Connection) -> None:
            connection.execute("begin immediate")
            add(connection)
            if errors:
                raise errors.pop()
            connection.execute("commit")

        made.write(busy, self.told.append)
        (error,) = self.settle()
        self.assertIsInstance(error, sqlite3.OperationalError)
        errors.append(sqlite_error("SQLITE_BUSY_RECOVERY"))
        made.write(busy, self.told.append)
        self.assertEqual(self.settle(), [None])
        errors.append(sqlite_error("SQLITE_READONLY"))
        made.write(busy, self.told.append)
        (error,) = self.settle()
        self.assertIsInstance(error, sqlite3.OperationalError)
        made.read(count, self.told.append)
        self.assertEqual(self.settle(), [1])

    def test_little_free(self) -> None:
        """What takes space is asked of the disk, what frees some is not."""
        made = self.start()
        made._disk = Disk(str(self.path), 1 << 60, lambda path: blocks(4))
        made._disk.remember()
        made.write(add, self.told.append, stores=False)
        made.write(add, self.told.append)
        done, error = self.settle()
        self.assertIsNone(done)
        assert isinstance(error, ChatError)
        self.assertIs(error.refusal, FULL)

    def test_stop(self) -> None:
        """Stopping does what was asked for, takes the log in, closes all and stops the workers."""
        made = self.start()
        made.write(add, self.told.append)
        made.stop(lambda: self.told.append("stopped"))
        made.stop(lambda: self.told.append("stopped too"))
        self.assertEqual(self.settle(), [None, "stopped", "stopped too"])
        self.assertEqual([each.name for each in self.path.parent.iterdir()], [self.path.name])
        made.write(add, self.told.append)
        made.read(count, self.told.append)
        made.stop(lambda: self.told.append("again"))
        refused, read, again = self.settle()
        self.assertIsInstance(refused, ChatError)
        self.assertEqual((read, again), (UNAVAILABLE, "again"))

    def test_stop_unstarted(self) -> None:
        """They can be stopped without being started; what waits is refused."""
        made = self.make()
        made.read(count, self.told.append)
        made.stop(lambda: self.told.append("stopped"))
        self.assertEqual(self.settle(), [UNAVAILABLE, "stopped"])

    def test_stop_while_starting(self) -> None:
        """Stopped in the middle of starting, nothing stays open."""
        made = self.make()
        self.writer.is_held = True
        made.start(self.told.append)
        made.stop(lambda: self.told.append("stopped"))
        self.clock.advance(0)
        self.writer.release()
        self.assertEqual(self.settle(), [None, "stopped"])
        self.assertEqual([each.name for each in self.path.parent.iterdir()], [self.path.name])

    def test_checkpoint(self) -> None:
        """The log is taken in on stopping, also while somebody else has the database open."""
        made = self.start()
        other = sqlite3.connect(self.path)
        self.addCleanup(other.close)
        self.assertEqual(count(other), 0)
        made.write(add, self.told.append)
        self.settle()
        log = Path(f"{self.path}-wal")
        self.assertGreater(log.stat().st_size, 0)
        made.stop(lambda: self.told.append("stopped"))
        self.assertEqual(self.settle(), ["stopped"])
        self.assertEqual(log.stat().st_size, 0)

    def test_closing_error(self) -> None:
        """An error on closing is logged, and the rest is stopped."""
        made = self.start()
        made.stop(lambda: self.told.append("stopped"))
        self.writer.failures.append(ValueError("made up"))
        self.assertEqual(self.settle(), ["stopped"])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        made._close_writing()
