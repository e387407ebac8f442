"""What is looked at before a commit."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.trial.unittest import SynchronousTestCase

from chatd.brokers.disk import Disk
from chatd.brokers.faults import ReplacedError
from chatd.errors import FULL, ChatError
from tests.support.brokers import blocks


class DiskTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name, "chat")
        self.log = Path(folder.name, "chat-wal")
        for path in (self.path, self.log):
            path.write_bytes(b"")
        self.disk = self.make(0)
        self.free = 0

    def make(self, free_bytes: int) -> Disk:
        disk = Disk(str(self.path), free_bytes)
        disk.remember()
        return disk

    def assertReplaced(self, now_ms: int) -> None:
        for stores in (True, False):
            self.assertRaises(ReplacedError, self.disk.check, now_ms, stores=stores)

    def test_well(self) -> None:
        """The same files and enough room are well."""
        self.disk.check(0, stores=True)
        self.path.write_bytes(b"more")
        self.disk.check(5000, stores=True)

    def test_deleted(self) -> None:
        """A deleted file is seen at once; put back, all is well again."""
        self.disk.check(0, stores=True)
        away = self.path.with_name("away")
        self.path.rename(away)
        self.assertReplaced(0)
        self.path.write_bytes(b"another")
        self.assertReplaced(0)
        away.rename(self.path)
        self.disk.check(0, stores=True)

    def test_log_deleted(self) -> None:
        """A deleted log is seen within a second, and again when it is back."""
        self.disk.check(0, stores=True)
        away = self.log.with_name("away")
        self.log.rename(away)
        self.disk.check(999, stores=True)
        self.assertReplaced(1000)
        away.rename(self.log)
        self.assertReplaced(1999)
        self.disk.check(2000, stores=True)

    def test_not_remembered(self) -> None:
        """Files that were not there are nobody's."""
        self.path.unlink()
        self.disk.remember()
        self.assertReplaced(0)

    def test_low(self) -> None:
        """With too little free nothing is stored, but taken away; 5 % of the disk are enough."""
        low = Disk(str(self.path), 40_000, lambda path: blocks(self.free))
        low.remember()
        self.free = 5
        low.check(0, stores=True)
        self.free = 4
        low.check(999, stores=True)
        for now_ms in (1000, 1001):
            error = self.assertRaises(ChatError, low.check, now_ms, stores=True)
            self.assertIs(error.refusal, FULL)
            low.check(now_ms, stores=False)
        self.free = 5
        low.check(-5000, stores=True)  # the clock stepped back

    def test_enough(self) -> None:
        """With as much free as is asked for, less than 5 % of the disk are enough."""
        for free_bytes, is_low in ((4096, False), (4097, True)):
            disk = Disk(str(self.path), free_bytes, lambda path: blocks(1))
            disk.remember()
            if is_low:
                self.assertRaises(ChatError, disk.check, 0, stores=True)
            else:
                disk.check(0, stores=True)
