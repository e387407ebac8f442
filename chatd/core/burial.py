"""Burial: what is left of a room that is being destroyed goes for good.

Its record says `gone` from before the first message goes until after the last other field went.
So whatever happens between, nobody is ever shown what was private in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from chatd.core.broker import Broker
from chatd.core.charter import room_subject
from chatd.core.records import Records
from chatd.errors import UNAVAILABLE, Refusal

__all__ = ["GONE", "bury"]

GONE = "gone"
"""The field of a room's record that says that the room is being destroyed."""

_FIELDS = 50  # of a record that go at once: a commit takes other things too

Done = Callable[[Refusal | None], None]


def bury(broker: Broker, records: Records, name: str, head: Callable[[], int], done: Done) -> None:
    """Forget what was said in a room, and then what was laid down about it.

    Args:
        broker: where its messages are.
        records: where its record is, which says that it is gone.
        name: its folded name; nothing is published in it meanwhile.
        head: its last offset by now.
        done: told None, or why it is not done; it may be done again.
    """

    def trim(before: int) -> None:
        def trimmed(outcome: int | Refusal) -> None:
            if isinstance(outcome, Refusal):
                done(outcome)
            elif outcome >= head():
                records.read(room_subject(name), read)
            elif outcome > before:
                trim(outcome)
            else:
                done(UNAVAILABLE)

        broker.trim(name, head(), trimmed)

    def read(record: Mapping[str, str] | Refusal) -> None:
        if isinstance(record, Refusal):
            done(record)
        else:
            forget([field for field in record if field != GONE])

    def forget(fields: list[str]) -> None:
        now, later = fields[:_FIELDS], fields[_FIELDS:]

        def forgotten(refusal: Refusal | None) -> None:
            if refusal is not None or not now:
                done(refusal)
            else:
                forget(later)

        changes: dict[str, None] = dict.fromkeys(now or [GONE])
        records.write(room_subject(name), changes, forgotten)

    if head():
        trim(-1)
    else:
        records.read(room_subject(name), read)
