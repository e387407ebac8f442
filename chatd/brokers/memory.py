"""A broker that numbers messages and keeps none: `--database :memory:`.

What is published in one turn of the reactor is one batch, numbered and delivered in the next.
"""

from __future__ import annotations

from collections.abc import Callable

from chatd.core.broker import Ack, Deliver, Done, Position
from chatd.core.events import Message, Relay, Sender
from chatd.errors import UNAVAILABLE

__all__ = ["MemoryBroker"]


class _Stream:
    """What is known of one open room: which stream it is, its head, its latest time."""

    __slots__ = ("epoch", "time_ms", "top")

    def __init__(self, epoch: str) -> None:
        self.epoch = epoch
        self.top = 0
        self.time_ms = 0


class MemoryBroker:
    """`core.broker.Broker` without storage.

    Args:
        later: calls something once this turn of the reactor is over.
        now_ms: the wall clock, in milliseconds since 1970; it may step.
        new_epoch: makes a name that no stream had before.
        most_pending: how many events may wait for their turn; more are refused.
        most_bytes: how many bytes of events may.
    """

    def __init__(
        self,
        *,
        later: Callable[[Callable[[], None]], object],
        now_ms: Callable[[], int],
        new_epoch: Callable[[], str],
        most_pending: int,
        most_bytes: int,
    ) -> None:
        self._later = later
        self._now_ms = now_ms
        self._new_epoch = new_epoch
        self._most_pending = most_pending
        self._most_bytes = most_bytes
        self._streams: dict[str, _Stream] = {}
        self._pending: list[tuple[_Stream, Message | Relay, Done]] = []
        self._bytes = 0
        self._deliver: Deliver | None = None

    def start(self, deliver: Deliver) -> None:
        """See `Broker.start`."""
        self._deliver = deliver

    def open(self, room: str) -> None:
        """See `Broker.open`; a room that is opened again is a new stream."""
        self._streams[room] = _Stream(self._new_epoch())

    def close(self, room: str) -> None:
        """See `Broker.close`."""
        del self._streams[room]

    def publish(
        self, room: str, sender: Sender, message_id: str, payload: bytes, done: Done
    ) -> None:
        """See `Broker.publish`."""
        # Offset and time are given when the batch is committed, not here.
        self._accept(Message(room, sender, message_id, payload, 0, 0), done)

    def ephemeral(self, event: Relay, done: Done) -> None:
        """See `Broker.ephemeral`."""
        self._accept(event, done)

    def drain(self) -> None:
        """See `Broker.drain`."""
        self._commit()
        self._deliver = None

    def _accept(self, event: Message | Relay, done: Done) -> None:
        size = len(event.payload if isinstance(event, Message) else event.data)
        full = len(self._pending) >= self._most_pending or self._bytes + size > self._most_bytes
        if self._deliver is None or full:
            done(UNAVAILABLE)
            return
        self._bytes += size
        if not self._pending:
            self._later(self._commit)
        self._pending.append((self._streams[event.room], event, done))

    def _commit(self) -> None:
        pending, self._pending, self._bytes = self._pending, [], 0
        deliver = self._deliver
        if not pending or deliver is None:
            return
        now_ms = self._now_ms()
        batch: list[Message | Relay] = []
        for stream, event, done in pending:
            if isinstance(event, Message):
                stream.top += 1
                stream.time_ms = max(now_ms, stream.time_ms)
                event = Message(
                    event.room,
                    event.sender,
                    event.id,
                    event.payload,
                    stream.top,
                    stream.time_ms,
                )
                done(Ack(Position(stream.epoch, stream.top)))
            # Not to those who entered after all had left: they were not there when it was said.
            if self._streams.get(event.room, stream) is stream:
                batch.append(event)
        deliver(batch)
