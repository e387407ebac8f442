"""Records over SQLite. How records behave is `support.contracts.RecordsContract`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatd.brokers import connections as connections_module
from chatd.brokers.connections import Connections
from chatd.brokers.database import check
from chatd.brokers.records import SqliteRecords
from chatd.errors import FULL, UNAVAILABLE, UNKNOWN_OUTCOME, Refusal
from tests.support.brokers import ClockWorker, settle, sqlite_error
from tests.support.contracts import RecordsContract


class MemoryRecordsTests(RecordsContract, SynchronousTestCase):
    """In memory, where one worker reads and writes."""

    def setUp(self) -> None:
        self.clock = Clock()
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.made = 0
        self.told: list[Refusal | None] = []

    def make(self) -> SqliteRecords:
        return self.make_over(":memory:")

    def make_over(self, path: str) -> SqliteRecords:
        check(path, now=0)
        self.reader, self.writer = ClockWorker(self.clock), ClockWorker(self.clock)
        self.connections = Connections(
            path, reader=self.reader, writer=self.writer, now_ms=lambda: 0, free_bytes=0
        )
        self.addCleanup(settle, self.clock)
        self.addCleanup(self.connections.stop, lambda: None)
        self.connections.start(lambda error: self.assertIsNone(error))
        return SqliteRecords(
            self.connections,
            later=lambda call: self.clock.callLater(0, call),
            most_pending=1000,
            most_bytes=1000,
        )

    def turn(self) -> None:
        settle(self.clock)


class FileRecordsTests(MemoryRecordsTests):
    """In a file, where they stay."""

    def make(self) -> SqliteRecords:
        self.made += 1
        return self.make_over(str(self.folder / f"{self.made}.sqlite3"))

    def test_kept(self) -> None:
        """Records are there after a restart."""
        records = self.make()
        records.write("user:a", {"f": "1"}, self.told.append)
        records.drain(lambda: self.connections.stop(lambda: None))
        self.turn()
        self.assertEqual(self.told, [None])
        self.assertEqual(
            self.read(self.make_over(str(self.folder / "1.sqlite3")), "user:a"), {"f": "1"}
        )

    def test_one_commit(self) -> None:
        """What is written in one turn is one commit, and what comes meanwhile the next."""
        records = self.make()
        self.turn()
        jobs = self.writer.jobs
        for number in range(50):
            records.write("user:a", {str(number): "x"}, self.told.append)
        self.clock.callLater(0, records.write, "user:a", {"more": "x"}, self.told.append)
        self.turn()
        self.assertEqual(self.writer.jobs, jobs + 2)
        self.assertEqual(self.told, [None] * 51)

    def test_one_at_a_time(self) -> None:
        """While a commit is under way, be it the second, what is written waits."""
        records = self.make()
        self.turn()
        self.writer.is_held = True
        for key in ("one", "two"):
            records.write("user:a", {key: "x"}, self.told.append)
            self.turn()
        self.writer.release()
        self.writer.is_held = True
        self.turn()
        asked = self.writer.asked
        records.write("user:a", {"three": "x"}, self.told.append)
        self.turn()
        self.assertEqual((self.told, self.writer.asked), ([None], asked))
        self.writer.release()
        self.turn()
        self.assertEqual(self.told, [None] * 3)

    def test_long_commit(self) -> None:
        """A commit is bounded; what does not fit is the next."""
        records = self.make()
        changes = {str(number): None for number in range(600)}
        jobs = self.writer.jobs
        for _ in range(1):
            records.write("user:a", changes, self.told.append)
        records._most_pending = 5000
        records.write("user:b", changes, self.told.append)
        records.write("user:c", {str(number): "x" for number in range(400)}, self.told.append)
        self.turn()
        self.assertEqual(self.told, [None] * 3)
        self.assertEqual(self.writer.jobs - jobs, 1 + 2)  # the first opens
        self.assertEqual(len(self.read(records, "user:c")), 400)

    def test_bounds(self) -> None:
        """Too many changes, or too long ones, are refused, later; when stored, there is room."""
        records = self.make()
        records.write("user:a", {"long": "x" * 999}, self.told.append)
        records.write("user:a", {"long": "xx"}, self.told.append)
        self.assertEqual(self.told, [])
        self.turn()
        self.assertEqual(self.told, [UNAVAILABLE, None])
        records.write("user:a", {"long": "x" * 999}, self.told.append)
        self.turn()
        self.assertEqual(self.told.pop(), None)
        records.write("user:b", {str(number): "" for number in range(1000)}, self.told.append)
        records.write("user:b", {str(number): "" for number in range(999)}, self.told.append)
        records.write("user:b", {}, self.told.append)
        self.turn()
        self.assertEqual(self.told[2:], [UNAVAILABLE, UNAVAILABLE, None])
        self.assertEqual(len(self.read(records, "user:b")), 999)

    def test_failures(self) -> None:
        """All of a commit that fails is refused with what it means, and nothing is changed."""
        records = self.make()
        records.write("user:a", {"f": "1", "g": "1"}, self.told.append)
        self.turn()
        for name, refusal in (
            ("SQLITE_FULL", FULL),
            ("SQLITE_BUSY", UNAVAILABLE),
            ("SQLITE_IOERR_FSYNC", UNKNOWN_OUTCOME),
        ):
            self.told.clear()
            self.writer.failures.append(sqlite_error(name))
            records.write("user:a", {"f": "2"}, self.told.append)
            records.write("user:b", {"f": None}, self.told.append)
            self.turn()
            self.assertEqual(self.told, [refusal] * 2)
        records.write("user:a", {"g": "2"}, self.told.append)
        self.turn()
        self.assertEqual(self.read(records, "user:a"), {"f": "1", "g": "2"})

    def test_all_or_none(self) -> None:
        """When the second half of a commit fails the first is not there."""
        records = self.make()
        records.write("user:a", {"f": "1"}, self.told.append)
        self.connections.write(
            lambda each: each.execute(
                "create trigger no before delete on record begin select raise(abort, 'no'); end"
            ),
            lambda outcome: None,
        )
        self.turn()
        records.write("user:a", {"f": None, "g": "2"}, self.told.append)
        self.turn()
        self.assertEqual(self.told, [None, UNKNOWN_OUTCOME])
        self.assertEqual(self.read(records, "user:a"), {"f": "1"})

    def test_cannot_read(self) -> None:
        """A read that fails, or one too many, is refused, later."""
        records = self.make()
        self.turn()
        self.reader.failures.append(sqlite_error("SQLITE_IOERR"))
        told: list[Mapping[str, str] | Refusal] = []
        records.read("user:a", told.append)
        self.patch(connections_module, "MOST_READS", 1)
        records.read("user:a", told.append)
        self.assertEqual(told, [])
        self.turn()
        self.assertEqual(told, [UNAVAILABLE, UNAVAILABLE])

    def test_drain(self) -> None:
        """Draining is done when all is stored, or at once; never from within the call."""
        records = self.make()
        log: list[object] = []
        records.drain(lambda: log.append("drained"))
        self.assertEqual(log, [])
        self.turn()
        records.write("user:a", {"f": "1"}, log.append)
        records.drain(lambda: log.append("drained"))
        self.turn()
        self.assertEqual(log, ["drained", None, "drained"])
