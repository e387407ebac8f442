"""What can be called by its name (`rpc`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from chatd.core import (
    arguments,
    finding,
    lifecycle,
    listing,
    membership,
    moderation,
    names,
    unread,
)
from chatd.core.commands import Rpc
from chatd.core.events import Sender, Signal, compact
from chatd.core.node import Node
from chatd.core.permissions import Office, check_office
from chatd.core.replies import Answered
from chatd.core.session import Rate, Session
from chatd.errors import NO_SUCH_COMMAND, TOO_MANY_REQUESTS, ChatError

__all__ = ["call", "remember_nick"]


def call(session: Session, command: Rpc) -> None:
    """Answer a call.

    Raises:
        ChatError: there is none of that name, or its argument makes no sense.
    """
    run = _CALLS.get(command.method)
    if run is None:
        raise ChatError(NO_SUCH_COMMAND)
    run(session, command)


def remember_nick(node: Node, user: str, nick: str) -> None:
    """Keep the nick that a user took, whatever their token says."""
    # Records log by themselves that they cannot be written, once and not for each.
    is_here = user in node.sessions
    node.profiles.change(user, {"nick": nick}, is_here=is_here, done=lambda refusal: None)


def _nick(session: Session, command: Rpc) -> None:
    """`nick {nick}`: be called something else, in all rooms and on all of one's sessions."""
    check_office(Office.RENAME, session.whoever)
    nick = names.nick(arguments.text(arguments.fields(command.value), "nick"))
    node, sender = session.node, session.who
    user, before = sender.user, sender.nick
    if nick != before:
        rooms = {name for each in node.sessions[user].values() for name in each.memberships}
        if not session.may(Rate.PUBLISHES, max(1, len(rooms))):  # each room is told
            raise ChatError(TOO_MANY_REQUESTS)
        node.nicks.rename(user, nick)
        remember_nick(node, user, nick)
        _tell_renamed(node, user, before, nick)
    session.reply(command, Answered({"nick": nick}))


def _tell_renamed(node: Node, user: str, before: str, nick: str) -> None:
    told = compact({"type": "nick", "user": user, "from": before, "to": nick})
    rooms: dict[str, Sender] = {}
    for each in node.sessions[user].values():
        each.sender = Sender(user, each.id, nick)
        for room in each.memberships:
            rooms.setdefault(room, each.sender)
    for room, sender in rooms.items():
        node.broker.join(room, sender)
        node.broker.ephemeral(Signal(room, sender, told), lambda refusal: None)


_CALLS: Mapping[str, Callable[[Session, Rpc], None]] = {
    "ban": moderation.ban,
    "kick": moderation.kick,
    "mute": moderation.mute,
    "nick": _nick,
    "slow": moderation.slow,
    "unban": moderation.unban,
    "whois": moderation.whois,
    "rooms": listing.rooms,
    "topic": lifecycle.topic,
    "destroy": lifecycle.destroy,
    "private": membership.private,
    "invite": membership.invite,
    "join": membership.join,
    "members": membership.members,
    "leave": membership.leave,
    "direct": membership.direct,
    "read": unread.read,
    "unread": unread.unread,
    "search": finding.search,
}
