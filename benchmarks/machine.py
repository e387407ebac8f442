"""The machine: which cores server and load run on, and what a reader of the figures must know."""

from __future__ import annotations

import os
import platform
import resource
import time
from collections.abc import Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.results import Plain

__all__ = [
    "Cores",
    "NotHereError",
    "Others",
    "choose",
    "describe",
    "file_system",
    "raise_descriptors",
]

_SIBLINGS = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"


class NotHereError(Exception):
    """This cannot be measured on this machine; the words say why."""


@dataclass(frozen=True, slots=True)
class Cores:
    """Who runs where.

    Args:
        server_core: the number of the server's core.
        load_core: of that of the load, and of this process.
    """

    server_core: int
    load_core: int

    @contextmanager
    def server(self) -> Iterator[None]:
        """What is started inside runs, with all its threads, on the server's core alone."""
        with _pinned(self.server_core):
            yield

    @contextmanager
    def load(self) -> Iterator[None]:
        """The same with the core of the load."""
        with _pinned(self.load_core):
            yield


class Others:
    """What everybody but the server, the load and this process does on their two cores.

    Args:
        cores: who runs where.
        server: pid of the server.
    """

    def __init__(self, cores: Cores, server: int) -> None:
        self._cores = cores
        self._server = server
        self._begun = time.monotonic()
        self._before = self._theirs_s()

    def cores(self) -> float:
        """So many cores were theirs since the beginning, from 0 to 2."""
        theirs_s = self._theirs_s() - self._before
        return max(0.0, theirs_s / (time.monotonic() - self._begun))

    def _theirs_s(self) -> float:
        ours = os.times()
        ours_s = ours.user + ours.system + ours.children_user + ours.children_system
        ticks = os.sysconf("SC_CLK_TCK")
        stat = Path(f"/proc/{self._server}/stat").read_text().rpartition(")")[2].split()
        server_s = (int(stat[11]) + int(stat[12])) / ticks
        names = {f"cpu{self._cores.server_core}", f"cpu{self._cores.load_core}"}
        busy = 0
        for line in Path("/proc/stat").read_text().splitlines():
            name, *spent = line.split()
            if name in names:
                user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, spent[:8])
                busy += user + nice + system + irq + softirq + steal
        return busy / ticks - server_s - ours_s


@contextmanager
def _pinned(core: int) -> Iterator[None]:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def choose(allowed: Set[int] | None = None) -> Cores:
    """Choose two cores, if possible such that are not two halves of one.

    Args:
        allowed: numbers of cores; None: those this process may use.

    Raises:
        NotHereError: there is only one.
    """
    numbers = sorted(os.sched_getaffinity(0) if allowed is None else allowed)
    if len(numbers) < 2:
        raise NotHereError(
            "this machine has one core: a server and its load on the same core measure each other"
        )
    first = numbers[0]
    others = [each for each in numbers[1:] if each not in _halves(first)]
    return Cores(first, (others or numbers[1:])[0])


def _halves(core: int) -> set[int]:
    try:
        listed = Path(_SIBLINGS.format(core)).read_text().strip()
    except OSError:
        return {core}
    found: set[int] = set()
    for part in listed.split(","):
        least, _, most = part.partition("-")
        found.update(range(int(least), int(most or least) + 1))
    return found


def raise_descriptors() -> int:
    """Allow this process and its children as many descriptors as may be; returns how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def describe(folder: Path, cores: Cores) -> dict[str, Plain]:
    """Say what the figures depend on; no names of hosts or folders.

    Args:
        folder: where the databases will be.
        cores: that were chosen.
    """
    pages, page_bytes = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 0,
        "server_core": cores.server_core,
        "load_core": cores.load_core,
        "memory_gib": round(pages * page_bytes / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "file_system": file_system(folder),
        "fsync_ms": round(_fsync_ms(folder), 2),
        "descriptors": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
    }


def file_system(folder: Path) -> str:
    """The kind of file system a folder is on; `tmpfs` is no disk."""
    path = os.path.realpath(folder)
    kind, longest = "unknown", -1
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, point, name, *_ = line.split(" ")
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= longest:
            kind, longest = name, len(point)
    return kind


def _fsync_ms(folder: Path, times: int = 20) -> float:
    """The median time that bringing 4 KiB to the disk takes."""
    file = folder / "fsync"
    took = []
    with file.open("wb", buffering=0) as out:
        for _ in range(times):
            out.write(bytes(4096))
            begun = time.perf_counter()
            os.fsync(out.fileno())
            took.append(time.perf_counter() - begun)
    file.unlink()
    return 1000 * median(took)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()
