"""What goes wrong below a broker."""

from __future__ import annotations

import sqlite3

from twisted.logger import ILogObserver, LogEvent, LogLevel, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from chatd.brokers.faults import Condition, DamagedError, ReplacedError, refusal_of
from chatd.errors import FULL, UNAVAILABLE, UNKNOWN_OUTCOME, ChatError
from tests.support.brokers import sqlite_error


class RefusalTests(SynchronousTestCase):
    def test_certain(self) -> None:
        """What SQLite refuses before it writes is certainly not stored."""
        for code in (
            "SQLITE_BUSY",
            "SQLITE_LOCKED",
            "SQLITE_READONLY",
            "SQLITE_CORRUPT",
            "SQLITE_NOTADB",
            "SQLITE_CANTOPEN",
            "SQLITE_READONLY_DBMOVED",
        ):
            self.assertIs(refusal_of(sqlite_error(code)), UNAVAILABLE)
        self.assertIs(refusal_of(sqlite_error("SQLITE_FULL")), FULL)

    def test_uncertain(self) -> None:
        """After an I/O error, and after whatever else, nobody knows."""
        for error in (
            sqlite_error("SQLITE_IOERR"),
            sqlite_error("SQLITE_IOERR_FSYNC"),
            sqlite_error("SQLITE_CONSTRAINT"),
            sqlite3.ProgrammingError("closed"),
            OSError(5, "no"),
            ValueError("no"),
        ):
            self.assertIs(refusal_of(error), UNKNOWN_OUTCOME)

    def test_ours(self) -> None:
        """A refusal of ours is itself."""
        self.assertIs(refusal_of(ChatError(FULL)), FULL)
        self.assertIs(refusal_of(ReplacedError()), UNAVAILABLE)
        self.assertIs(refusal_of(DamagedError()), UNAVAILABLE)


class ConditionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.logged: list[tuple[LogLevel, str]] = []

        @implementer(ILogObserver)
        def observe(event: LogEvent) -> None:
            if event["log_namespace"] == "chatd.brokers.faults":
                self.logged.append((event["log_level"], event.get("reason", "")))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        self.condition = Condition("storing")

    def test_first(self) -> None:
        """It is up when it has worked, which is no news."""
        self.assertFalse(self.condition.is_up)
        self.condition.succeeded()
        self.assertTrue(self.condition.is_up)
        self.assertEqual(self.logged, [])

    def test_one_line_each(self) -> None:
        """Going down is a line, each further reason is, and coming up; nothing more."""
        busy, full = sqlite_error("SQLITE_BUSY"), sqlite_error("SQLITE_FULL")
        for error in (busy, busy, full, busy, full, ChatError(FULL)):
            self.condition.failed(error)
            self.assertFalse(self.condition.is_up)
        self.condition.succeeded()
        self.condition.succeeded()
        self.condition.failed(busy)
        self.assertEqual(
            self.logged,
            [
                (LogLevel.error, "SQLITE_BUSY"),
                (LogLevel.error, "SQLITE_FULL"),
                (LogLevel.error, FULL.words),
                (LogLevel.info, ""),
                (LogLevel.error, "SQLITE_BUSY"),
            ],
        )

    def test_replaced(self) -> None:
        """That the database is gone is critical."""
        for _ in range(2):
            self.assertIs(self.condition.failed(ReplacedError()), UNAVAILABLE)
        self.assertEqual(self.logged, [(LogLevel.critical, "")])

    def test_damaged(self) -> None:
        """Damage is one line that names what finds it, without a traceback."""
        for _ in range(2):
            self.assertIs(self.condition.failed(DamagedError()), UNAVAILABLE)
        reason = "a stored message is damaged; chatd verify says which"
        self.assertEqual(self.logged, [(LogLevel.error, reason)])

    def test_slip(self) -> None:
        """A slip of ours is logged with its traceback, once."""
        for _ in range(2):
            self.assertIs(self.condition.failed(ValueError("ours")), UNKNOWN_OUTCOME)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
