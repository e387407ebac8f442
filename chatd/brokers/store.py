"""The SQL of messages: each function is a job for a worker, given its connection.

No rules here. A commit is one statement, unless it changes what was said before, and whatever is
read comes as one row: each step of SQLite takes the interpreter's lock back, and behind a busy
reactor that is a long wait. So no `executemany`, no `returning`, no `fetchall` of many rows. `->>`
cuts a text at U+0000; bodies and senders are JSON text, which has none. Connections give text as
bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from sqlite3 import Connection, IntegrityError

import orjson

from chatd.brokers import words
from chatd.brokers.faults import DamagedError
from chatd.brokers.schema import LAST_OFFSET, OFFSET_BITS, key
from chatd.brokers.window import WINDOW, WINDOW_MS, Window
from chatd.core.broker import BLOCK, ERASED, RoomSummary
from chatd.core.events import Message, Sender

__all__ = [
    "HEAD",
    "KEYS",
    "MOST_NAMES",
    "MOST_ROOMS",
    "MOST_ROWS",
    "ROOM",
    "Floor",
    "Room",
    "Row",
    "add",
    "opening_of",
    "openings",
    "page",
    "read_room",
    "summaries",
    "write_opening",
]

MOST_ROWS = 2048
"""So many rows are added at once at most: SQLite binds at most 32766 values to a statement."""

MOST_ROOMS = 5000
"""So many rooms are told at most, if none is named."""

MOST_NAMES = 1000
"""So many rooms are named at most."""

Row = tuple[int, int, int, int, int, int | None, str, str, str, str]
"""A row of `message`: key, opening, time, size, kind, ref, user, id, sender, body."""


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
        time_ms: of its last message; 0: there was none, or it was gone before times were kept.
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


_ERASED = f"'{ERASED.decode()}'"

_LINES = f"""
group_concat((key & {LAST_OFFSET})||' '||time||char(10)||sender||char(10)||body, char(10))
"""

# What is trimmed shows no more, though it goes in small steps.
_ABOVE = f"key > max(?1, (select n << {OFFSET_BITS} | floor from room where n = ?5))"

# Sizes lie before sender and body in a row: the inner part reads no long row to its end.
_FORWARD = f"""
select {_LINES} from (
  select key, time, sender, body from message where {_ABOVE} and key <= (
    select max(key) from (
      select key, size, sum(size) over (order by key) as total from (
        select key, size from message where {_ABOVE} and key <= ?2 order by key limit ?3))
    where total <= ?4 or total = size)
  order by key)
"""

_BACKWARD = f"""
select {_LINES} from (
  select key, time, sender, body from message where key <= ?2 and key >= (
    select min(key) from (
      select key, size, sum(size) over (order by key desc) as total from (
        select key, size from message where {_ABOVE} and key <= ?2 order by key desc limit ?3))
    where total <= ?4 or total = size)
  order by key)
"""

_TAIL = f"""
select {_LINES} from (
  select key, time, sender, body from message where key > ? and key <= ? order by key)
"""

KEYS = f"key > r.n << {OFFSET_BITS} and key <= (r.n << {OFFSET_BITS} | {LAST_OFFSET})"
"""Of the messages of the room `r`."""

HEAD = f"max(r.top, coalesce((select max(key) from message where {KEYS}), 0) & {LAST_OFFSET})"
"""The last offset of the room `r`."""

_TIME = (
    f"max(r.time, coalesce((select time from message where {KEYS} order by key desc limit 1), 0))"
)

ROOM = f"select r.n, {HEAD}, r.floor, r.floor_opening, {_TIME} from room r where r.name = ?"
"""A room's number, its head, its floor, the opening that wrote that, and its time."""

_IDS = f"""
select json_group_array(json_array(user, id, key & {LAST_OFFSET}, time)) from (
  select user, id, key, time from message where key > ? and key <= ? and time > ? order by key)
"""

_ADD_ROOMS = """
insert or ignore into room (n, name) select value->>0, value->>1 from json_each(?)
"""

# Each value is bound by itself: as JSON they would be escaped here and parsed there, for twice as
# long as it takes to store them. Rows of key 0, which is none, fill a statement up.
_ADD = """
insert into message (key, opening, time, size, kind, user, id, sender, body)
select * from (values {places}) where column1 > 0
"""

# Few messages refer to another one. And a statement keeps what was bound to it until it is used
# again, of which there is one for each class of numbers: larger batches go by this one, too.
_BOUND_BYTES = 128 << 10

_ADD_ANY = f"""
insert into message (key, opening, time, size, kind, ref, user, id, sender, body)
select {", ".join(f"value->>{field}" for field in range(10))} from json_each(?)
"""

_ERASE = f"""
update message set body = {_ERASED}, size = length(cast(sender as blob)) + {len(ERASED)}
where key in (select value from json_each(?))
"""

