"""Who somebody was found to be when they came in."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

__all__ = ["Identity", "Role"]


class Role(Enum):
    """What somebody is on this server; what they are in a room is `permissions.Standing`."""

    GUEST = auto()
    """Nobody vouches for them."""
    USER = auto()
    """They have signed in."""
    MODERATOR = auto()


@dataclass(frozen=True, slots=True)
class Identity:
    """A user, and what is known of them.

    Args:
        user: their id, see `names.user`.
        nick: an allowed one that they are to have; None: any.
        role: see `Role`.
        rooms: folded names of the only rooms that they may use beside their direct ones; None: any.
        expires_s: until when this holds, in seconds since 1970; None: for ever.
        made: which making of a local account it is of; empty: it is of none.
    """

    user: str
    nick: str | None = None
    role: Role = Role.GUEST
    rooms: frozenset[str] | None = None
    expires_s: float | None = None
    made: str = ""

    @property
    def is_moderator(self) -> bool:
        """Whether they moderate the server."""
        return self.role is Role.MODERATOR
