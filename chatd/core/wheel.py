"""One timer for all deadlines of all connections.

A timer of the reactor for each connection costs memory, and cancelling it costs time, for
deadlines that nearly never come. Here a deadline is an entry in a slot of time, and one call
every `TICK_S` looks into the slots that have passed. A deadline comes late by less than two
ticks, never early.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

from twisted.logger import Logger

__all__ = ["TICK_S", "Deadline", "Wheel"]

TICK_S = 0.25
"""How long a slot is, and how often `Wheel.tick` wants to be called, in seconds."""

log = Logger()


class Deadline:
    """Something that will be called; `cancel` makes that not happen, `come` happen now."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[[], None]) -> None:
        self._call: Callable[[], None] | None = call

    def cancel(self) -> None:
        """Forget it; harmless when it has come or was cancelled before."""
        self._call = None

    def come(self) -> None:
        """Call it, and not again; nothing when it has come or was cancelled before."""
        call, self._call = self._call, None
        if call is not None:
            call()


class Wheel:
    """Deadlines by their slot of time.

    Args:
        seconds: the time, in seconds; it must not step (`time.monotonic`).
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._slots: dict[int, list[Deadline]] = {}
        self._next = int(seconds() / TICK_S) + 1

    def after(self, delay_s: float, call: Callable[[], None]) -> Deadline:
        """Have something called once, `delay_s` seconds from now or a little later."""
        deadline = Deadline(call)
        slot = max(self._next, ceil((self._seconds() + delay_s) / TICK_S))
        self._slots.setdefault(slot, []).append(deadline)
        return deadline

    def tick(self) -> None:
        """Call what has come due; what it raises is logged and stops nothing else."""
        now = int(self._seconds() / TICK_S)
        while self._next <= now:
            due = self._slots.pop(self._next, ())
            self._next += 1
            for deadline in due:
                try:
                    deadline.come()
                except Exception:
                    log.failure("a deadline failed")

    def __len__(self) -> int:
        """How many entries are kept, cancelled ones included until their slot comes."""
        return sum(map(len, self._slots.values()))
