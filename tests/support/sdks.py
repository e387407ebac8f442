"""The public Centrifuge client SDKs, each in a process of its own that does what it is told.

What they are told and tell is the same for both, so that one set of cases runs on both. A command
is `{"id", "make", "client", ...}`, its answer `{"id", "result"}` or `{"id", "error": {"code",
"message"}}`, an event `{"event", "client", ...}`. `make` is `peer` to make a client with its
`url`, `nick`, `resume`, `token`, `tokens`, `pongless`; then `connect`, `subscribe` and so on. The
event of a publication without an offset is `passing` here, so that `publication` is what has a
place. What is told to one user's sessions is the event `message` in JavaScript; the SDK for Python
passes it over.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from unittest import SkipTest

from tests.support.daemon import ROOT
from tests.support.external import external
from tests.support.sdk import PATH, RefusedError

__all__ = ["NAMES", "Peer", "Sdk", "start"]

NAMES = ("javascript", "python")

DEADLINE_S = 20.0

Json = dict[str, Any]


def _missing(words: str) -> None:
    if os.environ.get("CI") == "true":
        raise AssertionError(words)
    raise SkipTest(words)


def start(name: str) -> Sdk:
    """Start the process of an SDK.

    Args:
        name: one of `NAMES`.

    Raises:
        SkipTest: what it needs is missing.
        AssertionError: it is, with `CI=true`.
    """
    if name == "javascript":
        node = external("node")
        external("npm")
        folder = ROOT / "tests" / "js"
        if not Path(folder, "node_modules", "centrifuge").is_dir():
            _missing("the npm package centrifuge is not in tests/js; to have it: make .venv/.node")
        return Sdk(name, [node, "sdk_client.mjs"], folder)
    if importlib.util.find_spec("centrifuge") is None:
        _missing("the package centrifuge-python is not installed; to have it: make .venv/.test")
    return Sdk(name, [sys.executable, "-m", "tests.support.python_sdk"], ROOT)


class Sdk:
    """A process with an SDK in it.

    Args:
        name: one of `NAMES`.
        words: of the command.
        folder: its working directory.
    """

    def __init__(self, name: str, words: Sequence[str], folder: Path) -> None:
        self.name = name
        self._process = subprocess.Popen(
            words,
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            bufsize=1,
        )
        self._changed = threading.Condition()
        self._latest: deque[Json] = deque(maxlen=5)  # for words: no publications, they are many
        self._events: defaultdict[tuple[str, str], list[Json]] = defaultdict(list)
        self._answers: dict[int, Json] = {}
        self._is_over = False
        self._ids = itertools.count(1)
        self._names = itertools.count(1)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def peer(self, port: int, **about: object) -> Peer:
        """Make a client, which does not connect yet.

        Args:
            port: of the daemon.
            about: `nick`, `resume`, `token`, `pongless`, `keeps_resume`; `tokens` are what its
                application answers when it is asked for one, None being that it fails, and each
                time it is asked is the event `token`.
        """
        name = f"{self.name}{next(self._names)}"
        peer = Peer(self, name)
        peer.call("peer", url=f"ws://127.0.0.1:{port}{PATH}", **about)
        return peer

    def put(self, make: str, client: str, words: Json) -> int:
        """Send a command and do not wait.

        Returns:
            its id, for `answer`.
        """
        number = next(self._ids)
        assert self._process.stdin is not None
        self._process.stdin.write(
            json.dumps({"id": number, "make": make, "client": client, **words}) + "\n"
        )
        return number

    def answer(self, number: int, timeout_s: float = DEADLINE_S) -> Any:
        """Wait for the answer to a command.

        Raises:
            RefusedError: it was an error.
            AssertionError: there was none in time.
        """
        self._wait(lambda: number in self._answers, timeout_s, lambda: f"no answer to {number}")
        answer = self._answers.pop(number)
        if "error" in answer:
            raise RefusedError(answer["error"]["code"], answer["error"]["message"], False)
        return answer["result"]

    def events(self, kind: str, client: str = "") -> list[Json]:
        """The events of one kind so far, of one client or of the process as such."""
        with self._changed:
            return list(self._events[client, kind])

    def count(self, kind: str, client: str = "") -> int:
        """How many `events` there are."""
        return len(self._events[client, kind])

    def wait(self, condition: Callable[[], bool], timeout_s: float, what: str) -> None:
        """Wait until something is true of what was told.

        Raises:
            AssertionError: it did not come true in time, or the process ended.
        """
        self._wait(condition, timeout_s, lambda: what)

    def pause(self) -> None:
        """Stop the process where it is."""
        os.kill(self._process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """Let a stopped process run again."""
        os.kill(self._process.pid, signal.SIGCONT)

    def end(self) -> None:
        """Have it gone."""
        self._process.kill()
        self._process.wait()
        self._reader.join(DEADLINE_S)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    def _wait(
        self, condition: Callable[[], bool], timeout_s: float, what: Callable[[], str]
    ) -> None:
        end = time.monotonic() + timeout_s
        with self._changed:
            while not condition():
                left = end - time.monotonic()
                assert not self._is_over, f"{what()}: {self.name} ended, after {self._latest}"
                assert left > 0, f"not within {timeout_s:g} s: {what()}; after {self._latest}"
                self._changed.wait(left)

    def _read(self) -> None:
        assert self._process.stdout is not None
        try:
            for line in self._process.stdout:
                fact = json.loads(line)
                with self._changed:
                    if "event" in fact:
                        kind = fact["event"]
                        if kind == "publication" and not fact.get("offset"):
                            kind = "passing"
                        if kind != "publication":
                            self._latest.append(fact)
                        self._events[fact.get("client", ""), kind].append(fact)
                    else:
                        self._answers[fact["id"]] = fact
                    self._changed.notify_all()
        finally:
            with self._changed:
                self._is_over = True
                self._changed.notify_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()


class Peer:
    """One client of an SDK.

    Args:
        sdk: the process it is in.
        name: of it in there.
    """

    def __init__(self, sdk: Sdk, name: str) -> None:
        self.sdk = sdk
        self.name = name

    def call(self, make: str, **words: object) -> Any:
        """Have it do something, and wait for the outcome.

        Raises:
            RefusedError: the daemon answered with an error.
            AssertionError: there was no outcome in time.
        """
        return self.sdk.answer(self.sdk.put(make, self.name, words))

    def events(self, kind: str) -> list[Json]:
        """Its events of one kind so far."""
        return self.sdk.events(kind, self.name)

    def event(self, kind: str, number: int = 1, timeout_s: float = DEADLINE_S) -> Json:
        """Wait for an event.

        Args:
            kind: of it.
            number: which one of that kind, from 1.
            timeout_s: for how long.

        Raises:
            AssertionError: it did not come in time.
        """
        what = f"{self.name}: {kind} number {number}"
        self.sdk.wait(lambda: self.sdk.count(kind, self.name) >= number, timeout_s, what)
        return self.events(kind)[number - 1]

    def rpc(self, method: str, **data: object) -> Any:
        """Have it call something by name; see `call`."""
        return self.call("rpc", method=method, data=data)

    def refused(self, make: str, **words: object) -> int:
        """Have it do something that the daemon refuses.

        Returns:
            the code of the error.

        Raises:
            AssertionError: it was done, or there was no outcome in time.
        """
        try:
            answer = self.call(make, **words)
        except RefusedError as error:
            return error.code
        raise AssertionError(f"{self.name}: {make} {words} was not refused: {answer}")

    def rpc_refused(self, method: str, **data: object) -> int:
        """Have it call something that the daemon refuses; see `refused`."""
        return self.refused("rpc", method=method, data=data)

    def kept_out(self, room: str) -> int:
        """Have it subscribe to a room that it may not enter.

        Returns:
            the code of the error.

        Raises:
            AssertionError: it was not refused in time.
        """
        number = len(self.events("unsubscribed")) + 1
        self.call("subscribe", room=room)
        return int(self.event("unsubscribed", number)["code"])

    def turned_away(self) -> int:
        """Have it connect where it may not.

        Returns:
            the code by which it knows not to try again.

        Raises:
            AssertionError: it went on trying.
        """
        number = len(self.events("disconnected")) + 1
        self.sdk.put("connect", self.name, {})
        return int(self.event("disconnected", number)["code"])

    def connect(self) -> Json:
        """Connect, and wait until it is connected; see `event`."""
        number = len(self.events("connected")) + 1
        self.call("connect")
        return self.event("connected", number)

    def disconnect(self) -> None:
        """Disconnect, and wait until it is; see `event`."""
        number = len(self.events("disconnected")) + 1
        self.call("disconnect")
        self.event("disconnected", number)

    def subscribe(self, room: str, **words: object) -> Json:
        """Subscribe, and wait until it is; see `event`."""
        number = len(self.events("subscribed")) + 1
        self.call("subscribe", room=room, **words)
        return self.event("subscribed", number)

    def heard(self, count: int, timeout_s: float = DEADLINE_S) -> list[Json]:
        """Wait until it has so many publications, of one room.

        Returns:
            all it has.

        Raises:
            AssertionError: it has fewer in the end, or they are not in order, each once.
        """
        what = f"{self.name}: {count} publications"
        try:
            self.sdk.wait(
                lambda: self.sdk.count("publication", self.name) >= count, timeout_s, what
            )
        except AssertionError as error:
            came = [each["offset"] for each in self.events("publication")]
            holes = [pair for pair in itertools.pairwise(came) if pair[1] != pair[0] + 1]
            words = f"{len(came)} came, the last {came[-3:]}, holes {holes[:3]}"
            raise AssertionError(f"{words}: {error}") from None
        got = self.events("publication")
        offsets = [each["offset"] for each in got]
        wrong = [pair for pair in itertools.pairwise(offsets) if pair[1] <= pair[0]]
        assert not wrong, f"{self.name}: not in order, each once: {wrong[:5]}"
        return got
