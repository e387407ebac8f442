"""Charter: what is laid down about one room: its kind, its members, its topic, who is restrained.

It is the room's record in memory, see `core.records`. Whoever changes it writes the record first
and applies the same changes here once they are stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto

from chatd.core import names

__all__ = ["MOST_MEMBERS", "MOST_RESTRAINED", "Changes", "Charter", "RoomKind", "room_subject"]

MOST_MEMBERS = 1000
"""A private room has so many members at most."""

MOST_RESTRAINED = 1000
"""In a room so many users are muted at most, and so many kept out."""

Changes = Mapping[str, str | None]
"""Fields of the room's record to their new text; None: gone."""


class RoomKind(Enum):
    """Whom a room is for."""

    PUBLIC = auto()
    """For everybody."""
    PRIVATE = auto()
    """For its owner and members."""
    DIRECT = auto()
    """For the two users whose ids its name has."""


def room_subject(name: str) -> str:
    """The record of a room.

    Args:
        name: its folded name.
    """
    return f"room:{name}"


class Charter:
    """What is laid down about a room.

    Args:
        name: its folded name.
        record: its record as it is stored.

    Attributes:
        kind: whom it is for.
        topic: what it is about; empty: nothing was said.
        owner: the user whose private room it is; empty: nobody's.
        members: users who may enter a private room beside its owner.
        mutes: until when a user may say nothing, in milliseconds since 1970.
        kicked: until when a user may not come back, likewise.
        slow_s: seconds between two messages of a user; 0: any.
        generation: of the invites that hold.
        is_gone: whether the room is being destroyed.
        is_blank: whether nothing was ever laid down.
        is_listed: whether nothing is known of a list that a direct room should be in and is not;
            so from the beginning of all other rooms.
        restrains: whether what is said needs a closer look: somebody who may be in it may be kept
            from speaking, or it is to be listed first.
        spoken: when somebody spoke last, in seconds, and their own id of what they said; see
            `core.restraint`.
    """

    __slots__ = (
        "generation",
        "is_blank",
        "is_gone",
        "is_listed",
        "kicked",
        "kind",
        "members",
        "mutes",
        "name",
        "owner",
        "restrains",
        "slow_s",
        "spoken",
        "topic",
    )

    def __init__(self, name: str, record: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.kind = RoomKind.DIRECT if names.is_direct(name) else RoomKind.PUBLIC
        self.topic = self.owner = ""
        self.members: set[str] = set()
        self.mutes: dict[str, int] = {}
        self.kicked: dict[str, int] = {}
        self.slow_s = self.generation = 0
        self.spoken: dict[str, tuple[float, str]] = {}
        self.is_gone = False
        self.is_blank = True
        self.is_listed = self.kind is not RoomKind.DIRECT
        self.restrains = not self.is_listed
        if record:
            self.apply(record)

    def apply(self, changes: Changes) -> None:
        """Take over changes that are stored."""
        self.is_blank = False
        for field, text in changes.items():
            name, _, user = field.partition(":")
            if name == "member":
                (self.members.discard if text is None else self.members.add)(user)
            elif name in ("mute", "out"):
                restrained = self.mutes if name == "mute" else self.kicked
                if text is None:
                    restrained.pop(user, None)
                else:
                    restrained[user] = int(text)
            elif name == "topic":
                self.topic = text or ""
            elif name == "owner":
                self.owner = text or ""
            elif name == "private":
                self.kind = RoomKind.PUBLIC if text is None else RoomKind.PRIVATE
            elif name == "slow":
                self.slow_s = int(text or 0)
            elif name == "invites":
                self.generation = int(text or 0)
            elif name == "gone":
                self.is_gone = text is not None
        self._weigh()

    def list_for_both(self, is_listed: bool) -> None:
        """Learn whether a direct room is in the lists of the two."""
        self.is_listed = is_listed
        self._weigh()

    def _weigh(self) -> None:
        is_settled = self.is_listed and not self.is_gone
        self.restrains = bool(self.mutes or self.slow_s or not is_settled)

    def is_muted(self, user: str, now_ms: int) -> bool:
        """Whether a user may say nothing now."""
        return self.mutes.get(user, 0) > now_ms

    def is_kept_out(self, user: str, now_ms: int) -> bool:
        """Whether a user was kicked and may not come back yet."""
        return self.kicked.get(user, 0) > now_ms

    def lapsed(self, now_ms: int) -> dict[str, None]:
        """The changes that forget whose time is over; for whoever writes next."""
        return {
            f"{field}:{user}": None
            for field, until in (("mute", self.mutes), ("out", self.kicked))
            for user, until_ms in until.items()
            if until_ms <= now_ms
        }
