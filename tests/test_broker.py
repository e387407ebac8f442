"""What brokers give back. How they behave is `support.contracts.BrokerContract`."""

from __future__ import annotations

import inspect
import json

from twisted.trial.unittest import SynchronousTestCase

from chatd.brokers.sqlite import SqliteBroker
from chatd.core.broker import BLOCK, ERASED, Ack, Broker, Opened, Place, Position, RoomSummary
from chatd.core.events import compact


class ValueTests(SynchronousTestCase):
    def test_position(self) -> None:
        """A position is its epoch and its offset, both."""
        self.assertEqual(Position("e", 1), Position("e", 1))
        self.assertNotEqual(Position("e", 1), Position("f", 1))
        self.assertNotEqual(Position("e", 1), Position("e", 2))
        self.assertEqual(len({Position("e", 1), Position("e", 1)}), 1)

    def test_ack(self) -> None:
        """An acknowledgement is of something new unless it says that it is not."""
        self.assertEqual(Ack(Position("e", 1)), Ack(Position("e", 1), duplicate=False))
        self.assertNotEqual(Ack(Position("e", 1)), Ack(Position("e", 1), duplicate=True))
        self.assertNotEqual(Ack(Position("e", 1)), Ack(Position("e", 2)))

    def test_frozen(self) -> None:
        """They never change."""
        position = Position("e", 1)
        for value, name in (
            (position, "offset"),
            (Ack(position), "duplicate"),
            (Opened("e", 0, ()), "head"),
            (RoomSummary("r", 1, 2), "head"),
        ):
            with self.assertRaises(AttributeError):
                setattr(value, name, 1)

    def test_places(self) -> None:
        """There are four things that can have become of a place."""
        self.assertEqual([each.name for each in Place], ["OK", "GAP", "TRUNCATE", "RESET"])

    def test_erased(self) -> None:
        """An erased message still has a payload like any other."""
        self.assertEqual(compact(json.loads(ERASED)), ERASED)

    def test_block(self) -> None:
        """A block is a page's worth, so that one read brings one."""
        default = inspect.signature(Broker.page).parameters["limit"].default
        self.assertEqual(default, BLOCK)


class SeamTests(SynchronousTestCase):
    def test_signatures(self) -> None:
        """The broker over SQLite is called as the seam says, name by name, with its defaults."""
        names = [name for name in vars(Broker) if not name.startswith("_")]
        self.assertIn("publish", names)
        for name in names:
            if name == "is_up":
                continue
            seam = inspect.signature(getattr(Broker, name)).parameters.values()
            ours = inspect.signature(getattr(SqliteBroker, name)).parameters.values()
            self.assertEqual(
                [(each.name, each.kind, each.default) for each in ours],
                [(each.name, each.kind, each.default) for each in seam],
                name,
            )

    def test_only_seam(self) -> None:
        """It cannot be made: it promises, and does nothing."""
        self.assertRaises(TypeError, Broker)
