"""One row of the table of settings, and how it is written down as a field of a dataclass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

__all__ = ["Setting", "setting"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table.

    Args:
        name: the field of `Config`.
        section: of the TOML file.
        key: within the section.
        flag: without dashes; empty when there is none.
        metavar: what the flag takes; empty for a switch.
        repeats: whether the flag may be given several times.
        help: one sentence.
        default: its value when nobody says anything.
        rule: from what was said to a value; raises ValueError with words after "must be".
    """

    name: str
    section: str
    key: str
    flag: str
    metavar: str
    repeats: bool
    help: str
    default: object
    rule: Callable[[object], object]

    @property
    def variable(self) -> str:
        """Its name in the environment."""
        return f"CHATD_{self.section}_{self.key}".upper()

    @property
    def switched_to(self) -> bool | None:
        """What a switch sets when given (`--no-echo`: false); None for a flag with a value."""
        return (not self.default) if isinstance(self.default, bool) else None


def setting(
    where: str,
    rule: Callable[[Any], T],
    default: T,
    words: str,
    *,
    flag: str = "",
    metavar: str = "",
) -> T:
    """A field of `Config` and what the table says of it.

    Args:
        where: section and key, with a dot between them.
        rule: see `Setting`.
        default: see `Setting`; a tuple makes a flag that may be given several times.
        words: one sentence.
        flag: see `Setting`.
        metavar: see `Setting`.
    """
    section, key = where.split(".")
    return field(
        default=default,
        metadata={
            "section": section,
            "key": key,
            "flag": flag,
            "metavar": metavar,
            "repeats": isinstance(default, tuple),
            "help": words,
            "rule": rule,
        },
    )
