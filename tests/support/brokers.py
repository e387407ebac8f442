"""A broker for tests, whose turns of the reactor are a clock's."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from itertools import count
from typing import TypeVar

from twisted.internet.task import Clock

from chatd.brokers import database
from chatd.brokers.sqlite import SqliteBroker
from chatd.errors import UNAVAILABLE, ChatError

__all__ = ["ClockWorker", "blocks", "clock_broker", "settle", "sqlite_error"]

T = TypeVar("T")

_epochs = count(1)


class ClockWorker:
    """A `brokers.worker.Worker` that does a job in a turn of its own, and tells it in a later one.

    Args:
        clock: its turns.

    Attributes:
        failures: what the next jobs fail with, instead of being done; None: it is done.
        asked: so many jobs were asked for.
        jobs: so many were done or failed.
        is_held: whether jobs wait for `release`.
    """

    def __init__(self, clock: Clock) -> None:
        self.failures: list[Exception | None] = []
        self.is_held = False
        self.asked = 0
        self.jobs = 0
        self._clock = clock
        self._held: list[Callable[[], None]] = []
        self._stopped = False

    def do(self, job: Callable[[], T], done: Callable[[T | Exception], None]) -> None:
        """See `Worker.do`."""
        stopped = self._stopped
        self.asked += 1

        def run() -> None:
            outcome: T | Exception
            self.jobs += 1
            failure = self.failures.pop(0) if self.failures else None
            if stopped or failure is not None:
                outcome = failure or ChatError(UNAVAILABLE)
            else:
                try:
                    outcome = job()
                except Exception as error:
                    outcome = error
            self._clock.callLater(0, done, outcome)

        self._run(run)

    def stop(self, done: Callable[[], None]) -> None:
        """See `Worker.stop`."""
        self.do(lambda: None, lambda outcome: done())
        self._stopped = True

    def release(self) -> None:
        """Do what was held."""
        self.is_held = False
        held, self._held = self._held, []
        for run in held:
            self._clock.callLater(0, run)

    def _run(self, run: Callable[[], None]) -> None:
        if self.is_held:
            self._held.append(run)
        else:
            self._clock.callLater(0, run)


def clock_broker(
    clock: Clock,
    path: str = ":memory:",
    *,
    reader: ClockWorker | None = None,
    writer: ClockWorker | None = None,
    now_ms: Callable[[], int] | None = None,
    most_pending: int = 4000,
    most_bytes: int = 1 << 24,
    free_bytes: int = 0,
) -> SqliteBroker:
    """Make a broker that does everything when `clock` is advanced, even by 0; see `settle`.

    Args:
        clock: its turns.
        path: of the database; it is to be stopped when this is a file.
        reader: what reads; None: one of its own.
        writer: what writes; None: one of its own.
        now_ms: its wall clock; None: that of `clock`.
        most_pending: see `SqliteBroker`.
        most_bytes: see `SqliteBroker`.
        free_bytes: see `SqliteBroker`.
    """
    database.check(path, now=clock.seconds())
    return SqliteBroker(
        path=path,
        reader=reader or ClockWorker(clock),
        writer=writer or ClockWorker(clock),
        later=lambda call: clock.callLater(0, call),
        now_ms=now_ms or (lambda: round(clock.seconds() * 1000)),
        new_epoch=lambda: f"epoch-{next(_epochs)}",
        most_pending=most_pending,
        most_bytes=most_bytes,
        free_bytes=free_bytes,
    )


def blocks(free: int) -> os.statvfs_result:
    """Make up a disk of 100 blocks of 4096 bytes."""
    return os.statvfs_result((4096, 4096, 100, free, free, 0, 0, 0, 0, 255))


def settle(clock: Clock) -> None:
    """Let all happen that happens without time going by."""
    while any(call.getTime() <= clock.seconds() for call in clock.getDelayedCalls()):
        clock.advance(0)


def sqlite_error(name: str) -> sqlite3.Error:
    """Make an error as SQLite raises it.

    Args:
        name: of its code, such as `SQLITE_FULL`.
    """
    error = sqlite3.OperationalError("made up")
    error.sqlite_errorcode, error.sqlite_errorname = getattr(sqlite3, name), name
    return error
