"""RFC 6455 frames as a server sends them: one whole message each, never masked.

What goes to many is framed once here and the bytes are shared.
"""

from __future__ import annotations

__all__ = ["BINARY", "TEXT", "frame"]

TEXT = 0x1
BINARY = 0x2

_FIN = 0x80


def frame(opcode: int, payload: bytes) -> bytes:
    """One unfragmented, unmasked data frame (RFC 6455 5.2).

    Args:
        opcode: `TEXT`, whose payload is valid UTF-8, or `BINARY`.
        payload: up to 2**63 - 1 bytes.
    """
    size = len(payload)
    if size < 126:
        return bytes((_FIN | opcode, size)) + payload
    if size < 65536:
        return bytes((_FIN | opcode, 126)) + size.to_bytes(2, "big") + payload
    return bytes((_FIN | opcode, 127)) + size.to_bytes(8, "big") + payload
