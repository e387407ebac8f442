"""Saying something."""

from __future__ import annotations

from collections.abc import Mapping

from chatd.core.commands import (
    Say,
    Send,
)
from chatd.errors import (
    FULL,
    MUTED,
    STALLED,
    UNAVAILABLE,
    UNKNOWN_OUTCOME,
    Refusal,
)
from tests.support.brokers import sqlite_error
from tests.support.people import PeopleCase, Person, said, value

GREETING = "connected to WebSocket server"

# What the database fails with, and what is said of it to who published.
FAILURES: Mapping[str, Refusal] = {"SQLITE_FULL": FULL, "SQLITE_IOERR": UNKNOWN_OUTCOME}


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

    def test_elsewhere(self) -> None:
        """Who speaks another dialect has no room that they came for: it is refused."""
        ann = self.guest("ann", "lobby")
        ann.begin(Say("hello"), Send(b"x", binary=True))
        self.settle()
        self.assertEqual(ann.offsets(), [])
        self.assertLive(ann)

    def test_no_room(self) -> None:
        """Who did not come for one room has nowhere to send bytes."""
        ann, plain = self.guest("Ann", "lobby"), self.plain()
        ann.begin(Send(b"x", binary=True))
        self.settle()
        self.assertEqual(plain.heard, [GREETING])
        self.assertLive(ann)

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


class RestrainedTests(PeopleCase):
    def restrain(self, person: Person, room: str = "lobby") -> None:
        """Mute somebody."""
        self.room(room).charter.apply({f"mute:{person.user}": str(10**15)})

    def test_muted(self) -> None:
        """Who is muted says nothing, from within or without, nor is it told that they type."""
        ann, bob = self.guest("Ann", "lobby"), self.guest("Bob", "lobby")
        away = self.guest(None, resume=self.resume(ann))
        self.restrain(ann)
        for person in (ann, away):
            self.assertEqual(person.refusal(said(10)), 430)
            self.assertEqual(person.refusal(value({"type": "typing", "on": True})), 430)
        self.assertEqual(bob.pushes("pub"), [])
        self.assertEqual(bob.ask(said(10)), {})

    def test_muted_again(self) -> None:
        """What somebody said before they were muted is acknowledged when it is said again."""
        ann = self.guest("Ann", "lobby")
        away = self.guest(None, resume=self.resume(ann))
        ann.ask(said(10, key="k"))
        self.restrain(ann)
        self.assertEqual(ann.ask(said(11, key="k")), {})
        self.assertEqual(away.ask(said(11, key="k")), {})
        self.assertEqual(ann.refusal(said(12)), 430)
        self.assertEqual(self.room().head, 1)

    def test_plain(self) -> None:
        """At the plain door who is muted is closed, text or bytes; others are not."""
        self.plain(nick="eve")
        for command in (Say("hi"), Send(b"\0", binary=True)):
            person, other = self.plain(), self.plain()
            self.restrain(person)
            other.begin(command)
            person.begin(command)
            self.settle()
            self.assertIs(person.close, MUTED.close)
            self.assertIsNone(other.close)

    def test_slow(self) -> None:
        """In a slow room one says so much and no more; typing does not count."""
        ann = self.guest("Ann", "lobby")
        self.room().charter.apply({"slow": "30"})
        self.assertEqual(ann.ask(value({"type": "typing", "on": True})), {})
        self.assertEqual(ann.ask(said(10)), {})
        self.assertEqual(ann.refusal(said(11)), 432)

    def test_outsider(self) -> None:
        """Who may not speak in a room says nothing there; nor who was kicked."""
        ann, bob = self.guest("Ann", "lobby"), self.guest("Bob")
        self.room().charter.apply({f"out:{bob.user}": str(10**15)})
        self.assertEqual(bob.refusal(said(10)), 431)
        self.room().charter.apply({"private": "1", "owner": ann.user})
        self.assertEqual(bob.refusal(said(11)), 413)
        self.assertEqual(bob.refusal(value({"type": "typing", "on": True})), 413)
        self.assertEqual(ann.ask(said(10)), {})

    def test_going(self) -> None:
        """In a room that is being destroyed its members say nothing more."""
        ann = self.guest("Ann", "lobby")
        self.room().charter.apply({"gone": "1"})
        self.assertEqual(ann.refusal(said(10)), 102)


class ReplyTests(PeopleCase):
    def test_reply(self) -> None:
        """One answers what is there, also what is deleted; not what is still to come."""
        ann = self.guest("Ann", "lobby")
        ann.ask(said(10))
        reply = {"type": "message", "id": "r", "text": "a", "reply_to": 1}
        self.assertEqual(ann.ask(value(reply, number=11)), {})
        later = {**reply, "id": "s", "reply_to": 3}
        self.assertEqual(ann.refusal(value(later, number=12)), 423)
        self.assertEqual(ann.refusal(value({**later, "reply_to": 10**40}, number=13)), 423)
        self.assertEqual(self.room().head, 2)

    def test_mentions(self) -> None:
        """Whom a message names is stored with it, by either door."""
        ann, plain = self.guest("Ann", "lobby"), self.plain()
        ann.ask(said(10, "hi @Bob"))
        plain.begin(Say("hi @ann and @Cid"))
        self.settle()
        found: list[object] = []
        self.broker.connections.read(
            lambda connection: connection.execute(
                "select cast(name as blob) from mention order by key, name"
            ).fetchall(),
            found.append,
        )
        self.settle()
        self.assertEqual(found, [[(b"bob",), (b"ann",), (b"cid",)]])

    def test_change(self) -> None:
        """A change of a message goes to `core.changes`, from within and without."""
        ann, bob = self.guest("Ann", "lobby"), self.guest("Bob")
        ann.ask(said(10))
        told = {"type": "reaction", "id": "r", "ref": 1, "emoji": "+", "on": True}
        self.assertEqual(ann.ask(value(told, number=11)), {})
        self.assertEqual(bob.ask(value(told, number=11)), {})
        self.assertEqual(ann.offsets(), [1, 2, 3])


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

    def test_listed(self) -> None:
        """A room of two is listed for both once something is said in it, not when one types."""
        ann, bob = self.guest("Ann"), self.guest("Bob")
        room = "@" + ":".join(sorted((ann.user, bob.user)))
        ann.ask(value({"type": "typing", "on": True}, room=room))
        self.assertIsNone(self.node.profiles.find(bob.user))
        ann.ask(said(8, room=room))
        for each in (ann, bob):
            profile = self.node.profiles.find(each.user)
            assert profile is not None
            self.assertEqual(list(profile.rooms), [room])

    def test_gone_meanwhile(self) -> None:
        """What somebody said before they were lost is stored and told to the others."""
        other, person = self.guest("Bob", "lobby"), self.guest("Ann", "lobby")
        person.begin(said(5))
        writes = len(person.peer.writes)
        person.lost()
        self.assertEqual(other.offsets(), [1])
        self.assertEqual(len(person.peer.writes), writes)
