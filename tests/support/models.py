"""What a broker does, in as few lines as it can be said."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

__all__ = ["Model", "ModelRoom"]


@dataclass
class ModelRoom:
    """One room.

    Attributes:
        stored: of each message its key, its time and its text, which goes when it is erased.
        pending: what was published since the last turn: key, erased offsets; None: it passes.
        told: what was delivered.
        floor: so many of `stored` are trimmed.
        trims: how often it was trimmed: ids of trimmed messages may be forgotten.
    """

    stored: list[tuple[str, float, str]] = field(default_factory=list)
    pending: list[tuple[str, Sequence[int] | None]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    floor: int = 0
    trims: int = 0

    def left(self) -> list[tuple[int, str]]:
        """Offset and text of what is still there."""
        return [(at, text) for at, (_, _, text) in enumerate(self.stored, 1)][self.floor :]


class Model:
    """A broker; everything takes effect in a turn.

    Attributes:
        now: its wall clock, in seconds.
        acks: of each key, the offset, and whether it was there before.
        unheard: what may be delivered or not, for its room was closed.
    """

    def __init__(self, rooms: Iterable[str]) -> None:
        self.rooms = {room: ModelRoom() for room in rooms}
        self.now = 0.0
        self.acks: dict[str, list[tuple[int, bool]]] = {}
        self.unheard: set[str] = set()

    def publish(self, room: str, key: str, erases: Sequence[int] = ()) -> None:
        """See `Broker.publish`."""
        self.rooms[room].pending.append((key, erases))

    def relay(self, room: str, key: str) -> None:
        """See `Broker.ephemeral`."""
        self.rooms[room].pending.append((key, None))

    def reopen(self, room: str) -> None:
        """See `Broker.close` and `Broker.open`."""
        self.unheard.update(key for key, _ in self.rooms[room].pending)
        self._settle(self.rooms[room])

    def trim(self, room: str, upto: int) -> None:
        """See `Broker.trim`."""
        if upto:
            self.rooms[room].floor = max(self.rooms[room].floor, upto)
            self.rooms[room].trims += 1

    def turn(self) -> None:
        """Have everything take effect."""
        for room in self.rooms.values():
            self._settle(room)

    def _settle(self, room: ModelRoom) -> None:
        for key, erases in room.pending:
            if erases is None:
                room.told.append(key)
                continue
            known = [
                offset
                for offset, (each, time, _) in enumerate(room.stored, 1)
                if each == key and time > self.now - 600
            ]
            if not known:
                latest = max([self.now, *(time for _, time, _ in room.stored)])
                room.stored.append((key, latest, key))
                room.told.append(key)
                for gone in erases:
                    if 0 < gone < len(room.stored):
                        erased, time, _ = room.stored[gone - 1]
                        room.stored[gone - 1] = (erased, time, "")
            offset = known[-1] if known else len(room.stored)
            self.acks.setdefault(key, []).append((offset, bool(known)))
        room.pending.clear()
