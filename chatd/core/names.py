"""What a room, a nick or an id may look like, and the form in which two are compared."""

from __future__ import annotations

import re
from functools import lru_cache

from chatd.errors import BAD_REQUEST, NICK_INVALID, ROOM_INVALID, ChatError

__all__ = [
    "DEFAULT_ROOM",
    "MOST_NICK_CHARS",
    "direct",
    "fold_nick",
    "guest",
    "is_direct",
    "is_unlisted",
    "message_id",
    "nick",
    "room",
    "two",
    "user",
]

DEFAULT_ROOM = "lobby"

MOST_NICK_CHARS = 32
"""How long a nick may be."""

_ROOM = re.compile(r"[A-Za-z0-9_.:-]{1,100}")
_NICK = re.compile(rf"[A-Za-z0-9_.-]{{1,{MOST_NICK_CHARS}}}")
_USER = re.compile(r"[A-Za-z0-9_.@+=|-]{1,48}")
_DIRECT = re.compile(rf"@({_USER.pattern}):({_USER.pattern})")
_MESSAGE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_RESERVED = frozenset({"admin", "chatd", "moderator", "server", "system"})


@lru_cache(1024)
def room(name: str) -> str:
    """The form of a room's name in which rooms are compared: lower case.

    That of a direct room, `@ann:bob`, is compared as it is.

    Raises:
        ChatError: ROOM_INVALID, unless it is 1 to 100 of `A-Z a-z 0-9 _ . : -`, or an `@` and two
            users in their order.
    """
    if name[:1] == "@":
        parts = _DIRECT.fullmatch(name)
        if parts is None or parts[1] > parts[2]:
            raise ChatError(ROOM_INVALID)
        return name
    if _ROOM.fullmatch(name) is None:
        raise ChatError(ROOM_INVALID)
    return name.lower()


def is_direct(name: str) -> bool:
    """Whether a folded name is that of a direct room."""
    return name[:1] == "@"


def is_unlisted(name: str) -> bool:
    """Whether a name is that of a direct room or of one of the server's own."""
    return name[:1] in ("@", "!")


def direct(one: str, other: str) -> str:
    """The name of the direct room of two users."""
    return f"@{min(one, other)}:{max(one, other)}"


def two(name: str) -> tuple[str, str]:
    """The users whose direct room has this name."""
    one, _, other = name[1:].partition(":")
    return one, other


def user(text: str) -> str:
    """A user's id, as it is; compared exactly.

    Raises:
        ChatError: BAD_REQUEST, unless it is 1 to 48 of `A-Z a-z 0-9 _ . @ + = | -`.
    """
    if _USER.fullmatch(text) is None:
        raise ChatError(BAD_REQUEST)
    return text


def nick(name: str) -> str:
    """A nick somebody asked for, as it will be shown.

    Raises:
        ChatError: NICK_INVALID, unless it is 1 to 32 of `A-Z a-z 0-9 _ . -` and, in any case,
            none of the reserved words.
    """
    if _NICK.fullmatch(name) is None or name.lower() in _RESERVED:
        raise ChatError(NICK_INVALID)
    return name


def fold_nick(name: str) -> str:
    """The form of an allowed nick in which nicks are compared: lower case."""
    return name.lower()


def guest(user_id: str) -> str:
    """The nick of somebody who asked for none, made of the user's id."""
    return f"guest-{user_id[:6]}"


def message_id(text: str) -> str:
    """A sender's own id of a message, as it is; compared exactly.

    Raises:
        ChatError: BAD_REQUEST, unless it is 1 to 64 of `A-Z a-z 0-9 _ -`.
    """
    if _MESSAGE_ID.fullmatch(text) is None:
        raise ChatError(BAD_REQUEST)
    return text
