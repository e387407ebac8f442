"""What a peer is answered, as values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from chatd.core.events import Message, Notice, RoomEvent, Sender, Unsubscribed, Whisper
from chatd.errors import Refusal

__all__ = [
    "Answer",
    "Answered",
    "Connected",
    "Counted",
    "Done",
    "Found",
    "Listed",
    "Present",
    "Refreshed",
    "Refused",
    "Reply",
    "Subscribed",
    "Told",
]


@dataclass(frozen=True, slots=True)
class Connected:
    """Answer to `Connect`.

    Args:
        sender: who the peer is from now on.
        resume: the token that makes it the same user again; empty: it has signed in.
        ping_s: how often it is pinged, in seconds.
        limits: by name, for the peer's own use.
        is_moderator: of the server.
        ttl_s: in how many seconds it is to show a newer token, above 0; None: it need not.
    """

    sender: Sender
    resume: str
    ping_s: int
    limits: Mapping[str, int]
    is_moderator: bool = False
    ttl_s: int | None = None


@dataclass(frozen=True, slots=True)
class Subscribed:
    """Answer to `Subscribe`.

    Args:
        epoch: of the room.
        offset: the one the peer named when it recovered, else the room's head.
        was_recovering: whether it named a place.
        recovered: whether everything after that place follows.
        members: how many users are in the room.
        topic: what the room is about; empty: nothing was said.
        read: the last offset that the user has read; None: they never said.
    """

    epoch: str
    offset: int
    was_recovering: bool
    recovered: bool
    members: int
    topic: str = ""
    read: int | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """Answer to `History`.

    Args:
        messages: in the order asked for.
        epoch: of the room.
        head: its last offset.
    """

    messages: Sequence[Message]
    epoch: str
    head: int


@dataclass(frozen=True, slots=True)
class Present:
    """Answer to `Presence`: one sender for each user, at most 1 000."""

    senders: Sequence[Sender]


@dataclass(frozen=True, slots=True)
class Counted:
    """Answer to `PresenceStats`."""

    clients: int
    users: int


@dataclass(frozen=True, slots=True)
class Answered:
    """Answer to `Rpc`: a JSON value as Python has it."""

    value: object


@dataclass(frozen=True, slots=True)
class Refreshed:
    """Answer to `Refresh`.

    Args:
        ttl_s: see `Connected`.
    """

    ttl_s: int | None


@dataclass(frozen=True, slots=True)
class Found:
    """Answer to a call that searched: it has messages, as `Listed` has.

    Args:
        messages: in the order asked for.
        more: whether there are others after them.
    """

    messages: Sequence[Message]
    more: bool


@dataclass(frozen=True, slots=True)
class Done:
    """Answer to a command that has nothing to tell.

    Args:
        command: its name on the wire: `publish`, `unsubscribe` or `ping`.
    """

    command: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Answer to a command that is not obeyed."""

    refusal: Refusal


Answer = (
    Connected
    | Subscribed
    | Listed
    | Present
    | Counted
    | Answered
    | Found
    | Refreshed
    | Done
    | Refused
)


class Reply(NamedTuple):
    """An answer and the number of the command it belongs to."""

    id: int
    answer: Answer


Told = RoomEvent | Notice | Unsubscribed | Whisper | Reply
"""All that a dialect encodes."""
