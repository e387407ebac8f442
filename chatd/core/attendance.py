"""Being in a room, and asking who is."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from chatd.core import names
from chatd.core.broker import Place, Position
from chatd.core.commands import Presence, PresenceStats, Subscribe, Unsubscribe
from chatd.core.events import Sender, Unsubscribed
from chatd.core.permissions import Permission
from chatd.core.replies import Counted, Done, Present, Subscribed
from chatd.core.room import Member, Room
from chatd.core.session import Session
from chatd.errors import ALREADY_SUBSCRIBED, LIMIT_EXCEEDED, ChatError

__all__ = ["presence", "presence_stats", "subscribe", "unsubscribe"]

_LISTED_USERS = 1000
_INSUFFICIENT_STATE = 2500


def subscribe(session: Session, command: Subscribe) -> None:
    """Become a member of a room, maybe from where one was."""
    name = names.room(command.room)
    if name in session.memberships:
        raise ChatError(ALREADY_SUBSCRIBED)
    if len(session.memberships) >= session.node.config.rooms_per_connection:
        raise ChatError(LIMIT_EXCEEDED)
    session.with_room(command, name, lambda room: _opened(session, command, room))


def _opened(session: Session, command: Subscribe, room: Room) -> None:
    session.needs(Permission.READ, room.charter)
    since = command.since
    if since is None:
        _subscribed(session, command, room, room.head)
        return

    def located(place: Place) -> None:
        session.needs(Permission.READ, room.charter)  # which may have changed meanwhile
        missed = room.head - since.offset
        is_there = place is Place.OK and missed <= session.node.config.recovery_messages
        _subscribed(session, command, room, since.offset if is_there else None)

    position = Position(since.epoch, since.offset)
    session.node.broker.locate(room.name, position, session.awaits(command, located))


def _subscribed(session: Session, command: Subscribe, room: Room, after: int | None) -> None:
    """Reply and membership are one turn: no event can fall between."""
    dialect = session.dialect.of_room(command.room, join_leave=command.join_leave)
    member = Member(
        room,
        session.who,
        dialect,
        session.outbox,
        True,
        partial(_insufficient, session),
    )
    is_asked = command.since is not None
    offset = room.head if after is None else after
    user = session.who.user
    profile = session.node.profiles.find(user)
    answer = Subscribed(
        room.epoch,
        offset,
        is_asked,
        is_asked and after is not None,
        room.presence.users + (user not in room.presence),
        room.charter.topic,
        profile.marks.get(room.name) if profile else None,
    )
    session.reply(command, answer)
    session.enter(member, offset)


def _insufficient(session: Session, member: Member) -> None:
    """What a member missed cannot be had any more: it is to subscribe again."""
    session.leave(member.room.name, comes_back=True)
    gone = Unsubscribed(member.room.name, _INSUFFICIENT_STATE, "insufficient state")
    session.outbox.answer(member.dialect.encode(gone))
    session.outbox.flush()


def unsubscribe(session: Session, command: Unsubscribe) -> None:
    """Leave a room; nothing when one is not in it."""
    name = names.room(command.room)
    if name in session.memberships:
        session.leave(name, comes_back=False)
    session.reply(command, Done("unsubscribe"))


def presence(session: Session, command: Presence) -> None:
    """Tell who is in a room."""

    def opened(room: Room) -> None:
        def present(users: Mapping[str, Sender]) -> None:
            session.needs(Permission.READ, room.charter)
            session.reply(command, Present(list(users.values())[:_LISTED_USERS]))

        session.needs(Permission.READ, room.charter)
        session.node.broker.present(room.name, session.awaits(command, present))

    session.with_room(command, names.room(command.room), opened)


def presence_stats(session: Session, command: PresenceStats) -> None:
    """Tell how many are in a room."""

    def opened(room: Room) -> None:
        session.needs(Permission.READ, room.charter)
        session.reply(command, Counted(room.presence.clients, room.presence.users))

    session.with_room(command, names.room(command.room), opened)
