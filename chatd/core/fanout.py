"""One batch of events to the outboxes of its rooms: encoded once a dialect, one write a peer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from twisted.logger import Logger

from chatd.core.events import Passing
from chatd.core.outbox import PIECE_BYTES, Outbox, State
from chatd.core.room import Dialect, Member, Room, Row

__all__ = ["Part", "Piece", "fan_out", "pieces"]

log = Logger()

_LIVE = State.LIVE  # an enumeration's own name is slow


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """What a batch has for one room.

    Args:
        room: whose head has moved past it already.
        before: its head before.
        events: in order.
    """

    room: Room
    before: int
    events: Sequence[Row | Passing]


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Frames that are written together.

    Args:
        frames: whole, joined.
        before: who does not get them has got nothing after this offset.
    """

    frames: bytes
    before: int


def fan_out(parts: Sequence[Part]) -> None:
    """Send a batch to the live members of its rooms; who takes it no more is behind from then on.

    An event that cannot be encoded is a bug of ours: it is logged and left out.
    """
    if len(parts) == 1:
        for member, its_pieces in _shares(parts[0]):
            outbox = member.outbox
            if len(its_pieces) == 1 and outbox.state is _LIVE:
                outbox.put(its_pieces[0].frames)
            else:
                _send(member, its_pieces)
        return
    shares: dict[Outbox, list[tuple[Member, list[Piece]]]] = {}
    for part in parts:
        for member, its_pieces in _shares(part):
            shares.setdefault(member.outbox, []).append((member, its_pieces))
    # Most sessions have the same pieces to get: those are joined once for all of them.
    joined: dict[tuple[Piece, ...], bytes] = {}
    for outbox, share in shares.items():
        every = tuple(piece for _, its_pieces in share for piece in its_pieces)
        small = sum(len(piece.frames) for piece in every) <= PIECE_BYTES
        if small and outbox.state is _LIVE:
            frames = joined.get(every)
            if frames is None:
                frames = joined[every] = b"".join(piece.frames for piece in every)
            if frames:
                outbox.put(frames)
            continue
        for member, its_pieces in share:
            _send(member, its_pieces)


def _shares(part: Part) -> Iterable[tuple[Member, list[Piece]]]:
    """Each live member of a room who is to get something, and what."""
    for dialect, members in part.room.audiences():
        encoded = _encoded(dialect, part)
        for_all = pieces((frame, before) for frame, before, _ in encoded)
        if not for_all:  # who comes and goes, to the many who did not ask
            continue
        speakers = {session for _, _, session in encoded}
        for member in members:
            if member.echo or member.sender.session not in speakers:
                yield member, for_all
            else:
                me = member.sender.session
                yield member, pieces((frame, before) for frame, before, by in encoded if by != me)


def _encoded(dialect: Dialect, part: Part) -> list[tuple[bytes, int, str]]:
    """Each event's frames, the head before it, and the session that said it."""
    encoded: list[tuple[bytes, int, str]] = []
    before = part.before
    for event in part.events:
        try:
            if isinstance(event, Row):
                frame, sender = event.frame(dialect), event.message.sender
            else:
                frame, sender = dialect.encode(event), event.sender
        except Exception:
            log.failure("an event cannot be encoded")
            continue
        encoded.append((frame, before, sender.session))
        if isinstance(event, Row):
            before = event.message.offset
    return encoded


def _send(member: Member, its_pieces: Iterable[Piece]) -> None:
    outbox = member.outbox
    for piece in its_pieces:
        if outbox.state is not _LIVE:
            member.room.miss(member, piece.before)
            return
        outbox.put(piece.frames)


def pieces(frames: Iterable[tuple[bytes, int]]) -> list[Piece]:
    """Join whole frames into pieces of at most `PIECE_BYTES`; a larger frame stands alone.

    Args:
        frames: each with the offset that its room's head had before it; empty ones are left out.
    """
    done: list[Piece] = []
    open_piece: list[bytes] = []
    size = first = 0
    for frame, before in frames:
        if size + len(frame) > PIECE_BYTES and open_piece:
            done.append(Piece(b"".join(open_piece), first))
            open_piece, size = [], 0
        if frame:
            if not open_piece:
                first = before
            open_piece.append(frame)
            size += len(frame)
    if open_piece:
        done.append(Piece(b"".join(open_piece), first))
    return done
