"""The broker over one SQLite file, or over memory alone.

The reactor's thread owns all that is known; the workers only execute. A room is read once when it
is opened: nothing is committed to it before, so nothing is missed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from chatd.brokers import store
from chatd.brokers.commits import Commits
from chatd.brokers.connections import MOST_READS, Connections
from chatd.brokers.faults import Condition
from chatd.brokers.lineage import Lineage
from chatd.brokers.store import Room
from chatd.brokers.stream import Entry, Said, Stream
from chatd.brokers.trims import Trimmed, trim
from chatd.brokers.worker import Worker
from chatd.core.broker import (
    BLOCK,
    LONGEST_PAGE,
    Ack,
    Deliver,
    Done,
    Opened,
    Place,
    Position,
    RoomSummary,
)
from chatd.core.events import (
    OTHER,
    About,
    Joined,
    Left,
    Message,
    Passing,
    Relay,
    Sender,
    Signal,
)
from chatd.errors import UNAVAILABLE, Refusal

__all__ = ["SqliteBroker"]

T = TypeVar("T")

_MOST_TRIMS = 100


class SqliteBroker:
    """`core.broker.Broker` over SQLite.

    Args:
        path: of a database that `database.check` has passed, or `:memory:`.
        reader: does what reads; the broker stops it. Not used for `:memory:`.
        writer: does what writes; the broker stops it.
        later: calls something once this turn of the reactor is over.
        now_ms: the wall clock, in milliseconds since 1970; it may step.
        new_epoch: makes a name that no opening of any database had before, without a space
            or a dot.
        most_pending: how much may be accepted and not told yet; more is refused.
        most_bytes: how many bytes of payloads and senders may be.
        free_bytes: with less free on the disk, and less than 5 % of it, nothing is stored.
        flush_each: whether each commit is flushed to the disk before it is acknowledged.
    """

    def __init__(
        self,
        *,
        path: str,
        reader: Worker,
        writer: Worker,
        later: Callable[[Callable[[], None]], object],
        now_ms: Callable[[], int],
        new_epoch: Callable[[], str],
        most_pending: int,
        most_bytes: int,
        free_bytes: int,
        flush_each: bool = True,
    ) -> None:
        self.connections = Connections(
            path,
            reader=reader,
            writer=writer,
            now_ms=now_ms,
            free_bytes=free_bytes,
            flush_each=flush_each,
        )
        self._lineage = Lineage(self.connections, new_epoch())
        self._commits = Commits(
            self.connections,
            self._lineage,
            later=later,
            now_ms=now_ms,
            most_pending=most_pending,
            most_bytes=most_bytes,
            release=self._release,
        )
        self._later = later
        self._now_ms = now_ms
        self._streams: dict[str, Stream] = {}
        self._unread: list[Stream] = []  # until the database is open
        self._early: list[Callable[[], None]] = []  # likewise
        self._is_starting = False
        self._is_ready = False
        self._asked_rooms: list[Callable[[Sequence[RoomSummary] | Refusal], None]] = []
        self._trims = 0
        self.connections.reopen = self._reopen
        self._trimming = Condition("trimming rooms")

    @property
    def is_up(self) -> bool:
        """See `Broker.is_up`."""
        return self._commits.is_up

    def follow(self, *, grew: Callable[[Sequence[int]], None], changed: Callable[[], None]) -> None:
        """Have others know what was stored; they must not raise.

        Args:
            grew: told after each commit, by their numbers, in which rooms.
            changed: called when something was erased, edited or trimmed.
        """
        self._commits.grew, self._commits.changed = grew, changed

    def start(self, deliver: Deliver) -> None:
        """See `Broker.start`. When the database cannot be opened, `open` tries again."""
        self._commits.start(deliver)
        self._begin()

    def open(self, room: str, done: Callable[[Opened | Refusal], None]) -> None:
        """See `Broker.open`."""
        before = self._streams.get(room)
        stream = self._streams[room] = Stream(room, done)
        if before is None:
            self._read_room(stream)
        else:
            # Closed, and something waits in it: it is to be stored before the room is read.
            before.then = partial(self._read_room, stream)

    def close(self, room: str) -> None:
        """See `Broker.close`."""
        stream = self._streams.get(room)
        if stream is not None:
            stream.is_closed = True
            if not stream.busy:
                del self._streams[room]

    def publish(
        self,
        room: str,
        sender: Sender,
        message_id: str,
        payload: bytes,
        done: Done,
        about: About = OTHER,
    ) -> None:
        """See `Broker.publish`."""
        said = Said((sender.user, message_id), sender, message_id, payload, about)
        self._accept(room, len(sender.encoded) + len(payload), done, said=said)

    def repeated(self, room: str, sender: Sender, message_id: str, done: Done) -> bool:
        """See `Broker.repeated`."""
        stream, key = self._opened_stream(room), (sender.user, message_id)
        if stream is None:
            return False
        if key in stream.under_way:
            self.publish(room, sender, message_id, b"", done)  # shares the fate of the first
            return True
        known = stream.window.find(key, stream.top, self._now_ms())
        if known:
            self._later(partial(done, Ack(Position(stream.epoch, known), duplicate=True)))
        return known > 0

    def ephemeral(self, event: Passing, done: Done) -> None:
        """See `Broker.ephemeral`."""
        size = len(event.sender.encoded)
        if isinstance(event, Relay):
            size += len(event.data)
        elif isinstance(event, Signal):
            size += len(event.payload)
        self._accept(event.room, size, done, event=event)

    def locate(
        self, room: str, position: Position, done: Callable[[Place | Refusal], None]
    ) -> None:
        """See `Broker.locate`."""
        stream = self._opened_stream(room)
        place = UNAVAILABLE if stream is None else self._lineage.locate(stream, position, done)
        if place is not None:
            self._later(partial(done, place))

    def page(
        self,
        room: str,
        after: int,
        upto: int,
        done: Callable[[Sequence[Message] | Refusal], None],
        *,
        limit: int = BLOCK,
        most_bytes: int = 1 << 20,
        backward: bool = False,
    ) -> None:
        """See `Broker.page`."""
        stream = self._opened_stream(room)
        if stream is None:
            self._later(partial(done, UNAVAILABLE))
            return
        n, upto, limit = stream.n, min(upto, stream.top), max(1, min(limit, LONGEST_PAGE))
        if after >= upto:
            self._later(partial(done, ()))
            return
        self._read(
            lambda connection: store.page(
                connection, n, room, after, upto, limit, most_bytes, backward
            ),
            done,
        )

    def join(self, room: str, sender: Sender) -> None:
        """See `Broker.join`."""
        stream = self._streams.get(room)
        if stream is not None:
            is_here = sender.user in stream.present
            stream.present[sender.user] = sender
            if not is_here:
                self.ephemeral(Joined(room, sender), _dropped)

    def leave(self, room: str, sender: Sender) -> None:
        """See `Broker.leave`."""
        stream = self._streams.get(room)
        if stream is not None and stream.present.pop(sender.user, None) is not None:
            self.ephemeral(Left(room, sender), _dropped)

    def present(self, room: str, done: Callable[[Mapping[str, Sender] | Refusal], None]) -> None:
        """See `Broker.present`."""
        stream = self._streams.get(room)
        self._later(partial(done, UNAVAILABLE if stream is None else dict(stream.present)))

    def rooms(
        self,
        done: Callable[[Sequence[RoomSummary] | Refusal], None],
        names: Sequence[str] | None = None,
    ) -> None:
        """See `Broker.rooms`. Who asks for all while others wait for them gets their answer."""
        if names is not None:
            named = list(names[: store.MOST_NAMES])
            self._read(lambda connection: store.summaries(connection, named), done)
            return

        def told(outcome: Sequence[RoomSummary] | Refusal) -> None:
            asked, self._asked_rooms = self._asked_rooms, []
            for each in asked:
                each(outcome)

        self._asked_rooms.append(done)
        if len(self._asked_rooms) > MOST_READS:
            self._asked_rooms.pop()
            self._later(partial(done, UNAVAILABLE))
        elif len(self._asked_rooms) == 1:
            self._read(store.summaries, told)

    def trim(self, room: str, upto: int, done: Callable[[int | Refusal], None]) -> None:
        """See `Broker.trim`."""

        def trimmed(outcome: Trimmed | Exception) -> None:
            self._trims -= 1
            if isinstance(outcome, Exception):
                done(self._trimming.failed(outcome))
                return
            self._trimming.succeeded()
            stream = self._streams.get(room)
            if stream is not None:
                stream.trimmed(outcome.floor)
            if outcome.rows:
                self._commits.changed()
            done(outcome.gone)

        if (stream := self._opened_stream(room)) is not None:
            upto = min(upto, stream.top)
        if self._trims >= _MOST_TRIMS or not self._is_ready:
            self._later(partial(done, UNAVAILABLE))
            return
        self._trims += 1
        self.connections.write(
            lambda connection: trim(connection, room, upto), trimmed, stores=False
        )

    def drain(self, done: Callable[[], None]) -> None:
        """See `Broker.drain`."""
        self._commits.drain(done)

    def stop(self, done: Callable[[], None]) -> None:
        """See `Broker.stop`. It works without `start`, and again."""
        self._commits.accepts = False
        self.connections.stop(done)

    def _begin(self) -> None:
        def opened(error: Exception | None) -> None:
            if error is not None:
                begun(self._commits.failed(error))
            elif not self.connections.read(store.openings, begun):
                begun(UNAVAILABLE)

        def begun(outcome: tuple[dict[str, int], int] | Refusal) -> None:
            if isinstance(outcome, Refusal):
                ended(outcome)
                return
            openings, last_room = outcome
            self._lineage.begin(openings)
            self._commits.last_room = last_room
            # When this fails, on a full disk, what is there can still be read.
            self._commits.write_opening(lambda refusal: ended(None))

        def ended(refusal: Refusal | None) -> None:
            self._is_starting, self._is_ready = False, refusal is None
            while self._early:
                self._early.pop(0)()
            unread, self._unread = self._unread, []
            for stream in unread:
                if refusal is None:
                    self._read_room(stream)
                else:
                    self._was_read(stream, refusal)

        self._is_starting = True
        self.connections.start(opened)

    def _reopen(self) -> bool:
        if self._is_ready or not self._commits.accepts:
            return False
        if not self._is_starting:
            self._begin()
        return True

    def _read_room(self, stream: Stream) -> None:
        if not self._is_ready:
            self._unread.append(stream)
            if self._commits.accepts and not self._is_starting:
                self._begin()
            return
        now_ms = self._now_ms()
        self._read(
            lambda connection: store.read_room(connection, stream.name, now_ms),
            partial(self._was_read, stream),
        )

    def _was_read(self, stream: Stream, outcome: Room | Refusal) -> None:
        waiting, stream.waiting = stream.waiting, []
        if isinstance(outcome, Refusal):
            if self._streams.get(stream.name) is stream:
                del self._streams[stream.name]
            stream.opening(outcome)
            self._commits.refuse_all(waiting, outcome)
        else:
            opened = stream.begin(outcome, self._lineage.epoch_at(outcome.head))
            self._commits.append(waiting)  # before what is said from within the call that follows
            stream.opening(opened)
        stream.busy -= 1
        self._release(stream)

    def _accept(
        self,
        room: str,
        size: int,
        done: Done,
        *,
        said: Said | None = None,
        event: Passing | None = None,
    ) -> None:
        stream = self._streams.get(room)
        if stream is None or stream.is_closed:
            self._commits.refuse(done)
        else:
            self._commits.accept(Entry(stream, size, [done], said, event))

    def _release(self, stream: Stream) -> None:
        if stream.busy or not stream.is_closed:
            return
        if self._streams.get(stream.name) is stream:
            del self._streams[stream.name]
        if stream.then is not None:
            stream.then()

    def _opened_stream(self, room: str) -> Stream | None:
        stream = self._streams.get(room)
        return stream if stream is not None and stream.is_open else None

    def _read(self, job: Callable[..., T], done: Callable[[T | Refusal], None]) -> None:
        if self._is_starting and len(self._early) < MOST_READS:
            self._early.append(partial(self._read, job, done))
        elif not self._is_ready or not self.connections.read(job, done):
            self._later(partial(done, UNAVAILABLE))


def _dropped(outcome: object) -> None:
    """Who comes and goes is told while there is room for it; `present` always knows."""
