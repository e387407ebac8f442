"""What moderators do, and owners in their rooms."""

from __future__ import annotations

import json
from typing import Any

from chatd.core.audit import AUDIT_ROOM
from chatd.core.bans import MOST_BANS, SUBJECT
from chatd.core.charter import MOST_RESTRAINED, room_subject
from chatd.core.commands import Connect, Publish, Rpc, Say
from chatd.core.events import compact
from chatd.core.profiles import user_subject
from chatd.core.room import Room
from chatd.errors import (
    BAD_REQUEST,
    BANNED,
    FORBIDDEN,
    FULL,
    KICKED,
    LIMIT_EXCEEDED,
    MUTED,
    NO_SUCH_USER,
    NOT_AVAILABLE,
    PRIVATE_ROOM,
    ROOM_INVALID,
    TOO_MANY_REQUESTS,
    TOO_SOON,
    Refusal,
)
from tests.support.brokers import sqlite_error
from tests.support.people import PeopleCase, Person, past, said, to

Json = dict[str, Any]

YEARS_S = 10 * 365 * 24 * 3600


class ModerationCase(PeopleCase):
    """A moderator, whose id is `mod`, and others."""

    def setUp(self) -> None:
        super().setUp()
        self._numbers = iter(range(100, 1_000_000))
        self.mod = self.signed_in("mod", "lobby", moderator=True)

    def call(self, person: Person, method: str, **argument: object) -> int:
        """Call something; returns the code of the refusal, or 0."""
        told = person.ask(Rpc(next(self._numbers), method, argument))
        if "code" not in told:
            self.assertEqual(told, {"data": {}})
        return int(told.get("code", 0))

    def assertDone(self, method: str, **argument: object) -> None:
        """The moderator calls something, and it is done."""
        self.assertEqual(self.call(self.mod, method, **argument), 0)

    def assertRefused(self, refusal: Refusal, method: str, **argument: object) -> None:
        """The moderator calls something, it is refused, and nothing is noted."""
        before = self.audited()
        self.assertEqual(self.call(self.mod, method, **argument), refusal.code)
        self.assertEqual(self.audited(), before)

    def speak(self, person: Person, room: str = "lobby", **named: Any) -> int:
        """Say something; returns the code of the refusal, or 0."""
        number = next(self._numbers)
        return int(person.ask(said(number, "hi", room, **named)).get("code", 0))

    def enters(self, person: Person, room: str = "lobby") -> int:
        """Subscribe; returns the code of the refusal, or 0."""
        return int(person.ask(to(room, number=next(self._numbers))).get("code", 0))

    def record(self, subject: str) -> dict[str, str]:
        """A record as it is stored."""
        found: list[Any] = []
        self.records.read(subject, found.append)
        self.settle()
        return dict(found[0])

    def write(self, subject: str, **changes: str) -> None:
        """Store something in a record."""
        fields = [(each.replace("__", ":"), text) for each, text in changes.items()]
        for each in range(0, len(fields), 50):
            self.records.write(subject, dict(fields[each : each + 50]), lambda outcome: None)
            self.settle()

    def audited(self) -> list[dict[str, Any]]:
        """The audit log, without what all of it has."""
        held: list[Room | Refusal] = []
        self.hub.open(AUDIT_ROOM, held.append)
        self.settle()
        (room,) = held
        assert isinstance(room, Room)
        found = [json.loads(row.message.payload) for row in room.tail]
        self.hub.release(room)
        for each in found:
            self.assertEqual(each.pop("type"), "audit")
            self.assertEqual(each.pop("nick"), each["by"])
        return found

    def private(self, owner: Person, *members: Person, room: str = "den") -> None:
        """Make a private room of somebody, with members."""
        self.assertEqual(self.call(owner, "private", room=room), 0)
        for each in members:
            number = next(self._numbers)
            told = owner.ask(Rpc(number, "invite", {"room": room}))["data"]
            self.assertEqual(each.ask(Rpc(number, "join", told)), {"data": {"room": room}})


