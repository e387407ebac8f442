"""Token buckets: so many a second, so many at once."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Throttle"]


class Throttle:
    """A bucket that holds `burst` tokens and gains `rate` of them a second.

    Args:
        rate: tokens a second, above 0.
        burst: tokens it holds when full, at least 1.
        seconds: the time, in seconds; a step backwards takes nothing away.
    """

    __slots__ = ("_burst", "_rate", "_seconds", "_then", "_tokens")

    def __init__(self, rate: float, burst: int, seconds: Callable[[], float]) -> None:
        self._rate = rate
        self._burst = burst
        self._seconds = seconds
        # Numbers of its own only once something is taken: most buckets of a connection stay full.
        self._tokens: float = burst
        self._then = 0.0

    def take(self, count: int = 1) -> bool:
        """Take tokens; False when there are not so many.

        Args:
            count: how many; more than `burst` count as `burst`.
        """
        count = min(count, self._burst)
        now = self._seconds()
        gained = max(0.0, now - self._then) * self._rate
        self._then = now
        self._tokens = min(self._burst, self._tokens + gained)
        if self._tokens < count:
            return False
        self._tokens -= count
        return True
