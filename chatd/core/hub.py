"""This node's rooms; the only place where a name becomes an object."""

from __future__ import annotations

from collections.abc import Sequence

from chatd.core.broker import Broker, Done
from chatd.core.events import Message, Relay, Sender
from chatd.core.fanout import fan_out
from chatd.core.room import Member, Room

__all__ = ["Hub"]


class Hub:
    """Rooms that somebody is in, and the way to and from the broker.

    Args:
        broker: what numbers and carries messages; started here, with `deliver` as its callback.
    """

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._rooms: dict[str, Room] = {}
        broker.start(self.deliver)

    def join(self, room: str, member: Member) -> None:
        """Let a session into a room, which is made when nobody is in it.

        Args:
            room: its folded name.
            member: not yet in it.
        """
        found = self._rooms.get(room)
        if found is None:
            self._broker.open(room)
            found = self._rooms[room] = Room(room)
        found.join(member)

    def leave(self, room: str, member: Member) -> None:
        """Let a session out of a room it is in; a room with nobody in it is forgotten."""
        found = self._rooms[room]
        found.leave(member)
        if not found:
            del self._rooms[room]
            self._broker.close(room)

    def publish(
        self, room: str, sender: Sender, message_id: str, payload: bytes, done: Done
    ) -> None:
        """Hand a message of a member to the broker. It comes back through `deliver`."""
        self._broker.publish(room, sender, message_id, payload, done)

    def relay(self, event: Relay, done: Done) -> None:
        """Hand an event of a member to the broker that is not to be kept."""
        self._broker.ephemeral(event, done)

    def deliver(self, batch: Sequence[Message | Relay]) -> None:
        """Send what the broker numbered to all who are in its rooms.

        Args:
            batch: events in order; those of one room are in the order of its history.
        """
        by_room: dict[str, list[Message | Relay]] = {}
        for event in batch:
            by_room.setdefault(event.room, []).append(event)
        for name, events in by_room.items():
            room = self._rooms.get(name)
            if room is not None:
                fan_out(room, events)

    def __len__(self) -> int:
        """How many rooms somebody is in."""
        return len(self._rooms)
