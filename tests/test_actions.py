"""What each command does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from typing import Any, ClassVar

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatd.core.broker import Place
from chatd.core.commands import (
    Command,
    Connect,
    Enter,
    History,
    Ping,
    Presence,
    PresenceStats,
    Publish,
    Refresh,
    Rpc,
    Say,
    Send,
    Since,
    Strange,
    Subscribe,
    Unsubscribe,
)
from chatd.core.events import Sender, compact
from chatd.core.session import State
from chatd.errors import (
    BAD_REQUEST,
    FULL,
    INVALID_TOKEN,
    NO_SUCH_COMMAND,
    NORMAL,
    ROOM_INVALID,
    STALLED,
    UNAVAILABLE,
    UNKNOWN_OUTCOME,
    Refusal,
)
from chatd.wire.plain import Plain
from tests.support.brokers import sqlite_error
from tests.support.people import PeopleCase, Person, said

GREETING = "connected to WebSocket server"

# What the database fails with, and what is said of it to who published.
FAILURES: Mapping[str, Refusal] = {"SQLITE_FULL": FULL, "SQLITE_IOERR": UNKNOWN_OUTCOME}


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


class EnterTests(PeopleCase):
    def test_greeting(self) -> None:
        """Who enters is greeted, before they hear anything of the room."""
        self.say(1)
        person = self.arrive(Plain())
        person.begin(Enter(None, None), Say("hello"))
        self.assertEqual(person.heard, [])
        self.settle()
        self.assertEqual(person.heard, [GREETING, "hello"])

    def test_no_greeting(self) -> None:
        """Nobody is greeted where there is no greeting."""
        self.start(greeting="")
        self.assertEqual(self.plain().heard, [])

    def test_room(self) -> None:
        """They are in the room they asked for, in any case of its letters, or in the lobby."""
        self.plain("DEN")
        self.plain()
        self.assertEqual(self.room("den").presence.users, 1)
        self.assertEqual(self.room("lobby").presence.users, 1)

    def test_nick(self) -> None:
        """They have the nick they asked for, with a number when it is taken, or a guest's."""
        self.assertEqual(self.plain("den", "Ann").nick, "Ann")
        self.assertEqual(self.plain("den", "ann").nick, "ann-2")
        self.assertRegex(self.plain("den").nick, "^guest-")

    def test_unavailable(self) -> None:
        """A room that cannot be opened is a close that says to come again."""
        self.worker.failures.append(sqlite_error("SQLITE_IOERR"))
        person = self.plain()
        self.assertIs(person.close, UNAVAILABLE.close)
        self.assertEqual((person.close or NORMAL).code, 1013)
        self.assertEqual(person.heard, [])
        person.lost()
        self.assertNobody()

    def test_leaves_at_once(self) -> None:
        """Nobody without replies can come back as the same user, so they leave at once."""
        watcher = self.guest("Ann")
        watcher.ask(to("lobby", join_leave=True))
        self.plain(None, "Bob").lost()
        self.assertEqual(
            [each["info"]["conn_info"]["nick"] for each in watcher.pushes("leave")], ["Bob"]
        )
        self.assertEqual(self.present(), ["Ann"])
        self.assertEqual(self.plain(None, "Bob").nick, "Bob")


class SayTests(PeopleCase):
    def test_all_hear(self) -> None:
        """What one says all in the room hear, they too, on either door; nobody elsewhere does."""
        one, other, away = self.plain(), self.plain(), self.plain("den")
        guest = self.guest("Ann", "lobby")
        one.begin(Say("hello"))
        self.settle()
        self.assertEqual(one.heard[1:], ["hello"])
        self.assertEqual(other.heard[1:], ["hello"])
        self.assertEqual(away.heard[1:], [])
        (pub,) = guest.pushes("pub")
        self.assertEqual((pub["offset"], pub["data"]["text"]), (1, "hello"))
        self.assertEqual(pub["data"]["type"], "message")

    def test_no_echo(self) -> None:
        """With `echo` off all but who said it hear it."""
        self.start(echo=False)
        one, other = self.plain(), self.plain()
        one.begin(Say("hello"), Send(b"\0", binary=True))
        self.settle()
        self.assertEqual(one.heard, [GREETING])
        self.assertEqual(other.peer.messages[1:], ["hello", b"\0"])

    def test_order(self) -> None:
        """What is stored and what is only passed on keep their order."""
        person = self.plain()
        person.begin(Say("1"), Send(b"2", binary=True), Say("3"), Send(b"", binary=False))
        self.settle()
        self.assertEqual(person.peer.messages[1:], ["1", b"2", "3", ""])
        self.assertEqual(self.room().head, 2)

    def test_refused(self) -> None:
        """What cannot be stored closes who said it, and is heard by nobody."""
        for name, refusal in FAILURES.items():
            person, other = self.plain(), self.plain()
            self.worker.failures.append(sqlite_error(name))
            person.begin(Say("hello"))
            self.settle()
            self.assertIs(person.close, refusal.close)
            self.assertEqual(person.heard + other.heard, [GREETING] * 2)
            person.lost()
            other.lost()

    def test_too_much(self) -> None:
        """Who sends more than may wait is closed."""
        self.start(pending_messages=2)
        for command in (Say("hi"), Send(b"\0", binary=True)):
            person = self.plain()
            person.begin(*[command] * 3)
            self.settle()
            self.assertIs(person.close, UNAVAILABLE.close)
            person.lost()

    def test_lost_place(self) -> None:
        """Who missed what cannot be had any more is closed as one that reads too slowly."""
        self.start(cached_bytes=0)
        person = self.plain()
        self.miss(person)
        self.assertIs(person.close, STALLED)
        self.assertEqual(person.heard, [GREETING])


