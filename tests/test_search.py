"""Messages are found by their words, and whatever somebody types is words and nothing else."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatd.brokers import connections, words
from chatd.brokers.connections import Connections
from chatd.brokers.database import MEMORY, connect, create
from chatd.brokers.faults import DamagedError
from chatd.brokers.search import MOST_RANKED, MOST_WAITING, Searches, match, search
from chatd.core.archive import MOST_FOUND, Query
from chatd.core.broker import ERASED
from chatd.core.events import Kind, Message, Sender
from chatd.errors import BAD_REQUEST, UNAVAILABLE, ChatError, Refusal
from tests.support.brokers import ClockWorker, settle

SENDERS = {user: Sender(user, "session", user) for user in ("ann", "bob")}


class Log:
    """Rooms with messages at times of their own.

    Args:
        path: of the database.
    """

    def __init__(self) -> None:
        self.connection = connect(MEMORY, write=True)
        create(self.connection)
        for n in (1, 2, 3):
            self.connection.execute("insert into room (n, name) values (?, ?)", (n, f"r{n}"))
        self.heads = {1: 0, 2: 0, 3: 0}

    def say(
        self, text: str, *, n: int = 1, user: str = "ann", ref: int = 0, time_ms: int = 0
    ) -> int:
        """Store a message or an edit; returns its offset."""
        self.heads[n] += 1
        offset = self.heads[n]
        kind = Kind.EDIT if ref else Kind.MESSAGE
        self.connection.execute(
            "insert into message values (?, 1, ?, 1, ?, ?, ?, ?, ?, ?)",
            (
                n << 40 | offset,
                time_ms or offset * 10,
                kind,
                n << 40 | ref if ref else None,
                user,
                str(offset),
                SENDERS[user].encoded.decode(),
                json.dumps({"type": kind.name.lower(), "text": text}),
            ),
        )
        return offset

    def index(self) -> None:
        """Take all in."""
        for n in self.heads:
            while words.take_in(self.connection, n, 1000):
                pass

    def search(self, text: str, room: str = "r1", **asked: object) -> Sequence[Message]:
        """Search in a room."""
        return search(
            self.connection,
            Query(room, text)._replace(**asked),  # type: ignore[arg-type]
            seconds=time.monotonic,
            limit_s=30,
        )

    def found(self, text: str, room: str = "r1", **asked: object) -> list[int]:
        """The offsets of what is found."""
        return [message.offset for message in self.search(text, room, **asked)]


class SearchTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.log = Log()
        self.addCleanup(self.log.connection.close)

    def test_words(self) -> None:
        """All words must be there, in any order and case, the last one maybe not to its end."""
        for text in ("The quick brown fox", "the lazy dog", "a brownie, quick", "Füchse"):
            self.log.say(text)
        self.log.index()
        for asked, found in {
            "THE": [2, 1],
            "brown quick": [1],
            "quick brown": [3, 1],
            "quick brow": [3, 1],
            "bro quick": [],
            "quick, (brown)": [3, 1],
            "quick b": [],
            "fuchs": [4],
            "füchse": [4],
            "unknown": [],
        }.items():
            self.assertEqual(self.log.found(asked), found, asked)

    def test_phrases(self) -> None:
        """Words in quotes follow each other; in quotes that are not closed the last may go on."""
        for text in ("quick brown fox", "brown quick fox", "quick brownish fox"):
            self.log.say(text)
        self.log.index()
        for asked, found in {
            '"quick brown"': [1],
            'fox "quick brown"': [1],
            '"quick brown" fo': [1],
            '"quick brown': [3, 1],
            '"quick  brown" ': [1],
            '"" fox': [3, 2, 1],
            '"fox"""': [3, 2, 1],
            '"quick brown" "': [1],
        }.items():
            self.assertEqual(self.log.found(asked), found, asked)

    def test_no_word(self) -> None:
        """Where there is no word it is a bad request."""
        for text in ("", " ", '""', '"', "*", "- ( ) :", "🙂", "\0", '" * "'):
            with self.assertRaises(ChatError, msg=text) as raised:
                self.log.search(text)
            self.assertEqual(raised.exception.refusal, BAD_REQUEST)
        for text in ("語", "1", "a", "\ue000", "é"):
            self.assertEqual(self.log.found(text), [], text)

    @given(st.text(max_size=200))
    def test_any_text(self, text: str) -> None:
        """No text is a question of another kind, or an error of SQLite's."""
        log = Log()
        try:
            log.search(text)
        except ChatError as error:
            self.assertEqual(error.refusal, BAD_REQUEST)
        finally:
            log.connection.close()

    @given(
        st.lists(st.sampled_from(['"', "*", "one", " ", "AND", "NOT", "^", "NEAR(", "text:", "+"]))
    )
    def test_syntax(self, parts: list[str]) -> None:
        """Words of FTS5's own language are words."""
        log = Log()
        try:
            log.say("AND not near text one")
            log.index()
            text = "".join(parts)
            if match(text) and not text.count('"'):
                log.search(text)
            self.assertEqual(log.found("one AND NOT text:"), [1])
        finally:
            log.connection.close()

    def test_long(self) -> None:
        """As many words as fit into a search may be asked for."""
        self.log.say(" ".join("abcdefghij" * 10))
        self.log.index()
        self.assertEqual(self.log.found(" ".join("abcdefghij" * 10)), [1])

    def test_where(self) -> None:
        """Only what is in the room, above its floor and not erased is found."""
        for n in (1, 2, 3):
            for _ in range(5):
                self.log.say("one", n=n)
        self.log.index()
        self.log.connection.execute("update room set floor = 2 where n = 2")
        self.log.connection.execute(
            "update message set body = ? where key = ?", (ERASED.decode(), 2 << 40 | 4)
        )
        self.assertEqual(self.log.found("one", "r2"), [5, 3])
        self.assertEqual(self.log.found("one", "r4"), [])
        self.assertEqual(self.log.found("one", "r1", before=3), [2, 1])
        self.assertEqual(self.log.found("one", "r2", before=1), [])

    def test_user(self) -> None:
        """By one user alone, if asked."""
        for number in range(6):
            self.log.say("one", user=("ann", "bob")[number % 2])
        self.log.index()
        self.assertEqual(self.log.found("one", user="bob"), [6, 4, 2])
        self.assertEqual(self.log.found("one", user="bob", limit=1, skip=1), [4])
        self.assertEqual(self.log.found("one", user="b"), [])

    @given(
        st.lists(st.integers(1, 9), max_size=12),
        st.integers(0, 10),
        st.integers(0, 10),
        st.integers(0, 5),
    )
    def test_times(self, steps: list[int], since: int, until: int, hole: int) -> None:
        """From a time on, and before a time, whatever was trimmed."""
        log = Log()
        try:
            times = sorted(steps)
            for each in times:
                log.say("one", time_ms=each)
            log.say("one", n=2, time_ms=1)
            log.index()
            log.connection.execute("delete from message where key = ?", (1 << 40 | hole,))
            expected = [
                offset
                for offset, each in enumerate(times, 1)
                if each >= since and (not until or each < until) and offset != hole
            ]
            found = log.found("one", since_ms=since, until_ms=until)
            self.assertEqual(found, expected[::-1])
        finally:
            log.connection.close()

    def test_pages(self) -> None:
        """Newest first, a page at a time, by what was before or by how many."""
        for _ in range(60):
            self.log.say("one")
        self.log.index()
        self.assertEqual(self.log.found("one"), list(range(60, 60 - MOST_FOUND, -1)))
        self.assertEqual(self.log.found("one", limit=99), list(range(60, 60 - MOST_FOUND, -1)))
        self.assertEqual(self.log.found("one", limit=2), [60, 59])
        self.assertEqual(self.log.found("one", limit=2, before=59), [58, 57])
        self.assertEqual(self.log.found("one", limit=2, skip=57), [3, 2])
        self.assertEqual(self.log.found("one", limit=2, skip=60), [])

    def test_rank(self) -> None:
        """Best first: often and in few words; the newer of two equal ones."""
        for text in ("one two three four", "one one", "five", "one", "one"):
            self.log.say(text)
        self.log.index()
        self.assertEqual(self.log.found("one", by_rank=True), [2, 5, 4, 1])
        self.assertEqual(self.log.found("one", by_rank=True, skip=1, limit=2), [5, 4])
        self.assertEqual(self.log.found("one", by_rank=True, before=4, user="ann"), [2, 1])

    def test_ranked(self) -> None:
        """Only the newest of those that match are ranked."""
        self.log.connection.execute("begin")
        self.log.say("one")
        for _ in range(MOST_RANKED):
            self.log.say("one two three")
        self.log.connection.execute("commit")
        self.log.index()
        self.assertEqual(self.log.found("one", by_rank=True, limit=1), [MOST_RANKED + 1])

    def test_edited(self) -> None:
        """What is found is as it is after its last edit, at its own place, by who said it."""
        offset = self.log.say("first", user="bob")
        self.log.say("second", ref=offset, user="bob")
        self.log.index()
        self.assertEqual(self.log.found("first"), [])
        self.assertEqual(
            self.log.search("second"),
            [Message("r1", SENDERS["bob"], b'{"type": "edit", "text": "second"}', 1, 10)],
        )

    def test_damaged(self) -> None:
        """A message that is not what was stored is none."""
        self.log.say("one")
        self.log.index()
        for column in ("body", "sender"):
            self.log.connection.execute(f"update message set {column} = '[1'")
            with self.assertRaises(DamagedError):
                self.log.search("one")
        self.log.connection.execute("drop table message")
        with self.assertRaisesRegex(Exception, "no such table"):
            self.log.search("one")
        self.assertFalse(self.log.connection.in_transaction)

    def test_time_limit(self) -> None:
        """What takes too long is broken off, and nothing is left of it."""
        self.log.connection.execute("begin")
        for _ in range(3000):
            self.log.say("one")
        self.log.connection.execute("commit")
        self.log.index()
        clock = iter(range(1000))
        with self.assertRaises(ChatError) as raised:
            search(
                self.log.connection,
                Query("r1", "one", user="nobody"),
                seconds=lambda: next(clock),
                limit_s=0.5,
            )
        self.assertEqual(raised.exception.refusal, UNAVAILABLE)
        self.assertFalse(self.log.connection.in_transaction)
        self.assertEqual(self.log.found("one", limit=1), [3000])
        self.assertLess(next(clock), 5)


class SearchesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        worker = ClockWorker(self.clock)
        self.worker = worker
        self.connections = Connections(
            MEMORY, reader=worker, writer=worker, now_ms=lambda: 0, free_bytes=0
        )
        self.connections.start(lambda error: None)
        settle(self.clock)
        self.searches = Searches(
            self.connections,
            later=lambda call: self.clock.callLater(0, call),
            seconds=self.clock.seconds,
        )
        self.addCleanup(settle, self.clock)
        self.addCleanup(self.connections.stop, lambda: None)
        self.told: list[Sequence[Message] | Refusal] = []

    def search(self, text: str = "one") -> None:
        self.searches.search(Query("r1", text), self.told.append)

    def test_told(self) -> None:
        """Who asks is told later what was found, or why nothing is."""
        self.search()
        self.assertEqual(self.told, [])
        settle(self.clock)
        self.search("-")
        settle(self.clock)
        self.assertEqual(self.told, [(), BAD_REQUEST])

    def test_most(self) -> None:
        """Few may wait at once, whatever becomes of them."""
        for _ in range(3):
            self.told.clear()
            self.worker.is_held = True
            for _ in range(MOST_WAITING + 1):
                self.search()
            self.assertEqual(self.told, [])
            settle(self.clock)
            self.assertEqual(self.told, [UNAVAILABLE])
            self.worker.release()
            settle(self.clock)
            self.assertEqual(self.told[1:], [()] * MOST_WAITING)
            self.worker.failures += [ChatError(UNAVAILABLE)]
            self.search()
            settle(self.clock)
            self.assertEqual(self.told[-1], UNAVAILABLE)

    def test_turns(self) -> None:
        """The reader has one of them at a time: who reads a page waits for no more than that."""
        self.worker.is_held = True
        pages: list[object] = []
        for _ in range(3):
            self.search()
        self.connections.read(lambda connection: "page", lambda told: pages.append(len(self.told)))
        self.worker.release()
        settle(self.clock)
        self.assertEqual((pages, self.told), ([1], [()] * 3))

    def test_too_many_reads(self) -> None:
        """When too much else is to be read it is refused, and so is who waits behind it."""
        self.patch(connections, "MOST_READS", 0)
        self.search()
        self.search()
        self.assertEqual(self.told, [])
        settle(self.clock)
        self.assertEqual(self.told, [UNAVAILABLE] * 2)
