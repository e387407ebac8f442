"""Who may do what: every command, by everybody, in every kind of room.

What is expected is written out here as tables, and asked of real sessions; nothing of it is taken
from the table that is tested.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from inspect import signature
from typing import Any, ClassVar, cast

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatd.core.actions import ACTIONS
from chatd.core.archive import Query, Target, Unread
from chatd.core.calls import _CALLS as CALLS
from chatd.core.charter import Charter, RoomKind, room_subject
from chatd.core.commands import (
    Command,
    Enter,
    History,
    Ping,
    Presence,
    PresenceStats,
    Publish,
    Rpc,
    Subscribe,
    Unsubscribe,
)
from chatd.core.events import Kind, Message, compact
from chatd.core.identity import Identity, Role
from chatd.core.invites import Invite
from chatd.core.permissions import (
    ROOM,
    SERVER,
    Office,
    Permission,
    Standing,
    check,
    check_office,
    refused,
    standing,
)
from chatd.errors import BANNED, FORBIDDEN, MUTED, UNKNOWN_ROOM, ChatError, Refusal
from tests.support.people import PeopleCase, Person

MANY = 1_000_000

HALL, DEN = "hall", "den"

PUBLIC = "guest user moderator named unnamed kicked muted".split()
"""Of whom the room is asked; `named`: it is in the list of the only rooms that are for them."""

PRIVATE = "guest user member owner moderator chair named unnamed muted".split()
"""`moderator` is no member, `chair` is both; `unnamed` is a member, and only let into others."""

DIRECT = "one third moderator unnamed".split()
"""`one` and `unnamed` are of the two; the latter is let into other rooms only."""

GRID = """
subscribe      |  ok  ok  ok  ok 413 431  ok | 413 413  ok  ok 103  ok  ok 413  ok |  ok 413 413  ok
unsubscribe    |  ok  ok  ok  ok  ok  ok  ok |  ok  ok  ok  ok  ok  ok  ok  ok  ok |  ok  ok  ok  ok
history        |  ok  ok  ok  ok 413 431  ok | 413 413  ok  ok 103  ok  ok 413  ok |  ok 413 413  ok
presence       |  ok  ok  ok  ok 413 431  ok | 413 413  ok  ok 103  ok  ok 413  ok |  ok 413 413  ok
presence_stats |  ok  ok  ok  ok 413 431  ok | 413 413  ok  ok 103  ok  ok 413  ok |  ok 413 413  ok
search         |  ok  ok  ok  ok 413 431  ok | 413 413  ok  ok 103  ok  ok 413  ok |  ok 413 413  ok
read           |  ok  ok  ok  ok 413 431  ok | 413 413  ok  ok 103  ok  ok 413  ok |  ok 413 413  ok
publish        |  ok  ok  ok  ok 413 431 430 | 413 413  ok  ok 103  ok  ok 413 430 |  ok 413 413  ok
any value      |  ok  ok  ok  ok 413 431 430 | 413 413  ok  ok 103  ok  ok 413 430 |  ok 413 413  ok
typing         |  ok  ok  ok  ok 413 431 430 | 413 413  ok  ok 103  ok  ok 413 430 |  ok 413 413  ok
reaction       |  ok  ok  ok  ok 413 431 430 | 413 413  ok  ok 103  ok  ok 413 430 |  ok 413 413  ok
edit other's   | 421 421 421 421 413 431 430 | 413 413 421 421 103 421 421 413 430 | 421 413 413 421
edit own       |  ok  ok  ok  ok 413 431 430 | 413 413  ok  ok 103  ok  ok 413 430 |  ok 413 413  ok
delete other's | 421 421  ok 421 413 431 430 | 413 413 421  ok 103  ok 421 413 430 | 421 413 413 421
delete own     |  ok  ok  ok  ok 413 431 430 | 413 413  ok  ok 103  ok  ok 413 430 |  ok 413 413  ok
topic          |  ok  ok  ok  ok 413 431 430 | 413 413  ok  ok 103  ok  ok 413 430 |  ok 413 413  ok
invite         | 108 108 108 108 413 108 108 | 413 413  ok  ok 103  ok  ok 413  ok | 108 413 413 108
members        | 108 108 108 108 413 108 108 | 413 413  ok  ok 103  ok  ok 413  ok | 108 413 413 108
join           | 108 108 108 108 108 108 108 |  ok  ok  ok  ok  ok  ok  ok 413  ok | 108 413 413 108
leave          | 108 108 108 108 413 108 108 | 413 413  ok 103 103  ok  ok  ok  ok |  ok 413 413  ok
private        | 103 103  ok 103 413 103 103 | 413 413 108  ok 108 108 108 413 108 | 108 413 413 108
destroy        | 103 103  ok 103 413 103 103 | 413 413 103  ok  ok  ok 103 413 103 | 108 413 413 108
kick           | 103 103  ok 103 413 103 103 | 413 413 103  ok  ok  ok 103 413 103 | 108 413 413 108
mute           | 103 103  ok 103 413 103 103 | 413 413 103  ok  ok  ok 103 413 103 | 108 413 413 108
slow           | 103 103  ok 103 413 103 103 | 413 413 103  ok  ok  ok 103 413 103 | 108 413 413 108
"""
"""Of each command the code of the answer: in a public, a private and a direct room."""

ROLES = "guest user moderator".split()

ANYWHERE = """
nick           |  ok 103 103
rooms          |  ok  ok  ok
unread         |  ok  ok  ok
direct         |  ok  ok  ok
ping           |  ok  ok  ok
kick           | 103 103  ok
ban            | 103 103  ok
ban address    | 103 103  ok
unban          | 103 103  ok
whois          | 103 103  ok
"""
"""The same of commands that are in no room, by what somebody is on the server."""


def rows(table: str) -> Mapping[str, list[list[str]]]:
    """Take a table apart: of each row its columns."""
    lines = [line.split("|") for line in table.strip().splitlines()]
    return {name.strip(): [cells.split() for cells in columns] for name, *columns in lines}


class Library:
    """A `core.archive.Archive` in which there is one message, and no word.

    Args:
        clock: its turns.

    Attributes:
        author: the user whose message it is; at first somebody else's.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.author = "herald"

    def target(
        self, room: str, offset: int, done: Callable[[Target | Refusal | None], None]
    ) -> None:
        """See `Archive.target`."""
        self._clock.callLater(0, done, Target(self.author, 0, Kind.MESSAGE, False, ()))

    def unread(
        self,
        room: str,
        after: int,
        user: str,
        names: Sequence[str],
        done: Callable[[Unread | Refusal], None],
    ) -> None:
        """See `Archive.unread`."""
        self._clock.callLater(0, done, Unread(0, 0))

    def search(self, query: Query, done: Callable[[Sequence[Message] | Refusal], None]) -> None:
        """See `Archive.search`."""
        self._clock.callLater(0, done, ())


