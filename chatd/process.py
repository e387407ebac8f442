"""What chatd does to its process before it starts."""

from __future__ import annotations

import gc
import resource
import signal
import time
from typing import Any

from twisted.logger import Logger

__all__ = ["most_descriptors", "prepare"]

_YOUNG = 2_000  # objects more, and the young ones are looked at
_SELDOM = (10, 50)  # so many looks at those make one at the middle ones, and of these one at all

log = Logger()


def prepare(reactor: Any) -> None:
    """Make the process fit for a daemon. Before the reactor has any timer.

    - Timers run on the monotonic clock: Twisted's use the wall clock, and one step back of an
      hour would switch every deadline off for that hour.
    - SIGHUP, which would kill twistd at once, is logged; there is nothing to reload yet.
    - A second SIGTERM or SIGINT while it stops, which would log a traceback, is nothing.
    - The soft limit of descriptors is raised to the hard one.
    - Once it runs, garbage is looked for less often, and never among what was there at the start.
    """
    reactor.seconds = time.monotonic
    # The handler may interrupt anything, a line of the log half written too: say it later.
    signal.signal(signal.SIGHUP, lambda *_: reactor.callFromThread(_hung_up))
    reactor.addSystemEventTrigger("before", "shutdown", _stopping)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    reactor.callWhenRunning(_settle)


def most_descriptors() -> int:
    """How many descriptors the process may have; at most a million, where there is no limit."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1_000_000 if soft == resource.RLIM_INFINITY else min(soft, 1_000_000)


def _stopping() -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)


def _hung_up() -> None:
    log.info("SIGHUP: there is nothing to reload; SIGTERM stops")


def _settle() -> None:
    """Make looks at everything rare, and shorter: each stops the process for as long as it takes.

    With 8000 connections that is tens of milliseconds. Little waits for it: an ended connection
    leaves no circle behind and is gone at once, but for one over TLS that was broken off.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, *_SELDOM)