class ArgumentTests(ModerationCase):
    """What makes no sense is refused."""

    def test_kick(self) -> None:
        """A user, and maybe a room and how long."""
        arguments: tuple[Json, ...] = (
            *({}, {"user": 7}, {"user": "a b"}, {"user": ""}, {"user": "ann", "room": 7}),
            *({"user": "ann", "room": "lobby", "seconds": each} for each in (-1, "9", 1.5, True)),
            {"user": "ann", "room": "lobby", "seconds": YEARS_S + 1},
        )
        for argument in arguments:
            with self.subTest(argument):
                self.assertRefused(BAD_REQUEST, "kick", **argument)
        self.assertRefused(ROOM_INVALID, "kick", user="ann", room="!audit")

    def test_mute(self) -> None:
        """A room, a user and how long."""
        arguments: tuple[Json, ...] = (
            *({"room": "lobby", "seconds": 9}, {"user": "ann", "seconds": 9}),
            *({"room": "lobby", "user": "ann"}, {"room": "lobby", "user": "!", "seconds": 9}),
            *({"room": "lobby", "user": "ann", "seconds": each} for each in (-1, YEARS_S + 1)),
        )
        for argument in arguments:
            with self.subTest(argument):
                self.assertRefused(BAD_REQUEST, "mute", **argument)

    def test_slow(self) -> None:
        """A room and up to a day."""
        arguments: tuple[Json, ...] = (
            *({"seconds": 9}, {"room": "lobby"}),
            *({"room": "lobby", "seconds": each} for each in (-1, 86_401, None)),
        )
        for argument in arguments:
            with self.subTest(argument):
                self.assertRefused(BAD_REQUEST, "slow", **argument)

    def test_ban(self) -> None:
        """Either a user or an address, and how long, which is no moment."""
        arguments: tuple[Json, ...] = (
            *({"seconds": 9}, {"user": "ann"}, {"user": "ann", "seconds": 0}),
            *({"user": "ann", "address": "203.0.113.7", "seconds": 9}, {"user": 1, "seconds": 9}),
            *({"address": "nowhere", "seconds": 9}, {"user": "ann", "seconds": YEARS_S + 1}),
        )
        for argument in arguments:
            with self.subTest(argument):
                self.assertRefused(BAD_REQUEST, "ban", **argument)
        arguments = ({}, {"user": "ann", "address": "203.0.113.7"}, {"user": "a b"})
        for argument in arguments:
            with self.subTest(argument):
                self.assertRefused(BAD_REQUEST, "unban", **argument)

    def test_no_object(self) -> None:
        """An argument that is no object is refused."""
        for method in ("kick", "mute", "slow", "ban", "unban", "whois"):
            told = self.mod.ask(Rpc(next(self._numbers), method, [1]))
            self.assertEqual(told["code"], BAD_REQUEST.code)

    def test_exempt(self) -> None:
        """Neither loopback nor where one is oneself can be banned."""
        self.mod.session.address = "2001:db8::9"
        for address in ("127.0.0.1", "::1", "0.0.0.0/0", "2001:db8::7", "2001:db8::/32"):
            with self.subTest(address):
                self.assertRefused(BAD_REQUEST, "ban", address=address, seconds=9)
        self.assertLive(self.mod)

    def test_oneself(self) -> None:
        """Nobody acts on themselves."""
        self.assertRefused(BAD_REQUEST, "kick", user="mod")
        self.assertRefused(BAD_REQUEST, "kick", user="mod", room="lobby")
        self.assertRefused(BAD_REQUEST, "mute", user="mod", room="lobby", seconds=9)
        self.assertRefused(BAD_REQUEST, "ban", user="mod", seconds=9)