class GridCase(PeopleCase):
    limits: ClassVar[Mapping[str, int]] = {
        "commands_per_s": MANY,
        "commands_burst": MANY,
        "publish_per_s": MANY,
        "publish_burst": MANY,
    }

    def setUp(self) -> None:
        self.people: dict[str, Person] = {}

    def world(self) -> None:
        """Make the rooms and the people, anew."""
        self.start(**self.limits)
        self.library = Library(self.clock)
        self.node = replace(self.node, archive=self.library)
        self.numbers = iter(range(1000, MANY))
        roles = {"user": Role.USER, "moderator": Role.MODERATOR, "chair": Role.MODERATOR}
        claims = {"named": {HALL, DEN}, "unnamed": {"elsewhere"}}
        names = dict.fromkeys((*PUBLIC, *PRIVATE, *DIRECT, "other"))
        self.people = {
            name: self.guest(f"p-{name}", *([HALL] if name == "other" else ())) for name in names
        }
        for name, person in self.people.items():
            session = person.session
            assert session.identity is not None
            rooms = frozenset(claims[name]) if name in claims else None
            role = roles.get(name, Role.USER if rooms else Role.GUEST)
            session.identity = replace(session.identity, role=role, rooms=rooms)
        user = {name: person.user for name, person in self.people.items()}
        self.direct = {
            name: "@" + ":".join(sorted((user[mine], user["other"])))
            for name in DIRECT
            for mine in [name if name == "unnamed" else "one"]
        }
        mute = {f"mute:{user['muted']}": str(10**15)}
        self.lay_down(HALL, {"topic": "all", f"out:{user['kicked']}": str(10**15), **mute})
        inside = ("member", "chair", "unnamed", "muted", "other")
        members = {f"member:{user[name]}": "1" for name in inside}
        den = {"private": "1", "owner": user["owner"], "invites": "7", **mute, **members}
        self.lay_down(DEN, den)
        other = self.people["other"]
        for room in (HALL, DEN, *set(self.direct.values())):
            if room != HALL:
                self.assertIn("epoch", self.asked(other, Subscribe(0, room, None, False)))
            self.asked(other, Publish(0, room, *message("first")))

    def lay_down(self, room: str, record: Mapping[str, str]) -> None:
        """Have this in the record of a room, and in its charter if it is open."""
        self.node.records.write(room_subject(room), record, lambda told: None)
        self.settle()
        found = self.hub.find(room)
        if found is not None:
            found.charter.apply(record)

    def asked(self, person: Person, command: Command) -> Mapping[str, object]:
        """The answer to a command, under a number of its own."""
        number = next(self.numbers)
        numbered: Any = (
            command._replace(id=number)
            if isinstance(command, Publish)
            else replace(cast(Any, command), id=number)
        )
        person.peer.writes.clear()
        return person.ask(numbered)

    def code(self, person: Person, command: Command) -> str:
        """`ok`, or the code of the error."""
        return str(self.asked(person, command).get("code", "ok"))


