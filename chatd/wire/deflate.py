"""permessage-deflate as it is sent (RFC 7692): compressed once for all who negotiated it.

Each message is compressed by itself, with nothing of the one before in its window
(`server_no_context_takeover`), so that the bytes are the same for everybody, and how long they are
tells nothing about other messages. What costs more than it saves is sent as it is: small frames,
and what is encoded for one peer alone, which are replies, and a room that few spell that way.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from chatd.core.replies import Reply, Told
from chatd.wire.centrifuge import Centrifuge, Channel
from chatd.wire.frames import frame, split
from chatd.wire.plain import Plain

__all__ = ["LEAST_BYTES", "WINDOW_BITS", "Deflated", "Dialects", "deflate"]

WINDOW_BITS = 12
"""Of the LZ77 window: 4 KiB, which any peer that asks for a small one can take."""

LEAST_BYTES = 1024
"""Payloads of at most so many are sent as they are."""

# Beyond the first level 5 % fewer bytes cost half as much time again, for a text of 4 KiB.
_LEVEL = 1
# zlib's own: with less it takes four times as long over what cannot be compressed. It is 144 KiB
# in all, for as long as one message takes.
_MEMORY = 8
_SYNC_MARK = 4  # bytes at the end that are left out (RFC 7692 7.2.1)

Dialects = Plain | Centrifuge | Channel


@dataclass(frozen=True, slots=True)
class Deflated:
    """`core.room.Dialect` of a peer that negotiated permessage-deflate: another one, compressed.

    Args:
        inner: what it speaks.
    """

    inner: Dialects

    @property
    def has_replies(self) -> bool:
        """See `Dialect.has_replies`."""
        return self.inner.has_replies

    @property
    def is_common(self) -> bool:
        """See `Dialect.is_common`."""
        return self.inner.is_common

    def of_room(self, name: str, *, join_leave: bool) -> Deflated | Dialects:
        """The dialect of a member, compressed if what is made for it is made for many."""
        inner = self.inner.of_room(name, join_leave=join_leave)
        return Deflated(inner) if inner.is_common else inner

    def encode(self, event: Told) -> bytes:
        """The same frames; each that is large is compressed if it becomes smaller."""
        frames = self.inner.encode(event)
        if len(frames) <= LEAST_BYTES or isinstance(event, Reply):
            return frames
        return b"".join(_smaller(opcode, payload) for opcode, payload in split(frames))


def deflate(payload: bytes) -> bytes:
    """Compress the payload of one message by itself."""
    stream = zlib.compressobj(_LEVEL, zlib.DEFLATED, -WINDOW_BITS, _MEMORY)
    return (stream.compress(payload) + stream.flush(zlib.Z_SYNC_FLUSH))[:-_SYNC_MARK]


def _smaller(opcode: int, payload: bytes) -> bytes:
    if len(payload) > LEAST_BYTES:
        deflated = deflate(payload)
        if len(deflated) < len(payload):
            return frame(opcode, deflated, deflated=True)
    return frame(opcode, payload)