class WhoTests(ModerationCase):
    """Who may."""

    def test_guests(self) -> None:
        """Whoever is no moderator may nothing of it in a public room, nor on the server."""
        bob = self.guest("bob", "lobby")
        for ann in (self.guest("ann", "lobby"), self.signed_in("ann", "lobby")):
            for method, argument in (
                ("kick", {"user": bob.user, "room": "lobby"}),
                ("kick", {"user": bob.user}),
                ("mute", {"user": bob.user, "room": "lobby", "seconds": 9}),
                ("slow", {"room": "lobby", "seconds": 9}),
                ("ban", {"user": bob.user, "seconds": 9}),
                ("ban", {"address": "203.0.113.7", "seconds": 9}),
                ("unban", {"user": bob.user}),
                ("whois", {"user": bob.user}),
            ):
                with self.subTest(method=method, **argument):
                    self.assertEqual(self.call(ann, method, **argument), FORBIDDEN.code)
        self.assertEqual(self.audited(), [])
        self.assertLive(bob)

    def test_direct(self) -> None:
        """In a room of two nobody may."""
        ann, bob = self.signed_in("ann"), self.signed_in("bob")
        room = ann.ask(Rpc(50, "direct", {"user": "bob"}))["data"]["room"]
        argument = {"user": "bob", "room": room}
        self.assertEqual(self.call(ann, "kick", **argument), NOT_AVAILABLE.code)
        self.assertRefused(PRIVATE_ROOM, "kick", **argument)
        self.assertLive(bob)

    def test_owner(self) -> None:
        """An owner may in their own room and nowhere else, a member may not."""
        ann, bob, eve = (self.signed_in(each) for each in ("ann", "bob", "eve"))
        self.private(ann, bob, eve)
        self.private(eve, room="other")
        self.assertEqual(self.call(bob, "kick", user="eve", room="den"), FORBIDDEN.code)
        self.assertEqual(self.call(ann, "kick", user="eve", room="other"), PRIVATE_ROOM.code)
        for method, argument in (
            ("mute", {"user": "bob", "seconds": 9}),
            ("slow", {"seconds": 9}),
            ("kick", {"user": "bob"}),
        ):
            self.assertEqual(self.call(ann, method, room="den", **argument), 0)
        self.assertEqual([each["by"] for each in self.audited()[-3:]], ["ann"] * 3)

    def test_on_moderators(self) -> None:
        """An owner may not act on a moderator, and another moderator may."""
        ann = self.signed_in("ann")
        self.private(ann, self.mod)
        self.assertEqual(self.call(ann, "kick", user="mod", room="den"), FORBIDDEN.code)
        self.assertEqual(self.call(ann, "mute", user="mod", room="den", seconds=9), FORBIDDEN.code)
        other = self.signed_in("other", moderator=True)
        self.assertEqual(self.call(other, "kick", user="mod", room="lobby"), 0)
        self.assertEqual(len(self.mod.pushes("unsubscribe")), 1)