def message(text: str) -> tuple[object, bytes]:
    """A message, and the same as bytes."""
    told = {"type": "message", "id": text, "text": text}
    return told, compact(told)


class RoomGridTests(GridCase):
    def command(self, name: str, room: str, person: Person) -> Command:
        """The command of a row."""
        other = self.people["other"].user
        values: dict[str, object] = {
            "publish": {"type": "message", "id": self.new_id(), "text": "hi"},
            "any value": [1],
            "typing": {"type": "typing", "on": True},
            "reaction": {
                "type": "reaction",
                "id": self.new_id(),
                "ref": 1,
                "emoji": "+",
                "on": True,
            },
            "edit": {"type": "edit", "id": self.new_id(), "ref": 1, "text": "no"},
            "delete": {"type": "delete", "id": self.new_id(), "ref": 1},
        }
        if name not in values:
            name, _, whose = name.partition(" ")
            self.library.author = person.user if whose == "own" else "herald"
        if name in values:
            return Publish(0, room, values[name], compact(values[name]))
        commands: dict[str, Command] = {
            "subscribe": Subscribe(0, room, None, False),
            "unsubscribe": Unsubscribe(0, room),
            "history": History(0, room, 10, None, False),
            "presence": Presence(0, room),
            "presence_stats": PresenceStats(0, room),
        }
        if name in commands:
            return commands[name]
        invite = Invite(DEN if room == "DEN" else room, 7, "", 10**15)
        more: dict[str, dict[str, object]] = {
            "search": {"text": "first"},
            "read": {"offset": 1},
            "topic": {"topic": "x"},
            "join": {"invite": self.node.invites.token(invite)},
            "kick": {"user": other},
            "mute": {"user": other, "seconds": 9},
            "slow": {"seconds": 9},
        }
        return Rpc(0, name, {"room": room, **more.get(name, {})})

    def check(self, column: int, names: list[str], where: Callable[[str], str]) -> None:
        """See that everybody is answered as the table says."""
        for name, columns in rows(GRID).items():
            self.assertEqual(len(columns[column]), len(names), name)
            for who, expected in zip(names, columns[column], strict=True):
                if not self.people:
                    self.world()
                room, person = where(who), self.people[who]
                found = self.code(person, self.command(name, room, person))
                self.assertEqual(found, expected, f"{name} in {room} by {who}")
                if found == "ok" or (room == HALL and name == "join"):
                    self.people = {}  # something may be another than it was
                else:
                    self.assertIsNone(person.close)

    def test_public(self) -> None:
        """In a public room everybody may do what the table says."""
        self.check(0, PUBLIC, lambda who: HALL)

    def test_private(self) -> None:
        """In a private room everybody may do what the table says."""
        self.check(1, PRIVATE, lambda who: DEN)

    def test_private_in_capitals(self) -> None:
        """A private room is no less private when it is spelled another way."""
        self.check(1, PRIVATE, lambda who: "DEN" if who in ("guest", "user") else DEN)

    def test_direct(self) -> None:
        """In the room of two everybody may do what the table says."""
        self.check(2, DIRECT, lambda who: self.direct[who])

    def test_never_opened(self) -> None:
        """The room of two others is not even looked at: nothing is read, nothing made."""
        self.world()
        room = "@a:b"
        for name in rows(GRID):
            if name in ("unsubscribe", "join"):
                continue
            for who in ("third", "moderator"):
                person = self.people[who]
                before = self.worker.asked
                self.assertEqual(self.code(person, self.command(name, room, person)), "413", name)
                self.assertEqual((self.hub.find(room), self.worker.asked), (None, before), name)

    def test_unnameable(self) -> None:
        """What is the server's own, and what no two users can share, is no room for anybody."""
        self.world()
        for room in ("!audit", "@b:a", "@", "@a", "@a:", "@:a", "@a:b:c", "@a:b ", "@a:b\n"):
            for name in rows(GRID):
                if name != "join":
                    person = self.people["moderator"]
                    told = self.code(person, self.command(name, room, person))
                    self.assertEqual(told, "412", f"{name} in {room!r}")

    def test_case_of_two(self) -> None:
        """Users are compared exactly: the room of another spelling is another two's."""
        self.world()
        one, other = self.people["one"].user, self.people["other"].user
        room = "@" + ":".join(sorted((one.upper() + "X", other)))
        self.assertEqual(self.code(self.people["one"], Subscribe(0, room, None, False)), "413")


