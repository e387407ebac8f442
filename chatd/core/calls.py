"""What can be called by its name (`rpc`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from chatd.core import names
from chatd.core.broker import RoomSummary
from chatd.core.commands import Rpc
from chatd.core.events import Sender, Signal, compact
from chatd.core.node import Node
from chatd.core.replies import Answered
from chatd.core.session import Rate, Session
from chatd.errors import BAD_REQUEST, NO_SUCH_COMMAND, TOO_MANY_REQUESTS, ChatError

__all__ = ["call", "remember_nick", "user_subject"]


def call(session: Session, command: Rpc) -> None:
    """Answer a call.

    Raises:
        ChatError: there is none of that name, or its argument makes no sense.
    """
    run = _CALLS.get(command.method)
    if run is None:
        raise ChatError(NO_SUCH_COMMAND)
    run(session, command)


def user_subject(user: str) -> str:
    """The record of a user."""
    return f"user:{user}"


def remember_nick(node: Node, user: str, nick: str) -> None:
    """Keep the nick that a user took, whatever their token says."""
    # Records log by themselves that they cannot be written, once and not for each.
    node.records.write(user_subject(user), {"nick": nick}, lambda refusal: None)


def _nick(session: Session, command: Rpc) -> None:
    """`nick {nick}`: be called something else, in all rooms and on all of one's sessions."""
    value = command.value
    wanted = value.get("nick") if isinstance(value, dict) else None
    if not isinstance(wanted, str):
        raise ChatError(BAD_REQUEST)
    nick = names.nick(wanted)
    node, sender = session.node, session.sender
    assert sender is not None
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


def _rooms(session: Session, command: Rpc) -> None:
    """`rooms {}`: the rooms in which something was said, the latest first."""
    node = session.node

    def listed(summaries: Sequence[RoomSummary]) -> None:
        rows = []
        for each in summaries:
            room = node.hub.find(each.name)
            members = room.presence.users if room else 0
            rows.append(
                {"room": each.name, "members": members, "offset": each.head, "time": each.time_ms}
            )
        session.reply(command, Answered(rows))

    node.broker.rooms(session.awaits(command, listed))


_CALLS: Mapping[str, Callable[[Session, Rpc], None]] = {"nick": _nick, "rooms": _rooms}
