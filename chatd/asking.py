"""Having chatd do something: the daemon that uses a database, or this process when none does.

Never both: of two programs that write to one file SQLite before 3.51.3 may damage it.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from typing import TypeVar

import orjson

from chatd.brokers import database
from chatd.brokers.records import SqliteRecords
from chatd.brokers.reindex import reindex
from chatd.brokers.sqlite import SqliteBroker
from chatd.brokers.sqlite_file import connect, missing
from chatd.core.accounts import Accounts
from chatd.core.audit import OPERATOR, Audit
from chatd.core.feed import Feed
from chatd.core.hub import Hub
from chatd.core.operations import Operation, operations
from chatd.core.wheel import Wheel
from chatd.doors.control import reachable, socket_path
from chatd.errors import ConfigError, Refusal

__all__ = ["Progress", "ask"]

Progress = Callable[[int, int], None]
"""Is told how much is done, and of how much."""

T = TypeVar("T")

_SILENT_S = 60.0  # the longest that a daemon may say nothing
_LONGEST = 65536  # bytes of a line
_MOST_PENDING, _MOST_BYTES = 1000, 1 << 20


def ask(path: str, request: Mapping[str, object], progress: Progress) -> Mapping[str, object]:
    """Have something done.

    Args:
        path: of the database.
        request: with `do`, the name of an operation; see `core.operations`.
        progress: told how far it is.

    Returns:
        What is told of it.

    Raises:
        ConfigError: it was not done, or maybe was; one line says why.
    """
    if not os.path.exists(path):
        raise missing(path)
    talk = _connected(path)
    if talk is None:
        return _alone(path, request, progress)
    with talk:
        return _answered(talk, request, progress)


def _connected(path: str) -> socket.socket | None:
    """A connection to the daemon that uses a database; None: there is none.

    Raises:
        ConfigError: there is one, but not for us.
    """
    talk, where = socket.socket(socket.AF_UNIX), socket_path(path)
    talk.settimeout(_SILENT_S)
    try:
        with reachable(where, os.O_PATH) as place:
            talk.connect(place)
    except (FileNotFoundError, ConnectionRefusedError):
        talk.close()
        return None
    except OSError as error:
        talk.close()
        raise ConfigError(f"{where!r}: {error.strerror or 'no answer'}") from None
    return talk


def _answered(
    talk: socket.socket, request: Mapping[str, object], progress: Progress
) -> Mapping[str, object]:
    try:
        talk.sendall(orjson.dumps(request) + b"\n")
        with talk.makefile("rb") as answers:
            while line := answers.readline(_LONGEST):
                answer = orjson.loads(line)
                if "progress" in answer:
                    progress(*answer["progress"])
                elif "refused" in answer:
                    raise ConfigError(str(answer["refused"]))
                else:
                    done: Mapping[str, object] = answer["done"]
                    return done
    except (OSError, ValueError) as error:
        why = str(error) or type(error).__name__
        raise ConfigError(f"chatd did not answer: {why}; look whether it was done") from None
    raise ConfigError("chatd ended before it answered, or is too busy; look whether it was done")


def _alone(path: str, request: Mapping[str, object], progress: Progress) -> Mapping[str, object]:
    """Do it here, while the database is locked."""
    held = database.lock(path)
    assert held is not None  # it is in a file
    try:
        database.check(path, now=time.time())  # noqa: TID251  # for the name of a file
        if request["do"] == "reindex":
            with closing(connect(path, write=True)) as connection:
                reindex(connection, progress)
            return {}
        with _operations(path) as (table, turns):
            answer = _Told()
            table[str(request["do"])](request, answer)
            turns.run()
    finally:
        held.release()
    if answer.words is not None:
        raise ConfigError(answer.words)
    assert answer.value is not None  # or somebody waits for what never comes
    return answer.value


@contextmanager
def _operations(path: str) -> Iterator[tuple[Mapping[str, Operation], _Turns]]:
    """The operations over a database, all in this thread, in turns."""
    turns = _Turns()
    broker = SqliteBroker(
        path=path,
        reader=turns,
        writer=turns,
        later=turns.append,
        now_ms=_now_ms,
        new_epoch=_new_id,
        most_pending=_MOST_PENDING,
        most_bytes=_MOST_BYTES,
        free_bytes=0,
    )
    records = SqliteRecords(
        broker.connections, later=turns.append, most_pending=_MOST_PENDING, most_bytes=_MOST_BYTES
    )
    hub = Hub(broker, Feed(broker, cached_bytes=0), records, Wheel(time.monotonic), grace_s=0)
    audit = Audit(hub, broker, _new_id)
    accounts = Accounts(
        records,
        new_id=_new_id,
        changed=lambda action, account: audit.note(action, OPERATOR, user=account.user),
    )
    hub.start()
    turns.run()
    try:
        yield operations(accounts, _no_reindex), turns
    finally:
        broker.stop(lambda: None)
        turns.run()


def _no_reindex(progress: Progress, done: Callable[[Refusal | None], None]) -> None:
    """It is no matter of turns: see `_alone`."""
    raise NotImplementedError


def _new_id() -> str:
    return secrets.token_hex(8)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class _Turns:
    """What is to be called, in order; and a `Worker` that works when its turn comes."""

    def __init__(self) -> None:
        self._calls: deque[Callable[[], object]] = deque()

    def append(self, call: Callable[[], object]) -> None:
        """Call something after everything that is to be called now."""
        self._calls.append(call)

    def run(self) -> None:
        """Call everything, until there is nothing."""
        while self._calls:
            self._calls.popleft()()

    def do(self, job: Callable[[], T], done: Callable[[T | Exception], None]) -> None:
        """See `Worker.do`."""

        def run() -> None:
            outcome: T | Exception
            try:
                outcome = job()
            except Exception as error:
                outcome = error
            self.append(partial(done, outcome))

        self.append(run)

    def stop(self, done: Callable[[], None]) -> None:
        """See `Worker.stop`."""
        self.append(done)


class _Told:
    """An `Answer` that is remembered."""

    def __init__(self) -> None:
        self.value: Mapping[str, object] | None = None
        self.words: str | None = None

    def progress(self, done: int, total: int) -> None:
        """See `Answer.progress`."""

    def done(self, value: Mapping[str, object]) -> None:
        """See `Answer.done`."""
        self.value = value

    def refused(self, words: str) -> None:
        """See `Answer.refused`."""
        self.words = words
