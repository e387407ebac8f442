"""RFC 6455 frames as a server sends them: one whole message each, never masked.

What goes to many is framed once here and the bytes are shared.
"""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["BINARY", "TEXT", "frame", "split"]

TEXT = 0x1
BINARY = 0x2

_FIN = 0x80
_DEFLATED = 0x40  # RFC 7692 6: RSV1


def frame(opcode: int, payload: bytes, *, deflated: bool = False) -> bytes:
    """One unfragmented, unmasked data frame (RFC 6455 5.2).

    Args:
        opcode: `TEXT`, whose payload is valid UTF-8, or `BINARY`.
        payload: up to 2**63 - 1 bytes.
        deflated: whether the payload is compressed, for peers that negotiated it.
    """
    first = _FIN | opcode | (_DEFLATED if deflated else 0)
    size = len(payload)
    if size < 126:
        return b"%c%c%b" % (first, size, payload)
    if size < 65536:
        return b"%c\x7e%c%c%b" % (first, size >> 8, size & 0xFF, payload)
    return b"%c\x7f%b%b" % (first, size.to_bytes(8, "big"), payload)


def split(frames: bytes) -> Iterator[tuple[int, bytes]]:
    """The opcode and payload of each of some frames that `frame` made, none of them deflated."""
    at = 0
    while at < len(frames):
        opcode, size = frames[at] & 0x0F, frames[at + 1]
        start = at + 2
        if size >= 126:
            start += 2 if size == 126 else 8
            size = int.from_bytes(frames[at + 2 : start], "big")
        at = start + size
        yield opcode, frames[start:at]