class KickTests(ModerationCase):
    """Out, and not back for a while."""

    def test_room(self) -> None:
        """Out of a room at once; back when the time is up, and not before, by no spelling."""
        ann = self.guest("ann", "lobby")
        self.assertDone("kick", user=ann.user, room="LOBBY", seconds=9)
        self.assertEqual(ann.pushes("unsubscribe"), [{"code": 2000, "reason": "removed"}])
        for room in ("lobby", "Lobby"):
            self.assertEqual(self.enters(ann, room), BANNED.code)
            self.assertEqual(self.speak(ann, room), BANNED.code)
        self.assertEqual(ann.refusal(past(5, number=51)), BANNED.code)
        twin = self.guest(resume=self.resume(ann))
        self.assertEqual(self.enters(twin), BANNED.code)
        self.advance(9)
        self.assertEqual(self.enters(ann), 0)
        expected = {"action": "kick", "by": "mod", "room": "lobby", "user": ann.user, "seconds": 9}
        self.assertEqual(self.audited(), [expected])

    def test_default(self) -> None:
        """A minute, when nothing is said; none when that is said."""
        ann = self.guest("ann", "lobby")
        self.assertDone("kick", user=ann.user, room="lobby")
        self.assertEqual(self.room().charter.kicked, {ann.user: 60_000})
        self.advance(60)
        self.assertEqual(self.enters(ann), 0)
        self.assertDone("kick", user=ann.user, room="lobby", seconds=0)
        self.assertEqual(len(ann.pushes("unsubscribe")), 2)
        self.assertEqual(self.enters(ann), 0)

    def test_both_doors(self) -> None:
        """A plain connection is closed."""
        bob = self.plain(nick="bob")
        self.assertDone("kick", user=bob.user, room="lobby")
        self.assertEqual(bob.close, KICKED)

    def test_nobody(self) -> None:
        """Who is not here at all cannot be kicked, nor who does not belong to a private room."""
        ann, bob = self.guest("ann"), self.guest("bob")
        self.private(bob)
        self.assertRefused(NO_SUCH_USER, "kick", user="nobody", room="lobby")
        self.assertRefused(NO_SUCH_USER, "kick", user=ann.user, room="den")
        self.assertRefused(NO_SUCH_USER, "kick", user="nobody")
        self.assertNotIn("out:nobody", self.record(room_subject("lobby")))

    def test_not_in_the_room(self) -> None:
        """Who only publishes to a public room is kept out of it, too."""
        ann = self.guest("ann")
        self.assertEqual(ann.ask(said(5)), {})
        self.assertDone("kick", user=ann.user, room="lobby")
        self.assertEqual(ann.refusal(said(6)), BANNED.code)

    def test_awaited(self) -> None:
        """Who is only awaited can be, from a room and from the server, and is gone at once."""
        ann, bob = self.guest("ann", "lobby"), self.guest("bob", "lobby")
        users = ann.user, bob.user
        ann.lost()
        bob.lost()
        self.assertDone("kick", user=users[0], room="lobby")
        self.assertDone("kick", user=users[1])
        self.assertEqual(self.present(), ["mod"])

    def test_server(self) -> None:
        """Off the server at once, on every session; and back by a token, which a ban is for."""
        ann = self.guest("ann", "lobby")
        resume = self.resume(ann)
        twin = self.guest(None, "other", resume=resume)
        self.assertDone("kick", user=ann.user)
        self.assertEqual((ann.close, twin.close), (KICKED, KICKED))
        self.assertEqual(self.present(), ["mod"])
        self.assertLive(self.guest(resume=resume))
        self.assertEqual(self.audited(), [{"action": "kick", "by": "mod", "user": twin.user}])

    def test_private(self) -> None:
        """From a private room: no member any more, not in their list, invites void, in one."""
        ann, bob, eve = (self.signed_in(each) for each in ("ann", "bob", "eve"))
        self.private(ann, bob)
        old = ann.ask(Rpc(50, "invite", {"room": "den"}))["data"]
        self.assertEqual(self.enters(bob, "den"), 0)
        self.assertEqual(self.call(ann, "kick", user="bob", room="den", seconds=5), 0)
        self.assertEqual(len(bob.pushes("unsubscribe", "den")), 1)
        record = self.record(room_subject("den"))
        self.assertNotIn("member:bob", record)
        self.assertEqual(record["invites"], "1")
        self.assertNotIn("room:den", self.record(user_subject("bob")))
        self.assertEqual(bob.ask(Rpc(51, "rooms", {})), {"data": []})
        self.advance(5)
        self.assertEqual(self.enters(bob, "den"), PRIVATE_ROOM.code)
        for person in (bob, eve):
            self.assertIn("code", person.ask(Rpc(52, "join", old)))

    def test_owner_kicked(self) -> None:
        """A moderator kicks an owner from their room, whose it stays."""
        ann, bob = self.signed_in("ann"), self.signed_in("bob")
        self.private(ann, bob)
        self.assertEqual(self.enters(ann, "den"), 0)
        self.assertDone("kick", user="ann", room="den", seconds=5)
        self.assertEqual(self.enters(ann, "den"), BANNED.code)
        self.advance(5)
        self.assertEqual(self.enters(ann, "den"), 0)
        self.assertEqual(self.room("den").charter.owner, "ann")

    def test_member_away(self) -> None:
        """A member who is not here can be kicked."""
        ann, bob = self.signed_in("ann"), self.signed_in("bob")
        self.private(ann, bob)
        bob.lost()
        self.advance(20)
        self.assertEqual(self.call(ann, "kick", user="bob", room="den"), 0)
        self.assertNotIn("room:den", self.record(user_subject("bob")))

    def test_owner_away(self) -> None:
        """An owner who is not here can be kicked too."""
        ann = self.signed_in("ann")
        self.private(ann)
        ann.lost()
        self.advance(20)
        self.assertDone("kick", user="ann", room="den", seconds=9)
        self.assertEqual(self.enters(self.signed_in("ann"), "den"), BANNED.code)

    def test_limit(self) -> None:
        """So many are kept out of a room; when some have lapsed there is place again."""
        self.mod.lost()
        self.advance(16)
        out = {f"out__u{each}": "30000" for each in range(MOST_RESTRAINED)}
        self.write(room_subject("lobby"), **out)
        self.mod = self.signed_in("mod", "lobby", moderator=True)
        ann = self.guest("ann", "lobby")
        self.assertRefused(LIMIT_EXCEEDED, "kick", user=ann.user, room="lobby")
        self.assertEqual(ann.pushes("unsubscribe"), [])
        self.assertDone("mute", user=ann.user, room="lobby", seconds=5)
        self.advance(16)
        self.assertDone("kick", user=ann.user, room="lobby")
        self.assertLess(len(self.room().charter.kicked), MOST_RESTRAINED)
        self.assertIn(ann.user, self.room().charter.kicked)

    def test_flood(self) -> None:
        """Calls of a moderator count like any others."""
        users = [f"u{each}" for each in range(400)]
        for each in users:
            self.mod.begin(Rpc(next(self._numbers), "kick", {"user": each}))
        self.settle()
        refusals = {each["error"]["code"] for each in self.mod.told if "error" in each}
        self.assertEqual(refusals, {NO_SUCH_USER.code, TOO_MANY_REQUESTS.code})
        self.assertEqual(self.mod.close, TOO_MANY_REQUESTS.close)


