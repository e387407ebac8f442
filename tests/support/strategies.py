"""Hypothesis strategies for what people and programs send."""

from __future__ import annotations

import string

from hypothesis import strategies as st

__all__ = ["blobs", "hostile_texts", "nicks", "rooms", "texts"]

_LETTERS = string.ascii_letters + string.digits

HOSTILE = ("\n", "\r", "\0", "\x1b[2J", "\x7f", "\x9b", "\u2028", "\u202e", "\u200b", "{", "}")
"""What breaks lines, terminals, the eye and format strings."""


def rooms() -> st.SearchStrategy[str]:
    """Names of rooms that are allowed."""
    return st.text(_LETTERS + "_.:-", min_size=1, max_size=100)


def nicks() -> st.SearchStrategy[str]:
    """Nicks that are allowed; a reserved word is too unlikely to care."""
    return st.text(_LETTERS + "_.-", min_size=9, max_size=32)


def texts() -> st.SearchStrategy[str]:
    """Anything that UTF-8 can carry."""
    return st.one_of(
        st.text(), hostile_texts(), st.sampled_from(("", "👩\u200d👩\u200d👧", "e\u0301"))
    )


def hostile_texts() -> st.SearchStrategy[str]:
    """Texts made to break what shows or stores them."""
    return st.lists(st.one_of(st.sampled_from(HOSTILE), st.text(max_size=5)), max_size=8).map(
        "".join
    )


def blobs() -> st.SearchStrategy[bytes]:
    """Any bytes."""
    return st.binary(max_size=300)
