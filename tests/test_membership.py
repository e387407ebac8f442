"""Rooms of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from chatd.core.commands import Publish, Rpc, Subscribe
from chatd.core.events import compact
from chatd.core.identity import Role
from chatd.core.invites import LIFETIME_MS, Invite
from chatd.core.membership import MOST_OWNED, MOST_UNASKED, note
from chatd.core.profiles import MOST_ROOMS, Profile, user_subject
from chatd.errors import FULL, Refusal
from tests.support.brokers import sqlite_error
from tests.support.people import PeopleCase, Person, to

MANY = 1_000_000

Json = dict[str, Any]


class RoomsCase(PeopleCase):
    limits: ClassVar[Mapping[str, Any]] = {"commands_burst": MANY, "publish_burst": MANY}

    def setUp(self) -> None:
        super().setUp()
        self.numbers = iter(range(100, MANY))

    def call(self, person: Person, method: str, **value: object) -> Any:
        """What is answered to a call: the value, or the code of the error."""
        answer = person.ask(Rpc(next(self.numbers), method, value))
        return answer["data"] if "data" in answer else answer["code"]

    def begin(self, person: Person, method: str, **value: object) -> int:
        """Call something and do not wait; returns the number of the reply."""
        number = next(self.numbers)
        person.begin(Rpc(number, method, value))
        return number

    def told(self, person: Person, number: int) -> Any:
        """What was answered meanwhile."""
        reply = person.replies[number]
        return reply["rpc"]["data"] if "rpc" in reply else reply["error"]["code"]

    def subscribed(self, person: Person, room: str = "den") -> int | None:
        """Subscribe; the code of the error, if it is refused."""
        code = person.ask(Subscribe(next(self.numbers), room, None, False)).get("code")
        assert code is None or isinstance(code, int)
        return code

    def record(self, subject: str) -> Mapping[str, str]:
        """A record as it is stored."""
        told: list[Mapping[str, str] | Refusal] = []
        self.records.read(subject, told.append)
        self.settle()
        (found,) = told
        assert not isinstance(found, Refusal)
        return found

    def rooms_of(self, person: Person) -> list[str]:
        """The rooms that are stored as theirs."""
        fields = self.record(user_subject(person.user))
        return [field.partition(":")[2] for field in fields if field.startswith("room:")]

    def become(self, person: Person, role: Role = Role.USER, *rooms: str) -> None:
        """Be somebody else on the server, maybe let into these rooms only."""
        assert person.session.identity is not None
        named = frozenset(rooms) if rooms else None
        person.session.identity = replace(person.session.identity, role=role, rooms=named)

    def den(self, nick: str = "Ann") -> Person:
        """The owner of a private room who is in it."""
        owner = self.guest(nick, "den")
        self.assertEqual(self.call(owner, "private", room="den"), {})
        return owner

    def invited(self, owner: Person, person: Person) -> None:
        """Have somebody join."""
        token = self.call(owner, "invite", room="den")["invite"]
        self.assertEqual(self.call(person, "join", invite=token), {"room": "den"})


class PrivateTests(RoomsCase):
    def test_made(self) -> None:
        """Who makes a room private owns it; who is in it is a member, and stays; others are out."""
        owner, other, stranger = self.guest("Ann", "den"), self.guest("Bob", "den"), self.guest()
        self.assertEqual(self.call(owner, "private", room="Den"), {})
        self.assertEqual(
            self.call(other, "members", room="den"),
            [{"user": owner.user, "owner": True}, {"user": other.user}],
        )
        self.assertEqual(self.subscribed(stranger), 413)
        self.say(1, "den")
        self.assertEqual((owner.offsets("den"), other.offsets("den")), ([1], [1]))
        self.assertEqual((self.rooms_of(owner), self.rooms_of(other)), (["den"], ["den"]))

    def test_again(self) -> None:
        """What was done before is done; nobody else may do it."""
        owner, member = self.den(), self.guest("Bob")
        self.invited(owner, member)
        self.assertEqual(self.call(owner, "private", room="den"), {})
        self.assertEqual(self.call(member, "private", room="den"), 108)
        self.assertEqual(self.call(self.guest(), "private", room="den"), 413)

    def test_over_restart(self) -> None:
        """It is private also when it was closed and is opened again."""
        owner, stranger = self.den(), self.guest()
        token = self.resume(owner)
        owner.lost()
        self.advance(self.config.grace_s + 1)
        self.assertIsNone(self.hub.find("den"))
        self.assertEqual(self.subscribed(stranger), 413)
        self.assertIsNone(self.subscribed(self.guest(resume=token)))

    def test_not_blank(self) -> None:
        """What was said in or laid down about, and the lobby, is for moderators only to close."""
        person, moderator = self.guest("Ann"), self.guest("Mod")
        self.become(moderator, Role.MODERATOR)
        self.say(1, "said")
        self.call(moderator, "topic", room="laid", topic="x")
        for room in ("said", "laid", "lobby"):
            self.assertEqual(self.call(person, "private", room=room), 103, room)
            self.assertEqual(self.call(moderator, "private", room=room), {}, room)

    def test_named(self) -> None:
        """Who is let into some rooms only may make one of these private, and no other."""
        person = self.guest("Ann")
        self.become(person, Role.USER, "den")
        self.assertEqual(self.call(person, "private", room="den"), {})
        self.assertEqual(self.call(person, "private", room="other"), 413)

    def test_strangers_out(self) -> None:
        """Who came between the question and its answer is put out at once, whoever they are."""
        moderator = self.guest("Mod", "den")
        self.become(moderator, Role.MODERATOR)
        watcher = self.plain("den")
        self.worker.is_held = True
        number = self.begin(moderator, "private", room="den")
        self.settle()
        late = self.guest("Late")
        late.begin(to("den"))
        self.settle()
        self.worker.release()
        self.settle()
        self.assertEqual(self.told(moderator, number), {})
        gone = [{"code": 2000, "reason": "room is private"}]
        self.assertEqual(late.pushes("unsubscribe", "den"), gone)
        self.assertEqual((watcher.close.code, watcher.close.reason), (1008, "room is private"))  # type: ignore[union-attr]
        self.say(1, "den")
        self.assertEqual((late.offsets("den"), moderator.offsets("den")), ([], [1]))
        self.assertEqual(watcher.heard, ["connected to WebSocket server"])
        self.assertLive(late)

    def test_awaited(self) -> None:
        """Who is only awaited is a member too and comes back; who is none is awaited no longer."""
        owner, other = self.guest("Ann", "den"), self.guest("Bob", "den")
        token = self.resume(other)
        other.lost()
        late = self.guest("Late", "hall")
        self.worker.is_held = True
        self.begin(owner, "private", room="den")
        self.settle()
        late.begin(to("den"))
        self.settle()
        late.lost()
        self.worker.release()
        self.settle()
        self.assertEqual(self.present("den"), ["Ann", "Bob"])
        self.assertIsNone(self.subscribed(self.guest(resume=token)))

    def test_lagging(self) -> None:
        """Who lags when a room is made private, and is not to be in it, gets nothing more of it."""
        moderator = self.guest("Mod", "den")
        self.become(moderator, Role.MODERATOR)
        slow = self.guest("Slow", "den")
        self.become(slow, Role.USER, "elsewhere")
        slow.peer.pause()
        self.say(300, "den")
        self.assertEqual(self.call(moderator, "private", room="den"), {})
        self.say(3, "den")
        slow.drain()
        self.settle()
        self.assertEqual(slow.offsets("den"), [])
        self.assertEqual(slow.pushes("unsubscribe", "den")[0]["code"], 2000)

    def test_two_at_once(self) -> None:
        """Of two who make the same room private at the same moment one owns it."""
        one, other = self.guest("Ann"), self.guest("Bob")
        numbers = self.begin(one, "private", room="den"), self.begin(other, "private", room="den")
        self.settle()
        self.assertEqual((self.told(one, numbers[0]), self.told(other, numbers[1])), ({}, 413))
        self.assertEqual(self.record("room:den")["owner"], one.user)
        self.assertEqual(self.room_owner(), one.user)

    def room_owner(self) -> str:
        """Of the den, as it is opened."""
        charters: list[Any] = []
        self.hub.open("den", charters.append)
        self.settle()
        owner: str = charters[0].charter.owner
        self.hub.release(charters[0])
        return owner

    def test_mended(self) -> None:
        """When it cannot be noted with its owner that is an error; to call again mends it."""
        owner = self.guest("Ann", "den")
        self.worker.failures += [None, sqlite_error("SQLITE_FULL")]
        self.assertEqual(self.call(owner, "private", room="den"), FULL.code)
        self.assertEqual(self.record("room:den")["owner"], owner.user)
        self.assertEqual(self.rooms_of(owner), [])
        self.assertEqual(self.call(owner, "private", room="den"), {})
        self.assertEqual(self.rooms_of(owner), ["den"])

    def test_not_stored(self) -> None:
        """When it cannot be stored the room is what it was."""
        owner = self.guest("Ann", "den")
        self.worker.failures.append(sqlite_error("SQLITE_FULL"))
        self.assertEqual(self.call(owner, "private", room="den"), FULL.code)
        self.assertIsNone(self.subscribed(self.guest()))

    def test_most_owned(self) -> None:
        """A user owns 100 private rooms at most, and may be a member of more."""
        owner = self.guest("Ann")
        for number in range(MOST_OWNED):
            self.assertEqual(self.call(owner, "private", room=f"r{number}"), {})
            owner.peer.writes.clear()
        self.assertEqual(self.call(owner, "private", room="den"), 106)
        self.assertEqual(self.call(owner, "private", room="r7"), {})
        other = self.den("Bob")
        self.invited(other, owner)
        self.node.profiles.find(owner.user).rooms.pop("r7")  # type: ignore[union-attr]
        self.assertEqual(self.call(owner, "private", room="more"), {})

    def test_rate(self) -> None:
        """To make a room private counts as a message for the owner and each member, again too."""
        self.start(publish_burst=6, publish_per_s=1)
        ann, bob = self.guest("Ann"), self.guest("Bob")
        for each in (ann, bob):
            self.assertIsNone(self.subscribed(each))
        codes = [self.call(ann, "private", room="den") for _ in range(4)]
        self.assertEqual(codes, [{}, {}, {}, 111])
        self.assertEqual(self.call(ann, "private", room="more"), 111)

    def test_most_rooms(self) -> None:
        """Whose list is full gets no other room, in whatever way."""
        owner, other = self.den("Bob"), self.guest("Cid")
        person = self.guest("Ann")
        changes = {f"room:x{number}": "1" for number in range(1000)}
        profile = self.node.profiles
        profile.change(person.user, {"nick": "Ann"}, is_here=True, done=lambda told: None)
        self.settle()
        found = profile.find(person.user)
        assert found is not None
        found.apply(changes)
        self.assertEqual(self.call(person, "private", room="more"), 106)
        token = self.call(owner, "invite", room="den")["invite"]
        self.assertEqual(self.call(person, "join", invite=token), 106)
        self.assertEqual(self.call(person, "direct", user=other.user), 106)
        self.assertEqual(self.call(other, "direct", user=person.user), 106)


class InviteTests(RoomsCase):
    def test_joined(self) -> None:
        """Who has an invite is a member by it, also for the second time, and over restarts."""
        owner, person = self.den(), self.guest("Bob")
        told = self.call(owner, "invite", room="DEN")
        self.assertEqual(told["link"], "/#invite=" + told["invite"])
        self.assertEqual(self.subscribed(person), 413)
        for _ in range(2):
            self.assertEqual(self.call(person, "join", invite=told["invite"]), {"room": "den"})
        self.assertIsNone(self.subscribed(person))
        self.assertEqual(self.rooms_of(person), ["den"])
        self.assertEqual(self.record("room:den")[f"member:{person.user}"], "1")

    def test_link(self) -> None:
        """The link is that of the server as the world knows it."""
        self.start(public_url="https://chat.example/", **self.limits)
        link = self.call(self.den(), "invite", room="den")["link"]
        self.assertTrue(link.startswith("https://chat.example/#invite=1."), link)

    def test_bound(self) -> None:
        """An invite for somebody is for nobody else."""
        owner, bob, cid = self.den(), self.guest("Bob"), self.guest("Cid")
        token = self.call(owner, "invite", room="den", user=bob.user)["invite"]
        self.assertEqual(self.call(cid, "join", invite=token), 413)
        self.assertEqual(self.call(bob, "join", invite=token), {"room": "den"})
        self.assertEqual(self.call(owner, "invite", room="den", user=""), 107)
        self.assertEqual(self.call(owner, "invite", room="den", user=7), 107)

    def test_by_member(self) -> None:
        """A member may invite as well."""
        owner, member, person = self.den(), self.guest("Bob"), self.guest("Cid")
        self.invited(owner, member)
        self.invited(member, person)

    def test_void(self) -> None:
        """It does not hold after a week, nor when somebody was removed since it was made."""
        owner, person = self.den(), self.guest("Bob")
        charter = self.room("den").charter

        def join(generation: int, until_ms: int) -> Any:
            token = self.node.invites.token(Invite("den", generation, "", until_ms))
            return self.call(person, "join", invite=token)

        now_ms = self.node.now_ms()
        self.assertEqual(join(charter.generation, now_ms), 413)
        self.assertEqual(join(charter.generation + 1, now_ms + 1), 413)
        self.assertEqual(join(charter.generation - 1, now_ms + 1), 413)
        self.assertEqual(join(charter.generation, now_ms + 1), {"room": "den"})
        read = self.node.invites.read(self.call(owner, "invite", room="den")["invite"])
        assert read is not None
        self.assertEqual(read.until_ms, now_ms + LIFETIME_MS)

    def test_kicked(self) -> None:
        """By a new invite who was kicked comes back when the time is over, by an old one never."""
        owner, person, moderator = self.den(), self.guest("Bob"), self.guest("Mod")
        self.invited(owner, person)
        old = self.call(owner, "invite", room="den")["invite"]
        self.become(moderator, Role.MODERATOR)
        self.assertEqual(self.call(owner, "kick", room="den", user=person.user, seconds=9), {})
        self.assertEqual(self.call(person, "join", invite=old), 413)
        new = self.call(owner, "invite", room="den")["invite"]
        self.assertEqual(self.call(person, "join", invite=new), 431)
        self.advance(10)
        self.assertEqual(self.call(person, "join", invite=new), {"room": "den"})

    def test_destroyed(self) -> None:
        """It does not hold for another private room of the name that the first one had."""
        owner, person = self.den(), self.guest("Bob")
        token = self.call(owner, "invite", room="den")["invite"]
        self.assertEqual(self.call(owner, "destroy", room="den"), {})
        self.assertEqual(self.call(person, "join", invite=token), 108)
        self.become(person, Role.MODERATOR)
        self.advance(1)
        self.assertEqual(self.call(person, "private", room="den"), {})
        self.assertEqual(self.call(owner, "join", invite=token), 413)

    def test_none(self) -> None:
        """What is no invite is no request."""
        person = self.guest()
        for value in ({}, {"invite": ""}, {"invite": 7}, {"invite": "1.x.y"}):
            self.assertEqual(self.call(person, "join", **value), 107)
        self.assertEqual(person.refusal(Rpc(5, "join", "x")), 107)

    def test_at_once(self) -> None:
        """Two who use one invite at the same moment are both members."""
        owner, bob, cid = self.den(), self.guest("Bob"), self.guest("Cid")
        token = self.call(owner, "invite", room="den")["invite"]
        numbers = [self.begin(each, "join", invite=token) for each in (bob, cid, bob)]
        self.settle()
        self.assertEqual(self.told(bob, numbers[2]), {"room": "den"})
        self.assertEqual(self.told(cid, numbers[1]), {"room": "den"})
        self.assertEqual(len(self.call(owner, "members", room="den")), 3)

    def test_full(self) -> None:
        """A room has 1 000 members at most, also when two come for the last place."""
        owner, bob, cid = self.den(), self.guest("Bob"), self.guest("Cid")
        token = self.call(owner, "invite", room="den")["invite"]
        self.room("den").charter.members.update(f"u{number}" for number in range(999))
        numbers = self.begin(bob, "join", invite=token), self.begin(cid, "join", invite=token)
        self.settle()
        self.assertEqual(self.told(bob, numbers[0]), {"room": "den"})
        self.assertEqual(self.told(cid, numbers[1]), 106)

    def test_gone_meanwhile(self) -> None:
        """Who is gone when it is stored is a member all the same, here and in the record."""
        owner, person = self.den(), self.guest("Bob")
        token = self.call(owner, "invite", room="den")["invite"]
        self.worker.is_held = True
        self.begin(person, "join", invite=token)
        self.settle()
        user = person.user
        person.lost()
        self.worker.release()
        self.settle()
        self.assertIn(user, self.room("den").charter.members)
        self.assertIn(f"member:{user}", self.record("room:den"))

    def test_mended(self) -> None:
        """When it cannot be noted with the user that is an error; to join again mends it."""
        owner, person = self.den(), self.guest("Bob")
        token = self.call(owner, "invite", room="den")["invite"]
        self.worker.failures += [None, sqlite_error("SQLITE_FULL")]
        self.assertEqual(self.call(person, "join", invite=token), FULL.code)
        self.assertEqual(self.rooms_of(person), [])
        self.assertEqual(self.call(person, "join", invite=token), {"room": "den"})
        self.assertEqual(self.rooms_of(person), ["den"])


class LeaveTests(RoomsCase):
    def test_left(self) -> None:
        """Who leaves is out on all sessions, and no member; to leave again is an error."""
        owner, person = self.den(), self.guest("Bob")
        self.invited(owner, person)
        two = self.guest(resume=self.resume(person))
        for each in (person, two):
            self.assertIsNone(self.subscribed(each))
        self.assertEqual(self.call(person, "leave", room="Den"), {})
        for each in (person, two):
            told = each.pushes("unsubscribe", "den")
            self.assertEqual(told, [{"code": 2000, "reason": "left the room"}])
        self.say(1, "den")
        self.assertEqual((person.offsets("den"), two.offsets("den")), ([], []))
        self.assertEqual(self.subscribed(person), 413)
        self.assertEqual(self.rooms_of(person), [])
        self.assertEqual(self.call(person, "leave", room="den"), 413)

    def test_owner(self) -> None:
        """Its owner does not leave a room, whoever else is a member."""
        owner = self.den()
        self.assertEqual(self.call(owner, "leave", room="den"), 103)
        self.assertIsNone(owner.pushes("unsubscribe", "den") or None)

    def test_mended(self) -> None:
        """When it cannot be noted with the user that is an error; to leave again mends it."""
        owner, person = self.den(), self.guest("Bob")
        self.invited(owner, person)
        self.worker.failures += [None, sqlite_error("SQLITE_FULL")]
        first = self.call(person, "leave", room="den")
        self.assertEqual((first, self.rooms_of(person)), (FULL.code, ["den"]))
        self.assertEqual(self.call(person, "leave", room="den"), {})
        self.assertEqual(self.rooms_of(person), [])

    def test_what_is_left(self) -> None:
        """A room that became another one can be taken off the list; one stays in it."""
        person = self.guest("Ann", "hall")
        note(self.node, [person.user], "hall", theirs=True, done=lambda told: None)
        self.settle()
        self.assertEqual(self.call(person, "leave", room="hall"), {})
        self.assertEqual(person.pushes("unsubscribe", "hall"), [])
        self.assertEqual(self.call(person, "leave", room="hall"), 108)


class DirectTests(RoomsCase):
    def test_made(self) -> None:
        """The two have a room, whoever asks first; the other is told once, on all sessions."""
        ann, bob = self.guest("Ann"), self.guest("Bob")
        two = self.guest(resume=self.resume(bob))
        room = "@" + ":".join(sorted((ann.user, bob.user)))
        self.assertEqual(self.call(ann, "direct", user=bob.user), {"room": room})
        told = {"type": "direct", "room": room, "user": ann.user, "nick": "Ann"}
        for each in (bob, two):
            pushes = [it["push"]["message"]["data"] for it in each.told if "push" in it]
            self.assertEqual(pushes, [told])
        self.assertEqual(self.call(bob, "direct", user=ann.user), {"room": room})
        self.assertEqual(self.call(ann, "direct", user=bob.user), {"room": room})
        self.assertEqual((self.rooms_of(ann), self.rooms_of(bob)), ([room], [room]))
        self.assertEqual(len([it for it in bob.told if "push" in it]), 1)
        self.assertEqual([it for it in ann.told if "push" in it], [])

    def test_said(self) -> None:
        """What is said there is for the two."""
        ann, bob, cid = self.guest("Ann"), self.guest("Bob"), self.guest("Cid")
        room = self.call(ann, "direct", user=bob.user)["room"]
        self.assertIsNone(self.subscribed(bob, room))
        told = {"type": "message", "id": "a", "text": "psst"}
        self.assertEqual(ann.ask(Publish(5, room, told, compact(told))), {})
        self.assertEqual(bob.offsets(room), [1])
        self.become(cid, Role.MODERATOR)
        self.assertEqual(self.subscribed(cid, room), 413)

    def test_unknown(self) -> None:
        """There is no room with oneself, with nobody, or with somebody who never was there."""
        ann = self.guest("Ann")
        self.assertEqual(self.call(ann, "direct", user=ann.user), 107)
        self.assertEqual(self.call(ann, "direct", user="a b"), 107)
        self.assertEqual(self.call(ann, "direct"), 107)
        self.assertEqual(self.call(ann, "direct", user="nobody"), 424)
        self.assertEqual(self.rooms_of(ann), [])

    def test_away(self) -> None:
        """Who is away, and of whom something is kept, finds the room in their list."""
        ann, bob = self.guest("Ann"), self.guest("Bob")
        self.call(bob, "nick", nick="Rob")
        token, user = self.resume(bob), bob.user
        bob.lost()
        room = self.call(ann, "direct", user=user)["room"]
        again = self.guest(resume=token)
        self.assertIn(room, [each["room"] for each in self.call(again, "rooms")])

    def test_named(self) -> None:
        """Who is let into some rooms only has direct rooms all the same."""
        ann, bob = self.guest("Ann"), self.guest("Bob")
        self.become(ann, Role.USER, "elsewhere")
        room = self.call(ann, "direct", user=bob.user)["room"]
        self.assertIsNone(self.subscribed(ann, room))

    def test_left(self) -> None:
        """Who leaves it has it in their list no longer; it is still theirs, and the other's."""
        ann, bob = self.guest("Ann"), self.guest("Bob")
        room = self.call(ann, "direct", user=bob.user)["room"]
        for each in (ann, bob):
            self.assertIsNone(self.subscribed(each, room))
        for _ in range(2):
            self.assertEqual(self.call(ann, "leave", room=room), {})
        self.assertEqual(ann.pushes("unsubscribe", room)[0]["code"], 2000)
        self.assertEqual((self.rooms_of(ann), self.rooms_of(bob)), ([], [room]))
        self.assertEqual(bob.pushes("unsubscribe", room), [])

    def talk(self, person: Person, room: str, text: str) -> Json:
        """The answer to what somebody says there."""
        told = {"type": "message", "id": text, "text": text}
        return person.ask(Publish(next(self.numbers), room, told, compact(told)))

    def announced(self, person: Person) -> list[Any]:
        """What was told to them alone."""
        told = [it["push"].get("message") for it in person.told if "push" in it]
        return [each["data"] for each in told if each]

    def test_announced(self) -> None:
        """What is said in one that neither has opened lists it for both, and tells the other."""
        ann, bob = self.guest("Ann"), self.guest("Bob")
        room = "@" + ":".join(sorted((ann.user, bob.user)))
        self.assertIsNone(self.subscribed(ann, room))
        typing = {"type": "typing", "on": True}
        self.assertEqual(ann.ask(Publish(6, room, typing, compact(typing))), {})
        self.assertEqual((self.rooms_of(ann), self.rooms_of(bob)), ([], []))
        for text in ("one", "two"):
            self.assertEqual(self.talk(ann, room, text), {})
            self.assertEqual((self.rooms_of(ann), self.rooms_of(bob)), ([room], [room]))
        told = {"type": "direct", "room": room, "user": ann.user, "nick": "Ann"}
        self.assertEqual((self.announced(ann), self.announced(bob)), ([], [told]))
        self.assertEqual(self.call(bob, "unread")[room]["unread"], 2)
        self.assertFalse(self.room(room).charter.restrains)

    def test_announced_again(self) -> None:
        """Who took it off their list has it there again when something is said in it."""
        ann, bob = self.guest("Ann"), self.guest("Bob")
        room = self.call(ann, "direct", user=bob.user)["room"]
        self.assertIsNone(self.subscribed(ann, room))  # so that it stays open
        self.talk(ann, room, "one")
        self.assertEqual(self.call(bob, "leave", room=room), {})
        self.assertEqual(self.rooms_of(bob), [])
        self.talk(ann, room, "two")
        self.assertEqual(self.rooms_of(bob), [room])
        self.assertEqual(len(self.announced(bob)), 2)

    def test_not_announced(self) -> None:
        """Nothing is noted of who never was here, until they come; nor in a list that is full."""
        ann = self.guest("Ann")
        room = "@" + ":".join(sorted((ann.user, "bob")))
        self.assertEqual(self.talk(ann, room, "one"), {})
        self.assertEqual(self.record(user_subject("bob")), {})
        bob = self.signed_in("bob")
        full = {f"room:r{number}": "1" for number in range(MOST_ROOMS)}
        self.records.write(user_subject(ann.user), full, lambda told: None)
        self.settle()
        self.node.profiles._kept[ann.user] = Profile(full)
        self.assertEqual(self.talk(ann, room, "two"), {})
        self.assertEqual(self.rooms_of(bob), [room])
        self.assertNotIn(room, self.rooms_of(ann))

    def test_unasked_by_talking(self) -> None:
        """Nor can they fill it by saying something, which is stored all the same."""
        ann, bob = self.guest("Ann"), self.guest("Bob")
        self.call(bob, "nick", nick="Rob")
        profile = self.node.profiles.find(bob.user)
        assert profile is not None
        profile.apply({f"room:x{number}": "1" for number in range(MOST_UNASKED)})
        room = "@" + ":".join(sorted((ann.user, bob.user)))
        self.assertEqual(self.talk(ann, room, "one"), {})
        self.assertEqual((self.rooms_of(ann), self.announced(bob)), ([room], []))

    def test_announced_later(self) -> None:
        """When it cannot be read or noted, the next message lists it."""
        ann, bob = self.guest("Ann"), self.guest("Bob")
        room = "@" + ":".join(sorted((ann.user, bob.user)))
        self.assertIsNone(self.subscribed(ann, room))
        for failures in ([sqlite_error("SQLITE_IOERR")], [None, None, sqlite_error("SQLITE_FULL")]):
            self.worker.failures += failures
            self.assertEqual(self.talk(ann, room, f"after-{len(failures)}"), {})
            self.assertEqual(self.worker.failures, [])
            self.assertFalse(self.room(room).charter.is_listed)
        self.assertEqual(self.talk(ann, room, "at-last"), {})
        self.assertEqual((self.rooms_of(ann), self.rooms_of(bob)), ([room], [room]))

    def test_unasked(self) -> None:
        """Others cannot fill somebody's list: places are left for the rooms that they want."""
        ann, bob = self.guest("Ann"), self.guest("Bob")
        self.call(bob, "nick", nick="Rob")
        profile = self.node.profiles.find(bob.user)
        assert profile is not None
        profile.apply({f"room:x{number}": "1" for number in range(MOST_UNASKED)})
        self.assertEqual(self.call(ann, "direct", user=bob.user), 106)
        room = self.call(bob, "direct", user=ann.user)["room"]
        self.assertEqual(self.call(ann, "direct", user=bob.user), {"room": room})

    def test_rate(self) -> None:
        """Each new one counts as a message."""
        self.start(publish_burst=2, publish_per_s=1)
        ann = self.guest("Ann")
        others = [self.guest() for _ in range(3)]
        codes = [self.call(ann, "direct", user=each.user) for each in others]
        self.assertEqual(codes[2], 111)
        self.assertIn("room", self.call(ann, "direct", user=others[0].user))

    def test_refused(self) -> None:
        """When it cannot be noted that is an error, and nobody is told."""
        ann, bob = self.guest("Ann"), self.guest("Bob")
        self.worker.failures += [None, sqlite_error("SQLITE_FULL")]
        self.assertEqual(self.call(ann, "direct", user=bob.user), FULL.code)
        self.assertEqual([it for it in bob.told if "push" in it], [])
        self.assertIn("room", self.call(ann, "direct", user=bob.user))


class NoteTests(RoomsCase):
    def test_many(self) -> None:
        """Of many users so many are written at a time that they all are."""
        told: list[Refusal | None] = []
        users = [f"u{number}" for number in range(101)]
        note(self.node, users, "den", theirs=True, done=told.append)
        self.settle()
        self.assertEqual(told, [None])
        for user in (users[0], users[-1]):
            self.assertEqual(self.record(user_subject(user)), {"room:den": "1"})

    def test_refused(self) -> None:
        """One that is refused is told, when all others are written."""
        told: list[Refusal | None] = []
        users = [f"u{number}" for number in range(41)]
        self.worker.failures.append(sqlite_error("SQLITE_FULL"))
        note(self.node, users, "den", theirs=True, done=told.append)
        self.settle()
        self.assertEqual(told, [FULL])
        self.assertEqual(self.record(user_subject(users[0])), {})
        self.assertEqual(self.record(user_subject(users[-1])), {"room:den": "1"})
