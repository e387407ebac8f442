"""This node's open rooms; the only place where a name becomes an object."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from twisted.logger import Logger

from chatd.core.broker import BLOCK, Broker, Opened, RoomSummary
from chatd.core.burial import bury
from chatd.core.charter import Changes, Charter, room_subject
from chatd.core.events import Message, Passing, RoomEvent, Sender
from chatd.core.fanout import Part, fan_out
from chatd.core.feed import Feed
from chatd.core.outbox import Outbox
from chatd.core.presence import Presence
from chatd.core.records import Records
from chatd.core.room import Room, Row
from chatd.core.wheel import Wheel
from chatd.errors import (
    INTERNAL,
    UNAVAILABLE,
    UNKNOWN_OUTCOME,
    UNKNOWN_ROOM,
    ChatError,
    Refusal,
)

__all__ = ["IDLE_ROOMS", "Hub"]

IDLE_ROOMS = 64
"""So many rooms stay open that nobody needs, the latest ones. Otherwise a room would be opened and
read anew for each message of somebody who publishes to it without being in it."""

_MOST_AMENDING = 100  # changes of one room's record that may wait

_AGAIN_S = 1.0

log = Logger()

Then = Callable[[Room | Refusal], None]
Judge = Callable[[], Changes]
Stored = Callable[[Refusal | None], None]
Last = Callable[[Callable[[int | Refusal], None]], None]


class Hub:
    """Rooms that somebody needs, and the way back from the broker.

    Args:
        broker: what stores and carries messages; started here, with `deliver` as its callback.
        feed: told of each block that a room has filled.
        records: where the rooms' charters are.
        wheel: for the grace.
        grace_s: how long somebody who can come back counts as present after they were lost.
        idle_rooms: so many rooms that nobody needs are kept open.
    """

    def __init__(
        self,
        broker: Broker,
        feed: Feed,
        records: Records,
        wheel: Wheel,
        *,
        grace_s: float,
        idle_rooms: int = IDLE_ROOMS,
    ) -> None:
        self._broker = broker
        self._feed = feed
        self._records = records
        self._wheel = wheel
        self._grace_s = grace_s
        self._rooms: dict[str, Room] = {}
        self._most_idle = idle_rooms
        self._idle: dict[str, None] = {}
        self._opening: dict[str, list[Then]] = {}
        self._answered: list[Outbox] = []
        self._burying: set[Room] = set()
        self._amending: dict[str, deque[tuple[Judge, Stored]]] = {}

    def start(self) -> None:
        """Begin to deliver."""
        self._broker.start(self.deliver)

    def open(self, name: str, then: Then) -> None:
        """Get a room, which is opened unless somebody needs it already.

        Args:
            name: its folded name.
            then: told the room, at once when it is open, or why there is none. Each room that is
                told is to be given back by `release`.
        """
        room = self._rooms.get(name)
        if room is not None:
            self._idle.pop(name, None)
            room.uses += 1
            then(room)
        elif name in self._opening:
            self._opening[name].append(then)
        else:
            self._opening[name] = [then]
            # First, for nothing may come between that the broker opens it and that it is known.
            self._records.read(room_subject(name), lambda record: self._chartered(name, record))

    def amend(self, room: Room, judge: Judge, done: Stored) -> None:
        """Change what is laid down about a room, in its record and then in its charter.

        Of one room it is done one at a time, so that what was judged is so when it is stored. The
        room stays open meanwhile, whatever becomes of whoever asked.

        Args:
            room: that the caller holds.
            judge: called when it is its turn: the changes, or a `ChatError` when there are to be
                none after all. None at all are stored already.
            done: told None once they are in the charter, or why they are not; UNKNOWN_ROOM: the
                room is being destroyed.
        """
        waiting = self._amending.setdefault(room.name, deque())
        if len(waiting) >= _MOST_AMENDING:
            done(UNAVAILABLE)
            return
        room.uses += 1
        waiting.append((judge, done))
        if len(waiting) == 1:
            self._amend(room)

    def bury(self, room: Room, last: Last, done: Stored) -> None:
        """Forget a room that nobody is in, with all that was said and laid down; it is blank then.

        Args:
            room: that the caller holds; its charter says already that it is gone.
            last: called with what it is to tell the room's last offset, once nothing more is under
                way in it, or why that cannot be told.
            done: told None, or why it is not done yet: then it may be asked for again, or is done
                when the room is opened next. UNKNOWN_ROOM: somebody else is at it.
        """
        if room in self._burying:
            done(UNKNOWN_ROOM)
            return
        self._burying.add(room)
        room.uses += 1

        def known(outcome: int | Refusal) -> None:
            if isinstance(outcome, Refusal):
                buried(outcome)
            else:
                upto = outcome
                name = room.name
                bury(self._broker, self._records, name, lambda: max(upto, room.head), buried)

        def buried(refusal: Refusal | None) -> None:
            if refusal is None:
                room.tail.clear()
                self._feed.drop(room)
                room.charter = Charter(room.name)
            self._burying.discard(room)
            done(refusal)
            self.release(room)

        last(known)

    def find(self, name: str) -> Room | None:
        """A room if it is open."""
        return self._rooms.get(name)

    def release(self, room: Room) -> None:
        """Give a room back; when nobody needs it, it is closed, though not at once."""
        room.uses -= 1
        if room.uses:
            return
        self._idle[room.name] = None
        if len(self._idle) > self._most_idle:
            name = next(iter(self._idle))
            del self._idle[name]
            self._feed.drop(self._rooms.pop(name))
            self._broker.close(name)

    def arrive(self, room: Room, sender: Sender) -> None:
        """A session is present in a room it holds; the room stays open as long as anybody is."""
        if not room.presence.users:
            room.uses += 1
        room.presence.join(sender)

    def depart(self, room: Room, sender: Sender, *, comes_back: bool) -> None:
        """A session that had arrived is present no longer.

        Args:
            room: that it still holds.
            sender: as it arrived.
            comes_back: whether its user may, so that others are told only after a while.
        """
        room.presence.leave(sender, comes_back=comes_back)

    def dismiss(self, user: str) -> bool:
        """Await a user who has no session in no room any longer; whether one awaited them."""
        awaiting = [room for room in self._rooms.values() if user in room.presence]
        for room in awaiting:
            room.presence.give_up(user)
        return bool(awaiting)

    def deliver(self, batch: Sequence[RoomEvent]) -> None:
        """Send what the broker stored to all who are in its rooms, and the answers that wait.

        Args:
            batch: events in order; those of one room are in the order of its history.
        """
        by_room: dict[str, list[RoomEvent]] = {}
        for event in batch:
            by_room.setdefault(event.room, []).append(event)
        parts: list[Part] = []
        for name, events in by_room.items():
            room = self._rooms.get(name)
            if room is not None:
                parts.append(self._taken(room, events))
        if parts:
            fan_out(parts)
        self.flush()

    def answers(self, outbox: Outbox) -> None:
        """Take note that an outbox has an answer that leaves with the next delivery."""
        self._answered.append(outbox)

    def flush(self) -> None:
        """Send the answers that wait."""
        answered, self._answered = self._answered, []
        for outbox in answered:
            outbox.flush()

    def __len__(self) -> int:
        """How many rooms somebody needs."""
        return len(self._rooms) - len(self._idle)

    def _chartered(self, name: str, record: Mapping[str, str] | Refusal) -> None:
        if isinstance(record, Refusal):
            self._opened(name, Charter(name), record)
            return
        charter = Charter(name, record)
        if charter.is_gone:
            self._broker.rooms(lambda rooms: self._half_buried(name, rooms), [name])
        else:
            self._broker.open(name, lambda outcome: self._opened(name, charter, outcome))

    def _half_buried(self, name: str, rooms: Sequence[RoomSummary] | Refusal) -> None:
        """A room is to be opened of which is left what was to be destroyed before."""

        def buried(refusal: Refusal | None) -> None:
            self._chartered(name, {} if refusal is None else refusal)

        if isinstance(rooms, Refusal):
            buried(rooms)
        else:
            head = sum(room.head for room in rooms if room.name == name)
            bury(self._broker, self._records, name, lambda: head, buried)

    def _opened(self, name: str, charter: Charter, outcome: Opened | Refusal) -> None:
        waiting = self._opening.pop(name)
        answer: Room | Refusal
        if isinstance(outcome, Opened):
            presence = Presence(
                name, self._broker, self._wheel, self._grace_s, lambda: self._emptied(name)
            )
            answer = Room(name, outcome, presence, charter)
            answer.uses = len(waiting)
            self._rooms[name] = answer
        else:
            answer = outcome
        for then in waiting:
            then(answer)

    def _amend(self, room: Room) -> None:
        """Do what is next in turn."""
        judge, _ = self._amending[room.name][0]
        refusal: Refusal | None = UNKNOWN_ROOM
        changes: Changes = {}
        try:
            if not room.charter.is_gone:
                changes, refusal = judge(), None
        except ChatError as error:
            refusal = error.refusal
        except Exception:
            log.failure("a change to room {room!r} cannot be judged", room=room.name)
            refusal = INTERNAL
        if refusal is not None or not changes:
            self._amended(room, refusal)
        else:
            stored = partial(self._written, room, changes)
            self._records.write(room_subject(room.name), changes, stored)

    def _written(self, room: Room, changes: Changes, refusal: Refusal | None) -> None:
        if refusal is UNKNOWN_OUTCOME:
            self._reread(room)
        else:
            if refusal is None:
                room.charter.apply(changes)
            self._amended(room, refusal)

    def _reread(self, room: Room) -> None:
        """Find out whether a change was stored; until then nobody changes anything more."""

        def read(record: Mapping[str, str] | Refusal) -> None:
            if isinstance(record, Refusal):
                self._wheel.after(_AGAIN_S, lambda: self._reread(room))
            else:
                room.charter = Charter(room.name, record)
                self._amended(room, UNKNOWN_OUTCOME)

        self._records.read(room_subject(room.name), read)

    def _amended(self, room: Room, refusal: Refusal | None) -> None:
        waiting = self._amending[room.name]
        _, done = waiting[0]
        try:
            done(refusal)
        finally:
            waiting.popleft()
            if waiting:
                self._amend(room)
            else:
                del self._amending[room.name]
            self.release(room)

    def _emptied(self, name: str) -> None:
        self.release(self._rooms[name])

    def _taken(self, room: Room, events: Sequence[RoomEvent]) -> Part:
        """Let a room's head move past its part of a batch."""
        before = room.head
        taken: list[Row | Passing] = []
        for event in events:
            if not isinstance(event, Message):
                taken.append(event)
            elif event.offset == room.head + 1:
                taken.append(room.grow(event))
                if room.head % BLOCK == 0:
                    self._feed.keep(room)
                for offset in event.erases:
                    room.erase(offset)
                    self._feed.forget(room, offset)
            elif event.offset > room.head:
                log.critical(
                    "room {room!r}: {offset} came after {head}",
                    room=room.name,
                    offset=event.offset,
                    head=room.head,
                )
        return Part(room, before, taken)
