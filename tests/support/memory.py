"""Records in memory, which answer at once: for tests of what is no concern of theirs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from chatd.errors import Refusal

__all__ = ["MemoryRecords"]


class MemoryRecords:
    """`core.records.Records` whose outcomes come from within the call.

    Attributes:
        stored: by subject.
        refusal: of all that is asked; None: it works.
    """

    def __init__(self) -> None:
        self.stored: dict[str, dict[str, str]] = {}
        self.refusal: Refusal | None = None

    def read(self, subject: str, done: Callable[[Mapping[str, str] | Refusal], None]) -> None:
        """See `Records.read`."""
        done(self.refusal or dict(self.stored.get(subject, {})))

    def read_many(
        self,
        subjects: Sequence[str],
        fields: Sequence[str],
        done: Callable[[Mapping[str, Mapping[str, str]] | Refusal], None],
    ) -> None:
        """See `Records.read_many`."""
        if self.refusal is not None:
            done(self.refusal)
            return
        named = {
            subject: {key: text for key, text in record.items() if key in fields}
            for subject, record in self.stored.items()
            if subject in subjects
        }
        done({subject: record for subject, record in named.items() if record})

    def write(
        self,
        subject: str,
        changes: Mapping[str, str | None],
        done: Callable[[Refusal | None], None],
    ) -> None:
        """See `Records.write`."""
        if self.refusal is None:
            record = {**self.stored.get(subject, {}), **changes}
            self.stored[subject] = {key: text for key, text in record.items() if text is not None}
        done(self.refusal)
