"""The raw text of the original demo: what a WebSocket message says is what it is.

In: text is a message, binary and empty ones are passed on. Out: a message is its text. There are
no replies; a refusal is a close.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chatd.core.events import Command, Enter, Event, Message, Notice, Say, Send
from chatd.errors import BAD_REQUEST
from chatd.wire.frames import BINARY, TEXT, frame

__all__ = ["Plain", "decode", "entrance"]


@dataclass(frozen=True, slots=True)
class Plain:
    """`core.room.Dialect` of the plain door.

    Args:
        nicks: whether a text is shown as `nick: text`.
    """

    nicks: bool = False

    def encode(self, event: Event) -> bytes:
        """One frame: the event's text, or its bytes."""
        if isinstance(event, Notice):
            return frame(TEXT, event.text.encode())
        if isinstance(event, Message):
            return self._text(event.sender.nick, json.loads(event.payload)["text"].encode())
        if event.binary:
            return frame(BINARY, event.data)
        return self._text(event.sender.nick, event.data)

    def _text(self, nick: str, text: bytes) -> bytes:
        return frame(TEXT, f"{nick}: ".encode() + text if self.nicks else text)


def decode(data: bytes, binary: bool) -> Command:
    """One WebSocket message.

    Args:
        data: its payload; valid UTF-8 unless `binary`.
        binary: its kind.
    """
    if binary or not data:
        return Send(data, binary)
    return Say(data.decode())


def entrance(query: Mapping[str, Sequence[str]]) -> tuple[Enter, Plain]:
    """Where somebody wants to go and what they want to see, from the query of the URL.

    Args:
        query: `room`, `nick` and `nicks`, each at most once; others are ignored.

    Raises:
        ChatError: BAD_REQUEST, when one is given twice or `nicks` is neither 0 nor 1.
    """
    known = {key: query[key] for key in ("room", "nick", "nicks") if key in query}
    if any(len(values) != 1 for values in known.values()):
        raise BAD_REQUEST
    nicks = known.get("nicks", ["0"])[0]
    if nicks not in ("0", "1"):
        raise BAD_REQUEST
    room, nick = (known[key][0] if key in known else None for key in ("room", "nick"))
    return Enter(room, nick), Plain(nicks == "1")
