"""One connection's conversation: which commands, when, how often, and in which order."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any, ClassVar, get_args

from twisted.logger import capturedLogs

from chatd.core.actions import ACTIONS
from chatd.core.commands import (
    Command,
    Connect,
    Enter,
    History,
    Ignored,
    Ping,
    Presence,
    PresenceStats,
    Publish,
    Refresh,
    Rpc,
    Say,
    Send,
    Strange,
    Subscribe,
    Unsubscribe,
)
from chatd.core.events import compact
from chatd.core.replies import Answered
from chatd.core.room import Room
from chatd.core.session import Action, Rate, Session, State
from chatd.errors import (
    BAD_REQUEST,
    FULL,
    INTERNAL,
    NICK_INVALID,
    NO_SUCH_COMMAND,
    NORMAL,
    NOT_AVAILABLE,
    PRIVATE_ROOM,
    ROOM_INVALID,
    TOO_MANY_REQUESTS,
    UNINTELLIGIBLE,
    Close,
)
from chatd.wire.plain import Plain
from tests.support.brokers import sqlite_error
from tests.support.people import DIALECT, PeopleCase, Person, said

GREETING = "connected to WebSocket server"

EXAMPLES: Mapping[type, Command] = {
    type(command): command
    for command in (
        Enter("den", None),
        Connect(11, "", None, None),
        Say("hi"),
        Send(b"\0", binary=True),
        Subscribe(12, "attic", None, join_leave=False),
        Unsubscribe(13, "lobby"),
        Publish(14, "lobby", 1, b"1"),
        History(15, "lobby", 10, None, reverse=False),
        Presence(16, "lobby"),
        PresenceStats(17, "lobby"),
        Rpc(18, "rooms", None),
        Refresh(19, "token"),
        Ping(20),
        Strange(21, NO_SUCH_COMMAND),
        Ignored(),
    )
}

# What is answered in a conversation with replies to what was asked when it is live: the name of
# the result, or the code of the error; None: nothing.
ANSWERED: Mapping[type, str | int | None] = {
    Enter: None,
    Connect: 107,
    Say: None,  # which none with replies can: it has no number
    Send: None,
    Subscribe: "subscribe",
    Unsubscribe: "unsubscribe",
    Publish: "publish",
    History: "history",
    Presence: "presence",
    PresenceStats: "presence_stats",
    Rpc: "rpc",
    Refresh: 108,
    Ping: "ping",
    Strange: 104,
    Ignored: None,
}
# And what a conversation without replies is closed with.
CLOSED: Mapping[type, Close | None] = {
    **dict.fromkeys(EXAMPLES),
    Enter: BAD_REQUEST.close,
    Connect: BAD_REQUEST.close,
    Refresh: NOT_AVAILABLE.close,
    Strange: NO_SUCH_COMMAND.close,
}
FIRST = (Enter, Connect)


class GridTests(PeopleCase):
    """Every command in every state, on either kind of door."""

    def at(self, state: State, *, replies: bool) -> Person:
        """Make somebody whose conversation stands there, and has said nothing of it yet."""
        if state is State.CONNECTING:
            person = self.arrive(DIALECT if replies else Plain())
        else:
            person = self.guest("Ann", "lobby") if replies else self.plain()
        if state is State.CLOSING:
            person.outbox.close(NORMAL)
        person.peer.writes.clear()
        self.assertIs(person.session.state, state)
        return person

    def test_complete(self) -> None:
        """The grid and the command table have a row for each command there is."""
        commands = set(get_args(Command))
        for rows in (EXAMPLES, ANSWERED, CLOSED, ACTIONS):
            self.assertEqual(set(rows), commands)

    def test_first(self) -> None:
        """Only who comes in by it may give the first command; others are closed unanswered."""
        for (kind, command), replies in product(EXAMPLES.items(), (True, False)):
            person = self.at(State.CONNECTING, replies=replies)
            person.begin(command)
            self.settle()
            if kind in FIRST:
                self.assertIs(person.session.state, State.LIVE, kind)
                self.assertIsNone(person.close)
            else:
                self.assertIs(person.session.state, State.CLOSING, kind)
                self.assertIs(person.close, UNINTELLIGIBLE)
                self.assertEqual(person.peer.writes, [])
            person.lost()
            self.advance(20)
            self.assertNobody()

    def test_live_with_replies(self) -> None:
        """Where there are replies each command is answered, and goes on."""
        for kind, command in EXAMPLES.items():
            person = self.at(State.LIVE, replies=True)
            person.begin(command)
            self.settle()
            number = getattr(command, "id", 0)
            expected = ANSWERED[kind]
            if expected is None:
                self.assertNotIn(number, person.replies)
                self.assertLive(person)
                person.lost()
                continue
            reply = person.replies[number]
            if isinstance(expected, int):
                self.assertEqual(reply["error"]["code"], expected, kind)
            else:
                self.assertIn(expected, reply, kind)
            self.assertLive(person)
            person.lost()

    def test_live_without_replies(self) -> None:
        """Where there are none a refusal is a close, and all else is silent."""
        for kind, command in EXAMPLES.items():
            person = self.at(State.LIVE, replies=False)
            person.begin(command)
            self.settle()
            self.assertIs(person.close, CLOSED[kind], kind)
            self.assertNotIn("error", repr(person.peer.messages))
            person.lost()

    def test_closing(self) -> None:
        """After the goodbye nothing is done and nothing is kept."""
        for command, replies in product(EXAMPLES.values(), (True, False)):
            person = self.at(State.CLOSING, replies=replies)
            person.begin(command, command)
            self.settle()
            self.assertEqual(person.peer.writes, [])
            self.assertEqual(person.peer.closes, [NORMAL])
            self.assertEqual(len(person.session._inbox), 0)
            person.lost()
        self.assertEqual(self.broker._commits._count, 0)

    def test_unknown(self) -> None:
        """A command that the table has no row for makes no sense, and counts as one."""
        person = self.guest(actions={Connect: ACTIONS[Connect], Ping: ACTIONS[Ping]})
        self.assertEqual(person.refusal(Presence(2, "lobby")), 107)
        self.assertLive(person)


class StateTests(PeopleCase):
    def test_states(self) -> None:
        """It is connecting until it is known who it is, and closing from the first goodbye on."""
        person = self.arrive()
        self.assertTrue(person.session.is_connecting)
        person.ask(Connect(1, "", None, None))
        self.assertFalse(person.session.is_connecting)
        self.assertIs(person.session.state, State.LIVE)
        person.outbox.close(NORMAL)
        self.assertIs(person.session.state, State.CLOSING)
        person.lost()
        self.assertIs(person.session.state, State.CLOSING)
        self.assertFalse(person.session.is_connecting)

    def test_title(self) -> None:
        """The log calls it by nick, and by room where there is but one; quoted, or nobody."""
        self.assertEqual(self.arrive().session.title, "nobody")
        self.assertEqual(self.guest("Ann", "lobby").session.title, "'Ann'")
        self.assertEqual(self.plain("Den", "Bob").session.title, "'Bob' in 'den'")

    def test_lost(self) -> None:
        """Of somebody lost nothing is left, be they in many rooms or in none."""
        for rooms in ((), ("lobby", "den")):
            person = self.guest("Ann", *rooms)
            self.assertEqual(len(self.hub), len(rooms))
            person.lost()
            self.assertEqual(self.node.sessions, {})
            self.advance(self.config.grace_s + 1)
            self.assertNobody()

    def test_lost_signed_in(self) -> None:
        """Nothing is done any more when the time of somebody comes who is lost."""
        person = self.signed_in("ann", ttl_s=1)
        person.lost()
        self.advance(1 + self.config.refresh_timeout_s + 1)
        self.assertIsNone(person.close)
        self.assertNobody()

    def test_lost_unknown(self) -> None:
        """Who is lost before it is known who they are leaves nothing to do."""
        self.arrive().lost()
        self.assertNobody()

    def test_one_of_two(self) -> None:
        """With one session of a user gone the other one is in the rooms still."""
        one = self.guest("Ann", "lobby")
        other = self.guest(None, "lobby", resume=self.resume(one))
        one.lost()
        self.advance(self.config.grace_s + 1)
        self.assertEqual(self.present(), ["Ann"])
        self.assertEqual(list(self.node.sessions[other.user].values()), [other.session])
        other.ask(said(9))
        self.assertEqual(other.offsets(), [1])


class OrderTests(PeopleCase):
    def test_in_order(self) -> None:
        """Commands that came together are done one after the other, each after the last."""
        person = self.guest()
        person.begin(
            Subscribe(2, "lobby", None, join_leave=False),
            Presence(3, "lobby"),
            Unsubscribe(4, "lobby"),
            History(5, "den", 1, None, reverse=False),
            Ping(6),
        )
        self.assertEqual(person.order, ["1"])
        self.settle()
        self.assertEqual(person.order, ["1", "2", "3", "4", "5", "6"])

    def test_one_at_a_time(self) -> None:
        """While one waits nothing else is begun, and nothing is read from the peer."""
        person = self.guest()
        self.worker.is_held = True
        asked = self.worker.asked
        person.begin(
            History(2, "den", 1, None, reverse=False),
            History(3, "attic", 1, None, reverse=False),
            Ping(4),
        )
        self.settle()
        self.assertEqual(self.worker.asked, asked + 1)
        self.assertTrue(person.peer.is_held)
        self.assertEqual(person.order, ["1"])
        self.worker.release()
        self.settle()
        self.assertFalse(person.peer.is_held)
        self.assertEqual(person.order, ["1", "2", "3", "4"])

    def test_commands_meanwhile(self) -> None:
        """What comes in while one waits has its turn after it."""
        person = self.guest()
        person.begin(History(2, "den", 1, None, reverse=False))
        person.begin(Ping(3))
        self.assertEqual(person.order, ["1"])
        self.settle()
        self.assertEqual(person.order, ["1", "2", "3"])

    def test_no_hold(self) -> None:
        """What needs not wait does not stop the reading."""
        person = self.guest("Ann", "lobby")
        person.peer.holds.clear()
        person.begin(Ping(3), said(4), said(5), PresenceStats(6, "lobby"))
        self.assertEqual(person.peer.holds, [])
        self.settle()
        self.assertEqual(person.order[-4:], ["4", "5", "lobby:1", "lobby:2"])

    def test_together(self) -> None:
        """What is answered in one turn leaves in one write."""
        person = self.guest()
        person.peer.writes.clear()
        person.begin(*(Ping(number) for number in range(2, 9)))
        self.assertEqual(len(person.peer.writes), 1)
        self.assertEqual(len(person.told), 7)

    def test_many(self) -> None:
        """However many come together, one does not begin within another."""
        self.start(commands_burst=3000)
        person = self.guest("Ann", "lobby")
        person.begin(*(History(each, "lobby", 0, None, reverse=False) for each in range(3, 2003)))
        self.settle()
        self.assertEqual(person.order, [str(each) for each in range(1, 2003)])
        self.assertNotIn("error", repr(person.told))

    def test_lagging(self) -> None:
        """Nobody who lags is obeyed; when they have drained it goes on where it was."""
        person = self.guest("Ann")
        person.peer.pause()
        person.begin(Ping(2), Ping(3))
        self.settle()
        self.assertEqual(person.order, ["1"])
        self.assertTrue(person.peer.is_held)
        person.drain()
        self.assertEqual(person.order, ["1", "2", "3"])
        self.assertFalse(person.peer.is_held)

    def test_lagging_while_it_waits(self) -> None:
        """An answer that comes while the peer lags waits for it, and the rest of the inbox too."""
        person = self.guest("Ann")
        person.begin(History(2, "den", 1, None, reverse=False), Ping(3))
        person.peer.pause()
        self.settle()
        self.assertEqual(person.order, ["1"])
        self.assertTrue(person.peer.is_held)
        person.drain()
        self.assertEqual(person.order, ["1", "2", "3"])
        self.assertFalse(person.peer.is_held)

    def test_drained_while_it_waits(self) -> None:
        """Who has drained and waits for an outcome is not read from, nor obeyed."""
        person = self.guest("Ann")
        self.worker.is_held = True
        person.begin(History(2, "den", 1, None, reverse=False), Ping(3))
        self.settle()
        person.peer.pause()
        person.drain()
        self.assertTrue(person.peer.is_held)
        self.assertEqual(person.order, ["1"])
        self.worker.release()
        self.settle()
        self.assertEqual(person.order, ["1", "2", "3"])

    def test_lags_in_the_middle(self) -> None:
        """Who is above high water after one answer is obeyed no further until they drain."""
        person = self.guest("Ann", "lobby")
        self.say(50, size=150)
        person.peer.writes.clear()
        person.peer.untaken, person.peer.pause_after = 0, 5000
        numbers = range(10, 15)
        person.begin(*(History(each, "lobby", 30, None, reverse=False) for each in numbers))
        self.settle()
        self.assertEqual(person.order, ["10"])
        for drained in range(2, 6):
            person.drain()
            self.settle()
            self.assertEqual(len(person.order), drained)
        self.assertEqual(person.peer.overruns, 0)

    def test_lost_in_the_inbox(self) -> None:
        """What waits in the inbox of somebody lost is never done."""
        person = self.guest("Ann")
        person.begin(History(2, "den", 1, None, reverse=False), said(3, room="den"))
        person.lost()
        self.assertEqual(len(person.session._inbox), 0)
        watcher = self.guest()
        history = watcher.ask(History(9, "den", 1, None, reverse=False))
        self.assertEqual(history["offset"], 0)


class ThrottleTests(PeopleCase):
    limits: ClassVar[Mapping[str, Any]] = {
        "commands_per_s": 1,
        "commands_burst": 6,
        "publish_per_s": 1,
        "publish_burst": 4,
    }

    def codes(self, person: Person, *numbers: int) -> list[int]:
        """What some commands were refused with; 0: they were not."""
        return [person.replies[each].get("error", {}).get("code", 0) for each in numbers]

    def test_commands(self) -> None:
        """Who asks too often is refused for the time being, and obeyed again after a while."""
        person = self.guest()  # which is one
        person.begin(*(Ping(each) for each in range(2, 9)))
        self.assertEqual(self.codes(person, *range(2, 9)), [0, 0, 0, 0, 0, 111, 111])
        self.assertTrue(person.replies[8]["error"]["temporary"])
        self.advance(1)
        self.assertEqual(person.ask(Ping(9)), {})
        self.assertEqual(person.refusal(Ping(10)), 111)

    def test_publishes(self) -> None:
        """What is said has a limit of its own: asking much leaves it, and the reverse."""
        person = self.guest("Ann", "lobby")
        person.begin(*(said(each) for each in range(10, 15)))
        self.settle()
        self.assertEqual(self.codes(person, *range(10, 15)), [0, 0, 0, 0, 111])
        person.begin(*(Ping(each) for each in range(20, 25)))
        self.assertEqual(self.codes(person, *range(20, 25)), [0, 0, 0, 0, 111])
        self.advance(1)
        self.assertEqual(person.ask(said(30)), {})
        self.assertEqual(person.ask(Ping(31)), {})
        self.assertEqual(person.offsets(), [1, 2, 3, 4, 5])

    def test_senseless(self) -> None:
        """What makes no sense counts too, be it strange or out of place."""
        for command in (Connect(50, "", None, None), Strange(50, NO_SUCH_COMMAND)):
            person = self.guest()
            person.begin(*[command] * 5, Ping(51))
            codes = [each["error"]["code"] for each in person.told[1:]]
            self.assertEqual(codes, [codes[0]] * 5 + [111])
            self.assertNotEqual(codes[0], 111)

    def test_stubborn(self) -> None:
        """After ten refusals, who goes on is closed; what they still ask is not looked at."""
        person = self.guest()
        person.begin(*(Ping(each) for each in range(2, 40)))
        refused = [each for each in person.told if "error" in each]
        self.assertEqual([each["error"]["code"] for each in refused], [111] * 11)
        self.assertIs(person.close, TOO_MANY_REQUESTS.close)
        self.assertEqual((person.close or NORMAL).sdk_code, 3013)

    def test_unanswered(self) -> None:
        """Whoever is closed for asking too often is first told what became of what they said."""
        person = self.guest("Ann", "lobby")
        person.begin(*(said(each) for each in range(10, 40)))
        self.assertIsNone(person.close)
        self.assertIs(person.session.state, State.CLOSING)
        self.assertTrue(person.peer.is_held)
        person.begin(Ping(50))
        self.settle()
        self.assertEqual(self.codes(person, *range(10, 14)), [0] * 4)
        self.assertEqual(self.codes(person, *range(14, 25)), [111] * 11)
        self.assertNotIn(50, person.replies)
        self.assertIs(person.close, TOO_MANY_REQUESTS.close)
        person.lost()
        self.advance(20)
        self.assertNobody()

    def test_ignored(self) -> None:
        """Pongs and what is not answered count like commands, and nobody is told."""
        person = self.guest()
        person.begin(*[Ignored()] * 16)
        self.assertEqual((len(person.told), person.close), (1, TOO_MANY_REQUESTS.close))

    def test_binary(self) -> None:
        """Bytes that are passed on count like what is said."""
        person = self.plain()
        person.begin(*[Send(b"", binary=True)] * 5)
        self.assertIs(person.close, TOO_MANY_REQUESTS.close)

    def test_history(self) -> None:
        """To read history counts like asking."""
        person = self.guest("Ann", "lobby")
        person.begin(*(History(each, "lobby", 0, None, reverse=False) for each in range(10, 15)))
        self.settle()
        self.assertEqual(self.codes(person, *range(10, 15)), [0, 0, 0, 0, 111])

    def test_patient(self) -> None:
        """One who is refused now and then is never closed."""
        person = self.guest()
        for number in range(100, 160, 2):
            person.begin(Ping(number), Ping(number + 1))
            self.advance(1)
        self.assertIsNone(person.close)
        self.assertGreater(len([each for each in person.told if "error" in each]), 10)

    def test_plain(self) -> None:
        """Where there are no replies the first one too many is a close."""
        person = self.plain()
        person.begin(*[Say("hi")] * 4)
        self.settle()
        self.assertIsNone(person.close)
        person.begin(Send(b"", binary=True), Say("hi"))
        self.settle()
        self.assertIs(person.close, TOO_MANY_REQUESTS.close)
        self.assertEqual((person.close or NORMAL).code, 1008)
        self.assertEqual(person.heard, [GREETING, *["hi"] * 4])


class RefusalTests(PeopleCase):
    def test_plain(self) -> None:
        """A refusal of who has no replies is a close that says why."""
        for command, refusal in (
            (Enter("no room", None), ROOM_INVALID),
            (Enter(None, "no nick"), NICK_INVALID),
        ):
            person = self.arrive(Plain())
            person.begin(command)
            self.assertIs(person.close, refusal.close)
            person.lost()
        self.assertNobody()


class BugTests(PeopleCase):
    """What raises is a bug: it is told as one, logged once, and is of no consequence."""

    def with_bug(self, kind: type, run: Any) -> Mapping[type, Action]:
        """The command table with one action that is another."""
        return {**ACTIONS, kind: Action(State.LIVE, Rate.COMMANDS, run)}

    def check(self, person: Person, command: Command) -> None:
        """See that a command fails as a bug does."""
        with capturedLogs() as logged:
            error = person.ask(command)
        self.assertEqual(error["code"], INTERNAL.code)
        self.assertNotIn("secret", repr(person.told))
        self.assertEqual(
            [each.get("command") for each in logged if "log_failure" in each],
            [type(command).__name__],
        )
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertLive(person)

    def test_at_once(self) -> None:
        """In what is done at once."""

        def fail(session: Session, command: Ping) -> None:
            raise ZeroDivisionError("secret")

        person = self.guest(actions=self.with_bug(Presence, fail))
        self.check(person, Presence(2, "lobby"))

    def test_later(self) -> None:
        """In what is done with an outcome; the room is given back."""

        def opened(room: Room) -> None:
            raise ZeroDivisionError("secret")

        def fail(session: Session, command: Ping) -> None:
            session.with_room(command, "den", opened)

        person = self.guest(actions=self.with_bug(Presence, fail))
        self.check(person, Presence(2, "lobby"))
        self.assertEqual(len(self.hub), 0)

    def test_in_the_middle(self) -> None:
        """In a second step."""

        def fail(session: Session, command: Ping) -> None:
            def present(users: object) -> None:
                raise ZeroDivisionError("secret")

            session.with_room(
                command,
                "den",
                lambda room: self.broker.present(room.name, session.awaits(command, present)),
            )

        person = self.guest(actions=self.with_bug(Presence, fail))
        self.check(person, Presence(2, "lobby"))
        self.assertEqual(len(self.hub), 0)

    def test_unspeakable(self) -> None:
        """In an answer that cannot be encoded."""

        def fail(session: Session, command: Presence) -> None:
            session.reply(command, Answered({1, 2}))

        person = self.guest(actions=self.with_bug(Presence, fail))
        self.assertEqual(person.refusal(Presence(2, "lobby")), INTERNAL.code)
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)
        self.assertLive(person)

    def test_plain(self) -> None:
        """Where there are no replies it is a close, 1011."""

        def fail(session: Session, command: Say) -> None:
            raise ZeroDivisionError("secret")

        person = self.arrive(Plain(), actions=self.with_bug(Say, fail))
        person.begin(Enter(None, None), Say("hi"))
        self.settle()
        self.assertIs(person.close, INTERNAL.close)
        self.assertEqual((person.close or NORMAL).code, 1011)
        self.assertEqual(person.heard, [GREETING])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class RoomTests(PeopleCase):
    """`with_room` and `awaits`: a room is needed for as long as the command is."""

    def test_given_back(self) -> None:
        """A room that was opened for a command is open until that is done."""
        person = self.guest()
        person.begin(History(2, "den", 1, None, reverse=False))
        self.settle()
        self.assertEqual(len(self.hub), 0)
        person.begin(Presence(3, "den"))
        while "3" not in person.order:
            self.assertLessEqual(len(self.hub), 1)
            self.clock.advance(0)
        self.assertEqual(len(self.hub), 0)

    def test_refused(self) -> None:
        """A room that cannot be opened is an error, and the next command is done."""
        person = self.guest()
        self.worker.failures.append(OSError("secret"))
        person.begin(History(2, "den", 1, None, reverse=False), Ping(3))
        self.settle()
        self.assertEqual(person.replies[2]["error"]["code"], 400)
        self.assertEqual(person.order, ["1", "2", "3"])
        self.assertEqual(len(self.hub), 0)
        self.assertNotIn("secret", repr(person.told))

    def test_of_others(self) -> None:
        """A room that others need stays open."""
        self.guest("Ann", "den")
        person = self.guest()
        person.ask(Presence(2, "den"))
        person.ask(History(3, "den", 10, None, reverse=False))
        self.assertEqual(self.room("den").uses, 2)  # the member, and that somebody is present

    def test_direct(self) -> None:
        """The direct room of two others is not even looked at."""
        person = self.guest()
        person.begin(History(2, "@ann:bob", 1, None, reverse=False), Ping(3))
        self.settle()
        self.assertEqual(person.replies[2]["error"]["code"], PRIVATE_ROOM.code)
        self.assertIsNone(self.hub.find("@ann:bob"))
        self.assertEqual(person.order, ["1", "2", "3"])

    def test_not_stored(self) -> None:
        """What cannot be stored is refused, and the conversation goes on."""
        person = self.guest("Ann", "lobby")
        self.worker.failures.append(sqlite_error("SQLITE_FULL"))
        self.assertEqual(person.refusal(said(3)), FULL.code)
        self.assertEqual(person.ask(said(4)), {})

    def test_said_without_being_there(self) -> None:
        """A room is closed behind what is said to it, which is stored all the same."""
        person = self.guest()
        value = compact({"type": "message", "id": "a", "text": "hi"})
        self.assertEqual(person.ask(Publish(2, "den", 1, value)), {})
        self.assertEqual(len(self.hub), 0)
        self.assertEqual(person.ask(History(3, "den", 10, None, reverse=False))["offset"], 1)