class ConnectTests(PeopleCase):
    def test_result(self) -> None:
        """Who connects is told who they are, and the limits."""
        result = self.arrive().ask(Connect(1, "", "Ann", None))
        self.assertEqual(result["data"]["nick"], "Ann")
        self.assertEqual(result["ping"], 25)
        self.assertEqual(
            result["data"]["limits"], {"text": 8000, "publish_per_s": 10, "burst": 100}
        )
        holder = self.node.guests.holder(result["data"]["resume"])
        self.assertEqual(holder, (result["data"]["user"], result["data"]["nick"]))

    def test_guest(self) -> None:
        """A guest has a nick of their own, and each is another user."""
        one, other = self.guest(), self.guest()
        self.assertNotEqual(one.user, other.user)
        self.assertNotEqual(one.nick, other.nick)
        self.assertRegex(one.nick, "^guest-")

    def test_taken(self) -> None:
        """A nick that is taken is given with a number, in any case of its letters."""
        self.guest("Ann")
        self.assertEqual(self.guest("ANN").nick, "ANN-2")

    def test_invalid(self) -> None:
        """A nick that cannot be is refused, and another may be tried."""
        person = self.arrive()
        for number, nick in enumerate(("", "a b", "server", "x" * 33), 1):
            self.assertEqual(person.refusal(Connect(number, "", nick, None)), 411)
        self.assertEqual(person.ask(Connect(9, "", "Ann", None))["data"]["nick"], "Ann")

    def test_token(self) -> None:
        """There is nobody who could vouch for a token: it is invalid, do not come back."""
        person = self.arrive()
        person.begin(Connect(1, "a.b.c", "Ann", None))
        self.assertIs(person.close, INVALID_TOKEN)
        self.assertEqual((person.close or NORMAL).sdk_code, 3500)
        self.assertEqual(person.peer.writes, [])

    def test_again(self) -> None:
        """Who is connected already is refused, and stays who they are."""
        person = self.guest("Ann")
        self.assertEqual(person.refusal(Connect(2, "", "Bob", None)), 107)
        self.assertEqual(person.nick, "Ann")

    def test_resume(self) -> None:
        """The token brings the same user and nick back, beside those who are there."""
        one = self.guest("Ann", "lobby")
        other = self.guest("Bob", resume=self.resume(one))
        self.assertEqual((other.user, other.nick), (one.user, "Ann"))
        self.assertNotEqual(other.session.id, one.session.id)
        self.assertLive(one)

    def test_resume_later(self) -> None:
        """It does so also when all have forgotten them; the token has not."""
        one = self.guest("Ann")
        user, token = one.user, self.resume(one)
        one.lost()
        self.advance(self.config.grace_s + 1)
        self.assertNobody()
        other = self.guest("Bob", resume=token)
        self.assertEqual((other.user, other.nick), (user, "Ann"))

    def test_resume_taken(self) -> None:
        """When somebody has taken the nick since, there is a number behind it for now."""
        one = self.guest("Ann")
        token = self.resume(one)
        one.lost()
        self.advance(self.config.grace_s + 1)
        another = self.guest("Ann")
        self.assertEqual(another.nick, "Ann")
        two = self.guest(resume=token)
        self.assertEqual(two.nick, "Ann-2")
        for person in (another, two):
            person.lost()
        self.advance(self.config.grace_s + 1)
        self.assertEqual(self.guest(resume=token).nick, "Ann")

    def test_resume_nameless(self) -> None:
        """Who had chosen no nick may choose one when they come back, and keeps it."""
        one = self.guest()
        token = self.resume(one)
        one.lost()
        self.advance(self.config.grace_s + 1)
        two = self.guest("Bob", resume=token)
        self.assertEqual(two.nick, "Bob")
        token = self.resume(two)
        two.lost()
        self.advance(self.config.grace_s + 1)
        self.assertEqual(self.guest(resume=token).nick, "Bob")

    def test_resume_not_ours(self) -> None:
        """A token we did not make is of no account: somebody new comes in."""
        one = self.guest("Ann")
        for token in ("", "x", self.resume(one)[:-1] + "_"):
            other = self.guest("Bob", resume=token)
            self.assertNotEqual(other.user, one.user)
            self.assertRegex(other.nick, "^Bob")

    def test_unavailable(self) -> None:
        """When the record cannot be read they are refused for now, and may try again."""
        one = self.guest("Ann")
        person = self.arrive()
        self.worker.failures.append(sqlite_error("SQLITE_IOERR"))
        error = person.ask(Connect(1, "", None, self.resume(one)))
        self.assertEqual((error["code"], error["temporary"]), (400, True))
        self.assertTrue(person.session.is_connecting)
        result = person.ask(Connect(2, "", None, self.resume(one)))
        self.assertEqual(result["data"]["user"], one.user)

    def test_grace(self) -> None:
        """Who may come back holds their nick and their place for the grace, and no longer."""
        watcher = self.guest("Bob")
        watcher.ask(to("lobby", join_leave=True))
        one = self.guest("Ann", "lobby")
        one.lost()
        self.advance(self.config.grace_s - 1)
        self.assertEqual(self.present(), ["Ann", "Bob"])
        self.assertEqual(self.guest("Ann").nick, "Ann-2")
        self.assertEqual(watcher.pushes("leave"), [])
        self.advance(2)
        self.assertEqual(self.present(), ["Bob"])
        self.assertEqual(len(watcher.pushes("leave")), 1)
        self.assertEqual(self.guest("Ann").nick, "Ann")

    def test_back(self) -> None:
        """Who comes back within the grace has never left."""
        watcher = self.guest("Bob")
        watcher.ask(to("lobby", join_leave=True))
        one = self.guest("Ann", "lobby")
        token = self.resume(one)
        one.lost()
        self.advance(self.config.grace_s - 1)
        self.guest(None, "lobby", resume=token)
        self.advance(self.config.grace_s * 2)
        self.assertEqual(watcher.order[2:], ["lobby:join", "lobby:join"])
        self.assertEqual(self.present(), ["Ann", "Bob"])


