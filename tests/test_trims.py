"""The SQL of what goes."""

from __future__ import annotations

import sqlite3

from twisted.trial.unittest import SynchronousTestCase

from chatd.brokers import store, words
from chatd.brokers.database import connect, create
from chatd.brokers.schema import key
from chatd.brokers.store import Floor, Row
from chatd.brokers.trims import STEP, Expired, Trimmed, expired, trim
from chatd.brokers.window import WINDOW, WINDOW_MS
from chatd.core.events import Kind, Sender, payload

SENDER = Sender("user", "session", "nick").encoded.decode()
NEVER = 1 << 62


def row(offset: int, *, room: int = 1, time: int = 0, opening: int = 1) -> Row:
    """A row as the broker makes it."""
    body = payload("m", f"text{offset}").decode()
    names = ("user", f"id {offset}", SENDER, body)
    size = len(SENDER) + len(body)
    return (key(room, offset), opening, time, size, int(Kind.MESSAGE), None, *names)


class TrimsCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.connection = connect(":memory:", write=True)
        self.addCleanup(self.connection.close)
        create(self.connection)

    def add(self, *rows: Row, name: str = "ann") -> None:
        for first in range(0, len(rows), 2000):
            room = (rows[0][0] >> 40, name)
            store.add(self.connection, [room], rows[first : first + 2000])

    def count(self, table: str = "message") -> int:
        (count,) = self.connection.execute(f"select count(*) from {table}").fetchone()
        return int(count)


