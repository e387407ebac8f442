"""What goes wrong below a broker: what it means for those who asked, and when it is logged."""

from __future__ import annotations

import sqlite3

from twisted.logger import Logger
from twisted.python.failure import Failure

from chatd.errors import FULL, UNAVAILABLE, UNKNOWN_OUTCOME, ChatError, Refusal

__all__ = ["Condition", "DamagedError", "ReplacedError", "refusal_of"]

_log = Logger()

_CERTAINLY_NOT = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_READONLY,
    }
)


class ReplacedError(ChatError):
    """The database was deleted or replaced while it is open: what is stored now would be lost."""

    def __init__(self) -> None:
        super().__init__(UNAVAILABLE)


class DamagedError(ChatError):
    """A stored message is not what was stored."""

    def __init__(self) -> None:
        super().__init__(UNAVAILABLE)


def refusal_of(error: Exception) -> Refusal:
    """Say what a failed commit means.

    Returns:
        FULL or UNAVAILABLE: certainly not stored. UNKNOWN_OUTCOME: maybe; an I/O error is one,
        for what it hit can be there after a restart.
    """
    if isinstance(error, ChatError):
        return error.refusal
    # Only the primary code: SQLite has many I/O errors.
    code = error.sqlite_errorcode & 0xFF if hasattr(error, "sqlite_errorcode") else None
    if code == sqlite3.SQLITE_FULL:
        return FULL
    return UNAVAILABLE if code in _CERTAINLY_NOT else UNKNOWN_OUTCOME


class Condition:
    """Whether something works, and the log lines that say so.

    One line when it goes down, one for each further reason, one when it is up again.

    Args:
        what: works or does not, such as "storing messages".
    """

    def __init__(self, what: str) -> None:
        self.is_up = False
        self._what = what
        self._reasons: set[str] = set()

    def succeeded(self) -> None:
        """It worked."""
        self.is_up = True
        if self._reasons:
            self._reasons.clear()
            _log.info("{what} works again", what=self._what)

    def failed(self, error: Exception) -> Refusal:
        """It did not work; say what that means, see `refusal_of`."""
        self.is_up = False
        refusal = refusal_of(error)
        reason: str = getattr(error, "sqlite_errorname", refusal.words)
        if isinstance(error, ReplacedError):
            reason = "replaced"
        elif isinstance(error, DamagedError):
            reason = "a stored message is damaged; chatd verify says which"
        if reason in self._reasons:
            return refusal
        self._reasons.add(reason)
        if isinstance(error, ReplacedError):
            _log.critical(
                "{what} fails: the database was deleted or replaced while it is open; "
                "put the same file back, or stop and restore it",
                what=self._what,
            )
        elif isinstance(error, sqlite3.Error | ChatError | OSError):
            _log.error("{what} fails: {reason}", what=self._what, reason=reason)
        else:
            _log.failure("{what} fails", Failure(error), what=self._what)
        return refusal
