"""An archive that is watched, for tests of what asks one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from sqlite3 import Connection
from typing import Any, TypeVar

from chatd.brokers.sqlite import SqliteBroker
from chatd.core.archive import Archive, Query, Target, Unread
from chatd.core.events import Message, Sender
from chatd.core.identity import Role
from chatd.core.room import Room
from chatd.errors import BAD_REQUEST, Refusal
from tests.support.people import PeopleCase, Person

__all__ = ["ArchiveCase", "WatchedArchive"]

T = TypeVar("T")

_OFFSET_BITS = 40
_LAST = (1 << _OFFSET_BITS) - 1


class WatchedArchive:
    """The archive of a broker, and what is asked of it.

    Args:
        broker: whose database is read.
        archive: what answers, but for searches: these read all there is, indexed or not.

    Attributes:
        asked: of each question, its name and room.
        refusal: of all that is asked from now on; None: it is answered.
        telling: called each time before an answer is told.
    """

    def __init__(self, broker: SqliteBroker, archive: Archive) -> None:
        self.asked: list[tuple[str, str]] = []
        self.refusal: Refusal | None = None
        self.telling: Callable[[], None] = lambda: None
        self._broker = broker
        self._archive = archive

    def target(
        self, room: str, offset: int, done: Callable[[Target | Refusal | None], None]
    ) -> None:
        """See `Archive.target`."""
        self._ask("target", room, done, partial(self._archive.target, room, offset))

    def unread(
        self,
        room: str,
        after: int,
        user: str,
        names: Sequence[str],
        done: Callable[[Unread | Refusal], None],
    ) -> None:
        """See `Archive.unread`."""
        self._ask("unread", room, done, partial(self._archive.unread, room, after, user, names))

    def search(self, query: Query, done: Callable[[Sequence[Message] | Refusal], None]) -> None:
        """See `Archive.search`; a word is found wherever it is in the payload."""

        def read(connection: Connection) -> Sequence[Message]:
            rows = connection.execute(
                "select m.key & ?, m.sender, m.body, m.time from message m"
                " join room on room.n = m.key >> ? where room.name = ? and m.kind = 1"
                " and instr(m.body, ?) order by m.key desc limit ?",
                (_LAST, _OFFSET_BITS, query.room, query.text, query.limit),
            )
            return [
                Message(query.room, Sender.decode(sender), body, at, time_ms)
                for at, sender, body, time_ms in rows
            ]

        def ask(told: Callable[[Sequence[Message] | Refusal], None]) -> None:
            if query.text == "!":
                self._broker._later(lambda: told(BAD_REQUEST))
            else:
                assert self._broker.connections.read(read, told)

        self._ask("search", query.room, done, ask)

    def _ask(
        self,
        what: str,
        room: str,
        done: Callable[[T | Refusal], None],
        ask: Callable[[Callable[[T | Refusal], None]], None],
    ) -> None:
        def told(outcome: T | Refusal) -> None:
            self.telling()
            done(outcome)

        self.asked.append((what, room))
        refusal = self.refusal
        if refusal is None:
            ask(told)
        else:
            self._broker._later(lambda: told(refusal))


class ArchiveCase(PeopleCase):
    """People whose archive is watched.

    Attributes:
        archive: the archive.
    """

    def start(self, **limits: Any) -> None:
        """See `PeopleCase.start`."""
        super().start(**limits)
        self.archive = WatchedArchive(self.broker, self.node.archive)
        self.node = replace(self.node, archive=self.archive)

    def hold_storing(self) -> None:
        """Have what is published from now on wait for `worker.release`, once it is judged."""
        self.archive.telling = partial(setattr, self.worker, "is_held", True)

    def moderator(self, nick: str, *rooms: str) -> Person:
        """Somebody who moderates the server."""
        person = self.guest(nick, *rooms)
        person.session.identity = replace(person.session.whoever, role=Role.MODERATOR)
        return person

    def log(self, room: str = "lobby") -> list[Message]:
        """All that is stored in a room."""
        pages: list[Sequence[Message] | Refusal] = []
        held: list[Room | Refusal] = []
        self.hub.open(room, held.append)
        self.settle()
        (found,) = held
        assert isinstance(found, Room), found
        self.broker.page(room, 0, found.head, pages.append, limit=500)
        self.settle()
        self.hub.release(found)
        (page,) = pages
        assert not isinstance(page, Refusal), page
        return list(page)
