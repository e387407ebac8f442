"""Who may do what: one table, and how somebody stands to a room.

What a place does not allow to anybody is NOT_AVAILABLE there; an outsider hears that the room is
private, and everybody else that it is not for them to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto

from chatd.core import names
from chatd.core.charter import Charter, RoomKind
from chatd.core.identity import Identity, Role
from chatd.errors import (
    BANNED,
    FORBIDDEN,
    MUTED,
    NOT_AVAILABLE,
    PRIVATE_ROOM,
    UNKNOWN_ROOM,
    ChatError,
    Refusal,
)

__all__ = [
    "ROOM",
    "SERVER",
    "Office",
    "Permission",
    "Standing",
    "check",
    "check_office",
    "refused",
    "standing",
]


class Standing(Enum):
    """What somebody is in a room."""

    OUTSIDER = auto()
    """The room is not for them."""
    MEMBER = auto()
    OWNER = auto()
    """Of a private room."""
    MODERATOR = auto()
    """Of the server; in a private room one who is not a member of it."""


class Permission(Enum):
    """What may be done in a room."""

    READ = auto()
    """Be in it, see who is, read and search what was said."""
    SPEAK = auto()
    """Say something, change what one has said oneself, react, set the topic."""
    INVITE = auto()
    """Let somebody in, and see who may come."""
    MODERATE = auto()
    """Remove and mute others, slow them down, delete what they said."""
    CLOSE = auto()
    """Make it private; of a blank and empty one everybody may."""
    DESTROY = auto()
    """Delete it with all that was said."""


class Office(Enum):
    """What may be done on the server."""

    RENAME = auto()
    """Choose a nick; who has signed in has one."""
    BAN = auto()
    """Ban and end a ban, remove somebody from the server, see from where they come."""


_PUBLIC, _PRIVATE, _DIRECT = RoomKind.PUBLIC, RoomKind.PRIVATE, RoomKind.DIRECT
_NOBODY: frozenset[Standing] = frozenset()
_MEMBERS = frozenset({Standing.MEMBER})
_MODERATORS = frozenset({Standing.MODERATOR})
_EVERYBODY = _MEMBERS | _MODERATORS
_INSIDERS = frozenset({Standing.MEMBER, Standing.OWNER})
_IN_CHARGE = frozenset({Standing.OWNER, Standing.MODERATOR})

ROOM: Mapping[Permission, Mapping[RoomKind, frozenset[Standing]]] = {
    Permission.READ: {_PUBLIC: _EVERYBODY, _PRIVATE: _INSIDERS, _DIRECT: _MEMBERS},
    Permission.SPEAK: {_PUBLIC: _EVERYBODY, _PRIVATE: _INSIDERS, _DIRECT: _MEMBERS},
    Permission.INVITE: {_PUBLIC: _NOBODY, _PRIVATE: _INSIDERS, _DIRECT: _NOBODY},
    Permission.MODERATE: {_PUBLIC: _MODERATORS, _PRIVATE: _IN_CHARGE, _DIRECT: _NOBODY},
    Permission.CLOSE: {_PUBLIC: _MODERATORS, _PRIVATE: _NOBODY, _DIRECT: _NOBODY},
    Permission.DESTROY: {_PUBLIC: _MODERATORS, _PRIVATE: _IN_CHARGE, _DIRECT: _NOBODY},
}
"""Who may do what in which kind of room."""

SERVER: Mapping[Office, frozenset[Role]] = {
    Office.RENAME: frozenset({Role.GUEST}),
    Office.BAN: frozenset({Role.MODERATOR}),
}
"""Who may do what on the server."""


def standing(identity: Identity, charter: Charter) -> Standing:
    """What somebody is in a room."""
    if charter.kind is RoomKind.DIRECT:
        is_theirs = identity.user in names.two(charter.name)
        return Standing.MEMBER if is_theirs else Standing.OUTSIDER
    if identity.rooms is not None and charter.name not in identity.rooms:
        return Standing.OUTSIDER
    if charter.kind is RoomKind.PRIVATE:
        if identity.user == charter.owner:
            return Standing.OWNER
        # Guests vouch for nobody: that the operator lets them into a room does not open it.
        is_named = identity.rooms is not None and identity.role is not Role.GUEST
        if identity.user in charter.members or is_named:
            return Standing.MEMBER
    if identity.is_moderator:
        return Standing.MODERATOR
    return Standing.MEMBER if charter.kind is RoomKind.PUBLIC else Standing.OUTSIDER


def refused(
    permission: Permission, identity: Identity, charter: Charter, now_ms: int
) -> Refusal | None:
    """Why somebody may not do something in a room; None: they may.

    Args:
        permission: what.
        identity: who.
        charter: of the room.
        now_ms: the wall clock, in milliseconds since 1970.
    """
    if charter.is_gone and permission is not Permission.DESTROY:  # which may have to be ended
        return UNKNOWN_ROOM
    allowed, place = ROOM[permission][charter.kind], standing(identity, charter)
    if place is Standing.OUTSIDER:
        return PRIVATE_ROOM
    if not allowed:
        return NOT_AVAILABLE
    # A moderator who is a member of a room is no less of a moderator for it.
    as_moderator = identity.is_moderator and Standing.MODERATOR in allowed
    if place not in allowed and not as_moderator:
        return FORBIDDEN
    if charter.kicked and charter.is_kept_out(identity.user, now_ms):
        return BANNED
    if permission is Permission.SPEAK and charter.is_muted(identity.user, now_ms):
        return MUTED
    return None


def check(permission: Permission, identity: Identity, charter: Charter, now_ms: int) -> None:
    """Let somebody do something in a room.

    Args:
        permission: what.
        identity: who.
        charter: of the room.
        now_ms: the wall clock, in milliseconds since 1970.

    Raises:
        ChatError: they may not.
    """
    refusal = refused(permission, identity, charter, now_ms)
    if refusal is not None:
        raise ChatError(refusal)


def check_office(office: Office, identity: Identity) -> None:
    """Let somebody do something on the server.

    Raises:
        ChatError: FORBIDDEN.
    """
    if identity.role not in SERVER[office]:
        raise ChatError(FORBIDDEN)
