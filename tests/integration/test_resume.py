"""Somebody who is cut off at any moment, again and again, has everything in the end.

`CHATD_TEST_RESUMES=1000` in the environment makes it the long run.
"""

from __future__ import annotations

import itertools
import os
import queue
import random
import threading
from collections.abc import Iterator
from functools import partial

from tests.support.client import GoneError
from tests.support.lives import Lives, lives
from tests.support.sdk import Json, JsonClient, Position, chat, read_all

RESUMES = int(os.environ.get("CHATD_TEST_RESUMES", "60"))
SEED = int(os.environ.get("CHATD_TEST_SEED", "0")) or random.SystemRandom().randrange(1 << 32)

READERS = 6
BEFORE = 400
"""Messages that are there at first: a replay has something to be cut in."""

AT_ONCE = 40
"""More of them come with each resume: much more than a reader takes before it is cut."""

SIZE = 1_000
RECEIVE_BUFFER = 4096
"""Small, so that the daemon is in the middle of feeding when the reader is cut."""

ROOM = "resumed"


class Publisher:
    """Publishes in a thread of its own whenever it is asked for more.

    Args:
        port: of the daemon.
    """

    def __init__(self, port: int) -> None:
        self.error: BaseException | None = None
        self.stored = 0
        self._port = port
        self._wanted: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def more(self) -> None:
        """Have `AT_ONCE` messages published, soon."""
        self._wanted.put(True)

    def end(self) -> None:
        """Have all published that was asked for.

        Raises:
            AssertionError: something went wrong.
        """
        self._wanted.put(False)
        self._thread.join(60)
        assert not self._thread.is_alive() and self.error is None, repr(self.error)

    def _run(self) -> None:
        try:
            with JsonClient(self._port) as client:
                client.connect()
                for _ in client.publish_all(ROOM, self._contents(), window=16):
                    self.stored += 1
        except BaseException as error:
            self.error = error

    def _contents(self) -> Iterator[Json]:
        for number in itertools.count():
            if number % AT_ONCE == 0 and not self._wanted.get():
                return
            yield chat(f"m{number}", f"{number} ".ljust(SIZE, "."))


class Reader:
    """Somebody who knows what they saw last, and asks for what comes after.

    Args:
        port: of the daemon.
        name: for words.
    """

    def __init__(self, port: int, name: str) -> None:
        self.name = name
        self.seen: list[Json] = []
        self.cuts = {"before anything": 0, "on the way": 0, "at the head": 0}
        self._port = port
        self._resume: str | None = None
        self._epoch = ""

    @property
    def position(self) -> Position | None:
        """Where to go on; None: one was never there."""
        if not self._epoch:
            return None
        return self._epoch, self.seen[-1]["offset"] if self.seen else 0

    def resume(self, receive_buffer: int = 0) -> JsonClient:
        """Connect and go on.

        Raises:
            AssertionError: that was not possible.
        """
        client = JsonClient(self._port, receive_buffer=receive_buffer)
        try:
            client.connect(resume=self._resume)
            self._resume = client.resume
            asked = self.position
            result = client.subscribe(ROOM, asked)
            if asked is not None:
                told = (result.get("recovered"), result.get("offset", 0))
                assert told == (True, asked[1]), f"{self.name}: {result} for {asked}"
            self._epoch = result["epoch"]
        except BaseException:
            client.kill()
            raise
        return client

    def take(self, client: JsonClient) -> None:
        """Note what has come.

        Raises:
            AssertionError: it is not what comes next.
        """
        while client.pushes:
            push = client.pushes.popleft()
            assert push.kind == "pub", f"{self.name}: {push}"
            expected = self.seen[-1]["offset"] + 1 if self.seen else 1
            got = push.body["offset"]
            assert got == expected, f"{self.name}: {got} instead of {expected}"
            self.seen.append(push.body)

    def has(self, count: int, client: JsonClient) -> bool:
        """Note what has come; whether that makes so many."""
        self.take(client)
        return len(self.seen) >= count

    def cut(self, random_: random.Random, head: int) -> None:
        """Go on, read a little of what comes, and be cut off.

        Args:
            random_: says how much.
            head: how many messages there are at least.
        """
        client = self.resume(RECEIVE_BUFFER)
        begun = len(self.seen)
        try:
            self.take(client)
            for _ in range(random_.choice((0, 1, 5, 20, 100, 300))):
                if not client.sip(random_.choice((1, 100, 1500, 4096, 20_000)), 0.1):
                    break
                self.take(client)
        finally:
            client.kill()
        if len(self.seen) >= head:
            self.cuts["at the head"] += 1
        elif len(self.seen) > begun:
            self.cuts["on the way"] += 1
        else:
            self.cuts["before anything"] += 1

    def finish(self, head: int) -> None:
        """Go on, and read up to the end."""
        with self.resume() as client:
            self.take(client)
            while len(self.seen) < head:
                client.receive()
                self.take(client)


def run(some: Lives, resumes: int, random_: random.Random) -> list[Reader]:
    """Cut readers off, then let them all come to the end.

    Returns:
        the readers; what they saw is what history says.
    """
    readers = [Reader(some.ws if n % 2 else some.web, f"reader {n}") for n in range(READERS)]
    for each in readers:
        each.resume().kill()  # at the beginning of the empty room
    publisher = Publisher(some.ws)
    try:
        for _ in range(BEFORE // AT_ONCE):
            publisher.more()
        for number in range(resumes):
            publisher.more()
            readers[number % READERS].cut(random_, publisher.stored)
    finally:
        publisher.end()
    with JsonClient(some.ws) as client:
        client.connect()
        history = read_all(client, ROOM)
    assert len(history) == publisher.stored == BEFORE + resumes * AT_ONCE
    for each in readers:
        each.finish(len(history))
        assert each.seen == history, f"{each.name} saw something else"
    return readers


def test_resume() -> None:
    """What each saw, put together by positions, is the history: nothing twice, nothing missing."""
    random_ = random.Random(SEED)
    with lives() as some:
        try:
            readers = run(some, RESUMES, random_)
        except (AssertionError, GoneError) as error:
            raise AssertionError(f"seed {SEED}: {error!r}") from error
    cuts = {kind: sum(each.cuts[kind] for each in readers) for kind in readers[0].cuts}
    assert cuts["on the way"] > RESUMES // 10, f"seed {SEED}: {cuts}"


def test_slow_line() -> None:
    """On a line that never ends a replay in time, each cut still brings one further."""
    count, each_time, bytes_per_s = 800, 150_000, 600_000
    with lives() as some:
        reader = Reader(some.ws, "reader")
        reader.resume().kill()
        with JsonClient(some.ws) as other:
            other.connect()
            said = [chat(f"m{number}", f"{number} ".ljust(SIZE, ".")) for number in range(count)]
            assert len(list(other.publish_all(ROOM, said))) == count
        progress = [0]
        while len(reader.seen) < count:
            client = reader.resume(RECEIVE_BUFFER)
            try:
                client.read_slowly(bytes_per_s, each_time, partial(reader.has, count, client))
            finally:
                client.kill()
            assert len(reader.seen) > progress[-1], f"no progress: {progress}"
            progress.append(len(reader.seen))
        assert [each["data"] for each in reader.seen] == said
        assert len(progress) > 3, f"not a slow line: {progress}"
