"""Turns: one after the other, in the order in which they asked."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

__all__ = ["Turns"]


class Turns:
    """Whose turn it is."""

    __slots__ = ("_has_begun", "_is_calling", "_waiting")

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()  # the first one's turn it is
        self._has_begun = False
        self._is_calling = False

    def take(self, begin: Callable[[], None]) -> None:
        """Ask for a turn.

        Args:
            begin: called once, maybe at once, when it has come; `give` is owed for it, maybe from
                within. It must not raise.
        """
        self._waiting.append(begin)
        self._call()

    def give(self) -> None:
        """The turn is over."""
        self._waiting.popleft()
        self._has_begun = False
        self._call()

    def __len__(self) -> int:
        """How many have a turn or wait for one."""
        return len(self._waiting)

    def _call(self) -> None:
        # A loop: of many who wait all may be gone, and give theirs at once.
        if self._is_calling:
            return
        self._is_calling = True
        while self._waiting and not self._has_begun:
            self._has_begun = True
            self._waiting[0]()
        self._is_calling = False
