"""Every failure that somebody outside can see.

A client sees a `ChatError` by its code and words, or the end of its connection as a `Close`;
the operator sees a `ConfigError` as one line. Anything else that is raised is a bug of ours:
it is logged, and the client is told `INTERNAL` and nothing more.

An error's number and words are for dialects that have replies. The plain door, the only one yet,
has none and shows an error as its `close`; docs/protocol.md lists them.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "BAD_REQUEST",
    "INTERNAL",
    "LOST",
    "NICK_INVALID",
    "NORMAL",
    "NO_PONG",
    "POLICY",
    "ROOM_INVALID",
    "SHUTDOWN",
    "STALLED",
    "TOO_MANY_REQUESTS",
    "UNAVAILABLE",
    "ChatError",
    "Close",
    "ConfigError",
]


class ConfigError(Exception):
    """The operator asked for something that cannot be; `str()` is one line that says what."""


@dataclass(frozen=True, slots=True)
class Close:
    """Why a connection ends.

    Args:
        code: the close code on the wire (RFC 6455 7.4), 1000 to 1013.
        reason: our words, at most 123 bytes of UTF-8.
    """

    code: int
    reason: str


class ChatError(Exception):
    """A refusal that a client may see.

    Args:
        code: its number, unlike any other's.
        words: what it says; never anything of an exception or of another user.
        temporary: whether the same command may succeed later.
        close: how a door that has no replies shows it.
    """

    def __init__(self, code: int, words: str, *, close: Close, temporary: bool = False) -> None:
        super().__init__(words)
        self.code = code
        self.words = words
        self.temporary = temporary
        self.close = close


NORMAL = Close(1000, "")
SHUTDOWN = Close(1001, "server is stopping")
LOST = Close(1006, "connection lost")  # never on the wire: an end without a Close frame
POLICY = Close(1008, "policy violation")
STALLED = Close(1013, "reading too slowly")
NO_PONG = Close(1006, "no pong")  # nobody is there to read a code

INTERNAL = ChatError(100, "internal error", temporary=True, close=Close(1011, "internal error"))
BAD_REQUEST = ChatError(107, "bad request", close=Close(1008, "bad request"))
TOO_MANY_REQUESTS = ChatError(
    111, "too many requests", temporary=True, close=Close(1008, "too many messages, slow down")
)
UNAVAILABLE = ChatError(
    400, "not stored, try again", temporary=True, close=Close(1013, "not stored, try again")
)
NICK_INVALID = ChatError(
    411,
    "nick invalid or reserved: 1 to 32 of A-Z a-z 0-9 _ . -",
    close=Close(1008, "nick invalid or reserved: 1 to 32 of A-Z a-z 0-9 _ . -"),
)
ROOM_INVALID = ChatError(
    412,
    "room name invalid: 1 to 100 of A-Z a-z 0-9 _ . : -",
    close=Close(1008, "room name invalid: 1 to 100 of A-Z a-z 0-9 _ . : -"),
)
