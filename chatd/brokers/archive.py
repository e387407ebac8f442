"""The archive over one SQLite file: questions about stored messages, one row for an answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from sqlite3 import Connection
from typing import TypeVar

from chatd.brokers.connections import Connections
from chatd.brokers.schema import LAST_OFFSET, OFFSET_BITS
from chatd.brokers.search import Searches
from chatd.core.archive import COUNTED, Query, Target, Unread
from chatd.core.broker import ERASED
from chatd.core.events import Kind, Message
from chatd.errors import UNAVAILABLE, Refusal

__all__ = ["SqliteArchive", "target", "unread"]

T = TypeVar("T")

_MOST_NAMES = 4
_ERASED = f"'{ERASED.decode()}'"

_TARGET = f"""
select m.user, m.time, m.kind, m.body = {_ERASED}, (
  select group_concat(offset, ' ') from (
    select key & {LAST_OFFSET} as offset from message
    where ref = m.key and kind = {Kind.EDIT:d} and body <> {_ERASED} order by key))
from room r cross join message m on m.key = (r.n << {OFFSET_BITS} | ?2)
where r.name = ?1 and r.floor < ?2
"""

# A body is looked at only if it is as long as that of an erased one: a long one takes a while.
_COUNTS = f"""
case when kind <> {Kind.MESSAGE:d} or user = ?3 then 0
  when size <> length(cast(sender as blob)) + {len(ERASED)} then 1
  else body <> {_ERASED} end
"""

_IN_ROOM = f"""
key > (r.n << {OFFSET_BITS} | max(?2, r.floor)) and key <= (r.n << {OFFSET_BITS} | {LAST_OFFSET})
"""

# Each name by itself: so its mentions are read from the newest on, and no further than they count.
_NAMING = " union ".join(
    f"""
    select key from (
      select key from mention where name = ?{number} and {_IN_ROOM}
      order by key desc limit {COUNTED})
    """
    for number in range(4, 4 + _MOST_NAMES)
)

_UNREAD = f"""
select
  (select coalesce(sum(counts), 0) from (
    select {_COUNTS} as counts from message where {_IN_ROOM} order by key desc limit {COUNTED})),
  (select min(count(*), {COUNTED})
    from ({_NAMING}) named cross join message m on m.key = named.key where m.user <> ?3)
from room r where r.name = ?1
"""


class SqliteArchive:
    """`core.archive.Archive` over the connections of a broker.

    Args:
        connections: to read by.
        later: calls something once this turn of the reactor is over.
        seconds: a clock that never steps, for any thread.
    """

    def __init__(
        self,
        connections: Connections,
        *,
        later: Callable[[Callable[[], None]], object],
        seconds: Callable[[], float],
    ) -> None:
        self._searches = Searches(connections, later=later, seconds=seconds)
        self._connections = connections
        self._later = later

    def target(
        self, room: str, offset: int, done: Callable[[Target | Refusal | None], None]
    ) -> None:
        """See `Archive.target`."""
        self._read(lambda connection: target(connection, room, offset), done)

    def unread(
        self,
        room: str,
        after: int,
        user: str,
        names: Sequence[str],
        done: Callable[[Unread | Refusal], None],
    ) -> None:
        """See `Archive.unread`."""
        asked = tuple(names[:_MOST_NAMES])
        self._read(lambda connection: unread(connection, room, after, user, asked), done)

    def search(self, query: Query, done: Callable[[Sequence[Message] | Refusal], None]) -> None:
        """See `Archive.search`."""
        self._searches.search(query, done)

    def _read(self, job: Callable[[Connection], T], done: Callable[[T | Refusal], None]) -> None:
        if not self._connections.read(job, done):
            self._later(partial(done, UNAVAILABLE))


def target(connection: Connection, room: str, offset: int) -> Target | None:
    """Look a message up, see `core.archive.Archive.target`."""
    if not 0 < offset <= LAST_OFFSET:  # it would be another room's key
        return None
    found = connection.execute(_TARGET, (room, offset)).fetchone()
    if found is None:
        return None
    user, time_ms, kind, is_erased, edits = found
    offsets = tuple(int(each) for each in edits.split()) if edits else ()
    return Target(user.decode(), time_ms, Kind(kind), bool(is_erased), offsets)


def unread(
    connection: Connection, room: str, after: int, user: str, names: Sequence[str]
) -> Unread:
    """Count what came after an offset, see `core.archive.Archive.unread`.

    Args:
        connection: the reader's.
        room: its folded name.
        after: the last offset that was read.
        user: whose own messages do not count.
        names: the folded nicks by which they are mentioned, at most 4.
    """
    asked = [*names, *[None] * (_MOST_NAMES - len(names))]
    after = min(max(after, 0), LAST_OFFSET)
    found = connection.execute(_UNREAD, (room, after, user, *asked)).fetchone()
    return Unread(0, 0) if found is None else Unread(*found)
