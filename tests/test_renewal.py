"""Damage to the index of words stops nobody."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing

from chatd.brokers import renewal, store, trims, words
from chatd.brokers.schema import key
from chatd.brokers.sqlite_file import connect
from chatd.core.broker import ERASED
from chatd.core.events import Kind
from tests.support.databases import DatabaseCase

SENDER = "[]"

DAMAGES = {
    "no averages": "delete from words_data where id = 1",
    "no structure": "delete from words_data where id = 10",
    "no settings": "delete from words_config",
    "settings of another version": "update words_config set v = 99",
}

WORN = "update words_data set block = zeroblob(length(block)) where id > 10"


def said(offset: int, body: str) -> store.Row:
    """A row as the broker makes it."""
    size = len(SENDER) + len(body)
    return (
        key(1, offset),
        1,
        offset,
        size,
        int(Kind.MESSAGE),
        None,
        "u",
        f"i{offset}",
        SENDER,
        body,
    )


class RenewalTests(DatabaseCase):
    def setUp(self) -> None:
        super().setUp()
        self.made()

    def damaged(self, damage: str) -> sqlite3.Connection:
        """A connection to a file with ten messages and a damaged index."""
        with closing(connect(self.path, write=True)) as connection:
            rows = [said(n, f'{{"text":"word{n} every"}}') for n in range(1, 11)]
            store.add(connection, [(1, "room")], rows)
            self.assertFalse(words.take_in(connection, 1, 300))
            connection.execute(damage)
        connection = connect(self.path, write=True)
        self.addCleanup(connection.close)
        return connection

    def anew(self) -> None:
        os.unlink(self.path)
        self.made()

    def found(self, connection: sqlite3.Connection) -> int:
        question = "select count(*) from words where words match 'every'"
        (count,) = connection.execute(question).fetchone()
        return int(count)

    def test_deleted(self) -> None:
        """A deletion is stored, whatever is wrong with the index, which is then made anew."""
        for name, damage in DAMAGES.items():
            connection = self.damaged(damage)
            store.add(connection, (), [said(11, '{"text":"every"}')], [key(1, 5)])
            (body,) = connection.execute(
                "select body from message where key = ?", (key(1, 5),)
            ).fetchone()
            self.assertEqual(body, ERASED, name)
            self.assertTrue(renewal.was_emptied(connection), name)
            self.assertFalse(words.take_in(connection, 1, 300))
            self.assertEqual((self.found(connection), words.check(connection)), (10, []), name)
            connection.close()
            self.anew()

    def test_trimmed(self) -> None:
        """So is a trim."""
        connection = self.damaged(DAMAGES["no structure"])
        self.assertEqual(trims.trim(connection, "room", 4).gone, 4)
        self.assertFalse(words.take_in(connection, 1, 300))
        self.assertEqual((self.found(connection), words.check(connection)), (6, []))

    def test_merged(self) -> None:
        """What cannot be merged goes, and its words with it."""
        connection = self.damaged(WORN)
        store.add(connection, (), [said(11, '{"text":"every"}')], [key(1, 5)])
        while words.merge(connection, begin=True):
            """Some more."""
        self.assertTrue(renewal.was_emptied(connection))
        self.assertFalse(words.take_in(connection, 1, 300))
        self.assertEqual((self.found(connection), words.check(connection)), (10, []))

    def test_taken_in(self) -> None:
        """What cannot be taken in is told, and works when it is tried again."""
        connection = self.damaged(DAMAGES["no averages"])
        store.add(connection, (), [said(11, '{"text":"every"}')])
        with self.assertRaises(renewal.DamagedIndexError) as caught:
            words.take_in(connection, 1, 300)
        self.assertEqual(caught.exception.sqlite_errorcode & 0xFF, sqlite3.SQLITE_CORRUPT)
        self.assertFalse(words.take_in(connection, 1, 300))
        self.assertEqual(self.found(connection), 11)

    def test_ended(self) -> None:
        """When SQLite has ended the transaction for it, the next deletion is stored."""
        connection = self.damaged("select 1")
        gone = [(words._gone([(key(1, 5), "word5 every")]))]

        class Ending:
            total_changes = 0
            in_transaction = False

            def execute(self, sql: str, values: object = ()) -> sqlite3.Cursor:
                if sql.startswith("insert into words (words, rowid"):
                    error = sqlite3.DatabaseError("constraint failed")
                    error.sqlite_errorcode = sqlite3.SQLITE_CONSTRAINT
                    error.sqlite_errorname = "SQLITE_CONSTRAINT"
                    raise error
                return connection.execute(sql, values)  # type: ignore[arg-type]

        with self.assertRaises(renewal.DamagedIndexError):
            words._forget(Ending(), gone[0])  # type: ignore[arg-type]
        if connection.in_transaction:
            connection.execute("commit")
        self.assertTrue(renewal.was_emptied(connection))
        self.assertEqual(self.found(connection), 0)

    def test_other_errors(self) -> None:
        """What is no damage, such as a disk that is full, empties nothing."""
        connection = self.damaged("select 1")
        connection.execute("pragma query_only = 1")
        with self.assertRaises(sqlite3.OperationalError) as caught:
            words._forget(connection, words._gone([(key(1, 5), "word5 every")]))
        self.assertNotIsInstance(caught.exception, renewal.DamagedIndexError)
        self.assertFalse(renewal.was_emptied(connection))
        self.assertEqual(self.found(connection), 10)

    def test_taken_back(self) -> None:
        """An index emptied by what was not stored is not told to be."""
        connection = self.damaged("select 1")
        connection.execute("begin")
        renewal.empty(connection)
        connection.execute("rollback")
        self.assertFalse(renewal.was_emptied(connection))
        self.assertEqual(self.found(connection), 10)
