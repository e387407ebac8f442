"""The SQL of what goes: each function is a job for a worker, given its connection.

A room's floor is set first. From then on nobody is shown what lies at or below it, while it goes
in small steps; what a crash leaves of it is found as what is old is.
"""

from __future__ import annotations

from dataclasses import dataclass
from sqlite3 import Connection

from chatd.brokers import words
from chatd.brokers.schema import LAST_OFFSET, OFFSET_BITS, key
from chatd.brokers.store import HEAD, KEYS, ROOM, Floor
from chatd.brokers.window import WINDOW, WINDOW_MS
from chatd.core.audit import AUDIT_ROOM

__all__ = ["STEP", "Expired", "Trimmed", "expired", "trim"]

STEP = 500
"""So many rows a trim takes away at once."""


@dataclass(frozen=True, slots=True)
class Trimmed:
    """What a step of a trim did.

    Args:
        floor: what nobody is shown any more.
        gone: up to this offset the rows are gone, at most the floor's.
        rows: so many went now.
    """

    floor: Floor
    gone: int
    rows: int


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


# The last offset of one step, and how many go.
_STEP = f"""
select coalesce(max(key), 0) & {LAST_OFFSET}, count(*) from (
  select key from message where key > ?1 and key <= ?2 order by key limit {STEP})
"""

_WRITTEN_BY = """
select opening from message where key > ? and key <= ? order by key desc limit 1
"""

_RAISE = "update room set top = ?, time = ?, floor = ?, floor_opening = ? where n = ?"

# Times never fall within a room, so what may go are its first messages; and what is still in the
# window may not, unless it is trimmed: its ids would be forgotten with it.
_OLD = f"""
(offset <= :floor or (
  (time < :before_ms or offset <= :head - :keep)
  and (time <= :window_ms or offset <= :head - {WINDOW})))
"""

_ALL = 1 << 62

# Of the audit log all are kept: or whoever is noted in it could drive out what was noted before.
_KEEP = f"iif(r.name = '{AUDIT_ROOM}', {_ALL}, :keep)"

# The first 256 rooms at a time, up to the first that has something old.
_ROOM_WITH_OLD = f"""
select r.n, r.name, {HEAD}, r.floor
from (select * from room where n > :after_n order by n limit 256) r
where exists (
  select 1 from (
    select key & {LAST_OFFSET} as offset, time from message where {KEYS} order by key limit 1)
  where {_OLD.replace(":head", HEAD).replace(":floor", "r.floor").replace(":keep", _KEEP)})
order by r.n limit 1
"""

_LAST_OLD = f"""
select max(offset) from (
  select key & {LAST_OFFSET} as offset, time from message
  where key > :n << {OFFSET_BITS} and key <= (:n << {OFFSET_BITS} | {LAST_OFFSET})
  order by key limit {STEP})
where {_OLD}
"""

_LAST_LOOKED_AT = """
select coalesce(max(n), 0) from (select n from room where n > ? order by n limit 256)
"""


def trim(connection: Connection, name: str, upto: int) -> Trimmed:
    """Have nobody shown the first messages of a room any more, and take away up to `STEP`.

    All of it or nothing. What an earlier trim left goes, too.

    Args:
        connection: the writer's.
        name: of the room.
        upto: the last offset to go; beyond the head is the head.
    """
    found = connection.execute(ROOM, (name,)).fetchone()
    if found is None:
        return Trimmed(Floor(), 0, 0)
    n, head, floor, floor_opening, time_ms = found
    upto = min(upto, head)
    rises = upto > floor
    if rises:
        wrote = connection.execute(_WRITTEN_BY, (key(n, floor), key(n, upto))).fetchone()
        floor, floor_opening = upto, floor_opening if wrote is None else wrote[0]
    span = (key(n, 0), key(n, floor))
    gone, count = connection.execute(_STEP, span).fetchone()
    if rises or count:
        connection.execute("begin immediate")
        if rises:
            connection.execute(_RAISE, (head, time_ms, floor, floor_opening, n))
        if count:
            span = (key(n, 0), key(n, gone))
            words.forget_upto(connection, n, gone)
            connection.execute("delete from mention where key > ? and key <= ?", span)
            connection.execute("delete from message where key > ? and key <= ?", span)
        connection.execute("commit")
    return Trimmed(Floor(floor, floor_opening), gone if count == STEP else floor, count)


def expired(
    connection: Connection, after_n: int, before_ms: int, keep: int, now_ms: int
) -> Expired:
    """Look through up to 256 rooms for messages that are trimmed, too old or too many.

    Never one that is still in the `Window`, however old or many they are, unless it is trimmed.

    Args:
        connection: the reader's.
        after_n: rooms with greater numbers are looked at.
        before_ms: older messages are too old.
        keep: more than so many in a room are too many; never in the audit log.
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
    n, name, head, floor = found
    room = name.decode()
    place = {"n": n, "head": head, "floor": floor, "keep": _ALL if room == AUDIT_ROOM else keep}
    (upto,) = connection.execute(_LAST_OLD, {**asked, **place}).fetchone()
    return Expired(room, upto, n)
