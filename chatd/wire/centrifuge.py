"""Centrifuge JSON, as the public client SDKs speak it: replies and events to text.

A WebSocket frame for each; of what is told to many, the same bytes. What was stored goes out as
the bytes it was stored as, never parsed again. What comes in is read in `wire.lines`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import ClassVar

from chatd.core.events import Joined, Left, Message, Sender, Signal, Unsubscribed, Whisper, compact
from chatd.core.replies import (
    Answered,
    Connected,
    Counted,
    Done,
    Found,
    Listed,
    Present,
    Refreshed,
    Reply,
    Subscribed,
    Told,
)
from chatd.wire.frames import TEXT, frame
from chatd.wire.lines import decode, frame_bytes

__all__ = [
    "LISTED_BYTES",
    "PING",
    "PRESENT_BYTES",
    "Centrifuge",
    "Channel",
    "decode",
    "frame_bytes",
]

LISTED_BYTES = 64 * 1024
"""How long the messages of a page may be together as they are sent, unless there is only one."""

PRESENT_BYTES = 500 * 1024
"""How long a list of who is present may be; 1 000 with ids of 64 characters take 300 KiB."""

PING = frame(TEXT, b"{}")
"""Asks the client for a sign of life, which is a message of its own, such as `{}`."""


@dataclass(frozen=True, slots=True)
class Centrifuge:
    """`core.room.Dialect` of a session: what it alone is told.

    Args:
        version: our name and version, such as `chatd 1.0`.
        node: this process's name.
        web: the digest of the page's files, by which an older page knows that it is old; empty:
            there is no page.
    """

    has_replies: ClassVar[bool] = True
    is_common: ClassVar[bool] = True

    version: str
    node: str
    web: str = ""

    def of_room(self, name: str, *, join_leave: bool) -> Channel:
        """What a member of a room is told in; see `Channel`."""
        return _channel(name, join_leave)

    def encode(self, event: Told) -> bytes:
        """One frame; nothing for what is told to rooms or said in words."""
        if isinstance(event, Reply):
            answer = event.answer
            told = _done(answer.command) if type(answer) is Done else self._answer(event)
            return frame(TEXT, b'{"id":%d,%b}' % (event.id, told))
        if isinstance(event, Whisper):
            return frame(TEXT, b'{"push":{"message":{"data":%b}}}' % event.payload)
        return b""

    def _answer(self, reply: Reply) -> bytes:
        """The part of a reply that is named after the command."""
        answer = reply.answer
        match answer:
            case Connected():
                return _named("connect", self._connected(answer))
            case Subscribed():
                return _named("subscribe", _subscribed(answer))
            case Listed():
                told = b",".join(_fitting(map(_publication, answer.messages), LISTED_BYTES))
                place = (compact(answer.epoch), answer.head)
                return b'"history":{"publications":[%b],"epoch":%b,"offset":%d}' % (told, *place)
            case Present():
                told = b",".join(_fitting(map(_client, answer.senders), PRESENT_BYTES))
                return b'"presence":{"presence":{%b}}' % told
            case Counted():
                counts = {"num_clients": answer.clients, "num_users": answer.users}
                return _named("presence_stats", counts)
            case Refreshed():
                return _named("refresh", _expiry(answer.ttl_s))
            case Answered():
                return _named("rpc", {"data": answer.value})
            case Found():
                shown = _fitting(map(_publication, answer.messages), LISTED_BYTES)
                more = b"true" if answer.more or len(shown) < len(answer.messages) else b"false"
                return b'"rpc":{"data":{"found":[%b],"more":%b}}' % (b",".join(shown), more)
            case Done():
                return _done(answer.command)
        refusal = answer.refusal
        error = {"code": refusal.code, "message": refusal.words, "temporary": refusal.temporary}
        return _named("error", _worth_telling(error))

    def _connected(self, answer: Connected) -> Mapping[str, object]:
        sender = answer.sender
        return {
            "client": sender.session,
            "version": self.version,
            "ping": answer.ping_s,
            "pong": True,
            "session": sender.session,
            "node": self.node,
            **_expiry(answer.ttl_s),
            "data": {
                "user": sender.user,
                "nick": sender.nick,
                "resume": answer.resume,
                **({"moderator": True} if answer.is_moderator else {}),
                "limits": dict(answer.limits),
                "web": self.web,
            },
        }


@dataclass(frozen=True, slots=True)
class Channel:
    """`core.room.Dialect` of a member: what a room is told, under the name the peer gave it.

    Args:
        name: of the room, as the peer spells it.
        join_leave: whether it is told who comes and goes.
    """

    has_replies: ClassVar[bool] = True

    name: str
    join_leave: bool
    _spelled: bytes = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_spelled", compact(self.name))

    @property
    def is_common(self) -> bool:
        """Whether it is spelled as rooms are compared; of other spellings there are too many."""
        return self.name == self.name.lower()

    def of_room(self, name: str, *, join_leave: bool) -> Channel:
        """The same for another room."""
        return _channel(name, join_leave)

    def encode(self, event: Told) -> bytes:
        """One frame; nothing for what plain connections tell each other, or one peer is told."""
        if isinstance(event, Message):
            message = b'{"push":{"channel":%b,"pub":%b}}' % (self._spelled, _publication(event))
            return frame(TEXT, message)
        if isinstance(event, Signal):
            told = b'{"data":%b,"info":%b}' % (event.payload, event.sender.encoded)
            return _push(self._spelled, b"pub", told)
        if isinstance(event, Joined | Left) and self.join_leave:
            kind = b"join" if isinstance(event, Joined) else b"leave"
            return _push(self._spelled, kind, b'{"info":%b}' % event.sender.encoded)
        if isinstance(event, Unsubscribed):
            told = compact({"code": event.code, "reason": event.reason})
            return _push(self._spelled, b"unsubscribe", told)
        return b""


# Most members of a room spell it alike: they have one of these, not one each.
_channel = lru_cache(maxsize=1024)(Channel)


def _push(room: bytes, kind: bytes, told: bytes) -> bytes:
    return frame(TEXT, b'{"push":{"channel":%b,"%b":%b}}' % (room, kind, told))


@cache
def _done(command: str) -> bytes:
    return _named(command, {})


def _named(name: str, value: Mapping[str, object]) -> bytes:
    return b"%b:%b" % (compact(name), compact(value))


def _worth_telling(fields: Mapping[str, object]) -> Mapping[str, object]:
    """Leave out what is empty, zero or false."""
    return {key: value for key, value in fields.items() if value}


def _expiry(ttl_s: int | None) -> Mapping[str, object]:
    """When an SDK asks its application for a newer token, and shows that."""
    return {} if ttl_s is None else {"expires": True, "ttl": ttl_s}


def _subscribed(answer: Subscribed) -> Mapping[str, object]:
    told: dict[str, object] = {"members": answer.members}
    if answer.topic:
        told["topic"] = answer.topic
    if answer.read is not None:
        told["read"] = answer.read
    fields = {
        "recoverable": True,
        "positioned": True,
        "epoch": answer.epoch,
        "offset": answer.offset,
        "was_recovering": answer.was_recovering,
        "recovered": answer.recovered,
        "data": told,
    }
    return _worth_telling(fields)


def _publication(message: Message) -> bytes:
    _, sender, payload, offset, time, _ = message
    return b'{"data":%b,"info":%b,"offset":%d,"time":%d,"tags":{"time":"%d"}}' % (
        payload,
        sender.encoded,
        offset,
        time,
        time,
    )


def _client(sender: Sender) -> bytes:
    return b"%b:%b" % (compact(sender.session), sender.encoded)


def _fitting(parts: Iterable[bytes], most: int) -> Sequence[bytes]:
    """Take the first ones that fit, and one in any case."""
    taken: list[bytes] = []
    size = 0
    for part in parts:
        size += len(part)
        if taken and size > most:
            break
        taken.append(part)
    return taken
