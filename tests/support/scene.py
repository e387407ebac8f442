"""A hub over a scripted broker, and peers in its rooms."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from twisted.internet.task import Clock

from chatd.core.broker import Ack, Opened
from chatd.core.events import MESSAGE, About, Kind, Sender, compact
from chatd.core.feed import Feed
from chatd.core.hub import Hub
from chatd.core.presence import Presence
from chatd.core.room import Dialect, Member, Room
from chatd.core.wheel import TICK_S, Wheel
from chatd.errors import Refusal
from tests.support.memory import MemoryRecords
from tests.support.peers import RecordingPeer, connect
from tests.support.scripted import Lines, ScriptedBroker

__all__ = ["EVERYTHING", "HERALD", "Scene", "lines", "lone_room"]

EVERYTHING = 1 << 30
"""More bytes of blocks than any test makes."""

HERALD = Sender("herald", "h", "Herald")
"""Says what nobody else is said to say."""


class Scene:
    """Rooms of a hub, and who is in them.

    Args:
        cached_bytes: see `Feed`.
        grace_s: see `Hub`.
        idle_rooms: see `Hub`.

    Attributes:
        lost: the members that were told that what they missed is gone; they have left.
        outcomes: of what was said.
    """

    def __init__(
        self,
        *,
        cached_bytes: int = EVERYTHING,
        grace_s: float = TICK_S,
        idle_rooms: int = 0,
    ) -> None:
        self.clock = Clock()
        self.wheel = Wheel(self.clock.seconds)
        self.broker = ScriptedBroker()
        self.feed = Feed(self.broker, cached_bytes=cached_bytes)
        self.records = MemoryRecords()
        self.hub = Hub(
            self.broker,
            self.feed,
            self.records,
            self.wheel,
            grace_s=grace_s,
            idle_rooms=idle_rooms,
        )
        self.hub.start()
        self.lost: list[Member] = []
        self.outcomes: list[Ack | Refusal] = []
        self._ids = count()

    def wait(self, seconds: float) -> None:
        """Let time go by, with a tick each `TICK_S`."""
        for _ in range(round(seconds / TICK_S)):
            self.clock.advance(TICK_S)
            self.wheel.tick()

    def room(self, name: str = "lobby") -> Room:
        """Get a room, and hold it for good."""
        got: list[Room | Refusal] = []
        self.hub.open(name, got.append)
        if not got:
            self.broker.answer(self.broker.asked[-1])
        (room,) = got
        assert isinstance(room, Room)
        return room

    def peer(self, pause_after: int | None = None) -> RecordingPeer:
        """A peer whose outbox is fed."""
        return connect(self.wheel, feeder=self.feed, pause_after=pause_after)[0]

    def enter(
        self,
        peer: RecordingPeer,
        room: Room,
        after: int | None = None,
        *,
        sender: Sender | None = None,
        echo: bool = True,
        dialect: Dialect | None = None,
    ) -> Member:
        """Let a peer into a room, as a session does.

        Args:
            peer: who.
            room: where; it holds the room until it is told that it is `lost`, or for good.
            after: it has got everything up to this offset; None: the head.
            sender: as whom; None: somebody who never says anything.
            echo: see `Member`.
            dialect: None: `Lines`.
        """
        assert peer.outbox is not None
        room.uses += 1
        member = Member(
            room,
            sender or Sender("mute", "mute", "Mute"),
            dialect or Lines(),
            peer.outbox,
            echo,
            self._lost,
        )
        room.join(member, room.head if after is None else after)
        self.feed.catch_up(peer.outbox)
        return member

    def leave(self, member: Member) -> None:
        """Let a member out of its room, which is given back."""
        member.room.leave(member)
        self.hub.release(member.room)

    def publish(
        self, room: str, text: str, *, by: Sender = HERALD, erases: Sequence[int] = ()
    ) -> None:
        """Have something said in an open room; it waits for a commit."""
        about = About(Kind.DELETE, erases[0], tuple(erases)) if erases else MESSAGE
        self.broker.publish(
            room, by, f"m{next(self._ids)}", compact(text), self.outcomes.append, about
        )

    def say(self, room: str, count: int = 1, *, by: Sender = HERALD, size: int = 0) -> None:
        """Have messages said and delivered, in one commit; each says its offset, then dots."""
        head = self.broker.head(room)
        for offset in range(head + 1, head + count + 1):
            self.publish(room, str(offset).ljust(size, "."), by=by)
        self.broker.commit()

    def _lost(self, member: Member) -> None:
        self.lost.append(member)
        self.leave(member)


def lines(room: str, first: int, last: int, size: int = 0) -> list[str]:
    """What a peer is shown of what `Scene.say` said."""
    return [f'{room} {at} "{str(at).ljust(size, ".")}"' for at in range(first, last + 1)]


def lone_room(name: str = "lobby", *, head: int = 0) -> Room:
    """A room without a hub, in which nothing is left of what was said."""
    wheel = Wheel(lambda: 0.0)
    presence = Presence(name, ScriptedBroker(), wheel, 0, lambda: None)
    return Room(name, Opened("epoch", head, ()), presence)
