"""The opening handshake as nearly everybody sends it (RFC 6455 4.1), read in one go.

Autobahn reads any, in two hundred lines that try each mistake by name. Here a head either is
plainly in order, which takes one look at each line, or it is left to Autobahn, whatever it is. So
nothing is answered with an error here, and nothing is accepted that Autobahn would not accept.
"""

from __future__ import annotations

import re
from binascii import b2a_base64
from collections.abc import Mapping
from hashlib import sha1
from typing import NamedTuple

__all__ = ["Upgrade", "agreement", "read"]

_REQUEST = re.compile(r"GET (/[!\"$-:<-~]*) HTTP/1\.1")  # no fragment, no parameters of a path
_HOST = re.compile(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?")
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:[1-5]?[0-9]{1,4})?")
_KEY = re.compile(r"[A-Za-z0-9+/]{22}==")
_CONNECTION = frozenset({"upgrade", "keep-alive, upgrade"})

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 1.3
_AGREED = (
    b"HTTP/1.1 101 Switching Protocols\r\nServer: chatd\r\n"
    b"Upgrade: WebSocket\r\nConnection: Upgrade\r\n%sSec-WebSocket-Accept: %s\r\n\r\n"
)


class Upgrade(NamedTuple):
    """A handshake that is in order.

    Args:
        uri: as it was asked for.
        path: of the URI.
        headers: by their names in lower case; each came once.
        key: of 24 characters.
    """

    uri: str
    path: str
    headers: Mapping[str, str]
    key: str


def read(head: bytes) -> Upgrade | None:
    """Read a handshake; None: somebody else is to read it.

    Args:
        head: whole, ending in an empty line; of tabs, line ends and printable ASCII.
    """
    first, *lines = head.decode("latin-1").split("\r\n")
    request = _REQUEST.fullmatch(first)
    if request is None:
        return None
    headers: dict[str, str] = {}
    for line in lines[:-2]:
        name, colon, value = line.partition(":")
        if not colon:
            return None
        headers[name.strip().lower()] = value.strip()
    key = headers.get("sec-websocket-key", "")
    origin = headers.get("origin")
    if (
        len(headers) != len(lines) - 2  # one came twice
        or "" in headers
        or "sec-websocket-protocol" in headers
        or head.count(b"\n") != len(lines)  # or a line has an end in it
        or head.count(b"\r") != len(lines)
        or headers.get("upgrade", "").lower() != "websocket"
        or headers.get("connection", "").lower() not in _CONNECTION
        or headers.get("sec-websocket-version") != "13"
        or _KEY.fullmatch(key) is None
        or _HOST.fullmatch(headers.get("host", "")) is None
        or (origin is not None and _ORIGIN.fullmatch(origin) is None)
    ):
        return None
    uri = request[1]
    return Upgrade(uri, uri.partition("?")[0], headers, key)


def agreement(key: str, more: Mapping[str, str]) -> bytes:
    """The answer to a handshake that is accepted.

    Args:
        key: of the handshake.
        more: headers that only this answer has.
    """
    lines = "".join(f"{name}: {value}\r\n" for name, value in more.items()) if more else ""
    accept = b2a_base64(sha1(key.encode() + _GUID).digest(), newline=False)
    return _AGREED % (lines.encode(), accept)
