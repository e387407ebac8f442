"""The index of words: which messages say what, as SQL over a connection.

A document is a message (`Kind.MESSAGE`) that is not erased, with the text of its last edit and its
author, under its key. The index keeps no text: to take a document out, the very text that went in
is found from the rows once more, so it is read by one rule everywhere, and out it goes before the
rows change. A document that is not in must never be taken out: the index would be damaged.

What should change an index that is damaged empties it, see `renewal`.

FTS5 only notes that a document went. Its words stay in the file until all that was written before
that note is merged with it: `merge`, in small steps, while others go on writing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from operator import itemgetter
from sqlite3 import Connection, DatabaseError
from typing import NamedTuple

import orjson

from chatd.brokers.renewal import DamagedIndexError, empty, write
from chatd.brokers.schema import LAST_OFFSET, OFFSET_BITS
from chatd.core.broker import ERASED
from chatd.core.events import Kind

__all__ = [
    "HEADS",
    "MERGED_PAGES",
    "MOST_EVENTS",
    "MOST_TEXT",
    "Behind",
    "behind",
    "check",
    "forget",
    "forget_upto",
    "merge",
    "take_in",
    "take_in_each",
]

MOST_EVENTS = 300
"""So many events are taken in at once: about 10 ms of work."""

MOST_TEXT = 256 << 10
"""So many bytes of messages are taken in at once, or one message."""

MERGED_PAGES = 64
"""So many pages of the index are merged at once: about 5 ms of work."""

_ROOMS = 256  # looked at at once

_Change = tuple[str | None, int, str]
"""'delete', or None for a new document; its key, its text."""

_Event = tuple[int, int, int, bytes]
"""Key, kind, key of what it changes or 0, body; `ERASED` for what makes no document."""


class Behind(NamedTuple):
    """Rooms with events that are not taken in.

    Args:
        rooms: their numbers.
        n: number of the room looked at last; 0: there was none left.
    """

    rooms: Sequence[int]
    n: int


_LINES = "group_concat(key||char(10)||body, char(10))"

_DOCUMENT = f"""
m.kind = {Kind.MESSAGE:d} and m.body <> '{ERASED.decode()}'
  and m.key <= (r.n << {OFFSET_BITS} | r.indexed)
"""


def _known_documents(messages: str, which: str) -> str:
    # Their bodies are those that the index knows: of the last edit it has taken in, or the first.
    return f"""
select {_LINES} from (
  select m.key as key, coalesce((
    select e.body from message e where e.kind = {Kind.EDIT:d} and e.ref = m.key
      and e.key <= (r.n << {OFFSET_BITS} | r.indexed) and e.body <> '{ERASED.decode()}'
    order by e.key desc limit 1), m.body) as body
  from {messages} cross join room r on r.n = m.key >> {OFFSET_BITS}
  where {which} {_DOCUMENT})
"""


_KNOWN_AMONG = _known_documents("json_each(?) j cross join message m on m.key = j.value", "")
_KNOWN_BETWEEN = _known_documents("message m", "m.key > ? and m.key <= ? and")

# In the order of the rooms and then of the events, as the loops run: sorted, all would be read.
_NEXT = f"""
with next as materialized (
  select key, size, sum(size) over (rows unbounded preceding) as total from (
    select m.key as key, m.size as size from json_each(?1) j cross join room r on r.n = j.value
      cross join message m on m.key > (r.n << {OFFSET_BITS} | r.indexed)
        and m.key <= (r.n << {OFFSET_BITS} | {LAST_OFFSET})
    limit ?2))
select (select count(*) from next), group_concat(key||' '||kind||' '||ref||char(10)||body, char(10))
from (
  select m.key as key, m.kind as kind, coalesce(m.ref, 0) as ref,
    iif(m.kind in ({Kind.MESSAGE:d}, {Kind.EDIT:d}), m.body, '{ERASED.decode()}') as body
  from next cross join message m on m.key = next.key
  where next.total <= ?3 or next.total = next.size)
"""

_TAKEN = f"""
update room set indexed = (select value & {LAST_OFFSET} from json_each(?1)
  where value >> {OFFSET_BITS} = room.n)
where n in (select value >> {OFFSET_BITS} from json_each(?1))
"""

_LOOKED_AT = f"(select n, indexed from room where n > ? order by n limit {_ROOMS})"

_BEHIND = f"""
select coalesce(max(n), 0), json_group_array(n) filter (where exists (
  select 1 from message where key > (n << {OFFSET_BITS} | indexed)
    and key <= (n << {OFFSET_BITS} | {LAST_OFFSET})))
