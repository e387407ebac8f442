"""Workers."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from queue import SimpleQueue
from time import monotonic

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatd.brokers.worker import ThreadWorker, Worker
from chatd.errors import UNAVAILABLE, ChatError
from tests.support.brokers import ClockWorker, settle

TIMEOUT_S = 10.0


class ThreadWorkerTests(SynchronousTestCase):
    """A worker whose calls in the reactor are taken from a queue by the test."""

    def setUp(self) -> None:
        self.calls: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self.worker = ThreadWorker("chatd-test", self.calls.put)
        self.told: list[object] = []
        self.addCleanup(self.stop)

    def stop(self) -> None:
        self.worker.stop(lambda: None)
        self.next_call()

    def next_call(self) -> None:
        self.calls.get(timeout=TIMEOUT_S)()

    def threads(self) -> list[threading.Thread]:
        return [each for each in threading.enumerate() if each.name == "chatd-test"]

    def test_elsewhere(self) -> None:
        """A job is done on a thread of the worker's name, its outcome told by the reactor."""
        self.worker.do(threading.current_thread, self.told.append)
        call = self.calls.get(timeout=TIMEOUT_S)
        self.assertEqual(self.told, [])
        call()
        (thread,) = self.told
        assert isinstance(thread, threading.Thread)
        self.assertEqual((thread.name, thread.daemon), ("chatd-test", True))

    def test_in_order(self) -> None:
        """Jobs are done one after the other, by one thread."""
        for number in range(100):
            self.worker.do(lambda number=number: number, self.told.append)  # type: ignore[misc]
        self.assertEqual(len(self.threads()), 1)
        for _ in range(100):
            self.next_call()
        self.assertEqual(self.told, list(range(100)))

    def test_raises(self) -> None:
        """What a job raises is told, and the next job is done."""
        error = ValueError("no")

        def fail() -> None:
            raise error

        self.worker.do(fail, self.told.append)
        self.worker.do(lambda: 1, self.told.append)
        self.next_call()
        self.next_call()
        self.assertEqual(self.told, [error, 1])

    def test_keeps_nothing(self) -> None:
        """What a job returned lives no longer than whom it was told needs it."""
        refs: list[weakref.ref[object]] = []
        self.worker.do(set, lambda outcome: refs.append(weakref.ref(outcome)))
        self.next_call()
        end = monotonic() + TIMEOUT_S
        while refs[0]() is not None and monotonic() < end:
            continue
        self.assertIsNone(refs[0]())

    def test_starts_late(self) -> None:
        """It has no thread before the first job, so that the process may fork."""
        self.assertEqual(self.threads(), [])

    def test_stop(self) -> None:
        """What was asked for before it is stopped is done; what comes later is refused."""
        self.worker.do(lambda: 1, self.told.append)
        thread = self.threads()[0]
        self.worker.stop(lambda: self.told.append("stopped"))
        self.worker.do(lambda: 2, self.told.append)
        for _ in range(3):
            self.next_call()
        refused = [each for each in self.told if isinstance(each, ChatError)]
        self.assertEqual([each.refusal for each in refused], [UNAVAILABLE])
        self.assertEqual([each for each in self.told if each not in refused], [1, "stopped"])
        thread.join(TIMEOUT_S)
        self.assertFalse(thread.is_alive())

    def test_stop_again(self) -> None:
        """It can be stopped without a job, and again."""
        for _ in range(2):
            self.worker.stop(lambda: self.told.append("stopped"))
            self.next_call()
        self.assertEqual(self.told, ["stopped", "stopped"])


class ClockWorkerTests(SynchronousTestCase):
    """The workers of other tests behave like threads."""

    def test_like_a_thread(self) -> None:
        """Jobs are done later, in order, told later still; what comes after a stop is refused."""
        clock = Clock()
        worker: Worker = ClockWorker(clock)
        told: list[object] = []
        for job in (lambda: 1, lambda: 1 // 0, lambda: 2):
            worker.do(job, told.append)
        worker.stop(lambda: told.append("stopped"))
        worker.do(lambda: 3, told.append)
        self.assertEqual(told, [])
        settle(clock)
        self.assertEqual((told[0], told[2], told[3]), (1, 2, "stopped"))
        self.assertIsInstance(told[1], ZeroDivisionError)
        self.assertIsInstance(told[4], ChatError)
