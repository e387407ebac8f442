"""Records: facts about users and rooms that are no messages, such as a user's nick.

A record is a few named texts about one subject, `user:<id>` or `room:<name>`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from chatd.errors import Refusal

__all__ = ["MOST_SUBJECTS", "Records"]

MOST_SUBJECTS = 1000
"""So many records are read in one go at most."""


class Records(Protocol):
    """What keeps records. Called on the reactor's thread; nothing blocks, outcomes come later."""

    def read(self, subject: str, done: Callable[[Mapping[str, str] | Refusal], None]) -> None:
        """Read a record.

        Args:
            subject: 1 to 200 characters, without U+0000.
            done: told its fields; none for a subject never written to. What was written before is
                there if the `done` of that `write` was called before this.
        """

    def read_many(
        self,
        subjects: Sequence[str],
        fields: Sequence[str],
        done: Callable[[Mapping[str, Mapping[str, str]] | Refusal], None],
    ) -> None:
        """Read some fields of many records, as they are at one moment.

        Args:
            subjects: as for `read`, at most `MOST_SUBJECTS`.
            fields: names of those that are wanted, a few.
            done: told by subject the fields that it has; a subject that has none is left out.
        """

    def write(
        self,
        subject: str,
        changes: Mapping[str, str | None],
        done: Callable[[Refusal | None], None],
    ) -> None:
        """Change a record: all of its changes are stored, or none.

        Calls for one subject take effect in call order.

        Args:
            subject: as for `read`.
            changes: fields, of 1 to 200 characters, to their new text; None: to be gone.
            done: told None once it is stored, or why it is not (UNAVAILABLE, FULL), or maybe not
                (UNKNOWN_OUTCOME).
        """
