"""What a published JSON value means: chat, which is checked, or anything else, which is free.

An object is chat by its `type`. Only what is checked here is looked at: further fields stay as
they are, and so does every value that is no chat. Whether what it refers to is there, and is the
sender's to change, is judged in `core.changes`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from chatd.core.events import MESSAGE, OTHER, About, Kind
from chatd.core.mentions import named
from chatd.core.names import message_id
from chatd.errors import BAD_REQUEST, NOT_AVAILABLE, TEXT_TOO_LONG, ChatError

__all__ = ["MOST_EMOJI_CHARS", "Said", "about", "judge"]

MOST_EMOJI_CHARS = 32
"""How many characters (code points) a reaction may have: families and flags are of many."""


class Said(NamedTuple):
    """What becomes of a value.

    Args:
        message_id: the sender's own id of it; None: it has none.
        is_signal: whether it is only told to those who are there, and not stored.
        about: what it is; what it erases is not known yet.
        reply_to: offset of the message it answers; 0: none.
    """

    message_id: str | None
    is_signal: bool
    about: About = OTHER
    reply_to: int = 0


# Only the server says these: from a peer they would be forged.
_NOT_TAKEN = frozenset({"audit", "deleted", "direct", "nick", "read", "topic"})

_CHANGES: Mapping[object, Kind] = {
    "edit": Kind.EDIT,
    "delete": Kind.DELETE,
    "reaction": Kind.REACTION,
}

_FREE = Said(None, is_signal=False)
_SIGNAL = Said(None, is_signal=True)


def judge(value: object, payload: bytes, *, most_bytes: int, most_chars: int) -> Said:
    """Say what becomes of a value that somebody publishes.

    Args:
        value: a JSON value as Python has it.
        payload: the same as it would be stored, see `events.compact`.
        most_bytes: how long `payload` may be.
        most_chars: how many characters (code points) the text of a message may have.

    Raises:
        ChatError: BAD_REQUEST, if it is too long or a field of chat is not what it must be;
            TEXT_TOO_LONG; NOT_AVAILABLE, for chat that is not ours to take from a peer.
    """
    if len(payload) > most_bytes:
        raise ChatError(BAD_REQUEST)
    if not isinstance(value, dict):
        return _FREE
    kind = value.get("type")
    if kind == "message":
        return _message(value, most_chars)
    if kind == "typing":
        if not isinstance(value.get("on"), bool):
            raise ChatError(BAD_REQUEST)
        return _SIGNAL
    # A type may be anything, an array too.
    if isinstance(kind, str):
        if kind in _NOT_TAKEN:
            raise ChatError(NOT_AVAILABLE)
        if kind in _CHANGES:
            return _change(_CHANGES[kind], value, most_chars)
    return _FREE


def about(text: str) -> About:
    """What a message of this text is."""
    if "@" not in text:
        return MESSAGE
    mentions = named(text)
    return About(Kind.MESSAGE, mentions=mentions) if mentions else MESSAGE


def _message(value: Mapping[str, object], most_chars: int) -> Said:
    own_id, text, reply_to = value.get("id"), value.get("text"), value.get("reply_to", 1)
    if not isinstance(own_id, str) or not isinstance(text, str) or not text:
        raise ChatError(BAD_REQUEST)
    # not isinstance: True would be an offset
    if type(reply_to) is not int or reply_to < 1:
        raise ChatError(BAD_REQUEST)
    checked = message_id(own_id)
    if len(text) > most_chars:
        raise ChatError(TEXT_TOO_LONG)
    if "@" not in text and "reply_to" not in value:
        return Said(checked, False, MESSAGE)
    return Said(checked, False, about(text), reply_to if "reply_to" in value else 0)


def _change(kind: Kind, value: Mapping[str, object], most_chars: int) -> Said:
    own_id, ref, text = value.get("id"), value.get("ref"), value.get("text")
    if not isinstance(own_id, str) or type(ref) is not int or ref < 1:
        raise ChatError(BAD_REQUEST)
    checked = message_id(own_id)
    if kind is Kind.EDIT:
        if not isinstance(text, str) or not text:
            raise ChatError(BAD_REQUEST)
        if len(text) > most_chars:
            raise ChatError(TEXT_TOO_LONG)
        return Said(checked, False, About(kind, ref, (), named(text)))
    if kind is Kind.REACTION:
        emoji = value.get("emoji")
        if not isinstance(emoji, str) or not _is_emoji(emoji):
            raise ChatError(BAD_REQUEST)
        if not isinstance(value.get("on"), bool):
            raise ChatError(BAD_REQUEST)
    return Said(checked, False, About(kind, ref))


def _is_emoji(text: str) -> bool:
    """Whether it can stand beside a message as one sign, whatever sign that is."""
    return 0 < len(text) <= MOST_EMOJI_CHARS and not any(map(_is_blank, text))


def _is_blank(character: str) -> bool:
    # U+200D and U+FE0F, of which many emoji are made, are no control characters.
    return character.isspace() or character < " " or "\x7f" <= character <= "\x9f"
