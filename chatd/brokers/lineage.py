"""Which line of history a position is on.

Each opening of the store has a number and an epoch, and each message the number of the opening
that wrote it. A position is good if the message at its offset was written by an opening not later
than its epoch's: a lost tail or a restored copy never passes for what somebody had seen.

On a full disk an opening may have no row yet, and may never get one. Then the epoch of a room says
also where the room ended and which opening was the last before: `new.128.last`. Whoever does not
know `new` can trust positions up to 128 as those of `last`, for nothing before them was written by
`new`; what lies beyond was, on a line that is not known. So a place survives any number of starts
on a full disk, and nobody has to be told when the row gets in.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from chatd.brokers import store
from chatd.brokers.connections import MOST_READS, Connections
from chatd.brokers.stream import Stream
from chatd.core.broker import Place, Position
from chatd.errors import UNAVAILABLE, Refusal

__all__ = ["Lineage"]

_MOST_KEPT = 1000

Judged = Callable[[Place | Refusal], None]


class Lineage:
    """The openings of a store, and what they make of positions.

    Args:
        connections: to read by.
        epoch: of this opening; no other has it. Without a dot.

    Attributes:
        is_stored: whether the row of this opening is.
    """

    def __init__(self, connections: Connections, epoch: str) -> None:
        self.epoch = epoch
        self.opening = 0
        self.is_stored = False
        self._last = ""
        self._connections = connections
        self._openings: dict[str, int] = {}
        # What wrote a message never changes, so what was read stays right.
        self._kept: dict[tuple[int, int], int] = {}
        self._asked: dict[tuple[int, int], list[Callable[[int | Refusal], None]]] = {}
        self._waiting = 0

    def begin(self, openings: dict[str, int]) -> None:
        """Take over the openings that are stored; this one comes after them."""
        self._last = max(openings, key=openings.__getitem__, default="")
        self.opening = openings.get(self._last, 0) + 1
        self._openings = {**openings, self.epoch: self.opening}

    def epoch_at(self, head: int) -> str:
        """Name the epoch of a room that is opened now.

        Args:
            head: of the room.
        """
        if self.is_stored or not self._last:
            return self.epoch
        return f"{self.epoch}.{head}.{self._last}"

    def locate(self, stream: Stream, position: Position, done: Judged) -> Place | Refusal | None:
        """Find out what became of a position.

        Args:
            stream: the room.
            position: in it.
            done: told, if it takes a read.

        Returns:
            what became of it, if that takes no read.
        """
        opening, offset = self._opening_of(position), position.offset
        if opening is None:
            return Place.RESET
        if offset > stream.top:
            return Place.TRUNCATE
        if offset < stream.floor.offset:
            return Place.GAP
        if offset == stream.floor.offset:
            return Place.OK if stream.floor.opening <= opening else Place.TRUNCATE
        if opening == self.opening:
            return Place.OK
        place = stream.n, offset
        if place in self._kept:
            return Place.OK if self._kept[place] <= opening else Place.TRUNCATE
        asked = self._asked.get(place)
        if asked is None:
            if not self._connections.read(
                lambda connection: store.opening_of(connection, *place),
                partial(self._was_read, place),
            ):
                return UNAVAILABLE
            asked = self._asked[place] = []
        elif self._waiting >= MOST_READS:
            return UNAVAILABLE
        self._waiting += 1
        asked.append(partial(self._judge, opening, done))
        return None

    def _opening_of(self, position: Position) -> int | None:
        epoch, _, rest = position.epoch.partition(".")
        head, _, last = rest.partition(".")
        if epoch in self._openings:
            return self._openings[epoch]
        # It was said by a peer.
        is_before = head.isdecimal() and len(head) < 20 and position.offset <= int(head)
        return self._openings.get(last) if is_before else None

    def _was_read(self, place: tuple[int, int], outcome: int | Refusal) -> None:
        asked = self._asked.pop(place)
        self._waiting -= len(asked)
        if isinstance(outcome, int) and outcome:
            if len(self._kept) >= _MOST_KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[place] = outcome
        for judge in asked:
            judge(outcome)

    @staticmethod
    def _judge(opening: int, done: Judged, outcome: int | Refusal) -> None:
        if isinstance(outcome, Refusal):
            done(outcome)
        elif not outcome:  # trimmed meanwhile
            done(Place.GAP)
        else:
            done(Place.OK if outcome <= opening else Place.TRUNCATE)
