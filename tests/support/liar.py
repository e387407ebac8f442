"""A chat server that lies to one of its members, for proofs that a load generator notices.

It speaks just enough of the raw and of the Centrifuge dialect, in a thread, on a port of its own.
Everybody but the member who came last is told the truth.
"""

from __future__ import annotations

import json
import selectors
import socket
import struct
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from tests.support.rfc6455 import ACCEPT, TEXT

__all__ = ["Liar", "Lie"]

Lie = Callable[[int, bytes], Sequence[bytes]]
"""What the member is sent instead of the delivery of that number, counted from 0."""

_END_S = 10.0
_END_OF_HEAD = b"\r\n\r\n"
_OPEN = (
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    f"Sec-WebSocket-Accept: {ACCEPT}\r\n\r\n"
).encode()


class Liar:
    """A server for as long as the block runs.

    Args:
        lie: see `Lie`; None: it is honest.
        answers: whether those who publish by Centrifuge are answered.
    """

    def __init__(self, lie: Lie | None = None, *, answers: bool = True) -> None:
        self._lie = lie
        self._answers = answers
        self._members: list[_Member] = []
        self._delivered = 0
        self._top = 0
        self._selector = selectors.DefaultSelector()
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._inside, self._outside = socket.socketpair()
        self.port = int(self._listening.getsockname()[1])
        for each in (self._listening, self._inside):
            self._selector.register(each, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._outside.close()
        self._thread.join(_END_S)
        for each in [member.socket for member in self._members]:
            each.close()
        self._listening.close()
        self._inside.close()
        self._selector.close()

    def _serve(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._inside:
                    return
                if key.fileobj is self._listening:
                    member = _Member(self._listening.accept()[0])
                    self._members.append(member)
                    self._selector.register(member.socket, selectors.EVENT_READ, member)
                else:
                    self._read(key.data)

    def _read(self, member: _Member) -> None:
        try:
            got = member.socket.recv(1 << 16)
        except OSError:
            got = b""
        if not got:
            self._selector.unregister(member.socket)
            member.socket.close()
            self._members.remove(member)
            return
        member.unread += got
        if not member.is_open:
            head, found, rest = bytes(member.unread).partition(_END_OF_HEAD)
            if not found:
                return
            member.is_open = True
            member.unread = bytearray(rest)
            member.speaks_json = b"/connection/" in head.splitlines()[0]
            member.socket.sendall(_OPEN)
        while (said := member.take()) is not None:
            if member.speaks_json:
                self._command(member, said)
            else:
                self._tell(said)

    def _command(self, member: _Member, line: bytes) -> None:
        command = json.loads(line)
        if "publish" in command:
            self._top += 1
            publication = {"data": command["publish"]["data"], "offset": self._top}
            push = {"push": {"channel": command["publish"]["channel"], "pub": publication}}
            self._tell(_compact(push))
        if "publish" not in command or self._answers:
            name = next(name for name in command if name != "id")
            member.send(_compact({"id": command["id"], name: {}}))

    def _tell(self, text: bytes) -> None:
        *others, last = self._members
        for member in others:
            member.send(text)
        for each in [text] if self._lie is None else self._lie(self._delivered, text):
            last.send(each)
        self._delivered += 1


class _Member:
    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(_END_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = connection
        self.unread = bytearray()
        self.is_open = False
        self.speaks_json = False

    def send(self, text: bytes) -> None:
        head = struct.pack("!BB", 0x80 | TEXT, len(text))
        if len(text) > 125:
            head = struct.pack("!BBH", 0x80 | TEXT, 126, len(text))
        with suppress(OSError):  # gone: its end is read next
            self.socket.sendall(head + text)

    def take(self) -> bytes | None:
        """Take the text of the first frame off; None while it is not whole."""
        if len(self.unread) < 2:
            return None
        size, start = self.unread[1] & 0x7F, 2
        assert self.unread[0] == 0x80 | TEXT and self.unread[1] & 0x80, "no masked text frame"
        if size == 126:
            size, start = int.from_bytes(self.unread[2:4], "big"), 4
        mask, end = self.unread[start : start + 4], start + 4 + size
        if len(self.unread) < end:
            return None
        payload = bytes(
            each ^ mask[index % 4] for index, each in enumerate(self.unread[start + 4 : end])
        )
        assert any(mask), "the mask is zero"
        del self.unread[:end]
        return payload


def _compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
