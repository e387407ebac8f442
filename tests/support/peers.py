"""Peers for tests: the other end of a conversation, whose network is a list."""

from __future__ import annotations

from chatd.core.outbox import Feeder, Outbox
from chatd.core.wheel import Wheel
from chatd.errors import Close
from tests.support.rfc6455 import BINARY, TEXT, server_frames

__all__ = ["NoFeeder", "RecordingPeer", "connect", "messages_in"]


class NoFeeder:
    """A `core.outbox.Feeder` for peers that are never behind."""

    def catch_up(self, outbox: Outbox) -> None:
        """See `Feeder.catch_up`."""
        assert not outbox.behind


class RecordingPeer:
    """A `core.outbox.Peer` that notes what it is told.

    Args:
        pause_after: above how many untaken bytes it says `paused`, from within `write`; None:
            never.

    Attributes:
        untaken: how many bytes were written that it has not taken.
        most_untaken: the most that ever was.
        overruns: how often it was written to while above high water.
    """

    def __init__(self, pause_after: int | None = None) -> None:
        self.pause_after = pause_after
        self.outbox: Outbox | None = None
        self.writes: list[bytes] = []
        self.holds: list[bool] = []
        self.closes: list[Close] = []
        self.untaken = 0
        self.most_untaken = 0
        self.is_full = False
        self.overruns = 0

    def write(self, data: bytes) -> None:
        """See `Peer.write`."""
        self.overruns += self.is_full
        self.writes.append(data)
        self.untaken += len(data)
        self.most_untaken = max(self.most_untaken, self.untaken)
        if self.pause_after is not None and self.untaken > self.pause_after:
            self.pause()

    def hold(self, on: bool) -> None:
        """See `Peer.hold`."""
        self.holds.append(on)

    def unsent(self) -> int:
        """See `Peer.unsent`."""
        return self.untaken

    def close(self, close: Close) -> None:
        """See `Peer.close`."""
        self.closes.append(close)

    def pause(self) -> None:
        """Be above high water."""
        assert self.outbox is not None
        self.is_full = True
        self.outbox.paused()

    def take(self, size: int) -> None:
        """Take some bytes; `drained` is said when that was the last of them."""
        self.untaken -= min(size, self.untaken)
        if self.is_full and not self.untaken:
            self.drain()

    def drain(self) -> bool:
        """Take everything; returns what the outbox says to it."""
        assert self.outbox is not None
        self.is_full = False
        self.untaken = 0
        return self.outbox.drained()

    @property
    def is_held(self) -> bool:
        """Whether nothing is read from it."""
        return bool(self.holds) and self.holds[-1]

    @property
    def received(self) -> bytes:
        """All that was written to it."""
        return b"".join(self.writes)

    @property
    def lines(self) -> list[str]:
        """What was written to it, in the dialect `Lines`."""
        return self.received.decode().splitlines()

    @property
    def messages(self) -> list[str | bytes]:
        """What was written to it, as WebSocket messages."""
        return messages_in(self.received)


def connect(
    wheel: Wheel | None = None,
    *,
    feeder: Feeder | None = None,
    pause_after: int | None = None,
    stall_timeout_s: float = 60,
) -> tuple[RecordingPeer, Outbox]:
    """Make a peer and its outbox.

    Args:
        wheel: None: time stands still.
        feeder: None: the peer is never behind.
        pause_after: see `RecordingPeer`.
        stall_timeout_s: see `Outbox`.
    """
    peer = RecordingPeer(pause_after)
    outbox = Outbox(
        peer,
        Wheel(lambda: 0.0) if wheel is None else wheel,
        NoFeeder() if feeder is None else feeder,
        stall_timeout_s=stall_timeout_s,
    )
    peer.outbox = outbox
    return peer, outbox


def messages_in(data: bytes) -> list[str | bytes]:
    """The messages in a server's frames: texts as `str`, binaries as `bytes`.

    Raises:
        AssertionError: a frame is not one whole unmasked data message.
    """
    messages: list[str | bytes] = []
    for frame in server_frames(data):
        assert frame.fin and frame.opcode in (TEXT, BINARY), frame
        messages.append(frame.payload.decode() if frame.opcode == TEXT else frame.payload)
    return messages
