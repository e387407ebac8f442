"""Mentions: whom a text names, as `@nick`."""

from __future__ import annotations

import re

from chatd.core.names import MOST_NICK_CHARS, fold_nick

__all__ = ["MOST_MENTIONS", "named"]

MOST_MENTIONS = 20
"""A text names so many at most; who comes after them is not told."""

# What stands before the sign makes it an address, and a letter behind makes it another word: the
# run of a nick's characters is taken as a whole (`++`) or not at all.
_NAMED = re.compile(r"(?<![\w.@-])@([A-Za-z0-9_.-]++)(?!\w)")


def named(text: str) -> tuple[str, ...]:
    """The folded nicks that a text names, each once, in the order of the text.

    Full stops and hyphens at the end belong to the sentence.

    Args:
        text: any.
    """
    found: dict[str, None] = {}
    for match in _NAMED.finditer(text):
        nick = match[1].rstrip(".-")
        if 0 < len(nick) <= MOST_NICK_CHARS:
            found[fold_nick(nick)] = None
            if len(found) == MOST_MENTIONS:
                break
    return tuple(found)
