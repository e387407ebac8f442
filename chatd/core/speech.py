"""Saying something: by the plain door, or as a published value.

Whether somebody may is decided at the moment in which it is published. Members of a room may, as
long as nobody there is restrained: who may not speak in it is no member.
"""

from __future__ import annotations

from chatd.core import chat, membership, names, restraint
from chatd.core.changes import answered_again, change
from chatd.core.charter import Charter
from chatd.core.commands import Publish, Say, Send
from chatd.core.events import MESSAGE, Relay, Signal, payload
from chatd.core.permissions import Permission
from chatd.core.replies import Done
from chatd.core.room import Room
from chatd.core.session import Session
from chatd.errors import BAD_REQUEST, NO_SUCH_MESSAGE, ChatError, Refusal

__all__ = ["publish", "say", "send"]


def say(session: Session, command: Say) -> None:
    """Say a text to the room one came for."""
    member = session.memberships.get(session.home)
    if member is None:  # it speaks another dialect
        raise ChatError(BAD_REQUEST)
    charter = member.room.charter
    if charter.restrains:
        _restrained(session, charter)
    message_id = session.node.new_id()
    text = command.text
    session.node.broker.publish(
        session.home,
        session.who,
        message_id,
        payload(message_id, text),
        session.published(command),
        chat.about(text) if "@" in text else MESSAGE,
    )


def send(session: Session, command: Send) -> None:
    """Pass bytes on to whoever is there."""
    member = session.memberships.get(session.home)
    if member is None:  # it speaks another dialect
        raise ChatError(BAD_REQUEST)
    charter = member.room.charter
    if charter.restrains:
        _restrained(session, charter, counts=False)
    relay = Relay(session.home, session.who, command.data, command.binary)
    session.node.broker.ephemeral(relay, lambda outcome: _refused(session, command, outcome))


def _refused(session: Session, command: Send, outcome: object) -> None:
    assert isinstance(outcome, Refusal)  # what passes is never acknowledged
    session.refuse(command, outcome)


def publish(session: Session, command: Publish) -> None:
    """Say a value to a room, stored or only told."""
    config = session.node.config
    name = names.room(command.room)
    said = chat.judge(
        command.value,
        command.payload,
        most_bytes=config.message_bytes,
        most_chars=config.text_chars,
    )
    if said.about.ref:
        session.with_room(command, name, lambda room: _change(session, command, room, said))
    elif name in session.memberships:
        room = session.memberships[name].room
        if not room.charter.restrains or _may(session, command, room, said):
            _publish(session, command, room, said)
    else:
        session.with_room(command, name, lambda room: _came_by(session, command, room, said))


def _change(session: Session, command: Publish, room: Room, said: chat.Said) -> None:
    assert said.message_id is not None  # or it would not have been let through
    change(session, command, room, said.about, said.message_id)


def _came_by(session: Session, command: Publish, room: Room, said: chat.Said) -> None:
    """Say something to a room one is not in."""
    if _may(session, command, room, said):
        _publish(session, command, room, said)


def _may(session: Session, command: Publish, room: Room, said: chat.Said) -> bool:
    """Let somebody speak; False when they may not, but said it and were answered before.

    Raises:
        ChatError: they may not.
    """
    try:
        own_id = said.message_id or ""
        _restrained(session, room.charter, own_id, counts=not said.is_signal)
    except ChatError:
        if said.message_id and answered_again(session, command, room, said.message_id):
            return False
        raise
    if not room.charter.is_listed and not said.is_signal:
        membership.announce(session, room)
    return True


def _restrained(
    session: Session, charter: Charter, own_id: str = "", *, counts: bool = True
) -> None:
    session.needs(Permission.SPEAK, charter)
    if charter.restrains:
        restraint.check(session, charter, own_id, counts=counts)


def _publish(session: Session, command: Publish, room: Room, said: chat.Said) -> None:
    node, sender = session.node, session.who
    if said.reply_to > room.head:
        raise ChatError(NO_SUCH_MESSAGE)
    if said.is_signal:
        # Nobody minds one that is lost, so it is answered before it is told.
        node.broker.ephemeral(Signal(room.name, sender, command.payload), lambda outcome: None)
        session.reply(command, Done("publish"))
    else:
        message_id = said.message_id or node.new_id()
        done = session.published(command)
        node.broker.publish(room.name, sender, message_id, command.payload, done, said.about)
