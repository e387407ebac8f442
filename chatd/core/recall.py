"""Reading what was said."""

from __future__ import annotations

from collections.abc import Sequence

from chatd.core import names
from chatd.core.broker import LONGEST_PAGE, Place, Position
from chatd.core.commands import History
from chatd.core.events import Message
from chatd.core.permissions import Permission
from chatd.core.replies import Listed
from chatd.core.room import Room
from chatd.core.session import Session
from chatd.errors import UNRECOVERABLE, ChatError

__all__ = ["history"]

_PAGE_BYTES = 65536


def history(session: Session, command: History) -> None:
    """Tell what was said in a room, a page at a time."""
    name = names.room(command.room)
    session.with_room(command, name, lambda room: _read(session, command, room))


def _read(session: Session, command: History, room: Room) -> None:
    session.needs(Permission.READ, room.charter)
    since = command.since
    if since is None:
        _page(session, command, room, 0, room.head)
        return

    def located(place: Place) -> None:
        session.needs(Permission.READ, room.charter)
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
        session.needs(Permission.READ, room.charter)  # which may have changed while it was read
        in_order = list(reversed(messages)) if command.reverse else messages
        session.reply(command, Listed(in_order, room.epoch, room.head))

    if command.limit == 0 or upto <= after:
        listed(())
        return
    session.node.broker.page(
        room.name,
        after,
        upto,
        room.reading(session.awaits(command, listed)),
        limit=min(command.limit, LONGEST_PAGE),
        most_bytes=_PAGE_BYTES,
        backward=command.reverse,
    )
