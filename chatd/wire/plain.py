"""The raw text of the original demo: what a WebSocket message says is what it is.

In: text is a message, binary and empty ones are passed on. Out: a message is its text, an edit its
new text after a star, and other JSON that is no chat its JSON. There are no replies; a refusal is a
close.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import orjson

from chatd.core.commands import Command, Enter, Say, Send
from chatd.core.events import Message, Notice, Relay
from chatd.core.replies import Told
from chatd.errors import BAD_REQUEST, ChatError
from chatd.wire.frames import BINARY, TEXT, frame

__all__ = ["Plain", "decode", "entrance"]


@dataclass(frozen=True, slots=True)
class Plain:
    """`core.room.Dialect` of the plain door.

    Args:
        nicks: whether a text is shown as `nick: text`.
    """

    has_replies: ClassVar[bool] = False
    is_common: ClassVar[bool] = True

    nicks: bool = False

    def of_room(self, name: str, *, join_leave: bool) -> Plain:
        """The same: a connection has one room, whose name is not shown."""
        return self

    def encode(self, event: Told) -> bytes:
        """One frame: the event's text, or its bytes; nothing for what cannot be said in text."""
        if isinstance(event, Notice):
            return frame(TEXT, event.text.encode())
        if isinstance(event, Message):
            said = _said(event.payload)
            return b"" if said is None else self._text(event.sender.nick, said)
        if not isinstance(event, Relay):
            return b""
        if event.binary:
            return frame(BINARY, event.data)
        return self._text(event.sender.nick, event.data)

    def _text(self, nick: str, text: bytes) -> bytes:
        return frame(TEXT, f"{nick}: ".encode() + text if self.nicks else text)


def _said(payload: bytes) -> bytes | None:
    """What is shown of a message; None: nothing, as of what changes others without words."""
    match orjson.loads(payload):
        case {"type": "message", "text": str(text)}:
            return text.encode()
        case {"type": "edit", "text": str(text)}:
            return f"* {text}".encode()
        case {"type": "delete" | "reaction" | "topic"}:
            return None
        case {"type": "deleted", **others} if not others:
            return None
    return payload


def decode(data: bytes, binary: bool) -> Sequence[Command]:
    """Read one WebSocket message: one command.

    Args:
        data: its payload; valid UTF-8 unless `binary`.
        binary: its kind.
    """
    if binary or not data:
        return [Send(data, binary)]
    return [Say(data.decode())]


def entrance(query: Mapping[str, Sequence[str]]) -> tuple[Enter, Plain]:
    """Where somebody wants to go and what they want to see, from the query of the URL.

    Args:
        query: `room`, `nick` and `nicks`, each at most once; others are ignored.

    Raises:
        ChatError: BAD_REQUEST, when one is given twice or `nicks` is neither 0 nor 1.
    """
    known = {key: query[key] for key in ("room", "nick", "nicks") if key in query}
    if any(len(values) != 1 for values in known.values()):
        raise ChatError(BAD_REQUEST)
    nicks = known.get("nicks", ["0"])[0]
    if nicks not in ("0", "1"):
        raise ChatError(BAD_REQUEST)
    room, nick = (known[key][0] if key in known else None for key in ("room", "nick"))
    return Enter(room, nick), Plain(nicks == "1")
