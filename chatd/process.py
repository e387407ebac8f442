"""What chatd does to its process before it starts."""

from __future__ import annotations

import resource
import signal
import time
from typing import Any

from twisted.logger import Logger

__all__ = ["most_descriptors", "prepare"]

log = Logger()


def prepare(reactor: Any) -> None:
    """Make the process fit for a daemon. Before the reactor has any timer.

    - Timers run on the monotonic clock: Twisted's use the wall clock, and one step back of an
      hour would switch every deadline off for that hour.
    - SIGHUP, which would kill twistd at once, is logged; there is nothing to reload yet.
    - A second SIGTERM or SIGINT while it stops, which would log a traceback, is nothing.
    - The soft limit of descriptors is raised to the hard one.
    """
    reactor.seconds = time.monotonic
    # The handler may interrupt anything, a line of the log half written too: say it later.
    signal.signal(signal.SIGHUP, lambda *_: reactor.callFromThread(_hung_up))
    reactor.addSystemEventTrigger("before", "shutdown", _stopping)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def most_descriptors() -> int:
    """How many descriptors the process may have; at most a million, where there is no limit."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1_000_000 if soft == resource.RLIM_INFINITY else min(soft, 1_000_000)


def _stopping() -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)


def _hung_up() -> None:
    log.info("SIGHUP: there is nothing to reload; SIGTERM stops")
