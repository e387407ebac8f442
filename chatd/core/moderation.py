"""What moderators do, and owners in their rooms: remove, mute, slow down, ban, look up.

A record is written first; when it is stored, and only then, it takes effect on everything that is
open, is noted in the audit log, and is answered. All but the answer happens also when who asked is
gone meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import islice

from chatd.core import arguments
from chatd.core.bans import by_address, by_user, is_within
from chatd.core.charter import MOST_RESTRAINED, Changes, Charter, RoomKind
from chatd.core.commands import Rpc
from chatd.core.membership import note
from chatd.core.permissions import Office, Permission, check_office, refused
from chatd.core.removal import disconnect, end, remove
from chatd.core.replies import Answered
from chatd.core.room import Room
from chatd.core.session import Session
from chatd.errors import (
    BAD_REQUEST,
    BANNED,
    FORBIDDEN,
    KICKED,
    LIMIT_EXCEEDED,
    NO_SUCH_USER,
    ChatError,
    Refusal,
)

__all__ = ["ban", "kick", "mute", "slow", "unban", "whois"]

_KICK_S = 60
_LONGEST_S = 10 * 365 * 24 * 3600
_SLOWEST_S = 24 * 3600
_FORGOTTEN = 50  # lapsed restraints of a room at most, with each write
_SHOWN_SESSIONS = 100
_SHOWN_ROOMS = 2000  # of all of the sessions that are shown


def kick(session: Session, command: Rpc) -> None:
    """`kick {room?, user, seconds?}`: out of a room for a while, or off the server."""
    given = arguments.fields(command.value)
    user = arguments.user(given)
    seconds = arguments.whole(given, "seconds", 0, _LONGEST_S, _KICK_S)
    if arguments.maybe_text(given, "room") is None:
        check_office(Office.BAN, session.whoever)
        _check_other(session, user)
        if not disconnect(session.node, user, KICKED):
            raise ChatError(NO_SUCH_USER)
        session.node.audit.note("kick", session.who, user=user)
        session.reply(command, Answered({}))
        return
    name = arguments.room(given)
    session.with_room(command, name, lambda room: _kick(session, command, room, user, seconds))


def _kick(session: Session, command: Rpc, room: Room, user: str, seconds: int) -> None:
    node = session.node
    was_member = False

    def judge() -> Changes:
        nonlocal was_member
        charter = room.charter
        _check_target(session, charter, user)
        is_private = charter.kind is RoomKind.PRIVATE
        was_member = is_private and user in charter.members
        # To say something in a public room nobody needs to be in it.
        belongs = was_member or user == charter.owner if is_private else user in node.sessions
        if not belongs and user not in room.presence:
            raise ChatError(NO_SUCH_USER)
        changes = _restrained(session, charter, "out", charter.kicked, user, seconds)
        if is_private:
            # What they were invited with must not bring them back in.
            changes |= {f"member:{user}": None, "invites": str(charter.generation + 1)}
        return changes

    def effect() -> None:
        remove(node, user, room.name, KICKED)
        if was_member:
            # When this fails, their list of rooms has one that is not shown: it is not theirs.
            note(node, [user], room.name, theirs=False, done=lambda refusal: None)
        node.audit.note("kick", session.who, room=room.name, user=user, seconds=seconds)

    node.hub.amend(room, judge, _stored(session, command, effect))


def mute(session: Session, command: Rpc) -> None:
    """`mute {room, user, seconds}`: let somebody say nothing for a while; 0: no longer."""
    given = arguments.fields(command.value)
    name, user = arguments.room(given), arguments.user(given)
    seconds = arguments.whole(given, "seconds", 0, _LONGEST_S)
    session.with_room(command, name, lambda room: _mute(session, command, room, user, seconds))


def _mute(session: Session, command: Rpc, room: Room, user: str, seconds: int) -> None:
    def judge() -> Changes:
        _check_target(session, room.charter, user)
        return _restrained(session, room.charter, "mute", room.charter.mutes, user, seconds)

    told = partial(session.node.audit.note, "mute", session.who)
    effect = partial(told, room=room.name, user=user, seconds=seconds)
    session.node.hub.amend(room, judge, _stored(session, command, effect))


def slow(session: Session, command: Rpc) -> None:
    """`slow {room, seconds}`: let everybody speak once in so many seconds; 0: any time."""
    given = arguments.fields(command.value)
    name = arguments.room(given)
    seconds = arguments.whole(given, "seconds", 0, _SLOWEST_S)
    session.with_room(command, name, lambda room: _slow(session, command, room, seconds))


def _slow(session: Session, command: Rpc, room: Room, seconds: int) -> None:
    def judge() -> Changes:
        session.needs(Permission.MODERATE, room.charter)
        return {"slow": str(seconds) if seconds else None}

    told = partial(session.node.audit.note, "slow", session.who)
    effect = partial(told, room=room.name, seconds=seconds)
    session.node.hub.amend(room, judge, _stored(session, command, effect))


def ban(session: Session, command: Rpc) -> None:
    """`ban {user|address, seconds}`: let somebody come in no more for a while."""
    node = session.node
    given = arguments.fields(command.value)
    check_office(Office.BAN, session.whoever)
    user, banned = _banned(given)
    seconds = arguments.whole(given, "seconds", 1, _LONGEST_S)
    if user:
        _check_other(session, user)
    elif is_within(session.address, banned):
        raise ChatError(BAD_REQUEST)
    else:
        node.bans.check(banned)
    by, now_ms = session.who, node.now_ms()

    def effect() -> None:
        if user:
            disconnect(node, user, BANNED.close)
            node.audit.note("ban", by, user=user, seconds=seconds)
            return
        every = [each for sessions in node.sessions.values() for each in sessions.values()]
        for each in every:
            if is_within(each.address, banned):
                end(each, BANNED.close)
        address = banned.partition(":")[2]
        node.audit.note("ban", by, address=address, seconds=seconds)

    stored = _stored(session, command, effect)
    node.bans.ban(banned, now_ms + 1000 * seconds, now_ms, stored)


def unban(session: Session, command: Rpc) -> None:
    """`unban {user|address}`: end a ban, be it that there is none."""
    node = session.node
    given = arguments.fields(command.value)
    check_office(Office.BAN, session.whoever)
    user, banned = _banned(given)
    address = "" if user else banned.partition(":")[2]
    effect = partial(node.audit.note, "unban", session.who, user=user, address=address)
    node.bans.unban(banned, _stored(session, command, effect))


def whois(session: Session, command: Rpc) -> None:
    """`whois {user}`: where somebody is; of their rooms those that who asks may see."""
    node = session.node
    user = arguments.user(arguments.fields(command.value))
    check_office(Office.BAN, session.whoever)
    sessions = list(node.sessions.get(user, {}).values())
    if not sessions:
        raise ChatError(NO_SUCH_USER)
    now_ms, left, rows = node.now_ms(), _SHOWN_ROOMS, []
    for each in sessions[:_SHOWN_SESSIONS]:
        seen = (
            name
            for name, member in each.memberships.items()
            if refused(Permission.READ, session.whoever, member.room.charter, now_ms) is None
        )
        rooms = list(islice(seen, left))
        left -= len(rooms)
        rows.append({"client": each.id, "address": each.address, "rooms": rooms})
    session.reply(command, Answered({"user": user, "nick": sessions[0].who.nick, "sessions": rows}))


def _banned(given: arguments.Fields) -> tuple[str, str]:
    """The user that is named, or nothing, and the name of the ban."""
    address = arguments.maybe_text(given, "address")
    if (address is None) is (arguments.maybe_text(given, "user") is None):
        raise ChatError(BAD_REQUEST)
    if address is not None:
        return "", by_address(address)
    user = arguments.user(given)
    return user, by_user(user)


def _check_other(session: Session, user: str) -> None:
    if user == session.who.user:
        raise ChatError(BAD_REQUEST)


def _check_target(session: Session, charter: Charter, user: str) -> None:
    """Whether who asks may act in a room on somebody."""
    session.needs(Permission.MODERATE, charter)
    _check_other(session, user)
    others = session.node.sessions.get(user, {}).values()
    if not session.whoever.is_moderator and any(each.whoever.is_moderator for each in others):
        raise ChatError(FORBIDDEN)


def _restrained(
    session: Session,
    charter: Charter,
    field: str,
    until: dict[str, int],
    user: str,
    seconds: int,
) -> dict[str, str | None]:
    """The changes that restrain a user for some time, and forget who is no longer."""
    now_ms = session.node.now_ms()
    lapsed = (each for each in charter.lapsed(now_ms) if each.startswith(f"{field}:"))
    changes: dict[str, str | None] = dict.fromkeys(islice(lapsed, _FORGOTTEN))
    if seconds and user not in until and len(until) - len(changes) >= MOST_RESTRAINED:
        raise ChatError(LIMIT_EXCEEDED)
    changes[f"{field}:{user}"] = str(now_ms + 1000 * seconds) if seconds else None
    return changes


def _stored(
    session: Session, command: Rpc, effect: Callable[[], None]
) -> Callable[[Refusal | None], None]:
    """What is to be told that something is stored: it takes effect, then that is answered."""
    came: Callable[[Refusal | None], None] = session.awaits(
        command, lambda _: session.reply(command, Answered({}))
    )

    def stored(refusal: Refusal | None) -> None:
        # Not within `came`, which does nothing for who has gone meanwhile.
        if refusal is None:
            effect()
        came(refusal)

    return stored
