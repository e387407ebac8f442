"""What members of a room are told, as values; and what one peer is told without having asked."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

import orjson

__all__ = [
    "MESSAGE",
    "OTHER",
    "About",
    "Joined",
    "Kind",
    "Left",
    "Message",
    "Notice",
    "Passing",
    "Relay",
    "RoomEvent",
    "Sender",
    "Signal",
    "Unsubscribed",
    "Whisper",
    "compact",
    "payload",
]

_COPIED_BYTES = 2048


@dataclass(frozen=True, slots=True)
class Sender:
    """Who it was, then: a user, by one of their sessions, with the nick they had.

    Args:
        user: their id; letters, digits, `_` and `-`.
        session: the session's id; likewise.
        nick: see `core.names.nick`.
    """

    user: str
    session: str
    nick: str
    encoded: bytes = field(init=False, compare=False, repr=False)
    """Itself as the compact JSON that is stored and told: `user`, `client`, `conn_info`."""

    def __post_init__(self) -> None:
        value = {"user": self.user, "client": self.session, "conn_info": {"nick": self.nick}}
        object.__setattr__(self, "encoded", compact(value))

    @staticmethod
    @lru_cache(4096)
    def decode(encoded: bytes) -> Sender:
        """Make it from `encoded`; the many messages of one sender share one object."""
        value = json.loads(encoded)
        return Sender(value["user"], value["client"], value["conn_info"]["nick"])


class Kind(IntEnum):
    """What a stored message is, as far as the rules look at it. The numbers are stored."""

    OTHER = 0
    """Any JSON value."""
    MESSAGE = 1
    EDIT = 2
    DELETE = 3
    REACTION = 4
    TOPIC = 5


class About(NamedTuple):
    """What storing a message has to know of it beside its bytes.

    Args:
        kind: what it is.
        ref: offset of the message that it changes; 0: it changes none.
        erases: offsets of the messages whose payload is gone from now on.
        mentions: the folded nicks that its text names, at most 20.
    """

    kind: Kind = Kind.OTHER
    ref: int = 0
    erases: tuple[int, ...] = ()
    mentions: tuple[str, ...] = ()


OTHER = About()
MESSAGE = About(Kind.MESSAGE)


class Message(NamedTuple):
    """Something that was said: the stored, numbered event.

    Args:
        room: its folded name.
        sender: who said it.
        payload: compact JSON; see `compact`.
        offset: its place in the room, from 1, without holes.
        time_ms: when it was numbered, milliseconds since 1970; never falls within a room.
        erases: offsets of the messages whose payload is gone from now on. Told when it is
            delivered, not when it is read back.
    """

    room: str
    sender: Sender
    payload: bytes
    offset: int
    time_ms: int
    erases: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Relay:
    """Bytes passed on between plain connections: no offset, not stored."""

    room: str
    sender: Sender
    data: bytes
    binary: bool


@dataclass(frozen=True, slots=True)
class Signal:
    """JSON that is told and not stored, such as that somebody types."""

    room: str
    sender: Sender
    payload: bytes


@dataclass(frozen=True, slots=True)
class Joined:
    """A user is present from now on; the sender is their first session."""

    room: str
    sender: Sender


@dataclass(frozen=True, slots=True)
class Left:
    """A user is present no longer; the sender is their last session."""

    room: str
    sender: Sender


Passing = Relay | Signal | Joined | Left
RoomEvent = Message | Passing


@dataclass(frozen=True, slots=True)
class Notice:
    """Words of the server to one peer, such as the greeting."""

    text: str


@dataclass(frozen=True, slots=True)
class Whisper:
    """JSON told to one user's sessions, whatever rooms they are in."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Unsubscribed:
    """The peer was taken out of a room.

    Args:
        room: its folded name; the peer is told it as it spells it.
        code: 2000: for good; from 2500 on it may subscribe again.
        reason: our words.
    """

    room: str
    code: int
    reason: str


def compact(value: object) -> bytes:
    """A JSON value as it is stored and told: UTF-8, no space, no raw newline, no raw U+0000.

    Raises:
        UnicodeEncodeError: it has half a surrogate pair.
    """
    try:
        encoded = orjson.dumps(value)
    except orjson.JSONEncodeError:  # a whole number of more than 64 bits, for one
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    # It was written into up to twice the space, of which the rest becomes holes between those kept.
    return encoded if len(encoded) < _COPIED_BYTES else bytes(memoryview(encoded))


def payload(message_id: str, text: str) -> bytes:
    """The stored form of a text."""
    return compact({"type": "message", "id": message_id, "text": text})