from {_LOOKED_AT}
"""

HEADS = f"""
(select name, floor, indexed, max(top, coalesce((
  select max(key) & {LAST_OFFSET} from message
  where key > n << {OFFSET_BITS} and key <= (n << {OFFSET_BITS} | {LAST_OFFSET})), 0)) as head
from room)
"""
"""Rooms and the last offsets ever given in them, for a `from`."""

_AHEAD = f"select name, indexed, head from {HEADS} where indexed > head limit 20"

_DIFFERENCES = f"""
select (select count(*) from message m cross join room r on r.n = m.key >> {OFFSET_BITS}
  where {_DOCUMENT} and not exists (select 1 from words_docsize where id = m.key)),
  (select count(*) from words_docsize d where not exists (
    select 1 from message m cross join room r on r.n = m.key >> {OFFSET_BITS}
    where m.key = d.id and {_DOCUMENT}))
"""


def forget(connection: Connection, keys: Iterable[int]) -> None:
    """Take documents out of the index, before their rows change, within that transaction.

    Args:
        connection: the writer's.
        keys: of messages to be erased, in any order; those of others are no documents.
    """
    wanted = json.dumps(sorted(set(keys)))
    _forget(connection, _gone(_known(connection, _KNOWN_AMONG, (wanted,))))


def forget_upto(connection: Connection, n: int, upto: int) -> None:
    """Take the first documents of a room out, before their rows are deleted.

    Args:
        connection: the writer's.
        n: number of the room.
        upto: the last offset to go; at most 500 messages lie before.
    """
    between = (n << OFFSET_BITS, n << OFFSET_BITS | upto)
    _forget(connection, _gone(_known(connection, _KNOWN_BETWEEN, between)))


def take_in(connection: Connection, n: int, most: int) -> bool:
    """Take in the next events of a room, in a transaction of its own.

    Args:
        connection: the writer's.
        n: number of the room.
        most: so many events at most, up to 1 000; and `MOST_TEXT`.

    Returns:
        Whether there may be more.
    """
    return bool(take_in_each(connection, (n,), most))


def take_in_each(connection: Connection, rooms: Sequence[int], most: int) -> Sequence[int]:
    """Take in the next events of some rooms, in one transaction.

    Args:
        connection: the writer's.
        rooms: their numbers.
        most: so many events of all of them; and `MOST_TEXT`.

    Returns:
        Those of which there may be more.

    Raises:
        sqlite3.Error: nothing is taken in; when the index was damaged, it is empty from now on.
    """
    try:
        return _take_in_each(connection, rooms, most)
    except DamagedIndexError:
        with _unflushed(connection):
            empty(connection)
        raise


def _take_in_each(connection: Connection, rooms: Sequence[int], most: int) -> Sequence[int]:
    with _unflushed(connection):
        count, lines = connection.execute(_NEXT, (json.dumps(rooms), most, MOST_TEXT)).fetchone()
        if not count:
            return ()
        events = _events(lines)
        _change(connection, _changes(connection, events))
        lasts = {event[0] >> OFFSET_BITS: event[0] for event in events}
        connection.execute(_TAKEN, (json.dumps([*lasts.values()]),))
    if len(events) == count < most:
        return ()
    return rooms[rooms.index(events[-1][0] >> OFFSET_BITS) :]


def behind(connection: Connection, after_n: int) -> Behind:
    """Look through up to 256 rooms for events that are not taken in.

    Args:
        connection: the reader's.
        after_n: rooms with greater numbers are looked at.
    """
    last, rooms = connection.execute(_BEHIND, (after_n,)).fetchone()
    return Behind(json.loads(rooms), last)


def merge(connection: Connection, *, begin: bool, pages: int = MERGED_PAGES) -> bool:
    """Merge the index a little, so that words that nobody says any more leave it.

    What was forgotten before a call with `begin` is gone once a later call returns False. Others
    may change the index in between.

    Args:
        connection: the writer's.
        begin: whether all that is there now is to be merged; else to go on.
        pages: about so many are written.

    Returns:
        Whether there is more to do.
    """
    with _unflushed(connection):
        try:
            if begin:
                # Else a merge under way waits while there are two or three younger parts.
                write(connection, "insert into words (words, rank) values ('usermerge', 2)")
            before = connection.total_changes
            write(
                connection,
                "insert into words (words, rank) values ('merge', ?)",
                (-pages if begin else pages,),
            )
        except DamagedIndexError:
            empty(connection)
            return False
    # The command is a change itself.
    return connection.total_changes - before > 1


def check(connection: Connection) -> list[str]:
    """Find out whether the index is sound; takes as long as to read all of it.

    Args:
        connection: of anybody; it is not written to.

    Returns:
        What is wrong with it, each one line.
    """
    problems = []
    for name, indexed, head in connection.execute(_AHEAD):
        room = name.decode(errors="replace")
        problems.append(f"room {room!r}: words up to {indexed} are known, of {head} messages")
    try:
        with _vocabulary(connection) as table:
            connection.execute(f"select sum(cnt) from {table}").fetchone()
        missing, extra = connection.execute(_DIFFERENCES).fetchone()
    except DatabaseError as error:
        return [*problems, f"the index of words is damaged ({error}); see chatd reindex"]
    for count, words in ((missing, "lacks"), (extra, "has not forgotten")):
        if count:
            problems.append(f"the index of words {words} {count} messages; see chatd reindex")
    return problems


@contextmanager
def _vocabulary(connection: Connection) -> Iterator[str]:
    """A table of all words that are in the index, for a connection that may only read, too."""
    ((only,),) = connection.execute("pragma query_only")
    connection.execute("pragma query_only = 0")
    try:
        connection.execute("create virtual table temp.word using fts5vocab(main, words, row)")
        yield "temp.word"
        connection.execute("drop table temp.word")
    finally:
        connection.execute(f"pragma query_only = {only}")


@contextmanager
def _unflushed(connection: Connection) -> Iterator[None]:
    """A transaction that is not flushed by itself: a later one flushes it, or it is done again.

    The log is written in order, so that no crash takes it and leaves what came after it.
    """
    ((safety,),) = connection.execute("pragma synchronous")
    connection.execute("pragma synchronous = 1")
    try:
        connection.execute("begin immediate")
        yield
        connection.execute("commit")
    finally:
        if connection.in_transaction:
            connection.execute("rollback")
        connection.execute(f"pragma synchronous = {safety}")


def _events(lines: bytes) -> list[_Event]:
    """What `_NEXT` has read."""
    parts = iter(lines.split(b"\n"))
    found = []
    for place, body in zip(parts, parts, strict=True):
        key, kind, ref = place.split()
        found.append((int(key), int(kind), int(ref), body))
    return found


def _changes(connection: Connection, events: Iterable[_Event]) -> list[_Change]:
    """What events, in order and not known yet, make of the documents."""
    new: dict[int, str] = {}
    edited: dict[int, str] = {}  # of before
    for key, kind, ref, body in events:
        if body == ERASED:
            continue
        if kind == Kind.MESSAGE:
            new[key] = _text(body)
        elif ref in new:
            new[ref] = _text(body)
        else:
            edited[ref] = _text(body)
    changes: list[_Change] = []
    if edited:
        for key, text in _known(connection, _KNOWN_AMONG, (json.dumps(sorted(edited)),)):
            changes += (("delete", key, text), (None, key, edited[key]))
    return [*changes, *((None, key, text) for key, text in new.items())]


def _known(
    connection: Connection, question: str, asked: tuple[object, ...]
) -> Iterator[tuple[int, str]]:
    """Keys and texts of documents, as they are in the index, by key."""
    (lines,) = connection.execute(question, asked).fetchone()
    parts = iter(lines.split(b"\n") if lines else ())
    found = [(int(key), _text(body)) for key, body in zip(parts, parts, strict=True)]
    return iter(sorted(found))


def _gone(documents: Iterable[tuple[int, str]]) -> list[_Change]:
    return [("delete", key, text) for key, text in documents]


def _change(connection: Connection, changes: list[_Change]) -> None:
    """Change the index; by key, else FTS5 writes a segment for each document."""
    if not changes:
        return
    values: list[object] = []
    for change in sorted(changes, key=itemgetter(1)):  # stable: out before in again
        values += change
    places = ",".join(["(?,?,?)"] * len(changes))
    write(connection, f"insert into words (words, rowid, text) values {places}", values)


def _forget(connection: Connection, changes: list[_Change]) -> None:
    try:
        _change(connection, changes)
    except DamagedIndexError:
        # What is to go may not wait for somebody to mend it.
        if connection.in_transaction:
            empty(connection)
            return
        # SQLite has ended it: the next one will do.
        with _unflushed(connection):
            empty(connection)
        raise


def _text(body: bytes) -> str:
    """The words of a message or an edit. Not by SQL, which cuts a text at U+0000."""
    try:
        text = orjson.loads(body)["text"]
    except (ValueError, LookupError, TypeError):
        return ""
    return text if isinstance(text, str) else ""
