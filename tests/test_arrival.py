"""Coming in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from chatd import tokens
from chatd.core.auth import fallback_nick
from chatd.core.bans import by_user
from chatd.core.commands import Connect, Enter, Refresh, Say
from chatd.core.identity import Identity, Role
from chatd.errors import BANNED, EXPIRED, INVALID_TOKEN, NORMAL, SIGN_IN, STALLED, UNAVAILABLE
from chatd.wire.plain import Plain
from tests.support.brokers import sqlite_error
from tests.support.people import PeopleCase, said, to

GREETING = "connected to WebSocket server"


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

    def test_stalled(self) -> None:
        """Who missed what cannot be had any more is closed: they cannot be told so otherwise."""
        self.start(cached_bytes=0)
        person = self.plain()
        self.miss(person)
        self.assertIs(person.close, STALLED)


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

    def test_banned(self) -> None:
        """Who is banned does not come in, and somebody else does."""
        ann = self.guest("Ann")
        resume, now_ms = self.resume(ann), self.node.now_ms()
        self.node.bans.ban(by_user(ann.user), now_ms + 60_000, now_ms, lambda outcome: None)
        self.settle()
        self.assertEqual(self.arrive().refusal(Connect(1, "", None, resume)), BANNED.code)
        self.assertEqual(self.guest("Bob").nick, "Bob")

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
        """A token that nobody vouches for is invalid, do not come back."""
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


class SignInTests(PeopleCase):
    def test_result(self) -> None:
        """Who signs in is told who they are and when to show a newer token; not how to resume."""
        result = self.arrive().ask(Connect(1, self.token("ann", ttl_s=90), None, None))
        self.assertEqual((result["expires"], result["ttl"]), (True, 90))
        about = result["data"]
        self.assertEqual((about["user"], about["nick"], about["resume"]), ("ann", "ann", ""))
        self.assertNotIn("moderator", about)

    def test_guest_result(self) -> None:
        """A guest has no end, and is no moderator."""
        result = self.arrive().ask(Connect(1, "", "Ann", None))
        self.assertEqual(result.keys() & {"expires", "ttl"}, set())
        self.assertNotIn("moderator", result["data"])

    def test_moderator(self) -> None:
        """A moderator is told so."""
        result = self.arrive().ask(Connect(1, self.token("m", moderator=True), None, None))
        self.assertIs(result["data"]["moderator"], True)

    def test_identity(self) -> None:
        """The session knows who it is, which rooms are theirs, and until when."""
        person = self.signed_in("ann", moderator=True, rooms=["Den"], ttl_s=60)
        self.assertEqual(
            person.session.whoever,
            Identity("ann", "ann", Role.MODERATOR, frozenset({"den"}), self.clock.seconds() + 60),
        )

    def test_nick(self) -> None:
        """The nick is that of the token, whatever was asked for, or one made of the id."""
        person = self.arrive()
        token = self.token("ann", info={"nick": "Ann"})
        self.assertEqual(person.ask(Connect(1, token, "Bob", None))["data"]["nick"], "Ann")
        self.assertRegex(self.signed_in("ann@example").nick, "^user-[0-9a-f]{6}$")

    def test_nick_taken(self) -> None:
        """A nick that is taken is given with a number, and with none left one made of the id."""
        self.guest("Ann")
        self.assertEqual(self.signed_in("ann").nick, "ann-2")
        for number in range(3, 100):
            self.guest(f"Ann-{number}")
        self.assertEqual(self.signed_in("Ann").nick, fallback_nick("Ann"))

    def test_nick_kept(self) -> None:
        """The token's nick wins over one that a record has."""
        self.records.write("user:ann", {"nick": "Bob"}, lambda refusal: None)
        self.settle()
        self.assertEqual(self.signed_in("ann").nick, "ann")

    def test_sessions(self) -> None:
        """All sessions of a user are the same user, with one nick."""
        one, other = self.signed_in("ann"), self.signed_in("ann")
        self.assertEqual((one.user, one.nick), (other.user, other.nick))

    def test_resume_ignored(self) -> None:
        """A resume token beside a valid token counts for nothing."""
        guest = self.guest("Ann")
        person = self.arrive()
        result = person.ask(Connect(1, self.token("bob"), None, self.resume(guest)))
        self.assertEqual(result["data"]["user"], "bob")

    def test_invalid(self) -> None:
        """A token that is none is a close, whoever else one might be, and nothing is left."""
        guest = self.guest("Ann")
        for token in ("x", self.token("a b"), self.token("ann", exp=None)):
            person = self.arrive()
            person.begin(Connect(1, token, "Ann", self.resume(guest)))
            self.assertIs(person.close, INVALID_TOKEN)
            self.assertEqual(person.peer.writes, [])
            person.lost()
        guest.lost()
        self.advance(self.config.grace_s + 1)
        self.assertNobody()

    def test_expired(self) -> None:
        """An expired one is an error, so that an SDK gets another, which may be shown at once."""
        person = self.arrive()
        self.clock.advance(100)
        token = self.token("ann", ttl_s=-50)
        self.assertEqual(person.refusal(Connect(1, token, None, None)), 109)
        self.assertIsNone(person.close)
        self.assertEqual(person.ask(Connect(2, self.token("ann"), None, None))["ttl"], 3600)

    def test_early(self) -> None:
        """Who shows a token in the leeway after its end is to show another at once."""
        self.clock.advance(100)
        result = self.arrive().ask(Connect(1, self.token("ann", ttl_s=-5), None, None))
        self.assertEqual(result["ttl"], 1)

    def test_unavailable(self) -> None:
        """When it cannot be read what is kept about somebody, they may try again."""
        person = self.arrive()
        self.worker.failures.append(sqlite_error("SQLITE_IOERR"))
        self.assertEqual(person.refusal(Connect(1, self.token("ann"), None, None)), 400)
        self.assertEqual(person.ask(Connect(2, self.token("ann"), None, None))["ttl"], 3600)

    def test_lost_meanwhile(self) -> None:
        """Nothing is left of somebody who is gone before they were let in."""
        person = self.arrive()
        person.begin(Connect(1, self.token("ann"), None, None))
        person.lost()
        self.settle()
        self.assertNobody()
        self.assertEqual(len(self.node.profiles), 0)


