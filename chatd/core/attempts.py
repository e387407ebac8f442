"""How often somebody may try something, for many of them: a bucket for each, within limits."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

__all__ = ["Attempts"]


class Attempts:
    """Buckets of so many attempts, by key. The one that was not used for longest is forgotten.

    Args:
        count: attempts at once, at least 1.
        period_s: in which so many come back, one after the other.
        most: keys that are remembered.
        seconds: the time, in seconds.
    """

    def __init__(
        self, count: int, period_s: float, *, most: int, seconds: Callable[[], float]
    ) -> None:
        self._count = count
        self._each_s = period_s / count
        self._most = most
        self._seconds = seconds
        # When the bucket of each will be full again: of a full one nothing need be known.
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        """How many keys are remembered."""
        return len(self._full_at)

    def take(self, key: str) -> float:
        """Take an attempt; returns 0, or in how many seconds there will be one."""
        now = self._seconds()
        full_at = max(self._full_at.get(key, now), now) + self._each_s
        wait = full_at - now - self._count * self._each_s
        if wait > 1e-9 * self._count:  # what adding fractions leaves
            return wait
        self._full_at[key] = full_at
        self._full_at.move_to_end(key)
        if len(self._full_at) > self._most:
            self._full_at.popitem(last=False)
        return 0.0

    def give_back(self, key: str) -> None:
        """Let an attempt that was taken not count."""
        if key in self._full_at:
            self._full_at[key] -= self._each_s
