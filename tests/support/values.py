"""What is a value: something that never changes once it is made."""

from __future__ import annotations

from collections.abc import Set
from typing import Any

__all__ = ["fields_of", "is_frozen"]


def is_frozen(kind: Any) -> bool:
    """Say whether what a class makes never changes: a named tuple, or a frozen dataclass."""
    return issubclass(kind, tuple) or bool(kind.__dataclass_params__.frozen)


def fields_of(kind: Any) -> Set[str]:
    """Name the fields of a class of values."""
    return set(kind._fields if issubclass(kind, tuple) else kind.__dataclass_fields__)