class SubscribeTests(PeopleCase):
    def test_position(self) -> None:
        """The reply says where the room stands, and how many are in it."""
        self.guest("Ann", "lobby")
        self.say(3)
        result = self.guest("Bob").ask(to("lobby"))
        self.assertEqual((result["epoch"], result["offset"]), (self.room().epoch, 3))
        self.assertEqual((result["positioned"], result["recoverable"]), (True, True))
        self.assertEqual(result["data"], {"members": 2})
        self.assertNotIn("was_recovering", result)
        self.assertNotIn("recovered", result)

    def test_members(self) -> None:
        """A user with several sessions is one member, also in the reply to each."""
        one = self.guest("Ann", "lobby")
        other = self.guest(None, resume=self.resume(one))
        self.assertEqual(other.ask(to("lobby"))["data"], {"members": 1})

    def test_already(self) -> None:
        """Who is in the room is told so, in whatever case they spell it; they stay in it."""
        person = self.guest("Ann", "lobby")
        self.assertEqual(person.refusal(to("Lobby")), 105)
        self.say(1)
        self.assertEqual(person.offsets(), [1])

    def test_limit(self) -> None:
        """There is a most of rooms; with one less another may be had."""
        self.start(rooms_per_connection=3)
        person = self.guest("Ann", "a", "b", "c")
        self.assertEqual(person.refusal(to("d", number=8)), 106)
        person.ask(Unsubscribe(9, "a"))
        self.assertIn("epoch", person.ask(to("d", number=10)))

    def test_bad_name(self) -> None:
        """A name that cannot be is refused, wherever a room is named."""
        person = self.guest()
        for number, room in enumerate(("", "a b", "x" * 101, "żółw"), 10):
            self.assertEqual(person.refusal(to(room, number=number)), ROOM_INVALID.code)
        commands: tuple[Command, ...] = (
            value(1, number=20, room="a b"),
            past(1, number=21, room="a b"),
            Presence(22, "a b"),
            PresenceStats(23, "a b"),
            Unsubscribe(24, "a b"),
        )
        for command in commands:
            self.assertEqual(person.refusal(command), ROOM_INVALID.code)
        self.assertEqual(len(self.hub), 0)

    def test_spelling(self) -> None:
        """The room is called as the peer spells it, and is the same for all."""
        person = self.guest("Ann", "Lobby")
        self.say(1)
        self.assertEqual(person.offsets("Lobby"), [1])
        self.assertEqual(person.offsets("lobby"), [])

    def test_unavailable(self) -> None:
        """A room that cannot be opened may be asked for again."""
        person = self.guest()
        self.worker.failures.append(sqlite_error("SQLITE_IOERR"))
        self.assertEqual(person.refusal(to("lobby")), 400)
        self.assertIn("epoch", person.ask(to("lobby", number=6)))

    def test_join_leave(self) -> None:
        """Who asks for it is told who comes and goes; who does not is not."""
        told, untold = self.guest("Ann"), self.guest("Bob", "lobby")
        told.ask(to("lobby", join_leave=True))
        person = self.guest("Cid", "lobby")
        person.ask(Unsubscribe(8, "lobby"))
        self.assertEqual(told.order[2:], ["lobby:join", "lobby:join", "lobby:leave"])
        self.assertEqual(told.pushes("leave")[0]["info"]["conn_info"], {"nick": "Cid"})
        self.assertEqual(untold.order, ["1", "2"])

    def test_unsubscribe(self) -> None:
        """Who leaves hears nothing more, has left at once, and may be nowhere anyhow."""
        person = self.guest("Ann", "lobby")
        self.assertEqual(person.ask(Unsubscribe(8, "LOBBY")), {})
        self.assertEqual(len(self.hub), 0)
        self.say(1)
        self.assertEqual(person.offsets(), [])
        self.assertEqual(person.ask(Unsubscribe(9, "lobby")), {})


