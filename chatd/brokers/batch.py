"""One commit: what is numbered, stored, acknowledged and told together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from chatd.brokers.schema import LAST_OFFSET, LAST_ROOM, OFFSET_BITS, key
from chatd.brokers.store import Row
from chatd.brokers.stream import Entry, Stream
from chatd.core.broker import Ack, Done, Position
from chatd.core.events import About, Kind, Message, RoomEvent
from chatd.errors import UNAVAILABLE, Refusal

__all__ = ["Batch"]


class Batch:
    """Entries whose turn has come, while no other commit is under way.

    Offsets and times follow those that are stored and become them when this is stored, so they
    have no holes, whatever fails. What would be beyond the greatest number is refused.

    Args:
        entries: in order.
        opening: number of this one.
        now_ms: the wall clock.
        new_number: gives a room its number.

    Attributes:
        rooms: numbers and names of those that are not stored.
        erased: keys of the messages whose payload is to go.
        mentions: by its key, the folded nicks that a message names from now on.
        is_changing: whether something is erased or edited.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        *,
        opening: int,
        now_ms: int,
        new_number: Callable[[], int],
    ) -> None:
        self.entries = entries
        self.rooms: list[tuple[int, str]] = []
        self.erased: list[int] = []
        self.mentions: dict[int, tuple[str, ...]] = {}
        self.is_changing = False
        self._opening = opening
        self._stored: list[tuple[Entry, Message]] = []
        self._heads: dict[Stream, tuple[int, int]] = {}
        heads = self._heads
        for entry in entries:
            said, stream = entry.said, entry.stream
            if said is None:
                continue
            top, time_ms = heads.get(stream) or (stream.top, stream.time_ms)
            known = stream.window.find(said.key, top, now_ms)
            if known:
                entry.outcome = Ack(Position(stream.epoch, known), duplicate=True)
                continue
            if stream not in heads:
                # It keeps the number when this fails: it may have been stored.
                stream.n = stream.n or new_number()
            if top >= LAST_OFFSET or stream.n > LAST_ROOM:
                entry.outcome = UNAVAILABLE
                continue
            if stream not in heads and not stream.is_stored:
                self.rooms.append((stream.n, stream.name))
            heads[stream] = top, time_ms = top + 1, max(time_ms, now_ms)
            about = said.about
            # What is not there cannot go, so nobody is told that it did.
            erases = about.erases and tuple(each for each in about.erases if 0 < each < top)
            message = Message(stream.name, said.sender, said.payload, top, time_ms, erases)
            self._stored.append((entry, message))
            if erases or about.mentions or about.kind is Kind.EDIT:
                self._change(stream.n, top, about, erases)

    @property
    def is_passing(self) -> bool:
        """Whether nothing of it is to be stored."""
        return not self._stored

    def grown(self) -> Sequence[int]:
        """Numbers of the rooms in which something is to be stored."""
        return [stream.n for stream in self._heads]

    def rows(self) -> Iterator[Row]:
        """What is to be stored; for the writer's thread, while this is being stored."""
        for entry, message in self._stored:
            said = entry.said
            assert said is not None
            ref = said.about.ref
            yield (
                entry.stream.n << OFFSET_BITS | message.offset,
                self._opening,
                message.time_ms,
                entry.size,
                int(said.about.kind),
                key(entry.stream.n, ref) if 0 < ref < message.offset else None,
                said.sender.user,
                said.message_id,
                said.sender.encoded.decode(),
                said.payload.decode(),
            )

    def settle(self, refusal: Refusal | None) -> None:
        """Learn the outcome.

        Args:
            refusal: why nothing of it is stored; None: all of it is.
        """
        for entry, message in self._stored:
            if refusal is None:
                assert entry.said is not None
                entry.stream.stored(message, entry.said.key)
                entry.event = message
                entry.outcome = Ack(Position(entry.stream.epoch, message.offset))
            else:
                entry.outcome = refusal
        for entry in self.entries:
            if entry.said is not None:
                del entry.stream.under_way[entry.said.key]

    def answers(self) -> Iterator[tuple[Done, Ack | Refusal]]:
        """What each who published is to be told."""
        for entry in self.entries:
            outcome = entry.outcome
            if outcome is None:
                continue
            for number, done in enumerate(entry.asked):
                if number == 1 and isinstance(outcome, Ack):
                    outcome = Ack(outcome.position, duplicate=True)
                yield done, outcome

    def _change(self, n: int, offset: int, about: About, erases: Sequence[int]) -> None:
        if about.kind is Kind.EDIT:
            self.is_changing = True
            if 0 < about.ref < offset:
                self.mentions[key(n, about.ref)] = about.mentions
        elif about.mentions:
            self.mentions[key(n, offset)] = about.mentions
        if erases:
            self.is_changing = True
            self.erased += [key(n, each) for each in erases]

    def events(self) -> Sequence[RoomEvent]:
        """What is to be told."""
        return [entry.event for entry in self.entries if entry.event is not None]
