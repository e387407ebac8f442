"""Read marks, and what somebody has not read yet: in which rooms, how much, and who named them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice

from chatd.core import arguments
from chatd.core.archive import Unread
from chatd.core.broker import RoomSummary
from chatd.core.charter import Charter, room_subject
from chatd.core.commands import Rpc
from chatd.core.events import compact
from chatd.core.names import fold_nick
from chatd.core.permissions import Permission, refused
from chatd.core.profiles import MOST_ROOMS, Profile
from chatd.core.replies import Answered
from chatd.core.room import Room
from chatd.core.session import Rate, Session
from chatd.errors import LIMIT_EXCEEDED, TOO_MANY_REQUESTS, ChatError, Refusal

__all__ = ["SLICE", "read", "unread"]

SLICE = 32
"""So many rooms are counted at once; nothing else is done for the session meanwhile."""

_COST = 10  # commands more that it counts for: it takes as long
_LARGEST_OFFSET = (1 << 63) - 1

_Told = Callable[[Refusal | None], None]


def read(session: Session, command: Rpc) -> None:
    """`read {room, offset}`: one has read everything up to an offset; marks only move forward."""
    given = arguments.fields(command.value)
    name = arguments.room(given)
    offset = arguments.whole(given, "offset", 0, _LARGEST_OFFSET)
    session.with_room(command, name, lambda room: _mark(session, command, room, offset))


def _mark(session: Session, command: Rpc, room: Room, offset: int) -> None:
    session.needs(Permission.READ, room.charter)
    node, user, name = session.node, session.who.user, room.name
    marks = _profile(session).marks
    upto = min(offset, room.head)
    if upto <= marks.get(name, 0):
        session.reply(command, Answered({}))
        return
    if name not in marks and len(marks) >= MOST_ROOMS:
        raise ChatError(LIMIT_EXCEEDED)

    def replied(_: None) -> None:
        session.reply(command, Answered({}))

    came = session.awaits(command, replied)

    def stored(refusal: Refusal | None) -> None:
        if refusal is None:
            told = {"type": "read", "room": name, "offset": upto}
            node.whisper(user, compact(told), but=session)
        came(refusal)

    node.profiles.mark(user, name, upto, stored)


def unread(session: Session, command: Rpc) -> None:
    """`unread {}`: of each room that is one's own, or has a mark, or that one is in, the counts."""
    if not session.may(Rate.COMMANDS, _COST):
        raise ChatError(TOO_MANY_REQUESTS)
    arguments.fields(command.value)
    profile = _profile(session)
    rooms = dict.fromkeys((*session.memberships, *profile.rooms, *profile.marks))
    names = list(islice(rooms, MOST_ROOMS))
    if not names:
        session.reply(command, Answered({}))
        return

    def listed(summaries: Sequence[RoomSummary]) -> None:
        heads = {each.name: each.head for each in summaries}
        _Counting(session, command, names, heads, profile.marks).next_slice()

    session.node.broker.rooms(session.awaits(command, listed), names)


class _Counting:
    """One answer to `unread`, on its way."""

    def __init__(
        self,
        session: Session,
        command: Rpc,
        rooms: Sequence[str],
        heads: Mapping[str, int],
        marks: Mapping[str, int],
    ) -> None:
        self._session = session
        self._command = command
        self._rooms = rooms
        self._heads = heads
        self._marks = dict(marks)
        self._at = 0
        self._found: dict[str, dict[str, int]] = {}
        who = session.who
        self._user = who.user
        self._names = tuple({fold_nick(who.nick), fold_nick(who.user)})

    def next_slice(self) -> None:
        """Count some more rooms; after the last ones the answer is given."""
        rooms = self._rooms[self._at : self._at + SLICE]
        self._at += SLICE
        if not rooms:
            self._answer()
            return
        waiting = len(rooms)
        failure: Refusal | None = None

        def counted(_: None) -> None:
            self.next_slice()

        came = self._session.awaits(self._command, counted)

        def told(refusal: Refusal | None) -> None:
            nonlocal waiting, failure
            waiting -= 1
            failure = failure or refusal
            if not waiting:
                came(failure)

        for name in rooms:
            self._look(name, told)

    def _look(self, name: str, told: _Told) -> None:
        node = self._session.node
        room = node.hub.find(name)
        if room is not None:
            self._count(room.charter, room.head, told)
            return

        def chartered(record: Mapping[str, str] | Refusal) -> None:
            if isinstance(record, Refusal):
                told(record)
            else:
                self._count(Charter(name, record), self._heads.get(name, 0), told)

        node.records.read(room_subject(name), chartered)

    def _count(self, charter: Charter, head: int, told: _Told) -> None:
        name, read_upto = charter.name, self._marks.get(charter.name, 0)
        if not self._may_read(charter):
            told(None)
            return

        def counted(outcome: Unread | Refusal) -> None:
            if isinstance(outcome, Refusal):
                told(outcome)
                return
            messages, mentions = outcome
            self._found[name] = {
                "read": read_upto,
                "offset": head,
                "unread": messages,
                "mentions": mentions,
            }
            told(None)

        if head > read_upto:
            archive = self._session.node.archive
            archive.unread(name, read_upto, self._user, self._names, counted)
        else:
            counted(Unread(0, 0))

    def _answer(self) -> None:
        answer = {}
        for name in self._rooms:
            room = self._session.node.hub.find(name)
            # Judged again: of what was asked first somebody may have been taken out since.
            if name in self._found and (room is None or self._may_read(room.charter)):
                answer[name] = self._found[name]
        self._session.reply(self._command, Answered(answer))

    def _may_read(self, charter: Charter) -> bool:
        session = self._session
        now_ms = session.node.now_ms()
        return refused(Permission.READ, session.whoever, charter, now_ms) is None


def _profile(session: Session) -> Profile:
    return session.node.profiles.find(session.who.user) or Profile()
