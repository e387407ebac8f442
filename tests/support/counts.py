"""What chatd costs, counted in this process: function calls, bytes and SQL statements.

The counts are the same on every machine and in every run of one version of Python. They are made
by the real doors, sessions, hub and broker over memory, in a process of their own: what else ran
there, its caches and its free lists would change them. `python -m tests.support.counts` prints
them as JSON.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import Callable
from functools import partial
from itertools import groupby
from pathlib import Path
from types import FrameType
from typing import Any, cast

from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, globalLogBeginner

from chatd.brokers.sqlite import SqliteBroker
from chatd.core.broker import Opened
from chatd.core.events import Message, Sender, payload
from chatd.errors import Refusal
from tests.support.brokers import clock_broker, settle
from tests.support.daemon import ROOT, environment
from tests.support.doors import Client, World
from tests.support.jsonline import PATH
from tests.support.rfc6455 import TEXT, client_frame

__all__ = ["BURST", "FEW", "MANY", "Counts", "Tally", "counted", "ratio"]

Counts = dict[str, dict[str, float]]
"""Tables as tests/costs.toml has them: what is counted, by name."""

BURST = 64
"""So many messages arrive in one read, when they do not come one at a time."""

FEW, MANY = 1, 100
"""Members of the room; what the count grows by from few to many is the price of deliveries."""

ROOM = "costs"

_WARM = 3
_MEMBERS = (100, 300)
_STATEMENT_ROOMS = 8
_DEADLINE_S = 60

# a reactor that is a clock, and the other side of the connections, are nothing of chatd's
_NOT_CHATD = (
    str(ROOT / "tests"),
    f"{os.sep}twisted{os.sep}internet{os.sep}task.py",
    f"{os.sep}twisted{os.sep}internet{os.sep}base.py",
)

_NO_LIMITS: dict[str, Any] = {
    "publish_per_s": 1_000_000,
    "publish_burst": 1_000_000,
    "commands_per_s": 1_000_000,
    "commands_burst": 1_000_000,
    "received_bytes_per_s": 1 << 30,
    "received_bytes_burst": 1 << 30,
}


class Tally:
    """Counts calls of functions, of Python's and of C's, while its block runs.

    A call counts when the function is chatd's or a library's; one of a C function, when one of
    those calls it.
    """

    def __init__(self) -> None:
        self.calls = 0
        self._known: dict[object, bool] = {}

    def __enter__(self) -> Tally:
        gc.collect()
        gc.disable()  # or what collects would call somebody, now and then
        sys.setprofile(self._called)
        return self

    def __exit__(self, *error: object) -> None:
        sys.setprofile(None)
        gc.enable()

    def _called(self, frame: FrameType, event: str, argument: Any) -> None:
        if event not in ("call", "c_call"):
            return
        code = frame.f_code
        counts = self._known.get(code)
        if counts is None:
            path = code.co_filename
            counts = not (path.startswith(_NOT_CHATD[0]) or path.endswith(_NOT_CHATD[1:]))
            self._known[code] = counts
        self.calls += counts


class _Talk:
    """A room of some people, one of whom speaks; all came in by one door.

    Args:
        world: where.
        door: `json` or `plain`.
        members: how many, who speaks included.
    """

    def __init__(self, world: World, door: str, members: int) -> None:
        self._world = world
        self._door = door
        self.members = [self._member(number) for number in range(members)]
        self._said = 0

    def _member(self, number: int) -> Client:
        if self._door == "plain":
            client = self._world.open(f"/plain?room={ROOM}")
        else:
            client = self._world.open(PATH)
            client.say(json.dumps({"id": 1, "connect": {}}))
            self._world.turn()
            client.say(json.dumps({"id": 2, "subscribe": {"channel": ROOM}}))
        self._world.turn()
        return client

    def round(self, count: int) -> int:
        """Say something and let everybody hear it.

        Args:
            count: messages, which arrive in one read.

        Returns:
            how many calls it took.

        Raises:
            AssertionError: somebody did not hear all of it.
        """
        frames = b"".join(self._frame() for _ in range(count))
        for each in self.members:
            each.transport.taken = b""
        speaker = self.members[0]
        with Tally() as tally:
            speaker.send(frames)
            self._world.turn()
        for each in self.members:
            heard = each.transport.taken.count(b"costs message")
            assert heard == count, f"{heard} of {count} heard: {each.transport.taken[:200]!r}"
        replies = speaker.transport.taken.count(b'"publish":{}')
        assert replies == (count if self._door == "json" else 0), speaker.transport.taken[:500]
        return tally.calls

    def _frame(self) -> bytes:
        self._said += 1
        text = f"costs message {self._said}".ljust(64, ".")
        if self._door == "plain":
            return client_frame(TEXT, text.encode())
        said = {"type": "message", "id": f"costs{self._said}", "text": text}
        command = {"id": 2 + self._said, "publish": {"channel": ROOM, "data": said}}
        return client_frame(TEXT, json.dumps(command).encode())


def ratio(value: float) -> float:
    """A count of something for each of something else, as it is recorded."""
    return float(f"{value:.4g}")


def calls() -> dict[str, float]:
    """Function calls per delivery and per received message, by door, one at a time and in bursts.

    Of `n` messages to `m` members `n * m` are deliveries. What each member adds is the price of
    their deliveries; the rest is that of the messages.
    """
    found = {}
    for door in ("json", "plain"):
        talks = [_Talk(World(**_NO_LIMITS), door, members) for members in (FEW, MANY)]
        for name, count in (("single", 1), ("burst", BURST)):
            for talk in talks:
                for _ in range(_WARM):
                    talk.round(count)
            few, many = (talk.round(count) / count for talk in talks)
            each = (many - few) / (MANY - FEW)
            found[f"{door}_{name}_per_delivery"] = ratio(each)
            found[f"{door}_{name}_per_message"] = ratio(few - FEW * each)
    return found


def member_bytes() -> dict[str, float]:
    """Bytes that one more member of a room takes, of those who came in by the JSON door."""
    few, many = _MEMBERS
    world = World(**_NO_LIMITS)
    _Talk(world, "json", few)  # all that is made once is there
    tracemalloc.start()
    try:
        crowd = [_Talk(world, "json", many - few)]
        gc.collect()
        theirs = [
            tracemalloc.Filter(False, f"{_NOT_CHATD[0]}{os.sep}*"),
            tracemalloc.Filter(False, f"*{_NOT_CHATD[1]}"),
            tracemalloc.Filter(False, f"*{_NOT_CHATD[2]}"),
            tracemalloc.Filter(False, tracemalloc.__file__),
        ]
        traces = tracemalloc.take_snapshot().filter_traces(theirs).statistics("filename")
    finally:
        tracemalloc.stop()
    assert len(crowd[0].members) == many - few
    return {"json_member": round(sum(each.size for each in traces) / (many - few))}


class _Statements:
    """A broker over a file, whose SQL statements are counted.

    Args:
        folder: for the file.

    Attributes:
        triggers: how often a trigger ran within what was counted last.
    """

    def __init__(self, folder: Path) -> None:
        self.triggers = 0
        self.clock = Clock()
        self.broker: SqliteBroker = clock_broker(self.clock, str(folder / "costs.sqlite3"))
        self.broker.start(lambda batch: None)
        settle(self.clock)
        self._seen: list[str] = []
        self._said = 0
        self._sender = Sender("u", "c", "ann")
        told: list[object] = []

        def watch(connection: Any) -> None:
            connection.set_trace_callback(self._seen.append)

        self.broker.connections.write(watch, told.append, stores=False)
        assert self.broker.connections.read(watch, told.append)
        settle(self.clock)
        assert told == [None, None], told

    def of(self, act: Callable[[], object]) -> int:
        """How many something takes, with all that follows from it."""
        self._seen.clear()
        act()
        settle(self.clock)
        # a trigger is told as the statement that ran it once more
        statements = len(list(groupby(self._seen)))
        self.triggers = len(self._seen) - statements
        return statements

    def open(self, room: str) -> None:
        """Open a room.

        Raises:
            AssertionError: it was refused.
        """
        told: list[Opened | Refusal] = []
        self.broker.open(room, told.append)
        settle(self.clock)
        assert isinstance(told[0], Opened), told

    def batch(self, messages: int, rooms: int, first: str = ROOM) -> None:
        """Store a batch.

        Args:
            messages: how many.
            rooms: that they are shared among, which are open.
            first: what the rooms' names begin with.

        Raises:
            AssertionError: one was refused.
        """
        told: list[object] = []
        for number in range(messages):
            self._said += 1
            key = f"costs{self._said}"
            said = payload(key, f"message {self._said}")
            self.broker.publish(f"{first}{number % rooms}", self._sender, key, said, told.append)
        settle(self.clock)
        assert len(told) == messages, told
        assert not [each for each in told if isinstance(each, Refusal)], told

    def page(self, count: int) -> None:
        """Read a page of a room that has so many messages.

        Raises:
            AssertionError: they were not read.
        """
        told: list[Any] = []
        self.broker.page(f"{ROOM}0", 0, count, told.append, limit=count)
        settle(self.clock)
        assert len(told[0]) == count and isinstance(told[0][0], Message), told

    def stop(self) -> None:
        """Close it all."""
        self.broker.stop(lambda: None)
        settle(self.clock)


def statements() -> dict[str, float]:
    """SQL statements for each batch that is stored, page that is read and room that is opened."""
    with tempfile.TemporaryDirectory() as name:
        shop = _Statements(Path(name))
        try:
            rooms = [f"{ROOM}{number}" for number in range(_STATEMENT_ROOMS)]
            found = {
                "room_open_new": shop.of(lambda: shop.open(rooms[0])),
                "first_batch_of_a_room": shop.of(lambda: shop.batch(1, 1)),
            }
            for each in rooms[1:]:
                shop.open(each)
            shop.batch(2 * BURST, _STATEMENT_ROOMS)
            for messages in (1, BURST):
                found[f"batch_of_{messages}_in_1_room"] = shop.of(partial(shop.batch, messages, 1))
                found[f"batch_of_{messages}_in_1_room_triggers"] = shop.triggers
            found[f"batch_of_{BURST}_in_{_STATEMENT_ROOMS}_rooms"] = shop.of(
                partial(shop.batch, BURST, _STATEMENT_ROOMS)
            )
            found["page_of_1"] = shop.of(lambda: shop.page(1))
            found[f"page_of_{BURST}"] = shop.of(lambda: shop.page(BURST))
            shop.broker.close(rooms[0])
            settle(shop.clock)
            found["room_open_stored"] = shop.of(lambda: shop.open(rooms[0]))
        finally:
            shop.stop()
    return dict(found)


def counted() -> Counts:
    """Count everything, in a fresh process.

    Returns:
        the tables `calls`, `bytes` and `statements`.

    Raises:
        AssertionError: it could not be counted; the words are those of the process.
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.support.counts"],
        cwd=ROOT,
        env=environment({"PYTHONHASHSEED": "0"}),
        capture_output=True,
        text=True,
        timeout=_DEADLINE_S,
    )
    assert done.returncode == 0, done.stderr
    tables: Counts = json.loads(done.stdout)
    return tables


def _unheard(event: LogEvent) -> None:
    pass


def _main() -> None:
    # what is logged before somebody listens is kept
    globalLogBeginner.beginLoggingTo([cast(ILogObserver, _unheard)], redirectStandardIO=False)
    tables = {"calls": calls(), "bytes": member_bytes(), "statements": statements()}
    sys.stdout.write(json.dumps(tables, indent=1) + "\n")


if __name__ == "__main__":
    _main()
