"""What chatd asks of the kernel, counted: a real daemon under `strace`, one round after the other.

Each round waits until everybody has heard everything, so that the next one meets the same daemon:
the counts are the same in every run, and nearly so on every machine.
"""

from __future__ import annotations

import json
import re
import selectors
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self
from unittest import SkipTest

from tests.support.client import GoneError
from tests.support.counts import BURST
from tests.support.daemon import Daemon, running, until
from tests.support.external import external
from tests.support.lives import FAST
from tests.support.rfc6455 import TEXT, client_frame
from tests.support.sdk import JsonClient, chat

__all__ = ["KINDS", "OTHERS_DO", "by_kind", "system_calls", "traced"]

KINDS = {
    "send": ("sendto", "sendmsg", "sendmmsg", "write", "writev"),
    "receive": ("recvfrom", "recvmsg", "recvmmsg", "read", "readv"),
    "poll": ("epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "ppoll", "select", "pselect6"),
    "register": ("epoll_ctl",),
    "store": ("pwrite64", "pwritev", "pwritev2"),
    "load": ("pread64", "preadv", "preadv2"),
    "sync": ("fsync", "fdatasync", "sync_file_range", "msync"),
    "lock": ("fcntl", "flock"),
    "look": ("stat", "fstat", "lstat", "newfstatat", "statx", "access", "faccessat2", "statfs"),
}
"""System calls that do the same, by what they do; all that have no name here are `other`."""

OTHERS_DO = frozenset(
    "futex sched_yield restart_syscall mmap munmap mremap mprotect madvise brk membarrier".split()
)
"""Of the scheduler and the allocator: they do not follow from what is sent."""

FEW, MANY = 10, 50
"""Members of the room."""

ROOM = "costs"

_ROUNDS = 40
_WARM = 5
_DEADLINE_S = 30.0

# nobody has time for pings in here
_ENV = {**FAST, "CHATD_LIMITS_PING_INTERVAL_S": "600"}

_CALL = re.compile(r"^[0-9]+ +([a-z0-9_]+)\(")
_TIMER = re.compile(r"(epoll_wait)(?: resumed>|\().*, [1-9][0-9]*\) += 0$")
"""Nothing came until a timer was due: how often that is depends on how fast the machine is."""


class _Talk:
    """A room of some people on bare sockets, one of whom speaks.

    Args:
        daemon: where.
        members: how many, who speaks included.
    """

    def __init__(self, daemon: Daemon, members: int) -> None:
        self._selector = selectors.DefaultSelector()
        self._clients: list[JsonClient] = []
        self._said = 0
        for _ in range(members):
            client = JsonClient(daemon.ws)
            self._clients.append(client)
            client.connect()
            client.subscribe(ROOM)
            self._selector.register(client.socket.socket, selectors.EVENT_READ)

    def round(self, count: int) -> None:
        """Say something in one write, and wait until all have heard it.

        Args:
            count: messages.

        Raises:
            GoneError: a connection ended.
            AssertionError: not in time, or somebody heard it twice.
        """
        speaker = self._clients[0].socket.socket
        speaker.sendall(b"".join(self._frame() for _ in range(count)))
        heard: Counter[object] = Counter()
        rests: dict[object, bytes] = {}
        replies, end = 0, time.monotonic() + _DEADLINE_S
        while replies < count or sum(heard.values()) < count * len(self._clients):
            assert time.monotonic() < end, f"{replies} replies, heard {heard}"
            for key, _ in self._selector.select(1):
                came = key.fileobj.recv(1 << 18)  # type: ignore[union-attr]
                if not came:
                    raise GoneError
                # what is looked for may come in two parts, and is not to be found twice
                data = rests.get(key.fileobj, b"") + came
                end_of_last = max(data.rfind(b"costs message"), data.rfind(b'"publish":{}')) + 12
                heard[key.fileobj] += data.count(b"costs message")
                replies += data.count(b'"publish":{}') if key.fileobj is speaker else 0
                rests[key.fileobj] = data[max(end_of_last, len(data) - 12) :]
        assert set(heard.values()) == {count}, heard

    def _frame(self) -> bytes:
        self._said += 1
        said = chat(f"costs{self._said}", f"costs message {self._said}".ljust(64, "."))
        command = {"id": 10 + self._said, "publish": {"channel": ROOM, "data": said}}
        return client_frame(TEXT, json.dumps(command).encode())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._selector.close()
        for each in self._clients:
            each.kill()


@contextmanager
def traced(pid: int, output: Path) -> Iterator[Counter[str]]:
    """Count the system calls of a process and its threads, for as long as the block runs.

    Args:
        pid: of the process.
        output: where `strace` may write.

    Yields:
        the counts by name, which are there after the block.

    Raises:
        SkipTest: it is not installed, or is not allowed to trace here.
    """
    words = [external("strace"), "-f", "-qq", "-o", str(output), "-s", "0", "-p", str(pid)]
    tracer = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    with tracer:
        counts: Counter[str] = Counter()

        def all_are_traced() -> bool:
            if tracer.poll() is not None:
                assert tracer.stderr is not None
                raise SkipTest(f"strace cannot be used here: {tracer.stderr.read().strip()}")
            return all(
                f"TracerPid:\t{tracer.pid}\n" in (each / "status").read_text()
                for each in Path(f"/proc/{pid}/task").iterdir()
            )

        try:
            until(all_are_traced, "traced", _DEADLINE_S)
            yield counts
        finally:
            tracer.send_signal(signal.SIGINT)
            tracer.communicate(timeout=_DEADLINE_S)
    lines = output.read_text().splitlines()
    counts.update(found[1] for line in lines if (found := _CALL.match(line)))
    counts.subtract(found[1] for line in lines if (found := _TIMER.search(line)))


def system_calls() -> dict[str, float]:
    """System calls of a daemon, one message at a time and in bursts.

    Of a single message: for each delivery, and for the message itself. Of a burst: for each
    member, who gets it in one piece, and for the burst itself, in which the messages are one
    batch.

    Raises:
        SkipTest: there is no `strace`, or it may not trace.
    """
    taken: dict[tuple[int, int], dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for members in (FEW, MANY):
            with running(env=_ENV) as daemon, _Talk(daemon, members) as talk:
                for count in (1, BURST):
                    for _ in range(_WARM):
                        talk.round(count)
                    with traced(daemon.pid, Path(folder, "trace")) as counts:
                        for _ in range(_ROUNDS):
                            talk.round(count)
                    taken[members, count] = {
                        kind: total / _ROUNDS for kind, total in by_kind(counts).items()
                    }
    found = {}
    for count, one, all_ in (
        (1, "single_per_delivery", "single_per_message"),
        (BURST, "burst_per_member", "burst_per_batch"),
    ):
        few, many = taken[FEW, count], taken[MANY, count]
        for kind in few.keys() | many.keys():
            each = (many.get(kind, 0) - few.get(kind, 0)) / (MANY - FEW)
            found[f"{one}_{kind}"] = round(each, 1)
            found[f"{all_}_{kind}"] = round(few.get(kind, 0) - FEW * each, 1)
    return {name: value for name, value in found.items() if value}


def by_kind(counts: Counter[str]) -> Counter[str]:
    """Add up the counts of names that do the same; `OTHERS_DO` are left out."""
    kinds = {name: kind for kind, names in KINDS.items() for name in names}
    found: Counter[str] = Counter()
    for name, count in counts.items():
        if name not in OTHERS_DO:
            found[kinds.get(name, "other")] += count
    return found
