"""A room's topic, and its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from chatd.core.commands import History, Since
from chatd.core.events import Kind
from chatd.core.identity import Role
from chatd.core.profiles import user_subject
from chatd.errors import FULL, UNAVAILABLE, Refusal
from tests.support.brokers import sqlite_error
from tests.support.people import Person, past, said, to
from tests.test_membership import RoomsCase


class TopicTests(RoomsCase):
    def test_told(self) -> None:
        """A topic is a stored message, and is told to who comes later."""
        person = self.guest("Ann", "den")
        self.assertEqual(self.call(person, "topic", room="Den", topic="of bears"), {})
        (told,) = person.pushes("pub", "den")
        self.assertEqual((told["data"], told["offset"]), ({"type": "topic", "text": "of bears"}, 1))
        self.assertEqual(told["info"]["user"], person.user)
        answer = self.guest("Bob").ask(to("den"))
        self.assertEqual(answer["data"], {"members": 2, "topic": "of bears"})

    def test_changed(self) -> None:
        """The last one counts, and an empty one is none."""
        person = self.guest("Ann", "den")
        for text in ("one", "two", ""):
            self.assertEqual(self.call(person, "topic", room="den", topic=text), {})
            self.assertEqual(self.record("room:den").get("topic", ""), text)
        self.assertEqual(self.guest().ask(to("den"))["data"], {"members": 2})

    def test_bounds(self) -> None:
        """It is 0 to 500 characters long, with no control character in it."""
        person = self.guest("Ann")
        self.assertEqual(self.call(person, "topic", room="den", topic="ż" * 500), {})
        for text in ("x" * 501, "a\nb", "\0", "\x7f", "\x85", "a\u2028"):
            self.assertEqual(self.call(person, "topic", room="den", topic=text), 107, repr(text))
        self.assertEqual(self.call(person, "topic", room="den"), 107)
        self.assertEqual(self.record("room:den")["topic"], "ż" * 500)

    def test_rate(self) -> None:
        """It counts as a message."""
        self.start(publish_burst=1, publish_per_s=1)
        person = self.guest("Ann")
        self.assertEqual(self.call(person, "topic", room="den", topic="x"), {})
        self.assertEqual(self.call(person, "topic", room="den", topic="x"), 111)

    def test_muted(self) -> None:
        """Who is muted does not choose it."""
        person = self.guest("Ann", "den")
        self.room("den").charter.apply({f"mute:{person.user}": str(10**15)})
        self.assertEqual(self.call(person, "topic", room="den", topic="x"), 430)

    def test_not_stored(self) -> None:
        """What is not stored as a message is no topic."""
        person = self.guest("Ann", "den")
        self.worker.failures.append(sqlite_error("SQLITE_FULL"))
        self.assertEqual(self.call(person, "topic", room="den", topic="x"), FULL.code)
        self.assertEqual(self.record("room:den"), {})

    def test_not_kept(self) -> None:
        """One that is told and cannot be kept is an error; to call again keeps it."""
        person = self.guest("Ann", "den")
        self.worker.failures += [None, sqlite_error("SQLITE_FULL")]
        self.assertEqual(self.call(person, "topic", room="den", topic="x"), FULL.code)
        self.assertEqual(self.call(person, "topic", room="den", topic="x"), {})
        self.assertEqual(self.record("room:den"), {"topic": "x"})

    def test_two_at_once(self) -> None:
        """Of two at the same moment the one counts that the room was told last."""
        ann, bob = self.guest("Ann", "den"), self.guest("Bob", "den")
        self.begin(ann, "topic", room="den", topic="ann's")
        self.begin(bob, "topic", room="den", topic="bob's")
        self.settle()
        told = [each["data"]["text"] for each in ann.pushes("pub", "den")]
        self.assertEqual(self.record("room:den")["topic"], told[-1])
        self.assertEqual(self.room("den").charter.topic, told[-1])


class DestroyTests(RoomsCase):
    def moderator(self, *rooms: str) -> Person:
        """Somebody who moderates the server."""
        person = self.guest("Mod", *rooms)
        self.become(person, Role.MODERATOR)
        return person

    def offsets(self, person: Person, room: str = "den") -> list[int]:
        """What can be read of a room."""
        page = person.ask(History(next(self.numbers), room, 500, None, False))
        return [each["offset"] for each in page["publications"]]

    def test_public(self) -> None:
        """All are out, all that was said is gone, and offsets go on where they were."""
        moderator, ann, plain = self.moderator("den"), self.guest("Ann", "den"), self.plain("den")
        self.say(300, "den")
        self.call(ann, "topic", room="den", topic="x")
        self.assertEqual(self.call(moderator, "destroy", room="Den"), {})
        for each in (moderator, ann):
            told = each.pushes("unsubscribe", "den")
            self.assertEqual(told, [{"code": 2000, "reason": "room deleted"}])
        self.assertEqual((plain.close.code, plain.close.reason), (1008, "room deleted"))  # type: ignore[union-attr]
        self.assertEqual(self.record("room:den"), {})
        self.assertEqual(self.offsets(ann), [])
        answer = ann.ask(to("den", number=next(self.numbers)))
        self.assertEqual((answer["offset"], answer["data"]), (302, {"members": 1}))
        self.say(2, "den")
        self.assertEqual((ann.offsets("den")[-2:], self.offsets(ann)), ([303, 304], [303, 304]))

    def test_nothing_kept(self) -> None:
        """Nothing of what was said is kept in memory either, though the room stays open."""
        moderator = self.moderator("den")
        self.say(300, "den")
        self.hub.open("den", lambda room: None)
        self.assertTrue(self.room("den").tail and len(self.feed))
        self.assertEqual(self.call(moderator, "destroy", room="den"), {})
        self.assertEqual((self.room("den").tail, len(self.feed)), ([], 0))
        person = self.guest("Ann", "den")
        self.say(200, "den")
        self.assertEqual(person.offsets("den"), list(range(302, 502)))

    def test_audited(self) -> None:
        """Who deleted a room, or closed it as a moderator, is in the audit log."""
        moderator = self.moderator()
        self.assertEqual(self.call(moderator, "private", room="den"), {})
        self.assertEqual(self.call(moderator, "destroy", room="den"), {})
        told: list[Any] = []
        self.broker.page("!audit", 0, 2, told.append)
        self.settle()
        entries = [orjson.loads(each.payload) for each in told[0]]
        self.assertEqual(
            [(each["action"], each["by"], each["room"]) for each in entries],
            [("private", moderator.user, "den"), ("destroy", moderator.user, "den")],
        )

    def test_private(self) -> None:
        """A private room that its owner deletes is a public one, blank and in nobody's list."""
        owner, member = self.den(), self.guest("Bob")
        self.invited(owner, member)
        self.say(3, "den")
        self.assertEqual(self.call(owner, "destroy", room="den"), {})
        self.assertEqual(self.record("room:den"), {})
        for each in (owner, member):
            self.assertEqual(self.rooms_of(each), [])
        stranger = self.guest()
        self.assertEqual(self.offsets(stranger), [])
        self.assertIsNone(self.subscribed(stranger))

    def test_by_moderator(self) -> None:
        """A moderator may, who may not read it."""
        self.den()
        self.assertEqual(self.call(self.moderator(), "destroy", room="den"), {})

    def test_nothing(self) -> None:
        """A room that never was can be deleted."""
        self.assertEqual(self.call(self.moderator(), "destroy", room="void"), {})
        self.assertEqual(self.record("room:void"), {})

    def test_awaited(self) -> None:
        """Who was awaited in it is awaited no longer."""
        owner, other = self.den(), self.guest("Bob", "hall")
        self.invited(owner, other)
        other.ask(to("den"))
        other.lost()
        self.assertEqual(self.call(owner, "destroy", room="den"), {})
        watcher = self.guest("Cid", "den")
        self.assertEqual(self.present("den"), ["Cid"])
        self.advance(self.config.grace_s + 1)
        self.assertLive(watcher)

    def test_publishes_under_way(self) -> None:
        """What is under way when it is deleted is acknowledged, and gone as well."""
        moderator, ann = self.moderator(), self.guest("Ann", "den")
        for turns in range(8):
            number = self.begin(moderator, "destroy", room="den")
            keys = [next(self.numbers) for _ in range(10)]
            for key in keys[:5]:
                ann.begin(said(key, room="den"))
            for _ in range(turns):
                self.clock.advance(0)
            for key in keys[5:]:
                ann.begin(said(key, room="den"))
            self.settle()
            self.assertEqual(self.told(moderator, number), {})
            late = [key for key in keys if "error" not in ann.replies[key]]
            self.assertTrue(late)
            # Only what was said when it was over is there.
            head = ann.ask(to("den", number=next(self.numbers)))["offset"]
            there = self.offsets(ann)
            self.assertEqual(there, list(range(head - len(there) + 1, head + 1)))
            stored = [each["offset"] for each in ann.pushes("pub", "den")]
            self.assertEqual(set(there) & set(stored), set())

    def test_recovering(self) -> None:
        """Who is coming back while it is deleted gets nothing of what was said."""
        self.start(cached_bytes=0, **self.limits)
        owner = self.den()
        self.say(300, "den")
        for turns in range(16):
            if turns:
                self.start(cached_bytes=0, **self.limits)
                owner = self.den()
                self.say(300, "den")
            epoch, token = self.room("den").epoch, self.resume(owner)
            two = self.guest(resume=token)
            moderator = self.moderator()
            number = self.begin(moderator, "destroy", room="den")
            for _ in range(turns):
                self.clock.advance(0)
            two.begin(to("den", since=Since(epoch, 1)))
            before = len(two.peer.messages)
            self.settle()
            self.assertEqual(self.told(moderator, number), {})
            reply = two.replies[5]
            if "error" in reply:
                self.assertIn(reply["error"]["code"], (102, 413))
                self.assertEqual(two.offsets("den"), [])
            elif "recovered" not in reply["subscribe"]:
                self.assertEqual(two.offsets("den"), [])
            else:
                self.assertEqual(two.pushes("unsubscribe", "den")[0]["code"], 2000)
            del before

    def test_while_read(self) -> None:
        """A page that was asked for before and comes after it is refused, with nothing in it."""
        owner, moderator = self.den(), self.moderator()
        self.say(5, "den")
        asked: list[Callable[[], None]] = []
        page = self.broker.page

        def later(*args: Any, **kwargs: Any) -> None:
            asked.append(lambda: page(*args, **kwargs))

        self.patch(self.broker, "page", later)
        owner.begin(past(5, room="den"))
        self.settle()
        number = self.begin(moderator, "destroy", room="den")
        self.clock.advance(0)
        self.clock.advance(0)
        self.clock.advance(0)
        asked[0]()
        self.settle()
        self.assertEqual(self.told(moderator, number), {})
        told = owner.replies[6]
        self.assertFalse(told.get("history", {}).get("publications"))

    def test_at_once(self) -> None:
        """Of two who delete it at the same moment one hears that it is not there."""
        one, other = self.moderator(), self.guest("Two")
        self.become(other, Role.MODERATOR)
        self.say(600, "den")
        numbers = self.begin(one, "destroy", room="den"), self.begin(other, "destroy", room="den")
        self.settle()
        codes = [self.told(one, numbers[0]), self.told(other, numbers[1])]
        self.assertEqual(codes, [{}, 102])

    def test_while_destroyed(self) -> None:
        """Until it is over nobody does anything with it, and it cannot be laid hold of."""
        owner, moderator, stranger = self.den(), self.moderator(), self.guest()
        self.say(5, "den")
        token = self.call(owner, "invite", room="den")["invite"]
        held: list[Callable[[], None]] = []
        trim = self.broker.trim
        self.patch(self.broker, "trim", lambda *args: held.append(lambda: trim(*args)))
        number = self.begin(owner, "destroy", room="den")
        self.settle()
        for person in (owner, moderator, stranger):
            if person is not owner:
                self.assertEqual(self.subscribed(person), 102)
                self.assertEqual(self.call(person, "topic", room="den", topic="x"), 102)
                self.assertEqual(self.call(person, "private", room="den"), 102)
                self.assertEqual(self.call(person, "join", invite=token), 102)
                self.assertEqual(self.call(person, "leave", room="den"), 102)
                rooms = [each["room"] for each in self.call(person, "rooms")]
                self.assertEqual(rooms, [])
        self.assertEqual(self.call(moderator, "destroy", room="den"), 102)
        held[0]()
        self.settle()
        self.assertEqual(self.told(owner, number), {})

    def test_not_marked(self) -> None:
        """When it cannot be begun the room is what it was."""
        owner = self.den()
        self.say(1, "den")
        self.worker.failures.append(sqlite_error("SQLITE_FULL"))
        self.assertEqual(self.call(owner, "destroy", room="den"), FULL.code)
        self.assertEqual(self.offsets(owner), [1])

    def fails(self, person: Person, failing: int) -> bool:
        """Destroy the den with this job failing; whether it was refused."""
        self.worker.failures += [*[None] * failing, sqlite_error("SQLITE_READONLY")]
        answer = self.call(person, "destroy", room="den")
        self.worker.failures.clear()
        return bool(answer != {})

    def test_again(self) -> None:
        """Wherever it fails nothing is shown meanwhile, and to call again ends it."""
        for failing in range(12):
            self.start(**self.limits)
            owner, stranger = self.den(), self.guest()
            self.say(5, "den")
            self.hub.open("den", lambda room: None)  # so that it is not opened anew
            if self.fails(owner, failing):
                self.assertIn(self.subscribed(stranger), (102, 413))
                self.assertEqual(self.call(self.moderator(), "destroy", room="den"), {})
            self.assertEqual(self.record("room:den"), {})
            self.assertEqual(self.offsets(stranger), [])

    def test_when_opened(self) -> None:
        """Wherever it fails, it is ended before the room is opened next."""
        for failing in range(1, 12):
            self.start(**self.limits)
            owner = self.den()
            self.say(5, "den")
            self.fails(owner, failing)
            owner.lost()
            self.advance(self.config.grace_s + 1)
            self.assertIsNone(self.hub.find("den"))
            stranger = self.guest()
            found = self.offsets(stranger) if not self.subscribed(stranger) else [0]
            if failing:
                self.assertEqual(found, [], failing)
            self.assertEqual(self.record("room:den"), {})

    def test_lists_not_written(self) -> None:
        """That it stays in the list of a user is of no account."""
        owner = self.den()
        write = self.records.write

        def refuse(subject: str, changes: Any, done: Any) -> None:
            if subject.startswith("user:"):
                self.clock.callLater(0, done, FULL)
            else:
                write(subject, changes, done)

        self.patch(self.records, "write", refuse)
        self.assertEqual(self.call(owner, "destroy", room="den"), {})
        self.assertEqual(self.record(user_subject(owner.user)), {"room:den": "1"})
        self.assertEqual(self.call(owner, "rooms"), [])

    def test_full_disk(self) -> None:
        """It is deleted also when no message can be stored any more."""
        owner = self.den()
        self.say(5, "den")
        publish = self.broker.publish

        def full(room: str, sender: object, key: str, told: bytes, done: Any, *more: Any) -> None:
            self.clock.callLater(0, done, FULL)

        self.patch(self.broker, "publish", full)
        self.assertEqual(self.call(owner, "destroy", room="den"), {})
        self.patch(self.broker, "publish", publish)
        self.assertEqual(self.offsets(owner), [])

    def test_not_stored(self) -> None:
        """When it is not known what is under way it is not deleted, and not shown either."""
        owner = self.den()
        self.hub.open("den", lambda room: None)
        outcomes: list[Refusal] = [UNAVAILABLE]
        publish = self.broker.publish

        def fail(room: str, sender: object, key: str, told: bytes, done: Any, *more: Any) -> None:
            self.clock.callLater(0, done, outcomes[0])

        self.patch(self.broker, "publish", fail)
        self.assertEqual(self.call(owner, "destroy", room="den"), 400)
        self.assertEqual(self.record("room:den")["gone"], "1")
        self.patch(self.broker, "publish", publish)
        self.assertEqual(self.call(owner, "destroy", room="den"), {})

    def test_kind(self) -> None:
        """A topic is stored as what it is."""
        kinds: list[object] = []
        publish = self.broker.publish

        def noting(*args: Any) -> None:
            kinds.append(args[5].kind if len(args) > 5 else None)
            publish(*args)

        self.patch(self.broker, "publish", noting)
        self.call(self.guest("Ann"), "topic", room="den", topic="x")
        self.assertEqual(kinds, [Kind.TOPIC])
