"""What is known of one room."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from chatd.brokers.store import Floor, Room
from chatd.brokers.stream import Stream
from chatd.brokers.window import Window
from chatd.core.broker import Opened
from chatd.core.events import Message, Sender

SENDER = Sender("user", "session", "nick")


def message(offset: int) -> Message:
    """A message of the room."""
    return Message("ann", SENDER, b"1", offset, 100 + offset)


class StreamTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.stream = Stream("ann", lambda opened: None)

    def test_begin(self) -> None:
        """It goes on where the stored room is."""
        window = Window([(("user", "id"), 4, 104)])
        tail = [message(3), message(4)]
        opened = self.stream.begin(Room(7, 4, 104, Floor(2, 1), tail, window), "epoch")
        self.assertEqual(opened, Opened("epoch", 4, tail))
        stream = self.stream
        self.assertEqual((stream.n, stream.is_stored, stream.is_open), (7, True, True))
        self.assertEqual(stream.epoch, "epoch")
        self.assertEqual((stream.top, stream.time_ms, stream.floor), (4, 104, Floor(2, 1)))
        self.assertIs(stream.window, window)

    def test_begin_unknown(self) -> None:
        """A room that was never stored has no number yet."""
        self.stream.begin(Room(0, 0, 0, Floor(), (), Window()), "epoch")
        self.assertEqual((self.stream.n, self.stream.is_stored), (0, False))

    def test_trimmed_meanwhile(self) -> None:
        """A trim that was learnt while the room was read holds, in floor and tail."""
        self.stream.trimmed(Floor(3, 2))
        room = Room(7, 4, 104, Floor(2, 1), [message(3), message(4)], Window())
        self.assertEqual(self.stream.begin(room, "epoch").tail, [message(4)])
        self.assertEqual(self.stream.floor, Floor(3, 2))

    def test_trimmed_in_order(self) -> None:
        """The floor never falls."""
        for floor in (Floor(3, 1), Floor(2, 1), Floor(4, 1)):
            self.stream.trimmed(floor)
        self.assertEqual(self.stream.floor, Floor(4, 1))

    def test_stored(self) -> None:
        """A stored message is the room's last, and its id is known."""
        self.stream.stored(message(1), ("ann", "id"))
        stream = self.stream
        self.assertEqual((stream.top, stream.time_ms, stream.is_stored), (1, 101, True))
        self.assertEqual(stream.window.find(("ann", "id"), 1, 101), 1)
