"""Broker: stamp, store and announce, as one step; and reading back what was stored.

Publishing never delivers. A broker takes what is published, numbers and stores it, and brings it
back through one callback, in order, a commit at a time. The same callback serves a broker in this
process and one that many nodes share. Everything is called on the reactor's thread and nothing
blocks: outcomes come by callbacks, never from within the call that asked, which must not raise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple, Protocol

from chatd.core.events import OTHER, About, Message, Passing, RoomEvent, Sender
from chatd.errors import Refusal

__all__ = [
    "BLOCK",
    "ERASED",
    "LONGEST_PAGE",
    "Ack",
    "Broker",
    "Deliver",
    "Done",
    "Opened",
    "Place",
    "Position",
    "RoomSummary",
]

BLOCK = 128
"""Offsets `BLOCK * n + 1` to `BLOCK * (n + 1)` of a room are its block n: the unit of `Feed`."""

LONGEST_PAGE = 500
"""So many messages come in one page at most."""

ERASED = b'{"type":"deleted"}'
"""The payload of a message that was erased."""


class Position(NamedTuple):
    """A place in a room's history.

    Args:
        epoch: names the opening of the store in which somebody was at this place.
        offset: 1 is the first message, 0 the place before it.
    """

    epoch: str
    offset: int


class Place(Enum):
    """What became of a position."""

    OK = auto()
    """On this room's line, and everything after it is there."""
    GAP = auto()
    """On this room's line, but something after it was trimmed."""
    TRUNCATE = auto()
    """The room's line left it: what was there is lost or was overwritten."""
    RESET = auto()
    """The epoch is not known."""


class Ack(NamedTuple):
    """A message is stored at this position.

    Args:
        position: of it.
        duplicate: whether it was there before: nothing was stored, nothing will be delivered.
    """

    position: Position
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Opened:
    """A room as it was when it was opened.

    Args:
        epoch: of positions in it from now on.
        head: offset of its last message; 0 when there never was one.
        tail: its messages above the last multiple of `BLOCK`, in order; less those trimmed.
    """

    epoch: str
    head: int
    tail: Sequence[Message]


@dataclass(frozen=True, slots=True)
class RoomSummary:
    """One line of a list of rooms.

    Args:
        name: its folded name.
        head: offset of its last message.
        time_ms: when that was.
    """

    name: str
    head: int
    time_ms: int


Done = Callable[[Ack | Refusal], None]
Deliver = Callable[[Sequence[RoomEvent]], None]


class Broker(Protocol):
    """What stores messages and carries them from those who publish to `Deliver`."""

    @property
    def is_up(self) -> bool:
        """Whether the last thing it tried to store was stored."""

    def start(self, deliver: Deliver) -> None:
        """Begin.

        Args:
            deliver: called once for each commit, and for refusals that belong to none, after each
                of the `done`s, with what is to be told: stored and ephemeral events in the order
                of publishing, each room's messages in the order of their offsets. Called with
                nothing when all of it was refused or was a duplicate. It must not raise.
        """

    def open(self, room: str, done: Callable[[Opened | Refusal], None]) -> None:
        """Get ready for a room, before anything else with it; not while it is open.

        Args:
            room: its folded name.
            done: told how it stands; of what is stored later `deliver` will be told, each message
                with the offset that follows. Refused: it is not open.
        """

    def close(self, room: str) -> None:
        """Nobody needs the room any more. What was published in it is still stored."""

    def publish(
        self,
        room: str,
        sender: Sender,
        message_id: str,
        payload: bytes,
        done: Done,
        about: About = OTHER,
    ) -> None:
        """Number and store a message in an open room.

        Calls for one room take effect in call order. The same id of the same user in the same
        room is stored once within the window (10 minutes or the room's last 10 000 messages,
        whichever is less; over restarts too) and acknowledged again with the same position; one
        that is under way shares the fate of the first.

        Args:
            room: its folded name.
            sender: who says it, stored with it.
            message_id: the sender's own.
            payload: compact JSON, UTF-8, with neither a raw newline nor a raw U+0000.
            done: called exactly once, before the message is delivered: with an `Ack`, or with the
                `Refusal` that says whether it is certainly not stored (UNAVAILABLE, FULL) or
                maybe (UNKNOWN_OUTCOME). What is refused is never delivered.
            about: what it is. What it erases is gone from the moment on in which this one is
                stored, its offset staying, and so are the mentions in it; an edit's mentions
                take the place of those of the message that it changes.
        """

    def repeated(self, room: str, sender: Sender, message_id: str, done: Done) -> bool:
        """Acknowledge once more what was published in an open room, as `publish` would.

        Args:
            room: its folded name.
            sender: who says it again.
            message_id: the sender's own.
            done: as for `publish`; told nothing when it is not known.

        Returns:
            Whether it is within the window, or under way.
        """

    def ephemeral(self, event: Passing, done: Done) -> None:
        """Deliver an event in its place among what is published, without storing it.

        It is delivered also when what was published beside it is refused. `done` is called only
        to refuse it: when too much is waiting.
        """

    def locate(
        self, room: str, position: Position, done: Callable[[Place | Refusal], None]
    ) -> None:
        """Find out what became of a position in an open room."""

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
        """Read messages of an open room, never a silent hole.

        Args:
            room: its folded name.
            after: offsets from the one after this ...
            upto: ... to this one, at most the head when it is asked.
            done: told messages in ascending order, from the first that is not trimmed; fewer than
                asked is not the end; none only when none is left. Erased ones are there, and say
                so.
            limit: at most so many, 1 to `LONGEST_PAGE`.
            most_bytes: at most so many bytes of payloads and senders; at least one message comes.
            backward: take the last ones that fit, not the first.
        """

    def join(self, room: str, sender: Sender) -> None:
        """Somebody is present in an open room from now on; delivered as `Joined`.

        Of a user who is present already the sender is changed, and nothing is delivered.
        """

    def leave(self, room: str, sender: Sender) -> None:
        """A user who is present no longer is; delivered as `Left`."""

    def present(self, room: str, done: Callable[[Mapping[str, Sender] | Refusal], None]) -> None:
        """Tell who is present in an open room on all nodes, by user id."""

    def rooms(
        self,
        done: Callable[[Sequence[RoomSummary] | Refusal], None],
        names: Sequence[str] | None = None,
    ) -> None:
        """Tell the rooms in which something is stored, the latest first.

        Args:
            done: told at most 5 000 of them.
            names: only these, at most 1 000; None: all but those whose name begins with `@` or `!`.
        """

    def trim(self, room: str, upto: int, done: Callable[[int | Refusal], None]) -> None:
        """Forget the messages of a room, open or not, up to an offset; others keep theirs.

        What they said, and what was derived from it, is gone from all files within a minute.
        Whoever trims by themselves leaves what `publish` still knows the ids of: these may go
        with the messages, once the room is opened again.

        Args:
            room: its folded name.
            upto: the last offset to go, at most the head.
            done: told the offset up to which they are gone now, which may be less: a trim goes in
                small steps, and one call is one. 0 of a room in which nothing was ever stored.
        """

    def drain(self, done: Callable[[], None]) -> None:
        """Store and deliver what was accepted, refuse what comes from now on; then call `done`."""

    def stop(self, done: Callable[[], None]) -> None:
        """After `drain`: let go of everything; then call `done`."""
