"""What is known of one room while somebody needs it, and what waits to be said in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from chatd.brokers.store import Floor, Room
from chatd.brokers.window import Key, Window
from chatd.core.broker import Ack, Done, Opened
from chatd.core.events import About, Message, RoomEvent, Sender
from chatd.errors import Refusal

__all__ = ["Entry", "Said", "Stream"]


class Said(NamedTuple):
    """What was published, before it has a number.

    Args:
        key: what it is known by: the sender's user and the id.
        sender: who said it.
        message_id: the sender's own.
        payload: compact JSON.
        about: what it is.
    """

    key: Key
    sender: Sender
    message_id: str
    payload: bytes
    about: About


@dataclass(slots=True, eq=False)
class Entry:
    """Something that was accepted and waits to be told.

    Args:
        stream: where.
        size: bytes of it.
        asked: who is to be told the outcome; all but the first said the same again meanwhile.
        said: to be numbered and stored; None: it passes.
        event: what is told; None: not known yet, or nothing.
        outcome: None: not known yet, or it passes.
    """

    stream: Stream
    size: int
    asked: list[Done]
    said: Said | None = None
    event: RoomEvent | None = None
    outcome: Ack | Refusal | None = None


@dataclass(slots=True, eq=False)
class Stream:
    """One room, from `open` until it is closed and nothing waits in it any more.

    Args:
        name: of the room.
        opening: to be told how it stands.
        n: its number; 0: none yet.
        epoch: of positions in it, once it is open.
        is_stored: whether the number is.
        top: offset of its last message that is certainly stored.
        time_ms: of that one.
        floor: up to where it is trimmed.
        window: the ids of its latest messages.
        present: who is, by user.
        under_way: what is accepted and not stored yet.
        waiting: what was accepted before it was open.
        busy: so many things need it: its opening, and entries.
        is_open: whether it was read.
        is_closed: whether nobody needs it any more.
        then: called when it is closed and not busy.
    """

    name: str
    opening: Callable[[Opened | Refusal], None]
    n: int = 0
    epoch: str = ""
    is_stored: bool = False
    top: int = 0
    time_ms: int = 0
    floor: Floor = field(default_factory=Floor)
    window: Window = field(default_factory=Window)
    present: dict[str, Sender] = field(default_factory=dict)
    under_way: dict[Key, Entry] = field(default_factory=dict)
    waiting: list[Entry] = field(default_factory=list)
    busy: int = 1
    is_open: bool = False
    is_closed: bool = False
    then: Callable[[], None] | None = None

    def begin(self, room: Room, epoch: str) -> Opened:
        """Take over what is stored.

        Args:
            room: as it was read.
            epoch: of positions from now on.
        """
        self.n, self.is_stored = room.n, room.n > 0
        self.top, self.time_ms, self.window = room.head, room.time_ms, room.window
        self.trimmed(room.floor)
        self.epoch, self.is_open = epoch, True
        tail = [message for message in room.tail if message.offset > self.floor.offset]
        return Opened(epoch, self.top, tail)

    def trimmed(self, floor: Floor) -> None:
        """Learn up to where it is trimmed; what was learnt later is never undone."""
        if floor.offset > self.floor.offset:
            self.floor = floor

    def stored(self, message: Message, key: Key) -> None:
        """Learn that a message is stored; it is the last."""
        self.is_stored = True
        self.top, self.time_ms = message.offset, message.time_ms
        self.window.add(key, message.offset, message.time_ms)
