"""A copy of the database while others use it."""

from __future__ import annotations

import fcntl
import os
import resource
import shutil
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

from chatd.brokers.backup import backup
from chatd.brokers.sqlite_file import connect
from chatd.errors import ConfigError
from tests.support.databases import DatabaseCase, powerless

MANY = 40_000  # messages: some 13 MiB, copied in more than one step


class Stopped(BaseException):
    """Somebody pressed Ctrl-C."""


def quiet(_done: int, _total: int) -> None:
    """Tell nobody."""


class BackupCase(DatabaseCase):
    def setUp(self) -> None:
        super().setUp()
        (self.folder / "copies").mkdir()
        self.target = str(self.folder / "copies" / "copy.sqlite3")

    def refused(self, *words: str, source: str | None = None, overwrite: bool = False) -> None:
        """Check that it is refused in one line that has these words, and leaves nothing behind."""
        copies = self.folder / "copies"
        before = sorted(os.listdir(copies))
        error = self.assertRaises(
            ConfigError, backup, source or self.path, self.target, quiet, overwrite=overwrite
        )
        self.assertTrue(str(error).isprintable(), repr(str(error)))
        for word in words:
            self.assertIn(word, str(error))
        self.assertEqual(sorted(os.listdir(copies)), before)


class CopyTests(BackupCase):
    def test_copy(self) -> None:
        """The copy has everything, is for its user alone, and needs nothing beside it."""
        self.filled(100)
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        size = backup(self.path, self.target, quiet)
        self.assertEqual(os.listdir(self.folder / "copies"), ["copy.sqlite3"])
        self.assertEqual(os.path.getsize(self.target), size)
        self.assertEqual(stat.S_IMODE(os.stat(self.target).st_mode), 0o600)
        question = "select * from message"
        self.assertEqual(self.rows(question, self.target), self.rows(question))
        self.assertEqual(os.listdir(self.folder / "copies"), ["copy.sqlite3"])

    def test_progress(self) -> None:
        """It tells how far it is, to the end."""
        self.filled(MANY, 300)
        told: list[tuple[int, int]] = []
        backup(self.path, self.target, lambda *step: told.append(step))
        self.assertGreater(len(told), 2)
        self.assertEqual(told, sorted(told))
        self.assertEqual(told[-1][0], told[-1][1])

    def test_of_one_moment(self) -> None:
        """What is written meanwhile is not in it, and does not make it begin anew."""
        self.filled(MANY, 300)
        steps = 0

        with closing(connect(self.path, write=True)) as writing:

            def write(_done: int, _total: int) -> None:
                nonlocal steps
                steps += 1
                writing.execute("update room set top = top + 1")
                writing.execute("delete from message where key & 0xffffff = ?", (steps,))
                self.assertLess(steps, 100)

            backup(self.path, self.target, write)
        self.assertGreater(steps, 2)
        self.assertEqual(
            self.rows("select top, (select count(*) from message) from room", self.target),
            [(0, MANY)],
        )

    def test_uncommitted(self) -> None:
        """Somebody's open transaction neither hinders it nor is in it."""
        self.filled(10)
        with closing(connect(self.path, write=True)) as writing:
            writing.execute("begin immediate")
            writing.execute("delete from message")
            backup(self.path, self.target, quiet)
            writing.execute("rollback")
        self.assertEqual(self.rows("select count(*) from message", self.target), [(10,)])

    def test_overwrite(self) -> None:
        """A file that is there is kept, unless it may be overwritten."""
        self.filled(10)
        Path(self.target).write_text("precious")
        self.refused("is there already", "--force")
        self.assertEqual(Path(self.target).read_text(), "precious")
        backup(self.path, self.target, quiet, overwrite=True)
        self.assertEqual(self.rows("select count(*) from message", self.target), [(10,)])

    def test_came_meanwhile(self) -> None:
        """A file that comes into its place meanwhile is kept too."""
        self.filled(10)

        def write(_done: int, _total: int) -> None:
            Path(self.target).write_text("precious")

        self.assertRaises(ConfigError, backup, self.path, self.target, write)
        self.assertEqual(Path(self.target).read_text(), "precious")
        self.assertEqual(os.listdir(self.folder / "copies"), ["copy.sqlite3"])