class MuteTests(ModerationCase):
    """Nothing said for a while."""

    def test_muted(self) -> None:
        """Who is muted says nothing on any door, under any name, and reads on."""
        ann, bob = self.guest("ann", "lobby"), self.plain(nick="bob")
        self.assertDone("mute", user=ann.user, room="LobbY", seconds=9)
        self.assertDone("mute", user=bob.user, room="lobby", seconds=9)
        self.assertEqual(ann.ask(Rpc(50, "nick", {"nick": "eve"})), {"data": {"nick": "eve"}})
        twin = self.guest(resume=self.resume(ann))
        for person in (ann, twin):
            self.assertEqual(self.speak(person), MUTED.code)
            self.assertEqual(self.speak(person, "LOBBY"), MUTED.code)
            self.assertEqual(self.call(person, "topic", room="lobby", topic="x"), MUTED.code)
        self.assertEqual(self.speak(ann, "other"), 0)
        self.assertEqual(self.speak(self.mod), 0)
        self.assertEqual(len(ann.offsets()), 1)
        self.assertIn("publications", ann.ask(past(5, number=51)))
        bob.begin(Say("hello"))
        self.settle()
        self.assertEqual(bob.close, MUTED.close)
        self.advance(9)
        self.assertEqual(self.speak(ann), 0)
        expected = {"action": "mute", "by": "mod", "room": "lobby", "user": ann.user, "seconds": 9}
        self.assertEqual(self.audited()[0], expected)

    def test_ended(self) -> None:
        """0 seconds end it; of who was not muted too."""
        ann = self.guest("ann", "lobby")
        for _ in range(2):
            self.assertDone("mute", user=ann.user, room="lobby", seconds=9)
            self.assertDone("mute", user=ann.user, room="lobby", seconds=0)
            self.assertEqual(self.speak(ann), 0)
            self.assertFalse(self.room().charter.restrains)
        self.assertDone("mute", user=ann.user, room="lobby", seconds=0)

    def test_not_here(self) -> None:
        """Somebody who is not here can be muted, and is when they come."""
        self.assertDone("mute", user="ann", room="lobby", seconds=9)
        self.assertEqual(self.speak(self.signed_in("ann", "lobby")), MUTED.code)

    def test_room_reopened(self) -> None:
        """A room that was closed meanwhile knows it still."""
        self.assertDone("mute", user="ann", room="other", seconds=9)
        self.assertIsNone(self.hub.find("other"))
        self.assertEqual(self.speak(self.signed_in("ann"), "other"), MUTED.code)

    def test_longer(self) -> None:
        """A full room's mutes can be changed and ended, and no one more is muted."""
        self.mod.lost()
        self.advance(16)
        muted = {f"mute__u{each}": "90000" for each in range(MOST_RESTRAINED)}
        self.write(room_subject("lobby"), **muted)
        self.mod = self.signed_in("mod", "lobby", moderator=True)
        self.assertRefused(LIMIT_EXCEEDED, "mute", user="ann", room="lobby", seconds=5)
        self.assertDone("mute", user="ann", room="lobby", seconds=0)
        self.assertDone("mute", user="u5", room="lobby", seconds=500)
        self.assertDone("mute", user="u6", room="lobby", seconds=0)
        self.assertDone("mute", user="ann", room="lobby", seconds=5)


