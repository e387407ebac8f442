"""What a peer asks for, as values. `id` is the peer's number for the reply, above 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from chatd.errors import Refusal

__all__ = [
    "Command",
    "Connect",
    "Enter",
    "History",
    "Ignored",
    "Ping",
    "Presence",
    "PresenceStats",
    "Publish",
    "Refresh",
    "Rpc",
    "Say",
    "Send",
    "Since",
    "Strange",
    "Subscribe",
    "Unsubscribe",
]


@dataclass(frozen=True, slots=True)
class Enter:
    """Come in and into a room, in one: the first command on the plain door.

    Args:
        room: the name asked for, not yet checked; None: the default room.
        nick: the nick asked for, not yet checked; None: any.
    """

    room: str | None
    nick: str | None


@dataclass(frozen=True, slots=True)
class Say:
    """Say a text to the room one is in; it becomes a stored message."""

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


@dataclass(frozen=True, slots=True)
class Connect:
    """Come in, which is the first command of a conversation with replies.

    Args:
        id: of the command.
        token: says who it is, by somebody trusted; empty: a guest.
        nick: the nick asked for, not yet checked; None: any.
        resume: the token a guest was given before; None: a new one.
    """

    id: int
    token: str
    nick: str | None
    resume: str | None


@dataclass(frozen=True, slots=True)
class Since:
    """A place in a room's history, as a peer names it: an unchecked `Position`."""

    epoch: str
    offset: int


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Become a member of a room.

    Args:
        id: of the command.
        room: its name as the peer spells it, not yet checked.
        since: where it wants to go on; None: at the head.
        join_leave: whether it wants to be told who comes and goes.
    """

    id: int
    room: str
    since: Since | None
    join_leave: bool


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Leave a room."""

    id: int
    room: str


class Publish(NamedTuple):
    """Say something to a room.

    Args:
        id: of the command.
        room: its name, not yet checked.
        value: what is said: a JSON value as Python has it.
        payload: the same, see `compact`.
    """

    id: int
    room: str
    value: object
    payload: bytes


@dataclass(frozen=True, slots=True)
class History:
    """Read what was said.

    Args:
        id: of the command.
        room: its name, not yet checked.
        limit: how many at most, at least 0; 0: only the position.
        since: read what is after it, or before it when `reverse`; None: from the beginning, or
            from the end when `reverse`.
        reverse: the newest first.
    """

    id: int
    room: str
    limit: int
    since: Since | None
    reverse: bool


@dataclass(frozen=True, slots=True)
class Presence:
    """Ask who is in a room."""

    id: int
    room: str


@dataclass(frozen=True, slots=True)
class PresenceStats:
    """Ask how many are in a room."""

    id: int
    room: str


@dataclass(frozen=True, slots=True)
class Rpc:
    """Call something by its name.

    Args:
        id: of the command.
        method: its name.
        value: its argument, a JSON value as Python has it; None: none.
    """

    id: int
    method: str
    value: object


@dataclass(frozen=True, slots=True)
class Refresh:
    """Show a newer token."""

    id: int
    token: str


@dataclass(frozen=True, slots=True)
class Ping:
    """Ask for a sign of life."""

    id: int


@dataclass(frozen=True, slots=True)
class Strange:
    """A command that is none, or makes no sense.

    Args:
        id: of the command.
        refusal: what is to be answered.
    """

    id: int
    refusal: Refusal


@dataclass(frozen=True, slots=True)
class Ignored:
    """A sign of life, or what is not answered; it counts against the rate all the same."""


Command = (
    Enter
    | Say
    | Send
    | Connect
    | Subscribe
    | Unsubscribe
    | Publish
    | History
    | Presence
    | PresenceStats
    | Rpc
    | Refresh
    | Ping
    | Strange
    | Ignored
)
