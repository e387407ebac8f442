"""Peers for tests: the other end of a conversation, whose network is a list."""

from __future__ import annotations

from chatd.core.outbox import Outbox
from chatd.core.wheel import Wheel
from chatd.errors import Close
from tests.support.rfc6455 import BINARY, TEXT, server_frames

__all__ = ["RecordingPeer", "connect", "messages_in"]


class RecordingPeer:
    """A `core.outbox.Peer` that notes what it is told.

    Args:
        pause_after: above how many untaken bytes it says `paused`, from within `write`; None:
            never.
    """

    def __init__(self, pause_after: int | None = None) -> None:
        self.pause_after = pause_after
        self.outbox: Outbox | None = None
        self.writes: list[bytes] = []
        self.holds: list[bool] = []
        self.closes: list[Close] = []
        self.untaken = 0
        self.is_full = False
        self.overruns = 0
        """How often it was written to while above high water."""

    def write(self, data: bytes) -> None:
        """See `Peer.write`."""
        self.overruns += self.is_full
        self.writes.append(data)
        self.untaken += len(data)
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

    def drain(self) -> bool:
        """Take everything; returns what the outbox says to it."""
        assert self.outbox is not None
        self.is_full = False
        self.untaken = 0
        return self.outbox.drained()

    @property
    def received(self) -> bytes:
        """All that was written to it."""
        return b"".join(self.writes)

    @property
    def messages(self) -> list[str | bytes]:
        """What was written to it, as WebSocket messages."""
        return messages_in(self.received)


def connect(
    wheel: Wheel | None = None,
    *,
    pause_after: int | None = None,
    held_bytes: int = 1 << 20,
    stall_timeout_s: float = 60,
) -> tuple[RecordingPeer, Outbox]:
    """Make a peer and its outbox; without a wheel time stands still."""
    peer = RecordingPeer(pause_after)
    outbox = Outbox(
        peer,
        Wheel(lambda: 0.0) if wheel is None else wheel,
        held_bytes=held_bytes,
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
