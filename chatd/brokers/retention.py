"""Retention: what is too old, or too many, is trimmed, in all rooms, in small steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from chatd.brokers.connections import Connections
from chatd.brokers.trims import Expired, expired
from chatd.errors import Refusal

__all__ = ["Retention", "Timer"]

_PASS_S = 3600.0
_PAUSE_S = 0.1
_DAY_MS = 86_400_000


class Timer(Protocol):
    """A call that is to come."""

    def cancel(self) -> None:
        """Have it not come."""


class Retention:
    """Goes over all rooms, open or not, once an hour. One step is under way at a time.

    What is in the `Window` stays, whatever is asked for: of the last 10 000 messages of a room
    those of the last ten minutes. Ids are remembered with their messages, so one that comes again
    within that time would else be stored twice, once its room was closed meanwhile. What a trim
    left below a floor, because it was refused or a crash came, goes also when all is kept.

    Args:
        trim: see `Broker.trim`; for rooms that are not open too.
        connections: to search by.
        later: calls something after so many seconds.
        now_ms: the wall clock, in milliseconds since 1970; it may step.
        days: messages are kept so long, above 0; None: for ever.
        messages: so many are kept in each room, at least 1; None: all.
    """

    def __init__(
        self,
        trim: Callable[[str, int, Callable[[int | Refusal], None]], None],
        connections: Connections,
        *,
        later: Callable[[float, Callable[[], None]], Timer],
        now_ms: Callable[[], int],
        days: float | None = None,
        messages: int | None = None,
    ) -> None:
        self._trim = trim
        self._connections = connections
        self._later = later
        self._now_ms = now_ms
        self._days = days
        self._messages = messages
        self._timer: Timer | None = None
        self._is_stopped = False

    def start(self) -> None:
        """Begin with a first pass."""
        self._wait(_PAUSE_S, 0)

    def stop(self) -> None:
        """Begin nothing more."""
        self._is_stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self, seconds: float, after_n: int) -> None:
        if not self._is_stopped:
            self._timer = self._later(seconds, lambda: self._search(after_n))

    def _search(self, after_n: int) -> None:
        self._timer = None
        days, keep, now_ms = self._days, self._messages, self._now_ms()
        before_ms = 0 if days is None else now_ms - round(days * _DAY_MS)
        most = 1 << 62 if keep is None else keep

        def found(outcome: Expired | Refusal) -> None:
            # Without an answer, as at the end of the rooms, the next pass begins from the first.
            if isinstance(outcome, Refusal) or not outcome.n:
                self._wait(_PASS_S, 0)
            elif outcome.room is None:
                self._wait(_PAUSE_S, outcome.n)
            elif not self._is_stopped:
                self._step(outcome.room, outcome.upto, outcome.n)

        if not self._connections.read(
            lambda each: expired(each, after_n, before_ms, most, now_ms), found
        ):
            self._wait(_PASS_S, 0)

    def _step(self, room: str, upto: int, n: int) -> None:
        def trimmed(outcome: int | Refusal) -> None:
            if isinstance(outcome, Refusal):
                self._wait(_PASS_S, 0)
            else:
                # The same room again, there may be more; unless this led nowhere.
                self._wait(_PAUSE_S, n - 1 if outcome >= upto else n)

        self._trim(room, upto, trimmed)
