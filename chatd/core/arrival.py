"""Coming in: by the plain door, or by the first command of a conversation with replies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import ceil

from chatd.core import names
from chatd.core.accounts import PREFIX, parsed
from chatd.core.auth import TokenError, fallback_nick
from chatd.core.commands import Connect, Enter, Refresh
from chatd.core.events import Notice
from chatd.core.identity import Identity, Role
from chatd.core.permissions import Permission, refused
from chatd.core.profiles import Profile
from chatd.core.removal import expel
from chatd.core.replies import Connected, Refreshed
from chatd.core.room import Member, Room
from chatd.core.session import Session
from chatd.errors import (
    BANNED,
    EXPIRED,
    FORBIDDEN,
    INVALID_TOKEN,
    NOT_AVAILABLE,
    STALLED,
    TOKEN_EXPIRED,
    UNAUTHORIZED,
    ChatError,
)

__all__ = ["connect", "enter", "refresh"]

_LOOK_S = 60.0


def enter(session: Session, command: Enter) -> None:
    """Come in and into a room, at the plain door."""
    node = session.node
    name = names.room(names.DEFAULT_ROOM if command.room is None else command.room)
    asked = None if command.nick is None else names.nick(command.nick)
    identity, wanted = node.gate.plain_guest(node.guests.admit(), name, asked)
    _judge(session, identity)
    nick = node.nicks.take(identity.user, wanted, names.guest(identity.user))
    session.admit(identity, nick, comes_back=False)
    session.home = name
    session.with_room(command, name, lambda room: _entered(session, room))


def _entered(session: Session, room: Room) -> None:
    session.needs(Permission.READ, room.charter)
    config = session.node.config
    if config.greeting:
        session.outbox.answer(session.dialect.encode(Notice(config.greeting)))
    member = Member(room, session.who, session.dialect, session.outbox, config.echo, _close_stalled)
    session.enter(member, room.head)


def _close_stalled(member: Member) -> None:
    member.outbox.close(STALLED)


def connect(session: Session, command: Connect) -> None:
    """Come in with a token, as a guest, or as the guest one was before."""
    node = session.node
    if command.token:
        signed = _signed(session, command.token)
        if signed is not None:
            _known(session, command, signed, lambda identity: _sign_in(session, command, identity))
        return
    node.gate.pass_guest()
    wanted = None if command.nick is None else names.nick(command.nick)
    holder = node.guests.holder(command.resume) if command.resume else None
    if holder is None:
        _come_in(session, command, Identity(node.guests.admit(), wanted), None)
        return
    user, before = holder
    chosen = None if before == names.guest(user) else before

    def recalled(profile: Profile) -> None:
        nick = profile.nick or chosen or wanted
        _come_in(session, command, Identity(user, nick), profile)

    node.profiles.load(user, session.awaits(command, recalled))


def _sign_in(session: Session, command: Connect, identity: Identity) -> None:
    def recalled(profile: Profile) -> None:
        _come_in(session, command, identity, profile)

    session.node.profiles.load(identity.user, session.awaits(command, recalled))


def _come_in(
    session: Session, command: Connect, identity: Identity, profile: Profile | None
) -> None:
    """Let somebody in.

    Args:
        session: theirs.
        command: that is answered.
        identity: who they are.
        profile: what is kept about them; None: nothing, they are new.
    """
    _judge(session, identity)
    node, config = session.node, session.node.config
    user, is_guest = identity.user, identity.role is Role.GUEST
    if profile is not None:
        node.profiles.keep(user, profile)
    fallback = names.guest(user) if is_guest else fallback_nick(user)
    nick = node.nicks.take(user, identity.nick, fallback)
    sender = session.admit(identity, nick, comes_back=True)
    limits = {
        "text": config.text_chars,
        "publish_per_s": config.publish_per_s,
        "burst": config.publish_burst,
    }
    session.reply(
        command,
        Connected(
            sender,
            node.guests.token(user, nick) if is_guest else "",
            config.ping_interval_s,
            limits,
            identity.is_moderator,
            _ttl(session, identity),
        ),
    )
    _watch(session)


def _judge(session: Session, identity: Identity) -> None:
    """Let nobody in who is banned."""
    node = session.node
    if node.bans.refused(identity.user, session.address, node.now_ms()):
        raise ChatError(BANNED)


def refresh(session: Session, command: Refresh) -> None:
    """Show a newer token of the same user."""
    if session.whoever.expires_s is None:
        raise ChatError(NOT_AVAILABLE)  # guests have no token that could expire
    try:
        signed = _signed(session, command.token)
    except TokenError:
        # An SDK that is refused would never come again; so it does, and asks for a newer one.
        session.outbox.close(EXPIRED)
        return
    if signed is not None:
        if signed.user != session.whoever.user:
            raise ChatError(UNAUTHORIZED)
        _known(session, command, signed, lambda identity: _refreshed(session, command, identity))


def _refreshed(session: Session, command: Refresh, identity: Identity) -> None:
    before, session.identity = session.whoever, identity
    session.reply(command, Refreshed(_ttl(session, identity)))
    now_ms = session.node.now_ms()
    for name, member in list(session.memberships.items()):
        if refused(Permission.READ, identity, member.room.charter, now_ms) is not None:
            expel(session, name, FORBIDDEN.close)
    if (identity.expires_s or 0) < (before.expires_s or 0):  # else it is looked for early enough
        _watch(session)


def _signed(session: Session, token: str) -> Identity | None:
    """Say whose a token is; None: nobody's, and the session is closing.

    Raises:
        TokenError: it has expired.
    """
    try:
        return session.node.gate.holder(token, session.address)
    except TokenError as error:
        if error.refusal is TOKEN_EXPIRED:
            raise
        session.outbox.close(INVALID_TOKEN)
        return None


def _known(
    session: Session,
    command: Connect | Refresh,
    identity: Identity,
    then: Callable[[Identity], None],
) -> None:
    """Go on if the account is still the one for which a token was made, with what it may now."""
    if not identity.made:
        then(identity)
        return

    def read(record: Mapping[str, str]) -> None:
        account = parsed(identity.user, record)
        if account is None or account.made != identity.made:
            session.outbox.close(INVALID_TOKEN)
        else:
            role = Role.MODERATOR if account.is_moderator else Role.USER
            then(replace(identity, role=role))

    subject = PREFIX + names.fold_nick(identity.user)
    session.node.records.read(subject, session.awaits(command, read))


def _ttl(session: Session, identity: Identity) -> int | None:
    left_s = session.node.gate.left_s(identity)
    return None if left_s is None else max(1, ceil(left_s))


def _watch(session: Session) -> None:
    """Close a session that shows no newer token in time.

    It is looked for now and then, because a deadline that is not needed any more stays on the
    wheel until its time, and the clock that tokens go by may step.
    """
    if session.expiry is not None:
        session.expiry.cancel()
    node = session.node
    left_s = node.gate.left_s(session.whoever)
    if left_s is None:
        return
    left_s += node.config.refresh_timeout_s
    if left_s > 0:
        session.expiry = node.wheel.after(min(left_s, _LOOK_S), lambda: _watch(session))
    else:
        session.outbox.close(EXPIRED)
