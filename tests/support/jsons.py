"""Hypothesis strategies for JSON values as programs send them."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.support.strategies import texts

__all__ = ["values"]


def values() -> st.SearchStrategy[object]:
    """JSON values, nested, with hostile texts, whole numbers beyond doubles and negative zero."""
    numbers = st.one_of(
        st.integers(-(10**98), 10**98), st.floats(allow_nan=False, allow_infinity=False)
    )
    return st.recursive(
        st.one_of(st.none(), st.booleans(), numbers, texts()),
        lambda inner: st.one_of(
            st.lists(inner, max_size=4), st.dictionaries(texts(), inner, max_size=4)
        ),
        max_leaves=12,
    )