class AccountTests(PeopleCase):
    def account(self, **record: str | None) -> None:
        record = {"nick": "Ann", "hash": "x", **record}
        self.records.write("account:ann", record, lambda refusal: None)
        self.settle()

    def test_known(self) -> None:
        """A token of an account is taken while the account is the one it was made for."""
        self.account(made="1")
        self.assertIsNone(self.signed_in("Ann", made="1").close)
        self.assertIs(self.signed_in("Ann", made="2").close, INVALID_TOKEN)

    def test_removed(self) -> None:
        """It is void when the account was removed, and when another was made by that name."""
        self.account(made="1")
        for record in ({"made": None}, {"made": "2"}):
            self.account(**record)
            self.assertIs(self.signed_in("ann", made="1").close, INVALID_TOKEN)

    def test_moderator(self) -> None:
        """Whether it is a moderator's is what the account says now."""
        self.account(made="1", moderator="1")
        self.assertIs(self.signed_in("ann", made="1").session.whoever.role, Role.MODERATOR)
        self.account(moderator=None)
        token = self.signed_in("ann", made="1", moderator=True)
        self.assertIs(token.session.whoever.role, Role.USER)

    def test_refresh(self) -> None:
        """A newer token of an account that is gone ends the connection."""
        self.account(made="1", moderator="1")
        person = self.signed_in("ann", made="1")
        self.assertEqual(person.ask(Refresh(5, self.token("ann", made="1")))["ttl"], 3600)
        self.account(made=None)
        person.begin(Refresh(6, self.token("ann", made="1")))
        self.settle()
        self.assertIs(person.close, INVALID_TOKEN)

    def test_unavailable(self) -> None:
        """While accounts cannot be read nobody is let in by one, and may try again."""
        person = self.arrive()
        self.worker.failures.append(sqlite_error("SQLITE_IOERR"))
        self.assertEqual(person.refusal(Connect(1, self.token("ann", made="1"), None, None)), 400)


class ShutTests(PeopleCase):
    limits: ClassVar[Mapping[str, Any]] = {"users": True, "plain_rooms": ("den",)}

    def test_no_token(self) -> None:
        """Without a token one is told to sign in, also with a resume token or a bad nick."""
        token = self.node.guests.token("abc", "Ann")
        person = self.arrive()
        for number, (nick, resume) in enumerate(((None, None), ("a b", None), (None, token)), 1):
            self.assertEqual(person.refusal(Connect(number, "", nick, resume)), 440)
        self.assertIsNone(person.close)
        self.assertEqual(person.ask(Connect(9, self.token("ann"), None, None))["ttl"], 3600)

    def test_plain(self) -> None:
        """At the plain door guests come into the rooms that are named, by a guest's nick."""
        one, other = self.plain("Den", "Ann"), self.plain("den")
        self.assertEqual(one.nick, "guest-Ann")
        self.assertRegex(other.nick, "^guest-")
        self.assertEqual(one.session.whoever, Identity(one.user, rooms=frozenset({"den"})))

    def test_plain_elsewhere(self) -> None:
        """They come into no other, the lobby included."""
        for room in (None, "lobby", "@a:b"):
            self.assertIs(self.plain(room).close, SIGN_IN.close)