class SlowTests(ModerationCase):
    """Once in so many seconds."""

    def test_slow(self) -> None:
        """Everybody speaks once in so many seconds but who may moderate; until it is ended."""
        ann = self.guest("ann", "lobby")
        self.assertDone("slow", room="lobby", seconds=5)
        self.assertEqual((self.speak(ann), self.speak(ann)), (0, TOO_SOON.code))
        self.assertEqual((self.speak(self.mod), self.speak(self.mod)), (0, 0))
        self.assertEqual(self.record(room_subject("lobby"))["slow"], "5")
        self.assertDone("slow", room="lobby", seconds=0)
        self.assertEqual((self.speak(ann), self.speak(ann)), (0, 0))
        self.assertNotIn("slow", self.record(room_subject("lobby")))
        self.assertFalse(self.room().charter.restrains)
        seconds = [each["seconds"] for each in self.audited()]
        self.assertEqual(seconds, [5, 0])

    def test_typing(self) -> None:
        """To type does not count, and is not kept back."""
        ann = self.guest("ann", "lobby")
        self.assertDone("slow", room="lobby", seconds=5)
        typing = {"type": "typing", "on": True}
        for number in (61, 62):
            told = ann.ask(Publish(number, "lobby", typing, compact(typing)))
            self.assertEqual(told, {})
        self.assertEqual(self.speak(ann), 0)
        self.assertEqual(ann.ask(Publish(63, "lobby", typing, compact(typing))), {})


