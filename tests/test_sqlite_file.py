"""One SQLite file: how it is opened, brought to a version, and what is said of its errors."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing

from chatd.brokers.schema import APPLICATION_ID, MIGRATIONS
from chatd.brokers.sqlite_file import (
    MEMORY,
    connect,
    create,
    flush,
    foreign,
    lacks,
    migrate,
    open_raw,
    ours,
    refusal,
    remove,
)
from chatd.errors import ConfigError
from tests.support.databases import DatabaseCase

BROKEN = "create table half (a); insert into nowhere values (1)"


class FileCase(DatabaseCase):
    def opened(self, path: str | None = None) -> sqlite3.Connection:
        """A connection that writes, to a file that is empty at first."""
        path = path or self.path
        if path != MEMORY:
            open(path, "ab").close()
        connection = connect(path, write=True)
        self.addCleanup(connection.close)
        return connection

    def pragma(self, connection: sqlite3.Connection, name: str) -> object:
        """What a setting is."""
        return connection.execute(f"pragma {name}").fetchone()[0]


class ConnectTests(FileCase):
    def test_writer(self) -> None:
        """What a writer commits is safe against a power cut, and its WAL does not stay large."""
        connection = self.opened()
        self.assertEqual(self.pragma(connection, "journal_mode"), b"wal")
        self.assertEqual(self.pragma(connection, "synchronous"), 2)
        self.assertEqual(self.pragma(connection, "journal_size_limit"), 16 << 20)
        self.assertEqual(self.pragma(connection, "trusted_schema"), 0)
        self.assertEqual(self.pragma(connection, "foreign_keys"), 0)
        self.assertEqual(self.pragma(connection, "secure_delete"), 1)

    def test_writer_not_flushed(self) -> None:
        """A writer that need not flush each commit still keeps a WAL, flushed with checkpoints."""
        self.opened()
        with closing(connect(self.path, write=True, flush_each=False)) as connection:
            self.assertEqual(self.pragma(connection, "journal_mode"), b"wal")
            self.assertEqual(self.pragma(connection, "synchronous"), 1)

    def test_plain(self) -> None:
        """No transaction begins by itself, texts are bytes, and any thread may use it."""
        connection = self.opened()
        connection.execute("create table a (b)")
        connection.execute("insert into a values ('x')")
        self.assertFalse(connection.in_transaction)
        self.assertEqual(connection.execute("select b from a").fetchone(), (b"x",))

    def test_reader(self) -> None:
        """A reader sees what was committed, cannot write, and never checkpoints."""
        writing = self.opened()
        create(writing)
        with closing(connect(self.path, write=False)) as reading:
            self.assertEqual(reading.execute("select count(*) from room").fetchone(), (0,))
            self.assertEqual(self.pragma(reading, "query_only"), 1)
            self.assertEqual(self.pragma(reading, "wal_autocheckpoint"), 0)
            error = self.assertRaises(
                sqlite3.OperationalError, reading.execute, "insert into room (name) values ('a')"
            )
            self.assertEqual(error.sqlite_errorcode & 0xFF, sqlite3.SQLITE_READONLY)

    def test_missing(self) -> None:
        """A file that is missing is not made, neither to write nor to read."""
        for write in (True, False):
            error = self.assertRaises(sqlite3.OperationalError, connect, self.path, write=write)
            self.assertEqual(error.sqlite_errorcode, sqlite3.SQLITE_CANTOPEN)
        self.assertEqual(self.names(), [])

    def test_strange_names(self) -> None:
        """A name means the file of this name, whatever it would mean in an address."""
        for name in ("a?mode=memory", "a#b", "a%41", "file:a", "ż ó", "a\udcff"):
            path = str(self.folder / name)
            connection = self.opened(path)
            create(connection)
            self.assertTrue(os.path.getsize(path), name)
            connection.close()
        create(self.opened(f"/{self.path}"))
        self.assertTrue(os.path.getsize(self.path))

    def test_memory(self) -> None:
        """A database in memory is new, and is its writer's alone."""
        connection = self.opened(MEMORY)
        create(connection)
        self.assertEqual(ours(connection), len(MIGRATIONS))
        self.assertEqual(self.pragma(connection, "journal_mode"), b"memory")
        self.assertRaises(ValueError, connect, MEMORY, write=False)

    def test_no_wal(self) -> None:
        """What cannot be kept as it must is refused, and closed."""
        open(self.path, "wb").close()
        with closing(open_raw(self.path, "rw")) as other:
            other.execute("pragma locking_mode = exclusive")
            other.execute("begin exclusive")
            self.assertRaises(sqlite3.OperationalError, connect, self.path, write=True)

    def test_other_journal(self) -> None:
        """A journal that is none of a WAL is told, with the path."""
        error = self.assertRaises(ConfigError, _prepare_as_file, self.path)
        self.assertIn("journal_mode", str(error))
        self.assertIn(repr(self.path), str(error))


