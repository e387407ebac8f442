"""Finding what was said in a room by its words."""

from __future__ import annotations

from collections.abc import Sequence

from chatd.core import arguments, names
from chatd.core.archive import MOST_FOUND, Query
from chatd.core.commands import Rpc
from chatd.core.events import Message
from chatd.core.permissions import Permission
from chatd.core.replies import Found
from chatd.core.room import Room
from chatd.core.session import Session
from chatd.errors import BAD_REQUEST, ChatError

__all__ = ["search"]

_MOST_CHARS = 200
_MOST_SKIPPED = 1000
_LARGEST = (1 << 63) - 1


def search(session: Session, command: Rpc) -> None:
    """`search {room, text, user?, since?, until?, before?, rank?, skip?, limit?}`: see `Query`."""
    query = _query(command.value)
    session.with_room(command, query.room, lambda room: _search(session, command, room, query))


def _search(session: Session, command: Rpc, room: Room, query: Query) -> None:
    session.needs(Permission.READ, room.charter)

    def found(messages: Sequence[Message]) -> None:
        session.needs(Permission.READ, room.charter)
        session.reply(command, Found(messages, len(messages) == query.limit))

    came = room.reading(session.awaits(command, found))
    session.node.archive.search(query, came)


def _query(value: object) -> Query:
    given = arguments.fields(value)
    text = arguments.text(given, "text")
    if not 0 < len(text) <= _MOST_CHARS:
        raise ChatError(BAD_REQUEST)
    user = arguments.maybe_text(given, "user")
    return Query(
        arguments.room(given),
        text,
        user="" if user is None else names.user(user),
        since_ms=arguments.whole(given, "since", 0, _LARGEST, 0),
        until_ms=arguments.whole(given, "until", 0, _LARGEST, 0),
        before=arguments.whole(given, "before", 0, _LARGEST, 0),
        by_rank=arguments.flag(given, "rank"),
        skip=arguments.whole(given, "skip", 0, _MOST_SKIPPED, 0),
        limit=arguments.whole(given, "limit", 1, MOST_FOUND, MOST_FOUND),
    )
