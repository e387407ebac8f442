"""What comes in and what goes out, as values.

Commands are what a peer asks for; events are what members of a room are told. A door decodes
bytes to commands and encodes events to bytes; the rules in between see only these.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

__all__ = [
    "Command",
    "Enter",
    "Event",
    "Message",
    "Notice",
    "Relay",
    "Say",
    "Send",
    "Sender",
    "payload",
]


@dataclass(frozen=True, slots=True)
class Enter:
    """Come in, which is the first command of a conversation.

    Args:
        room: the name asked for, not yet checked; None: the default room.
        nick: the nick asked for, not yet checked; None: any.
    """

    room: str | None
    nick: str | None


@dataclass(frozen=True, slots=True)
class Say:
    """Say a text to the room; it becomes a stored message."""

    text: str


@dataclass(frozen=True, slots=True)
class Send:
    """Pass bytes on to whoever is there now; nothing is stored.

    Args:
        data: any bytes when `binary`, else UTF-8.
        binary: which kind of WebSocket message it was and becomes.
    """

    data: bytes
    binary: bool


Command = Enter | Say | Send


@dataclass(frozen=True, slots=True)
class Sender:
    """Who said it, then: a session's id and the nick it had."""

    session: str
    nick: str


@dataclass(frozen=True, slots=True)
class Message:
    """Something that was said: the stored, numbered event.

    Args:
        room: its folded name.
        sender: who said it.
        id: the sender's own, or the server's where the door has none.
        payload: compact JSON, see `payload`.
        offset: its place in the room, from 1, without holes.
        time_ms: when it was numbered, milliseconds since 1970; never falls within a room.
    """

    room: str
    sender: Sender
    id: str
    payload: bytes
    offset: int
    time_ms: int


@dataclass(frozen=True, slots=True)
class Relay:
    """Bytes passed on: no offset, not stored, in their place among the messages."""

    room: str
    sender: Sender
    data: bytes
    binary: bool


@dataclass(frozen=True, slots=True)
class Notice:
    """Words of the server to one peer, such as the greeting."""

    text: str


Event = Message | Relay | Notice


def payload(message_id: str, text: str) -> bytes:
    """The stored form of a text: compact JSON, UTF-8, no raw newline, no raw U+0000."""
    value = {"type": "message", "id": message_id, "text": text}
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
