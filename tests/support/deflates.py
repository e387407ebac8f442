"""permessage-deflate as a peer makes and reads it, from RFC 7692 and from nothing of chatd's."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

__all__ = ["deflated", "inflated", "inflated_frames"]

_MARK = b"\0\0\xff\xff"


def deflated(payload: bytes, *, level: int = 6, bits: int = 15) -> bytes:
    """The payload of a compressed message (RFC 7692 7.2.1)."""
    stream = zlib.compressobj(level, zlib.DEFLATED, -bits)
    made = stream.compress(payload) + stream.flush(zlib.Z_SYNC_FLUSH)
    assert made.endswith(_MARK)
    return made[: -len(_MARK)]


def inflated(payload: bytes, *, bits: int = 12) -> bytes:
    """What a compressed message says, by a window of so many bits (RFC 7692 7.2.2)."""
    return zlib.decompressobj(-bits).decompress(payload + _MARK)


def inflated_frames(data: bytes) -> Iterator[tuple[int, bytes, bool]]:
    """The frames of a server in some bytes: opcode, what it says, whether it was compressed."""
    at = 0
    while at < len(data):
        first, size = data[at], data[at + 1]
        assert first & 0xB0 == 0x80, f"not a whole message: {first:#x}"
        at += 2
        if size >= 126:
            form = "!H" if size == 126 else "!Q"
            (size,) = struct.unpack_from(form, data, at)
            at += struct.calcsize(form)
        payload = data[at : at + size]
        assert len(payload) == size, "cut short"
        at += size
        compressed = bool(first & 0x40)
        yield first & 0x0F, inflated(payload) if compressed else payload, compressed
