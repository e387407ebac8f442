"""One connection's conversation."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count, product
from typing import get_args

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatd.core import session as module
from chatd.core.events import Command, Enter, Say, Send
from chatd.core.hub import Hub
from chatd.core.outbox import Outbox
from chatd.core.session import Session, State
from chatd.core.throttle import Throttle
from chatd.errors import (
    BAD_REQUEST,
    NICK_INVALID,
    NORMAL,
    ROOM_INVALID,
    TOO_MANY_REQUESTS,
    UNAVAILABLE,
    ChatError,
)
from chatd.wire.plain import Plain
from tests.support.brokers import memory_broker
from tests.support.peers import RecordingPeer, connect

GREETING = "welcome"
BURST = 5

# What each command does in each state: an action, a refusal, or nothing.
ENTERS, SPEAKS, RELAYS, NOTHING = "enters", "speaks", "relays", "nothing"
CELLS: Mapping[tuple[State, type], str | ChatError] = {
    (State.CONNECTING, Enter): ENTERS,
    (State.CONNECTING, Say): BAD_REQUEST,
    (State.CONNECTING, Send): BAD_REQUEST,
    (State.LIVE, Enter): BAD_REQUEST,
    (State.LIVE, Say): SPEAKS,
    (State.LIVE, Send): RELAYS,
    (State.CLOSING, Enter): NOTHING,
    (State.CLOSING, Say): NOTHING,
    (State.CLOSING, Send): NOTHING,
}
EXAMPLES: Mapping[type, Command] = {
    Enter: Enter(None, None),
    Say: Say("hi"),
    Send: Send(b"\x00", binary=True),
}


class Person:
    """Somebody who talks: a session and its peer."""

    def __init__(self, session: Session, outbox: Outbox, peer: RecordingPeer) -> None:
        self.session = session
        self.outbox = outbox
        self.peer = peer

    @property
    def heard(self) -> list[str | bytes]:
        """All that was said to them but the greeting."""
        return [each for each in self.peer.messages if each != GREETING]


class SessionCase(SynchronousTestCase):
    """Sessions over a real hub and broker."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.numbers = count(1)
        self.broker = memory_broker(self.clock, most_pending=20)
        self.hub = Hub(self.broker)

    def connect(
        self, *, nicks: bool = False, echo: bool = True, greeting: str = GREETING
    ) -> Person:
        """Make a session that has not entered."""
        peer, outbox = connect()
        session = Session(
            self.hub,
            outbox,
            Plain(nicks),
            session_id=f"{next(self.numbers):06}",
            new_id=lambda: f"m{next(self.numbers)}",
            publishes=Throttle(1, BURST, self.clock.seconds),
            greeting=greeting,
            echo=echo,
        )
        return Person(session, outbox, peer)

    def enter(
        self,
        room: str | None = None,
        nick: str | None = None,
        *,
        nicks: bool = False,
        echo: bool = True,
    ) -> Person:
        """Make a session that is live."""
        person = self.connect(nicks=nicks, echo=echo)
        person.session.receive(Enter(room, nick))
        self.assertIs(person.session.state, State.LIVE)
        return person


class GridTests(SessionCase):
    def in_state(self, state: State) -> Person:
        """Make a session that stands there."""
        person = self.connect() if state is State.CONNECTING else self.enter()
        if state is State.CLOSING:
            person.outbox.close(NORMAL)
        self.assertIs(person.session.state, state)
        return person

    def test_complete(self) -> None:
        """The grid has a cell for each state and command, and the session knows each command."""
        commands = get_args(Command)
        self.assertCountEqual(CELLS, product(State, commands))
        self.assertCountEqual(EXAMPLES, commands)
        self.assertCountEqual(module._COMMANDS, commands)

    def test_cells(self) -> None:
        """Each cell is an action, a named refusal, or nothing once it is closing."""
        for (state, command), expected in CELLS.items():
            person = self.in_state(state)
            closes = list(person.peer.closes)
            greeted = person.peer.messages.count(GREETING)
            person.session.receive(EXAMPLES[command])
            self.clock.advance(0)
            done: list[str | ChatError] = []
            if person.peer.messages.count(GREETING) > greeted:
                done.append(ENTERS)
            if "hi" in person.heard:
                done.append(SPEAKS)
            if b"\x00" in person.heard:
                done.append(RELAYS)
            refusal = expected if isinstance(expected, ChatError) else None
            self.assertEqual(
                person.peer.closes[len(closes) :], [refusal.close] if refusal else [], state
            )
            self.assertEqual(
                done, [] if refusal or expected == NOTHING else [expected], (state, command)
            )
            person.session.lost()
        self.assertEqual(len(self.hub), 0)

    def test_all_states_close(self) -> None:
        """From any state a lost connection leaves a closing session and no room behind."""
        for state in State:
            person = self.in_state(state)
            person.session.lost()
            self.assertIs(person.session.state, State.CLOSING)
            self.assertEqual(len(self.hub), 0)


