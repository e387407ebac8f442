"""One peer's unsent bytes.

The promise of `Outbox`:

1. Nothing blocks, is reordered, or raises for the network's sake.
2. While the peer takes bytes they go straight to it and nothing is kept here.
3. Above high water no event is written or kept. Of each room the outbox knows only how far the
   peer has got (`behind`), and the `Feeder` goes on from there as the peer drains.
4. Answers are never dropped: they wait here, while nothing is read from the peer. Nor is what it is
   told without having asked; a peer for which too much of that waits is closed as stalled.
5. A peer whose unsent bytes have not changed for `stall_timeout_s` is closed as stalled.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Protocol

from chatd.core.wheel import Deadline, Wheel
from chatd.errors import STALLED, Close

if TYPE_CHECKING:
    from chatd.core.room import Member

__all__ = ["HIGH_WATER_BYTES", "MOST_TOLD", "PIECE_BYTES", "Feeder", "Outbox", "Peer", "State"]

HIGH_WATER_BYTES = 65536
"""Unsent bytes in user space above which a peer is told `paused`."""

PIECE_BYTES = 65536
"""The most that is written between two looks at whether the peer still takes it."""

MOST_TOLD = 1000
"""So many answers and whispers wait for a peer that lags; it asks for no answers meanwhile."""


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


class Feeder(Protocol):
    """What brings a peer that is behind to the head of its rooms."""

    def catch_up(self, outbox: Outbox) -> None:
        """Write what the peer has missed, as much as it takes now."""


class State(Enum):
    """Where an outbox stands."""

    LIVE = auto()
    """What is put goes straight to the peer."""
    LAGGING = auto()
    """The peer is above high water."""
    GONE = auto()


_LIVE, _LAGGING, _GONE = State.LIVE, State.LAGGING, State.GONE  # an enumeration's own are slow


class Outbox:
    """Bytes accepted for one peer and not yet taken by it.

    Args:
        peer: where they go; open.
        wheel: for the stall timeout.
        feeder: called when the peer has drained and is behind.
        stall_timeout_s: how long its unsent bytes may stay unchanged above high water.
    """

    __slots__ = (
        "_answers",
        "_feeder",
        "_is_busy",
        "_is_held",
        "_peer",
        "_stall",
        "_stall_timeout_s",
        "_unsent",
        "_wheel",
        "awaits_block",
        "behind",
        "state",
    )

    def __init__(self, peer: Peer, wheel: Wheel, feeder: Feeder, *, stall_timeout_s: float) -> None:
        self._peer = peer
        self._wheel = wheel
        self._feeder = feeder
        self._stall_timeout_s = stall_timeout_s
        self._answers: list[bytes] = []
        self._is_busy = False
        self._is_held = False
        self._unsent = 0
        self._stall: Deadline | None = None
        self.state = _LIVE
        self.behind: dict[Member, int] = {}
        """Of each room in which the peer is behind, the last offset it was given."""
        self.awaits_block = False
        """Whether the feeder is reading for it."""

    @property
    def is_idle(self) -> bool:
        """Whether the peer has everything but what is on its way."""
        return self.state is _LIVE and not self.behind

    def put(self, data: bytes) -> None:
        """Send frames to a peer that is live, its answers first.

        Args:
            data: whole frames, up to `PIECE_BYTES` or one; shared by all who get them.
        """
        if self._answers:
            data = b"".join((*self._answers, data))
            self._answers.clear()
        self._peer.write(data)

    def answer(self, frames: bytes) -> None:
        """Take an answer, to leave with the next `put` or `flush`."""
        if self.state is not _GONE:
            self._answers.append(frames)

    def tell(self, frames: bytes) -> None:
        """Send what the peer did not ask for, or keep it as an answer is.

        A peer that lags by `MOST_TOLD` is closed as stalled: others could make it grow for ever.
        """
        if self.state is _LAGGING and len(self._answers) >= MOST_TOLD:
            self.close(STALLED)
        else:
            self.answer(frames)
            self.flush()

    def flush(self) -> None:
        """Send the answers that wait, if the peer takes them."""
        if self._answers and self.state is _LIVE:
            self.put(b"")

    def busy(self, on: bool) -> None:
        """Read nothing from the peer while a command of it is under way, or go on."""
        self._is_busy = on
        self._hold()

    def close(self, close: Close) -> None:
        """Say goodbye to the peer, after its answers if it takes them; it gets nothing more."""
        if self.state is _GONE:
            return
        self.flush()
        self.lost()
        self._peer.close(close)

    def paused(self) -> None:
        """The peer is above high water. May be said again and from within `Peer.write`."""
        if self.state is _LIVE:
            self.state = _LAGGING
            self._hold()
            self._watch()

    def drained(self) -> bool:
        """The peer has taken everything; returns whether it takes more even now."""
        if self.state is not _LAGGING:
            return False
        self._unwatch()
        self.state = _LIVE
        self.flush()
        self._feeder.catch_up(self)
        if self.state is not _LIVE:
            return False
        self._hold()
        return True

    def lost(self) -> None:
        """The peer is no more, or has been told goodbye."""
        self.state = _GONE
        self._answers.clear()
        self.behind.clear()
        self._unwatch()
        self._hold()  # or its answer to our Close would never be read

    def _hold(self) -> None:
        hold = self.state is _LAGGING or (self._is_busy and self.state is _LIVE)
        if hold is not self._is_held:
            self._is_held = hold
            self._peer.hold(hold)

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
