"""What a room or a nick may look like, and the form in which two are compared."""

from __future__ import annotations

import re

from chatd.errors import NICK_INVALID, ROOM_INVALID

__all__ = ["DEFAULT_ROOM", "guest", "nick", "room"]

DEFAULT_ROOM = "lobby"

_ROOM = re.compile(r"[A-Za-z0-9_.:-]{1,100}")
_NICK = re.compile(r"[A-Za-z0-9_.-]{1,32}")
_RESERVED = frozenset({"admin", "chatd", "moderator", "server", "system"})


def room(name: str) -> str:
    """The form of a room's name in which rooms are compared: lower case.

    Raises:
        ChatError: ROOM_INVALID, unless it is 1 to 100 of `A-Z a-z 0-9 _ . : -`.
    """
    if _ROOM.fullmatch(name) is None:
        raise ROOM_INVALID
    return name.lower()


def nick(name: str) -> str:
    """A nick somebody asked for, as it will be shown.

    Raises:
        ChatError: NICK_INVALID, unless it is 1 to 32 of `A-Z a-z 0-9 _ . -` and, in any case,
            none of the reserved words.
    """
    if _NICK.fullmatch(name) is None or name.lower() in _RESERVED:
        raise NICK_INVALID
    return name


def guest(session_id: str) -> str:
    """The nick of somebody who asked for none, made of the session's id."""
    return f"guest-{session_id[:6]}"