class TrimTests(TrimsCase):
    def test_steps(self) -> None:
        """The floor is set at once, with who wrote it; rows go a step at a time."""
        self.add(*(row(n, opening=n // 500 + 1) for n in range(1, 2 * STEP + 101)))
        for gone, gone_now, left in (
            (STEP, STEP, STEP + 100),
            (2 * STEP - 1, STEP - 1, 101),
            (2 * STEP - 1, 0, 101),
        ):
            floor = Floor(2 * STEP - 1, 2)
            self.assertEqual(
                trim(self.connection, "ann", 2 * STEP - 1), Trimmed(floor, gone, gone_now)
            )
            self.assertEqual(self.count(), left)
            self.assertEqual(store.read_room(self.connection, "ann", 0).floor, floor)
        first = store.page(self.connection, 1, "ann", 0, 2000, 1, 1, False)
        self.assertEqual([each.offset for each in first], [2 * STEP])
        self.assertFalse(self.connection.in_transaction)

    def test_less(self) -> None:
        """A trim to less than the floor goes on with what is left below the floor."""
        self.add(*(row(n) for n in range(1, 2 * STEP + 1)))
        trim(self.connection, "ann", 2 * STEP)
        self.assertEqual(trim(self.connection, "ann", 3).gone, 2 * STEP)
        self.assertEqual(self.count(), 0)
        self.assertEqual(trim(self.connection, "ann", 3), Trimmed(Floor(2 * STEP, 1), 2 * STEP, 0))

    def test_to_the_head(self) -> None:
        """Beyond the head nothing is trimmed; head and time stay when all is gone."""
        self.add(row(1, time=7), row(2, time=9))
        self.assertEqual(trim(self.connection, "ann", 99), Trimmed(Floor(2, 1), 2, 2))
        room = store.read_room(self.connection, "ann", 0)
        self.assertEqual((room.head, room.time_ms, room.floor), (2, 9, Floor(2, 1)))
        self.add(row(3, time=9))
        self.assertEqual(trim(self.connection, "ann", 2), Trimmed(Floor(2, 1), 2, 0))
        self.assertEqual(self.count(), 1)

    def test_nothing(self) -> None:
        """Of a room that is not there, or has nothing, nothing goes; nor does with 0."""
        self.assertEqual(trim(self.connection, "ann", 9), Trimmed(Floor(), 0, 0))
        self.connection.execute("insert into room (n, name) values (1, 'ann')")
        self.assertEqual(trim(self.connection, "ann", 9), Trimmed(Floor(), 0, 0))
        self.add(row(1))
        self.assertEqual(trim(self.connection, "ann", 0), Trimmed(Floor(), 0, 0))
        self.assertEqual(self.count(), 1)

    def test_hole(self) -> None:
        """Where messages are missing, as in a file that was damaged, a trim ends all the same."""
        self.connection.execute(
            "insert into room (n, name, top, floor, floor_opening) values (1, 'ann', 9, 2, 1)"
        )
        self.assertEqual(trim(self.connection, "ann", 5), Trimmed(Floor(5, 1), 5, 0))

    def test_other_rooms(self) -> None:
        """Other rooms keep theirs."""
        for n, name in enumerate(("ann", "bob", "cid"), 1):
            self.add(row(1, room=n), row(2, room=n), name=name)
        trim(self.connection, "bob", 2)
        found = self.connection.execute("select key from message order by key").fetchall()
        self.assertEqual(found, [(key(n, at),) for n in (1, 3) for at in (1, 2)])

    def test_all_or_none(self) -> None:
        """A step that fails half way takes nothing, once it is rolled back."""
        self.add(row(1), row(2))
        self.connection.execute(
            "create trigger no before delete on message begin select raise(abort, 'no'); end"
        )
        with self.assertRaises(sqlite3.IntegrityError):
            trim(self.connection, "ann", 1)
        self.connection.rollback()
        self.assertEqual(store.read_room(self.connection, "ann", 0).floor, Floor())

    def test_derived(self) -> None:
        """With messages go their mentions, and the index of their words."""
        rows = [row(1), row(2), row(3)]
        mentions = {key(1, at): ["bob"] for at in (1, 2, 3)}
        store.add(self.connection, [(1, "ann")], rows, mentions=mentions)
        words.take_in(self.connection, 1, 100)
        trim(self.connection, "ann", 2)
        self.assertEqual(self.count("mention"), 1)
        found = [
            self.connection.execute(f"select rowid from words where words match 'text{at}'")
            for at in (1, 2, 3)
        ]
        self.assertEqual([each.fetchall() for each in found], [[], [], [(key(1, 3),)]])


class ExpiredTests(TrimsCase):
    def expired(
        self, after_n: int, before_ms: int, keep: int, now_ms: int = 1000 + WINDOW_MS
    ) -> Expired:
        return expired(self.connection, after_n, before_ms, keep, now_ms)

    def test_found(self) -> None:
        """The first room with something old is found, and how far that goes."""
        self.add(row(1, time=50), row(2, time=60))
        self.add(*(row(n, room=2, time=n) for n in range(1, 11)), name="bob")
        self.assertEqual(self.expired(0, 5, NEVER), Expired("bob", 4, 2))
        self.assertEqual(self.expired(0, 51, NEVER), Expired("ann", 1, 1))
        self.assertEqual(self.expired(1, 51, NEVER), Expired("bob", 10, 2))
        self.assertEqual(self.expired(0, 0, 2), Expired("bob", 8, 2))
        self.assertEqual(self.expired(0, 0, 1), Expired("ann", 1, 1))
        self.assertEqual(self.expired(0, 0, NEVER), Expired(None, 0, 2))
        self.assertEqual(self.expired(2, 99, 1), Expired(None, 0, 0))
        for before_ms, keep in ((0, 1), (1000, NEVER)):
            found = self.expired(0, before_ms, keep, WINDOW_MS)
            self.assertEqual(found, Expired(None, 0, 2))
            found = self.expired(0, before_ms, keep, WINDOW_MS + 7)
            self.assertEqual(found, Expired("bob", 7, 2))

    def test_audit(self) -> None:
        """Of the audit log nothing is too much: what is noted drives out nothing; it gets old."""
        self.add(*(row(n, time=n) for n in range(1, 11)), name="!audit")
        self.assertEqual(self.expired(0, 0, 1), Expired(None, 0, 1))
        self.assertEqual(self.expired(0, 5, 1), Expired("!audit", 4, 1))

    def test_out_of_window(self) -> None:
        """What so many messages came after may go, however young it is."""
        self.add(*(row(n, time=5) for n in range(1, WINDOW + 4)))
        for before_ms, keep in ((0, 1), (1000, WINDOW * 2)):
            self.assertEqual(self.expired(0, before_ms, keep, 5), Expired("ann", 3, 1))

    def test_bounded(self) -> None:
        """A search looks at 256 rooms, and tells one step of messages."""
        rooms = [(n, f"r{n}") for n in range(1, 301)]
        store.add(self.connection, rooms, [row(n, room=300) for n in range(1, STEP + 9)])
        self.assertEqual(self.expired(0, 1, 1, WINDOW_MS), Expired(None, 0, 256))
        self.assertEqual(self.expired(256, 1, 1, WINDOW_MS), Expired("r300", STEP, 300))

    def test_left_over(self) -> None:
        """What lies below a floor is old, whatever is kept, as young as it may be."""
        self.add(row(1), name="ann")
        self.add(*(row(n, room=2, time=9) for n in range(1, STEP + 9)), name="bob")
        trim(self.connection, "bob", STEP + 3)
        self.assertEqual(self.expired(0, 0, NEVER, 0), Expired("bob", STEP + 3, 2))
        trim(self.connection, "bob", STEP + 3)
        self.assertEqual(self.expired(0, 0, NEVER, 0), Expired(None, 0, 2))
