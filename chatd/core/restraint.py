"""Restraint: whom a room lets say nothing, or not so soon. Asked only where `restrains` is set."""

from __future__ import annotations

from chatd.core.charter import Charter
from chatd.core.permissions import Permission, refused
from chatd.core.session import Session
from chatd.errors import MUTED, TOO_SOON, UNKNOWN_ROOM, ChatError

__all__ = ["MOST_SPEAKERS", "check"]

MOST_SPEAKERS = 10_000
"""Of so many users a slow room knows when they spoke last; beyond it the earliest is forgotten."""

_SAME_S = 600.0  # so long a broker knows an id at most: then it would be stored as another message


def check(session: Session, charter: Charter, key: str = "", *, counts: bool = True) -> None:
    """Let somebody say something to a room, as the last thing before it is said.

    Args:
        session: whose.
        charter: of the room; its `restrains` is set.
        key: the sender's own id of the message: the same one again is no further message.
        counts: whether slow mode looks at it, as it does at all that is stored but deletions and
            topics.

    Raises:
        ChatError: MUTED, TOO_SOON; UNKNOWN_ROOM, if the room is being destroyed.
    """
    if charter.is_gone:
        raise ChatError(UNKNOWN_ROOM)
    user, now_ms = session.whoever.user, session.node.now_ms()
    if charter.is_muted(user, now_ms):
        raise ChatError(MUTED)
    if not charter.slow_s or not counts:
        return
    now, slow_s, spoken = session.node.seconds(), charter.slow_s, charter.spoken
    before = spoken.get(user)
    if before is not None and now - before[0] < slow_s:
        if key and key == before[1] and now - before[0] < _SAME_S:
            return
        if refused(Permission.MODERATE, session.whoever, charter, now_ms) is not None:
            raise ChatError(TOO_SOON)
    spoken.pop(user, None)
    spoken[user] = (now, key)
    # In the order in which they spoke: who may speak again stands first.
    while len(spoken) > MOST_SPEAKERS or now - spoken[next(iter(spoken))][0] >= slow_s:
        del spoken[next(iter(spoken))]
