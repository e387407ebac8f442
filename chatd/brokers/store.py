"""The SQL of messages: each function is a job for a worker, given its connection.

No rules here. A commit is one statement and whatever is read comes as one row: each step of SQLite
takes the interpreter's lock back, and behind a busy reactor that is a long wait. So no
`executemany`, no `returning`, no `fetchall` of many rows. `->>` cuts a text at U+0000; bodies and
senders are JSON text, which has none. Connections give text as bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from sqlite3 import Connection, IntegrityError

import orjson

from chatd.brokers.faults import DamagedError
from chatd.brokers.window import WINDOW, WINDOW_MS, Window
from chatd.core.broker import BLOCK, RoomSummary
from chatd.core.events import Message, Sender

__all__ = [
    "MOST_ROWS",
    "STEP",
    "Expired",
    "Floor",
    "Room",
    "Row",
    "add",
    "expired",
    "opening_of",
    "openings",
    "page",
    "read_room",
    "summaries",
    "trim",
    "write_opening",
]

MOST_ROWS = 2048
"""So many rows are added at once at most: SQLite binds at most 32766 values to a statement."""

STEP = 500
"""So many rows a trim takes away at once."""

Row = tuple[int, int, int, int, int, str, str, int | None, str, str]
"""A row of `message`: room, offset, opening, time, size, user, id, erases, sender, body."""


@dataclass(frozen=True, slots=True)
class Floor:
    """Up to where a room is trimmed: the last offset gone, and the opening that had written it."""

    offset: int = 0
    opening: int = 0


@dataclass(frozen=True, slots=True)
class Room:
    """A room as it is stored.

    Args:
        n: its number; 0: nothing was ever stored in it.
        head: its last offset.
        time_ms: of its last message, 0 when that is gone.
        floor: up to where it is trimmed.
        tail: its messages above the last multiple of `BLOCK`.
        window: the ids of its latest messages.
    """

    n: int
    head: int
    time_ms: int
    floor: Floor
    tail: Sequence[Message]
    window: Window


@dataclass(frozen=True, slots=True)
class Expired:
    """What a search for old messages found.

    Args:
        room: that has some; None: none of those looked at has.
        upto: the last of its offsets to go.
        n: number of the room looked at last; 0: there was none left.
    """

    room: str | None
    upto: int
    n: int


_LINES = "group_concat(offset||' '||time||char(10)||sender||char(10)||body, char(10))"

# Sizes lie before sender and body in a row: the inner part reads no long row to its end.
_FORWARD = f"""
select {_LINES} from (
  select offset, time, sender, body from message where room = ?1 and offset > ?2 and offset <= (
    select max(offset) from (
      select offset, size, sum(size) over (order by offset) as total from (
        select offset, size from message
        where room = ?1 and offset > ?2 and offset <= ?3 order by offset limit ?4))
    where total <= ?5 or total = size)
  order by offset)
"""

_BACKWARD = f"""
select {_LINES} from (
  select offset, time, sender, body from message where room = ?1 and offset <= ?3 and offset >= (
    select min(offset) from (
      select offset, size, sum(size) over (order by offset desc) as total from (
        select offset, size from message
        where room = ?1 and offset > ?2 and offset <= ?3 order by offset desc limit ?4))
    where total <= ?5 or total = size)
  order by offset)
"""

_TAIL = f"""
select {_LINES} from (
  select offset, time, sender, body from message where room = ? and offset > ? order by offset)
"""

_HEAD = "max(r.top, coalesce((select max(offset) from message where room = r.n), 0))"

_ROOM = f"""
select r.n, {_HEAD}, r.floor, r.floor_opening,
  coalesce((select time from message where room = r.n order by offset desc limit 1), 0)
from room r where r.name = ?
"""

_IDS = """
select json_group_array(json_array(user, id, offset, time)) from (
  select user, id, offset, time from message where room = ? and offset > ? and time > ?
  order by offset)
