"""What a published JSON value means: chat, which is checked, or anything else, which is free.

An object is chat by its `type`. Only what is checked here is looked at: further fields stay as
they are, and so does every value that is no chat.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from chatd.core.names import message_id
from chatd.errors import BAD_REQUEST, NOT_AVAILABLE, TEXT_TOO_LONG, ChatError

__all__ = ["Said", "judge"]


class Said(NamedTuple):
    """What becomes of a value.

    Args:
        message_id: the sender's own id of it; None: it has none.
        is_signal: whether it is only told to those who are there, and not stored.
    """

    message_id: str | None
    is_signal: bool


_NOT_TAKEN = frozenset(
    # not yet, and only the server says the others: from a peer they would be forged
    {"edit", "delete", "reaction"} | {"deleted", "topic", "nick", "read"}
)

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
        return Said(_message(value, most_chars), is_signal=False)
    if kind == "typing":
        if not isinstance(value.get("on"), bool):
            raise ChatError(BAD_REQUEST)
        return _SIGNAL
    # A type may be anything, an array too.
    if isinstance(kind, str) and kind in _NOT_TAKEN:
        raise ChatError(NOT_AVAILABLE)
    return _FREE


def _message(value: Mapping[str, object], most_chars: int) -> str:
    own_id, text, reply_to = value.get("id"), value.get("text"), value.get("reply_to", 1)
    if not isinstance(own_id, str) or not isinstance(text, str) or not text:
        raise ChatError(BAD_REQUEST)
    # not isinstance: True would be an offset
    if type(reply_to) is not int or reply_to < 1:
        raise ChatError(BAD_REQUEST)
    checked = message_id(own_id)
    if len(text) > most_chars:
        raise ChatError(TEXT_TOO_LONG)
    return checked