class RecoveryTests(PeopleCase):
    def since(self, offset: int) -> Since:
        """A place in the lobby, as this opening of the store calls it."""
        return Since(self.room().epoch, offset)

    def check(self, person: Person, since: Since, *, recovered: bool, offset: int) -> None:
        """See what is answered to somebody who wants to go on."""
        result = person.ask(to("lobby", since=since))
        self.assertTrue(result["was_recovering"])
        self.assertEqual(result.get("recovered", False), recovered)
        self.assertEqual(result.get("offset", 0), offset)

    def test_recovered(self) -> None:
        """From a place that is there on all follows, after the reply, once and in order."""
        self.guest("Bob", "lobby")
        self.say(300)
        for offset in (0, 1, 127, 128, 250, 299, 300):
            person = self.guest()
            self.check(person, self.since(offset), recovered=True, offset=offset)
            self.assertEqual(person.offsets(), list(range(offset + 1, 301)))
            self.assertEqual(person.order[:2], ["1", "5"])
            self.say(1, "den")
            person.lost()

    def test_goes_on(self) -> None:
        """What is said later follows what was missed."""
        self.guest("Bob", "lobby")
        self.say(5)
        person = self.guest()
        self.check(person, self.since(2), recovered=True, offset=2)
        self.say(2)
        self.assertEqual(person.offsets(), [3, 4, 5, 6, 7])

    def test_not_recovered(self) -> None:
        """From any other place the room begins anew, at its head, without what was missed."""
        self.guest("Bob", "lobby")
        self.say(10)
        self.broker.trim("lobby", 4, lambda told: None)
        self.settle()
        places = {
            Place.OK: self.since(4),
            Place.GAP: self.since(3),
            Place.TRUNCATE: self.since(11),
            Place.RESET: Since("another", 4),
        }
        for place, since in places.items():
            person = self.guest()
            is_there = place is Place.OK
            self.check(person, since, recovered=is_there, offset=4 if is_there else 10)
            self.say(1, "den")
            self.assertEqual(person.offsets(), [5, 6, 7, 8, 9, 10] if is_there else [])
            person.lost()

    def test_too_many(self) -> None:
        """Who missed more than the limit begins anew; who missed just that is given it."""
        self.start(recovery_messages=5)
        self.guest("Bob", "lobby")
        self.say(10)
        self.check(self.guest(), self.since(4), recovered=False, offset=10)
        person = self.guest()
        self.check(person, self.since(5), recovered=True, offset=5)
        self.assertEqual(person.offsets(), [6, 7, 8, 9, 10])

    def test_unavailable(self) -> None:
        """When the place cannot be looked up that is told, and no room stays open for it."""
        person = self.guest("Ann")
        self.say(1)
        self.patch(
            self.broker, "locate", lambda room, position, done: self.later(done, UNAVAILABLE)
        )
        self.assertEqual(person.refusal(to("lobby", since=Since("e", 1))), 400)
        self.assertEqual(len(self.hub), 0)

    def later(self, done: Callable[[Refusal], None], outcome: Refusal) -> None:
        """Tell an outcome in another turn."""
        self.clock.callLater(0, done, outcome)

    @given(
        turns=st.integers(0, 8),
        since=st.one_of(st.none(), st.integers(0, 4)),
        is_open=st.booleans(),
        many=st.integers(1, 3),
    )
    @settings(
        max_examples=60, deadline=None, suppress_health_check=[HealthCheck.differing_executors]
    )
    def test_nothing_between(self, turns: int, since: int | None, is_open: bool, many: int) -> None:
        """No message falls between what the reply says and what follows it, whenever it is said."""
        self.start()
        other = self.guest("Bob", *(["lobby"] if is_open else []))
        self.say(4)
        epoch = other.ask(past(0, number=9))["epoch"]
        person = self.guest("Ann")
        person.begin(to("lobby", since=None if since is None else Since(epoch, since)))
        for _ in range(turns):
            self.clock.advance(0)
        other.begin(*(said(number) for number in range(20, 20 + many)))
        self.settle()
        offset = person.replies[5]["subscribe"].get("offset", 0)
        if since is not None:
            self.assertEqual(offset, since)
        self.assertEqual(person.offsets(), list(range(offset + 1, 4 + many + 1)))

    def test_lost_place(self) -> None:
        """Who missed what cannot be had any more is unsubscribed, and may subscribe again."""
        self.start(cached_bytes=0)
        watcher = self.guest("Bob", "den")
        watcher.ask(to("lobby", join_leave=True))
        person = self.guest("Ann", "Lobby")
        self.miss(person)
        self.assertEqual(
            person.pushes("unsubscribe", "Lobby"), [{"code": 2500, "reason": "insufficient state"}]
        )
        self.assertEqual(person.offsets("Lobby"), [])
        self.assertEqual(person.ask(to("Lobby", number=9))["offset"], 300)
        self.advance(self.config.grace_s + 1)
        self.assertEqual(watcher.pushes("leave"), [])
        self.assertLive(person)


