"""What each command does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chatd.core import calls, chat, names
from chatd.core.broker import LONGEST_PAGE, Place, Position
from chatd.core.commands import (
    Connect,
    Enter,
    History,
    Ignored,
    Ping,
    Presence,
    PresenceStats,
    Publish,
    Refresh,
    Rpc,
    Say,
    Send,
    Strange,
    Subscribe,
    Unsubscribe,
)
from chatd.core.events import Message, Notice, Relay, Sender, Signal, Unsubscribed, payload
from chatd.core.replies import Connected, Counted, Done, Listed, Present, Subscribed
from chatd.core.room import Member, Room
from chatd.core.session import Action, Rate, Session, State
from chatd.errors import (
    ALREADY_SUBSCRIBED,
    INVALID_TOKEN,
    LIMIT_EXCEEDED,
    NOT_AVAILABLE,
    STALLED,
    UNRECOVERABLE,
    ChatError,
    Refusal,
)

__all__ = ["ACTIONS"]

_PAGE_BYTES = 65536
_LISTED_USERS = 1000
_INSUFFICIENT_STATE = 2500


def _sender(session: Session) -> Sender:
    assert session.sender is not None  # or the table would not have let it in
    return session.sender


# The plain door


def _enter(session: Session, command: Enter) -> None:
    node = session.node
    name = names.room(names.DEFAULT_ROOM if command.room is None else command.room)
    wanted = None if command.nick is None else names.nick(command.nick)
    user = node.guests.admit()
    nick = node.nicks.take(user, wanted, names.guest(user))
    session.admit(user, nick, comes_back=False)
    session.home = name
    session.with_room(command, name, lambda room: _entered(session, room))


def _entered(session: Session, room: Room) -> None:
    config = session.node.config
    if config.greeting:
        session.outbox.answer(session.dialect.encode(Notice(config.greeting)))
    member = Member(
        room, _sender(session), session.dialect, session.outbox, config.echo, _close_stalled
    )
    session.enter(member, room.head)


def _close_stalled(member: Member) -> None:
    member.outbox.close(STALLED)


def _say(session: Session, command: Say) -> None:
    message_id = session.node.new_id()
    session.node.broker.publish(
        session.home,
        _sender(session),
        message_id,
        payload(message_id, command.text),
        session.published(command),
    )


def _send(session: Session, command: Send) -> None:
    relay = Relay(session.home, _sender(session), command.data, command.binary)
    session.node.broker.ephemeral(relay, lambda outcome: _refused(session, command, outcome))


def _refused(session: Session, command: Send, outcome: object) -> None:
    assert isinstance(outcome, Refusal)  # what passes is never acknowledged
    session.refuse(command, outcome)


# Coming in


def _connect(session: Session, command: Connect) -> None:
    node = session.node
    if command.token:  # and there are no keys that it could be checked by
        session.outbox.close(INVALID_TOKEN)
        return
    wanted = None if command.nick is None else names.nick(command.nick)
    holder = node.guests.holder(command.resume) if command.resume else None
    if holder is None:
        _admit(session, command, node.guests.admit(), wanted)
        return
    user, before = holder
    chosen = None if before == names.guest(user) else before

    def recalled(record: Mapping[str, str]) -> None:
        _admit(session, command, user, record.get("nick", chosen or wanted))

    node.records.read(calls.user_subject(user), session.awaits(command, recalled))


def _admit(session: Session, command: Connect, user: str, wanted: str | None) -> None:
    node, config = session.node, session.node.config
    nick = node.nicks.take(user, wanted, names.guest(user))
    sender = session.admit(user, nick, comes_back=True)
    limits = {
        "text": config.text_chars,
        "publish_per_s": config.publish_per_s,
        "burst": config.publish_burst,
    }
    resume = node.guests.token(user, nick)
    session.reply(command, Connected(sender, resume, config.ping_interval_s, limits))


# Rooms


def _subscribe(session: Session, command: Subscribe) -> None:
    name = names.room(command.room)
    if name in session.memberships:
        raise ChatError(ALREADY_SUBSCRIBED)
    if len(session.memberships) >= session.node.config.rooms_per_connection:
        raise ChatError(LIMIT_EXCEEDED)
    session.with_room(command, name, lambda room: _opened(session, command, room))


def _opened(session: Session, command: Subscribe, room: Room) -> None:
    since = command.since
    if since is None:
        _subscribed(session, command, room, room.head)
        return

    def located(place: Place) -> None:
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
        _sender(session),
        dialect,
        session.outbox,
        True,
        lambda member: _insufficient(session, command.room, member),
    )
    is_asked = command.since is not None
    offset = room.head if after is None else after
    members = room.presence.users + (_sender(session).user not in room.presence)
    session.reply(
        command,
        Subscribed(room.epoch, offset, is_asked, is_asked and after is not None, members),
    )
    session.enter(member, offset)


def _insufficient(session: Session, room: str, member: Member) -> None:
    """What a member missed cannot be had any more: it is to subscribe again."""
    session.leave(member.room.name, comes_back=True)
    gone = Unsubscribed(room, _INSUFFICIENT_STATE, "insufficient state")
    session.outbox.answer(session.dialect.encode(gone))
    session.outbox.flush()


def _unsubscribe(session: Session, command: Unsubscribe) -> None:
    name = names.room(command.room)
    if name in session.memberships:
        session.leave(name, comes_back=False)
    session.reply(command, Done("unsubscribe"))


def _publish(session: Session, command: Publish) -> None:
    node, config = session.node, session.node.config
    name = names.room(command.room)
    said = chat.judge(
        command.value,
        command.payload,
        most_bytes=config.message_bytes,
        most_chars=config.text_chars,
    )

    def publish() -> None:
        sender = _sender(session)
        if said.is_signal:
            # Nobody minds one that is lost, so it is answered before it is told.
            node.broker.ephemeral(Signal(name, sender, command.payload), lambda outcome: None)
            session.reply(command, Done("publish"))
        else:
            message_id = said.message_id or node.new_id()
            done = session.published(command)
            node.broker.publish(name, sender, message_id, command.payload, done)

    if name in session.memberships:
        publish()
    else:
        session.with_room(command, name, lambda room: publish())


def _history(session: Session, command: History) -> None:
    name = names.room(command.room)
    session.with_room(command, name, lambda room: _read(session, command, room))


def _read(session: Session, command: History, room: Room) -> None:
    since = command.since
    if since is None:
        _page(session, command, room, 0, room.head)
        return

    def located(place: Place) -> None:
        if place in (Place.RESET, Place.TRUNCATE):
            raise ChatError(UNRECOVERABLE)
        if command.reverse:
            _page(session, command, room, 0, since.offset - 1)
        else:
            _page(session, command, room, since.offset, room.head)

    position = Position(since.epoch, since.offset)
    session.node.broker.locate(room.name, position, session.awaits(command, located))


def _page(session: Session, command: History, room: Room, after: int, upto: int) -> None:
    def listed(messages: Sequence[Message]) -> None:
        in_order = list(reversed(messages)) if command.reverse else messages
        session.reply(command, Listed(in_order, room.epoch, room.head))

    if command.limit == 0 or upto <= after:
        listed(())
        return
    session.node.broker.page(
        room.name,
        after,
        upto,
        session.awaits(command, listed),
        limit=min(command.limit, LONGEST_PAGE),
        most_bytes=_PAGE_BYTES,
        backward=command.reverse,
    )


def _presence(session: Session, command: Presence) -> None:
    def opened(room: Room) -> None:
        session.node.broker.present(room.name, session.awaits(command, present))

    def present(users: Mapping[str, Sender]) -> None:
        session.reply(command, Present(list(users.values())[:_LISTED_USERS]))

    session.with_room(command, names.room(command.room), opened)


def _presence_stats(session: Session, command: PresenceStats) -> None:
    room = session.node.hub.find(names.room(command.room))
    counted = Counted(room.presence.clients, room.presence.users) if room else Counted(0, 0)
    session.reply(command, counted)


# The rest


def _rpc(session: Session, command: Rpc) -> None:
    calls.call(session, command)


def _refresh(session: Session, command: Refresh) -> None:
    raise ChatError(NOT_AVAILABLE)  # guests have no token that could expire


def _ping(session: Session, command: Ping) -> None:
    session.reply(command, Done("ping"))


def _ignored(session: Session, command: Ignored) -> None:
    """Nothing."""


def _strange(session: Session, command: Strange) -> None:
    raise ChatError(command.refusal)


ACTIONS: Mapping[type, Action] = {
    Enter: Action(State.CONNECTING, Rate.COMMANDS, _enter),
    Connect: Action(State.CONNECTING, Rate.COMMANDS, _connect),
    Say: Action(State.LIVE, Rate.PUBLISHES, _say),
    Send: Action(State.LIVE, Rate.PUBLISHES, _send),
    Publish: Action(State.LIVE, Rate.PUBLISHES, _publish),
    Subscribe: Action(State.LIVE, Rate.COMMANDS, _subscribe),
    Unsubscribe: Action(State.LIVE, Rate.COMMANDS, _unsubscribe),
    History: Action(State.LIVE, Rate.COMMANDS, _history),
    Presence: Action(State.LIVE, Rate.COMMANDS, _presence),
    PresenceStats: Action(State.LIVE, Rate.COMMANDS, _presence_stats),
    Rpc: Action(State.LIVE, Rate.COMMANDS, _rpc),
    Refresh: Action(State.LIVE, Rate.COMMANDS, _refresh),
    Ping: Action(State.LIVE, Rate.COMMANDS, _ping),
    Ignored: Action(State.LIVE, Rate.COMMANDS, _ignored),
    Strange: Action(State.LIVE, Rate.COMMANDS, _strange),
}
