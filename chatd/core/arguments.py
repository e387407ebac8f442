"""The argument of a call: its fields, taken apart and checked.

A field that is null counts as left out; others that nobody asks for are ignored.
"""

from __future__ import annotations

from collections.abc import Mapping

from chatd.core import names
from chatd.errors import BAD_REQUEST, ChatError

__all__ = ["fields", "flag", "maybe_text", "room", "text", "user", "whole"]

Fields = Mapping[str, object]


def fields(value: object) -> Fields:
    """The fields of an argument; none when it was left out.

    Raises:
        ChatError: BAD_REQUEST, if it is anything but an object.
    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ChatError(BAD_REQUEST)
    return value


def maybe_text(given: Fields, key: str) -> str | None:
    """A text, or None when it was left out.

    Raises:
        ChatError: BAD_REQUEST, if it is anything else.
    """
    value = given.get(key)
    if value is None or isinstance(value, str):
        return value
    raise ChatError(BAD_REQUEST)


def text(given: Fields, key: str) -> str:
    """A text.

    Raises:
        ChatError: BAD_REQUEST, if it is anything else or was left out.
    """
    value = maybe_text(given, key)
    if value is None:
        raise ChatError(BAD_REQUEST)
    return value


def room(given: Fields) -> str:
    """The folded name in the field `room`.

    Raises:
        ChatError: BAD_REQUEST, if there is none; ROOM_INVALID.
    """
    return names.room(text(given, "room"))


def user(given: Fields) -> str:
    """The user's id in the field `user`.

    Raises:
        ChatError: BAD_REQUEST, if there is none or it cannot be one.
    """
    return names.user(text(given, "user"))


def whole(given: Fields, key: str, least: int, most: int, default: int | None = None) -> int:
    """A whole number from `least` to `most`, or the default when it was left out.

    Raises:
        ChatError: BAD_REQUEST, if it is anything else, or was left out and there is no default.
    """
    value = given.get(key)
    if value is None and default is not None:
        return default
    # not isinstance: True would be a number
    if type(value) is not int or not least <= value <= most:
        raise ChatError(BAD_REQUEST)
    return value


def flag(given: Fields, key: str) -> bool:
    """Whether something is so; not, when it was left out.

    Raises:
        ChatError: BAD_REQUEST, if it is neither true nor false.
    """
    value = given.get(key)
    if value is None or isinstance(value, bool):
        return bool(value)
    raise ChatError(BAD_REQUEST)