class RefreshTests(PeopleCase):
    def test_guest(self) -> None:
        """A guest has nothing to refresh."""
        person = self.guest("Ann")
        self.assertEqual(person.refusal(Refresh(2, self.token("ann"))), 108)
        self.assertLive(person)

    def test_newer(self) -> None:
        """A newer token of the same user is taken, with what it says from now on."""
        person = self.signed_in("ann", ttl_s=60)
        self.advance(50)
        token = self.token("ann", ttl_s=60.5, moderator=True, info={"nick": "Bob"})
        self.assertEqual(person.ask(Refresh(2, token)), {"expires": True, "ttl": 61})
        self.assertTrue(person.session.whoever.is_moderator)
        self.assertEqual(person.nick, "ann")

    def test_other_user(self) -> None:
        """Another user's token is refused, and nothing changes."""
        person = self.signed_in("ann")
        before = person.session.whoever
        for user in ("bob", "Ann"):
            self.assertEqual(
                person.refusal(Refresh(len(user) + ord(user[0]), self.token(user))), 101
            )
        self.assertIs(person.session.whoever, before)
        self.assertLive(person)

    def test_invalid(self) -> None:
        """A token that is none ends the connection for good."""
        for token in ("", "x.y.z"):
            person = self.signed_in("ann")
            person.begin(Refresh(2, token))
            self.assertIs(person.close, INVALID_TOKEN)

    def test_expired(self) -> None:
        """An expired one is a close after which an SDK comes back and asks for another."""
        person = self.signed_in("ann")
        self.advance(100)
        person.begin(Refresh(2, self.token("ann", ttl_s=-50)))
        self.assertIs(person.close, EXPIRED)
        self.assertEqual((person.close or NORMAL).sdk_code, 3005)
        self.assertEqual(person.replies.keys(), {1})

    def test_rooms(self) -> None:
        """Who may not be in a room any more is out of it for good, under the name they gave it."""
        person = self.signed_in("ann", "Den", "lobby", "@ann:bob", rooms=["den", "lobby"])
        other = self.signed_in("ann", "den")
        person.ask(Refresh(9, self.token("ann", rooms=["lobby"])))
        gone = [{"code": 2000, "reason": "permission denied"}]
        self.assertEqual(person.pushes("unsubscribe", "Den"), gone)
        self.assertEqual(person.session.memberships.keys(), {"lobby", "@ann:bob"})
        self.assertEqual(other.session.memberships.keys(), {"den"})
        self.guest("Bob", "den").ask(said(8, "secret", "den"))
        self.assertEqual(person.pushes("pub", "Den"), [])
        self.assertEqual(len(other.pushes("pub", "den")), 1)

    def test_more_rooms(self) -> None:
        """Who may be in more rooms than before stays where they are."""
        person = self.signed_in("ann", "den", rooms=["den"])
        person.ask(Refresh(9, self.token("ann")))
        self.assertEqual(person.session.memberships.keys(), {"den"})
        self.assertEqual(person.pushes("unsubscribe", "den"), [])


class ExpiryTests(PeopleCase):
    def test_end(self) -> None:
        """Some time after the end of its token a connection is closed, to come back."""
        person = self.signed_in("ann", ttl_s=200)
        self.advance(200 + self.config.refresh_timeout_s - 1)
        self.assertLive(person)
        self.advance(2)
        self.assertIs(person.close, EXPIRED)

    def test_not_again(self) -> None:
        """By then the token is not taken any more, so nobody comes in with it to be closed."""
        self.start(refresh_timeout_s=tokens.LEEWAY_S)
        token = self.token("ann", ttl_s=10)
        person = self.signed_in("ann", ttl_s=10)
        self.advance(10 + tokens.LEEWAY_S)
        self.assertIs(person.close, EXPIRED)
        self.assertEqual(self.arrive().refusal(Connect(1, token, None, None)), 109)

    def test_guest(self) -> None:
        """A guest stays as long as they like."""
        person = self.guest("Ann")
        self.assertIsNone(person.session.expiry)
        self.advance(1000)
        self.assertLive(person)

    def test_refreshed(self) -> None:
        """A newer token moves the end, later or sooner, also when it comes after the old end."""
        person = self.signed_in("ann", ttl_s=30)
        self.advance(40)
        person.ask(Refresh(2, self.token("ann", ttl_s=500)))
        self.advance(400)
        self.assertLive(person)
        person.ask(Refresh(3, self.token("ann", ttl_s=5)))
        self.advance(5 + self.config.refresh_timeout_s + 1)
        self.assertIs(person.close, EXPIRED)

    def test_clock(self) -> None:
        """The end goes by the wall clock, be it that this steps."""
        person = self.signed_in("ann", ttl_s=10_000)
        self.ahead_s = 20_000.0
        self.advance(61)
        self.assertIs(person.close, EXPIRED)

    def test_lost(self) -> None:
        """Nothing happens to who is gone by then."""
        person = self.signed_in("ann", ttl_s=1)
        person.lost()
        self.advance(100)
        self.assertIsNone(person.close)
        self.assertNobody()

    def test_many(self) -> None:
        """However often a token is shown, little is kept of it."""
        self.start(commands_per_s=1_000_000, commands_burst=1_000_000)
        person = self.signed_in("ann", ttl_s=1000)
        before = len(self.wheel)
        for number in range(10_000):
            person.begin(Refresh(number + 2, self.token("ann", ttl_s=1000 + number)))
        self.assertEqual(len(person.replies), 10_001)
        self.assertLessEqual(len(self.wheel), before + 1)
        self.assertLive(person)
