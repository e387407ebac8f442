"""One room: who is in it, grouped by what they are to be sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from chatd.core.events import Event, Sender
from chatd.core.outbox import Outbox

__all__ = ["Dialect", "Member", "Room"]


class Dialect(Protocol):
    """How events look to some of the members. Equal ones share every encoded byte."""

    def encode(self, event: Event) -> bytes:
        """The frames that show an event, whole; empty when it is not shown."""

    def __hash__(self) -> int: ...


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """A session in a room.

    Args:
        sender: the session's id and nick.
        dialect: what it speaks.
        outbox: where its bytes go.
        echo: whether it is sent what it said itself.
    """

    sender: Sender
    dialect: Dialect
    outbox: Outbox
    echo: bool


class Room:
    """Who is in a room.

    Args:
        name: its folded name.
    """

    __slots__ = ("_audiences", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self._audiences: dict[Dialect, dict[str, Member]] = {}

    def join(self, member: Member) -> None:
        """Let a session in; it gets every batch from now on."""
        self._audiences.setdefault(member.dialect, {})[member.sender.session] = member

    def leave(self, member: Member) -> None:
        """Let a session out."""
        audience = self._audiences[member.dialect]
        del audience[member.sender.session]
        if not audience:
            del self._audiences[member.dialect]

    def audiences(self) -> Iterator[tuple[Dialect, list[Member]]]:
        """Members by dialect; each list is a snapshot, so members may leave meanwhile."""
        for dialect, audience in list(self._audiences.items()):
            yield dialect, list(audience.values())

    def __len__(self) -> int:
        """How many sessions are in it."""
        return sum(map(len, self._audiences.values()))
