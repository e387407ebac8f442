"""The database before the daemon starts."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from chatd.brokers import database
from chatd.brokers.backup import backup
from chatd.brokers.database import MEMORY, check, check_library, connect, lock
from chatd.brokers.schema import MIGRATIONS
from chatd.errors import ConfigError
from tests.support.databases import NOBODY, DatabaseCase, flip, powerless

VERSION = len(MIGRATIONS)
LATER = (*MIGRATIONS, "create table later (a); insert into later values (1)")
BROKEN = (*MIGRATIONS, "create table later (a); insert into nowhere values (1)")
LARGE = """
pragma max_page_count = 1; create table later (a); insert into later values (zeroblob(1000000))
"""
MODERN = (3, 51, 3)


class CheckCase(DatabaseCase):
    def refused(
        self, *words: str, path: str | None = None, migrations: tuple[str, ...] = MIGRATIONS
    ) -> None:
        """Check that it is refused in one line that has these words."""
        path = path or self.path
        error = self.assertRaises(ConfigError, check, path, migrations=migrations, now=0)
        self.assertTrue(str(error).isprintable(), repr(str(error)))
        for word in words:
            self.assertIn(word, str(error))


class NewTests(CheckCase):
    def test_made(self) -> None:
        """A missing one is made, for its user alone, with nothing beside it; it is said."""
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        self.made()
        self.assertEqual(self.names(), ["chatd.sqlite3"])
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)
        self.assertIn(f"made the database {self.path}", self.lines)
        self.assertEqual(self.rows("select count(*) from message"), [(0,)])

    def test_again(self) -> None:
        """One that is in order is left as it is."""
        self.filled()
        check(self.path, now=0)
        self.assertEqual(self.names(), ["chatd.sqlite3"])
        self.assertEqual(self.rows("select count(*) from message"), [(10,)])

    def test_empty(self) -> None:
        """An empty file becomes a database."""
        Path(self.path).touch()
        self.made()
        self.assertEqual(self.rows("pragma user_version"), [(VERSION,)])

    def test_failure(self) -> None:
        """One that cannot be made whole is not there at all."""
        self.refused("no such table", migrations=BROKEN)
        self.assertEqual(self.names(), [])

    def test_leftover(self) -> None:
        """What a crash left of the making of one is no hindrance."""
        Path(f"{self.path}.new").write_text("x")
        Path(f"{self.path}.new-wal").write_text("x")
        self.made()
        self.assertEqual(self.names(), ["chatd.sqlite3"])

    def test_memory(self) -> None:
        """One in memory needs nothing."""
        check(MEMORY, now=0)
        self.assertEqual(self.lines, [])

    def test_link(self) -> None:
        """A link that leads nowhere is where one is made."""
        os.symlink(self.folder / "there", self.path)
        self.made()
        self.assertEqual(self.names(), ["chatd.sqlite3", "there"])
        self.assertTrue(os.path.islink(self.path))


class PlaceTests(CheckCase):
    def test_no_folder(self) -> None:
        """A folder that is missing is named, with the flag."""
        self.refused("no folder", repr(str(self.folder / "no")), path=f"{self.folder}/no/chatd.db")

    def test_is_folder(self) -> None:
        """A folder, or anything else that is no file, is told."""
        os.mkdir(self.path)
        self.refused(repr(self.path), "is no file")

    def test_two_names(self) -> None:
        """A file with a second name is told: by that one somebody else could write to it."""
        self.made()
        os.link(self.path, self.folder / "hard")
        self.refused(repr(self.path), "hard link")
        os.unlink(self.folder / "hard")
        check(self.path, now=0)

    def test_no_rights(self) -> None:
        """A folder or a file that this user may not write to is told."""
        self.made()
        with powerless(self.folder):
            os.chmod(self.path, 0o400)
            self.refused("may not read and write it", repr(self.path))
            self.assertEqual(self.names(), ["chatd.sqlite3"])
            os.chmod(self.path, 0o600)
            check(self.path, now=0)
            os.chmod(self.folder, 0o500)
            self.refused("may not write to the folder")
            os.chmod(self.folder, 0o700)
        if os.geteuid() == 0:
            self.assertEqual(os.stat(self.path).st_uid, NOBODY)

    def test_locked(self) -> None:
        """While another program writes to it, that is told within two seconds."""
        self.made()
        with closing(connect(self.path, write=True)) as other:
            other.execute("begin immediate")
            self.refused("another program writes to it")

    def test_wal_alone(self) -> None:
        """A WAL whose database is gone is not taken for a part of a new one."""
        Path(f"{self.path}-wal").write_bytes(b"x")
        self.refused("is missing", "-wal' is there")
        self.assertEqual(self.names(), ["chatd.sqlite3-wal"])
        Path(f"{self.path}-wal").write_bytes(b"")
        self.made()

    def test_wal_of_another(self) -> None:
        """A backup that was put beside the WAL of the file before it is refused, unharmed."""
        self.filled(10)
        backup(self.path, f"{self.path}-copy", lambda _done, _total: None)
        with closing(connect(self.path, write=True)) as connection:
            connection.execute("update room set top = 7")
            shutil.copy(f"{self.path}-wal", f"{self.path}-kept")
        os.rename(f"{self.path}-copy", self.path)
        os.rename(f"{self.path}-kept", f"{self.path}-wal")
        self.refused("is of the file that", "move the -wal and -shm away")
        os.unlink(f"{self.path}-wal")
        check(self.path, now=0)
        self.assertEqual(self.rows("select top from room"), [(0,)])

    def test_wal_of_its_own(self) -> None:
        """What a killed daemon left in the WAL is part of the database."""
        self.made()
        subprocess.run([sys.executable, "-c", KILLED, self.path], check=False, timeout=60)
        self.assertTrue(os.path.getsize(f"{self.path}-wal"))
        check(self.path, now=0)
        self.assertEqual(self.rows("select name from room"), [(b"stays",)])


KILLED = """
import os, signal, sys
from chatd.brokers.database import connect
connection = connect(sys.argv[1], write=True)
connection.execute("insert into room (name) values ('stays')")
os.kill(os.getpid(), signal.SIGKILL)
"""


class ContentTests(CheckCase):
    def test_foreign(self) -> None:
        """Another program's database is refused and not touched."""
        with closing(sqlite3.connect(self.path)) as connection:
            connection.execute("create table a (b)")
        before = Path(self.path).read_bytes()
        self.refused("another program's database")
        self.assertEqual(Path(self.path).read_bytes(), before)
        self.assertEqual(self.names(), ["chatd.sqlite3"])

    def test_no_database(self) -> None:
        """Nor is any other file."""
        Path(self.path).write_text("hello " * 1000)
        self.refused("damaged, or no database")
        self.assertEqual(Path(self.path).read_text(), "hello " * 1000)

    def test_newer(self) -> None:
        """One of a newer version is refused; both versions are told."""
        check(self.path, migrations=LATER, now=0)
        self.refused("newer chatd", f"version {VERSION + 1}", f"knows {VERSION}")

    def test_damage(self) -> None:
        """Damage is told, with the command that says more and how to restore."""
        self.filled(1000)
        flip(self.path, os.path.getsize(self.path) // 2, 5000)
        self.refused("is damaged", "chatd verify", "to restore a backup stop chatd, move")

    def test_damage_of_a_large_one(self) -> None:
        """Above 64 MiB it is not looked for, so that the start is quick; a table is missed."""
        self.patch(database, "_LOOKED_THROUGH", 8192)
        self.filled(1000)
        flip(self.path, os.path.getsize(self.path) // 2, 5000)
        check(self.path, now=0)
        self.execute("drop table record")
        self.refused("is damaged: ", "record", "is missing")

    def test_closed(self) -> None:
        """No connection is left: nothing would be dropped by a fork."""
        self.made()
        before = set(os.listdir("/proc/self/fd"))
        check(self.path, migrations=LATER, now=0)
        self.assertEqual(set(os.listdir("/proc/self/fd")), before)


class ForwardTests(CheckCase):
    def test_forward(self) -> None:
        """An older one is brought to the newest, after a backup beside it; it is said."""
        self.filled()
        check(self.path, migrations=LATER, now=0)
        copy = f"{self.path}.v{VERSION}-backup"
        self.assertEqual(self.names(), ["chatd.sqlite3", os.path.basename(copy)])
        self.assertIn(copy, self.lines[-1])
        self.assertEqual(self.rows("select a from later"), [(1,)])
        self.assertEqual(self.rows("pragma user_version"), [(VERSION + 1,)])
        self.assertEqual(self.rows("select count(*) from message"), [(10,)])
        self.assertEqual(self.rows("pragma user_version", copy), [(VERSION,)])
        self.assertEqual(self.rows("select count(*) from message", copy), [(10,)])

    def test_failure(self) -> None:
        """One that fails half-way leaves all as it was, and says where the backup is."""
        self.filled()
        copy = f"{self.path}.v{VERSION}-backup"
        self.refused("no such table", "as it was", repr(copy), migrations=BROKEN)
        self.assertEqual(self.rows("pragma user_version"), [(VERSION,)])
        self.assertEqual(self.rows("select name from sqlite_schema where name = 'later'"), [])
        self.assertTrue(os.path.exists(copy))
        check(self.path, now=0)

    def test_no_room(self) -> None:
        """When the disk is too full no backup is left either: there would be one for each start."""
        self.filled()
        large = (*MIGRATIONS, LARGE)
        for _ in range(2):
            self.refused("disk is full", "as it was", "make room", migrations=large)
            self.assertEqual([name for name in self.names() if "backup" in name], [])
        self.assertEqual(self.rows("pragma user_version"), [(VERSION,)])
        self.assertEqual(self.rows("select count(*) from message"), [(10,)])

    def test_backup_first(self) -> None:
        """Without a backup nothing is changed."""
        self.filled()
        os.mkdir(f"{self.path}.v{VERSION}-backup.part")
        self.refused("Is a directory", migrations=LATER)
        self.assertEqual(self.rows("pragma user_version"), [(VERSION,)])

    def test_older_backups(self) -> None:
        """An older backup is never overwritten; the third is the last."""
        self.filled()
        copy = f"{self.path}.v{VERSION}-backup"
        Path(copy).write_text("old")
        for now in (0, 86400):
            self.assertRaises(ConfigError, check, self.path, migrations=BROKEN, now=now)
        self.assertEqual(Path(copy).read_text(), "old")
        self.assertTrue(os.path.exists(f"{copy}-19700101T000000Z"))
        self.assertTrue(os.path.exists(f"{copy}-19700102T000000Z"))
        self.refused("3 backups", "move them away", migrations=LATER)
        os.unlink(copy)
        check(self.path, migrations=LATER, now=1)


class LibraryTests(CheckCase):
    def test_too_old(self) -> None:
        """A SQLite without `->>` is refused."""
        error = self.assertRaises(ConfigError, check_library, self.path, (3, 37, 2))
        self.assertEqual(str(error), "SQLite 3.37.2 is too old: chatd needs 3.38 or newer")
        self.assertRaises(ConfigError, check_library, MEMORY, (3, 37, 2))

    def test_no_search(self) -> None:
        """A SQLite that cannot search is refused, for a database in memory too."""
        for path in (self.path, MEMORY):
            error = self.assertRaises(ConfigError, check_library, path, (3, 51, 3), searches=False)
            self.assertIn("without FTS5", str(error))
        check_library(MEMORY, (3, 51, 3))

    def test_reset_bug(self) -> None:
        """Those with the WAL-reset bug get one line of warning, the others none."""
        bad = ((3, 38, 0), (3, 40, 1), (3, 44, 5), (3, 45, 0), (3, 50, 6), (3, 51, 0), (3, 51, 2))
        for version in bad:
            check_library(self.path, version)
        self.assertEqual(len(self.lines), len(bad))
        self.assertTrue(self.lines[1].startswith("SQLite 3.40.1 can damage"))
        self.assertIn(self.path, self.lines[1])
        for version in ((3, 44, 6), (3, 44, 9), (3, 50, 7), MODERN, (3, 52, 0), (4, 0, 0)):
            check_library(self.path, version)
        check_library(MEMORY, bad[0])
        self.assertEqual(len(self.lines), len(bad))

    def test_called(self) -> None:
        """The library is looked at with each check."""
        check_library(self.path)
        expected, self.events[:] = list(self.lines), []
        self.made()
        self.assertEqual(self.lines[:-1], expected)


class LockTests(CheckCase):
    def test_once(self) -> None:
        """Only one may have it; who else wants it is told, and gets it afterwards."""
        first = lock(self.path)
        assert first is not None
        error = self.assertRaises(ConfigError, lock, self.path)
        self.assertIn("another chatd uses it", str(error))
        first.release()
        second = lock(self.path)
        assert second is not None
        second.release()
        self.assertEqual(self.names(), ["chatd.sqlite3.lock"])

    def test_link(self) -> None:
        """A link to the database is the same database."""
        os.symlink(self.path, self.folder / "link")
        held = lock(self.path)
        assert held is not None
        self.addCleanup(held.release)
        self.assertRaises(ConfigError, lock, str(self.folder / "link"))

    def test_fork(self) -> None:
        """It goes along through a fork and stays when the first process is gone."""
        done = subprocess.run(
            [sys.executable, "-c", FORKED, self.path], capture_output=True, text=True, timeout=60
        )
        self.assertEqual((done.stdout, done.returncode), ("held\nfree\n", 0), done.stderr)

    def test_memory(self) -> None:
        """One in memory is not shared."""
        self.assertIsNone(lock(MEMORY))

    def test_places(self) -> None:
        """A place where no lock can be is told."""
        error = self.assertRaises(ConfigError, lock, f"{self.folder}/no/chatd.sqlite3")
        self.assertIn("no folder", str(error))
        os.mkdir(f"{self.path}.lock")
        error = self.assertRaises(ConfigError, lock, self.path)
        self.assertIn("Is a directory", str(error))


FORKED = """
import os, sys
from chatd.brokers.database import lock
from chatd.errors import ConfigError

path = sys.argv[1]
first, second = os.pipe(), os.pipe()
if os.fork() == 0:
    held = lock(path)
    if os.fork() != 0:
        os._exit(0)  # as twistd does when it detaches
    os.write(first[1], b"x")
    os.read(second[0], 1)
    os._exit(0)
os.wait()
os.read(first[0], 1)
try:
    lock(path)
except ConfigError:
    print("held")
os.close(first[1])
os.write(second[1], b"x")
assert os.read(first[0], 1) == b""  # the end of the daemon
assert lock(path)
print("free")
"""
