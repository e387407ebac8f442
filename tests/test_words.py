"""The index of words holds what messages say now, whatever comes in between."""

from __future__ import annotations

import json
import sqlite3

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatd.brokers import renewal, words
from chatd.brokers.database import connect, create
from chatd.brokers.words import MOST_TEXT, Behind
from chatd.core.broker import ERASED
from chatd.core.events import Kind

TEXTS = st.sampled_from(["red", "Red blue", "blue\0green", "", "grün", "red red red", "\ud7ff 1"])


class Rooms:
    """Rooms in a database, changed as the broker changes them.

    Args:
        connection: to a new database.
        rooms: how many, from 1.
    """

    def __init__(self, connection: sqlite3.Connection, rooms: int = 1) -> None:
        self.connection = connection
        self.heads = dict.fromkeys(range(1, rooms + 1), 0)
        for n in self.heads:
            connection.execute("insert into room (n, name) values (?, ?)", (n, f"r{n}"))

    def add(self, kind: Kind, body: object, *, n: int = 1, ref: int = 0, size: int = 10) -> int:
        """Store an event; returns its key."""
        self.heads[n] += 1
        key = n << 40 | self.heads[n]
        self.connection.execute(
            "insert into message values (?, 1, 0, ?, ?, ?, 'u', ?, '[]', ?)",
            (key, size, kind, ref or None, str(key), json.dumps(body)),
        )
        return key

    def say(self, text: object, n: int = 1, *, size: int = 10) -> int:
        """Store a message; returns its key."""
        return self.add(Kind.MESSAGE, {"type": "message", "text": text}, n=n, size=size)

    def edit(self, ref: int, text: str) -> int:
        """Store an edit; returns its key."""
        return self.add(Kind.EDIT, {"type": "edit", "text": text}, n=ref >> 40, ref=ref)

    def erase(self, *keys: int) -> None:
        """Erase messages and their edits."""
        self.connection.execute("begin immediate")
        words.forget(self.connection, keys)
        for key in keys:
            self.connection.execute(
                "update message set body = ? where key = ?", (ERASED.decode(), key)
            )
        self.connection.execute("commit")

    def trim(self, n: int, upto: int) -> None:
        """Delete the first messages of a room."""
        self.connection.execute("begin immediate")
        words.forget_upto(self.connection, n, upto)
        self.connection.execute(
            "delete from message where key > ? and key <= ?", (n << 40, n << 40 | upto)
        )
        self.connection.execute("update room set top = ? where n = ?", (self.heads[n], n))
        self.connection.execute("commit")

    def found(self, word: str) -> list[int]:
        """The keys of the documents in which a word is."""
        return [
            key
            for (key,) in self.connection.execute(
                "select rowid from words where words match ? order by rowid", (f'"{word}"',)
            )
        ]

    def keeps(self, end: str) -> bool:
        """Whether the file of the index has the end of a word, which is kept in one piece.

        The vocabulary that FTS5 shows leaves out what was taken out and is still there.
        """
        blocks = self.connection.execute("select block from words_data")
        return any(end.encode() in block for (block,) in blocks)

    def sound(self) -> None:
        """Have SQLite look through the index, and chatd too."""
        self.connection.execute("insert into words (words) values ('integrity-check')")
        assert words.check(self.connection) == []


def opened() -> sqlite3.Connection:
    """Make a database."""
    connection = connect(":memory:", write=True)
    create(connection)
    return connection


class WordsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.connection = opened()
        self.addCleanup(self.connection.close)
        self.rooms = Rooms(self.connection, 2)

    def indexed(self, n: int = 1) -> int:
        ((indexed,),) = self.connection.execute("select indexed from room where n = ?", (n,))
        return int(indexed)

    def test_taken_in(self) -> None:
        """Messages are found once they are taken in, and nothing else is."""
        key = self.rooms.say("Crème brûlée")
        self.rooms.add(Kind.OTHER, {"type": "message", "text": "creme"})
        self.rooms.add(Kind.TOPIC, {"type": "topic", "text": "creme"})
        self.assertEqual(self.rooms.found("creme"), [])
        self.assertFalse(words.take_in(self.connection, 1, 100))
        self.assertEqual((self.rooms.found("creme"), self.rooms.found("BRULEE")), ([key], [key]))
        self.assertEqual(self.indexed(), 3)
        self.rooms.sound()

    def test_strange(self) -> None:
        """A text that is none is no word; one with U+0000 is known to its end."""
        for text in (None, 7, ["deep"]):
            self.rooms.say(text)
        self.rooms.add(Kind.MESSAGE, "no object")
        key = self.rooms.say("before\0after")
        words.take_in(self.connection, 1, 100)
        self.assertEqual((self.rooms.found("deep"), self.rooms.found("after")), ([], [key]))
        self.rooms.erase(*(1 << 40 | offset for offset in range(1, 6)))
        self.assertEqual(self.rooms.found("after"), [])
        self.rooms.sound()

    def test_steps(self) -> None:
        """A step takes in so many events, or so many bytes, and at least one event."""
        for _ in range(5):
            self.rooms.say("one")
        self.assertTrue(words.take_in(self.connection, 1, 2))
        self.assertEqual(self.indexed(), 2)
        self.assertTrue(words.take_in(self.connection, 1, 2))
        self.assertFalse(words.take_in(self.connection, 1, 2))
        self.assertFalse(words.take_in(self.connection, 1, 2))
        self.assertEqual(len(self.rooms.found("one")), 5)
        for size in (MOST_TEXT - 10, 10, 1, MOST_TEXT * 2):
            self.rooms.say("two", 2, size=size)
        seen = []
        while words.take_in(self.connection, 2, 100):
            seen.append(self.indexed(2))
        self.assertEqual((seen, self.indexed(2)), ([2, 3], 4))

    def test_each(self) -> None:
        """One step takes in several rooms, and says which have more; unknown ones have nothing."""
        for n in (1, 2):
            for _ in range(3):
                self.rooms.say("one", n)
        self.assertEqual(words.take_in_each(self.connection, (1, 9, 2), 4), (2,))
        self.assertEqual((self.indexed(1), self.indexed(2)), (3, 1))
        self.assertEqual(words.take_in_each(self.connection, (2, 1), 2), (2, 1))
        self.assertEqual(words.take_in_each(self.connection, (2, 1), 2), ())
        self.assertEqual(len(self.rooms.found("one")), 6)
        for n in (1, 2):
            self.rooms.say("two", n, size=MOST_TEXT)
        self.assertEqual(words.take_in_each(self.connection, (1, 2), 100), (1, 2))
        self.assertEqual(words.take_in_each(self.connection, (1, 2), 100), ())
        self.assertEqual(len(self.rooms.found("two")), 2)

    def test_one_segment(self) -> None:
        """A step writes one part of the index, not one for each message or edit."""
        keys = [self.rooms.say(f"word{n}") for n in range(50)]
        words.take_in(self.connection, 1, 100)
        for key in reversed(keys):
            self.rooms.edit(key, "changed")
        count = "select count(distinct segid) from words_idx"
        before = self.connection.execute(count).fetchone()[0]
        words.take_in(self.connection, 1, 100)
        self.assertEqual(self.connection.execute(count).fetchone()[0], before + 1)
        self.assertEqual(self.rooms.found("changed"), keys)

    def test_edited(self) -> None:
        """A message is found by the words of its last edit alone, whenever that was taken in."""
        for step in (1, 2, 100):
            with self.subTest(step=step):
                key = self.rooms.say("first")
                self.rooms.edit(key, "second")
                self.rooms.edit(key, "third")
                while words.take_in(self.connection, 1, step):
                    pass
                self.assertEqual(
                    [self.rooms.found(each) for each in ("first", "second", "third")],
                    [[], [], [key]],
                )
                self.rooms.erase(key, key + 1, key + 2)
                self.assertEqual(self.rooms.found("third"), [])
                self.rooms.sound()

    def test_forget(self) -> None:
        """What is not in the index is not taken out of it: edits, others, what comes later."""
        key = self.rooms.say("one")
        edit = self.rooms.edit(key, "two")
        words.take_in(self.connection, 1, 1)
        late = self.rooms.say("one")
        self.rooms.erase(key, edit, late, 1 << 40 | 99, 7 << 40 | 1)
        self.rooms.erase(key, key)
        self.assertEqual((self.rooms.found("one"), self.rooms.found("two")), ([], []))
        words.take_in(self.connection, 1, 100)
        self.assertEqual((self.rooms.found("one"), self.rooms.found("two")), ([], []))
        self.rooms.sound()

    def test_forget_upto(self) -> None:
        """The first messages of one room go, no others, also when an edit of one stays."""
        first, second = self.rooms.say("one"), self.rooms.say("one")
        other = self.rooms.say("one", 2)
        self.rooms.edit(first, "two")
        for n in (1, 2):
            words.take_in(self.connection, n, 100)
        self.rooms.trim(1, 1)
        self.assertEqual((self.rooms.found("one"), self.rooms.found("two")), ([second, other], []))
        self.rooms.trim(1, 9)
        self.assertEqual(self.rooms.found("one"), [other])
        self.rooms.edit(first, "late")
        self.assertFalse(words.take_in(self.connection, 1, 100))
        self.assertEqual(self.rooms.found("late"), [])
        self.rooms.sound()

    def test_behind(self) -> None:
        """Rooms are looked through 256 at a time for what is not taken in."""
        for n in range(3, 301):
            self.connection.execute("insert into room (n, name) values (?, ?)", (n, f"r{n}"))
            self.rooms.heads[n] = 0
        for n in (1, 2, 300):
            self.rooms.say("one", n)
        words.take_in(self.connection, 1, 100)
        self.assertEqual(words.behind(self.connection, 0), Behind([2], 256))
        self.assertEqual(words.behind(self.connection, 256), Behind([300], 300))
        self.assertEqual(words.behind(self.connection, 300), Behind([], 0))

    def test_merge(self) -> None:
        """Words nobody says any more leave the index by merging, while others come in."""
        keys = []
        for n in range(40):
            keys.append(self.rooms.say(f"rare{(n + 1) ** 9:016x} common"))
            words.take_in(self.connection, 1, 100)
        gone = [f"{(n + 1) ** 9:016x}"[-8:] for n in (4, 30)]
        self.rooms.erase(keys[4], keys[30])
        self.assertEqual([self.rooms.keeps(each) for each in gone], [True, True])
        more, steps = words.merge(self.connection, begin=True, pages=1), 1
        while more:
            if steps < 20:
                self.rooms.say("younger")
                words.take_in(self.connection, 1, 100)
            more, steps = words.merge(self.connection, begin=False, pages=1), steps + 1
        self.assertGreater(steps, 3)
        self.assertEqual([self.rooms.keeps(each) for each in gone], [False, False])
        self.assertEqual(len(self.rooms.found("common")), 38)
        self.assertFalse(words.merge(self.connection, begin=True))
        self.rooms.sound()

    def test_merge_of_much(self) -> None:
        """A large old part goes too, though many small ones come while it is merged."""
        for n in range(3000):
            self.rooms.say(f"rare{n} common words")
        self.rooms.say("rarissime")
        while words.take_in(self.connection, 1, 300):
            pass
        self.rooms.erase(1 << 40 | 3001)
        self.assertTrue(self.rooms.keeps("issime"))
        more, steps = words.merge(self.connection, begin=True, pages=4), 1
        while more:
            if steps < 12:
                self.rooms.say("younger")
                words.take_in(self.connection, 1, 100)
            more, steps = words.merge(self.connection, begin=False, pages=4), steps + 1
        self.assertGreater(steps, 5)
        self.assertFalse(self.rooms.keeps("issime"))

    def test_check(self) -> None:
        """A check says what the index has and should not have, or the other way round."""
        for _ in range(3):
            self.rooms.say("one")
        words.take_in(self.connection, 1, 2)
        self.assertEqual(words.check(self.connection), [])
        self.connection.execute("update room set indexed = 3 where n = 1")
        (problem,) = words.check(self.connection)
        self.assertIn("lacks 1 messages", problem)
        self.connection.execute("update room set indexed = 1 where n = 1")
        (problem,) = words.check(self.connection)
        self.assertIn("has not forgotten 1 messages", problem)
        self.connection.execute("update room set indexed = 4, name = 'é' where n = 1")
        self.assertIn(
            "room 'é': words up to 4 are known, of 3 messages", words.check(self.connection)
        )
        self.connection.execute("update words_data set block = x'00' where id > 100")
        self.assertIn("damaged", words.check(self.connection)[-1])
        self.assertEqual(self.connection.execute("pragma query_only").fetchone(), (0,))

    def test_damaged(self) -> None:
        """What cannot be merged goes, with all of the index; the next steps fill it again."""
        for _ in range(3):
            self.rooms.say("one two")
            words.take_in(self.connection, 1, 100)
        self.connection.execute(
            "update words_data set block = zeroblob(length(block)) where id > 10"
        )
        while words.merge(self.connection, begin=True):
            """Some more."""
        self.assertTrue(renewal.was_emptied(self.connection))
        self.assertFalse(words.take_in(self.connection, 1, 100))
        self.assertEqual(words.check(self.connection), [])
        self.assertEqual(len(self.rooms.found("two")), 3)

    def test_unflushed(self) -> None:
        """A step that fails leaves nothing of itself, and commits as safe as they were."""
        self.connection.execute("pragma synchronous = 2")
        self.rooms.say("one")
        self.connection.execute("drop table words")
        with self.assertRaises(sqlite3.DatabaseError):
            words.take_in(self.connection, 1, 100)
        self.assertFalse(self.connection.in_transaction)
        self.assertEqual(self.indexed(), 0)
        self.assertEqual(self.connection.execute("pragma synchronous").fetchone(), (2,))