def _prepare_as_file(path: str) -> None:
    """Prepare a database in memory, which has no WAL, as if it were a file."""
    from chatd.brokers.sqlite_file import _prepare_writer

    with closing(open_raw(MEMORY, "rw")) as connection:
        _prepare_writer(connection, path)


class CreateTests(FileCase):
    def test_newest(self) -> None:
        """An empty database becomes ours, of the newest version."""
        connection = self.opened()
        self.assertEqual(ours(connection), 0)
        create(connection)
        self.assertEqual(ours(connection), len(MIGRATIONS))
        self.assertEqual(self.pragma(connection, "application_id"), APPLICATION_ID)
        self.assertEqual(lacks(connection, MIGRATIONS), [])

    def test_failure(self) -> None:
        """When a later migration fails nothing is done, not even the first."""
        connection = self.opened()
        self.assertRaises(sqlite3.OperationalError, create, connection, (*MIGRATIONS, BROKEN))
        self.assertFalse(connection.in_transaction)
        self.assertEqual(ours(connection), 0)

    def test_comment_last(self) -> None:
        """A migration may end in a comment, or without a semicolon."""
        connection = self.opened()
        create(connection, ("create table a (b) -- one", "create table c (d); -- two"))
        self.assertEqual(ours(connection), 2)

    def test_full(self) -> None:
        """On a full disk, which undoes by itself, the error is that of the disk."""
        connection = self.opened()
        connection.execute("pragma max_page_count = 1")
        error = self.assertRaises(sqlite3.OperationalError, create, connection)
        self.assertEqual(error.sqlite_errorcode, sqlite3.SQLITE_FULL)
        self.assertEqual(str(refusal("a", error)), "'a': the disk is full; make room first")


class MigrateTests(FileCase):
    def test_from_older(self) -> None:
        """Only the migrations that are new to it are done."""
        connection = self.opened()
        create(connection)
        version = len(MIGRATIONS)
        migrate(connection, version, (*MIGRATIONS, "create table later (a)"))
        self.assertEqual(ours(connection), version + 1)
        self.assertEqual(lacks(connection, (*MIGRATIONS, "create table later (a)")), [])

    def test_failure(self) -> None:
        """One that fails half-way leaves the version that was."""
        connection = self.opened()
        create(connection)
        self.assertRaises(
            sqlite3.OperationalError, migrate, connection, len(MIGRATIONS), (*MIGRATIONS, BROKEN)
        )
        self.assertEqual(ours(connection), len(MIGRATIONS))
        self.assertEqual(lacks(connection, MIGRATIONS), [])


class OursTests(FileCase):
    def test_foreign(self) -> None:
        """Tables, a version or an id of somebody else make it foreign."""
        for statement in (
            "create table a (b)",
            "pragma user_version = 1",
            "pragma application_id = 7",
            f"pragma application_id = {APPLICATION_ID}",
        ):
            with closing(connect(MEMORY, write=True)) as connection:
                connection.execute(statement)
                self.assertIsNone(ours(connection), statement)

    def test_words(self) -> None:
        """It is told in one line."""
        self.assertEqual(str(foreign("a")), "'a' is another program's database, not chatd's")

    def test_lacks(self) -> None:
        """What a database should have and has not is named."""
        connection = self.opened()
        create(connection)
        connection.execute("drop table record")
        connection.execute("drop index edit")
        connection.execute("create table of_the_admin (a)")
        self.assertIn("edit", lacks(connection, MIGRATIONS))
        self.assertIn("record", lacks(connection, MIGRATIONS))
        self.assertNotIn("room", lacks(connection, MIGRATIONS))


class RefusalTests(FileCase):
    def test_damage(self) -> None:
        """Damage is told with what to do about it."""
        with open(self.path, "wb") as file:
            file.write(b"hello " * 1000)
        error = self.assertRaises(sqlite3.DatabaseError, connect, self.path, write=True)
        words = str(refusal(self.path, error))
        for part in (repr(self.path), "damaged", "chatd verify", "stop chatd", "-wal and -shm"):
            self.assertIn(part, words)
        self.assertTrue(words.isprintable())

    def test_others(self) -> None:
        """Other errors of the file and of SQLite are told in their own words."""
        self.assertEqual(
            str(refusal("a", FileNotFoundError(2, "No such file"))), "'a': No such file"
        )
        self.assertEqual(str(refusal("a", OSError())), "'a': OSError")
        self.assertEqual(str(refusal("a", sqlite3.OperationalError("no way"))), "'a': no way")


class RemoveTests(FileCase):
    def test_all(self) -> None:
        """The file and what SQLite laid beside it go; what is not there is no error."""
        for side in ("", "-wal", "-shm", "-journal", ".lock"):
            open(self.path + side, "wb").close()
        remove(self.path)
        remove(self.path)
        self.assertEqual(self.names(), ["chatd.sqlite3.lock"])

    def test_flush(self) -> None:
        """Files and folders can be brought to the disk; one that is missing is an error."""
        flush(str(self.folder))
        self.assertRaises(FileNotFoundError, flush, self.path)
