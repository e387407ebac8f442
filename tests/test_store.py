"""The SQL of messages."""

from __future__ import annotations

import sqlite3

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatd.brokers import store
from chatd.brokers.database import connect, create
from chatd.brokers.faults import DamagedError
from chatd.brokers.store import MOST_ROWS, STEP, Expired, Floor, Row
from chatd.brokers.window import WINDOW, WINDOW_MS
from chatd.core.broker import BLOCK, RoomSummary
from chatd.core.events import Message, Sender, compact
from tests.support import strategies

SENDER = Sender("user", "session", "nick")


def row(offset: int, body: str = '"x"', *, room: int = 1, time: int = 0, erases: int = 0) -> Row:
    """A row as the broker makes it."""
    sender = SENDER.encoded.decode()
    size = len(sender) + len(body.encode())
    return (room, offset, 1, time, size, "user", f"id {offset}", erases or None, sender, body)


class StoreTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.connection = connect(":memory:", write=True)
        self.addCleanup(self.connection.close)
        create(self.connection)

    def add(self, *rows: Row, name: str = "ann") -> None:
        for first in range(0, len(rows), MOST_ROWS):
            store.add(self.connection, [(rows[0][0], name)], rows[first : first + MOST_ROWS])

    def page(self, after: int, upto: int, limit: int = 100, most: int = 1 << 20) -> list[int]:
        forward = store.page(self.connection, 1, "ann", after, upto, limit, most, False)
        return [message.offset for message in forward]

    def back(self, after: int, upto: int, limit: int = 100, most: int = 1 << 20) -> list[int]:
        backward = store.page(self.connection, 1, "ann", after, upto, limit, most, True)
        return [message.offset for message in backward]

    def count(self) -> int:
        (count,) = self.connection.execute("select count(*) from message").fetchone()
        return int(count)

    def test_openings(self) -> None:
        """Openings are read by their epochs, with the highest number of a room."""
        self.assertEqual(store.openings(self.connection), ({}, 0))
        store.write_opening(self.connection, 1, "one")
        store.write_opening(self.connection, 2, "two")
        store.write_opening(self.connection, 2, "two")
        self.add(row(1, room=7))
        self.assertEqual(store.openings(self.connection), ({"one": 1, "two": 2}, 7))

    def test_opening_taken(self) -> None:
        """An opening whose number or epoch is another's is not stored."""
        store.write_opening(self.connection, 1, "one")
        for n, epoch in ((1, "two"), (2, "one")):
            with self.assertRaises(sqlite3.IntegrityError):
                store.write_opening(self.connection, n, epoch)

    def test_all_or_none(self) -> None:
        """When one message cannot be stored, none is."""
        self.add(row(1))
        with self.assertRaises(sqlite3.IntegrityError):
            self.add(row(2), row(3), row(1))
        self.assertEqual(self.count(), 1)
        self.assertFalse(self.connection.in_transaction)

    def test_all_or_none_erasing(self) -> None:
        """The same holds when one of them erases another."""
        self.add(row(1))
        with self.assertRaises(sqlite3.IntegrityError):
            self.add(row(2, erases=1), row(3), row(1))
        self.assertEqual((self.count(), self.page(0, 9)), (1, [1]))
        ((body,),) = self.connection.execute("select body from message").fetchall()
        self.assertEqual(body, b'"x"')

    def test_large(self) -> None:
        """A large batch is not kept by the statement for its number of messages."""
        for body, kept in (("x" * 100, 1), ("x" * 100_000, 0)):
            seen: list[str] = []
            first = self.count()
            self.connection.set_trace_callback(seen.append)
            self.add(*(row(first + n, f'"{body}"') for n in (1, 2, 3)))
            self.connection.set_trace_callback(None)
            (statement,) = {each for each in seen if "insert into message" in each}
            self.assertEqual("values" in statement, bool(kept))
            self.assertEqual(self.count(), first + 3)

    def test_any_number(self) -> None:
        """Batches of any size are stored whole, by statements of few sizes, each one step."""
        statements: set[str] = set()
        first = 1
        for count in (*range(1, 70), 511, 512, 513, MOST_ROWS):
            with self.subTest(count=count):
                seen: list[str] = []
                self.connection.set_trace_callback(seen.append)
                self.add(*(row(n) for n in range(first, first + count)))
                self.connection.set_trace_callback(None)
                self.assertEqual(len({each for each in seen if "into message" in each}), 1)
                statements.add(store._add_statement(store._places(count)))
                first += count
                self.assertEqual(self.count(), first - 1)
        self.assertLess(len(statements), 40)
        self.assertLessEqual(MOST_ROWS * 9, 32766)
        for count in range(1, MOST_ROWS + 1):
            self.assertTrue(count <= store._places(count) <= max(16, count * 9 / 8), count)

    @given(st.lists(strategies.texts(), min_size=1, max_size=5), st.booleans())
    def test_as_stored(self, texts: list[str], erasing: bool) -> None:
        """What is stored is read byte for byte, and its size is known."""
        self.connection.execute("delete from message")
        rows = [row(n, compact(text).decode()) for n, text in enumerate(texts, 1)]
        if erasing:  # which is stored in another way
            rows[0] = row(1, rows[0][-1], erases=99)
        self.add(*rows)
        found = store.page(self.connection, 1, "ann", 0, 9, 9, 1 << 20, False)
        self.assertEqual(
            found,
            [Message("ann", SENDER, compact(text), n, 0) for n, text in enumerate(texts, 1)],
        )
        ((sizes,),) = self.connection.execute("select sum(size) from message").fetchall()
        expected = sum(len(SENDER.encoded) + len(compact(text)) for text in texts)
        self.assertEqual(sizes, expected)

    def test_erased(self) -> None:
        """An erased message says so and keeps a true size; one that is not there is no matter."""
        self.add(row(1, '"a long secret"'), row(2, erases=1), row(3, erases=99))
        ((body, size, sender),) = self.connection.execute(
            "select body, size, sender from message where offset = 1"
        ).fetchall()
        self.assertEqual((body, size), (b'{"type":"deleted"}', len(sender) + len(body)))
        ((erases,),) = self.connection.execute(
            "select group_concat(coalesce(erases, 'null')) from message"
        ).fetchall()
        self.assertEqual(erases, b"null,1,99")

    def test_page(self) -> None:
        """A page is bounded by offsets, rows and bytes, from either end; one row fits always."""
        self.add(*(row(n) for n in range(1, 10)))
        size = row(1)[4]
        self.assertEqual(self.page(2, 5), [3, 4, 5])
        self.assertEqual(self.back(2, 5), [3, 4, 5])
        self.assertEqual(self.page(2, 9, limit=2), [3, 4])
        self.assertEqual(self.back(2, 9, limit=2), [8, 9])
        self.assertEqual(self.page(2, 9, most=3 * size), [3, 4, 5])
        self.assertEqual(self.back(2, 9, most=3 * size), [7, 8, 9])
        self.assertEqual((self.page(2, 9, most=0), self.back(2, 9, most=0)), ([3], [9]))
        self.assertEqual((self.page(9, 20), self.back(9, 20)), ([], []))

    def test_page_reads_no_more(self) -> None:
        """A page searches the messages by their key; it never walks through a table."""
        for query in (store._FORWARD, store._BACKWARD):
            plan = self.connection.execute(f"explain query plan {query}", (1, 2, 3, 4, 5))
            steps = [step[-1].decode() for step in plan.fetchall()]
            self.assertTrue(any("SEARCH message" in step for step in steps), steps)
            self.assertFalse(any("SCAN message" in step for step in steps), steps)

    def test_damaged(self) -> None:
        """A message that cannot be what was stored is an error, not something that is told."""
        for change in (
            "body = '\"x'",
            "body = cast(x'22ff22' as text)",
            "body = '1' || char(10) || '2'",
            "body = '1,2'",
            "body = ''",
            "body = '],['",
            "sender = '[]'",
            "sender = '{}'",
            "sender = cast(x'ff' as text)",
            "id = cast(x'ff' as text)",
        ):
            self.connection.execute("delete from message")
            self.add(row(1), row(2))
            self.connection.execute(f"update message set {change} where offset = 2")
            self.assertEqual(self.page(0, 1), [1])
            if not change.startswith("id"):
                self.assertRaises(DamagedError, self.page, 0, 2)
            self.assertRaises(DamagedError, store.read_room, self.connection, "ann", -WINDOW_MS)

    def test_damaged_neighbours(self) -> None:
        """Two damaged messages that fit together to something whole are damaged still."""
        for one, two in (('"x', 'y"'), ("[1", "2]"), ('{"a":1', '"b":2}'), ('"x"]', '["y"')):
            self.connection.execute("delete from message")
            self.add(row(1), row(2, one), row(3, two), row(4))
            self.assertRaises(DamagedError, self.page, 0, 4)

    def test_opening_of(self) -> None:
        """It is told which opening wrote a message; none wrote what is not there."""
        self.add(row(1))
        self.assertEqual(store.opening_of(self.connection, 1, 1), 1)
        self.assertEqual(store.opening_of(self.connection, 1, 2), 0)

    def test_unknown_room(self) -> None:
        """Of a room in which nothing was stored there is nothing to know."""
        room = store.read_room(self.connection, "ann", 0)
        self.assertEqual((room.n, room.head, room.time_ms, room.floor), (0, 0, 0, Floor()))
        self.assertEqual((list(room.tail), len(room.window)), ([], 0))

    def test_room(self) -> None:
        """A room is told with its head, its time, its tail and the ids of its window."""
        head = WINDOW + 5
        self.add(*(row(n, time=n) for n in range(1, head + 1)))
        room = store.read_room(self.connection, "ann", WINDOW_MS + 20)
        self.assertEqual((room.n, room.head, room.time_ms), (1, head, head))
        first = head - head % BLOCK + 1
        self.assertEqual([each.offset for each in room.tail], list(range(first, head + 1)))
        self.assertEqual(len(room.window), head - 20)
        self.assertEqual(room.window.find(("user", "id 21"), head, 0), 21)
        self.assertEqual(len(store.read_room(self.connection, "ann", 0).window), WINDOW)

    def test_trim(self) -> None:
        """A trim takes one step of messages and knows floor, head and who wrote the floor."""
        self.add(*(row(n) for n in range(1, 2 * STEP + 1)))
        self.assertEqual(store.trim(self.connection, "ann", 2 * STEP), Floor(STEP, 1))
        self.assertEqual(self.count(), STEP)
        self.assertEqual(store.trim(self.connection, "ann", STEP + 1), Floor(STEP + 1, 1))
        self.assertEqual(store.trim(self.connection, "ann", STEP), Floor(STEP + 1, 1))
        self.assertEqual(store.trim(self.connection, "ann", 2 * STEP), Floor(2 * STEP, 1))
        room = store.read_room(self.connection, "ann", 0)
        self.assertEqual((room.head, room.floor), (2 * STEP, Floor(2 * STEP, 1)))
        self.assertEqual(store.trim(self.connection, "bob", 9), Floor())

    def test_trim_all_or_none(self) -> None:
        """A trim that fails half way takes nothing, once it is rolled back."""
        self.add(row(1), row(2))
        self.connection.execute(
            "create trigger no before delete on message begin select raise(abort, 'no'); end"
        )
        with self.assertRaises(sqlite3.IntegrityError):
            store.trim(self.connection, "ann", 1)
        self.connection.rollback()
        self.assertEqual(store.read_room(self.connection, "ann", 0).floor, Floor())

    def test_summaries(self) -> None:
        """Rooms are told with head and time, the latest first; a name may hold anything."""
        self.assertEqual(store.summaries(self.connection), [])
        self.add(row(1, time=5), row(2, time=6))
        self.add(row(1, room=2, time=9), name="b o b")
        self.add(row(1, room=3, time=7), name="cid")
        self.connection.execute("insert into room (n, name) values (4, 'empty')")
        store.trim(self.connection, "cid", 1)
        self.assertEqual(
            store.summaries(self.connection),
            [RoomSummary("b o b", 1, 9), RoomSummary("ann", 2, 6), RoomSummary("cid", 1, 0)],
        )

    def test_summaries_bounded(self) -> None:
        """A thousand rooms are told at most."""
        store.add(
            self.connection,
            [(n, f"r{n}") for n in range(1, 1101)],
            [row(1, room=n, time=n) for n in range(1, 1101)],
        )
        found = store.summaries(self.connection)
        self.assertEqual((len(found), found[-1].name), (1000, "r101"))

    def test_expired(self) -> None:
        """The first room with something old is found, and how far that goes."""
        self.add(row(1, time=50), row(2, time=60))
        self.add(*(row(n, room=2, time=n) for n in range(1, 11)), name="bob")
        never, late = 1 << 62, 1000 + WINDOW_MS

        def expired(after_n: int, before_ms: int, keep: int, now_ms: int = late) -> Expired:
            return store.expired(self.connection, after_n, before_ms, keep, now_ms)

        self.assertEqual(expired(0, 5, never), Expired("bob", 4, 2))
        self.assertEqual(expired(0, 51, never), Expired("ann", 1, 1))
        self.assertEqual(expired(1, 51, never), Expired("bob", 10, 2))
        self.assertEqual(expired(0, 0, 2), Expired("bob", 8, 2))
        self.assertEqual(expired(0, 0, 1), Expired("ann", 1, 1))
        self.assertEqual(expired(0, 0, never), Expired(None, 0, 2))
        self.assertEqual(expired(2, 99, 1), Expired(None, 0, 0))
        for before_ms, keep in ((0, 1), (1000, never)):
            self.assertEqual(expired(0, before_ms, keep, WINDOW_MS), Expired(None, 0, 2))
            self.assertEqual(expired(0, before_ms, keep, WINDOW_MS + 7), Expired("bob", 7, 2))

    def test_expired_out_of_window(self) -> None:
        """What so many messages came after may go, however young it is."""
        self.add(*(row(n, time=5) for n in range(1, WINDOW + 4)))
        for before_ms, keep in ((0, 1), (1000, WINDOW * 2)):
            found = store.expired(self.connection, 0, before_ms, keep, 5)
            self.assertEqual(found, Expired("ann", 3, 1))

    def test_expired_bounded(self) -> None:
        """A search looks at 256 rooms, and tells one step of messages."""
        rooms = [(n, f"r{n}") for n in range(1, 301)]
        store.add(self.connection, rooms, [row(n, room=300) for n in range(1, STEP + 9)])
        self.assertEqual(store.expired(self.connection, 0, 1, 1, WINDOW_MS), Expired(None, 0, 256))
        self.assertEqual(
            store.expired(self.connection, 256, 1, 1, WINDOW_MS), Expired("r300", STEP, 300)
        )