class BanTests(ModerationCase):
    """Nobody comes in."""

    def connects(self, *, user: str = "", address: str = "", resume: str | None = None) -> int:
        """Come in as somebody; returns the code of the refusal, or 0."""
        person = self.arrive()
        person.session.address = address
        token = self.token(user) if user else ""
        return int(person.ask(Connect(1, token, None, resume)).get("code", 0))

    def test_user(self) -> None:
        """A banned user is out at once on every session, and does not come back by any way."""
        ann = self.guest("ann", "lobby")
        resume = self.resume(ann)
        twin = self.guest(None, "lobby", resume=resume)
        self.assertDone("ban", user=ann.user, seconds=9)
        for each in (ann, twin):
            self.assertEqual(each.close and (each.close.code, each.close.sdk_code), (1008, 3503))
        self.assertEqual(self.present(), ["mod"])
        self.assertEqual(self.connects(resume=resume), BANNED.code)
        self.assertEqual(self.connects(), 0)
        self.advance(9)
        self.assertEqual(self.connects(resume=resume), 0)
        expected = {"action": "ban", "by": "mod", "user": ann.user, "seconds": 9}
        self.assertEqual(self.audited(), [expected])

    def test_signed_in(self) -> None:
        """A user who signs in is refused too, though they are not here when they are banned."""
        self.assertDone("ban", user="ann", seconds=9)
        self.assertEqual(self.connects(user="ann"), BANNED.code)
        self.assertDone("unban", user="ann")
        self.assertEqual(self.connects(user="ann"), 0)
        self.assertEqual(self.audited()[-1], {"action": "unban", "by": "mod", "user": "ann"})
        self.assertDone("unban", user="ann")

    def test_coming_in(self) -> None:
        """Who is coming in while they are banned does not: they are judged at the end."""
        person = self.arrive()
        person.begin(Connect(1, self.token("ann"), None, None))
        self.assertNotIn(1, person.replies)
        self.node.bans._apply({"user:ann": "9000"})  # as if another thread was done with it first
        self.settle()
        self.assertEqual(person.replies[1]["error"]["code"], BANNED.code)
        self.assertNotIn("ann", self.node.sessions)
        late = self.arrive()
        late.begin(Connect(1, self.token("bob"), None, None))
        self.assertDone("ban", user="bob", seconds=9)
        self.assertEqual(late.close, BANNED.close)

    def test_awaited(self) -> None:
        """Who is only awaited is present no longer."""
        ann = self.signed_in("ann", "lobby")
        ann.lost()
        self.assertDone("ban", user="ann", seconds=9)
        self.assertEqual(self.present(), ["mod"])

    def test_address(self) -> None:
        """All who are at a banned address are out, and nobody comes in from there."""
        people = []
        for address in ("203.0.113.7", "::ffff:203.0.113.7", "203.0.113.8", ""):
            people.append(self.guest(None, "lobby"))
            people[-1].session.address = address
        plain = self.plain()
        plain.session.address = "203.0.113.7"
        self.assertDone("ban", address="::ffff:203.0.113.7", seconds=9)
        ended = [each.close for each in (*people, plain)]
        self.assertEqual(ended, [BANNED.close, BANNED.close, None, None, BANNED.close])
        self.assertEqual(self.room().presence.users, 3)
        self.assertEqual(self.connects(address="203.0.113.7"), BANNED.code)
        self.assertEqual(self.connects(address="203.0.113.7", user="bob"), BANNED.code)
        self.assertEqual(self.connects(address="203.0.113.8"), 0)
        self.assertDone("unban", address="203.0.113.7")
        self.assertEqual(self.connects(address="203.0.113.7"), 0)
        about = {"by": "mod", "address": "203.0.113.7/32"}
        expected = [{"action": "ban", **about, "seconds": 9}, {"action": "unban", **about}]
        self.assertEqual(self.audited(), expected)

    def test_network(self) -> None:
        """An IPv6 address stands for its /64."""
        ann = self.guest("ann")
        ann.session.address = "2001:db8::1:1"
        self.assertDone("ban", address="2001:db8::7", seconds=9)
        self.assertEqual(ann.close, BANNED.close)

    def test_limit(self) -> None:
        """So many are banned and no more."""
        for each in range(MOST_BANS):
            self.node.bans._until[f"user:{each}"] = 10**9
        ann = self.guest("ann")
        self.assertRefused(LIMIT_EXCEEDED, "ban", user=ann.user, seconds=9)
        self.assertLive(ann)

    def test_clock_steps(self) -> None:
        """A ban is over by the wall clock, and holds again when that steps back."""
        self.assertDone("ban", user="ann", seconds=9)
        self.ahead_s = 3600
        self.assertEqual(self.connects(user="ann"), 0)
        self.ahead_s = 0
        self.assertEqual(self.connects(user="ann"), BANNED.code)


