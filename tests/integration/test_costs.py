"""Nothing asks more of the kernel than it did: system calls, as tests/costs.toml says."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.support.client import request
from tests.support.costs import changes, complaint, recorded
from tests.support.daemon import running
from tests.support.syscalls import by_kind, system_calls, traced


def test_system_calls() -> None:
    """A delivery, and a received message, take the system calls that are recorded."""
    found = changes("system_calls", recorded()[0]["system_calls"], system_calls())
    assert not found, complaint(found)


def test_tracing(tmp_path: Path) -> None:
    """What a daemon asks for while it is traced is counted, by name."""
    with running() as daemon:
        with traced(daemon.pid, tmp_path / "trace") as counts:
            assert request(daemon.web, "/greet").status == 200
        assert counts["accept4"] >= 1
        assert counts["sendto"] + counts["write"] >= 1


def test_kinds() -> None:
    """Names that do the same are one count, unknown ones another, and the scheduler's none."""
    counts = Counter(sendto=2, write=1, futex=9, io_uring_enter=4)
    assert by_kind(counts) == {"send": 3, "other": 4}