class EnterTests(SessionCase):
    def test_greeting(self) -> None:
        """The greeting is the first thing that is said."""
        other = self.enter()
        other.session.receive(Say("before"))
        person = self.enter()
        self.clock.advance(0)
        self.assertEqual(person.peer.messages[0], GREETING)

    def test_no_greeting(self) -> None:
        """An empty greeting is none, not an empty message."""
        person = self.connect(greeting="")
        person.session.receive(Enter(None, None))
        self.assertEqual(person.peer.writes, [])

    def test_default_room(self) -> None:
        """Who names no room is in the lobby."""
        ann, bob = self.enter(), self.enter("lobby")
        ann.session.receive(Say("hi"))
        self.clock.advance(0)
        self.assertEqual(bob.heard, ["hi"])

    def test_room_in_any_case(self) -> None:
        """Names of rooms are compared in lower case."""
        ann, bob = self.enter("Den"), self.enter("dEN")
        self.assertEqual(len(self.hub), 1)
        ann.session.receive(Say("hi"))
        self.clock.advance(0)
        self.assertEqual(bob.heard, ["hi"])

    def test_two_rooms(self) -> None:
        """Two rooms do not hear each other."""
        ann, bob = self.enter("one"), self.enter("two")
        ann.session.receive(Say("hi"))
        ann.session.receive(Send(b"\x01", binary=True))
        self.clock.advance(0)
        self.assertEqual(ann.heard, ["hi", b"\x01"])
        self.assertEqual(bob.heard, [])

    def test_invalid(self) -> None:
        """A bad room or nick is a close of its own, and nobody is in any room."""
        for command, error in (
            (Enter("no such", None), ROOM_INVALID),
            (Enter("", None), ROOM_INVALID),
            (Enter(None, "admin"), NICK_INVALID),
            (Enter(None, ""), NICK_INVALID),
        ):
            person = self.connect()
            person.session.receive(command)
            self.assertEqual(person.peer.closes, [error.close])
            self.assertEqual(person.peer.writes, [])
            self.assertEqual(person.session.title, "nobody")
        self.assertEqual(len(self.hub), 0)

    def test_title(self) -> None:
        """The log names who is where, quoted; somebody without a nick is a guest."""
        self.assertEqual(self.enter("Den", "Ann").session.title, "'Ann' in 'den'")
        self.assertRegex(self.enter().session.title, r"^'guest-\d{6}' in 'lobby'$")


class TalkTests(SessionCase):
    def test_everybody(self) -> None:
        """What somebody says reaches everybody in the room, themselves too, in order."""
        ann, bob = self.enter(), self.enter()
        ann.session.receive(Say("one"))
        bob.session.receive(Say("two"))
        ann.session.receive(Send(b"three", binary=True))
        ann.session.receive(Send(b"", binary=False))
        self.clock.advance(0)
        for person in (ann, bob):
            self.assertEqual(person.heard, ["one", "two", b"three", ""])

    def test_no_echo(self) -> None:
        """Without echo somebody hears all but themselves."""
        ann, bob = self.enter(echo=False), self.enter(echo=False)
        ann.session.receive(Say("one"))
        bob.session.receive(Say("two"))
        ann.session.receive(Send(b"three", binary=True))
        self.clock.advance(0)
        self.assertEqual(ann.heard, ["two"])
        self.assertEqual(bob.heard, ["one", b"three"])

    def test_nicks(self) -> None:
        """Who asks for nicks sees who said a text; others see the text alone."""
        ann, bob = self.enter(nick="Ann"), self.enter(nicks=True)
        ann.session.receive(Say("hi"))
        ann.session.receive(Send(b"\x01", binary=True))
        self.clock.advance(0)
        self.assertEqual(ann.heard, ["hi", b"\x01"])
        self.assertEqual(bob.heard, ["Ann: hi", b"\x01"])

    def test_drained(self) -> None:
        """A drain needs nothing of the session."""
        person = self.enter()
        person.session.drained()
        self.assertEqual((person.heard, person.peer.closes), ([], []))


