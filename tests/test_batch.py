"""One commit."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from twisted.trial.unittest import SynchronousTestCase

from chatd.brokers.batch import Batch
from chatd.brokers.stream import Entry, Said, Stream
from chatd.core.broker import Ack, Position
from chatd.core.events import Message, Relay, Sender
from chatd.errors import FULL, Refusal

SENDER = Sender("user", "session", "nick")
RELAY = Relay("ann", SENDER, b"x", True)


class BatchTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.ann, self.bob = (
            Stream(name, lambda opened: None, epoch="epoch") for name in ("ann", "bob")
        )
        self.numbers = count(5)
        self.told: list[tuple[str, Ack | Refusal]] = []

    def said(self, stream: Stream, message_id: str, asked: int = 1, erases: int = 0) -> Entry:
        def done(outcome: Ack | Refusal) -> None:
            self.told.append((message_id, outcome))

        said = Said((SENDER.user, message_id), SENDER, message_id, b"1", erases)
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
                self.said(*each)
                for each in (
                    (self.ann, "a"),
                    (self.bob, "b"),
                    (self.ann, "c"),
                    (self.bob, "d", 1, 3),
                )
            ]
        )
        self.assertEqual(batch.rooms, [(5, "ann")])
        rows = list(batch.rows())
        self.assertEqual([row[:2] for row in rows], [(5, 1), (2, 8), (5, 2), (2, 9)])
        self.assertEqual([row[7] for row in rows], [None, None, None, 3])
        sender = SENDER.encoded.decode()
        self.assertEqual(rows[0], (5, 1, 3, 100, 9, "user", "a", None, sender, "1"))
        self.assertFalse(batch.is_passing)

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
        self.assertEqual([row[:2] for row in again.rows()], [(5, 1)])

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
        self.assertEqual([row[3] for row in batch.rows()], [100, 60])
