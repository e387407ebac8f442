"""Taking somebody out: of a room, or off the server; nothing is delivered to them from then on.

What their peer has been sent and not yet read is on its way; nothing is added to it. Nor are they
awaited: others are told at once that they have left, and their nick is free.
"""

from __future__ import annotations

from chatd.core.events import Unsubscribed
from chatd.core.node import Node
from chatd.core.room import Room
from chatd.core.session import Session
from chatd.errors import Close

__all__ = ["clear", "disconnect", "end", "expel", "remove"]

_FOR_GOOD = 2000  # an SDK does not subscribe again


def end(session: Session, close: Close) -> None:
    """End one session. What it said and was accepted is stored all the same."""
    session.comes_back = False
    session.outbox.close(close)
    session.lost()  # now, for its peer may take its time to go


def expel(session: Session, name: str, close: Close) -> None:
    """Take one session out of a room, if it is in it.

    Args:
        session: the session.
        name: the room's folded name.
        close: why; how a door shows it for which the room is all there is.
    """
    if not session.dialect.has_replies:
        if session.home == name:  # it is in it, or about to be
            end(session, close)
        return
    member = session.memberships.get(name)
    if member is None:
        return
    session.leave(name, comes_back=False)
    gone = Unsubscribed(name, _FOR_GOOD, close.reason)
    session.outbox.answer(member.dialect.encode(gone))
    session.outbox.flush()


def remove(node: Node, user: str, name: str, close: Close) -> None:
    """Take all sessions of a user out of a room."""
    for session in list(node.sessions.get(user, {}).values()):
        expel(session, name, close)
    room = node.hub.find(name)
    if room is not None:
        room.presence.give_up(user)


def disconnect(node: Node, user: str, close: Close) -> bool:
    """End all sessions of a user; whether they had one, or were awaited."""
    sessions = list(node.sessions.get(user, {}).values())
    for session in sessions:
        end(session, close)
    was_awaited = node.hub.dismiss(user)
    return node.nicks.dismiss(user) or was_awaited or bool(sessions)


def clear(node: Node, room: Room, close: Close) -> None:
    """Take everybody out of a room."""
    for sessions in list(node.sessions.values()):
        for session in list(sessions.values()):
            expel(session, room.name, close)
