"""Records in the database of the broker, over the broker's connections."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import chain
from sqlite3 import Connection

from chatd.brokers.connections import Connections
from chatd.brokers.faults import Condition
from chatd.errors import UNAVAILABLE, Refusal

__all__ = ["SqliteRecords"]

_MOST_CHANGES = 1000
"""A commit has so many changes at most, but at least one write."""

Done = Callable[[Refusal | None], None]
Changes = dict[tuple[str, str], str | None]

_Write = tuple[Changes, int, Done]


class SqliteRecords:
    """`core.records.Records` over SQLite. What is written in one turn is one commit.

    Args:
        connections: the broker's, which opens and closes them.
        later: calls something once this turn of the reactor is over.
        most_pending: how many writes and changes may wait; more are refused.
        most_bytes: how many characters of texts may.
    """

    def __init__(
        self,
        connections: Connections,
        *,
        later: Callable[[Callable[[], None]], object],
        most_pending: int,
        most_bytes: int,
    ) -> None:
        self._connections = connections
        self._later = later
        self._most_pending = most_pending
        self._most_bytes = most_bytes
        self._pending: deque[_Write] = deque()
        self._count = 0
        self._bytes = 0
        self._is_busy = False  # a commit is under way, or about to be
        self._condition = Condition("storing records")
        self._drained: list[Callable[[], None]] = []

    def read(self, subject: str, done: Callable[[Mapping[str, str] | Refusal], None]) -> None:
        """See `Records.read`."""
        if not self._connections.read(partial(_read, subject=subject), done):
            self._later(partial(done, UNAVAILABLE))

    def read_many(
        self,
        subjects: Sequence[str],
        fields: Sequence[str],
        done: Callable[[Mapping[str, Mapping[str, str]] | Refusal], None],
    ) -> None:
        """See `Records.read_many`."""
        asked = (json.dumps(subjects), json.dumps(fields))
        if not self._connections.read(partial(_read_many, asked=asked), done):
            self._later(partial(done, UNAVAILABLE))

    def write(self, subject: str, changes: Mapping[str, str | None], done: Done) -> None:
        """See `Records.write`."""
        size = sum(len(text or "") for text in changes.values())
        if (
            self._count + 1 + len(changes) > self._most_pending
            or self._bytes + size > self._most_bytes
        ):
            self._later(partial(done, UNAVAILABLE))
            return
        self._count += 1 + len(changes)
        self._bytes += size
        named = {(subject, field): text for field, text in changes.items()}
        self._pending.append((named, size, done))
        if not self._is_busy:
            self._is_busy = True
            self._later(self._commit)

    def drain(self, done: Callable[[], None]) -> None:
        """Call `done` when nothing waits to be stored any more; before the broker is stopped."""
        self._drained.append(done)
        self._later(self._look_drained)

    def _commit(self) -> None:
        taken, changes = [self._pending.popleft()], Changes()
        changes.update(taken[0][0])
        while self._pending and len(changes) + len(self._pending[0][0]) <= _MOST_CHANGES:
            taken.append(self._pending.popleft())
            changes.update(taken[-1][0])
        self._connections.write(partial(_write, changes=changes), partial(self._stored, taken))

    def _stored(self, taken: list[_Write], error: Exception | None) -> None:
        refusal = None if error is None else self._condition.failed(error)
        if refusal is None:
            self._condition.succeeded()
        self._is_busy = bool(self._pending)
        if self._pending:
            self._commit()
        for changes, size, done in taken:
            self._count -= 1 + len(changes)
            self._bytes -= size
            done(refusal)
        self._look_drained()

    def _look_drained(self) -> None:
        if not self._count:
            drained, self._drained = self._drained, []
            for done in drained:
                done()


def _read(connection: Connection, subject: str) -> Mapping[str, str]:
    # One row; and SQLite escapes U+0000 here.
    (text,) = connection.execute(
        "select json_group_object(field, value) from record where subject = ?", (subject,)
    ).fetchone()
    found: dict[str, str] = json.loads(text)
    return found


def _read_many(connection: Connection, asked: tuple[str, str]) -> Mapping[str, Mapping[str, str]]:
    # One row again, and one look-up for each field of each subject.
    (text,) = connection.execute(
        "select json_group_object(subject, json(named)) from ("
        "select subject, json_group_object(field, value) as named from record"
        " where subject in (select value from json_each(?))"
        " and field in (select value from json_each(?)) group by subject)",
        asked,
    ).fetchone()
    found: dict[str, dict[str, str]] = json.loads(text)
    return found


def _write(connection: Connection, changes: Changes) -> None:
    # Bound one by one: taken out of JSON, a text would end at U+0000.
    put = [(*key, text) for key, text in changes.items() if text is not None]
    gone = [key for key, text in changes.items() if text is None]
    connection.execute("begin immediate")
    if put:
        rows = ",".join(["(?, ?, ?)"] * len(put))
        connection.execute(
            f"insert or replace into record (subject, field, value) values {rows}",
            list(chain.from_iterable(put)),
        )
    if gone:
        rows = ",".join(["(?, ?)"] * len(gone))
        connection.execute(
            f"delete from record where (subject, field) in (values {rows})",
            list(chain.from_iterable(gone)),
        )
    connection.execute("commit")
