"""A broker whose every answer the test gives, when and in the order it wants, and a dialect."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from twisted.internet.task import Clock

from chatd.core.broker import (
    BLOCK,
    ERASED,
    Ack,
    Deliver,
    Done,
    Opened,
    Place,
    Position,
    RoomSummary,
)
from chatd.core.events import (
    OTHER,
    About,
    Joined,
    Left,
    Message,
    Notice,
    Passing,
    Relay,
    RoomEvent,
    Sender,
    Signal,
    Unsubscribed,
    Whisper,
)
from chatd.core.replies import Reply, Told
from chatd.errors import UNAVAILABLE, Refusal

__all__ = ["EPOCH", "Asked", "Lines", "ScriptedBroker"]

EPOCH = "epoch-1"
"""The one opening of the store."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """Something the broker was asked and has not told yet.

    Args:
        what: the name of the method.
        room: the room asked about; empty: none.
        tell: tells it; told a refusal, that, and told to be early, what was so when it was asked.
    """

    what: str
    room: str
    tell: Callable[[Refusal | None, bool], None]


@dataclass(frozen=True, slots=True)
class _Publishing:
    message: Message
    message_id: str
    about: About
    done: Done


class ScriptedBroker:
    """`core.broker.Broker` in memory, which does nothing by itself.

    Args:
        clock: None: the test calls `commit` and `answer`. Else all that waits is done each time
            when the clock is advanced, even by 0.

    Attributes:
        pending: what was published and is not stored yet, in order.
        asked: what is to be answered.
        now_ms: the time of what is stored.
        longest_page: at most so many messages come at once, whatever was asked.
        pages: of each page that was asked for, its room and the first and the last offset of it.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock
        self._is_scheduled = False
        self._is_draining = False
        self._deliver: Deliver = lambda batch: None
        self._stored: dict[str, list[Message]] = {}
        self._abouts: dict[str, list[About]] = {}
        self._gone: dict[str, int] = {}
        self._acked: dict[tuple[str, str, str], int] = {}
        self._present: dict[str, dict[str, Sender]] = {}
        self.is_up = True
        self.now_ms = 0
        self.open_rooms: set[str] = set()
        self.pending: list[_Publishing | Passing] = []
        self.asked: list[Asked] = []
        self.longest_page = 500
        self.pages: list[tuple[str, int, int]] = []

    # For the test

    def commit(self, count: int | None = None, *, refusal: Refusal | None = None) -> None:
        """Store and deliver, or refuse, what is pending.

        Args:
            count: how much of it, the first ones; None: all.
            refusal: why nothing of it is stored.
        """
        batch = self.pending[:count]
        del self.pending[:count]
        events: list[RoomEvent] = []
        outcomes: list[Callable[[], None]] = []
        for each in batch:
            if not isinstance(each, _Publishing):
                events.append(each)
            elif refusal is not None:
                outcomes.append(partial(each.done, refusal))
            else:
                offset, is_new = self._store(each)
                ack = Ack(Position(EPOCH, offset), duplicate=not is_new)
                outcomes.append(partial(each.done, ack))
                if is_new:
                    time_ms = self._stored[each.message.room][-1].time_ms
                    events.append(each.message._replace(offset=offset, time_ms=time_ms))
        if outcomes:
            self.is_up = refusal is None
        for outcome in outcomes:
            outcome()
        self._deliver(events)

    def answer(
        self, asked: Asked | None = None, *, refusal: Refusal | None = None, early: bool = False
    ) -> None:
        """Answer something that was asked.

        Args:
            asked: what; None: what waits longest.
            refusal: why it is not told.
            early: whether to tell what was so when it was asked, not what is so now.
        """
        found = self.asked[0] if asked is None else asked
        self.asked.remove(found)
        found.tell(refusal, early)

    def settle(self) -> None:
        """Store and answer until nothing waits any more."""
        while self.pending or self.asked:
            if self.pending:
                self.commit()
            while self.asked:
                self.answer()

    def forget(self, room: str, upto: int) -> None:
        """Trim a room, at once."""
        self._gone[room] = max(self.gone(room), upto)

    def head(self, room: str) -> int:
        """The last offset of a room."""
        return len(self._stored.get(room, ()))

    def gone(self, room: str) -> int:
        """The offset up to which a room is trimmed."""
        return self._gone.get(room, 0)

    def history(self, room: str) -> Sequence[Message]:
        """All that was ever stored in a room, also what is trimmed; erased ones say so."""
        return self._stored.get(room, [])

    def abouts(self, room: str) -> Sequence[About]:
        """What each of `history` is."""
        return self._abouts.get(room, [])

    def ask(self, what: str, find: Callable[[], T], done: Callable[[T | Refusal], None]) -> None:
        """Let something wait to be answered, that is asked of the messages stored.

        Args:
            what: as `Asked` names it.
            find: finds the answer.
            done: is told it.
        """
        self._ask(what, "", find, done)

    # `Broker`

    def start(self, deliver: Deliver) -> None:
        """See `Broker.start`."""
        self._deliver = deliver

    def open(self, room: str, done: Callable[[Opened | Refusal], None]) -> None:
        """See `Broker.open`."""
        assert room not in self.open_rooms, f"{room} is open"

        def opened() -> Opened:
            self.open_rooms.add(room)
            head = self.head(room)
            return Opened(EPOCH, head, self._between(room, head - head % BLOCK, head))

        self._ask("open", room, opened, done)

    def close(self, room: str) -> None:
        """See `Broker.close`."""
        self.open_rooms.remove(room)

    def publish(
        self,
        room: str,
        sender: Sender,
        message_id: str,
        payload: bytes,
        done: Done,
        about: About = OTHER,
    ) -> None:
        """See `Broker.publish`."""
        assert room in self.open_rooms, f"{room} is not open"
        message = Message(room, sender, payload, 0, 0, about.erases)
        self._accept(_Publishing(message, message_id, about, done), done)

    def repeated(self, room: str, sender: Sender, message_id: str, done: Done) -> bool:
        """See `Broker.repeated`; what is under way is not known yet."""
        offset = self._acked.get((room, sender.user, message_id))
        if offset is not None:
            ack = Ack(Position(EPOCH, offset), duplicate=True)
            self._ask("repeated", room, lambda: ack, done)
        return offset is not None

    def ephemeral(self, event: Passing, done: Done) -> None:
        """See `Broker.ephemeral`."""
        self._accept(event, done)

    def locate(
        self, room: str, position: Position, done: Callable[[Place | Refusal], None]
    ) -> None:
        """See `Broker.locate`."""
        assert room in self.open_rooms, f"{room} is not open"

        def located() -> Place:
            if position.epoch != EPOCH:
                return Place.RESET
            if position.offset > self.head(room):
                return Place.TRUNCATE
            return Place.GAP if position.offset < self.gone(room) else Place.OK

        self._ask("locate", room, located, done)

    def page(
        self,
        room: str,
        after: int,
        upto: int,
        done: Callable[[Sequence[Message] | Refusal], None],
        *,
        limit: int = BLOCK,
        most_bytes: int = 1 << 20,
        backward: bool = False,
    ) -> None:
        """See `Broker.page`."""
        assert room in self.open_rooms, f"{room} is not open"
        assert 0 <= after <= upto <= self.head(room), (after, upto, self.head(room))
        self.pages.append((room, after + 1, upto))

        def read() -> list[Message]:
            found = self._between(room, after, upto)
            page: list[Message] = []
            size = 0
            for message in reversed(found) if backward else found:
                size += len(message.payload) + len(message.sender.encoded)
                if page and (len(page) == min(limit, self.longest_page) or size > most_bytes):
                    break
                page.append(message)
            return page[::-1] if backward else page

        self._ask("page", room, read, done, early=read())

    def join(self, room: str, sender: Sender) -> None:
        """See `Broker.join`."""
        present = self._present.setdefault(room, {})
        if sender.user not in present:
            self._accept(Joined(room, sender), lambda outcome: None)
        present[sender.user] = sender

    def leave(self, room: str, sender: Sender) -> None:
        """See `Broker.leave`."""
        del self._present[room][sender.user]
        self._accept(Left(room, sender), lambda outcome: None)

    def present(self, room: str, done: Callable[[Mapping[str, Sender] | Refusal], None]) -> None:
        """See `Broker.present`."""
        assert room in self.open_rooms, f"{room} is not open"
        self._ask("present", room, lambda: dict(self._present.get(room, {})), done)

    def rooms(
        self,
        done: Callable[[Sequence[RoomSummary] | Refusal], None],
        names: Sequence[str] | None = None,
    ) -> None:
        """See `Broker.rooms`."""

        def summaries() -> list[RoomSummary]:
            return [
                RoomSummary(name, len(stored), stored[-1].time_ms)
                for name, stored in self._stored.items()
                if len(stored) > self.gone(name)
                and (name[0] not in "@!" if names is None else name in names)
            ]

        self._ask("rooms", "", summaries, done)

    def trim(self, room: str, upto: int, done: Callable[[int | Refusal], None]) -> None:
        """See `Broker.trim`."""
        assert room in self.open_rooms, f"{room} is not open"

        def trimmed() -> int:
            self.forget(room, upto)
            return self.gone(room)

        self._ask("trim", room, trimmed, done)

    def drain(self, done: Callable[[], None]) -> None:
        """See `Broker.drain`."""
        self._is_draining = True

        def drained(outcome: object) -> None:
            self.commit()
            done()

        self._ask("drain", "", lambda: None, drained)

    def stop(self, done: Callable[[], None]) -> None:
        """See `Broker.stop`."""
        self._ask("stop", "", lambda: None, lambda outcome: done())

    def _accept(self, what: _Publishing | Passing, done: Done) -> None:
        if self._is_draining:
            self._ask("publish", "", lambda: UNAVAILABLE, done)
            return
        self.pending.append(what)
        self._schedule()

    def _ask(
        self,
        what: str,
        room: str,
        find: Callable[[], T],
        done: Callable[[T | Refusal], None],
        *,
        early: T | None = None,
    ) -> None:
        def tell(refusal: Refusal | None, is_early: bool) -> None:
            if refusal is not None:
                done(refusal)
            else:
                done(early if is_early and early is not None else find())

        self.asked.append(Asked(what, room, tell))
        self._schedule()

    def _schedule(self) -> None:
        if self._clock is not None and not self._is_scheduled:
            self._is_scheduled = True
            self._clock.callLater(0, self._turn)

    def _turn(self) -> None:
        self._is_scheduled = False
        asked = list(self.asked)
        if self.pending:
            self.commit()
        for each in asked:
            self.answer(each)

    def _store(self, publishing: _Publishing) -> tuple[int, bool]:
        """Number a message; its offset, and whether it was not there before."""
        message = publishing.message
        key = (message.room, message.sender.user, publishing.message_id)
        if key in self._acked:
            return self._acked[key], False
        stored = self._stored.setdefault(message.room, [])
        offset = self._acked[key] = len(stored) + 1
        time_ms = max(self.now_ms, stored[-1].time_ms if stored else 0)
        stored.append(message._replace(offset=offset, time_ms=time_ms, erases=()))
        self._abouts.setdefault(message.room, []).append(publishing.about)
        for erased in message.erases:
            if 0 < erased < offset:
                stored[erased - 1] = stored[erased - 1]._replace(payload=ERASED)
        return offset, True

    def _between(self, room: str, after: int, upto: int) -> list[Message]:
        return self._stored.get(room, [])[max(after, self.gone(room)) : upto]


