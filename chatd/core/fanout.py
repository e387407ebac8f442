"""One batch of events to the outboxes of a room: encoded once a dialect, one write a peer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from twisted.logger import Logger

from chatd.core.events import Event, Message, Relay
from chatd.core.outbox import PIECE_BYTES
from chatd.core.room import Dialect, Room

__all__ = ["fan_out", "pieces"]

log = Logger()


def fan_out(room: Room, events: Sequence[Message | Relay]) -> None:
    """Send a room's part of a batch to all its members.

    An event that cannot be encoded is a bug of ours: it is logged and left out.
    """
    for dialect, members in room.audiences():
        encoded = [(event.sender.session, _encode(dialect, event)) for event in events]
        for_all = pieces(frame for _, frame in encoded)
        speakers = {session for session, _ in encoded}
        for member in members:
            me = member.sender.session
            if member.echo or me not in speakers:
                member.outbox.put(for_all)
            else:
                member.outbox.put(pieces(frame for said_by, frame in encoded if said_by != me))


def pieces(frames: Iterable[bytes]) -> list[bytes]:
    """Join whole frames into pieces of at most `PIECE_BYTES`; a larger frame stands alone."""
    done: list[bytes] = []
    open_piece: list[bytes] = []
    size = 0
    for frame in frames:
        if size + len(frame) > PIECE_BYTES and open_piece:
            done.append(b"".join(open_piece))
            open_piece, size = [], 0
        if frame:
            open_piece.append(frame)
            size += len(frame)
    if open_piece:
        done.append(b"".join(open_piece))
    return done


def _encode(dialect: Dialect, event: Event) -> bytes:
    try:
        return dialect.encode(event)
    except Exception:
        log.failure("an event cannot be encoded")
        return b""
