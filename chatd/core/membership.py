"""Rooms of one's own: making one private, letting people in, and the direct rooms of two.

What a room's record says is what counts. That a room is theirs is noted in its users' records too,
so that it is listed for them; when one of these cannot be written the call fails, and to repeat it
writes what is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from chatd.core import arguments, names, removal
from chatd.core.charter import MOST_MEMBERS, Changes, RoomKind, room_subject
from chatd.core.commands import Rpc
from chatd.core.events import Sender, compact
from chatd.core.invites import LIFETIME_MS, Invite
from chatd.core.node import Node
from chatd.core.permissions import Permission, Standing, refused, standing
from chatd.core.profiles import MOST_ROOMS, Profile
from chatd.core.replies import Answered
from chatd.core.room import Room
from chatd.core.session import Rate, Session
from chatd.errors import (
    BAD_REQUEST,
    BANNED,
    FORBIDDEN,
    LIMIT_EXCEEDED,
    NO_SUCH_USER,
    NOT_AVAILABLE,
    PRIVATE_ROOM,
    TOO_MANY_REQUESTS,
    ChatError,
    Close,
    Refusal,
)

__all__ = [
    "MOST_OWNED",
    "MOST_UNASKED",
    "announce",
    "direct",
    "invite",
    "join",
    "leave",
    "members",
    "note",
    "private",
]

MOST_OWNED = 100
"""A user owns so many private rooms at most."""

MOST_UNASKED = 500
"""A user who has so many rooms is given no more by others: there is a place for those they want."""

_AT_ONCE = 20  # so many users' records are written at a time

_LEFT = Close(1008, "left the room", 1008)

Done = Callable[[Refusal | None], None]


def note(node: Node, users: Sequence[str], name: str, *, theirs: bool, done: Done) -> None:
    """Note in the records of users whether a room is theirs.

    Args:
        node: whose.
        users: their ids.
        name: the room's folded name.
        theirs: whether it is.
        done: told None once all of it is stored, or why some of it is not.
    """
    now, later = users[:_AT_ONCE], users[_AT_ONCE:]
    if not now:
        done(None)
        return
    refusals: list[Refusal] = []
    left = len(now)

    def noted(refusal: Refusal | None) -> None:
        nonlocal left
        left -= 1
        if refusal is not None:
            refusals.append(refusal)
        if left:
            return
        if refusals:
            note(node, later, name, theirs=theirs, done=lambda _: done(refusals[0]))
        else:
            note(node, later, name, theirs=theirs, done=done)

    changes = {f"room:{name}": "1" if theirs else None}
    for user in now:
        node.profiles.change(user, changes, is_here=user in node.sessions, done=noted)


def private(session: Session, command: Rpc) -> None:
    """`private {room}`: make a room private; it is the caller's, and of who is in it."""
    name = arguments.room(arguments.fields(command.value))
    session.with_room(command, name, lambda room: _count_owned(session, command, room))


def _count_owned(session: Session, command: Rpc, room: Room) -> None:
    user, node = session.who.user, session.node
    rooms = _profile(session).rooms
    if room.charter.owner == user or len(rooms) < MOST_OWNED:
        _make_private(session, command, room)
        return
    if len(rooms) >= MOST_ROOMS and room.name not in rooms:
        raise ChatError(LIMIT_EXCEEDED)

    def read(records: Mapping[str, Mapping[str, str]]) -> None:
        if sum(record["owner"] == user for record in records.values()) >= MOST_OWNED:
            raise ChatError(LIMIT_EXCEEDED)
        _make_private(session, command, room)

    subjects = list(map(room_subject, rooms))
    node.records.read_many(subjects, ["owner"], session.awaits(command, read))


def _make_private(session: Session, command: Rpc, room: Room) -> None:
    node, identity = session.node, session.whoever
    answered = session.awaits(command, lambda _: session.reply(command, Answered({})))
    by = session.who
    everybodys = (names.DEFAULT_ROOM, *node.config.plain_rooms)

    def judge() -> Changes:
        charter = room.charter
        place = standing(identity, charter)
        if place is Standing.OWNER:
            _count_notes(session, len(charter.members))
            return {}
        is_free = charter.is_blank and not room.head and room.name not in everybodys
        if not (is_free and charter.kind is RoomKind.PUBLIC and place is Standing.MEMBER):
            session.needs(Permission.CLOSE, charter)
        present = [user for user in room.presence if user != identity.user]
        kept = [user for user in present if _can_come_back(node, user, room)]
        _count_notes(session, len(kept))
        return {
            "private": "1",
            "owner": identity.user,
            # Unlike that of any room that had this name before, and so are the invites.
            "invites": str(node.now_ms()),
            **{f"member:{user}": "1" for user in kept[:MOST_MEMBERS]},
        }

    def stored(refusal: Refusal | None) -> None:
        if refusal is not None:
            answered(refusal)
            return
        charter = room.charter
        if identity.is_moderator:
            node.audit.note("private", by, room=room.name)
        _put_out(node, room)
        note(node, [charter.owner, *charter.members], room.name, theirs=True, done=answered)

    node.hub.amend(room, judge, stored)


