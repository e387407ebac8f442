"""One peer's unsent bytes.

The promise of `Outbox`:

1. `put` never blocks, never reorders and never raises for the network's sake.
2. While the peer takes bytes they go straight to it and nothing is kept here.
3. Above high water nothing more is written. What comes is held, at most `held_bytes` of it, and
   follows as the peer drains; nothing is read from the peer meanwhile.
4. A peer for which more would have to be held, or whose unsent bytes have not changed for
   `stall_timeout_s`, is given up and closed as stalled. Nobody else notices.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from enum import Enum, auto
from typing import Protocol

from chatd.core.wheel import Deadline, Wheel
from chatd.errors import STALLED, Close

__all__ = ["HIGH_WATER_BYTES", "PIECE_BYTES", "Outbox", "Peer", "State"]

HIGH_WATER_BYTES = 65536
"""Unsent bytes in user space above which a peer is told `paused`."""

PIECE_BYTES = 65536
"""The most that is written between two looks at whether the peer still takes it."""


class Peer(Protocol):
    """How the rules see the other end. It tells its outbox `paused`, `drained` and `lost`."""

    def write(self, data: bytes) -> None:
        """Send whole frames, now or as soon as the network takes them."""

    def hold(self, on: bool) -> None:
        """Stop reading from it, or go on."""

    def unsent(self) -> int:
        """Bytes that it has not acknowledged, those in the kernel included."""

    def close(self, close: Close) -> None:
        """Say goodbye; then it is `lost`, soon, whatever the other side does."""


class State(Enum):
    """Where an outbox stands."""

    LIVE = auto()
    LAGGING = auto()
    GONE = auto()


class Outbox:
    """Bytes accepted for one peer and not yet taken by it.

    Args:
        peer: where they go; open.
        wheel: for the stall timeout.
        held_bytes: how much is held while the peer is above high water.
        stall_timeout_s: how long its unsent bytes may stay unchanged above high water.
    """

    __slots__ = (
        "_held",
        "_held_now",
        "_most_held",
        "_peer",
        "_stall",
        "_stall_timeout_s",
        "_unsent",
        "_wheel",
        "state",
    )

    def __init__(
        self, peer: Peer, wheel: Wheel, *, held_bytes: int, stall_timeout_s: float
    ) -> None:
        self._peer = peer
        self._wheel = wheel
        self._most_held = held_bytes
        self._stall_timeout_s = stall_timeout_s
        self._held: deque[bytes] = deque()
        self._held_now = 0
        self._unsent = 0
        self._stall: Deadline | None = None
        self.state = State.LIVE

    @property
    def is_live(self) -> bool:
        """Whether what is put goes straight to the peer."""
        return self.state is State.LIVE

    def put(self, pieces: Iterable[bytes]) -> None:
        """Send frames.

        Args:
            pieces: whole frames each, joined up to `PIECE_BYTES`; shared by all who get them.
        """
        for piece in pieces:
            if self.state is State.LIVE:
                self._peer.write(piece)
            elif self.state is State.LAGGING:
                self._held_now += len(piece)
                if self._held_now > self._most_held:
                    self.close(STALLED)
                    return
                self._held.append(piece)

    def close(self, close: Close) -> None:
        """Say goodbye to the peer and take nothing more for it; what is held is dropped."""
        if self.state is State.GONE:
            return
        self.lost()
        self._peer.close(close)

    def paused(self) -> None:
        """The peer is above high water. May be said again and from within `Peer.write`."""
        if self.state is State.LIVE:
            self.state = State.LAGGING
            self._peer.hold(True)
            self._watch()

    def drained(self) -> bool:
        """The peer has taken everything; returns whether nothing is held any more."""
        if self.state is not State.LAGGING:
            return False
        self.state = State.LIVE
        while self._held and self.state is State.LIVE:
            piece = self._held.popleft()
            self._held_now -= len(piece)
            self._peer.write(piece)
        if self.state is not State.LIVE:
            return False
        self._unwatch()
        self._peer.hold(False)
        return True

    def lost(self) -> None:
        """The peer is no more, or has been told goodbye."""
        if self.state is State.LAGGING:
            self._peer.hold(False)  # or its answer to our Close would never be read
        self.state = State.GONE
        self._held.clear()
        self._held_now = 0
        self._unwatch()

    def _watch(self) -> None:
        self._unwatch()
        self._unsent = self._peer.unsent()
        self._stall = self._wheel.after(self._stall_timeout_s, self._look)

    def _unwatch(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def _look(self) -> None:
        if self._peer.unsent() == self._unsent:
            self.close(STALLED)
        else:
            self._watch()