class PublishTests(PeopleCase):
    def test_together(self) -> None:
        """It is stored, then answered, then told; answer and message leave in one write."""
        person = self.guest("Ann", "lobby")
        person.peer.writes.clear()
        self.worker.is_held = True
        person.begin(said(5))
        self.settle()
        self.assertEqual(person.peer.writes, [])
        self.worker.release()
        self.settle()
        self.assertEqual(person.order, ["5", "lobby:1"])
        self.assertEqual(len(person.peer.writes), 1)

    def test_event(self) -> None:
        """Others are told what was said, by whom and when."""
        other, person = self.guest("Bob", "lobby"), self.guest("Ann", "lobby")
        self.advance(5)
        person.ask(value({"any": ["thing", None]}))
        (pub,) = other.pushes("pub")
        self.assertEqual((pub["data"], pub["offset"]), ({"any": ["thing", None]}, 1))
        self.assertEqual(pub["info"]["user"], person.user)
        self.assertEqual(pub["info"]["client"], person.session.id)
        self.assertEqual(pub["info"]["conn_info"], {"nick": "Ann"})
        self.assertEqual(pub["time"], 5000)

    def test_many(self) -> None:
        """Several in a row are stored in order, and each is answered."""
        person = self.guest("Ann", "lobby", "den")
        person.begin(said(5), said(6, room="den"), said(7), said(8))
        self.settle()
        self.assertEqual(set(person.replies), {1, 2, 3, 5, 6, 7, 8})
        self.assertEqual([each["data"]["id"] for each in person.pushes("pub")], ["m5", "m7", "m8"])
        self.assertEqual(person.offsets("den"), [1])

    def test_repeated(self) -> None:
        """The same id again is answered the same and stored once, also while it is under way."""
        person = self.guest("Ann", "lobby")
        person.begin(said(5, key="k"), said(6, key="k"))
        self.settle()
        self.assertEqual(person.ask(said(7, "other", key="k")), {})
        self.assertEqual(person.replies[5]["publish"], {})
        self.assertEqual(person.replies[6]["publish"], {})
        self.assertEqual(person.offsets(), [1])
        self.assertEqual(self.room().head, 1)

    def test_no_member(self) -> None:
        """One need not be in a room to say something there."""
        other, person = self.guest("Bob", "lobby"), self.guest("Ann")
        self.assertEqual(person.ask(said(5)), {})
        self.assertEqual(other.offsets(), [1])
        self.assertEqual(person.order, ["1", "5"])
        self.assertEqual(person.ask(said(6, room="den")), {})
        self.assertIsNone(self.hub.find("den"))

    def test_bad_values(self) -> None:
        """What is no message, is too long, or is not for peers to say is refused."""
        person = self.guest("Ann", "lobby")
        text = {"type": "message", "id": "a"}
        for number, (told, code) in enumerate(
            (
                ("x" * 70_000, 107),
                ({**text, "text": ""}, 107),
                ({**text, "text": "x", "id": "a b"}, 107),
                ({**text, "text": "x" * 8001}, 420),
                ({"type": "nick", "user": "a", "from": "a", "to": "b"}, 108),
            ),
            10,
        ):
            self.assertEqual(person.refusal(value(told, number=number)), code)
        self.assertEqual(self.room().head, 0)

    def test_failures(self) -> None:
        """What cannot be stored, or perhaps was, is told so, for now, and told to nobody else."""
        other, person = self.guest("Bob", "lobby"), self.guest("Ann", "lobby")
        for number, (name, refusal) in enumerate(FAILURES.items(), 5):
            self.settle()
            self.worker.failures.append(sqlite_error(name))
            error = person.ask(said(number))
            self.assertEqual((error["code"], error["temporary"]), (refusal.code, True))
        self.assertEqual(other.offsets() + person.offsets(), [])
        self.assertEqual(person.ask(said(9)), {})
        self.assertEqual(person.offsets(), [1])

    def test_too_much(self) -> None:
        """When too much waits that is answered at once, and does not wait itself."""
        self.start(pending_messages=2)
        person = self.guest("Ann", "lobby")
        self.worker.is_held = True
        person.begin(*(said(number) for number in range(5, 9)))
        self.settle()
        codes = {
            number: each["error"]["code"]
            for number, each in person.replies.items()
            if "error" in each
        }
        self.assertEqual(codes, {7: 400, 8: 400})
        self.worker.release()
        self.settle()
        self.assertEqual(person.offsets(), [1, 2])
        self.assertEqual(person.replies[6]["publish"], {})

    def test_no_room(self) -> None:
        """What waits for a room that cannot be opened is refused."""
        person = self.guest("Ann")
        self.worker.failures.append(sqlite_error("SQLITE_IOERR"))
        self.assertEqual(person.refusal(said(5)), 400)

    def test_typing(self) -> None:
        """That somebody types is told, without an offset, and is not stored."""
        other, person = self.guest("Bob", "lobby"), self.guest("Ann", "lobby")
        typing = value({"type": "typing", "on": True})
        self.assertEqual(person.ask(typing), {})
        (pub,) = other.pushes("pub")
        self.assertEqual(pub["data"], {"type": "typing", "on": True})
        self.assertNotIn("offset", pub)
        self.assertEqual(self.room().head, 0)
        self.assertEqual(person.refusal(value({"type": "typing"}, number=9)), 107)

    def test_typing_dropped(self) -> None:
        """Where too much waits it is lost, which nobody minds: it is answered all the same."""
        self.start(pending_messages=1)
        other, person = self.guest("Bob", "lobby"), self.guest("Ann", "lobby")
        self.worker.is_held = True
        person.begin(said(5), value({"type": "typing", "on": True}, number=6))
        self.assertIn("publish", person.replies[6])
        self.worker.release()
        self.settle()
        self.assertEqual([pub.get("offset") for pub in other.pushes("pub")], [1])

    def test_gone_meanwhile(self) -> None:
        """What somebody said before they were lost is stored and told to the others."""
        other, person = self.guest("Bob", "lobby"), self.guest("Ann", "lobby")
        person.begin(said(5))
        writes = len(person.peer.writes)
        person.lost()
        self.assertEqual(other.offsets(), [1])
        self.assertEqual(len(person.peer.writes), writes)


