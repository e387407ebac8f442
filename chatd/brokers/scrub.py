"""Scrub: what was erased, edited away or trimmed leaves the files, within a minute.

SQLite overwrites what is deleted, yet it is still in three places: words in older parts of the
index, until these are merged; old pages in the log; and what was left where rows have moved from.
A round sees to them in this order, in steps of a few milliseconds, commits going in between.

What it cannot reach: copies of the file, such as backups; what the disk itself keeps; and while
somebody reads for long, as a backup does, the log is kept for them until they end.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from sqlite3 import Connection

from twisted.logger import Logger

from chatd.brokers import gaps, words
from chatd.brokers.connections import Connections
from chatd.brokers.faults import Condition
from chatd.brokers.gaps import Cleared
from chatd.brokers.retention import Timer
from chatd.brokers.sqlite_file import MEMORY

__all__ = ["Scrub"]

_FIRST_S = 5.0  # after the start, when those who come back have come
_WAIT_S = 10.0  # so that what is erased meanwhile goes along
_PAUSE_S = 0.02
_HELD_S = (0.05, 2.0)  # until it tries again when somebody reads; twice as long each time
_FAILED_S = (1.0, 30.0)

_log = Logger()


class Scrub:
    """Goes in rounds, whenever it was woken. One step is under way at a time.

    Args:
        connections: to write by.
        path: of the database.
        later: calls something after so many seconds.
    """

    def __init__(
        self,
        connections: Connections,
        path: str,
        *,
        later: Callable[[float, Callable[[], None]], Timer],
    ) -> None:
        self._connections = connections
        self._path = path if path == MEMORY else os.path.realpath(path)
        self._later = later
        self._timer: Timer | None = None
        self._descriptor = -1
        self._is_due = False
        self._is_busy = False
        self._is_stopped = False
        self._pass = 0
        self._pages = 0
        self._held_s = _HELD_S[0]
        self._failed_s = _FAILED_S[0]
        self._condition = Condition("overwriting what was erased")

    @property
    def is_clean(self) -> bool:
        """Whether nothing is left of what was erased before it was last woken or started."""
        return not self._is_due and not self._is_busy

    def start(self) -> None:
        """Begin with a round: what the last process erased may not be gone."""
        self._is_due = True
        self._wait(_FIRST_S, self._begin)

    def wake(self) -> None:
        """Learn that something was erased, edited or trimmed, once it is stored."""
        self._is_due = True
        if self._timer is None and not self._is_busy:
            self._wait(_WAIT_S, self._begin)

    def stop(self) -> None:
        """Begin nothing more; the next start sees to what is left."""
        self._is_stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def close(self) -> None:
        """Let go of the file, once the connections are closed: not earlier, see `gaps`."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _wait(self, seconds: float, then: Callable[[], None]) -> None:
        def over() -> None:
            self._timer = None
            then()

        if not self._is_stopped:
            self._timer = self._later(seconds, over)

    def _begin(self) -> None:
        self._is_due, self._is_busy = False, True
        self._pass, self._pages = 1, 0
        self._merge(begin=True)

    def _merge(self, *, begin: bool) -> None:
        # It takes space, but what is to be gone goes also from a disk that is nearly full.
        self._connections.write(
            lambda connection: words.merge(connection, begin=begin), self._merged, stores=False
        )

    def _merged(self, outcome: bool | Exception) -> None:
        if isinstance(outcome, Exception):
            self._failed(outcome)
        elif outcome:
            self._wait(_PAUSE_S, partial(self._merge, begin=False))
        elif self._path == MEMORY:
            self._end()
        else:
            self._clear(0)

    def _clear(self, start: int) -> None:
        self._connections.write(
            lambda connection: self._clear_now(connection, start),
            partial(self._cleared, start),
            stores=False,
        )

    def _clear_now(self, connection: Connection, start: int) -> Cleared | None:
        """On the writer's thread."""
        if self._descriptor < 0:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        return gaps.clear(connection, self._path, self._descriptor, start)

    def _cleared(self, start: int, outcome: Cleared | Exception | None) -> None:
        if isinstance(outcome, Exception):
            self._failed(outcome)
        elif outcome is None:
            self._wait(self._held_s, partial(self._clear, start))
            self._held_s = min(2 * self._held_s, _HELD_S[1])
        else:
            self._held_s = _HELD_S[0]
            self._pages += outcome.pages
            if not outcome.is_end:
                self._wait(_PAUSE_S, partial(self._clear, outcome.upto))
            elif self._pages and self._pass == 1:
                # SQLite may have exchanged a page not yet looked at for one that was.
                self._pass = 2
                self._wait(_PAUSE_S, partial(self._clear, 0))
            else:
                self._end()

    def _end(self) -> None:
        self._is_busy = False
        self._failed_s = _FAILED_S[0]
        self._condition.succeeded()
        if self._pages:
            _log.debug("what was erased is overwritten; {pages} pages", pages=self._pages)
        if self._is_due:
            self._wait(_WAIT_S, self._begin)

    def _failed(self, error: Exception) -> None:
        self._is_busy, self._is_due = False, True
        if not self._is_stopped:
            self._condition.failed(error)
        self._wait(self._failed_s, self._begin)
        self._failed_s = min(2 * self._failed_s, _FAILED_S[1])
