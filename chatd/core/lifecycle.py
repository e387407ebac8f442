"""What becomes of a room: its topic, and its end."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from chatd.core import arguments, membership, removal
from chatd.core.broker import Ack
from chatd.core.burial import GONE
from chatd.core.commands import Rpc
from chatd.core.events import About, Kind, Sender, compact
from chatd.core.node import Node
from chatd.core.permissions import Permission
from chatd.core.replies import Answered
from chatd.core.room import Room
from chatd.core.session import Rate, Session
from chatd.errors import BAD_REQUEST, FULL, TOO_MANY_REQUESTS, ChatError, Close, Refusal

__all__ = ["MOST_TOPIC_CHARS", "destroy", "topic"]

MOST_TOPIC_CHARS = 500
"""How long a topic may be."""

_DELETED = Close(1008, "room deleted", 1008)


def topic(session: Session, command: Rpc) -> None:
    """`topic {room, topic}`: say what a room is about; the room is told, and remembers it."""
    given = arguments.fields(command.value)
    name, text = arguments.room(given), arguments.text(given, "topic")
    if len(text) > MOST_TOPIC_CHARS or any(_is_control(each) for each in text):
        raise ChatError(BAD_REQUEST)
    node = session.node

    def opened(room: Room) -> None:
        session.needs(Permission.SPEAK, room.charter)
        if not session.may(Rate.PUBLISHES):
            raise ChatError(TOO_MANY_REQUESTS)
        answered = session.awaits(command, lambda _: session.reply(command, Answered({})))

        def stored(outcome: Ack | Refusal) -> None:
            if isinstance(outcome, Refusal):
                answered(outcome)
            else:
                node.hub.amend(room, lambda: {"topic": text or None}, answered)

        # First, for its place in the record has to be that among the others which the room is told.
        told = compact({"type": "topic", "text": text})
        about = About(Kind.TOPIC)
        node.broker.publish(name, session.who, node.new_id(), told, stored, about)

    session.with_room(command, name, opened)


def _is_control(character: str) -> bool:
    return character < " " or "\x7f" <= character <= "\x9f" or character in "\u2028\u2029"


def destroy(session: Session, command: Rpc) -> None:
    """`destroy {room}`: delete a room with all that was said in it."""
    name = arguments.room(arguments.fields(command.value))

    def opened(room: Room) -> None:
        session.needs(Permission.DESTROY, room.charter)
        answered = session.awaits(command, lambda _: session.reply(command, Answered({})))
        by = session.who

        def gone(refusal: Refusal | None) -> None:
            if refusal is None:
                _destroy(session.node, by, room, answered)
            else:
                answered(refusal)

        if room.charter.is_gone:  # as far as it was, it failed
            gone(None)
        else:
            session.node.hub.amend(room, lambda: _judge(session, room), gone)

    session.with_room(command, name, opened)


def _judge(session: Session, room: Room) -> dict[str, str]:
    session.needs(Permission.DESTROY, room.charter)
    return {GONE: "1"}


def _destroy(node: Node, by: Sender, room: Room, done: membership.Done) -> None:
    node.audit.note("destroy", by, room=room.name)
    removal.clear(node, room, _DELETED)
    for user in room.presence:
        room.presence.give_up(user)

    def last(told: Callable[[int | Refusal], None]) -> None:
        charter = room.charter
        users = [user for user in (charter.owner, *charter.members) if user]
        # If they keep it in their lists, it is not shown there: it is not theirs any more.
        end = partial(_end, node, by, room, told)
        membership.note(node, users, room.name, theirs=False, done=end)

    node.hub.bury(room, last, done)


def _end(
    node: Node,
    by: Sender,
    room: Room,
    told: Callable[[int | Refusal], None],
    refusal: Refusal | None,
) -> None:
    """Publish a last thing: once it is stored, all that was under way is, and it is its end."""

    def stored(outcome: Ack | Refusal) -> None:
        if isinstance(outcome, Ack):
            told(outcome.position.offset)
        else:
            told(room.head if outcome is FULL else outcome)

    node.broker.publish(room.name, by, node.new_id(), compact({"type": "destroyed"}), stored)