class HistoryTests(PeopleCase):
    def setUp(self) -> None:
        super().setUp()
        self.person = self.guest("Ann", "lobby")

    def offsets(self, command: History) -> list[int]:
        """Of what is read."""
        self.person.peer.writes.clear()
        result = self.person.ask(command)
        self.assertEqual((result["epoch"], result["offset"]), (self.epoch, self.room().head))
        return [each["offset"] for each in result["publications"]]

    @property
    def epoch(self) -> str:
        """Of the lobby."""
        return self.room().epoch

    def test_directions(self) -> None:
        """It is read from the beginning, or backwards from the end, as many as are asked for."""
        self.say(5)
        self.assertEqual(self.offsets(past(3)), [1, 2, 3])
        self.assertEqual(self.offsets(past(3, reverse=True)), [5, 4, 3])
        self.assertEqual(self.offsets(past(9)), [1, 2, 3, 4, 5])

    def test_since(self) -> None:
        """From a place on what is after it is read, backwards what is before it."""
        self.say(5)
        for offset, after, before in (
            (0, [1, 2, 3, 4, 5], []),
            (1, [2, 3, 4, 5], []),
            (3, [4, 5], [2, 1]),
            (5, [], [4, 3, 2, 1]),
        ):
            since = Since(self.epoch, offset)
            self.assertEqual(self.offsets(past(9, since=since)), after)
            self.assertEqual(self.offsets(past(9, since=since, reverse=True)), before)

    def test_position_only(self) -> None:
        """With the limit 0 only the position is told; of a room with nothing in it, too."""
        self.assertEqual(self.offsets(past(0)), [])
        self.assertEqual(self.offsets(past(9)), [])
        self.say(3)
        self.assertEqual(self.offsets(past(0)), [])
        self.assertEqual(self.offsets(past(0, reverse=True)), [])

    def test_pages(self) -> None:
        """No more than 500, and no more than 64 KiB, come at once; the rest by going on."""
        self.say(520, size=0)
        self.assertEqual(self.offsets(past(10_000)), list(range(1, 501)))
        self.assertEqual(self.offsets(past(10_000, reverse=True)), list(range(520, 20, -1)))
        self.say(20, size=8000)
        found: list[int] = [520]
        while found[-1] < 540:
            page = self.offsets(past(500, since=Since(self.epoch, found[-1])))
            self.assertIn(len(page), range(1, 9))
            found += page
        self.assertEqual(found, list(range(520, 541)))

    def test_no_more_than_shown(self) -> None:
        """No more is read than may be shown, and nothing where there is nothing to read."""
        self.say(3)
        bounds: list[Mapping[str, object]] = []
        page = self.broker.page

        def noting(*args: Any, **kwargs: Any) -> None:
            bounds.append(kwargs)
            page(*args, **kwargs)

        self.patch(self.broker, "page", noting)
        self.offsets(past(0))
        self.offsets(past(9, since=Since(self.epoch, 3)))
        self.offsets(past(9, since=Since(self.epoch, 1), reverse=True))
        self.assertEqual(bounds, [])
        self.offsets(past(9))
        self.offsets(past(1 << 40, reverse=True))
        size = 64 * 1024
        self.assertEqual(
            bounds,
            [
                {"limit": 9, "most_bytes": size, "backward": False},
                {"limit": 500, "most_bytes": size, "backward": True},
            ],
        )

    def test_unrecoverable(self) -> None:
        """A place that is not known, or lies beyond the end, is refused, in either direction."""
        self.say(3)
        for number, (since, reverse) in enumerate(
            product((Since("another", 1), Since(self.epoch, 4)), (False, True)), 20
        ):
            command = past(9, number=number, since=since, reverse=reverse)
            self.assertEqual(self.person.refusal(command), 112)

    def test_trimmed(self) -> None:
        """What was trimmed is not there; what is, comes."""
        self.say(5)
        self.broker.trim("lobby", 2, lambda told: None)
        self.settle()
        self.assertEqual(self.offsets(past(9)), [3, 4, 5])
        self.assertEqual(self.offsets(past(9, since=Since(self.epoch, 1))), [3, 4, 5])

    def test_failure(self) -> None:
        """What cannot be read is an error, for now."""
        self.say(3)
        self.worker.failures.append(sqlite_error("SQLITE_IOERR"))
        self.assertEqual(self.person.refusal(past(9)), 400)
        self.assertLive(self.person)


