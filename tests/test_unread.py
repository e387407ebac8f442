"""Read marks, and what somebody has not read yet."""

from __future__ import annotations

from typing import Any

from chatd.core.commands import Rpc
from chatd.core.profiles import MOST_ROOMS
from chatd.core.unread import SLICE
from chatd.errors import (
    BAD_REQUEST,
    LIMIT_EXCEEDED,
    PRIVATE_ROOM,
    ROOM_INVALID,
    TOO_MANY_REQUESTS,
    UNAVAILABLE,
)
from tests.support.brokers import sqlite_error
from tests.support.people import Json, Person, said, to, value
from tests.support.watched import ArchiveCase


def read(number: int, offset: object, room: object = "lobby") -> Rpc:
    """The call that moves a read mark."""
    return Rpc(number, "read", {"room": room, "offset": offset})


class UnreadCase(ArchiveCase):
    def unread(self, person: Person, number: int = 900) -> Json:
        """What somebody has not read."""
        told: Json = person.ask(Rpc(number, "unread", None))["data"]
        return told

    def marks(self, user: str) -> dict[str, str]:
        """The marks of a user as they are stored."""
        found: list[Any] = []
        self.records.read(f"user:{user}", found.append)
        self.settle()
        return {key: text for key, text in found[0].items() if key.startswith("read:")}

    def mark(self, person: Person, count: int) -> None:
        """Give somebody marks in so many rooms."""
        for first in range(0, count, 50):
            names = range(first, min(first + 50, count))
            changes = {f"read:r{number}": "1" for number in names}
            self.node.profiles.change(person.user, changes, is_here=True, done=lambda refusal: None)
            self.settle()

    def assertOk(self, person: Person, command: Rpc) -> None:
        """A call is answered with nothing."""
        self.assertEqual(person.ask(command), {"data": {}})


class ReadTests(UnreadCase):
    def test_forward(self) -> None:
        """A mark moves forward only, and is stored."""
        ann = self.guest("Ann", "lobby")
        self.say(5)
        self.assertOk(ann, read(5, 3))
        self.assertOk(ann, read(6, 2))
        self.assertEqual(self.marks(ann.user), {"read:lobby": "3"})
        jobs = self.worker.jobs
        self.assertOk(ann, read(7, 3))
        self.assertEqual(self.worker.jobs, jobs)
        self.assertOk(ann, read(8, 4))
        self.assertEqual(self.marks(ann.user), {"read:lobby": "4"})

    def test_head(self) -> None:
        """Beyond the head it is cut to the head."""
        ann = self.guest("Ann", "lobby")
        self.say(2)
        self.assertOk(ann, read(5, (1 << 63) - 1))
        self.assertEqual(self.marks(ann.user), {"read:lobby": "2"})

    def test_whisper(self) -> None:
        """The user's other sessions are told, and nobody else."""
        ann, bob = self.guest("Ann", "lobby"), self.guest("Bob", "lobby")
        other = self.guest(None, resume=self.resume(ann))
        self.say(2)
        self.assertOk(ann, read(5, 9))
        told = {"type": "read", "room": "lobby", "offset": 2}
        self.assertEqual(other.told[-1], {"push": {"message": {"data": told}}})
        for person in (ann, bob):
            self.assertFalse([each for each in person.told if "message" in each.get("push", {})])

    def test_two_sessions(self) -> None:
        """Of two sessions that mark at the same time the further mark stays, stored too."""
        ann = self.guest("Ann", "lobby")
        other = self.guest(None, "lobby", resume=self.resume(ann))
        self.say(5)
        for person, offset in ((ann, 5), (other, 3)):
            person.begin(read(5, offset))
        self.settle()
        self.assertEqual(self.marks(ann.user), {"read:lobby": "5"})
        self.assertEqual(self.unread(other)["lobby"]["read"], 5)

    def test_refused(self) -> None:
        """What makes no sense, or a room one may not read, is refused."""
        ann = self.guest("Ann", "lobby", "den")
        self.say(1)
        for number, offset in enumerate((None, -1, 1.5, "1", True, 1 << 63), 10):
            self.assertEqual(ann.refusal(read(number, offset)), BAD_REQUEST.code)
        self.assertEqual(ann.refusal(read(20, 1, "a b")), ROOM_INVALID.code)
        self.assertEqual(ann.refusal(read(21, 1, 7)), BAD_REQUEST.code)
        self.room("den").charter.apply({"private": "1", "owner": "x"})
        self.assertEqual(ann.refusal(read(22, 1, "den")), PRIVATE_ROOM.code)
        self.assertEqual(self.marks(ann.user), {})

    def test_most(self) -> None:
        """There are marks in a thousand rooms at most; those there are move on."""
        ann = self.guest("Ann", "lobby", "den")
        self.say(2)
        self.say(2, "den")
        self.mark(ann, MOST_ROOMS - 1)
        self.assertOk(ann, read(5, 1))
        self.assertEqual(ann.refusal(read(6, 1, "den")), LIMIT_EXCEEDED.code)
        self.assertOk(ann, read(7, 2))

    def test_fails(self) -> None:
        """A mark that cannot be stored is answered so, and is where it was."""
        ann = self.guest("Ann", "lobby")
        self.say(2)
        self.worker.failures.append(sqlite_error("SQLITE_FULL"))
        self.assertEqual(ann.refusal(read(5, 1)), 402)
        self.assertEqual(self.unread(ann)["lobby"]["read"], 0)
        self.assertOk(ann, read(6, 1))

    def test_lost_meanwhile(self) -> None:
        """Who is lost before it is stored has it stored, and their other sessions are told."""
        ann = self.guest("Ann", "lobby")
        other = self.guest(None, "lobby", resume=self.resume(ann))
        self.say(2)
        ann.begin(read(5, 1))
        ann.session.lost()
        self.settle()
        self.assertEqual(other.told[-1]["push"]["message"]["data"]["offset"], 1)
        self.assertEqual(self.unread(other)["lobby"]["unread"], 1)


