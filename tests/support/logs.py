"""Tests that read the log."""

from __future__ import annotations

from typing import Any

from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase


class LogCase(SynchronousTestCase):
    """A test that reads what is logged from its beginning on."""

    def setUp(self) -> None:
        """Twisted: before each test."""
        self.events: list[LogEvent] = []
        observer: Any = self.events.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    @property
    def lines(self) -> list[str]:
        """What the log says."""
        return [formatEvent(event) for event in self.events]
