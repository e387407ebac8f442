"""The index of words is made anew from the messages."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from chatd.brokers import reindex, words
from chatd.brokers.database import connect, create
from tests.test_words import Rooms


class ReindexTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.connection = connect(":memory:", write=True)
        self.addCleanup(self.connection.close)
        create(self.connection)
        self.rooms = Rooms(self.connection, 2)
        self.told: list[tuple[int, int]] = []

    def tell(self, done: int, total: int) -> None:
        self.told.append((done, total))

    def test_anew(self) -> None:
        """Whatever was in it, it has all messages afterwards, as they are."""
        keys = [self.rooms.say("one", n) for n in (1, 2, 1)]
        self.rooms.edit(keys[0], "two")
        words.take_in(self.connection, 1, 100)
        self.connection.execute("delete from words_data where id > 10")
        reindex.reindex(self.connection, self.tell)
        self.assertEqual(self.rooms.found("one"), [keys[2], keys[1]])
        self.assertEqual(self.rooms.found("two"), [keys[0]])
        self.rooms.sound()
        self.assertEqual(self.told, [(0, 4), (4, 4)])

    def test_progress(self) -> None:
        """It tells how far it is, of the events that are not trimmed."""
        for _ in range(7):
            self.rooms.say("one")
        self.rooms.trim(1, 2)
        self.connection.execute("update room set floor = 2 where n = 1")
        self.patch(reindex, "MOST_EVENTS", 2)
        self.patch(reindex, "TOLD_EACH", 1)
        reindex.reindex(self.connection, self.tell)
        self.assertEqual(self.told, [(0, 5), (2, 5), (4, 5), (5, 5), (5, 5)])

    def test_broken_off(self) -> None:
        """It can be broken off and begun again; what is left is left to whoever takes in."""
        keys = [self.rooms.say("one") for _ in range(6)]
        self.patch(reindex, "MOST_EVENTS", 2)
        self.patch(reindex, "TOLD_EACH", 1)

        def tell(done: int, total: int) -> None:
            if done == 4:
                raise KeyboardInterrupt

        with self.assertRaises(KeyboardInterrupt):
            reindex.reindex(self.connection, tell)
        self.rooms.sound()
        self.assertEqual(reindex.progress(self.connection), (4, 6))
        self.assertFalse(words.take_in(self.connection, 1, 100))
        self.assertEqual(self.rooms.found("one"), keys)
        reindex.reindex(self.connection, self.tell)
        self.assertEqual(self.rooms.found("one"), keys)
        self.rooms.sound()
