"""Search: messages by their words, in an order and a page at a time, within a time limit.

What somebody typed never becomes a question of FTS5: each word goes in quotes, as one string.
"""

from __future__ import annotations

import re
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from sqlite3 import Connection
from unicodedata import category

import orjson

from chatd.brokers.connections import Connections
from chatd.brokers.faults import DamagedError
from chatd.brokers.schema import LAST_OFFSET, OFFSET_BITS
from chatd.core.archive import MOST_FOUND, Query
from chatd.core.broker import ERASED
from chatd.core.events import Kind, Message, Sender
from chatd.errors import BAD_REQUEST, UNAVAILABLE, ChatError, Refusal

__all__ = ["LIMIT_S", "MOST_RANKED", "MOST_WAITING", "Searches", "match", "search"]

MOST_RANKED = 1000
"""Of so many messages that match, the newest, the best come first."""

MOST_WAITING = 16
"""So many searches may wait, the one under way included; more are refused."""

LIMIT_S = 0.2
"""So long one search may take, in seconds."""

_Done = Callable[[Sequence[Message] | Refusal], None]

_OPCODES = 10_000  # of SQLite's, about 1 ms, between two looks at the clock

_ONE = re.compile(r"(?:^|[\W_])[A-Za-z0-9]$")

# The first key from which on nothing is older: times never fall within a room.
_SINCE = """
with recursive halving(low, high) as (
  select ?1, ?2 union all
  select
    iif((select time from message where key >= (low + high) / 2 and key < ?2 order by key limit 1)
      < ?3, (low + high) / 2 + 1, low),
    iif((select time from message where key >= (low + high) / 2 and key < ?2 order by key limit 1)
      < ?3, high, (low + high) / 2)
  from halving where low < high)
select min(low) from halving where low >= high
"""

_FOUND = f"""
from words w cross join message m on m.key = w.rowid
where w.words match ?1 and w.rowid between ?2 and ?3 and (?4 = '' or m.user = ?4)
  and m.body <> '{ERASED.decode()}'
order by w.rowid desc limit ?5
"""

_NEWEST = f"""
select coalesce(group_concat(key, ' '), '') from (
  select key from (select w.rowid as key {_FOUND}) order by key desc limit ?6 offset ?7)
"""

_BEST = f"""
select coalesce(group_concat(key, ' '), '') from (
  select key from (select w.rowid as key, bm25(words) as rank {_FOUND})
  order by rank, key desc limit ?6 offset ?7)
"""

_MESSAGES = f"""
select json_group_array(json_array(offset, time, sender, body)) from (
  select m.key & {LAST_OFFSET} as offset, m.time as time, m.sender as sender, coalesce((
    select e.body from message e where e.kind = {Kind.EDIT:d} and e.ref = m.key
      and e.body <> '{ERASED.decode()}' order by e.key desc limit 1), m.body) as body
  from json_each(?) j cross join message m on m.key = j.value order by j.key)
"""


class Searches:
    """Who searches waits here. Called on the reactor's thread.

    One search at a time is the reader's: pages of history wait for no more than that.

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
        self._connections = connections
        self._later = later
        self._seconds = seconds
        self._waiting: deque[tuple[Query, _Done]] = deque()  # the first one is under way

    def search(self, query: Query, done: _Done) -> None:
        """See `core.archive.Archive.search`."""
        if len(self._waiting) >= MOST_WAITING:
            self._later(lambda: done(UNAVAILABLE))
            return
        self._waiting.append((query, done))
        if len(self._waiting) == 1:
            self._begin()

    def _begin(self) -> None:
        query, done = self._waiting[0]

        def read(connection: Connection) -> Sequence[Message] | Refusal:
            try:
                return search(connection, query, seconds=self._seconds)
            except ChatError as error:
                return error.refusal

        def found(outcome: Sequence[Message] | Refusal) -> None:
            self._waiting.popleft()
            if self._waiting:
                self._begin()
            done(outcome)

        if not self._connections.read(read, found):
            self._later(lambda: found(UNAVAILABLE))


def search(
    connection: Connection,
    query: Query,
    *,
    seconds: Callable[[], float],
    limit_s: float = LIMIT_S,
) -> Sequence[Message]:
    """Find messages, see `core.archive.Archive.search`.

    Args:
        connection: the reader's.
        query: what for.
        seconds: a clock that never steps.
        limit_s: so long it may take.

    Raises:
        ChatError: BAD_REQUEST: no word; UNAVAILABLE: it takes too long.
        DamagedError: a message is not what was stored.
    """
    words = match(query.text)
    if not words:
        raise ChatError(BAD_REQUEST)
    end = seconds() + limit_s
    connection.set_progress_handler(lambda: seconds() > end, _OPCODES)
    try:
        # One moment for all that is read.
        connection.execute("begin")
        return _search(connection, query, words)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_INTERRUPT:
            raise
        raise ChatError(UNAVAILABLE) from None
    finally:
        connection.set_progress_handler(None, 0)
        if connection.in_transaction:
            connection.execute("rollback")


def match(text: str) -> str:
    """Make what FTS5 looks for out of what somebody typed; empty: there is no word in it.

    The last word may be the beginning of one, unless it is one ASCII letter or digit: too many
    words begin with that.
    """
    parts = text.replace("\0", " ").split('"')
    phrases: list[str] = []
    for number, part in enumerate(parts):
        phrases += [part] if number % 2 else part.split()
    # What is open at the end, word or quotation, goes on.
    goes_on = bool(parts[-1].strip()) and _ONE.search(parts[-1]) is None
    phrases = [" ".join(each.split()) for each in phrases]
    goes_on = goes_on and _has_word(phrases[-1])
    asked = " ".join(f'"{each}"' for each in phrases if _has_word(each))
    return f"{asked}*" if goes_on and asked else asked


def _has_word(text: str) -> bool:
    """Whether the tokenizer finds one: a letter, a digit, or what is for private use."""
    return any((kind := category(each))[0] in "LN" or kind == "Co" for each in text)


def _search(connection: Connection, query: Query, words: str) -> Sequence[Message]:
    place = connection.execute(
        "select n << ?, floor from room where name = ?", (OFFSET_BITS, query.room)
    ).fetchone()
    if place is None:
        return ()
    base, floor = place
    low, high = base + floor + 1, base + (query.before or LAST_OFFSET + 1)
    if query.since_ms:
        ((low,),) = connection.execute(_SINCE, (low, high, query.since_ms))
    if query.until_ms:
        ((high,),) = connection.execute(_SINCE, (low, high, query.until_ms))
    most = MOST_RANKED if query.by_rank else query.skip + query.limit
    ((keys,),) = connection.execute(
        _BEST if query.by_rank else _NEWEST,
        (words, low, high - 1, query.user, most, min(query.limit, MOST_FOUND), query.skip),
    )
    if not keys:
        return ()
    wanted = "[" + keys.decode().replace(" ", ",") + "]"
    ((found,),) = connection.execute(_MESSAGES, (wanted,))
    try:
        return [
            _message(query.room, offset, time_ms, sender.encode(), body.encode())
            for offset, time_ms, sender, body in orjson.loads(found)
        ]
    except (ValueError, KeyError, TypeError):
        raise DamagedError from None


def _message(room: str, offset: int, time_ms: int, sender: bytes, body: bytes) -> Message:
    orjson.loads(body)  # a client would lose the whole reply with this one in it
    return Message(room, Sender.decode(sender), body, offset, time_ms)
