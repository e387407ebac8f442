"""A broker for tests, whose turns of the reactor are a clock's."""

from __future__ import annotations

from itertools import count

from twisted.internet.task import Clock

from chatd.brokers.memory import MemoryBroker

__all__ = ["memory_broker"]


def memory_broker(clock: Clock, *, most_pending: int = 1000) -> MemoryBroker:
    """Make a broker that commits when `clock` is advanced, even by 0.

    Args:
        clock: its turns, and its wall clock.
        most_pending: see `MemoryBroker`.
    """
    epochs = count(1)
    return MemoryBroker(
        later=lambda call: clock.callLater(0, call),
        now_ms=lambda: round(clock.seconds() * 1000),
        new_epoch=lambda: f"epoch-{next(epochs)}",
        most_pending=most_pending,
        most_bytes=1_000_000,
    )
