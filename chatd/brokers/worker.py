"""Workers: where work that would block is done, in order, beside the reactor."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Protocol, TypeVar

from chatd.errors import UNAVAILABLE, ChatError

__all__ = ["ThreadWorker", "Worker"]

T = TypeVar("T")

_Task = tuple[Callable[[], object] | None, Callable[..., None]]


class Worker(Protocol):
    """What does jobs one after the other. Called on the reactor's thread.

    How many jobs may wait is for those who bring them to bound.
    """

    def do(self, job: Callable[[], T], done: Callable[[T | Exception], None]) -> None:
        """Have a job done after those that were asked for before.

        Args:
            job: called elsewhere.
            done: called later, on the reactor's thread, with what the job returned or raised; with
                a `ChatError` when the worker was stopped before.
        """

    def stop(self, done: Callable[[], None]) -> None:
        """Do what was asked for, then nothing more; then call `done`. It may be stopped again."""


class ThreadWorker:
    """A `Worker` that is a thread. It starts with the first job: the process may fork before.

    Args:
        name: of the thread.
        call_in_reactor: calls something on the reactor's thread, from any thread.
    """

    def __init__(self, name: str, call_in_reactor: Callable[[Callable[[], None]], object]) -> None:
        self._name = name
        self._call_in_reactor = call_in_reactor
        self._tasks: SimpleQueue[_Task] = SimpleQueue()
        self._thread: Thread | None = None
        self._stopped = False

    def do(self, job: Callable[[], T], done: Callable[[T | Exception], None]) -> None:
        """See `Worker.do`."""
        if self._stopped:
            self._call_in_reactor(partial(done, ChatError(UNAVAILABLE)))
            return
        if self._thread is None:
            # A daemon: a job that hangs must not keep the process from ending.
            self._thread = Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        self._tasks.put((job, done))

    def stop(self, done: Callable[[], None]) -> None:
        """See `Worker.stop`."""
        if self._stopped or self._thread is None:
            self._stopped = True
            self._call_in_reactor(done)
            return
        self._stopped = True
        self._tasks.put((None, done))

    def _run(self) -> None:
        while True:
            job, done = self._tasks.get()
            if job is None:
                self._call_in_reactor(done)
                return
            try:
                outcome = job()
            except Exception as error:
                outcome = error
            self._call_in_reactor(partial(done, outcome))
            # Or they would live until the next job comes.
            del job, done, outcome
