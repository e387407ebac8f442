"""One room: its head, its last messages, and who is in it, grouped by what they are to be sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from chatd.core.broker import ERASED, Opened
from chatd.core.charter import Charter
from chatd.core.events import Message, Sender
from chatd.core.outbox import Outbox, State
from chatd.core.presence import Presence
from chatd.core.replies import Told
from chatd.core.turns import Turns
from chatd.errors import Refusal

__all__ = ["Dialect", "Member", "Room", "Row", "erase"]

_Read = Callable[[Sequence[Message] | Refusal], None]


class Dialect(Protocol):
    """How events look to some of the members. Equal ones share every encoded byte."""

    @property
    def has_replies(self) -> bool:
        """Whether a refusal can be answered; else it is shown as a close."""

    @property
    def is_common(self) -> bool:
        """Whether many members have it, so that encoded bytes are worth keeping."""

    def of_room(self, name: str, *, join_leave: bool) -> Dialect:
        """The dialect of a member of a room.

        Args:
            name: the room's, as the peer spells it.
            join_leave: whether it is told who comes and goes.
        """

    def encode(self, event: Told) -> bytes:
        """The frames that show an event, whole; empty when it is not shown."""

    def __hash__(self) -> int: ...


class Row:
    """A message and its frames, each made once."""

    __slots__ = ("_frames", "message")

    def __init__(self, message: Message) -> None:
        self.message = message
        self._frames: dict[Dialect, bytes] = {}

    def frame(self, dialect: Dialect) -> bytes:
        """The frames that show it in a dialect."""
        found = self._frames.get(dialect)
        if found is None:
            found = dialect.encode(self.message)
            if dialect.is_common:
                self._frames[dialect] = found
        return found


def erase(rows: list[Row], offset: int) -> None:
    """Forget what a message said, if it is among these.

    Args:
        rows: of successive messages.
        offset: of the message.
    """
    index = offset - rows[0].message.offset if rows else -1
    if 0 <= index < len(rows):
        rows[index] = Row(rows[index].message._replace(payload=ERASED))


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """A session in a room.

    Args:
        room: the room.
        sender: whose session.
        dialect: what it speaks.
        outbox: where its bytes go.
        echo: whether it is sent what it said itself.
        lost: called when what it missed cannot be had any more; it leaves then.
    """

    room: Room
    sender: Sender
    dialect: Dialect
    outbox: Outbox
    echo: bool
    lost: Callable[[Member], None]


class Room:
    """A room that is open.

    The live members are those who have got everything up to the head and take more. The others
    are behind: their outbox knows how far they have got, and `Feed` brings them back.

    Args:
        name: its folded name.
        opened: how the broker found it.
        presence: the users in it.
        charter: what is laid down about it.
    """

    __slots__ = (
        "_audiences",
        "_readings",
        "_turns",
        "charter",
        "epoch",
        "head",
        "name",
        "presence",
        "tail",
        "uses",
    )

    def __init__(
        self, name: str, opened: Opened, presence: Presence, charter: Charter | None = None
    ) -> None:
        self.name = name
        self.charter = charter or Charter(name)
        self.epoch = opened.epoch
        self.head = opened.head
        self.tail = [Row(message) for message in opened.tail]
        """Its messages above the last multiple of `BLOCK`, less those trimmed when it opened."""
        self.presence = presence
        self.uses = 0
        """How many need it; see `Hub.open`."""
        self._audiences: dict[Dialect, dict[Member, None]] = {}
        self._readings: dict[object, list[int]] = {}
        self._turns: Turns | None = None  # in most rooms nothing is ever changed

    @property
    def turns(self) -> Turns:
        """Who may change what was said: one at a time, from the look at it until it is stored."""
        if self._turns is None:
            self._turns = Turns()
        return self._turns

    def reading(self, done: _Read) -> _Read:
        """Begin to read messages; what is erased before they are told says so.

        Args:
            done: told them.

        Returns:
            What they are to be told to, once.
        """
        reading = object()
        self._readings[reading] = []

        def came(outcome: Sequence[Message] | Refusal) -> None:
            erased = self._readings.pop(reading)
            if erased and not isinstance(outcome, Refusal):
                outcome = [
                    each._replace(payload=ERASED) if each.offset in erased else each
                    for each in outcome
                ]
            done(outcome)

        return came

    def erase(self, offset: int) -> None:
        """A message was erased: what it said is shown no more."""
        erase(self.tail, offset)
        for erased in self._readings.values():
            erased.append(offset)

    def grow(self, message: Message) -> Row:
        """Let the head move to the next message."""
        row = Row(message)
        self.tail.append(row)
        self.head = message.offset
        return row

    def join(self, member: Member, after: int) -> None:
        """Let a session in, which has got everything up to an offset; it is behind, or live."""
        if after == self.head:
            self._audiences.setdefault(member.dialect, {})[member] = None
        else:
            member.outbox.behind[member] = after

    def miss(self, member: Member, after: int) -> None:
        """Take note that a live member has got nothing after an offset."""
        if self._forget(member) and member.outbox.state is not State.GONE:
            member.outbox.behind[member] = after

    def leave(self, member: Member) -> None:
        """Let a session out."""
        if member.outbox.behind.pop(member, None) is None:
            self._forget(member)

    def audiences(self) -> list[tuple[Dialect, list[Member]]]:
        """Live members by dialect, as they are now: what happens later changes nothing in it."""
        return [(dialect, list(audience)) for dialect, audience in self._audiences.items()]

    def _forget(self, member: Member) -> bool:
        """Let a member be live no more; False when it was not."""
        audience = self._audiences.get(member.dialect)
        if audience is None or member not in audience:
            return False
        del audience[member]
        if not audience:
            del self._audiences[member.dialect]
        return True
