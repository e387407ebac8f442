"""`chatd.process`: what is done to the process, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from chatd.process import most_descriptors

SCRIPT = """
import os, resource, signal, time
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
    reactor.callLater(0.05, reactor.stop)

reactor.callLater(0, hang_up)
reactor.run()
assert any("SIGHUP" in words for words in seen), seen
print("alive")
"""


class PrepareTests(SynchronousTestCase):
    """The process."""

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
