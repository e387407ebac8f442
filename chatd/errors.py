"""Every failure that somebody outside can see.

A client sees a `Refusal` by its number and words, or the end of its connection as a `Close`; the
operator sees a `ConfigError` as one line. Anything else that is raised is a bug of ours: it is
logged, and the client is told `INTERNAL` and nothing more.

The plain door has no replies and shows a refusal as its `close`. docs/protocol.md lists all.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "ALREADY_SUBSCRIBED",
    "BAD_REQUEST",
    "BANNED",
    "EXPIRED",
    "FORBIDDEN",
    "FULL",
    "INTERNAL",
    "INVALID_TOKEN",
    "KICKED",
    "LIMIT_EXCEEDED",
    "LOST",
    "MUTED",
    "NICK_INVALID",
    "NICK_TAKEN",
    "NORMAL",
    "NOT_AVAILABLE",
    "NOT_YOURS",
    "NO_PONG",
    "NO_SUCH_COMMAND",
    "NO_SUCH_MESSAGE",
    "NO_SUCH_USER",
    "POLICY",
    "PRIVATE_ROOM",
    "ROOM_INVALID",
    "SHUTDOWN",
    "SIGN_IN",
    "STALE",
    "STALLED",
    "TEXT_TOO_LONG",
    "TOKEN_EXPIRED",
    "TOO_LATE",
    "TOO_MANY_REQUESTS",
    "TOO_SOON",
    "UNAUTHORIZED",
    "UNAVAILABLE",
    "UNINTELLIGIBLE",
    "UNKNOWN_OUTCOME",
    "UNKNOWN_ROOM",
    "UNRECOVERABLE",
    "ChatError",
    "Close",
    "ConfigError",
    "Refusal",
]


class ConfigError(Exception):
    """The operator asked for something that cannot be; `str()` is one line that says what."""


@dataclass(frozen=True, slots=True)
class Close:
    """Why a connection ends.

    Args:
        code: the close code on the plain door (RFC 6455 7.4), 1000 to 1013; 1006 is never sent.
        reason: our words, at most 123 bytes of UTF-8.
        sdk_code: the code on the Centrifuge door, whose clients come back unless it is 3500 to
            3999 or 4500 to 4999.
    """

    code: int
    reason: str
    sdk_code: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """What is answered to a command that cannot be obeyed.

    Args:
        code: its number, unlike any other's.
        words: what it says; never anything of an exception or of another user.
        close: how a door that has no replies shows it.
        temporary: whether the same command may succeed later.
    """

    code: int
    words: str
    close: Close
    temporary: bool = False


class ChatError(Exception):
    """A command is refused, to be told to the peer that gave it."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.words)
        self.refusal = refusal


NORMAL = Close(1000, "", 1000)
SHUTDOWN = Close(1001, "server is stopping", 3001)
LOST = Close(1006, "connection lost", 1006)  # never on the wire: an end without a Close frame
POLICY = Close(1008, "policy violation", 1008)
STALLED = Close(1013, "reading too slowly", 3008)
NO_PONG = Close(1006, "no pong", 3012)  # on the plain door nobody is there to read a code
STALE = Close(1008, "no connect in time", 3502)
UNINTELLIGIBLE = Close(1008, "bad request", 3501)
INVALID_TOKEN = Close(1008, "invalid token", 3500)
EXPIRED = Close(1008, "token expired", 3005)
KICKED = Close(1008, "removed", 3503)
_TOO_MANY = Close(1008, "too many messages, slow down", 3013)


def _policy(words: str) -> Close:
    return Close(1008, words, 1008)


def _later(words: str) -> Close:
    return Close(1013, words, 1013)


_NICK = "nick invalid or reserved: 1 to 32 of A-Z a-z 0-9 _ . -"
_ROOM = "room name invalid: 1 to 100 of A-Z a-z 0-9 _ . : -"

INTERNAL = Refusal(100, "internal error", Close(1011, "internal error", 1011), temporary=True)
UNAUTHORIZED = Refusal(101, "unauthorized", _policy("unauthorized"))
UNKNOWN_ROOM = Refusal(102, "unknown channel", _policy("no such room"))
FORBIDDEN = Refusal(103, "permission denied", _policy("permission denied"))
NO_SUCH_COMMAND = Refusal(104, "method not found", _policy("no such command"))
ALREADY_SUBSCRIBED = Refusal(105, "already subscribed", _policy("already there"))
LIMIT_EXCEEDED = Refusal(106, "limit exceeded", _policy("limit exceeded"))
BAD_REQUEST = Refusal(107, "bad request", UNINTELLIGIBLE)
NOT_AVAILABLE = Refusal(108, "not available", _policy("not available"))
TOKEN_EXPIRED = Refusal(109, "token expired", _policy("token expired"))
TOO_MANY_REQUESTS = Refusal(111, "too many requests", _TOO_MANY, temporary=True)
UNRECOVERABLE = Refusal(112, "unrecoverable position", _policy("unrecoverable position"))
UNAVAILABLE = Refusal(400, "not stored, try again", _later("not stored, try again"), temporary=True)
UNKNOWN_OUTCOME = Refusal(
    401,
    "maybe stored, send it again with the same id",
    _later("maybe stored, look before you send it again"),
    temporary=True,
)
FULL = Refusal(402, "storage is full, not stored", _later("storage is full"), temporary=True)
NICK_TAKEN = Refusal(410, "nick taken", _policy("nick taken"))
NICK_INVALID = Refusal(411, _NICK, _policy(_NICK))
ROOM_INVALID = Refusal(412, _ROOM, _policy(_ROOM))
PRIVATE_ROOM = Refusal(413, "room is private", _policy("room is private"))
TEXT_TOO_LONG = Refusal(420, "text too long", _policy("text too long"))
NOT_YOURS = Refusal(421, "not yours", _policy("not yours"))
TOO_LATE = Refusal(422, "too late", _policy("too late"))
NO_SUCH_MESSAGE = Refusal(423, "no such message", _policy("no such message"))
NO_SUCH_USER = Refusal(424, "no such user", _policy("no such user"))
MUTED = Refusal(430, "muted", _policy("muted"))
BANNED = Refusal(431, "banned", Close(1008, "banned", 3503))
TOO_SOON = Refusal(432, "slow mode: wait before you say more", _policy("slow mode"), temporary=True)
SIGN_IN = Refusal(440, "sign in first", _policy("sign in first"))
