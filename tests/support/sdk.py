"""A small blocking client of the Centrifuge JSON protocol, and people who speak by it.

It shares no code with the daemon's side.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tests.support.jsonline import PATH, ClosedError, Json, JsonLine, RefusedError

__all__ = [
    "PATH",
    "ClosedError",
    "Json",
    "JsonClient",
    "Position",
    "RefusedError",
    "chat",
    "fill",
    "read_all",
]

PAGE = 500
"""The most publications that one page of history may hold."""

Position = tuple[str, int]
"""Epoch and offset."""


def chat(message_id: str, text: str) -> Json:
    """What somebody says, as it is published."""
    return {"type": "message", "id": message_id, "text": text}


class JsonClient(JsonLine):
    """Somebody who comes in and speaks.

    Args:
        port: of the daemon, either one.
        receive_buffer: how much the kernel may keep for us; 0: its own choice.

    Raises:
        GoneError: there was no answer.
    """

    def __init__(self, port: int, *, receive_buffer: int = 0) -> None:
        super().__init__(port, receive_buffer=receive_buffer)
        self.user = self.client_id = self.resume = self.nick = ""

    def connect(
        self, nick: str | None = None, resume: str | None = None, token: str | None = None
    ) -> Json:
        """Come in.

        Args:
            nick: to be called so.
            resume: the token that an earlier `connect` gave.
            token: of an identity provider.

        Returns:
            the result.

        Raises:
            RefusedError: with an error.
            GoneError: the connection ended; `ClosedError` with a Close.
        """
        asked = {"nick": nick, "resume": resume}
        body: Json = {"data": {key: value for key, value in asked.items() if value is not None}}
        if token is not None:
            body["token"] = token
        result = self.call("connect", body)
        self.client_id = result["client"]
        about = result["data"]
        self.user, self.nick, self.resume = about["user"], about["nick"], about["resume"]
        return result

    def subscribe(
        self, room: str, since: Position | None = None, *, join_leave: bool = False
    ) -> Json:
        """Become a member of a room; raises as `connect` does.

        Args:
            room: its name.
            since: where to go on; None: at the head.
            join_leave: whether to be told who comes and goes.
        """
        body: Json = {"channel": room, "positioned": True, "recoverable": True}
        if since is not None:
            epoch, offset = since
            body |= {"recover": True, "epoch": epoch}
            if offset:  # the SDKs leave out what is zero
                body["offset"] = offset
        if join_leave:
            body["join_leave"] = True
        return self.call("subscribe", body)

    def unsubscribe(self, room: str) -> Json:
        """Leave a room; raises as `connect` does."""
        return self.call("unsubscribe", {"channel": room})

    def publish(self, room: str, data: object) -> Json:
        """Publish and wait until it is stored; raises as `connect` does."""
        return self.call("publish", {"channel": room, "data": data})

    def history(
        self,
        room: str,
        limit: int = 0,
        since: Position | None = None,
        *,
        reverse: bool = False,
    ) -> Json:
        """Read a page of history; raises as `connect` does.

        Args:
            room: its name.
            limit: the most publications; 0: none, only the position.
            since: after this position, or before it when `reverse`; None: from the first, or the
                last when `reverse`.
            reverse: backward.
        """
        body: Json = {"channel": room, "limit": limit}
        if since is not None:
            body["since"] = {"epoch": since[0], "offset": since[1]}
        if reverse:
            body["reverse"] = True
        return self.call("history", body)

    def presence(self, room: str) -> Json:
        """Who is in a room, by client; raises as `connect` does."""
        present: Json = self.call("presence", {"channel": room}).get("presence", {})
        return present

    def presence_stats(self, room: str) -> Json:
        """How many are in a room; raises as `connect` does."""
        return self.call("presence_stats", {"channel": room})

    def rpc(self, method: str, data: object) -> Any:
        """Call one of the daemon's own methods; raises as `connect` does."""
        return self.call("rpc", {"method": method, "data": data})["data"]

    def publish_all(
        self, room: str, contents: Iterable[Mapping[str, Any]], *, window: int = 64
    ) -> Iterator[str]:
        """Publish without waiting for each reply.

        Args:
            room: its name.
            contents: what to publish; each has an `id`.
            window: how many may be without a reply.

        Yields:
            the `id` of each as soon as it is known to be stored, in order.

        Raises:
            RefusedError: one was refused.
            GoneError: the connection ended: what was not yielded may be stored or not.
        """
        waiting: deque[tuple[int, str]] = deque()
        rest, more = iter(contents), True
        while more or waiting:
            while more and len(waiting) < window:
                content = next(rest, None)
                if content is None:
                    more = False
                    break
                number = self.put("publish", {"channel": room, "data": content})
                waiting.append((number, content["id"]))
            self.flush()
            if waiting:
                first = waiting[0][0]
                while not self.has_reply(first):
                    self.receive()
                while waiting and self.has_reply(waiting[0][0]):
                    number, message_id = waiting.popleft()
                    self.taken("publish", number)
                    yield message_id


def read_all(client: JsonClient, room: str, after: int = 0) -> Sequence[Json]:
    """Read the history of a room, page by page, to its end.

    Args:
        client: who reads.
        room: its name.
        after: only what came after this offset.

    Raises:
        AssertionError: a page has a hole, or comes from elsewhere than was asked.
    """
    got: list[Json] = []
    position = client.history(room)
    epoch, head = position["epoch"], position.get("offset", 0)
    while (offset := after + len(got)) < head:
        page = client.history(room, PAGE, (epoch, offset)).get("publications", [])
        assert page, f"nothing after {offset} of {head}"
        offsets = [each["offset"] for each in page]
        assert offsets == list(range(offset + 1, offset + 1 + len(page))), (offset, offsets)
        got += page
    return got


def fill(port: int, room: str, count: int, *, first: int = 1, speakers: int = 4) -> list[Json]:
    """Have a room filled by several people, one after the other.

    Args:
        port: of the daemon.
        room: its name.
        count: how many messages.
        first: number of the first, in their texts.
        speakers: how many people share them.

    Returns:
        what was published, in order.
    """
    contents = [chat(f"m{number}", f"number {number}") for number in range(first, first + count)]
    share = -(-count // speakers)
    for start in range(0, count, share or 1):
        with JsonClient(port) as client:
            client.connect()
            part = contents[start : start + share]
            stored = list(client.publish_all(room, part, window=256))
            assert stored == [each["id"] for each in part]
    return contents
