"""Making the index of words anew, from the messages; see `words`."""

from __future__ import annotations

from collections.abc import Callable
from sqlite3 import Connection
from typing import NamedTuple

from chatd.brokers import renewal
from chatd.brokers.words import HEADS, MOST_EVENTS, Behind, behind, take_in_each

__all__ = ["TOLD_EACH", "Progress", "empty", "progress", "reindex"]

TOLD_EACH = 50
"""So many steps lie between two tellings of progress: it looks at all rooms."""


class Progress(NamedTuple):
    """How far the index is.

    Args:
        done: events taken in, of all rooms.
        total: events there are.
    """

    done: int
    total: int


_PROGRESS = f"""
select coalesce(sum(max(indexed - floor, 0)), 0), coalesce(sum(head - floor), 0) from {HEADS}
"""


def progress(connection: Connection) -> Progress:
    """Say how far the index is, by the offsets of all rooms."""
    return Progress(*connection.execute(_PROGRESS).fetchone())


def empty(connection: Connection) -> None:
    """Make the index a new one with nothing in it, in one transaction."""
    connection.execute("begin immediate")
    renewal.empty(connection)
    connection.execute("commit")


def reindex(connection: Connection, told: Callable[[int, int], None]) -> None:
    """Make the index anew, in steps; from the beginning when it is called again.

    When it is broken off, a daemon goes on where it was.

    Args:
        connection: that writes, while nobody else does.
        told: how many events are done, of how many; what it raises ends it.
    """
    empty(connection)
    done, total = progress(connection)
    told(done, total)
    looked, steps = Behind((), 0), 0
    while True:
        looked = behind(connection, looked.n)
        rooms = looked.rooms
        while rooms:
            rooms = take_in_each(connection, rooms, MOST_EVENTS)
            steps += 1
            if not steps % TOLD_EACH:
                told(*progress(connection))
        if not looked.n:
            break
    told(total, total)
