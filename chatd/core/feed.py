"""Feed: brings whoever is behind to the head of their rooms.

Who was away or lagged is given, at its own pace, what its rooms' history has after the place it
has got to: from the room's tail, which is in memory, or from blocks of the log. A block is read
once for all who want it, and its frames are made once for each dialect; pages read for each peer
alone would never end while others go on talking.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from twisted.logger import Logger

from chatd.core.broker import BLOCK, Broker
from chatd.core.events import Message
from chatd.core.outbox import PIECE_BYTES, Outbox, State
from chatd.core.room import Member, Room, Row, erase
from chatd.errors import Refusal

__all__ = ["Feed"]

_ROW_BYTES = 500  # what a row costs beside its payload, about; and a block beside its rows

log = Logger()

# By the room as it is open, not by its name: of what is erased while it is closed nobody tells us.
_Key = tuple[Room, int]


class _Reading:
    """A block that is being read."""

    __slots__ = ("erased", "rows", "waiting")

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.waiting: list[Member] = []
        self.erased: list[int] = []
        """Offsets of what was erased meanwhile, which may come as it was before."""

    @property
    def is_wanted(self) -> bool:
        """Whether somebody who waits for it is still there, and with them the open room."""
        return any(member in member.outbox.behind for member in self.waiting)


class Feed:
    """`core.outbox.Feeder` from the rooms' tails and the broker's pages.

    Args:
        broker: to read from.
        cached_bytes: about how much of blocks is kept, for who comes next.
    """

    def __init__(self, broker: Broker, *, cached_bytes: int) -> None:
        self._broker = broker
        self._most_bytes = cached_bytes
        self._bytes = 0
        self._blocks: OrderedDict[_Key, list[Row]] = OrderedDict()
        self._numbers: dict[Room, set[int]] = {}  # of the blocks of each room
        self._reading: dict[_Key, _Reading] = {}

    def catch_up(self, outbox: Outbox) -> None:
        """See `Feeder.catch_up`."""
        while outbox.behind and outbox.state is State.LIVE and not outbox.awaits_block:
            self._step(next(iter(outbox.behind)))

    def keep(self, room: Room) -> None:
        """Take over the tail of a room whose head has just come to a multiple of `BLOCK`."""
        rows, room.tail = room.tail, []
        self._keep((room, room.head // BLOCK - 1), rows)

    def forget(self, room: Room, offset: int) -> None:
        """A message was erased: what it said is shown no more."""
        key = (room, (offset - 1) // BLOCK)
        if key in self._blocks:
            self._remove(key)
        if key in self._reading:
            self._reading[key].erased.append(offset)

    def drop(self, room: Room) -> None:
        """A room is closed: nobody will ask for its blocks, and they would keep all of it alive."""
        for number in list(self._numbers.get(room, ())):
            self._remove((room, number))

    def __len__(self) -> int:
        """About how many bytes are kept."""
        return self._bytes

    def _step(self, member: Member) -> None:
        """Bring a member a piece further, back to the live ones, or out of the room."""
        room, outbox = member.room, member.outbox
        after = outbox.behind.pop(member)  # and again at the end: each room has its turn
        if after == room.head:
            room.join(member, after)  # in the turn in which they are compared: exact
            return
        rows = self._rows(room, after)
        if rows is None:
            outbox.behind[member] = after
            self._read(member, after)
        elif not rows or rows[0].message.offset > after + 1:
            member.lost(member)
        else:
            self._write(member, rows, after)

    def _rows(self, room: Room, after: int) -> Sequence[Row] | None:
        """The rows of a block after an offset; None when it has to be read."""
        number = after // BLOCK
        if number >= room.head // BLOCK:  # this block is not complete: all of it is in the tail
            rows = room.tail
        else:
            key = (room, number)
            if key not in self._blocks:
                return None
            self._blocks.move_to_end(key)
            rows = self._blocks[key]
        skip = after + 1 - rows[0].message.offset if rows else 0
        return rows[max(0, skip) :]

    def _write(self, member: Member, rows: Sequence[Row], after: int) -> None:
        """Write one piece of rows to a member, and note how far it has got."""
        me = member.sender.session
        frames: list[bytes] = []
        size = 0
        for row in rows:
            if member.echo or row.message.sender.session != me:
                frame = self._frame(row, member)
                if size + len(frame) > PIECE_BYTES and frames:
                    break
                frames.append(frame)
                size += len(frame)
            after = row.message.offset
        member.outbox.behind[member] = after
        if size:
            member.outbox.put(b"".join(frames))

    def _frame(self, row: Row, member: Member) -> bytes:
        try:
            return row.frame(member.dialect)
        except Exception:
            log.failure("a stored message cannot be encoded")
            return b""

    def _read(self, member: Member, after: int) -> None:
        number = after // BLOCK
        key = (member.room, number)
        member.outbox.awaits_block = True
        reading = self._reading.get(key)
        if reading is None:
            reading = self._reading[key] = _Reading()
            self._next_page(key, reading, BLOCK * number)
        reading.waiting.append(member)

    def _next_page(self, key: _Key, reading: _Reading, after: int) -> None:
        room, number = key
        upto = BLOCK * (number + 1)

        def came(page: Sequence[Message] | Refusal) -> None:
            rows = reading.rows
            if isinstance(page, Refusal) or not reading.is_wanted:
                self._came(key, None)
                return
            if rows and (not page or page[0].offset > rows[-1].message.offset + 1):
                rows.clear()  # they were trimmed since, and more with them
            rows += map(Row, page)
            if page and page[-1].offset < upto:
                self._next_page(key, reading, page[-1].offset)
                return
            for offset in reading.erased:
                erase(rows, offset)
            self._came(key, rows)

        self._broker.page(room.name, after, upto, came, limit=BLOCK)

    def _came(self, key: _Key, rows: list[Row] | None) -> None:
        waiting = self._reading.pop(key).waiting
        if rows is not None:
            self._keep(key, rows)
        for member in waiting:
            outbox = member.outbox
            outbox.awaits_block = False
            if rows is None and outbox.behind.pop(member, None) is not None:
                member.lost(member)
            elif member in outbox.behind and outbox.state is State.LIVE:
                self._step(member)  # first, while the block is certainly there
            self.catch_up(outbox)

    def _keep(self, key: _Key, rows: list[Row]) -> None:
        self._blocks[key] = rows
        self._numbers.setdefault(key[0], set()).add(key[1])
        self._bytes += _weight(rows)
        while self._bytes > self._most_bytes and len(self._blocks) > 1:
            self._remove(next(iter(self._blocks)))

    def _remove(self, key: _Key) -> None:
        room, number = key
        self._bytes -= _weight(self._blocks.pop(key))
        self._numbers[room].discard(number)
        if not self._numbers[room]:
            del self._numbers[room]


def _weight(rows: Sequence[Row]) -> int:
    return _ROW_BYTES + sum(_ROW_BYTES + 2 * len(row.message.payload) for row in rows)