class PresenceTests(PeopleCase):
    def test_listed(self) -> None:
        """Each user who is there is listed once, with the nick."""
        one = self.guest("Ann", "lobby")
        self.guest(None, "lobby", resume=self.resume(one))
        other = self.guest("Bob")
        listed = other.ask(Presence(5, "Lobby"))["presence"]
        (client,) = listed.values()
        self.assertEqual((client["user"], client["conn_info"]), (one.user, {"nick": "Ann"}))
        self.assertEqual(list(listed), [one.session.id])

    def test_nobody(self) -> None:
        """Of a room nobody is in nobody is listed and counted, and it is not kept open."""
        person = self.guest()
        self.assertEqual(person.ask(Presence(5, "den"))["presence"], {})
        self.assertEqual(person.ask(PresenceStats(6, "den")), {"num_clients": 0, "num_users": 0})
        self.assertEqual(len(self.hub), 0)

    def test_counted(self) -> None:
        """Sessions and users are counted, those too who are awaited."""
        one = self.guest("Ann", "lobby")
        self.guest(None, "lobby", resume=self.resume(one))
        self.plain()
        self.guest("Bob", "lobby").lost()
        person = self.guest()
        counts = person.ask(PresenceStats(5, "LOBBY"))
        self.assertEqual(counts, {"num_clients": 3, "num_users": 3})

    def test_many(self) -> None:
        """No more than 1 000 users are listed."""
        person = self.guest("Ann", "lobby")
        for number in range(1100):
            self.broker.join("lobby", Sender(f"u{number}", f"s{number}", f"n{number}"))
        self.settle()
        self.assertEqual(len(person.ask(Presence(5, "lobby"))["presence"]), 1000)

    def test_after_coming_back(self) -> None:
        """Who came back is listed by the session they have now."""
        one = self.guest("Ann", "lobby")
        token = self.resume(one)
        one.lost()
        two = self.guest(None, "lobby", resume=token)
        self.assertEqual(list(two.ask(Presence(5, "lobby"))["presence"]), [two.session.id])