_FORGET = "delete from mention where key in (select value from json_each(?))"

_MENTION = f"""
insert or ignore into mention (name, key)
select j.value->>0, m.key from json_each(?) j cross join message m on m.key = j.value->>1
where m.body <> {_ERASED}
"""

_SUMMARIES = f"""
select group_concat(head||' '||time||' '||name, char(10)) from (
  select r.name as name, {HEAD} as head, {_TIME} as time, r.floor as floor from {{rooms}}
  where head > floor order by time desc, name limit {MOST_ROOMS})
"""

# Each name is looked at once, however often it is given.
_NAMED = "(select distinct value from json_each(?)) j cross join room r on r.name = j.value"

# From `!` and `@` on to what follows them no room is everybody's.
_EVERYBODYS = "(select * from room where substr(name, 1, 1) not in ('!', '@')) r"


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


def add(
    connection: Connection,
    rooms: Sequence[tuple[int, str]],
    rows: Iterable[Row],
    erased: Sequence[int] = (),
    mentions: Mapping[int, Sequence[str]] | None = None,
) -> None:
    """Store messages and what they change, all or none.

    Args:
        connection: the writer's.
        rooms: numbers and names of those not stored before; they may stay when the rest fails.
        rows: at least one, at most `MOST_ROWS`.
        erased: keys of the messages whose payload is gone. Those that are not there are no matter.
        mentions: by its key, the folded nicks that a message names from now on; not those of one
            that is erased, or not there.
    """
    if not erased and not mentions:
        _insert(connection, rooms, rows)
        return
    mentions = mentions or {}
    connection.execute("begin immediate")
    if erased:
        # It reads the texts that are to go, and the edits of before.
        words.forget(connection, erased)
    _insert(connection, rooms, rows)
    if erased:
        connection.execute(_ERASE, (_text(erased),))
    connection.execute(_FORGET, (_text([*erased, *mentions]),))
    pairs = [(name, each) for each, names in mentions.items() for name in names]
    if pairs:
        connection.execute(_MENTION, (_text(pairs),))
    connection.execute("commit")


def _insert(connection: Connection, rooms: Sequence[tuple[int, str]], rows: Iterable[Row]) -> None:
    if rooms:
        connection.execute(_ADD_ROOMS, (_text(rooms),))
    values: list[int | str] = []
    rows = list(rows)
    if sum(row[3] for row in rows) > _BOUND_BYTES or any(row[5] for row in rows):
        connection.execute(_ADD_ANY, (_text(rows),))
        return
    for key_, opening, time, size, kind, _, user, id_, sender, body in rows:
        values += (key_, opening, time, size, kind, user, id_, sender, body)
    places = _places(len(rows))
    # No None: Python would ask it whether it wants to be something else, for longer than a row.
    values += (0,) * (9 * (places - len(rows)))
    connection.execute(_add_statement(places), values)


def read_room(connection: Connection, name: str, now_ms: int) -> Room:
    """Read all that is to be known of a room to open it.

    Raises:
        DamagedError: what is stored is not what was stored.
    """
    found = connection.execute(ROOM, (name,)).fetchone()
    if found is None:
        return Room(0, 0, 0, Floor(), (), Window())
    n, head, floor, floor_opening, time_ms = found
    last = key(n, head)
    first = max(head - head % BLOCK, floor)
    (tail,) = connection.execute(_TAIL, (key(n, first), last)).fetchone()
    first = max(head - WINDOW, 0)
    (ids,) = connection.execute(_IDS, (key(n, first), last, now_ms - WINDOW_MS)).fetchone()
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
    asked = (key(n, after), key(n, upto), limit, most_bytes, n)
    (text,) = connection.execute(query, asked).fetchone()
    return _messages(name, text)


def opening_of(connection: Connection, n: int, offset: int) -> int:
    """Read which opening wrote a message; 0 when it is not there, or trimmed."""
    found = connection.execute(
        "select opening from message"
        f" where key = ? and key & {LAST_OFFSET} > (select floor from room where n = ?)",
        (key(n, offset), n),
    ).fetchone()
    return 0 if found is None else int(found[0])


def summaries(connection: Connection, names: Sequence[str] | None = None) -> Sequence[RoomSummary]:
    """Read the list of rooms, see `core.broker.Broker.rooms`."""
    if names is None:
        asked = connection.execute(_SUMMARIES.format(rooms=_EVERYBODYS))
    else:
        wanted = (_text(names[:MOST_NAMES]),)
        asked = connection.execute(_SUMMARIES.format(rooms=_NAMED), wanted)
    (text,) = asked.fetchone()
    lines = text.decode().split("\n") if text else ()
    parts = (line.split(" ", 2) for line in lines)
    return [RoomSummary(name, int(head), int(time_ms)) for head, time_ms, name in parts]


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