"""

_ADD_ROOMS = """
insert or ignore into room (n, name) select value->>0, value->>1 from json_each(?)
"""

# Each value is bound by itself: as JSON they would be escaped here and parsed there, for twice as
# long as it takes to store them. Rows of room 0, which is none, fill a statement up.
_ADD = """
insert into message (room, offset, opening, time, size, user, id, sender, body)
select * from (values {places}) where column1 > 0
"""

# Few messages erase another one. And a statement keeps what was bound to it until it is used again,
# of which there is one for each class of numbers: larger batches go by this one, too.
_BOUND_BYTES = 128 << 10

_ADD_ANY = f"""
insert into message (room, offset, opening, time, size, user, id, erases, sender, body)
select {", ".join(f"value->>{field}" for field in range(10))} from json_each(?)
"""

_SUMMARIES = f"""
select group_concat(head||' '||time||' '||name, char(10)) from (
  select r.name as name, {_HEAD} as head,
    coalesce((select time from message where room = r.n order by offset desc limit 1), 0) as time
  from room r where head > 0 order by time desc, name limit 1000)
"""

# Times never fall within a room, so what may go are its first messages; and what is still in the
# window may not: its ids would be forgotten with it.
_OLD = f"""
(time < :before_ms or offset <= :head - :keep)
and (time <= :window_ms or offset <= :head - {WINDOW})
"""

# The first 256 rooms at a time, up to the first that has something old.
_ROOM_WITH_OLD = f"""
select r.n, r.name, {_HEAD} from (select * from room where n > :after_n order by n limit 256) r
where exists (
  select 1 from (select offset, time from message where room = r.n order by offset limit 1)
  where {_OLD.replace(":head", _HEAD)})
order by r.n limit 1
"""

_LAST_OLD = f"""
select max(offset) from (
  select offset, time from message where room = :n order by offset limit {STEP})
