"""Makes a database with many messages in one room: `python fill.py PATH ROOM MESSAGES`.

It runs with the chatd of any checkout on its path, and uses that one's schema and statements. So
nothing of this folder is imported here.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import closing

from chatd.brokers import store
from chatd.brokers.database import check
from chatd.brokers.schema import key
from chatd.brokers.sqlite_file import connect
from chatd.core.events import Kind, Sender

_STEP = 20_000
_APART_MS = 100
_SENDERS = 8
_TEXT = "It is 64 bytes long, as are those that the load sends: 0123456789"[:64]


def _rows(
    first: int, last: int, newest: int, now_ms: int, senders: list[str]
) -> Iterator[store.Row]:
    for offset in range(first, last + 1):
        number = offset % _SENDERS
        said = f"stored-{offset:09}"
        body = f'{{"type":"message","id":"{said}","text":"{_TEXT}"}}'
        time_ms = now_ms - (newest - offset) * _APART_MS
        size = len(senders[number]) + len(body)
        place, user = key(1, offset), f"user{number}"
        yield place, 1, time_ms, size, Kind.MESSAGE, None, user, said, senders[number], body


def _main(path: str, room: str, messages: int) -> None:
    now = time.time()
    check(path, now=now)
    senders = [
        Sender(f"user{n}", f"session{n}", f"nick{n}").encoded.decode() for n in range(_SENDERS)
    ]
    with closing(connect(path, write=True)) as connection:
        connection.execute("pragma synchronous = 0")  # it is made anew if this is cut short
        store.write_opening(connection, 1, "stored")
        rooms = [(1, room)]
        for first in range(1, messages + 1, _STEP):
            last = min(first + _STEP - 1, messages)
            store.add(
                connection, rooms, list(_rows(first, last, messages, int(now * 1000), senders))
            )
            rooms = []
        connection.execute("pragma wal_checkpoint(truncate)")


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
