"""A small blocking WebSocket client on a bare socket, and plain HTTP requests.

It shares no code with the daemon's side, says exactly what it is told to, and does nothing by
itself: it answers neither a Ping nor a Close. Every read ends after `TIMEOUT_S`.
"""

from __future__ import annotations

import base64
import os
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tests.support.rfc6455 import CLOSE, TEXT, Frame, client_frame, take_frame

__all__ = [
    "TIMEOUT_S",
    "Client",
    "GoneError",
    "Response",
    "close_of",
    "dial",
    "request",
    "upgrade_headers",
]

TIMEOUT_S = 10.0

_END_OF_HEAD = b"\r\n\r\n"


class GoneError(Exception):
    """The other side ended the connection without a Close frame."""


@dataclass(frozen=True)
class Response:
    """An HTTP answer; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def dial(port: int, *, receive_buffer: int = 0) -> socket.socket:
    """Connect to a port of this machine.

    Args:
        port: there.
        receive_buffer: how much the kernel may keep for us; 0: its own choice.
    """
    connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if receive_buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.settimeout(TIMEOUT_S)
        connection.connect(("127.0.0.1", port))
    except BaseException:
        connection.close()
        raise
    return connection


def request(
    where: int | socket.socket, path: str = "/", headers: Mapping[str, str] | None = None
) -> Response:
    """Make one GET request and read the answer to its end.

    Args:
        where: a port, or a connected socket, which is closed.
        path: of the URL.
        headers: besides or instead of `Host: localhost:PORT` and `Connection: close`.
    """
    with dial(where) if isinstance(where, int) else where as connection:
        port = where if isinstance(where, int) else 0
        said = {"Host": f"localhost:{port}", "Connection": "close", **(headers or {})}
        connection.sendall(_head(path, said))
        answer = bytearray()
        while _END_OF_HEAD not in answer:
            if not _more(connection, answer):
                raise GoneError(f"in the middle of an answer: {bytes(answer)!r}")
        head, _, rest = bytes(answer).partition(_END_OF_HEAD)
        status, named = _parse(head)
        body = bytearray(rest)
        size = int(named["content-length"]) if "content-length" in named else None
        while (size is None or len(body) < size) and _more(connection, body):
            pass
        assert size is None or len(body) == size, f"{len(body)} bytes of {size}"
        return Response(status, named, bytes(body))


class Client:
    """A WebSocket connection.

    Args:
        where: a port, or a connected socket, which it takes over.
        path: of the URL, with the query.
        headers: of the handshake, besides or instead of the usual ones.
        receive_buffer: see `dial`.

    Raises:
        GoneError: there was no answer.
        AssertionError: the handshake was not accepted.
    """

    def __init__(
        self,
        where: int | socket.socket,
        path: str = "/",
        headers: Mapping[str, str] | None = None,
        *,
        receive_buffer: int = 0,
    ) -> None:
        if isinstance(where, int):
            self.socket = dial(where, receive_buffer=receive_buffer)
        else:
            self.socket = where
        self.unread = bytearray()
        try:
            port = where if isinstance(where, int) else 0
            key = base64.b64encode(os.urandom(16)).decode()
            said = {**upgrade_headers(f"localhost:{port}", key), **(headers or {})}
            self.socket.sendall(_head(path, said))
            while _END_OF_HEAD not in self.unread:
                if not _more(self.socket, self.unread):
                    raise GoneError("in the middle of the handshake")
            head, _, rest = bytes(self.unread).partition(_END_OF_HEAD)
            self.unread = bytearray(rest)
            status, self.headers = _parse(head)
            assert status == 101, f"{status} instead of 101: {head + rest!r}"
        except BaseException:
            self.socket.close()
            raise

    def send(self, opcode: int, payload: bytes = b"", *, fin: bool = True) -> None:
        """Send one frame."""
        self.socket.sendall(client_frame(opcode, payload, fin=fin))

    def say(self, text: str) -> None:
        """Send a text message."""
        self.send(TEXT, text.encode())

    def read(self) -> Frame:
        """Read one frame.

        Raises:
            GoneError: the connection ended.
        """
        while (taken := take_frame(self.unread)) is None:
            if not _more(self.socket, self.unread):
                raise GoneError
        return taken

    def read_text(self) -> str:
        """Read one frame, which must be a whole text message."""
        taken = self.read()
        assert taken.fin and taken.opcode == TEXT, taken
        return taken.payload.decode()

    def goodbye(self, code: int | None, reason: str = "") -> tuple[int | None, str]:
        """Send a Close and read up to the answer, as `read_close` does."""
        payload = b"" if code is None else struct.pack("!H", code) + reason.encode()
        self.send(CLOSE, payload)
        return self.read_close()

    def read_close(self) -> tuple[int | None, str]:
        """Read up to the Close frame; what comes before it is thrown away.

        Returns:
            its code, None when it has none, and its words.
        """
        while (taken := self.read()).opcode != CLOSE:
            pass
        return close_of(taken)

    def ends(self) -> bool:
        """Read to the end of the connection; whether it was an end and not a reset."""
        try:
            while _more(self.socket, bytearray()):
                pass
        except ConnectionResetError:
            return False
        return True

    def kill(self) -> None:
        """Reset the connection, without a word."""
        linger = struct.pack("ii", 1, 0)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.socket.close()


def upgrade_headers(host: str, key: str = "dGhlIHNhbXBsZSBub25jZQ==") -> dict[str, str]:
    """The headers of an opening handshake (RFC 6455 4.1)."""
    return {
        "Host": host,
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": key,
        "Sec-WebSocket-Version": "13",
    }


def close_of(taken: Frame) -> tuple[int | None, str]:
    """Code and words of a Close frame."""
    assert taken.opcode == CLOSE, taken
    if not taken.payload:
        return None, ""
    (code,) = struct.unpack_from("!H", taken.payload)
    return code, taken.payload[2:].decode()


def _head(path: str, headers: Mapping[str, str]) -> bytes:
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _parse(head: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return int(first.split(" ")[1]), {name.lower(): value.strip() for name, _, value in pairs}


def _more(connection: socket.socket, data: bytearray) -> bool:
    """Read what there is; False at the end."""
    got = connection.recv(1 << 18)
    data += got
    return bool(got)
