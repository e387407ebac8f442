"""Changing what was said: edits, deletions and reactions, judged against the message they are of.

Edits and deletions of one room wait for each other, from the look at the message until what came
of it is stored: what was judged cannot change meanwhile. Reactions change nothing that is judged
and do not wait.

What is said again under its id is acknowledged again, though the message may have changed since,
be it by that very change.
"""

from __future__ import annotations

from collections.abc import Callable

from chatd.core import restraint
from chatd.core.archive import Target
from chatd.core.broker import Ack
from chatd.core.commands import Publish
from chatd.core.events import About, Kind
from chatd.core.permissions import Permission, refused
from chatd.core.replies import Done
from chatd.core.room import Room
from chatd.core.session import Session, State
from chatd.errors import (
    LIMIT_EXCEEDED,
    NO_SUCH_MESSAGE,
    NOT_YOURS,
    TOO_LATE,
    ChatError,
    Refusal,
)

__all__ = ["EDIT_MS", "MOST_EDITS", "answered_again", "change"]

EDIT_MS = 24 * 3_600_000
"""So long a message may be edited, in milliseconds."""

MOST_EDITS = 100
"""So often it may be."""


def change(session: Session, command: Publish, room: Room, about: About, own_id: str) -> None:
    """Say something that changes a message.

    Args:
        session: whose; the room stays open for it until this is done.
        command: with what is stored.
        room: where.
        about: what it is, and of which message.
        own_id: the sender's own id of it.

    Raises:
        ChatError: they may not say anything here, or there is no such message.
    """
    try:
        session.needs(Permission.SPEAK, room.charter)
    except ChatError:
        if answered_again(session, command, room, own_id):
            return
        raise
    if about.ref > room.head:
        raise ChatError(NO_SUCH_MESSAGE)
    node = session.node
    if about.kind is Kind.REACTION:

        def found(target: Target | None) -> None:
            _judged(session, command, room, about, own_id, target, _nothing)

        node.archive.target(room.name, about.ref, session.awaits(command, found))
        return
    turns = room.turns
    is_under_way = False

    def judged(target: Target | None) -> None:
        nonlocal is_under_way
        is_under_way = _judged(session, command, room, about, own_id, target, turns.give)

    came = session.awaits(command, judged)

    def looked(outcome: Target | Refusal | None) -> None:
        came(outcome)
        if not is_under_way:
            turns.give()

    def begin() -> None:
        if session.state is State.CLOSING:
            looked(None)
        else:
            node.archive.target(room.name, about.ref, looked)

    turns.take(begin)


def answered_again(session: Session, command: Publish, room: Room, own_id: str) -> bool:
    """Answer something that was said before, if it was, as it was answered then.

    Args:
        session: whose; the room stays open for it until this is done.
        command: that would be refused now.
        room: where.
        own_id: the sender's own id of it.
    """

    def told(outcome: Ack | Refusal) -> None:
        came(outcome)

    def acknowledged(_ack: Ack) -> None:
        session.reply(command, Done("publish"))

    if not session.node.broker.repeated(room.name, session.who, own_id, told):
        return False
    came = session.awaits(command, acknowledged)
    return True


def _judged(
    session: Session,
    command: Publish,
    room: Room,
    about: About,
    own_id: str,
    target: Target | None,
    over: Callable[[], None],
) -> bool:
    """Publish what may be said; says whether it is, and `over` will be called."""
    node, sender = session.node, session.who
    try:
        session.needs(Permission.SPEAK, room.charter)
        stored = _permitted(session, room, about, target)
        if room.charter.restrains:
            counts = about.kind is not Kind.DELETE
            restraint.check(session, room.charter, own_id, counts=counts)
    except ChatError:
        if answered_again(session, command, room, own_id):
            return False
        raise
    done = session.published(command)
    victim = target.user if target is not None else ""
    is_moderated = about.kind is Kind.DELETE and victim != sender.user

    def settled(outcome: Ack | Refusal) -> None:
        try:
            done(outcome)
            if is_moderated and isinstance(outcome, Ack) and not outcome.duplicate:
                node.audit.note("delete", sender, room=room.name, user=victim, ref=about.ref)
        finally:
            over()

    node.broker.publish(room.name, sender, own_id, command.payload, settled, stored)
    return True


def _permitted(session: Session, room: Room, about: About, target: Target | None) -> About:
    """What it is to be stored as.

    Raises:
        ChatError: NO_SUCH_MESSAGE, NOT_YOURS, TOO_LATE, or LIMIT_EXCEEDED, of edits.
    """
    if target is None or target.kind is not Kind.MESSAGE or target.is_erased:
        raise ChatError(NO_SUCH_MESSAGE)
    if about.kind is Kind.REACTION:
        return about
    is_own = target.user == session.who.user
    if about.kind is Kind.DELETE:
        now_ms = session.node.now_ms()
        if not is_own and refused(Permission.MODERATE, session.whoever, room.charter, now_ms):
            raise ChatError(NOT_YOURS)
        return about._replace(erases=(about.ref, *target.edits))
    if not is_own:
        raise ChatError(NOT_YOURS)
    if session.node.now_ms() - target.time_ms > EDIT_MS:
        raise ChatError(TOO_LATE)
    if len(target.edits) >= MOST_EDITS:
        raise ChatError(LIMIT_EXCEEDED)
    return about


def _nothing() -> None:
    """Nobody waits for a reaction."""