class WhoisTests(ModerationCase):
    """Where somebody is."""

    def test_sessions(self) -> None:
        """All sessions, with address and rooms; private ones of others are left out."""
        ann, bob = self.signed_in("ann", "lobby", "other"), self.signed_in("bob")
        ann.session.address = "203.0.113.7"
        twin = self.signed_in("ann")
        self.private(ann, bob)
        self.private(ann, self.mod, room="ours")
        for room in ("den", "ours"):
            self.assertEqual(self.enters(twin, room), 0)
        told = self.mod.ask(Rpc(50, "whois", {"user": "ann"}))["data"]
        self.assertEqual((told["user"], told["nick"]), ("ann", "ann"))
        one, two = told["sessions"]
        self.assertEqual(
            one,
            {"client": ann.session.id, "address": "203.0.113.7", "rooms": ["lobby", "other"]},
        )
        self.assertEqual(two["rooms"], ["ours"])
        self.assertEqual(self.audited(), [])

    def test_nobody(self) -> None:
        """Of who is not here nothing is known."""
        self.assertRefused(NO_SUCH_USER, "whois", user="nobody")

    def test_many(self) -> None:
        """An answer names so many sessions at most."""
        ann = self.guest("ann")
        for _ in range(100):
            self.guest(resume=self.resume(ann))
        told = self.mod.ask(Rpc(50, "whois", {"user": ann.user}))["data"]
        self.assertEqual(len(told["sessions"]), 100)

    def test_many_rooms(self) -> None:
        """And so many rooms, of all sessions together."""
        rooms = [f"r{each}" for each in range(125)]
        for _ in range(17):
            self.signed_in("ann", *rooms)
        told = self.mod.ask(Rpc(50, "whois", {"user": "ann"}))["data"]
        listed = [len(each["rooms"]) for each in told["sessions"]]
        self.assertEqual(listed, [125] * 16 + [0])


class OrderTests(ModerationCase):
    """First it is stored."""

    def test_full(self) -> None:
        """On a full disk it is refused, and nothing is changed."""
        ann = self.guest("ann", "lobby")
        self.audited()
        for method, argument in (
            ("kick", {"user": ann.user, "room": "lobby"}),
            ("mute", {"user": ann.user, "room": "lobby", "seconds": 9}),
            ("slow", {"room": "lobby", "seconds": 9}),
            ("ban", {"user": ann.user, "seconds": 9}),
        ):
            with self.subTest(method):
                self.worker.failures.append(sqlite_error("SQLITE_FULL"))
                self.assertEqual(self.call(self.mod, method, **argument), FULL.code)
        self.assertEqual(self.audited(), [])
        self.assertEqual((self.speak(ann), self.speak(ann)), (0, 0))
        self.assertEqual(self.record(SUBJECT), {})
        self.assertEqual(len(self.node.bans), 0)

    def test_moderator_gone(self) -> None:
        """What was stored holds though the moderator is gone before it is answered."""
        ann, bob = self.guest("ann", "lobby"), self.guest("bob", "lobby")
        for argument in ({"user": ann.user, "room": "lobby"}, {"user": bob.user}):
            method = "kick" if "room" in argument else "ban"
            self.mod.begin(Rpc(50, method, {**argument, "seconds": 9}))
            self.mod.lost()
            self.assertEqual(len(self.audited()), 1 if method == "kick" else 2)
            self.mod = self.signed_in("mod", "lobby", moderator=True)
        self.assertEqual(len(ann.pushes("unsubscribe")), 1)
        self.assertEqual(bob.close, BANNED.close)

    def test_until_then(self) -> None:
        """Until it is stored it does not hold, and is neither noted nor answered."""
        ann = self.guest("ann", "lobby")
        self.audited()
        self.worker.is_held = True
        self.mod.begin(Rpc(50, "kick", {"user": ann.user, "room": "lobby"}))
        self.settle()
        self.assertEqual((ann.pushes("unsubscribe"), 50 in self.mod.replies), ([], False))
        self.worker.release()
        self.settle()
        self.assertEqual(len(ann.pushes("unsubscribe")), 1)
        self.assertEqual(self.mod.replies[50], {"id": 50, "rpc": {"data": {}}})

    def test_judged_in_turn(self) -> None:
        """Who was made a moderator's target twice is found where they are when it is their turn."""
        ann, bob = self.guest("ann"), self.guest("bob")
        self.private(bob, ann)
        self.mod.begin(
            Rpc(50, "kick", {"user": ann.user, "room": "den"}),
            Rpc(51, "kick", {"user": ann.user, "room": "den"}),
        )
        self.settle()
        self.assertNotIn("error", self.mod.replies[50])
        self.assertEqual(self.mod.replies[51]["error"]["code"], NO_SUCH_USER.code)
