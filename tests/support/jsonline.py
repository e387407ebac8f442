"""A blocking conversation in lines of Centrifuge JSON: commands out, replies and pushes in.

It shares no code with the daemon's side and does what it is told: it never reconnects and keeps
no positions. Only pings are answered by itself, while it reads.
"""

from __future__ import annotations

import json
import select
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from tests.support.client import TIMEOUT_S, Client, GoneError, close_of
from tests.support.rfc6455 import CLOSE, PING, PONG, TEXT, take_frame

__all__ = ["PATH", "ClosedError", "Json", "JsonLine", "Push", "RefusedError"]

PATH = "/connection/websocket"

LONGEST_FRAME = 512 * 1024
"""No frame of the daemon may be longer."""

PIECE = 32 * 1024
"""Commands are sent together in messages of about this size, well below the daemon's limit."""

Json = dict[str, Any]


class RefusedError(Exception):
    """A command was answered with an error.

    Args:
        code: the number of the error.
        words: its message.
        temporary: whether it may be tried again.
    """

    def __init__(self, code: int, words: str, temporary: bool) -> None:
        super().__init__(code, words, temporary)
        self.code = code
        self.words = words
        self.temporary = temporary


class ClosedError(GoneError):
    """The other side said goodbye.

    Args:
        code: of its Close; None when there was none.
        reason: its words.
    """

    def __init__(self, code: int | None, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Push:
    """Something the daemon told by itself: `kind` is `pub`, `join`, `leave`, `unsubscribe`..."""

    channel: str
    kind: str
    body: Json


class JsonLine:
    """A connection that speaks Centrifuge JSON.

    Args:
        port: of the daemon, either one.
        receive_buffer: how much the kernel may keep for us; 0: its own choice.

    Raises:
        GoneError: there was no answer.
    """

    def __init__(self, port: int, *, receive_buffer: int = 0) -> None:
        self.socket = Client(port, PATH, receive_buffer=receive_buffer)
        self.answers_pings = True
        self.pings = 0
        self.pushes: deque[Push] = deque()
        self._replies: dict[int, Json] = {}
        self._last_id = 0
        self._unsent: list[str] = []

    def pong(self) -> None:
        """Answer a ping."""
        self._send("{}")

    def call(self, method: str, body: Mapping[str, Any]) -> Json:
        """Send a command and wait for its result.

        Raises:
            RefusedError: it is an error.
            GoneError: the connection ended; `ClosedError` with a Close.
        """
        number = self.put(method, body)
        self.flush()
        return self.result(method, number)

    def put(self, method: str, body: Mapping[str, Any]) -> int:
        """Make a command ready, to be sent by `flush`.

        Returns:
            its id.
        """
        self._last_id += 1
        command = {"id": self._last_id, method: body}
        self._unsent.append(json.dumps(command, ensure_ascii=False, separators=(",", ":")))
        return self._last_id

    def flush(self) -> None:
        """Send what was `put`, as lines of as few messages as may be."""
        lines, self._unsent = self._unsent, []
        piece, size = list[str](), 0
        for line in lines:
            if piece and size + len(line) > PIECE:
                self._send("\n".join(piece))
                piece, size = [], 0
            piece.append(line)
            size += len(line)
        if piece:
            self._send("\n".join(piece))

    def result(self, method: str, number: int) -> Json:
        """Wait for the reply to a command; raises as `call` does."""
        while not self.has_reply(number):
            self.receive()
        return self.taken(method, number)

    def next_push(self, kind: str = "", timeout_s: float = TIMEOUT_S) -> Push:
        """The next thing the daemon tells by itself.

        Args:
            kind: of it; what is of another kind is thrown away; empty: any.
            timeout_s: for how long to wait.

        Raises:
            GoneError: the connection ended.
            AssertionError: there was none in time.
        """
        end = time.monotonic() + timeout_s
        while True:
            while self.pushes:
                push = self.pushes.popleft()
                if not kind or push.kind == kind:
                    return push
            assert time.monotonic() < end, f"no {kind or 'push'} within {timeout_s:g} s"
            self.receive(end)

    def publications(self, count: int, timeout_s: float = 30.0) -> list[Json]:
        """The next publications.

        Args:
            count: how many.
            timeout_s: for all of them.

        Raises:
            GoneError: the connection ended.
            AssertionError: there were not as many in time.
        """
        end = time.monotonic() + timeout_s
        got: list[Json] = []
        while len(got) < count:
            left = end - time.monotonic()
            assert left > 0, f"{len(got)} of {count} publications within {timeout_s:g} s"
            got.append(self.next_push("pub", left).body)
        return got

    def receive(self, end: float | None = None) -> None:
        """Read at least one frame.

        Args:
            end: until when to wait, on the monotonic clock; None: `TIMEOUT_S` from now.

        Raises:
            GoneError: the connection ended; `ClosedError` with a Close.
            AssertionError: nothing came in time.
        """
        end = time.monotonic() + TIMEOUT_S if end is None else end
        while not self._take():
            left = max(0.0, end - time.monotonic())
            ready, _, _ = select.select([self.socket.socket], [], [], left)
            assert ready, "silence"
            self._more(1 << 18)

    def sip(self, most: int, timeout_s: float = TIMEOUT_S) -> int:
        """Read a few bytes, as somebody with a slow line would.

        Args:
            most: how many bytes at most.
            timeout_s: for how long to wait for the first.

        Returns:
            how many there were; 0: none in time.

        Raises:
            GoneError: the connection ended; `ClosedError` with a Close.
        """
        ready, _, _ = select.select([self.socket.socket], [], [], timeout_s)
        if not ready:
            return 0
        before = len(self.socket.unread)
        self._more(most)
        got = len(self.socket.unread) - before
        self._take()
        return got

    def read_slowly(self, bytes_per_s: int, most: int, enough: Callable[[], bool]) -> None:
        """Read bytes at a rate.

        Args:
            bytes_per_s: the rate.
            most: how many bytes at most.
            enough: asked before each read; whether to stop.

        Raises:
            GoneError: the connection ended; `ClosedError` with a Close.
            AssertionError: nothing came for `TIMEOUT_S`.
        """
        begun, got = time.monotonic(), 0
        while got < most and not enough():
            due = begun + got / bytes_per_s - time.monotonic()
            if due > 0:
                select.select([], [], [], due)
            sipped = self.sip(min(most - got, max(1, bytes_per_s // 20)))
            assert sipped, f"silence after {got} bytes"
            got += sipped

    def kill(self) -> None:
        """Reset the connection, without a word."""
        self.socket.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.socket.socket.close()

    def _send(self, text: str) -> None:
        try:
            self.socket.say(text)
        except (BrokenPipeError, ConnectionResetError) as error:
            # a Close may have come, which says more
            self._take()
            raise GoneError(str(error)) from None

    def has_reply(self, number: int) -> bool:
        """Whether the reply to a command has come."""
        return number in self._replies

    def taken(self, method: str, number: int) -> Json:
        """The result of a command whose reply has come; raises as `call` does."""
        reply = self._replies.pop(number)
        if "error" in reply:
            error = reply["error"]
            raise RefusedError(error["code"], error["message"], error.get("temporary", False))
        assert method in reply, f"no {method} in {reply}"
        result: Json = reply[method]
        return result

    def _more(self, most: int) -> None:
        try:
            got = self.socket.socket.recv(most)
        except ConnectionResetError as error:
            raise GoneError(str(error)) from None
        if not got:
            raise GoneError("without a Close")
        self.socket.unread += got

    def _take(self) -> bool:
        """Take the whole frames that have come; whether there was one."""
        taken = False
        while (frame := take_frame(self.socket.unread)) is not None:
            taken = True
            if frame.opcode == TEXT:
                assert frame.fin, "a message in several frames"
                assert len(frame.payload) <= LONGEST_FRAME, f"{len(frame.payload)} bytes"
                for line in frame.payload.decode().split("\n"):
                    if line:
                        self._heard(json.loads(line))
            elif frame.opcode == PING:
                self.socket.send(PONG, frame.payload)
            elif frame.opcode == CLOSE:
                raise ClosedError(*close_of(frame))
        return taken

    def _heard(self, said: Json) -> None:
        if not said:
            self.pings += 1
            if self.answers_pings:
                self.pong()
        elif "push" in said:
            push = said["push"]
            (kind,) = (key for key in push if key != "channel")
            self.pushes.append(Push(push.get("channel", ""), kind, push[kind]))
        else:
            number = said["id"]
            assert 0 < number <= self._last_id, f"a reply to nothing: {said}"
            assert number not in self._replies, f"a second reply: {said}"
            self._replies[number] = said