class CountTests(UnreadCase):
    def test_nothing(self) -> None:
        """Who is nowhere and has no marks has nothing to read."""
        self.assertEqual(self.unread(self.guest("Ann")), {})

    def test_counts(self) -> None:
        """Messages of others count, edits and deletions do not; mentions by nick and by id."""
        ann, bob = self.guest("Ann", "lobby"), self.guest("Bob", "lobby")
        for number, text in enumerate(("a", "hi @ann", f"hi @{ann.user}", "@ann gone"), 10):
            bob.ask(said(number, text))
        ann.ask(said(5, "mine"))
        bob.ask(value({"type": "delete", "id": "d", "ref": 4}, number=20))
        bob.ask(value({"type": "edit", "id": "e", "ref": 1, "text": "@Ann"}, number=21))
        self.assertEqual(
            self.unread(ann), {"lobby": {"read": 0, "offset": 7, "unread": 3, "mentions": 3}}
        )
        self.assertOk(ann, read(6, 1))
        self.assertEqual(
            self.unread(ann, 901), {"lobby": {"read": 1, "offset": 7, "unread": 2, "mentions": 2}}
        )

    def test_all_read(self) -> None:
        """Of a room that is read to its end nothing is asked."""
        ann = self.guest("Ann", "lobby")
        self.say(2)
        self.assertOk(ann, read(5, 2))
        self.assertEqual(
            self.unread(ann), {"lobby": {"read": 2, "offset": 2, "unread": 0, "mentions": 0}}
        )
        self.assertEqual(self.archive.asked, [])

    def test_rooms(self) -> None:
        """Rooms one is in, one's own ones and those with a mark, open or not, each once."""
        ann = self.guest("Ann", "lobby")
        for room in ("den", "attic", "cellar"):
            self.say(3, room)
        for number, room in enumerate(("den", "lobby"), 5):
            self.assertOk(ann, read(number, 1, room))
        changes = {"room:attic": "1", "room:@a:b": "1"}
        self.node.profiles.change(ann.user, changes, is_here=True, done=lambda refusal: None)
        self.settle()
        self.assertIsNone(self.hub.find("den"))
        counts = {name: (each["offset"], each["unread"]) for name, each in self.unread(ann).items()}
        self.assertEqual(counts, {"lobby": (0, 0), "attic": (3, 3), "den": (3, 2)})

    def test_not_shown(self) -> None:
        """A room that one may not read any more is not there, open or not."""
        ann = self.guest("Ann", "den")
        for room in ("den", "attic"):
            self.say(2, room)
            self.assertOk(ann, read(len(room), 1, room))
        for room in ("den", "attic"):
            changes = {"private": "1", "owner": "x"}
            self.records.write(f"room:{room}", changes, lambda refusal: None)
        self.settle()
        self.room("den").charter.apply({"private": "1", "owner": "x"})
        self.assertEqual(self.unread(ann), {})

    def test_removed_meanwhile(self) -> None:
        """What one may not read when it is answered is left out."""
        ann = self.guest("Ann", "lobby", "den")
        self.say(1)
        self.say(1, "den")
        charter = self.room("den").charter
        self.archive.telling = lambda: charter.apply({"private": "1", "owner": "x"})
        self.assertEqual(list(self.unread(ann)), ["lobby"])

    def test_slices(self) -> None:
        """Many rooms are counted a slice at a time, and other commands wait."""
        self.start(rooms_per_connection=200)
        count = 2 * SLICE + 5
        ann = self.guest("Ann", *(f"r{number}" for number in range(count)))
        for number in range(count):
            self.say(1, f"r{number}")
        at_once: list[int] = []

        def telling() -> None:
            at_once.append(len(self.archive.asked) - len(at_once))

        self.archive.telling = telling
        ann.begin(Rpc(900, "unread", {}), to("more", number=901))
        self.settle()
        self.assertEqual(len(ann.replies[900]["rpc"]["data"]), count)
        self.assertEqual(max(at_once), SLICE)
        self.assertLess(ann.order.index("900"), ann.order.index("901"))

    def test_most(self) -> None:
        """At most a thousand rooms are told, those one is in first."""
        ann = self.guest("Ann", "lobby")
        self.mark(ann, MOST_ROOMS)
        told = self.unread(ann)
        self.assertEqual((len(told), next(iter(told))), (MOST_ROOMS, "lobby"))

    def test_bad(self) -> None:
        """The argument is an object, or left out."""
        ann = self.guest("Ann")
        self.assertEqual(ann.refusal(Rpc(5, "unread", [])), BAD_REQUEST.code)

    def test_fails(self) -> None:
        """When a count, a record or the rooms cannot be read that is answered."""
        ann = self.guest("Ann", "lobby")
        self.say(2)
        self.say(2, "den")
        self.assertOk(ann, read(5, 1, "den"))
        self.archive.refusal = UNAVAILABLE
        self.assertEqual(ann.refusal(Rpc(6, "unread", {})), 400)
        self.archive.refusal = None
        for number, before in enumerate(([], [None], [None, None]), 7):
            self.worker.failures += [*before, sqlite_error("SQLITE_IOERR")]
            self.assertEqual(ann.refusal(Rpc(number, "unread", {})), 400)
        self.assertEqual(set(self.unread(ann)), {"lobby", "den"})

    def test_lost_meanwhile(self) -> None:
        """Who is lost meanwhile is counted nothing more for."""
        ann = self.guest("Ann", *(f"r{number}" for number in range(SLICE + 5)))
        for number in range(SLICE + 5):
            self.say(1, f"r{number}")
        self.archive.telling = lambda: ann.session.lost() if ann.session.sender else None
        ann.begin(Rpc(900, "unread", {}))
        self.settle()
        self.assertEqual(len(self.archive.asked), SLICE)

    def test_rate(self) -> None:
        """It takes long, so it counts for several commands."""
        self.start(commands_burst=25, commands_per_s=1)
        person = self.guest("Ann")
        self.assertNotIn("code", person.ask(Rpc(5, "unread", None)))
        self.assertNotIn("code", person.ask(Rpc(6, "unread", None)))
        self.assertEqual(person.refusal(Rpc(7, "unread", None)), TOO_MANY_REQUESTS.code)
