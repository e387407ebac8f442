"""One-time codes: each is good once, whoever comes first, and after a restart too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from chatd.core.records import Records
from chatd.errors import Refusal

__all__ = ["SUBJECT", "Codes"]

SUBJECT = "codes"
"""The record of codes that were used: the nonce of each, until when it would have been good."""

_KEPT_MS = 24 * 3600 * 1000  # beyond its time: the wall clock may step back


class Codes:
    """The codes that were used. Those whose time is long over are forgotten.

    Args:
        records: where they are remembered.
        now_ms: the wall clock, in milliseconds since 1970.
    """

    def __init__(self, records: Records, now_ms: Callable[[], int]) -> None:
        self._records = records
        self._now_ms = now_ms
        self._under_way: set[str] = set()

    def use(self, nonce: str, until_ms: int, done: Callable[[bool | Refusal], None]) -> None:
        """Use a code up.

        Args:
            nonce: 1 to 100 characters, unlike any other code's.
            until_ms: when it will be void by itself; it is not yet.
            done: told whether it was good, or why that cannot be found out or remembered.
        """
        if nonce in self._under_way:
            done(False)
            return
        self._under_way.add(nonce)

        def ended(outcome: bool | Refusal) -> None:
            self._under_way.remove(nonce)
            done(outcome)

        def was_read(record: Mapping[str, str] | Refusal) -> None:
            if isinstance(record, Refusal):
                ended(record)
            elif nonce in record:
                ended(False)
            else:
                over = self._now_ms() - _KEPT_MS
                changes = {name: None for name, until in record.items() if int(until) < over}
                stored = partial(_stored, ended)
                self._records.write(SUBJECT, {**changes, nonce: str(until_ms)}, stored)

        self._records.read(SUBJECT, was_read)


def _stored(ended: Callable[[bool | Refusal], None], refusal: Refusal | None) -> None:
    ended(True if refusal is None else refusal)
