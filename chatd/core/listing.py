"""The list of rooms, as far as it is for whoever asks.

A room that is private, direct or being destroyed is listed for those alone who may read it; others
do not learn that it is there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chatd.core import names
from chatd.core.broker import RoomSummary
from chatd.core.charter import Charter, RoomKind, room_subject
from chatd.core.commands import Rpc
from chatd.core.events import compact
from chatd.core.permissions import Permission, refused
from chatd.core.records import MOST_SUBJECTS
from chatd.core.replies import Answered
from chatd.core.session import Rate, Session
from chatd.errors import TOO_MANY_REQUESTS, ChatError

__all__ = ["LISTED_BYTES", "MOST_LISTED", "rooms"]

MOST_LISTED = 1000
"""So many rooms are listed at most."""

LISTED_BYTES = 128 * 1024
"""About so long a list is at most; topics can make it longer than any frame should be."""

_COST = 10  # commands more that it counts for: it takes as long
_FIELDS = ("gone", "owner", "private", "topic")  # of a room's record; and what is about oneself

Row = Mapping[str, object]


def rooms(session: Session, command: Rpc) -> None:
    """`rooms {}`: the rooms that one may read, the latest first."""
    if not session.may(Rate.COMMANDS, _COST):
        raise ChatError(TOO_MANY_REQUESTS)
    node, identity = session.node, session.whoever
    profile = node.profiles.find(identity.user)
    own = dict.fromkeys(profile.rooms if profile else ())
    own.update(dict.fromkeys(sorted(identity.rooms or ())))
    mine = list(own)[:MOST_SUBJECTS]

    def listed(public: Sequence[RoomSummary]) -> None:
        def told(theirs: Sequence[RoomSummary]) -> None:
            found = {each.name: each for each in theirs}
            summaries = {name: found.get(name) or RoomSummary(name, 0, 0) for name in mine}
            for each in public:
                if not names.is_unlisted(each.name):
                    summaries.setdefault(each.name, each)
            listed = {each.name for each in public}
            _Listing(session, command, list(summaries.values()), listed).read()

        node.broker.rooms(session.awaits(command, told), mine)

    node.broker.rooms(session.awaits(command, listed))


class _Listing:
    """A list that is being made, some records at a time."""

    def __init__(
        self,
        session: Session,
        command: Rpc,
        summaries: Sequence[RoomSummary],
        public: set[str],
    ) -> None:
        self._session = session
        self._public = public
        self._command = command
        self._left = sorted(summaries, key=lambda each: (-each.time_ms, each.name))
        self._rows: list[Row] = []
        self._bytes = 0

    def read(self) -> None:
        """Read the next records, or answer."""
        is_full = len(self._rows) >= MOST_LISTED or self._bytes >= LISTED_BYTES
        if is_full or not self._left:
            self._session.reply(self._command, Answered(self._rows))
            return
        now, self._left = self._left[:MOST_SUBJECTS], self._left[MOST_SUBJECTS:]

        def came(records: Mapping[str, Mapping[str, str]]) -> None:
            for each in now:
                self._add(each, records.get(room_subject(each.name), {}))
            self.read()

        user = self._session.whoever.user
        self._session.node.records.read_many(
            [room_subject(each.name) for each in now],
            [*_FIELDS, f"member:{user}", f"out:{user}"],
            self._session.awaits(self._command, came),
        )

    def _add(self, summary: RoomSummary, record: Mapping[str, str]) -> None:
        node = self._session.node
        room = node.hub.find(summary.name)
        # As it is now, when it is open; it was written after this was read, maybe.
        charter = room.charter if room else Charter(summary.name, record)
        is_full = len(self._rows) >= MOST_LISTED or self._bytes >= LISTED_BYTES
        now_ms = node.now_ms()
        if is_full or refused(Permission.READ, self._session.whoever, charter, now_ms):
            return
        if charter.kind is RoomKind.PUBLIC and summary.name not in self._public:
            return  # it was theirs once; now there is nothing in it
        row: dict[str, object] = {
            "room": summary.name,
            "members": room.presence.users if room else 0,
            "offset": summary.head,
            "time": summary.time_ms,
        }
        if charter.topic:
            row["topic"] = charter.topic
        if charter.kind is RoomKind.PRIVATE:
            row["private"] = True
        self._rows.append(row)
        self._bytes += len(compact(row))
