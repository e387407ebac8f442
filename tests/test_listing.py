"""The list of rooms."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from chatd.core import listing
from chatd.core.broker import RoomSummary
from chatd.core.charter import room_subject
from chatd.core.commands import Rpc
from chatd.core.identity import Role
from chatd.core.listing import LISTED_BYTES, MOST_LISTED
from chatd.core.membership import note
from chatd.errors import TOO_MANY_REQUESTS
from tests.support.people import Person, said
from tests.test_membership import RoomsCase


class ListingTests(RoomsCase):
    def names(self, person: Person) -> list[str]:
        """Of the rooms that are listed for somebody."""
        return [each["room"] for each in self.call(person, "rooms")]

    def lay_down(self, room: str, record: Mapping[str, str]) -> None:
        """Have this in the record of a room that nobody needs."""
        self.node.records.write(room_subject(room), record, lambda told: None)
        self.settle()

    def test_listed(self) -> None:
        """The rooms in which something was said are listed, the latest first."""
        person = self.guest("Ann", "lobby", "quiet")
        self.guest("Bob", "lobby")
        self.assertEqual(person.ask(Rpc(5, "rooms", None)), {"data": []})
        self.advance(1)
        person.ask(said(6))
        self.advance(1)
        person.ask(said(7, room="Den"))
        self.assertEqual(
            person.ask(Rpc(8, "rooms", {})),
            {
                "data": [
                    {"room": "den", "members": 0, "offset": 1, "time": 2000},
                    {"room": "lobby", "members": 2, "offset": 1, "time": 1000},
                ]
            },
        )

    def test_topic(self) -> None:
        """With the topic, of those that are open and of others."""
        person = self.guest("Ann", "open")
        for room in ("open", "closed"):
            self.call(person, "topic", room=room, topic=f"of {room}")
        told = {each["room"]: each["topic"] for each in self.call(person, "rooms")}
        self.assertEqual(told, {"open": "of open", "closed": "of closed"})

    def test_private(self) -> None:
        """A private room is listed for its members, be it that nothing was said in it."""
        owner, member, stranger, moderator = self.den(), *(self.guest() for _ in range(3))
        self.become(moderator, Role.MODERATOR)
        self.invited(owner, member)
        row = {"room": "den", "members": 1, "offset": 0, "time": 0, "private": True}
        self.assertEqual(self.call(owner, "rooms"), [row])
        self.assertEqual(self.call(member, "rooms"), [row])
        self.say(1, "den")
        for person in (stranger, moderator):
            self.assertEqual(self.call(person, "rooms"), [])
        self.assertEqual(self.call(member, "rooms")[0]["offset"], 1)

    def test_closed(self) -> None:
        """One that is not open is private by its record."""
        stranger = self.guest()
        self.say(1, "den")
        self.lay_down("den", {"private": "1", "owner": "ann", f"member:{stranger.user}x": "1"})
        self.assertIsNone(self.hub.find("den"))
        self.assertEqual(self.names(stranger), [])
        self.lay_down("den", {f"member:{stranger.user}": "1"})
        self.assertEqual(self.names(stranger), ["den"])

    def test_direct(self) -> None:
        """A direct room is listed for the two, as one that is in their lists."""
        ann, bob, cid = self.guest("Ann"), self.guest("Bob"), self.guest("Cid")
        room = self.call(ann, "direct", user=bob.user)["room"]
        self.say(1, room)
        self.become(cid, Role.MODERATOR)
        for person, names in ((ann, [room]), (bob, [room]), (cid, [])):
            self.assertEqual(self.names(person), names)
        self.assertNotIn("private", self.call(ann, "rooms")[0])

    def test_unlisted(self) -> None:
        """What the broker tells of direct rooms and the server's own is not passed on."""
        person = self.guest("Ann")
        rows = [RoomSummary(name, 1, 1) for name in ("!audit", "@a:b", f"@{person.user}:z", "hall")]
        self.patch(self.broker, "rooms", lambda done, names=None: done([] if names else rows))
        self.assertEqual(self.names(person), ["hall"])

    def test_named(self) -> None:
        """Who is let into some rooms only sees these, be it that they are not in their list."""
        owner, person = self.den(), self.guest("Bob")
        self.become(person, Role.USER, "den", "hall")
        self.advance(1)
        for room in ("hall", "other"):
            self.say(1, room)
        self.assertEqual(self.names(person), ["hall", "den"])
        del owner

    def test_gone(self) -> None:
        """A room that is being destroyed is listed for nobody."""
        person = self.guest("Ann")
        self.say(1, "den")
        self.lay_down("den", {"gone": "1"})
        self.assertEqual(self.names(person), [])

    def test_blank(self) -> None:
        """What is left of a room in a list is not shown when the room is nobody's own any more."""
        person = self.guest("Ann")
        note(self.node, [person.user], "den", theirs=True, done=lambda told: None)
        self.settle()
        self.assertEqual(self.names(person), [])
        self.say(1, "den")
        self.assertEqual(self.names(person), ["den"])

    def test_kicked(self) -> None:
        """Nor is one from which somebody is kept out, for them."""
        person = self.guest("Ann")
        self.say(1, "den")
        self.lay_down("den", {f"out:{person.user}": str(10**15)})
        self.assertEqual((self.names(person), self.names(self.guest())), ([], ["den"]))

    def test_closed_meanwhile(self) -> None:
        """A room that is made private while the list is made is not in it."""
        person, owner = self.guest("Ann"), self.guest("Bob", "den")
        self.become(owner, Role.MODERATOR)
        self.say(1, "den")
        held: list[Callable[[], None]] = []
        read_many = self.records.read_many

        def late(subjects: Any, fields: Any, done: Callable[[Any], None]) -> None:
            read_many(subjects, fields, lambda told: held.append(lambda: done(told)))

        self.patch(self.records, "read_many", late)
        number = self.begin(person, "rooms")
        self.settle()
        self.assertEqual(self.call(owner, "private", room="den"), {})
        held[0]()
        self.assertEqual(self.told(person, number), [])

    def many(self, count: int) -> None:
        """Have so many rooms, the first the latest."""
        rows = [RoomSummary(f"r{number}", 1, count - number) for number in range(count)]
        self.patch(self.broker, "rooms", lambda done, names=None: done([] if names == [] else rows))

    def test_many(self) -> None:
        """At most 1 000 are listed, the latest; no more is read than is needed."""
        person = self.guest("Ann")
        self.many(3000)
        asked: list[Sequence[str]] = []
        read_many = self.records.read_many

        def noting(subjects: Sequence[str], fields: Any, done: Any) -> None:
            asked.append(subjects)
            read_many(subjects, fields, done)

        self.patch(self.records, "read_many", noting)
        self.assertEqual(self.names(person), [f"r{number}" for number in range(MOST_LISTED)])
        self.assertEqual(len(asked), 1)

    def test_many_private(self) -> None:
        """When the latest are private those after them are listed."""
        person = self.guest("Ann")
        for number in range(50):
            self.lay_down(f"r{number}", {"private": "1", "owner": "x"})
        self.many(1060)
        self.assertEqual(self.names(person), [f"r{number}" for number in range(50, 1050)])

    def test_long(self) -> None:
        """A list with long topics is cut where it would be too long for a frame."""
        person = self.guest("Ann")
        for number in range(150):
            self.lay_down(f"r{number}", {"topic": "ż" * 500})
        self.many(150)
        person.peer.writes.clear()
        told = self.call(person, "rooms")
        self.assertIn(len(told), range(100, 150))
        self.assertLess(len(person.peer.messages[-1].encode()), LISTED_BYTES + 2000)  # type: ignore[union-attr]

    def test_failure(self) -> None:
        """A list that cannot be read is an error, for now."""
        self.say(1)
        original = self.broker.connections.read
        calls: list[int] = []
        for at in range(3):
            person = self.guest()
            calls.clear()

            def failing(job: Any, done: Any, at: int = at) -> bool:
                calls.append(at)
                return len(calls) - 1 != at and original(job, done)

            self.patch(self.broker.connections, "read", failing)
            self.assertEqual(person.refusal(Rpc(5, "rooms", None)), 400)
            self.patch(self.broker.connections, "read", original)
            self.assertEqual(len(person.ask(Rpc(6, "rooms", None))["data"]), 1)

    def test_names(self) -> None:
        """What it promises is what it is called."""
        self.assertEqual(set(listing.__all__), {"LISTED_BYTES", "MOST_LISTED", "rooms"})

    def test_rate(self) -> None:
        """It takes long, so it counts for several commands."""
        self.start(commands_burst=25, commands_per_s=1)
        person = self.guest("Ann")
        self.assertNotIn("code", person.ask(Rpc(5, "rooms", None)))
        self.assertNotIn("code", person.ask(Rpc(6, "rooms", None)))
        self.assertEqual(person.refusal(Rpc(7, "rooms", None)), TOO_MANY_REQUESTS.code)