def _count_notes(session: Session, members: int) -> None:
    """Let somebody go on only as fast as they may publish: each member's record is written."""
    if not session.may(Rate.PUBLISHES, 1 + members):
        raise ChatError(TOO_MANY_REQUESTS)


def _can_come_back(node: Node, user: str, room: Room) -> bool:
    """Whether a user who is present is somebody again when they come next."""
    here = [each for each in node.sessions.get(user, {}).values() if room.name in each.memberships]
    return not here or any(each.dialect.has_replies for each in here)


def _put_out(node: Node, room: Room) -> None:
    """Take out of a room whoever may not read it any more."""
    now_ms = node.now_ms()
    for sessions in list(node.sessions.values()):
        for session in list(sessions.values()):
            if room.name in session.memberships:
                refusal = refused(Permission.READ, session.whoever, room.charter, now_ms)
                if refusal is not None:
                    removal.expel(session, room.name, refusal.close)
    for user in room.presence:
        if user != room.charter.owner and user not in room.charter.members:
            room.presence.give_up(user)


def invite(session: Session, command: Rpc) -> None:
    """`invite {room, user?}`: let somebody in, whoever has the token or only this user."""
    given = arguments.fields(command.value)
    name = arguments.room(given)
    user = "" if given.get("user") is None else arguments.user(given)
    node = session.node

    def opened(room: Room) -> None:
        session.needs(Permission.INVITE, room.charter)
        until_ms = node.now_ms() + LIFETIME_MS
        token = node.invites.token(Invite(name, room.charter.generation, user, until_ms))
        link = f"{node.config.public_url.rstrip('/')}/#invite={token}"
        session.reply(command, Answered({"invite": token, "link": link}))

    session.with_room(command, name, opened)


def join(session: Session, command: Rpc) -> None:
    """`join {invite}`: be a member of the room that an invite is for."""
    node, identity = session.node, session.whoever
    invite = node.invites.read(arguments.text(arguments.fields(command.value), "invite"))
    if invite is None:
        raise ChatError(BAD_REQUEST)
    name, user = invite.room, identity.user

    def opened(room: Room) -> None:
        answer = Answered({"room": name})
        answered = session.awaits(command, lambda _: session.reply(command, answer))

        def stored(refusal: Refusal | None) -> None:
            if refusal is not None:
                answered(refusal)
            else:
                note(node, [user], name, theirs=True, done=answered)

        node.hub.amend(room, lambda: _judge_join(session, room, invite), stored)

    session.with_room(command, name, opened)


def _judge_join(session: Session, room: Room, invite: Invite) -> Changes:
    charter, identity, now_ms = room.charter, session.whoever, session.node.now_ms()
    if charter.kind is not RoomKind.PRIVATE:
        raise ChatError(NOT_AVAILABLE)
    if standing(identity, charter) in (Standing.OWNER, Standing.MEMBER):
        return {}
    holds = invite.generation == charter.generation and invite.until_ms > now_ms
    is_theirs = invite.user in ("", identity.user)
    # Being a member is of no use to who is let into other rooms only.
    if not holds or not is_theirs or identity.rooms is not None:
        raise ChatError(PRIVATE_ROOM)
    if charter.is_kept_out(identity.user, now_ms):
        raise ChatError(BANNED)
    rooms = _profile(session).rooms
    if len(charter.members) >= MOST_MEMBERS or len(rooms) >= MOST_ROOMS:
        raise ChatError(LIMIT_EXCEEDED)
    return {f"member:{identity.user}": "1"}


def members(session: Session, command: Rpc) -> None:
    """`members {room}`: who may enter a private room, its owner first."""

    def opened(room: Room) -> None:
        charter = room.charter
        session.needs(Permission.INVITE, charter)
        rows: list[Mapping[str, object]] = [{"user": charter.owner, "owner": True}]
        rows += [{"user": user} for user in sorted(charter.members)]
        session.reply(command, Answered(rows))

    name = arguments.room(arguments.fields(command.value))
    session.with_room(command, name, opened)