class AnywhereGridTests(GridCase):
    def test_all(self) -> None:
        """What is done in no room is allowed to whom the table says."""
        for name, (expected,) in rows(ANYWHERE).items():
            for who, code in zip(ROLES, expected, strict=True):
                self.world()
                other = self.people["other"].user
                values: dict[str, dict[str, object]] = {
                    "nick": {"nick": "Nick"},
                    "direct": {"user": other},
                    "kick": {"user": other},
                    "ban": {"user": other, "seconds": 9},
                    "ban address": {"address": "192.0.2.1", "seconds": 9},
                    "unban": {"user": other},
                    "whois": {"user": other},
                }
                method = name.partition(" ")[0]
                command = Ping(0) if name == "ping" else Rpc(0, method, values.get(name))
                self.assertEqual(self.code(self.people[who], command), code, f"{name} by {who}")


class TableTests(SynchronousTestCase):
    def test_every_command(self) -> None:
        """There is no call, and no command with a room, that the tables above do not ask about."""
        asked = {name.split()[0] for name in (*rows(GRID), *rows(ANYWHERE))}
        self.assertEqual(set(CALLS) - asked, set())
        roomy = {each for each in ACTIONS if "room" in signature(each).parameters}
        self.assertEqual(
            roomy - {Enter},  # of the plain door, where all are guests
            {Publish, Subscribe, Unsubscribe, History, Presence, PresenceStats},
        )

    def test_complete(self) -> None:
        """Every permission says of every kind of room who has it; every office, whose it is."""
        self.assertEqual(set(ROOM), set(Permission))
        for permission, kinds in ROOM.items():
            self.assertEqual(set(kinds), set(RoomKind), permission)
            for allowed in kinds.values():
                self.assertNotIn(Standing.OUTSIDER, allowed)
        self.assertEqual(set(SERVER), set(Office))

    def test_standing(self) -> None:
        """What somebody is in a room follows from its record and from what they are."""
        private = Charter("den", {"private": "1", "owner": "ann", "member:bob": "1"})
        cases = (
            (Identity("ann"), private, Standing.OWNER),
            (Identity("bob"), private, Standing.MEMBER),
            (Identity("Bob"), private, Standing.OUTSIDER),
            (Identity("bob", role=Role.MODERATOR), private, Standing.MEMBER),
            (Identity("cid", role=Role.MODERATOR), private, Standing.MODERATOR),
            (Identity("cid", role=Role.USER, rooms=frozenset({"den"})), private, Standing.MEMBER),
            (Identity("cid", rooms=frozenset({"den"})), private, Standing.OUTSIDER),
            (Identity("ann", rooms=frozenset()), private, Standing.OUTSIDER),
            (Identity("cid", rooms=frozenset({"den"})), Charter("den"), Standing.MEMBER),
            (Identity("a"), Charter("@a:b"), Standing.MEMBER),
            (Identity("A", role=Role.MODERATOR), Charter("@a:b"), Standing.OUTSIDER),
            (Identity("b", rooms=frozenset()), Charter("@a:b"), Standing.MEMBER),
        )
        for identity, charter, expected in cases:
            self.assertIs(standing(identity, charter), expected, (identity, charter.name))

    def test_muted(self) -> None:
        """Who is muted may read and say nothing, until it is over."""
        charter, ann = Charter("den", {"mute:ann": "1000"}), Identity("ann")
        self.assertIs(refused(Permission.SPEAK, ann, charter, 999), MUTED)
        self.assertIsNone(refused(Permission.READ, ann, charter, 999))
        self.assertIsNone(refused(Permission.SPEAK, ann, charter, 1000))
        self.assertIsNone(refused(Permission.SPEAK, Identity("bob"), charter, 999))

    def test_kept_out(self) -> None:
        """Who was kicked may not come back, until it is over."""
        charter = Charter("den", {"out:ann": "1000"})
        self.assertIs(refused(Permission.READ, Identity("ann"), charter, 999), BANNED)
        self.assertIsNone(refused(Permission.READ, Identity("ann"), charter, 1000))
        self.assertIsNone(refused(Permission.READ, Identity("bob"), charter, 999))

    def test_gone(self) -> None:
        """A room that is being destroyed is there for nobody, but to be destroyed to the end."""
        charter = Charter("den", {"private": "1", "owner": "ann", "gone": "1"})
        for permission in set(Permission) - {Permission.DESTROY}:
            for identity in (Identity("ann"), Identity("m", role=Role.MODERATOR)):
                self.assertIs(refused(permission, identity, charter, 0), UNKNOWN_ROOM)
        self.assertIsNone(refused(Permission.DESTROY, Identity("ann"), charter, 0))

    def test_checks(self) -> None:
        """What is refused is raised, and what is not is not."""
        with self.assertRaises(ChatError) as caught:
            check(Permission.DESTROY, Identity("ann"), Charter("lobby"), 0)
        self.assertIs(caught.exception.refusal, FORBIDDEN)
        check(Permission.READ, Identity("ann"), Charter("lobby"), 0)
        with self.assertRaises(ChatError) as caught:
            check_office(Office.BAN, Identity("ann"))
        self.assertIs(caught.exception.refusal, FORBIDDEN)
        check_office(Office.BAN, Identity("ann", role=Role.MODERATOR))
