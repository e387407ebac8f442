"""Profiles: what is kept about users: their nick, what they have read, the rooms that are theirs.

A profile is the user's record in memory, see `core.records`, while they have a session here. Most
guests have none: nothing was ever kept about them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from chatd.core.records import Records
from chatd.errors import Refusal

__all__ = ["MOST_ROOMS", "Profile", "Profiles", "user_subject"]

MOST_ROOMS = 1000
"""A user has so many rooms of their own at most, and marks in so many."""

Changes = Mapping[str, str | None]


def user_subject(user: str) -> str:
    """The record of a user.

    Args:
        user: their id.
    """
    return f"user:{user}"


class Profile:
    """What is kept about a user.

    Args:
        record: as it is stored.

    Attributes:
        nick: the one they took; empty: none.
        marks: by room the last offset that they have read.
        rooms: private and direct rooms that are theirs, in the order in which they got them.
    """

    __slots__ = ("marks", "nick", "rooms")

    def __init__(self, record: Changes | None = None) -> None:
        self.nick = ""
        self.marks: dict[str, int] = {}
        self.rooms: dict[str, None] = {}
        if record:
            self.apply(record)

    def apply(self, changes: Changes) -> None:
        """Take over changes that are stored."""
        for field, text in changes.items():
            name, _, room = field.partition(":")
            if name == "nick":
                self.nick = text or ""
            elif name == "read":
                if text is None:
                    self.marks.pop(room, None)
                else:
                    self.marks[room] = max(int(text), self.marks.get(room, 0))
            elif name == "room":
                if text is None:
                    self.rooms.pop(room, None)
                else:
                    self.rooms[room] = None


class Profiles:
    """The profiles of those who are here.

    Args:
        records: where they are kept.
    """

    def __init__(self, records: Records) -> None:
        self._records = records
        self._kept: dict[str, Profile] = {}
        self._writing: dict[str, int] = {}
        self._leaving: set[str] = set()
        self._blank: set[str] = set()  # who is here, and nothing was kept about them when they came
        self._loading: dict[str, list[list[Changes]]] = {}
        self._marks: dict[tuple[str, str], list[int]] = {}  # under way: the furthest, how many

    def load(self, user: str, done: Callable[[Profile | Refusal], None]) -> None:
        """Read a profile, be it empty. It is not kept by this."""
        kept = self._kept.get(user)
        if kept is not None:
            done(kept)
            return

        missed: list[Changes] = []  # what is stored after this was read, and told before it
        self._loading.setdefault(user, []).append(missed)

        def read(outcome: Mapping[str, str] | Refusal) -> None:
            # By itself, not by its contents: two that missed nothing are equal.
            loading = [each for each in self._loading.pop(user) if each is not missed]
            if loading:
                self._loading[user] = loading
            if isinstance(outcome, Refusal):
                done(outcome)
                return
            profile = Profile(outcome)
            for changes in missed:
                profile.apply(changes)
            done(self._kept.get(user) or profile)

        self._records.read(user_subject(user), read)

    def find(self, user: str) -> Profile | None:
        """The profile of somebody who is here; None when nothing is kept about them."""
        return self._kept.get(user)

    def keep(self, user: str, profile: Profile) -> None:
        """Somebody has come whose profile was loaded."""
        self._leaving.discard(user)
        if profile.nick or profile.marks or profile.rooms:
            self._kept.setdefault(user, profile)
        elif user not in self._kept:
            self._blank.add(user)

    def drop(self, user: str) -> None:
        """Somebody has no session here any more."""
        self._blank.discard(user)
        if user in self._writing:  # whoever comes back meanwhile must not read what was before
            self._leaving.add(user)
        else:
            self._kept.pop(user, None)

    def change(
        self, user: str, changes: Changes, *, is_here: bool, done: Callable[[Refusal | None], None]
    ) -> None:
        """Change what is kept about a user, here or not.

        Args:
            user: their id.
            changes: fields of their record to their new text; None: gone.
            is_here: whether they have a session here.
            done: told None once it is stored, or why it is not.
        """

        def stored(refusal: Refusal | None) -> None:
            if refusal is None:
                if (is_here or user in self._blank) and user not in self._kept:
                    self._blank.discard(user)
                    self._kept[user] = Profile()
                if user in self._kept:
                    self._kept[user].apply(changes)
                for missed in self._loading.get(user, ()):
                    missed.append(changes)
            self._writing[user] -= 1
            if not self._writing[user]:
                del self._writing[user]
                if user in self._leaving:
                    self._leaving.discard(user)
                    self._kept.pop(user, None)
            done(refusal)

        self._writing[user] = self._writing.get(user, 0) + 1
        self._records.write(user_subject(user), changes, stored)

    def mark(
        self, user: str, room: str, offset: int, done: Callable[[Refusal | None], None]
    ) -> None:
        """Note up to where somebody who is here has read; another session's further mark stays.

        Args:
            user: their id.
            room: its folded name.
            offset: of the last message they have read.
            done: told None once it is stored, or why it is not.
        """
        marks = self._marks.setdefault((user, room), [0, 0])
        marks[0] = max(marks[0], offset)
        marks[1] += 1

        def stored(refusal: Refusal | None) -> None:
            marks[1] -= 1
            if not marks[1]:
                del self._marks[user, room]
            done(refusal)

        self.change(user, {f"read:{room}": str(marks[0])}, is_here=True, done=stored)

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._kept)
