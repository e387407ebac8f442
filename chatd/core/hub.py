"""This node's open rooms; the only place where a name becomes an object."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.logger import Logger

from chatd.core.broker import BLOCK, Broker, Opened
from chatd.core.events import Message, Passing, RoomEvent, Sender
from chatd.core.fanout import Part, fan_out
from chatd.core.feed import Feed
from chatd.core.outbox import Outbox
from chatd.core.presence import Presence
from chatd.core.room import Room, Row, erase
from chatd.core.wheel import Wheel
from chatd.errors import Refusal

__all__ = ["IDLE_ROOMS", "Hub"]

IDLE_ROOMS = 64
"""So many rooms stay open that nobody needs, the latest ones. Otherwise a room would be opened and
read anew for each message of somebody who publishes to it without being in it."""

log = Logger()

Then = Callable[[Room | Refusal], None]


class Hub:
    """Rooms that somebody needs, and the way back from the broker.

    Args:
        broker: what stores and carries messages; started here, with `deliver` as its callback.
        feed: told of each block that a room has filled.
        wheel: for the grace.
        grace_s: how long somebody who can come back counts as present after they were lost.
        idle_rooms: so many rooms that nobody needs are kept open.
    """

    def __init__(
        self,
        broker: Broker,
        feed: Feed,
        wheel: Wheel,
        *,
        grace_s: float,
        idle_rooms: int = IDLE_ROOMS,
    ) -> None:
        self._broker = broker
        self._feed = feed
        self._wheel = wheel
        self._grace_s = grace_s
        self._rooms: dict[str, Room] = {}
        self._most_idle = idle_rooms
        self._idle: dict[str, None] = {}
        self._opening: dict[str, list[Then]] = {}
        self._answered: list[Outbox] = []

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
            self._broker.open(name, lambda outcome: self._opened(name, outcome))

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

    def _opened(self, name: str, outcome: Opened | Refusal) -> None:
        waiting = self._opening.pop(name)
        answer: Room | Refusal
        if isinstance(outcome, Opened):
            presence = Presence(
                name, self._broker, self._wheel, self._grace_s, lambda: self._emptied(name)
            )
            answer = Room(name, outcome, presence)
            answer.uses = len(waiting)
            self._rooms[name] = answer
        else:
            answer = outcome
        for then in waiting:
            then(answer)

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
                if event.erases:
                    erase(room.tail, event.erases)
                    self._feed.forget(room, event.erases)
            elif event.offset > room.head:
                log.critical(
                    "room {room!r}: {offset} came after {head}",
                    room=room.name,
                    offset=event.offset,
                    head=room.head,
                )
        return Part(room, before, taken)
