"""The client's side of RFC 6455, written from the RFC and from nothing of chatd's."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

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
    stretched = (mask * (len(payload) // 4 + 1))[: len(payload)]
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(stretched, "big")
    return head + mask + masked.to_bytes(len(payload), "big")


def text(words: str) -> bytes:
    """One text message in one frame."""
    return client_frame(TEXT, words.encode())


def close(code: int | None = 1000, reason: str = "") -> bytes:
    """A Close frame."""
    return client_frame(CLOSE, b"" if code is None else struct.pack("!H", code) + reason.encode())


class Frame(NamedTuple):
    """One frame that a server sent."""

    opcode: int
    payload: bytes
    fin: bool = True


def take_frame(data: bytearray) -> Frame | None:
    """Take the first frame off what came from a server; None while it is not whole.

    Raises:
        AssertionError: it is masked, has a reserved bit set or a longer length than it needs.
    """
    if len(data) < 2:
        return None
    assert not data[0] & 0x70, f"reserved bits: {bytes(data[:2])!r}"
    assert not data[1] & 0x80, "a server's frame is masked"
    size, start = data[1], 2
    if size >= 126:
        form, start, least = ("!H", 4, 126) if size == 126 else ("!Q", 10, 65536)
        if len(data) < start:
            return None
        (size,) = struct.unpack_from(form, data, 2)
        assert size >= least, "a length that is not minimal"
    if len(data) < start + size:
        return None
    taken = Frame(data[0] & 0x0F, bytes(data[start : start + size]), bool(data[0] & 0x80))
    del data[: start + size]
    return taken


def server_frames(data: bytes) -> Iterator[Frame]:
    """The frames of a server in some bytes.

    Raises:
        AssertionError: one is not a server's, or is cut short.
    """
    rest = bytearray(data)
    while rest:
        taken = take_frame(rest)
        assert taken is not None, f"cut short: {bytes(rest[:20])!r}"
        yield taken
