"""A crowd that reads one room, and somebody who speaks in it, on bare sockets in one thread.

So that hundreds of readers cost less than the daemon that feeds them, nothing is parsed: places of
publications are found in the bytes as they come, frames and all. Pings are not answered.
"""

from __future__ import annotations

import json
import re
import selectors
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from tests.support.client import GoneError
from tests.support.rfc6455 import TEXT, client_frame
from tests.support.sdk import JsonClient, Position, chat

__all__ = ["Crowd", "Reader", "Speaker"]

_PLACE = re.compile(rb'"offset":([0-9]+),"time"')
_STORED = b'"publish":{}'


class Reader:
    """Somebody who is in, and reads one room.

    Args:
        port: of the daemon.
        since: the position they know.
    """

    def __init__(self, port: int, since: Position) -> None:
        self._client = JsonClient(port)
        self._client.connect()
        self._since = since
        self._rest = b""
        self._head: bytes | None = b""
        self.socket = self._client.socket.socket
        self.last = since[1]

    def subscribe(self, room: str) -> None:
        """Ask for what was missed, and go on."""
        epoch, offset = self._since
        asked = {"channel": room, "recover": True, "epoch": epoch, "offset": offset}
        self.socket.sendall(client_frame(TEXT, json.dumps({"id": 99, "subscribe": asked}).encode()))

    def read(self) -> None:
        """Take what there is.

        Raises:
            GoneError: the connection ended.
            AssertionError: it is not what comes next, or the position was not good.
        """
        got = self.socket.recv(1 << 18)
        if not got:
            raise GoneError(f"after {self.last}")
        if self._head is not None:
            self._head += got
            if b'"pub"' in self._head:
                assert b'"recovered":true' in self._head.split(b'"pub"')[0], self._head[:300]
                self._head = None
        self._rest += got
        end = 0
        for found in _PLACE.finditer(self._rest):
            self.last += 1
            place = int(found[1])
            assert place == self.last, f"{place} instead of {self.last}"
            end = found.end()
        self._rest = self._rest[end:]

    def close(self) -> None:
        """Go, without a word."""
        self._client.kill()


class Speaker:
    """Says messages at a rate, and counts the replies.

    Args:
        port: of the daemon.
        room: where.
    """

    def __init__(self, port: int, room: str) -> None:
        self._client = JsonClient(port)
        self._client.connect()
        self._room = room
        self._rest = b""
        self.socket = self._client.socket.socket
        self.said = self.stored = 0

    def say(self, count: int) -> None:
        """Send so many messages."""
        lines = []
        for _ in range(count):
            self.said += 1
            said = chat(f"s{self.said}", f"{self.said} ".ljust(60, "."))
            lines.append(
                json.dumps(
                    {"id": 1_000 + self.said, "publish": {"channel": self._room, "data": said}}
                )
            )
        if lines:
            self.socket.sendall(client_frame(TEXT, "\n".join(lines).encode()))

    def read(self) -> None:
        """Take the replies that there are.

        Raises:
            GoneError: the connection ended.
            AssertionError: one is a refusal.
        """
        got = self.socket.recv(1 << 18)
        if not got:
            raise GoneError(f"the speaker, after {self.stored}")
        self._rest += got
        assert b'"error"' not in self._rest, self._rest[:300]
        self.stored += self._rest.count(_STORED)
        self._rest = self._rest[1 - len(_STORED) :]

    def close(self) -> None:
        """Go, without a word."""
        self._client.kill()


class Crowd:
    """Readers of one room and a speaker in it.

    Args:
        ports: of the daemon, which the readers share.
        room: which one.
        since: the position that the readers know.
        count: how many readers.
    """

    def __init__(self, ports: Sequence[int], room: str, since: Position, count: int) -> None:
        self.readers: list[Reader] = []
        self._room = room
        self._selector = selectors.DefaultSelector()
        try:
            for number in range(count):
                self.readers.append(Reader(ports[number % len(ports)], since))
            self.speaker = Speaker(ports[0], room)
        except BaseException:
            for reader in self.readers:
                reader.close()
            self._selector.close()
            raise
        self._all: tuple[Reader | Speaker, ...] = (*self.readers, self.speaker)
        for each in self._all:
            self._selector.register(each.socket, selectors.EVENT_READ, each)

    def run(self, rate: int, enough: Callable[[float], bool], most_s: float) -> None:
        """Speak and read.

        Args:
            rate: messages a second that are said.
            enough: told how long it runs in seconds, whether to stop.
            most_s: the longest it may take.

        Raises:
            GoneError: a connection ended.
            AssertionError: it takes too long, or something came that is not what comes next.
        """
        begun, before = time.monotonic(), self.speaker.said
        while not enough(now := time.monotonic() - begun):
            assert now < most_s, f"not within {most_s:g} s: {self}"
            self.speaker.say(int(now * rate) - (self.speaker.said - before))
            for key, _ in self._selector.select(0.005 if rate else 0.1):
                key.data.read()

    def resume(self) -> None:
        """Have all readers ask for what they missed, all at once."""
        for each in self.readers:
            each.subscribe(self._room)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for each in self._all:
            each.close()
        self._selector.close()

    def __str__(self) -> str:
        lasts = sorted(each.last for each in self.readers)
        return (
            f"{len(lasts)} readers at {lasts[0]} to {lasts[-1]}, "
            f"{self.speaker.stored} of {self.speaker.said} acknowledged"
        )
