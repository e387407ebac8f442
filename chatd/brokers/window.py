"""The ids of the latest messages of a room: what is said twice is stored once."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

__all__ = ["WINDOW", "WINDOW_MS", "Key", "Window"]

WINDOW = 10_000
"""So many messages of a room are remembered at most ..."""

WINDOW_MS = 600_000
"""... for so long at most."""

Key = tuple[str, str]
"""A user, and the id they gave a message."""


class Window:
    """The latest messages of a room by their ids.

    Args:
        places: to begin with: key, offset and time of each, in the order of offsets.
    """

    __slots__ = ("_order", "_places")

    def __init__(self, places: Iterable[tuple[Key, int, int]] = ()) -> None:
        # In order beside the dict: the first of a dict from which the first were taken is slow.
        self._order = deque(places)
        self._places = {place[0]: place for place in self._order}

    def __len__(self) -> int:
        return len(self._order)

    def find(self, key: Key, top: int, now_ms: int) -> int:
        """Find the offset of a message; 0 when it is not in the window.

        Args:
            key: of the message.
            top: the room's last offset.
            now_ms: the wall clock.
        """
        place = self._places.get(key)
        if place is None or place[1] <= top - WINDOW or place[2] <= now_ms - WINDOW_MS:
            return 0
        return place[1]

    def add(self, key: Key, offset: int, time_ms: int) -> None:
        """Remember a message, which is the room's last, and forget what has left the window."""
        place = (key, offset, time_ms)
        self._order.append(place)
        self._places[key] = place
        while self._order[0][1] <= offset - WINDOW or self._order[0][2] <= time_ms - WINDOW_MS:
            old = self._order.popleft()
            if self._places[old[0]] is old:  # else it was said again since
                del self._places[old[0]]