class RefusalTests(SessionCase):
    def test_throttled(self) -> None:
        """Who says more than allowed is closed with 1008; what was allowed arrives."""
        ann, bob = self.enter(), self.enter()
        for number in range(BURST):
            ann.session.receive(Say(str(number)))
        self.assertEqual(ann.peer.closes, [])
        ann.session.receive(Say("too much"))
        self.clock.advance(0)
        self.assertEqual(ann.peer.closes, [TOO_MANY_REQUESTS.close])
        self.assertEqual(ann.peer.closes[0].code, 1008)
        self.assertEqual(bob.heard, [str(number) for number in range(BURST)])

    def test_throttled_bytes(self) -> None:
        """Texts and bytes are counted together."""
        ann = self.enter()
        for number in range(BURST):
            ann.session.receive(Say("") if number % 2 else Send(b"", binary=True))
        ann.session.receive(Send(b"", binary=True))
        self.assertEqual(ann.peer.closes, [TOO_MANY_REQUESTS.close])

    def test_slow_talk(self) -> None:
        """Who stays below the rate is never refused."""
        ann = self.enter()
        for _ in range(3 * BURST):
            self.clock.advance(1)
            ann.session.receive(Say("hi"))
        self.assertEqual(ann.peer.closes, [])

    def test_broker_full(self) -> None:
        """When the broker takes no more, who speaks is closed with 1013; others stay."""
        people = [self.enter() for _ in range(5)]
        for person in people:
            for _ in range(4):
                person.session.receive(Say("hi"))
        for command in (Say("x"), Send(b"x", binary=True)):
            late = self.enter()
            late.session.receive(command)
            self.assertEqual(late.peer.closes, [UNAVAILABLE.close])
            self.assertEqual(late.peer.closes[0].code, 1013)
        self.clock.advance(0)
        self.assertEqual([person.peer.closes for person in people], [[]] * 5)
        self.assertEqual(people[0].heard, ["hi"] * 20)

    def test_broker_drained(self) -> None:
        """When the broker has been drained, who speaks is closed with 1013."""
        ann = self.enter()
        self.broker.drain()
        ann.session.receive(Say("hi"))
        self.assertEqual(ann.peer.closes, [UNAVAILABLE.close])

    def test_nothing_kept(self) -> None:
        """A refusal keeps no traceback, which would keep the session and what it was told."""
        for command, error in ((Say("hi"), BAD_REQUEST), (Enter("no such", None), ROOM_INVALID)):
            for _ in range(3):
                self.connect().session.receive(command)
            self.assertIsNone(error.__traceback__)


class LostTests(SessionCase):
    def test_leaves(self) -> None:
        """Who is lost hears no more, and the room goes on without them."""
        ann, bob = self.enter(), self.enter()
        ann.session.lost()
        bob.session.receive(Say("hi"))
        self.clock.advance(0)
        self.assertEqual(ann.heard, [])
        self.assertEqual(bob.heard, ["hi"])
        self.assertEqual(ann.session.title, "nobody")

    def test_said_before(self) -> None:
        """What somebody said before they were lost still reaches the others."""
        ann, bob = self.enter(), self.enter()
        ann.session.receive(Say("bye"))
        ann.session.lost()
        self.clock.advance(0)
        self.assertEqual(bob.heard, ["bye"])
        self.assertEqual(ann.peer.closes, [])

    def test_before_entering(self) -> None:
        """Who never entered can be lost too."""
        person = self.connect()
        person.session.lost()
        self.assertIs(person.session.state, State.CLOSING)

    def test_closed_but_not_lost(self) -> None:
        """Who has been told goodbye is written nothing more while others talk."""
        ann, bob = self.enter(), self.enter()
        ann.outbox.close(NORMAL)
        bob.session.receive(Say("hi"))
        self.clock.advance(0)
        self.assertEqual(ann.heard, [])
        ann.session.lost()
        bob.session.lost()
        self.assertEqual(len(self.hub), 0)
