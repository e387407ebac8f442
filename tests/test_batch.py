"""One commit."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from twisted.trial.unittest import SynchronousTestCase

from chatd.brokers.batch import Batch
from chatd.brokers.schema import LAST_OFFSET, LAST_ROOM, key
from chatd.brokers.stream import Entry, Said, Stream
from chatd.core.broker import Ack, Position
from chatd.core.events import MESSAGE, About, Kind, Message, Relay, Sender
from chatd.errors import FULL, UNAVAILABLE, Refusal

SENDER = Sender("user", "session", "nick")
RELAY = Relay("ann", SENDER, b"x", True)


class BatchTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.ann, self.bob = (
            Stream(name, lambda opened: None, epoch="epoch") for name in ("ann", "bob")
        )
        self.numbers = count(5)
        self.told: list[tuple[str, Ack | Refusal]] = []

    def said(
        self, stream: Stream, message_id: str, asked: int = 1, about: About = MESSAGE
    ) -> Entry:
        def done(outcome: Ack | Refusal) -> None:
            self.told.append((message_id, outcome))

        said = Said((SENDER.user, message_id), SENDER, message_id, b"1", about)
        entry = Entry(stream, 9, [done] * asked, said)
        stream.under_way[said.key] = entry
        return entry

    def batch(self, entries: Sequence[Entry], now_ms: int = 100) -> Batch:
        return Batch(
            entries,
            opening=3,
            now_ms=now_ms,
            new_number=lambda: next(self.numbers),
        )

    def settle(self, batch: Batch, refusal: Refusal | None = None) -> None:
        batch.settle(refusal)
        for done, outcome in batch.answers():
            done(outcome)

    def test_numbers(self) -> None:
        """Each room's messages are numbered from its head on, in order; new rooms get numbers."""
        self.bob.n, self.bob.is_stored, self.bob.top = 2, True, 7
        batch = self.batch(
            [
                self.said(self.ann, "a"),
                self.said(self.bob, "b"),
                self.said(self.ann, "c"),
                self.said(self.bob, "d", about=About(Kind.REACTION, 3)),
            ]
        )
        self.assertEqual(batch.rooms, [(5, "ann")])
        rows = list(batch.rows())
        self.assertEqual([row[0] for row in rows], [key(5, 1), key(2, 8), key(5, 2), key(2, 9)])
        self.assertEqual([row[4:6] for row in rows[2:]], [(1, None), (4, key(2, 3))])
        sender = SENDER.encoded.decode()
        self.assertEqual(rows[0], (key(5, 1), 3, 100, 9, 1, None, "user", "a", sender, "1"))
        self.assertFalse(batch.is_passing)
        self.assertEqual((batch.erased, batch.mentions), ([], {}))
        self.assertEqual((batch.grown(), batch.is_changing), ([5, 2], False))

    def test_changes(self) -> None:
        """Erased messages are told by keys; an edit's mentions belong to what it changes."""
        self.ann.n, self.ann.top = 2, 3
        batch = self.batch(
            [
                self.said(self.ann, "a", about=About(Kind.MESSAGE, mentions=("bob", "cid"))),
                self.said(self.ann, "b", about=About(Kind.EDIT, 1, mentions=("dan",))),
                self.said(self.ann, "c", about=About(Kind.EDIT, 4)),
                self.said(self.ann, "d", about=About(Kind.DELETE, 1, (1, 5))),
                self.said(self.ann, "f", about=About(Kind.EDIT, 9, mentions=("dan",))),
                self.said(self.bob, "e", about=About(Kind.DELETE, 1, (1, 0, -1, 9))),
            ]
        )
        self.assertEqual(batch.mentions, {key(2, 4): (), key(2, 1): ("dan",)})
        self.assertEqual(batch.erased, [key(2, 1), key(2, 5)])
        self.assertEqual((batch.grown(), batch.is_changing), ([2, 5], True))
        refs = [row[5] for row in batch.rows()]
        self.assertEqual(refs, [None, key(2, 1), key(2, 4), key(2, 1), None, None])
        self.settle(batch)
        told = [event.erases for event in batch.events() if isinstance(event, Message)]
        self.assertEqual(told, [(), (), (), (1, 5), (), ()])

    def test_changing(self) -> None:
        """To edit and to erase is to change something; to mention somebody is not."""
        for about, is_changing in (
            (About(Kind.MESSAGE, mentions=("ann",)), False),
            (About(Kind.REACTION, 1), False),
            (About(Kind.EDIT, 1), True),
            (About(Kind.DELETE, 1, (1,)), True),
        ):
            stream = Stream("cid", lambda opened: None, n=7, top=3)
            batch = self.batch([self.said(stream, "a", about=about)])
            self.assertIs(batch.is_changing, is_changing, about)

    def test_no_more_offsets(self) -> None:
        """Beyond the greatest offset, or the greatest room, what is said is refused."""
        self.ann.n, self.ann.is_stored, self.ann.top = 2, True, LAST_OFFSET - 1
        self.bob.n = LAST_ROOM + 1
        said = [(self.ann, "a"), (self.ann, "b"), (self.bob, "c")]
        batch = self.batch([self.said(*each) for each in said])
        self.settle(batch)
        last = Ack(Position("epoch", LAST_OFFSET))
        self.assertEqual(self.told, [("a", last), ("b", UNAVAILABLE), ("c", UNAVAILABLE)])
        self.assertEqual((batch.rooms, len(batch.events())), ([], 1))
        self.assertEqual((self.ann.under_way, self.bob.under_way), ({}, {}))

    def test_stored(self) -> None:
        """When it is stored heads move and each is acknowledged, the first of equals first."""
        entry = self.said(self.ann, "a", asked=3)
        self.settle(batch := self.batch([entry]))
        position = Position("epoch", 1)
        again = Ack(position, duplicate=True)
        self.assertEqual(self.told, [("a", Ack(position)), ("a", again), ("a", again)])
        self.assertEqual(batch.events(), [Message("ann", SENDER, b"1", 1, 100)])
        self.assertEqual((self.ann.top, self.ann.under_way), (1, {}))

    def test_refused(self) -> None:
        """When it is refused heads stay, ids are not known, and what passes is told."""
        entries = [self.said(self.ann, "a", asked=2), Entry(self.ann, 1, [self.fail], event=RELAY)]
        self.settle(batch := self.batch(entries), FULL)
        self.assertEqual(self.told, [("a", FULL), ("a", FULL)])
        self.assertEqual(batch.events(), [RELAY])
        self.assertEqual((self.ann.top, self.ann.under_way), (0, {}))
        again = self.batch([self.said(self.ann, "a")])
        self.assertEqual(again.rooms, [(5, "ann")])  # the number it has, for it may be stored
        self.assertEqual([row[0] for row in again.rows()], [key(5, 1)])

    def test_known(self) -> None:
        """What was said before is not stored again, only acknowledged, all as duplicates."""
        self.settle(self.batch([self.said(self.ann, "a")]))
        self.told.clear()
        batch = self.batch([self.said(self.ann, "a", asked=2)])
        self.assertTrue(batch.is_passing)
        self.settle(batch)
        self.assertEqual(self.told, [("a", Ack(Position("epoch", 1), duplicate=True))] * 2)
        self.assertEqual(batch.events(), [])

    def test_passing(self) -> None:
        """What is not stored takes no number, and what is told keeps its order."""
        entries = [
            Entry(self.ann, 1, [self.fail], event=RELAY),
            self.said(self.ann, "a"),
            Entry(self.ann, 1, [self.fail], event=RELAY),
        ]
        self.assertTrue(self.batch(entries[:1]).is_passing)
        batch = self.batch(entries)
        self.settle(batch)
        kinds = [type(event) for event in batch.events()]
        self.assertEqual(kinds, [Relay, Message, Relay])

    def test_time(self) -> None:
        """Time never falls within a room."""
        self.settle(self.batch([self.said(self.ann, "a")], 100))
        self.settle(self.batch([self.said(self.ann, "b")], 50))
        batch = self.batch([self.said(self.ann, "c"), self.said(self.bob, "d")], 60)
        self.assertEqual([row[2] for row in batch.rows()], [100, 60])
