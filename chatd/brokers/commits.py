"""What was accepted, on its way: one commit at a time, meanwhile the next collects.

What is stored and what passes wait in one order, so nothing overtakes anything.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from twisted.logger import Logger
from twisted.python.failure import Failure

from chatd.brokers import store
from chatd.brokers.batch import Batch
from chatd.brokers.connections import Connections
from chatd.brokers.faults import Condition
from chatd.brokers.lineage import Lineage
from chatd.brokers.stream import Entry, Stream
from chatd.core.broker import Deliver, Done
from chatd.core.events import RoomEvent
from chatd.errors import UNAVAILABLE, Refusal

__all__ = ["MOST_BYTES", "MOST_ENTRIES", "Commits"]

_log = Logger()

T = TypeVar("T")

MOST_ENTRIES = 512
"""A commit is so many entries at most ..."""

MOST_BYTES = 4 << 20
"""... and so many bytes, or one message."""


class Commits:
    """Numbers, stores, acknowledges and delivers, a batch at a time.

    Args:
        connections: to store by.
        lineage: the openings; this one's row is written before the first message.
        later: calls something once this turn of the reactor is over.
        now_ms: the wall clock.
        most_pending: how much may be accepted and not told yet, a quarter of it what only passes.
        most_bytes: how many bytes may be.
        release: told a stream when all its entries are told.

    Attributes:
        grew: told after each commit, by their numbers, in which rooms.
        changed: called after a commit that erased or edited something.
    """

    def __init__(
        self,
        connections: Connections,
        lineage: Lineage,
        *,
        later: Callable[[Callable[[], None]], object],
        now_ms: Callable[[], int],
        most_pending: int,
        most_bytes: int,
        release: Callable[[Stream], None],
    ) -> None:
        self.accepts = False
        self.grew: Callable[[Sequence[int]], None] = _nobody
        self.changed: Callable[[], None] = _nothing
        self.last_room = 0
        self._connections = connections
        self._lineage = lineage
        self._later = later
        self._now_ms = now_ms
        self._most_pending = most_pending
        self._most_passing = max(1, most_pending // 4)  # or renames would refuse messages
        self._most_bytes = most_bytes
        self._release = release
        self._deliver: Deliver = _nobody
        self._condition = Condition("storing messages")
        self._pending: deque[Entry] = deque()
        self._count = 0
        self._passing = 0
        self._bytes = 0
        self._is_kicked = False
        self._is_committing = False
        self._refused: list[Done] = []
        self._drained: list[Callable[[], None]] = []

    @property
    def is_up(self) -> bool:
        """Whether the last thing it tried to store was stored."""
        return self._condition.is_up

    def start(self, deliver: Deliver) -> None:
        """Accept from now on; see `Broker.start`."""
        self._deliver = deliver
        self.accepts = True

    def accept(self, entry: Entry) -> None:
        """Take an entry in, or refuse it when too much waits."""
        said, stream, size = entry.said, entry.stream, entry.size
        if (
            not self.accepts
            or self._count >= self._most_pending
            or (said is None and self._passing >= self._most_passing)
            or self._bytes + size > self._most_bytes
        ):
            self.refuse(entry.asked[0])
            return
        self._count += 1
        self._passing += said is None
        if said is not None:
            first = stream.under_way.setdefault(said.key, entry)
            if first is not entry:
                first.asked += entry.asked
                return
        self._bytes += size
        stream.busy += 1
        if stream.is_open:
            self._pending.append(entry)
            if not self._is_kicked:
                self._kick()
        else:
            stream.waiting.append(entry)

    def append(self, entries: Sequence[Entry]) -> None:
        """Let what was accepted wait for its turn."""
        self._pending.extend(entries)
        self._kick()

    def refuse(self, done: Done) -> None:
        """Refuse something that was not accepted, once this turn is over."""
        if not self._refused:
            self._later(self._tell_refused)
        self._refused.append(done)

    def refuse_all(self, entries: Sequence[Entry], refusal: Refusal) -> None:
        """Refuse what was accepted and waits for a room that cannot be opened."""
        self._forget(entries)
        for entry in entries:
            if entry.said is not None:
                del entry.stream.under_way[entry.said.key]
            for done in entry.asked:
                _told(done, refusal)
        if entries:
            self._finished(entries, ())

    def failed(self, error: Exception) -> Refusal:
        """Learn that nothing can be stored; say what that means."""
        return self._condition.failed(error)

    def write_opening(self, done: Callable[[Refusal | None], None]) -> None:
        """Store that this opening begins; without it there is no message of it."""

        def wrote(error: Exception | None) -> None:
            if error is not None:
                done(self._condition.failed(error))
                return
            self._lineage.is_stored = True
            self._condition.succeeded()
            done(None)

        n, epoch = self._lineage.opening, self._lineage.epoch
        # It counts as nothing stored: were it refused on a low disk, every restart there would
        # give out an epoch that the next one does not know.
        self._connections.write(
            lambda connection: store.write_opening(connection, n, epoch), wrote, stores=False
        )

    def drain(self, done: Callable[[], None]) -> None:
        """Accept nothing more; call `done` when all that was accepted is told."""
        self.accepts = False
        self._drained.append(done)
        self._later(self._look_drained)

    def _tell_refused(self) -> None:
        refused, self._refused = self._refused, []
        for done in refused:
            _told(done, UNAVAILABLE)
        _told(self._deliver, ())

    def _kick(self) -> None:
        if self._pending and not self._is_kicked and not self._is_committing:
            self._is_kicked = True
            self._later(self._turn)

    def _turn(self) -> None:
        self._is_kicked = False
        batch = self._take()
        if batch.is_passing:
            batch.settle(None)
            self._tell(batch)
        else:
            self._commit(batch)
        self._kick()

    def _take(self) -> Batch:
        entries = [self._pending.popleft()]
        size = entries[0].size
        while self._pending and len(entries) < MOST_ENTRIES:
            size += self._pending[0].size
            if size > MOST_BYTES:
                break
            entries.append(self._pending.popleft())
        return Batch(
            entries,
            opening=self._lineage.opening,
            now_ms=self._now_ms(),
            new_number=self._new_number,
        )

    def _new_number(self) -> int:
        self.last_room += 1
        return self.last_room

    def _commit(self, batch: Batch) -> None:
        self._is_committing = True
        if self._lineage.is_stored:
            self._store(batch, None)
        else:
            self.write_opening(partial(self._store, batch))

    def _store(self, batch: Batch, refusal: Refusal | None) -> None:
        if refusal is not None:
            self._end(batch, refusal)
            return
        self._connections.write(
            lambda connection: store.add(
                connection, batch.rooms, batch.rows(), batch.erased, batch.mentions
            ),
            partial(self._stored, batch),
        )

    def _stored(self, batch: Batch, error: Exception | None) -> None:
        if error is None:
            self._condition.succeeded()
            self._end(batch, None)
            self.grew(batch.grown())
            if batch.is_changing:
                self.changed()
        else:
            self._end(batch, self._condition.failed(error))

    def _end(self, batch: Batch, refusal: Refusal | None) -> None:
        self._is_committing = False
        batch.settle(refusal)
        # The disk goes on while this is told; but what only passes must not overtake it.
        following = self._take() if self._pending else None
        if following is not None and not following.is_passing:
            self._commit(following)
        self._tell(batch)
        if following is not None and following.is_passing:
            following.settle(None)
            self._tell(following)
        self._kick()

    def _tell(self, batch: Batch) -> None:
        self._forget(batch.entries)
        for done, outcome in batch.answers():
            _told(done, outcome)
        self._finished(batch.entries, batch.events())

    def _forget(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            self._count -= len(entry.asked)
            self._passing -= entry.said is None
            self._bytes -= entry.size

    def _finished(self, entries: Sequence[Entry], events: Sequence[RoomEvent]) -> None:
        _told(self._deliver, events)
        for entry in entries:
            stream = entry.stream
            stream.busy -= 1
            if not stream.busy:
                self._release(stream)
        self._look_drained()

    def _look_drained(self) -> None:
        if not self._count:
            drained, self._drained = self._drained, []
            for done in drained:
                done()


def _nobody(told: Sequence[object]) -> None:
    """Who is told before there is somebody."""


def _nothing() -> None:
    """What is done as long as nobody wants anything."""


def _told(done: Callable[[T], object], outcome: T) -> None:
    # A slip in one conversation must not end all.
    try:
        done(outcome)
    except Exception:
        _log.failure("an outcome could not be told", Failure())