def leave(session: Session, command: Rpc) -> None:
    """`leave {room}`: be a member no more; its owner cannot, but delete it."""
    node, identity = session.node, session.whoever
    name, user = arguments.room(arguments.fields(command.value)), identity.user

    def opened(room: Room) -> None:
        answered = session.awaits(command, lambda _: session.reply(command, Answered({})))

        def judge() -> Changes:
            charter = room.charter
            place = standing(identity, charter)
            if place is Standing.OWNER:
                raise ChatError(FORBIDDEN)
            if user in charter.members:
                return {f"member:{user}": None}
            is_listed = charter.kind is RoomKind.DIRECT or name in _profile(session).rooms
            if not is_listed:  # nor is it what is left of an earlier call
                session.needs(Permission.INVITE, charter)
            return {}

        def stored(refusal: Refusal | None) -> None:
            if refusal is not None:
                answered(refusal)
                return
            if room.charter.kind is not RoomKind.PUBLIC:
                removal.remove(node, user, name, _LEFT)
            note(node, [user], name, theirs=False, done=noted)

        def noted(refusal: Refusal | None) -> None:
            if room.charter.kind is RoomKind.DIRECT:  # what is said there next lists it again
                room.charter.list_for_both(False)
            answered(refusal)

        node.hub.amend(room, judge, stored)

    session.with_room(command, name, opened)


def direct(session: Session, command: Rpc) -> None:
    """`direct {user}`: the room of the two; it is in the lists of both from then on."""
    node, sender = session.node, session.who
    other = arguments.user(arguments.fields(command.value))
    if other == sender.user:
        raise ChatError(BAD_REQUEST)
    name = names.direct(sender.user, other)
    answer = Answered({"room": name})

    def loaded(profile: Profile) -> None:
        if not _is_known(node, other, profile):
            raise ChatError(NO_SUCH_USER)
        missing, is_full = _missing(name, sender.user, _profile(session), other, profile)
        if is_full:
            raise ChatError(LIMIT_EXCEEDED)
        if missing and not session.may(Rate.PUBLISHES):  # for somebody may be told
            raise ChatError(TOO_MANY_REQUESTS)
        answered = session.awaits(command, lambda _: session.reply(command, answer))
        _list(node, sender, name, other, missing, answered)

    node.profiles.load(other, session.awaits(command, loaded))


def announce(session: Session, room: Room) -> None:
    """Have a room of two in the lists of both, for something is said in it; as `direct` does.

    Else what somebody says who did not call that, or whom the other has left, would be stored and
    never be found. Nobody waits for it; whose list is full, or who never was here, is left out.
    """
    node, sender, charter = session.node, session.who, room.charter
    one, two = names.two(room.name)
    other = two if sender.user == one else one
    charter.list_for_both(True)  # what is said meanwhile need not do the same

    def loaded(profile: Profile | Refusal) -> None:
        if isinstance(profile, Refusal) or not _is_known(node, other, profile):
            charter.list_for_both(False)
            return
        missing, is_full = _missing(room.name, sender.user, _profile(session), other, profile)
        missing = [user for user in missing if user not in is_full]
        _list(node, sender, room.name, other, missing, noted)

    def noted(refusal: Refusal | None) -> None:
        if refusal is not None:
            charter.list_for_both(False)

    node.profiles.load(other, loaded)


def _missing(
    name: str, user: str, own: Profile, other: str, theirs: Profile
) -> tuple[list[str], list[str]]:
    """Who of two has not a direct room in their list, and whose list has no place for it."""
    lists = {user: (own.rooms, MOST_ROOMS), other: (theirs.rooms, MOST_UNASKED)}
    missing = [each for each, (rooms, _) in lists.items() if name not in rooms]
    return missing, [each for each in missing if len(lists[each][0]) >= lists[each][1]]


def _list(
    node: Node, by: Sender, name: str, other: str, missing: Sequence[str], done: Done
) -> None:
    """Note a direct room with those who have it not in their lists, and tell the other."""

    def noted(refusal: Refusal | None) -> None:
        if refusal is None and other in missing:
            told = {"type": "direct", "room": name, "user": by.user, "nick": by.nick}
            node.whisper(other, compact(told))
        done(refusal)

    note(node, missing, name, theirs=True, done=noted)


def _is_known(node: Node, user: str, profile: Profile) -> bool:
    """Whether a user is here, or something is kept about them."""
    return user in node.sessions or bool(profile.nick or profile.marks or profile.rooms)


def _profile(session: Session) -> Profile:
    return session.node.profiles.find(session.whoever.user) or Profile()
