"""Lines of the log about people who were not let in, of which a stranger can cause any number."""

from __future__ import annotations

from twisted.logger import Logger

from chatd.core.throttle import Throttle
from chatd.doors.access import Refused

__all__ = ["Refusals"]

_LONGEST = 200  # characters of a stranger's text in one line

log = Logger()


class Refusals:
    """Says who was refused and why; says how many more there were when there are too many.

    Args:
        lines: limits the lines.
    """

    def __init__(self, lines: Throttle) -> None:
        self._lines = lines
        self._unsaid = 0

    def forbidden(self, peer: str, refused: Refused) -> None:
        """Somebody came from a page or under a name that is not known."""
        self._say(
            "refused {peer}: {what} {value!r} is not known; to allow it: {flag!r}",
            peer=peer,
            what=refused.what,
            value=refused.value[:_LONGEST],
            flag=refused.flag[:_LONGEST],
        )

    def refused(self, peer: str, status: int, why: str) -> None:
        """Somebody's request was answered with an error.

        Args:
            peer: who.
            status: of HTTP.
            why: may hold text of a stranger.
        """
        self._say("refused {peer}: {status} {why!r}", peer=peer, status=status, why=why[:_LONGEST])

    def _say(self, words: str, **fields: object) -> None:
        if not self._lines.take():
            self._unsaid += 1
            return
        if self._unsaid:
            log.warn("refused {count} more, not listed", count=self._unsaid)
            self._unsaid = 0
        log.warn(words, **fields)
