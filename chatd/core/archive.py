"""Archive: what is asked of the stored messages beyond pages of them.

Like a broker it is called on the reactor's thread, and nothing blocks: outcomes come by callbacks,
never from within the call that asked. What was acknowledged before the call is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from chatd.core.events import Kind, Message
from chatd.errors import Refusal

__all__ = ["COUNTED", "MOST_FOUND", "Archive", "Query", "Target", "Unread"]

COUNTED = 1000
"""So many events of a room are looked through for unread messages, the newest ones."""

MOST_FOUND = 50
"""So many messages one search finds at most."""


class Target(NamedTuple):
    """A stored message that somebody wants to change.

    Args:
        user: who said it.
        time_ms: when it was numbered, milliseconds since 1970.
        kind: what it is.
        is_erased: whether its payload is gone.
        edits: offsets of its edits that are not erased, in order.
    """

    user: str
    time_ms: int
    kind: Kind
    is_erased: bool
    edits: tuple[int, ...]


class Unread(NamedTuple):
    """What somebody has not read yet in a room.

    Args:
        messages: how many of others are not erased, of the newest `COUNTED` events.
        mentions: how many of these and older ones name them, at most `COUNTED`.
    """

    messages: int
    mentions: int


class Query(NamedTuple):
    """What is searched for.

    Args:
        room: its folded name.
        text: words as somebody typed them, 1 to 200 characters: all must be there; the last one
            may be the beginning of a word; in double quotes, words that follow each other.
        user: only what this user said; empty: anybody.
        since_ms: only what was said then or later; 0: any time.
        until_ms: only what was said before; 0: any time.
        before: only offsets less than this; 0: any. Where the next page begins, by time.
        by_rank: the best first, among the newest 1 000 that match; else the newest first.
        skip: leave out so many first, 0 to 1 000; where the next page begins, by rank.
        limit: at most so many, 1 to `MOST_FOUND`.
    """

    room: str
    text: str
    user: str = ""
    since_ms: int = 0
    until_ms: int = 0
    before: int = 0
    by_rank: bool = False
    skip: int = 0
    limit: int = MOST_FOUND


class Archive(Protocol):
    """What answers questions about stored messages of any room, open or not."""

    def target(
        self, room: str, offset: int, done: Callable[[Target | Refusal | None], None]
    ) -> None:
        """Look a message up; None: there is none at that offset, or it is trimmed."""

    def unread(
        self,
        room: str,
        after: int,
        user: str,
        names: Sequence[str],
        done: Callable[[Unread | Refusal], None],
    ) -> None:
        """Count what came after an offset, in a time that does not grow with the history.

        Args:
            room: its folded name.
            after: the last offset that was read.
            user: whose own messages do not count.
            names: the folded nicks by which they are mentioned, at most 4.
            done: told the counts.
        """

    def search(self, query: Query, done: Callable[[Sequence[Message] | Refusal], None]) -> None:
        """Find messages (`Kind.MESSAGE`) by their words, as they are after their last edit.

        Args:
            query: what for.
            done: told messages in the order asked for, each with the payload of its last edit if
                it has one, its own offset, time and sender. BAD_REQUEST: there is no word in the
                text; UNAVAILABLE: it takes too long, or too many search.
        """
