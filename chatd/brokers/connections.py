"""The two connections to the database, and the ways to them: one writes, one reads.

Each is opened and used by its own worker alone. With ':memory:' one is both.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from chatd.brokers.database import MEMORY, connect, create
from chatd.brokers.disk import Disk
from chatd.brokers.faults import Condition
from chatd.brokers.worker import Worker
from chatd.errors import UNAVAILABLE, ChatError, Refusal

__all__ = ["MOST_READS", "Connections"]

MOST_READS = 20_000
"""So many reads may wait; more are refused."""

T = TypeVar("T")
Job = Callable[[sqlite3.Connection], T]


class Connections:
    """The connections to one database. Called on the reactor's thread.

    Args:
        path: of a database that `database.check` has passed, or `:memory:`.
        reader: does what reads.
        writer: does what writes.
        now_ms: the wall clock, in milliseconds since 1970; it may step.
        free_bytes: see `disk.Disk`.
        flush_each: see `sqlite_file.connect`.
    """

    def __init__(
        self,
        path: str,
        *,
        reader: Worker,
        writer: Worker,
        now_ms: Callable[[], int],
        free_bytes: int,
        flush_each: bool = True,
    ) -> None:
        self._path = path
        self._flush_each = flush_each
        self._writer = writer
        self._reader = writer if path == MEMORY else reader
        self._spare = reader
        self._now_ms = now_ms
        self._disk = None if path == MEMORY else Disk(path, free_bytes)
        self._writing: sqlite3.Connection | None = None
        self._reading: sqlite3.Connection | None = None
        self._reads = 0
        self._early: list[Callable[[], None]] | None = []  # reads, until it is open
        self._is_shut = False  # for they could not be opened
        self.reopen: Callable[[], bool] = lambda: False
        """Called when something is to be read that needs them opened again; whether they will."""
        self._stopping: list[Callable[[], None]] = []
        self._is_stopped = False
        self._read_condition = Condition("reading the database")

    def start(self, done: Callable[[Exception | None], None]) -> None:
        """Open them; again, if it did not work.

        Args:
            done: told what went wrong.
        """

        def ended(outcome: Exception | None) -> None:
            self._is_shut = outcome is not None
            self._read_early()
            done(outcome)

        def opened(outcome: Exception | None) -> None:
            if outcome is not None or self._stopping or self._reader is self._writer:
                ended(outcome)
            else:
                self._reader.do(self._open_reading, ended)

        self._writer.do(self._open_writing, opened)

    def write(
        self, job: Job[T], done: Callable[[T | Exception], None], *, stores: bool = True
    ) -> None:
        """Have something written, all of it or nothing.

        Args:
            job: called on the writer's thread; again, when somebody else held the database.
            done: told what it returned, or what went wrong.
            stores: whether it takes space.
        """
        self._writer.do(partial(self._write, job, self._now_ms(), stores), done)

    def read(self, job: Job[T], done: Callable[[T | Refusal], None]) -> bool:
        """Have something read, once it is known whether they can be opened.

        Args:
            job: called on the reader's thread.
            done: told what it returned, or UNAVAILABLE.

        Returns:
            False: too much waits, and nothing was done.
        """
        if self._reads >= MOST_READS:
            return False
        self._reads += 1
        read = partial(self._reader.do, partial(self._read, job), partial(self._was_read, done))
        if self._is_shut and self._early is None and self.reopen():
            self._is_shut, self._early = False, [read]
        elif self._early is None:
            read()
        else:
            self._early.append(read)
        return True

    def stop(self, done: Callable[[], None]) -> None:
        """Do what was asked for, close the connections, stop the workers; then call `done`."""

        def closed(outcome: Exception | None) -> None:
            self._spare.stop(lambda: self._writer.do(self._close_writing, wrote))

        def wrote(outcome: Exception | None) -> None:
            if outcome is not None:
                Condition("closing the database").failed(outcome)
            self._writer.stop(stopped)

        def stopped() -> None:
            self._is_stopped = True
            for each in self._stopping:
                each()

        if self._is_stopped:
            self._writer.stop(done)
            return
        self._read_early()
        self._stopping.append(done)
        if len(self._stopping) == 1:
            # The one that writes goes last: the last one to go takes the log in.
            self._reader.do(self._close_reading, closed)

    def _read_early(self) -> None:
        early, self._early = self._early, None
        for read in early or ():
            read()

    def _open_writing(self) -> None:
        if self._writing is not None:
            return
        connection = connect(self._path, write=True, flush_each=self._flush_each)
        try:
            if self._path == MEMORY:
                create(connection)
            if self._disk is not None:
                # The log is made by the first who looks, if this was a backup or closed well.
                connection.execute("select count(*) from sqlite_schema").fetchone()
                self._disk.remember()
        except BaseException:
            connection.close()
            raise
        self._writing = connection
        if self._reader is self._writer:
            self._reading = connection

    def _open_reading(self) -> None:
        if self._reading is None:
            self._reading = connect(self._path, write=False)

    def _close_reading(self) -> None:
        connection, self._reading = self._reading, None
        if connection is not None and self._reader is not self._writer:
            connection.close()

    def _close_writing(self) -> None:
        connection, self._writing = self._writing, None
        if connection is None:
            return
        try:
            if self._disk is not None:
                connection.execute("pragma wal_checkpoint(truncate)").fetchone()
        finally:
            connection.close()

    def _write(self, job: Job[T], now_ms: int, stores: bool) -> T:
        connection = self._writing
        if connection is None:
            raise ChatError(UNAVAILABLE)
        if self._disk is not None:
            self._disk.check(now_ms, stores=stores)
        try:
            return self._done_whole(job, connection)
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_BUSY:
                raise
        # Somebody else holds it for longer than SQLite waits; nothing of it was done.
        return self._done_whole(job, connection)

    @staticmethod
    def _done_whole(job: Job[T], connection: sqlite3.Connection) -> T:
        try:
            return job(connection)
        finally:
            # A full disk, for one, has ended the transaction already.
            if connection.in_transaction:
                connection.rollback()

    def _read(self, job: Job[T]) -> T:
        if self._reading is None:
            raise ChatError(UNAVAILABLE)
        return job(self._reading)

    def _was_read(self, done: Callable[[T | Refusal], None], outcome: T | Exception) -> None:
        self._reads -= 1
        if isinstance(outcome, Exception):
            self._read_condition.failed(outcome)
            done(UNAVAILABLE)
        else:
            self._read_condition.succeeded()
            done(outcome)
