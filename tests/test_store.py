"""The SQL of messages."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatd.brokers import store, words
from chatd.brokers.database import connect, create
from chatd.brokers.faults import DamagedError
from chatd.brokers.schema import OFFSET_BITS, key
from chatd.brokers.store import MOST_NAMES, MOST_ROOMS, MOST_ROWS, Floor, Row
from chatd.brokers.window import WINDOW, WINDOW_MS
from chatd.core.broker import BLOCK, RoomSummary
from chatd.core.events import Kind, Message, Sender, compact, payload
from tests.support import strategies

SENDER = Sender("user", "session", "nick")


ROOM = 1 << OFFSET_BITS


def row(
    offset: int,
    body: str = '"x"',
    *,
    room: int = 1,
    time: int = 0,
    kind: Kind = Kind.OTHER,
    ref: int = 0,
) -> Row:
    """A row as the broker makes it."""
    sender = SENDER.encoded.decode()
    size = len(sender) + len(body.encode())
    ref_key = key(room, ref) if ref else None
    names = ("user", f"id {offset}", sender, body)
    return (key(room, offset), 1, time, size, int(kind), ref_key, *names)


class StoreTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.connection = connect(":memory:", write=True)
        self.addCleanup(self.connection.close)
        create(self.connection)

    def add(self, *rows: Row, name: str = "ann") -> None:
        for first in range(0, len(rows), MOST_ROWS):
            room = (rows[0][0] >> OFFSET_BITS, name)
            store.add(self.connection, [room], rows[first : first + MOST_ROWS])

    def change(
        self,
        *rows: Row,
        erased: Sequence[int] = (),
        mentions: Mapping[int, Sequence[str]] | None = None,
    ) -> None:
        """Store what changes others, of the room `ann`; by offsets."""
        store.add(
            self.connection,
            [(1, "ann")],
            rows,
            [key(1, each) for each in erased],
            {key(1, each): names for each, names in (mentions or {}).items()},
        )

    def mentions(self) -> list[tuple[str, int]]:
        """Names and offsets of all mentions."""
        found = self.connection.execute("select name, key from mention order by key, name")
        return [(name.decode(), each - ROOM) for name, each in found]

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
            self.change(row(2), row(3), row(1), erased=[1], mentions={2: ["bob"]})
        self.connection.rollback()
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
            rows[0] = row(1, rows[0][-1], ref=99)
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
        self.add(row(1, '"a long secret"'), row(2, '"zażółć"'), row(3), row(1, room=2))
        self.change(row(4), erased=[1, 2, 4, 99])
        found = self.connection.execute(
            "select body, size, length(cast(sender as blob)) from message order by key"
        ).fetchall()
        erased = b'{"type":"deleted"}'
        bodies = [erased, erased, b'"x"', erased, b'"x"']
        self.assertEqual([body for body, _, _ in found], bodies)
        self.assertEqual([size - sender for _, size, sender in found], [len(b) for b in bodies])

    def test_kinds(self) -> None:
        """It is stored what a message is, and which it changes, in any batch."""
        self.add(row(1, kind=Kind.MESSAGE), row(2))
        self.add(row(3, kind=Kind.REACTION, ref=1), row(4, kind=Kind.TOPIC))
        self.change(row(5, kind=Kind.DELETE, ref=2), erased=[2])
        found = self.connection.execute("select kind, ref from message order by key").fetchall()
        expected = [(1, None), (0, None), (4, key(1, 1)), (5, None), (3, key(1, 2))]
        self.assertEqual(found, expected)

    def test_mentions(self) -> None:
        """Mentions are stored with the message, and others take their place with its edit."""
        self.change(row(1), row(2), mentions={1: ["bob", "cid", "bob"], 2: ["bob"]})
        self.assertEqual(self.mentions(), [("bob", 1), ("cid", 1), ("bob", 2)])
        self.change(row(3, kind=Kind.EDIT, ref=1), mentions={1: ["cid", "dan"]})
        self.assertEqual(self.mentions(), [("cid", 1), ("dan", 1), ("bob", 2)])
        self.change(row(4, kind=Kind.EDIT, ref=1), mentions={1: []})
        self.assertEqual(self.mentions(), [("bob", 2)])

    def test_mentions_erased(self) -> None:
        """With a message its mentions go, and what is erased or not there gets none."""
        self.change(row(1), row(2), mentions={1: ["bob"], 2: ["bob"]})
        self.change(row(3), row(4), erased=[1, 3], mentions={3: ["cid"], 99: ["dan"]})
        self.assertEqual(self.mentions(), [("bob", 2)])
        self.change(row(5, kind=Kind.EDIT, ref=1), mentions={1: ["cid"]})
        self.assertEqual(self.mentions(), [("bob", 2)])

    def test_words_erased(self) -> None:
        """The words of what is erased are taken out as they went in, with those of its edits."""
        bodies = [payload("m", text).decode() for text in ("apple", "pear", "plum")]
        self.add(row(1, bodies[0], kind=Kind.MESSAGE), row(2, bodies[1], kind=Kind.MESSAGE))
        self.add(row(3, bodies[2].replace("message", "edit"), kind=Kind.EDIT, ref=1))
        words.take_in(self.connection, 1, 100)
        self.change(row(4, kind=Kind.DELETE, ref=1), erased=[1, 3])
        found = "select group_concat(rowid) from words where words match ?"
        for text, rows in (("apple", None), ("plum", None), ("pear", b"%d" % key(1, 2))):
            self.assertEqual(self.connection.execute(found, (text,)).fetchone(), (rows,), text)

    def test_one_statement(self) -> None:
        """What changes nothing is one statement, that commits by itself; else there are few."""
        seen: list[str] = []
        self.add(row(1))
        self.connection.set_trace_callback(seen.append)
        store.add(self.connection, [], [row(2), row(3, kind=Kind.MESSAGE)])
        store.add(self.connection, [], [row(4), row(5, kind=Kind.REACTION, ref=1)])
        self.assertEqual(len({each.split()[0] for each in seen}), 1)
        self.assertEqual(len([each for each in seen if "into message" in each]), 2)
        seen.clear()
        self.change(row(6), erased=range(1, 6), mentions={6: ["bob"]})
        self.connection.set_trace_callback(None)
        self.assertLess(len(seen), 12, seen)
        for statement in (store._ERASE, store._FORGET, store._MENTION):
            plan = self.connection.execute(f"explain query plan {statement}", ("[]",)).fetchall()
            steps = [step[-1].decode() for step in plan]
            self.assertFalse(any(re.match("SCAN (message|mention|m)$", step) for step in steps))

    def test_page(self) -> None:
        """A page is bounded by offsets, rows and bytes, from either end; one row fits always."""
        self.add(*(row(n) for n in range(1, 10)))
        size = row(1)[3]
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

    def test_other_rooms(self) -> None:
        """A page ends at its room, whatever is asked."""
        self.add(*(row(n) for n in (1, 2, 3)), name="ann")
        self.add(*(row(n, room=2) for n in (1, 2, 3)), name="bob")
        found = store.page(self.connection, 2, "bob", -5, 9, 99, 1 << 20, False)
        self.assertEqual([each.offset for each in found], [1, 2, 3])
        self.assertEqual(store.read_room(self.connection, "ann", 0).head, 3)

    def test_trimmed_unseen(self) -> None:
        """What is trimmed and still there is not shown: not in a page, a tail or a position."""
        self.add(*(row(n) for n in range(1, 6)))
        self.connection.execute("update room set floor = 3, floor_opening = 1, time = 7, top = 5")
        self.assertEqual((self.page(0, 9), self.back(0, 9)), ([4, 5], [4, 5]))
        self.assertEqual((self.page(0, 9, limit=1), self.back(0, 3)), ([4], []))
        room = store.read_room(self.connection, "ann", 0)
        self.assertEqual([each.offset for each in room.tail], [4, 5])
        self.assertEqual((room.head, room.time_ms), (5, 7))
        found = [store.opening_of(self.connection, 1, offset) for offset in (2, 3, 4)]
        self.assertEqual(found, [0, 0, 1])

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
            self.connection.execute(f"update message set {change} where key & 255 = 2")
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

    def test_summaries(self) -> None:
        """Rooms are told with head and time, the latest first; a name may hold anything."""
        self.assertEqual(store.summaries(self.connection), [])
        self.add(row(1, time=5), row(2, time=6))
        self.add(row(1, room=2, time=9), name="b o b")
        self.add(row(1, room=3, time=7), row(2, room=3, time=8), name="cid")
        self.add(row(1, room=4, time=7), name="trimmed")
        self.connection.execute("insert into room (n, name) values (5, 'empty')")
        self.connection.execute("update room set floor = 1 where n in (3, 4)")
        self.assertEqual(
            store.summaries(self.connection),
            [RoomSummary("b o b", 1, 9), RoomSummary("cid", 2, 8), RoomSummary("ann", 2, 6)],
        )

    def test_summaries_named(self) -> None:
        """Rooms that are not everybody's are told only to who names them; so are others, then."""
        for n, name in enumerate(("ann", "@a:b", "!audit", "bob", "trimmed"), 1):
            self.add(row(1, room=n, time=n), name=name)
        self.connection.execute("update room set floor = 1 where name = 'trimmed'")

        def found(*names: str) -> list[str]:
            return [each.name for each in store.summaries(self.connection, names)]

        everybodys = [each.name for each in store.summaries(self.connection)]
        self.assertEqual(everybodys, ["bob", "ann"])
        self.assertEqual(found("!audit", "@a:b", "ann", "ann"), ["!audit", "@a:b", "ann"])
        self.assertEqual(found("nowhere", "trimmed"), [])
        self.assertEqual(found(), [])
        self.assertEqual(found(*(f"r{n}" for n in range(MOST_NAMES)), "ann"), [])

    def test_summaries_bounded(self) -> None:
        """So many rooms are told at most, and rooms are found by their names."""
        count = MOST_ROOMS + 100
        self.connection.execute(
            "with recursive every(n) as (select 1 union all select n + 1 from every"
            f" where n < {count}) insert into room (n, name, top, time)"
            " select n, 'r' || n, 1, n from every"
        )
        found = store.summaries(self.connection)
        self.assertEqual((len(found), found[-1].name), (MOST_ROOMS, "r101"))
        question = store._SUMMARIES.format(rooms=store._NAMED)
        plan = self.connection.execute(f"explain query plan {question}", ('["a"]',)).fetchall()
        steps = [step[-1].decode() for step in plan]
        self.assertTrue(any("SEARCH r USING INDEX" in step for step in steps), steps)