@dataclass(frozen=True)
class Lines:
    """`core.room.Dialect`: each event is a line.

    Attributes:
        encoded: all that was encoded, by those too that were made of it by `of_room`.
        unspeakable: offsets of messages that cannot be encoded.
    """

    has_replies: bool = True
    is_common: bool = True
    join_leave: bool = False
    unspeakable: frozenset[int] = frozenset()
    encoded: list[Told] = field(default_factory=list, compare=False)

    def of_room(self, name: str, *, join_leave: bool) -> Lines:
        """See `Dialect.of_room`."""
        return replace(self, join_leave=join_leave)

    def encode(self, event: Told) -> bytes:
        """See `Dialect.encode`."""
        self.encoded.append(event)
        match event:
            case Message(room, _, said, offset):
                if offset in self.unspeakable:
                    raise ZeroDivisionError
                return b"%b %d %b\n" % (room.encode(), offset, said)
            case Relay(room, _, said) | Signal(room, _, said):
                return b"%b ~ %b\n" % (room.encode(), said)
            case Joined(room, sender):
                return f"{room} + {sender.user}\n".encode() if self.join_leave else b""
            case Left(room, sender):
                return f"{room} - {sender.user}\n".encode() if self.join_leave else b""
            case Notice(text):
                return f"* {text}\n".encode()
            case Unsubscribed(room, code):
                return f"{room} ! {code}\n".encode()
            case Whisper(told):
                return b"> %b\n" % told
            case Reply(number, answer):
                return f"= {number} {type(answer).__name__}\n".encode()