class OtherTests(PeopleCase):
    def test_ping(self) -> None:
        """A ping is answered."""
        self.assertEqual(self.guest().ask(Ping(5)), {})

    def test_refresh(self) -> None:
        """Guests have nothing to refresh."""
        self.assertEqual(self.guest().refusal(Refresh(5, "token")), 108)

    def test_strange(self) -> None:
        """What makes no sense is answered with what is wrong with it."""
        person = self.guest()
        self.assertEqual(person.refusal(Strange(5, NO_SUCH_COMMAND)), 104)
        self.assertEqual(person.refusal(Strange(6, BAD_REQUEST)), 107)


class LostTests(PeopleCase):
    """Whoever goes in the middle of something leaves nothing behind."""

    limits: ClassVar[Mapping[str, Any]] = {"grace_s": 1}

    def check(self, command: Command, how: Callable[[Person], None], *, is_open: bool) -> int:
        """Have somebody go in each turn of a command; returns how many turns it has."""
        turns = 0
        while True:
            person = self.arrive()
            if not isinstance(command, Connect):
                person.begin(Connect(1, "", "Ann", None))
                self.settle()
            other = self.guest("Bob", "lobby", "den") if is_open else None
            person.begin(command)
            for _ in range(turns):
                self.clock.advance(0)
            number = getattr(command, "id", 0)
            is_done = number in person.replies
            how(person)
            self.settle()
            self.assertIs(person.session.state, State.CLOSING)
            self.assertEqual(number in person.replies, is_done)
            person.lost()
            if other is not None:
                other.lost()
            self.advance(2)
            self.assertNobody()
            if is_done:
                return turns
            turns += 1

    def test_lost(self) -> None:
        """No session, nick, room, member or presence, whatever was under way, in any turn."""
        visitor = self.guest("Old")
        token = self.resume(visitor)
        epoch = visitor.ask(to("lobby", number=4))["epoch"]
        self.say(3)
        visitor.lost()
        self.advance(2)
        since = Since(epoch, 1)
        commands: Mapping[str, Command] = {
            "connect": Connect(5, "", None, token),
            "subscribe": to("lobby"),
            "recover": to("lobby", since=since),
            "begin anew": to("lobby", since=Since("another", 1)),
            "publish": said(5),
            "history": past(2, number=5),
            "history since": past(2, number=5, since=since),
            "no history": past(2, number=5, since=Since("another", 1)),
            "presence": Presence(5, "den"),
            "rooms": Rpc(5, "rooms", None),
        }
        ways: tuple[Callable[[Person], None], ...] = (
            lambda person: person.session.lost(),
            lambda person: person.outbox.close(NORMAL),
        )
        for name, how, is_open in product(commands, ways, (False, True)):
            turns = self.check(commands[name], how, is_open=is_open)
            self.assertEqual(turns > 0, name != "subscribe" or not is_open, name)

    def test_entering(self) -> None:
        """Nor of one who goes while the room they enter is being opened."""
        for turns in range(6):
            person = self.arrive(Plain())
            person.begin(Enter("den", "Ann"))
            for _ in range(turns):
                self.clock.advance(0)
            person.lost()
            self.assertNobody()

    def test_failing(self) -> None:
        """Nor when what was under way fails after they have gone."""
        for command in (past(2), Presence(5, "den"), to("lobby")):
            person = self.guest("Ann")
            self.worker.failures.append(sqlite_error("SQLITE_IOERR"))
            person.begin(command)
            person.lost()
            self.advance(2)
            self.assertNobody()