STEPS = st.one_of(
    st.tuples(st.just("say"), st.integers(1, 2), TEXTS),
    st.tuples(st.just("edit"), st.integers(0, 30), TEXTS),
    st.tuples(st.just("erase"), st.integers(0, 30), st.just("")),
    st.tuples(st.just("trim"), st.integers(1, 2), st.integers(0, 6)),
    st.tuples(st.just("index"), st.integers(1, 2), st.integers(1, 5)),
    st.tuples(st.just("merge"), st.just(0), st.just(0)),
)


class ModelTests(SynchronousTestCase):
    @settings(suppress_health_check=[HealthCheck.differing_executors], deadline=None)
    @given(st.lists(STEPS, max_size=40))
    def test_model(self, steps: list[tuple[str, int, str | int]]) -> None:
        """Whatever happens in whatever order, the index has the texts of what it has taken in."""
        connection = opened()
        try:
            self.run_steps(Rooms(connection, 2), steps)
        finally:
            connection.close()

    def run_steps(self, rooms: Rooms, steps: list[tuple[str, int, str | int]]) -> None:
        events: dict[int, tuple[int, str]] = {}  # not erased: what is edited or 0, text
        indexed = {1: 0, 2: 0}
        for what, number, more in steps:
            messages = [key for key, (ref, _) in events.items() if not ref]
            if what == "say":
                events[rooms.say(more, number)] = 0, str(more)
            elif what == "edit" and messages:
                ref = messages[number % len(messages)]
                events[rooms.edit(ref, str(more))] = ref, str(more)
            elif what == "erase" and messages:
                ref = messages[number % len(messages)]
                gone = [key for key, (of, _) in events.items() if ref in (key, of)]
                rooms.erase(*gone)
                for key in gone:
                    del events[key]
            elif what == "trim":
                upto = min(int(more), rooms.heads[number])
                rooms.trim(number, upto)
                for key in [k for k in events if number << 40 < k <= (number << 40 | upto)]:
                    del events[key]
            elif what == "index":
                words.take_in(rooms.connection, number, int(more))
                ((indexed[number],),) = rooms.connection.execute(
                    "select indexed from room where n = ?", (number,)
                )
            elif what == "merge":
                begin = True
                while words.merge(rooms.connection, begin=begin, pages=1):
                    begin = False
        known: dict[int, str] = {}
        for key in sorted(events):
            ref, text = events[key]
            if key & (1 << 40) - 1 <= indexed[key >> 40] and (not ref or ref in known):
                known[ref or key] = text
        for word in ("red", "blue", "green", "grun", "1"):
            expected = [
                key for key, text in known.items() if word in text.lower().replace("ü", "u")
            ]
            self.assertEqual(rooms.found(word), expected, word)
        rooms.sound()
