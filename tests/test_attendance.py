"""Being in a room."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatd.core import removal
from chatd.core.broker import Place
from chatd.core.commands import (
    Command,
    Presence,
    PresenceStats,
    Since,
    Unsubscribe,
)
from chatd.core.events import Sender
from chatd.errors import (
    KICKED,
    ROOM_INVALID,
    UNAVAILABLE,
    Refusal,
)
from tests.support.brokers import sqlite_error
from tests.support.people import PeopleCase, Person, past, said, to, value


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


class JudgedAgainTests(PeopleCase):
    """What was waited for comes back, and something was laid down meanwhile."""

    CHANGES: ClassVar[Mapping[int, Mapping[str, str]]] = {
        413: {"private": "1", "owner": "x"},
        102: {"gone": "1"},
        431: {"out": "1000000"},
    }

    def held(self, name: str) -> list[Callable[[], None]]:
        """Let what the broker is asked for come later."""
        held: list[Callable[[], None]] = []
        original = getattr(self.broker, name)

        def late(*args: Any, **kwargs: Any) -> None:
            held.append(lambda: original(*args, **kwargs))

        self.patch(self.broker, name, late)
        return held

    def meanwhile(self, name: str, command: Command) -> None:
        """See that a command is refused when things change while it waits for the broker."""
        for code, changes in self.CHANGES.items():
            self.start()
            self.guest("Bob", "lobby")
            self.say(5)
            person = self.guest("Ann")
            held = self.held(name)
            person.begin(command)
            self.settle()
            self.assertEqual(len(held), 1)
            mine = {f"out:{person.user}": changes["out"]} if "out" in changes else changes
            self.room().charter.apply(mine)
            held[0]()
            self.settle()
            reply = person.replies[command.id]  # type: ignore[union-attr]
            self.assertEqual(reply["error"]["code"], code)
            self.say(1)
            self.assertEqual((person.offsets(), len(person.told)), ([], 2))
            self.assertLive(person)

    def test_located(self) -> None:
        """Who may not read any more when their place is found is not let in."""
        self.meanwhile("locate", to("lobby", since=Since("e", 1)))

    def test_present(self) -> None:
        """Nor are they told who is there."""
        self.meanwhile("present", Presence(5, "lobby"))

    def test_page(self) -> None:
        """Nor what was said."""
        self.meanwhile("page", past(5))
        self.meanwhile("locate", past(5, since=Since("e", 1)))

    def test_closed_room(self) -> None:
        """How many are in a private room is not told, also when it is not open."""
        person = self.guest()
        self.node.records.write("room:den", {"private": "1", "owner": "x"}, lambda told: None)
        self.settle()
        for command in (PresenceStats(20, "Den"), Presence(21, "den")):
            self.assertEqual(person.refusal(command), 413)

    def test_read(self) -> None:
        """Who has read some of the room is told up to where."""
        person = self.guest("Ann")
        changes = {"read:lobby": "3"}
        self.node.profiles.change(person.user, changes, is_here=True, done=lambda told: None)
        self.settle()
        self.assertEqual(person.ask(to("Lobby"))["data"], {"members": 1, "read": 3})
        self.assertEqual(person.ask(to("den", number=6))["data"], {"members": 1})

    def test_kicked_while_block_is_read(self) -> None:
        """Who is taken out while a block is read for them gets none of it."""
        self.start(cached_bytes=0)
        watcher = self.guest("Bob", "lobby")
        self.say(300)
        epoch = self.room().epoch
        person = self.guest("Ann")
        held = self.held("page")
        person.begin(to("lobby", since=Since(epoch, 1)))
        self.settle()
        self.assertEqual(len(held), 1)
        removal.remove(self.node, person.user, "lobby", KICKED)
        held[0]()
        self.settle()
        self.assertEqual(person.offsets(), [])
        self.assertEqual(person.pushes("unsubscribe"), [{"code": 2000, "reason": "removed"}])
        self.assertLive(person)
        self.assertLive(watcher)

    def test_plain(self) -> None:
        """A plain connection does not come into a private room, and hears no greeting."""
        self.node.records.write("room:den", {"private": "1", "owner": "x"}, lambda told: None)
        self.settle()
        person = self.plain("Den")
        assert person.close is not None
        self.assertEqual((person.close.code, person.close.reason), (1008, "room is private"))
        self.assertEqual(person.heard, [])