where {_OLD}
"""

_LAST_LOOKED_AT = """
select coalesce(max(n), 0) from (select n from room where n > ? order by n limit 256)
"""


def openings(connection: Connection) -> tuple[dict[str, int], int]:
    """Read the number of each epoch, and the highest number of a room."""
    text, top = connection.execute(
        "select group_concat(n||' '||epoch, char(10)), (select coalesce(max(n), 0) from room)"
        " from opening"
    ).fetchone()
    lines = text.decode().split("\n") if text else ()
    return {epoch: int(n) for n, epoch in (line.split(" ", 1) for line in lines)}, top


def write_opening(connection: Connection, n: int, epoch: str) -> None:
    """Store that somebody begins to write.

    Raises:
        sqlite3.IntegrityError: somebody else began in between.
    """
    connection.execute("insert or ignore into opening (n, epoch) values (?, ?)", (n, epoch))
    (there,) = connection.execute("select max(epoch) from opening where n = ?", (n,)).fetchone()
    if there != epoch.encode():
        raise IntegrityError("another opening has this number")


def add(connection: Connection, rooms: Sequence[tuple[int, str]], rows: Iterable[Row]) -> None:
    """Store messages, all or none.

    Args:
        connection: the writer's.
        rooms: numbers and names of those not stored before; they may stay when the rest fails.
        rows: at least one, at most `MOST_ROWS`.
    """
    if rooms:
        connection.execute(_ADD_ROOMS, (_text(rooms),))
    values: list[int | str] = []
    rows = list(rows)
    if sum(row[4] for row in rows) > _BOUND_BYTES or any(row[7] for row in rows):
        connection.execute(_ADD_ANY, (_text(rows),))
        return
    for room, offset, opening, time, size, user, id_, _, sender, body in rows:
        values += (room, offset, opening, time, size, user, id_, sender, body)
    places = _places(len(rows))
    # No None: Python would ask it whether it wants to be something else, for longer than a row.
    values += (0,) * (9 * (places - len(rows)))
    connection.execute(_add_statement(places), values)


def read_room(connection: Connection, name: str, now_ms: int) -> Room:
    """Read all that is to be known of a room to open it.

    Raises:
        DamagedError: what is stored is not what was stored.
    """
    found = connection.execute(_ROOM, (name,)).fetchone()
    if found is None:
        return Room(0, 0, 0, Floor(), (), Window())
    n, head, floor, floor_opening, time_ms = found
    (tail,) = connection.execute(_TAIL, (n, head - head % BLOCK)).fetchone()
    (ids,) = connection.execute(_IDS, (n, head - WINDOW, now_ms - WINDOW_MS)).fetchone()
    try:
        window = Window(((user, id_), offset, time) for user, id_, offset, time in json.loads(ids))
    except ValueError:
        raise DamagedError from None
    return Room(n, head, time_ms, Floor(floor, floor_opening), _messages(name, tail), window)


def page(
    connection: Connection,
    n: int,
    name: str,
    after: int,
    upto: int,
    limit: int,
    most_bytes: int,
    backward: bool,
) -> Sequence[Message]:
    """Read messages, see `core.broker.Broker.page`.

    Raises:
        DamagedError: one is not what was stored.
    """
    query = _BACKWARD if backward else _FORWARD
    (text,) = connection.execute(query, (n, after, upto, limit, most_bytes)).fetchone()
    return _messages(name, text)


def opening_of(connection: Connection, n: int, offset: int) -> int:
    """Read which opening wrote a message; 0 when it is not there."""
    found = connection.execute(
        "select opening from message where room = ? and offset = ?", (n, offset)
    ).fetchone()
    return 0 if found is None else int(found[0])


def trim(connection: Connection, name: str, upto: int) -> Floor:
    """Take away the first messages of a room, at most `STEP`; all of it or nothing.

    Returns:
        what its floor is now.
    """
    found = connection.execute(_ROOM, (name,)).fetchone()
    if found is None:
        return Floor()
    n, head, floor, floor_opening, _ = found
    last, opening = connection.execute(
        "select offset, opening from (select offset, opening from message"
        f" where room = ? and offset <= ? order by offset limit {STEP})"
        " union all select 0, 0 order by offset desc limit 1",
        (n, upto),
    ).fetchone()
    if not last:
        return Floor(floor, floor_opening)
    connection.execute("begin immediate")
    connection.execute(
        "update room set top = ?, floor = ?, floor_opening = ? where n = ?",
        (head, last, opening, n),
    )
    connection.execute("delete from message where room = ? and offset <= ?", (n, last))
    connection.execute("commit")
    return Floor(last, opening)


def summaries(connection: Connection) -> Sequence[RoomSummary]:
    """Read the list of rooms, see `core.broker.Broker.rooms`."""
    (text,) = connection.execute(_SUMMARIES).fetchone()
    lines = text.decode().split("\n") if text else ()
    parts = (line.split(" ", 2) for line in lines)
    return [RoomSummary(name, int(head), int(time_ms)) for head, time_ms, name in parts]


def expired(
    connection: Connection, after_n: int, before_ms: int, keep: int, now_ms: int
) -> Expired:
    """Look through up to 256 rooms for messages that are too old or too many.

    Never one that is still in the `Window`, however old or many they are.

    Args:
        connection: the reader's.
        after_n: rooms with greater numbers are looked at.
        before_ms: older messages are too old.
        keep: more than so many in a room are too many.
        now_ms: the wall clock.
    """
    asked = {
        "after_n": after_n,
        "before_ms": before_ms,
        "keep": keep,
        "window_ms": now_ms - WINDOW_MS,
    }
    found = connection.execute(_ROOM_WITH_OLD, asked).fetchone()
    if found is None:
        return Expired(None, 0, connection.execute(_LAST_LOOKED_AT, (after_n,)).fetchone()[0])
    n, name, head = found
    (upto,) = connection.execute(_LAST_OLD, {**asked, "n": n, "head": head}).fetchone()
    return Expired(name.decode(), upto, n)


def _places(count: int) -> int:
    """Round up to one of few numbers, at most an eighth above: SQLite keeps a program of each."""
    step = 1 << max(0, (count - 1).bit_length() - 4)
    return -(-count // step) * step


@lru_cache(128)
def _add_statement(places: int) -> str:
    return _ADD.format(places=",".join(["(?,?,?,?,?,?,?,?,?)"] * places))


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _messages(room: str, text: bytes | None) -> Sequence[Message]:
    """Read what `_LINES` made: three lines a message."""
    if text is None:
        return ()
    lines = iter(text.split(b"\n"))
    found = []
    try:
        for place, sender, body in zip(lines, lines, lines, strict=True):
            offset, time_ms = place.split(b" ")
            orjson.loads(body)  # a client would lose the whole frame with this one in it
            found.append(Message(room, Sender.decode(sender), body, int(offset), int(time_ms)))
    except (ValueError, KeyError, TypeError):
        # SQLite finds damage in how pages hang together, not in what they say.
        raise DamagedError from None
    return found
