"""Records in memory whose answers a test gives when it wants to."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from chatd.errors import Refusal
from tests.support.memory import MemoryRecords

__all__ = ["HeldRecords"]


class HeldRecords(MemoryRecords):
    """`core.records.Records` that does at once what it is asked, and tells it when told to.

    Attributes:
        is_held: whether answers wait for `release`.
        held: those that do.
    """

    def __init__(self) -> None:
        super().__init__()
        self.is_held = False
        self.held: list[Callable[[], None]] = []

    def read(self, subject: str, done: Callable[[Mapping[str, str] | Refusal], None]) -> None:
        """See `Records.read`."""
        super().read(subject, lambda found: self._answer(lambda: done(found)))

    def write(
        self,
        subject: str,
        changes: Mapping[str, str | None],
        done: Callable[[Refusal | None], None],
    ) -> None:
        """See `Records.write`."""
        super().write(subject, changes, lambda refusal: self._answer(lambda: done(refusal)))

    def release(self, count: int = 1) -> None:
        """Give some of the answers that are held, the oldest first."""
        for _ in range(count):
            self.held.pop(0)()

    def _answer(self, call: Callable[[], None]) -> None:
        if self.is_held:
            self.held.append(call)
        else:
            call()
