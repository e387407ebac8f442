"""What can be called by its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatd.core.calls import remember_nick
from chatd.core.commands import Presence, Rpc, Subscribe, Unsubscribe
from chatd.core.profiles import user_subject
from chatd.errors import Refusal
from tests.support.brokers import sqlite_error
from tests.support.people import PeopleCase, Person, said


def rename(nick: object, *, number: int = 8) -> Rpc:
    """The call to be called something else."""
    return Rpc(number, "nick", {"nick": nick})


class CallTests(PeopleCase):
    def test_unknown(self) -> None:
        """A call that there is none of is refused, whatever its argument."""
        person = self.guest()
        for number, method in enumerate(("", "Nick", "rooms ", "topics"), 5):
            self.assertEqual(person.refusal(Rpc(number, method, {"nick": "Ann"})), 104)
        self.assertLive(person)

    def test_subject(self) -> None:
        """The record of a user is named after their id."""
        self.assertEqual(user_subject("u1"), "user:u1")


class NickTests(PeopleCase):
    def notices(self, person: Person, room: str = "lobby") -> list[Mapping[str, Any]]:
        """What somebody was told of new nicks."""
        pubs = [each["data"] for each in person.pushes("pub", room)]
        return [each for each in pubs if each["type"] == "nick"]

    def test_told(self) -> None:
        """Who is in a room with them is told, once, that they are called something else now."""
        other, person = self.guest("Bob", "lobby", "den"), self.guest("Ann", "lobby", "attic")
        self.assertEqual(person.ask(rename("Anna")), {"data": {"nick": "Anna"}})
        told = {"type": "nick", "user": person.user, "from": "Ann", "to": "Anna"}
        self.assertEqual(self.notices(other), [told])
        self.assertEqual(self.notices(person), [told])
        self.assertEqual(self.notices(person, "attic"), [told])
        self.assertEqual(self.notices(other, "den"), [])
        (pub,) = other.pushes("pub")
        self.assertNotIn("offset", pub)
        self.assertEqual(pub["info"]["conn_info"], {"nick": "Anna"})
        self.assertEqual(self.room().head, 0)

    def test_not_as_coming(self) -> None:
        """It is no coming and going, and who is present is listed by the new nick."""
        other = self.guest("Bob")
        other.ask(Subscribe(5, "lobby", None, join_leave=True))
        person = self.guest("Ann", "lobby")
        person.ask(rename("Anna"))
        self.assertEqual(len(other.pushes("join")), 2)
        self.assertEqual(other.pushes("leave"), [])
        self.assertEqual(self.present(), ["Anna", "Bob"])

    def test_every_session(self) -> None:
        """All sessions of the user have it, in all their rooms; each room is told once."""
        one = self.guest("Ann", "lobby")
        two = self.guest(None, "lobby", "den", resume=self.resume(one))
        other = self.guest("Bob", "lobby", "den")
        two.ask(rename("Anna"))
        self.assertEqual((one.nick, two.nick), ("Anna", "Anna"))
        self.assertEqual(one.session.title, "'Anna'")
        self.assertEqual(len(self.notices(other)), 1)
        self.assertEqual(len(self.notices(other, "den")), 1)
        listed = other.ask(Presence(9, "lobby"))["presence"]
        self.assertEqual(listed[one.session.id]["conn_info"], {"nick": "Anna"})
        one.ask(said(9))
        self.assertEqual(other.pushes("pub")[-1]["info"]["conn_info"], {"nick": "Anna"})

    def test_leaves_by_it(self) -> None:
        """Who leaves, or says something, does so by the nick they have then."""
        other = self.guest("Bob")
        other.ask(Subscribe(5, "lobby", None, join_leave=True))
        person = self.guest("Ann", "lobby")
        person.ask(rename("Anna"))
        person.ask(Unsubscribe(9, "lobby"))
        (left,) = other.pushes("leave")
        self.assertEqual(left["info"]["conn_info"], {"nick": "Anna"})

    def test_while_away(self) -> None:
        """Who is awaited in a room, and renamed elsewhere, comes back by the new nick."""
        one = self.guest("Ann", "lobby")
        token = self.resume(one)
        one.lost()
        two = self.guest(resume=token)
        two.ask(rename("Anna"))
        two.ask(Subscribe(9, "lobby", None, join_leave=False))
        self.assertEqual(self.present(), ["Anna"])

    def test_kept(self) -> None:
        """They have it when they come again; the old one is free at once."""
        person = self.guest("Ann")
        token = self.resume(person)
        person.ask(rename("Anna"))
        self.assertEqual(self.guest("Ann").nick, "Ann")
        person.lost()
        self.advance(self.config.grace_s + 1)
        self.assertEqual(self.guest(resume=token).nick, "Anna")

    def test_refused(self) -> None:
        """One that is taken, that cannot be, or that is none, is refused; nothing changes."""
        other, person = self.guest("Bob", "lobby"), self.guest("Ann", "lobby")
        for number, (nick, code) in enumerate(
            (("bob", 410), ("a b", 411), ("Server", 411), (5, 107), (None, 107)), 10
        ):
            self.assertEqual(person.refusal(rename(nick, number=number)), code)
        values: tuple[object, ...] = (None, "Anna", ["Anna"], {})
        for number, value in enumerate(values, 20):
            self.assertEqual(person.refusal(Rpc(number, "nick", value)), 107)
        self.assertEqual(person.nick, "Ann")
        self.assertEqual(self.notices(other), [])
        self.assertEqual(self.present(), ["Ann", "Bob"])

    def test_spelling(self) -> None:
        """One may spell one's own nick in another way."""
        person = self.guest("Ann", "lobby")
        self.assertEqual(person.ask(rename("ANN")), {"data": {"nick": "ANN"}})
        self.assertEqual(self.present(), ["ANN"])

    def test_too_much(self) -> None:
        """When too much waits nobody is told, which is answered all the same: presence knows."""
        self.start(pending_messages=1)
        person = self.guest("Ann", "lobby")
        self.worker.is_held = True
        person.begin(said(9), rename("Anna"))
        self.assertEqual(person.replies[8]["rpc"], {"data": {"nick": "Anna"}})
        self.worker.release()
        self.settle()
        self.assertEqual(self.notices(person), [])
        self.assertEqual(self.present(), ["Anna"])

    def test_not_kept(self) -> None:
        """A nick that could not be stored is had until then."""
        person = self.guest("Ann", "lobby")
        self.worker.failures.append(sqlite_error("SQLITE_FULL"))
        self.assertEqual(person.ask(rename("Anna")), {"data": {"nick": "Anna"}})
        self.assertLive(person)

    def test_same(self) -> None:
        """Who takes the nick they have is answered, and nobody is told."""
        person, other = self.guest("Ann", "lobby"), self.guest("Bob", "lobby")
        before = len(other.peer.messages)
        self.assertEqual(person.ask(rename("Ann")), {"data": {"nick": "Ann"}})
        self.settle()
        self.assertEqual(len(other.peer.messages), before)

    def test_rate(self) -> None:
        """Each room that is told counts as a message."""
        self.start(publish_burst=5, publish_per_s=1)
        person = self.guest("Ann", "one", "two", "three")
        self.assertEqual(person.ask(rename("Anna")), {"data": {"nick": "Anna"}})
        self.assertEqual(person.ask(rename("Anne", number=9))["code"], 111)
        self.advance(1)
        self.assertEqual(person.ask(rename("Anne", number=10)), {"data": {"nick": "Anne"}})

    def test_remembered(self) -> None:
        """What is remembered of a user is their nick."""
        told: list[Mapping[str, str] | Refusal] = []
        remember_nick(self.node, "u1", "Ann")
        self.settle()
        self.node.records.read("user:u1", told.append)
        self.settle()
        self.assertEqual(told, [{"nick": "Ann"}])