class RefusedTests(BackupCase):
    def test_itself(self) -> None:
        """The database is not overwritten by its own copy, by whatever name."""
        self.filled(10)
        os.link(self.path, self.target)
        self.refused("is the database itself", overwrite=True)

    def test_no_file(self) -> None:
        """Nothing takes the place of a folder or a device."""
        self.filled(10)
        os.mkdir(self.target)
        self.refused("is no file", overwrite=True)

    def test_in_use(self) -> None:
        """Nothing takes the place of a database that somebody has open."""
        self.filled(10)
        shutil.copy(self.path, self.target)
        with closing(connect(self.target, write=True)) as other:
            other.execute("update room set top = 1")
            self.refused("is in use", "-wal", overwrite=True)

    def test_no_folder(self) -> None:
        """A folder that is missing is told."""
        self.filled(10)
        self.target = str(self.folder / "no" / "copy")
        self.refused("copy'", "No such file")

    def test_no_rights(self) -> None:
        """A folder that this user may not write to is told."""
        self.filled(10)
        with powerless(self.folder):
            os.chmod(self.folder / "copies", 0o500)
            self.refused("copy.sqlite3'", "Permission denied")

    def test_missing(self) -> None:
        """A database that is missing is told, and not made."""
        self.refused(repr(self.path), "is not there")
        self.assertEqual(self.names(), ["copies"])

    def test_foreign(self) -> None:
        """Another program's database is refused, and so is one with nothing in it."""
        with closing(sqlite3.connect(self.path)) as connection:
            connection.execute("pragma user_version = 0")
            connection.execute("create table a (b)")
        self.refused("another program's")
        os.truncate(self.path, 0)
        self.refused("another program's")

    def test_no_database(self) -> None:
        """A file that is none is told."""
        Path(self.path).write_text("hello " * 1000)
        self.refused("damaged, or no database")

    def test_forbidden(self) -> None:
        """A database that this user may not read is told."""
        self.filled(10)
        with powerless(self.folder):
            os.chmod(self.path, 0)
            self.refused(repr(self.path), "may this user read")


class EndedTests(BackupCase):
    def test_ctrl_c(self) -> None:
        """Whatever ends it in the middle, nothing is left behind."""
        self.filled(MANY, 300)

        def stop(_done: int, _total: int) -> None:
            raise Stopped

        self.assertRaises(Stopped, backup, self.path, self.target, stop)
        self.assertEqual(os.listdir(self.folder / "copies"), [])

    def test_leftover(self) -> None:
        """What a killed one left is taken over."""
        self.filled(10)
        Path(f"{self.target}.part").write_text("x" * 100_000)
        os.chmod(f"{self.target}.part", 0o644)
        backup(self.path, self.target, quiet)
        self.assertEqual(stat.S_IMODE(os.stat(self.target).st_mode), 0o600)
        self.assertEqual(os.listdir(self.folder / "copies"), ["copy.sqlite3"])
        self.assertEqual(self.rows("pragma integrity_check", self.target), [(b"ok",)])

    def test_two(self) -> None:
        """Two at once to one target do not disturb each other: the second is refused."""
        self.filled(10)
        with open(f"{self.target}.part", "w") as part:
            fcntl.flock(part, fcntl.LOCK_EX)
            self.refused("another backup is writing")

    def test_two_in_turn(self) -> None:
        """One that comes just when the other is done does not take its copy for a leftover."""
        self.filled(10)
        lock = fcntl.flock
        for third in (False, True):  # has begun already

            def late(descriptor: int, operation: int, third: bool = third) -> None:
                os.rename(f"{self.target}.part", self.target)
                os.write(descriptor, b"whole")
                if third:
                    Path(f"{self.target}.part").write_text("half")
                lock(descriptor, operation)

            self.patch(fcntl, "flock", late)
            error = self.assertRaises(ConfigError, backup, self.path, self.target, quiet)
            self.assertIn("another backup", str(error))
            self.assertEqual(Path(self.target).read_text(), "whole")
            os.unlink(self.target)
        self.assertEqual(Path(f"{self.target}.part").read_text(), "half")

    def test_no_room(self) -> None:
        """When the disk takes no more, that is told, and nothing is left behind."""
        self.filled(MANY, 300)
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_FSIZE, before)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
        self.refused("copy.sqlite3'", "the disk is full")

    def test_link_in_the_way(self) -> None:
        """A link under the name of the unfinished copy leads nowhere."""
        self.filled(10)
        victim = self.folder / "victim"
        victim.write_text("precious")
        os.symlink(victim, f"{self.target}.part")
        self.assertRaises(ConfigError, backup, self.path, self.target, quiet)
        self.assertEqual(victim.read_text(), "precious")
