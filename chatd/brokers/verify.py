"""Looking through a whole database: is the file sound, and does it say what chatd wrote?"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field

from chatd.brokers import words
from chatd.brokers.backup import Progress
from chatd.brokers.schema import LAST_OFFSET, MIGRATIONS, OFFSET_BITS, key
from chatd.brokers.sqlite_file import connect, lacks, ours, refusal
from chatd.core.broker import ERASED
from chatd.core.events import Kind
from chatd.errors import ConfigError

__all__ = ["MOST_PROBLEMS", "Report", "verify"]

MOST_PROBLEMS = 20
"""So many problems are told one by one."""

_KINDS = frozenset(int(kind) for kind in Kind)
_EVERY = 1000  # rows, between two tellings of progress
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_ROWS = f"""
select key >> {OFFSET_BITS}, key & {LAST_OFFSET}, opening, time, size, kind, ref, user, id,
  sender, body
from message order by key
"""
_NOWHERE = """
select count(*) from mention
where not exists (select 1 from message where message.key = mention.key)
"""
_IN_ERASED = f"""
select count(*) from mention cross join message using (key) where body = '{ERASED.decode()}'
"""

_Row = tuple[int, int, int, int, int, int, int | None, bytes, bytes, bytes, bytes]


@dataclass(slots=True)
class Report:
    """What was found.

    Args:
        version: of the database; 0 when it is none of ours.
        looked: whether its rows were looked at: only if the file is sound and of our version.
        rooms: how many.
        messages: how many.
        records: how many fields of records.
        openings: how many times somebody began to write to it.
        problems: the first of them, each one line.
        more: how many problems there are besides.
    """

    version: int = 0
    looked: bool = False
    rooms: int = 0
    messages: int = 0
    records: int = 0
    openings: int = 0
    problems: list[str] = field(default_factory=list)
    more: int = 0

    def add(self, problem: str) -> None:
        """Note a problem, in full or as one more."""
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(problem if problem.isprintable() else repr(problem))
        else:
            self.more += 1


@dataclass(slots=True)
class _Room:
    """A room and the last message of it that was looked at, if any was."""

    n: int
    name: str
    top: int
    floor: int
    offset: int
    opening: int
    latest: int
    time: int = 0
    looked: bool = False


def verify(path: str, progress: Progress) -> Report:
    """Look through a database, as it is at this moment; others may go on using it.

    Of each room the offsets must follow each other from the first that was not trimmed to the
    top, times and openings never fall, and each row must be what it says it is; the index of words
    must be that of the messages. Some messages
    before that first one may be left: a trim goes in steps.

    Args:
        path: of a database or of a backup.
        progress: told messages.

    Raises:
        ConfigError: it cannot be read at all; damage is no such thing, but in the report.
    """
    if not os.path.isfile(path):
        raise ConfigError(f"{path!r} is not there, or is no file")
    report = Report()
    try:
        with closing(connect(path, write=False)) as connection:
            connection.execute("begin")
            _look(connection, report, progress)
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _DAMAGED:
            raise refusal(path, error) from None
        report.add(f"the file is damaged, or no database: {error}")
    return report


def _look(connection: sqlite3.Connection, report: Report, progress: Progress) -> None:
    version = ours(connection)
    if not version:
        report.add("nothing is in it" if version == 0 else "it is another program's database")
        return
    report.version = version
    for (told,) in connection.execute(f"pragma integrity_check({MOST_PROBLEMS + 1})"):
        for line in told.decode(errors="replace").splitlines():
            if line != "ok" and not line.startswith("***"):  # which is a heading
                report.add(line)
    if version > len(MIGRATIONS):
        report.add(f"it is of version {version}, and this chatd knows {len(MIGRATIONS)}")
    for name in lacks(connection, MIGRATIONS[:version]):
        report.add(f"{name} is missing")
    if report.problems or version != len(MIGRATIONS):
        return
    report.looked = True
    openings = {n for (n,) in connection.execute("select n from opening")}
    report.openings = len(openings)
    ((report.records,),) = connection.execute("select count(*) from record")
    rooms = {}
    for n, name, top, floor, opening, latest in connection.execute(
        "select n, name, top, floor, floor_opening, time from room"
    ):
        shown = repr(name.decode(errors="replace"))
        rooms[n] = _Room(n, shown, top, floor, floor, opening, latest)
        if not 0 <= floor <= top:
            report.add(f"room {rooms[n].name} was trimmed to {floor} and ends at {top}")
        if floor and opening not in openings:
            report.add(f"room {rooms[n].name} was trimmed in opening {opening}, which is none")
    report.rooms = len(rooms)
    _look_at_messages(connection, rooms, openings, report, progress)
    for room in rooms.values():
        if room.offset < room.top:
            report.add(f"room {room.name}: {room.offset + 1} to {room.top} are missing")
        if room.looked and room.time < room.latest:
            report.add(f"room {room.name}: its last message is older than it was when trimmed")
    for question, which in ((_NOWHERE, "that are not there"), (_IN_ERASED, "that are erased")):
        ((count,),) = connection.execute(question)
        if count:
            report.add(f"there are {count} mentions in messages {which}")
    for problem in words.check(connection):
        report.add(problem)


def _look_at_messages(
    connection: sqlite3.Connection,
    rooms: dict[int, _Room],
    openings: set[int],
    report: Report,
    progress: Progress,
) -> None:
    ((total,),) = connection.execute("select count(*) from message")
    nowhere: set[int] = set()
    for row in connection.execute(_ROWS):
        if report.messages % _EVERY == 0:
            progress(report.messages, total)
        report.messages += 1
        room = rooms.get(row[0])
        if room is not None:
            for problem in _problems(row, room, openings):
                report.add(f"room {room.name}, {row[1]}: {problem}")
            _, room.offset, room.opening, room.time, *_ = row
            room.looked = True
        elif row[0] not in nowhere:
            nowhere.add(row[0])
            report.add(f"there are messages of room {row[0]}, which does not exist")
    progress(report.messages, total)


def _problems(row: _Row, room: _Room, openings: set[int]) -> Iterator[str]:
    """Say what is wrong with a message, given the one before it."""
    _, offset, opening, time, size, kind, ref, user, message_id, sender, body = row
    if offset <= room.floor and not room.looked:
        room.opening = 0
    elif offset != room.offset + 1:
        yield f"should be {room.offset + 1}"
    if time < room.time:
        yield "its time is before that of the message before it"
    if opening < room.opening:
        yield "its opening is before that of the message before it"
    if opening not in openings:
        yield f"its opening {opening} does not exist"
    if size != len(sender) + len(body):
        yield f"its size is {len(sender) + len(body)}, not {size}"
    if kind not in _KINDS:
        yield f"its kind {kind} does not exist"
    if ref is not None and not key(room.n, 0) < ref < key(room.n, offset):
        yield f"it changes {ref & LAST_OFFSET}, which is not before it in its room"
    for name, text in (("user", user), ("id", message_id)):
        if not _is_text(text):
            yield f"its {name} is not UTF-8"
    for name, text in (("sender", sender), ("body", body)):
        if not _is_json(text):
            yield f"its {name} is not JSON"


def _is_text(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _no_number(word: str) -> float:
    raise ValueError(word)


# A number of endless digits is JSON too; Python's int would refuse it.
_JSON = json.JSONDecoder(parse_int=float, parse_constant=_no_number)


def _is_json(text: bytes) -> bool:
    try:
        _JSON.decode(text.decode())
    except (ValueError, RecursionError):
        return False
    return True
