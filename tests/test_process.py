"""`chatd.process`: what is done to the process, in a process of its own."""

from __future__ import annotations

import gc
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable

from twisted.internet.task import Clock

from chatd.process import most_descriptors, prepare
from tests.support.logs import LogCase

SCRIPT = """
import gc, os, resource, signal, sys, time
from twisted.internet import reactor
from twisted.logger import globalLogPublisher, formatEvent
from chatd.process import most_descriptors, prepare

soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard // 2, hard))
prepare(reactor)
prepare(reactor)
assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
assert most_descriptors() == min(hard, 1_000_000)
assert reactor.seconds is time.monotonic
seen = []
globalLogPublisher.addObserver(lambda event: seen.append(formatEvent(event)))

def hang_up():
    os.kill(os.getpid(), signal.SIGHUP)
    assert gc.get_freeze_count() > 10_000
    assert gc.get_threshold()[2] >= 50
    reactor.callLater(0.05, reactor.stop)

reactor.callLater(0, hang_up)
reactor.run()
assert any("SIGHUP" in words for words in seen), seen
print("alive")
"""


class Reactor:
    """As much of a reactor as is prepared."""

    def __init__(self) -> None:
        self.seconds: Callable[[], float] = Clock().seconds
        self.called: list[Callable[[], object]] = []
        self.started: list[Callable[[], object]] = []
        self.triggers: list[tuple[str, str, Callable[[], object]]] = []

    def addSystemEventTrigger(self, phase: str, event: str, call: Callable[[], object]) -> None:
        self.triggers.append((phase, event, call))

    def callFromThread(self, call: Callable[[], object]) -> None:
        self.called.append(call)

    def callWhenRunning(self, call: Callable[[], object]) -> None:
        self.started.append(call)


class PrepareTests(LogCase):
    """The process."""

    def test_hung_up(self) -> None:
        """SIGHUP is logged, outside the signal handler."""
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, before)
        handler = signal.getsignal(signal.SIGHUP)
        self.addCleanup(signal.signal, signal.SIGHUP, handler)
        resource.setrlimit(resource.RLIMIT_NOFILE, (before[1] - 1, before[1]))
        reactor = Reactor()
        prepare(reactor)
        self.assertIs(reactor.seconds, time.monotonic)
        self.assertEqual(resource.getrlimit(resource.RLIMIT_NOFILE), (before[1], before[1]))
        os.kill(os.getpid(), signal.SIGHUP)
        self.assertEqual(self.lines, [])
        for call in reactor.called:
            call()
        self.assertEqual(self.lines, ["SIGHUP: there is nothing to reload; SIGTERM stops"])

    def test_garbage(self) -> None:
        """What is there at the start is never looked at again; all of the rest seldom."""
        gc.unfreeze()  # other tests may have called what freezes
        reactor = self._prepared()
        self.assertEqual(gc.get_freeze_count(), 0)
        for call in reactor.started:
            call()
        self.assertGreater(gc.get_freeze_count(), 1000)
        young, middle, old = gc.get_threshold()
        self.assertLess(young * middle, 50_000)  # or a look at those would stop it too
        self.assertGreater(old, 20)

    def _prepared(self) -> Reactor:
        self.addCleanup(gc.set_threshold, *gc.get_threshold())
        self.addCleanup(gc.unfreeze)
        self.addCleanup(signal.signal, signal.SIGHUP, signal.getsignal(signal.SIGHUP))
        reactor = Reactor()
        prepare(reactor)
        return reactor

    def test_impatience(self) -> None:
        """While it stops, another SIGTERM or SIGINT is nothing."""
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        reactor = Reactor()
        prepare(reactor)
        ((phase, event, call),) = reactor.triggers
        self.assertEqual((phase, event), ("before", "shutdown"))
        call()
        for number in (signal.SIGTERM, signal.SIGINT):
            os.kill(os.getpid(), number)
        self.assertEqual(reactor.called, [])

    def test_prepared(self) -> None:
        """Descriptors are raised, timers are monotonic, and SIGHUP is survived and logged."""
        result = subprocess.run(
            [sys.executable, "-W", "error", "-c", SCRIPT],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.assertEqual((result.stdout, result.returncode), ("alive\n", 0), result.stderr)

    def test_most_descriptors(self) -> None:
        """There are some, and never more than a million."""
        self.assertTrue(0 < most_descriptors() <= 1_000_000)
