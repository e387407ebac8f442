"""The doors' lines of the log, of which strangers can cause any number."""

from __future__ import annotations

from twisted.logger import Logger

from chatd.core.throttle import Throttle
from chatd.doors.access import Refused

__all__ = ["Journal"]

_LONGEST = 200  # characters of a stranger's text in one line

log = Logger()


class Journal:
    """Says who came, went and was refused; says how many more when there are too many.

    Args:
        connections: limits the lines about connections that opened and closed.
        refusals: limits the lines about those that were refused.
    """

    def __init__(self, *, connections: Throttle, refusals: Throttle) -> None:
        self._connections = _Lines("opened or closed", connections)
        self._refusals = _Lines("refused", refusals)

    def opened(self, peer: str, path: str, title: str) -> None:
        """A conversation began.

        Args:
            peer: who.
            path: one that is known.
            title: of the conversation.
        """
        if self._connections.one_more():
            log.info("opened {peer} {path} {title}", peer=peer, path=path, title=title)

    def closed(self, peer: str, path: str, title: str, by: str, code: int, reason: str) -> None:
        """A conversation ended.

        Args:
            peer: who.
            path: as it was opened.
            title: of the conversation, at its end: who it was is known later than where from.
            by: `peer` or `chatd`.
            code: of the Close, or 1005 or 1006.
            reason: may be text of a stranger.
        """
        if self._connections.one_more():
            log.info(
                "closed {peer} {path} {title} {code} {reason!r} by {by}",
                peer=peer,
                path=path,
                title=title,
                code=code,
                reason=reason,
                by=by,
            )

    def forbidden(self, peer: str, refused: Refused) -> None:
        """Somebody came from a page or under a name that is not known."""
        if self._refusals.one_more():
            log.warn(
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
        if self._refusals.one_more():
            log.warn(
                "refused {peer}: {status} {why!r}", peer=peer, status=status, why=why[:_LONGEST]
            )


class _Lines:
    """Lines of one kind, and how many were not written."""

    def __init__(self, kind: str, throttle: Throttle) -> None:
        self._kind = kind
        self._throttle = throttle
        self._unsaid = 0

    def one_more(self) -> bool:
        """Whether a line may be written; first says how many were not, if any."""
        if not self._throttle.take():
            self._unsaid += 1
            return False
        if self._unsaid:
            log.warn("{kind}: {count} more, not listed", kind=self._kind, count=self._unsaid)
            self._unsaid = 0
        return True
