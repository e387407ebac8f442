"""People who talk: the real sessions, rooms, broker and records, over memory and a clock."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

import jwt
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatd import tokens
from chatd.brokers.archive import SqliteArchive
from chatd.brokers.records import SqliteRecords
from chatd.config import Config
from chatd.core.actions import ACTIONS
from chatd.core.audit import Audit
from chatd.core.auth import Gate
from chatd.core.bans import Bans
from chatd.core.commands import (
    Command,
    Connect,
    Enter,
    History,
    Ping,
    Publish,
    Since,
    Subscribe,
)
from chatd.core.events import MESSAGE, OTHER, Sender, compact, payload
from chatd.core.feed import Feed
from chatd.core.guests import Guests
from chatd.core.hub import Hub
from chatd.core.invites import Invites
from chatd.core.nicks import Nicks
from chatd.core.node import Node
from chatd.core.outbox import Outbox
from chatd.core.profiles import Profiles
from chatd.core.room import Dialect, Room
from chatd.core.session import Action, Session
from chatd.core.wheel import TICK_S, Wheel
from chatd.errors import Close, Refusal
from chatd.wire.centrifuge import Centrifuge
from chatd.wire.plain import Plain
from tests.support.brokers import ClockWorker, clock_broker, settle
from tests.support.peers import RecordingPeer, connect

__all__ = ["DIALECT", "Json", "PeopleCase", "Person", "past", "said", "to", "value"]

DIALECT = Centrifuge("chatd test", "node-1")

HERALD = Sender("h", "h", "H")

Json = dict[str, Any]


class Person:
    """A session and its peer.

    Args:
        session: theirs.
        outbox: of the session.
        peer: what the outbox writes to.
        clock: of all.
    """

    def __init__(self, session: Session, outbox: Outbox, peer: RecordingPeer, clock: Clock) -> None:
        self.session = session
        self.outbox = outbox
        self.peer = peer
        self._clock = clock

    @property
    def user(self) -> str:
        """Their id."""
        assert self.session.sender is not None
        return self.session.sender.user

    @property
    def nick(self) -> str:
        """What they are called."""
        assert self.session.sender is not None
        return self.session.sender.nick

    @property
    def told(self) -> list[Json]:
        """All that came, of a peer with replies."""
        return [json.loads(each) for each in self.peer.messages]

    @property
    def heard(self) -> list[str]:
        """The texts that came, of a peer without replies."""
        return [each for each in self.peer.messages if isinstance(each, str)]

    @property
    def order(self) -> list[str]:
        """What came: a reply as its number, what has an offset as `lobby:1`, the rest by kind."""
        return [_word(each) for each in self.told]

    @property
    def replies(self) -> dict[int, Json]:
        """What was answered, by the number of the command; each was answered once."""
        found: dict[int, Json] = {}
        for each in self.told:
            if "id" in each:
                assert each["id"] not in found, each
                found[each["id"]] = each
        return found

    def pushes(self, kind: str, room: str = "lobby") -> list[Json]:
        """What was told of a room.

        Args:
            kind: `pub`, `join`, `leave` or `unsubscribe`.
            room: its name as it was spelled.
        """
        pushes = [each["push"] for each in self.told if "push" in each]
        return [each[kind] for each in pushes if each.get("channel") == room and kind in each]

    def offsets(self, room: str = "lobby") -> list[int]:
        """Of the messages that came."""
        return [each["offset"] for each in self.pushes("pub", room) if "offset" in each]

    @property
    def close(self) -> Close | None:
        """How the connection was ended; None: it is open."""
        assert len(self.peer.closes) <= 1
        return self.peer.closes[0] if self.peer.closes else None

    def begin(self, *commands: Command) -> None:
        """Ask for something, and do not wait."""
        self.session.receive(commands)

    def ask(self, command: Command) -> Json:
        """Ask for something, and wait for the answer; returns the result or the error in it."""
        self.begin(command)
        settle(self._clock)
        reply = self.replies[command.id]  # type: ignore[union-attr]
        (named,) = (value for key, value in reply.items() if key != "id")
        assert isinstance(named, dict)
        return named

    def refusal(self, command: Command) -> int:
        """Ask for something that is refused; returns the code."""
        code = self.ask(command)["code"]
        assert isinstance(code, int)
        return code

    def drain(self) -> None:
        """Take everything that was written, as a door does it."""
        if self.peer.drain():
            self.session.drained()

    def lost(self) -> None:
        """Be gone."""
        self.session.lost()
        settle(self._clock)


def _word(told: Json) -> str:
    if "id" in told:
        return str(told["id"])
    push = told["push"]
    ((kind, event),) = ((key, value) for key, value in push.items() if key != "channel")
    return f"{push['channel']}:{event.get('offset', kind)}"


def said(number: int, text: str = "hi", room: str = "lobby", *, key: str | None = None) -> Publish:
    """The command to say something.

    Args:
        number: of the command.
        text: what is said.
        room: where.
        key: the sender's own id of it; None: one that is made of the number.
    """
    value = {"type": "message", "id": key or f"m{number}", "text": text}
    return Publish(number, room, value, compact(value))


def to(
    room: str, *, number: int = 5, since: Since | None = None, join_leave: bool = False
) -> Subscribe:
    """The command to become a member."""
    return Subscribe(number, room, since, join_leave)


def past(
    limit: int,
    *,
    number: int = 6,
    room: str = "lobby",
    since: Since | None = None,
    reverse: bool = False,
) -> History:
    """The command to read."""
    return History(number, room, limit, since, reverse)


def value(told: object, *, number: int = 7, room: str = "lobby") -> Publish:
    """The command to publish any value."""
    return Publish(number, room, told, compact(told))


class PeopleCase(SynchronousTestCase):
    """A node over a clock, with people in it.

    Attributes:
        limits: fields of `Config` that are not to be as they are by default.
        worker: does all that the database is asked for.
        ahead_s: how far the wall clock is ahead of the other.
    """

    limits: ClassVar[Mapping[str, Any]] = {}

    def setUp(self) -> None:
        self.start(**self.limits)

    def start(self, **limits: Any) -> None:
        """Begin anew, with these limits."""
        self.clock = Clock()
        self.ahead_s = 0.0
        self.config = Config(**limits)
        self.wheel = Wheel(self.clock.seconds)
        self.worker = ClockWorker(self.clock)
        self.broker = clock_broker(
            self.clock,
            writer=self.worker,
            most_pending=self.config.pending_messages,
            most_bytes=self.config.pending_bytes,
        )
        self.feed = Feed(self.broker, cached_bytes=self.config.cached_bytes)
        self.records = SqliteRecords(
            self.broker.connections,
            later=lambda call: self.clock.callLater(0, call),
            most_pending=100,
            most_bytes=100_000,
        )
        self.hub = Hub(
            self.broker,
            self.feed,
            self.records,
            self.wheel,
            grace_s=self.config.grace_s,
            idle_rooms=0,
        )
        self.nicks = Nicks(self.wheel, self.config.grace_s)
        self._ids = iter(range(1_000_000))
        self.node = Node(
            config=self.config,
            hub=self.hub,
            broker=self.broker,
            feed=self.feed,
            guests=Guests(b"secret", self.new_id),
            nicks=self.nicks,
            records=self.records,
            archive=SqliteArchive(
                self.broker.connections,
                later=lambda call: self.clock.callLater(0, call),
                seconds=self.clock.seconds,
            ),
            profiles=Profiles(self.records),
            gate=Gate(
                tokens.verifier(self.config, b"secret"),
                self.config,
                now_ms=self.now_ms,
                seconds=self.clock.seconds,
            ),
            wheel=self.wheel,
            invites=Invites(b"secret"),
            bans=Bans(self.records, self.wheel, exempt=self.config.trusted_proxies),
            audit=Audit(self.hub, self.broker, self.new_id),
            new_id=self.new_id,
            seconds=self.clock.seconds,
            now_ms=self.now_ms,
        )
        self.hub.start()
        self.node.bans.load()
        self.settle()

    def now_ms(self) -> int:
        """The wall clock."""
        return round((self.clock.seconds() + self.ahead_s) * 1000)

    def new_id(self) -> str:
        """An id unlike any other."""
        return f"{next(self._ids):06x}"

    def settle(self) -> None:
        """Let all happen that happens without time going by."""
        settle(self.clock)

    def advance(self, seconds: float) -> None:
        """Let time go by, the wheel turning."""
        for _ in range(round(seconds / TICK_S)):
            self.clock.advance(TICK_S)
            self.wheel.tick()
            self.settle()

    def arrive(
        self,
        dialect: Dialect = DIALECT,
        *,
        pause_after: int | None = None,
        actions: Mapping[type, Action] = ACTIONS,
    ) -> Person:
        """Somebody who has not said yet who they are.

        Args:
            dialect: what they speak.
            pause_after: see `RecordingPeer`.
            actions: see `Session`.
        """
        peer, outbox = connect(
            self.wheel,
            feeder=self.feed,
            pause_after=pause_after,
            stall_timeout_s=self.config.stall_timeout_s,
        )
        session = Session(self.node, outbox, dialect, session_id=self.new_id(), actions=actions)
        return Person(session, outbox, peer, self.clock)

    def guest(
        self,
        nick: str | None = None,
        *rooms: str,
        resume: str | None = None,
        join_leave: bool = False,
        pause_after: int | None = None,
        actions: Mapping[type, Action] = ACTIONS,
    ) -> Person:
        """Somebody with replies, who is connected, and in some rooms; the first command is 1."""
        person = self.arrive(pause_after=pause_after, actions=actions)
        person.begin(Connect(1, "", nick, resume))
        for number, room in enumerate(rooms, 2):
            person.begin(Subscribe(number, room, None, join_leave))
        self.settle()
        return person

    def token(self, user: str, *, ttl_s: float = 3600, **claims: object) -> str:
        """A token of our own.

        Args:
            user: whose.
            ttl_s: for how long from now.
            claims: more of them, or others.
        """
        said = {"sub": user, "exp": self.clock.seconds() + ttl_s, **claims}
        key = tokens.Signer(b"secret").key
        return jwt.encode(said, key, "HS256", headers={"kid": "chatd"})

    def signed_in(self, user: str, *rooms: str, ttl_s: float = 3600, **claims: object) -> Person:
        """Somebody who is connected by a token, and in some rooms; the first command is 1.

        Args:
            user: see `token`.
            rooms: that they are in.
            ttl_s: see `token`.
            claims: see `token`.
        """
        person = self.arrive()
        person.begin(Connect(1, self.token(user, ttl_s=ttl_s, **claims), None, None))
        for number, room in enumerate(rooms, 2):
            person.begin(Subscribe(number, room, None, False))
        self.settle()
        return person

    def plain(
        self,
        room: str | None = None,
        nick: str | None = None,
        *,
        nicks: bool = False,
        pause_after: int | None = None,
    ) -> Person:
        """Somebody without replies, who has entered."""
        person = self.arrive(Plain(nicks), pause_after=pause_after)
        person.begin(Enter(room, nick))
        self.settle()
        return person

    def resume(self, person: Person) -> str:
        """The token by which somebody is the same user again."""
        return self.node.guests.token(person.user, person.nick)

    def present(self, room: str = "lobby") -> list[str]:
        """The nicks of who is in a room that somebody needs, sorted."""
        found: list[Mapping[str, Any] | Refusal] = []
        self.broker.present(room, found.append)
        self.settle()
        (users,) = found
        assert not isinstance(users, Refusal), users
        return sorted(sender.nick for sender in users.values())

    def room(self, name: str = "lobby") -> Room:
        """A room that somebody needs."""
        found = self.hub.find(name)
        assert found is not None, name
        return found

    def say(self, count: int = 1, room: str = "lobby", *, size: int = 2) -> None:
        """Have so many things said by somebody who is nowhere.

        Args:
            count: how many, one by one.
            room: where.
            size: characters of each text; 0: the number zero instead.
        """
        held: list[Room | Refusal] = []
        self.hub.open(room, held.append)
        self.settle()
        for _ in range(count):
            key = self.new_id()
            told = payload(key, "x" * size) if size else b"0"
            about = MESSAGE if size else OTHER
            self.broker.publish(room, HERALD, key, told, lambda outcome: None, about)
            self.settle()
        (found,) = held
        assert isinstance(found, Room), found
        self.hub.release(found)

    def miss(self, person: Person) -> None:
        """Have somebody in the lobby miss 300 messages, which are trimmed before they drain."""
        person.peer.pause()
        self.say(300)
        told: list[int | Refusal] = [0]
        while told[-1] != 300:
            self.broker.trim("lobby", 300, told.append)
            self.settle()
        person.drain()
        self.settle()

    def assertLive(self, person: Person) -> None:
        """Somebody is still there, and what they ask is answered."""
        self.assertIsNone(person.close)
        self.assertEqual(person.ask(Ping(99_999)), {})

    def assertNobody(self) -> None:
        """Nothing is left of anybody: no session, no nick, no open room."""
        self.assertEqual(self.node.sessions, {})
        self.assertEqual(len(self.nicks), 0)
        self.assertEqual(len(self.hub), 0)
        self.assertEqual(self.broker._streams, {})
