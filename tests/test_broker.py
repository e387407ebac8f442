"""What brokers give back. How they behave is `support.contracts.BrokerContract`."""

from __future__ import annotations

import dataclasses

from twisted.trial.unittest import SynchronousTestCase

from chatd.core.broker import Ack, Position


class PositionTests(SynchronousTestCase):
    def test_equal(self) -> None:
        """A position is its epoch and its offset, both."""
        self.assertEqual(Position("e", 1), Position("e", 1))
        self.assertNotEqual(Position("e", 1), Position("f", 1))
        self.assertNotEqual(Position("e", 1), Position("e", 2))
        self.assertEqual(len({Position("e", 1), Position("e", 1)}), 1)

    def test_frozen(self) -> None:
        """It never changes."""
        position = Position("e", 1)
        with self.assertRaises(dataclasses.FrozenInstanceError):
            position.offset = 2  # type: ignore[misc]


class AckTests(SynchronousTestCase):
    def test_equal(self) -> None:
        """An acknowledgement is the position it tells."""
        self.assertEqual(Ack(Position("e", 1)), Ack(Position("e", 1)))
        self.assertNotEqual(Ack(Position("e", 1)), Ack(Position("e", 2)))

    def test_frozen(self) -> None:
        """It never changes."""
        ack = Ack(Position("e", 1))
        with self.assertRaises(dataclasses.FrozenInstanceError):
            ack.position = Position("e", 2)  # type: ignore[misc]
