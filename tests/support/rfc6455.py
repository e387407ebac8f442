"""The client's side of RFC 6455, written from the RFC and from nothing of chatd's."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import cycle

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455 1.3
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def handshake(
    path: str = "/",
    *,
    host: str = "localhost:1919",
    origin: str | None = None,
    more: tuple[str, ...] = (),
    version: str = "HTTP/1.1",
) -> bytes:
    """An opening handshake; `more` are header lines."""
    lines = [
        f"GET {path} {version}",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {KEY}",
        "Sec-WebSocket-Version: 13",
        *([] if origin is None else [f"Origin: {origin}"]),
        *more,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def client_frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bytes | None = b"\x01\x02\x03\x04",
    claims: int | None = None,
) -> bytes:
    """A frame as a client sends it; `claims` is a length other than the payload's."""
    size = len(payload) if claims is None else claims
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    bit = 0x80 if mask else 0
    if size < 126:
        head = struct.pack("!BB", first, bit | size)
    elif size < 65536:
        head = struct.pack("!BBH", first, bit | 126, size)
    else:
        head = struct.pack("!BBQ", first, bit | 127, size)
    if not mask:
        return head + payload
    masked = bytes(byte ^ key for byte, key in zip(payload, cycle(mask), strict=False))
    return head + mask + masked


def text(words: str) -> bytes:
    """One text message in one frame."""
    return client_frame(TEXT, words.encode())


def close(code: int | None = 1000, reason: str = "") -> bytes:
    """A Close frame."""
    return client_frame(CLOSE, b"" if code is None else struct.pack("!H", code) + reason.encode())


def server_frames(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Opcode and payload of each frame of a server.

    Raises:
        ValueError: a frame is masked, fragmented, longer than it needs to be, or cut short.
    """
    while data:
        first, second = data[0], data[1]
        size, at = second & 0x7F, 2
        if first & 0x70 or not first & 0x80 or second & 0x80:
            raise ValueError(f"not a frame of a server: {data[:10]!r}")
        if size == 126:
            size, at = struct.unpack("!H", data[2:4])[0], 4
            if size < 126:
                raise ValueError("a length that is not minimal")
        elif size == 127:
            size, at = struct.unpack("!Q", data[2:10])[0], 10
            if size < 65536:
                raise ValueError("a length that is not minimal")
        if len(data) < at + size:
            raise ValueError("cut short")
        yield first & 0x0F, data[at : at + size]
        data = data[at + size :]
