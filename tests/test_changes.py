"""Edits, deletions and reactions, judged against the message they are of."""

from __future__ import annotations

import json
from typing import Any

from chatd.core.changes import EDIT_MS, MOST_EDITS
from chatd.core.commands import Publish
from chatd.core.session import Session
from chatd.errors import (
    BANNED,
    LIMIT_EXCEEDED,
    MUTED,
    NO_SUCH_MESSAGE,
    NOT_YOURS,
    PRIVATE_ROOM,
    TOO_LATE,
    UNAVAILABLE,
    UNKNOWN_OUTCOME,
)
from tests.support.brokers import sqlite_error
from tests.support.people import Person, said, value
from tests.support.watched import ArchiveCase

DELETED = {"type": "deleted"}


def edit(
    number: int, ref: int, text: str = "new", *, key: str = "", room: str = "lobby"
) -> Publish:
    """The command to edit a message."""
    told = {"type": "edit", "id": key or f"e{number}", "ref": ref, "text": text}
    return value(told, number=number)


def delete(number: int, ref: int, *, key: str = "") -> Publish:
    """The command to delete a message."""
    told = {"type": "delete", "id": key or f"d{number}", "ref": ref}
    return value(told, number=number)


def react(number: int, ref: int, *, key: str = "") -> Publish:
    """The command to react to a message."""
    told = {"type": "reaction", "id": key or f"r{number}", "ref": ref, "emoji": "+", "on": True}
    return value(told, number=number)


class ChangesCase(ArchiveCase):
    def said(self) -> list[Any]:
        """What is stored in the lobby."""
        return [json.loads(each.payload) for each in self.log()]

    def kinds(self) -> list[str]:
        """Of what is stored in the lobby."""
        return [each["type"] for each in self.said()]

    def ask(self, person: Person, *commands: Publish) -> None:
        """Have somebody ask for one thing after the other; all of it is done."""
        for each in commands:
            self.assertEqual(person.ask(each), {}, each)

    def assertFree(self) -> None:
        """Nobody has a turn in the lobby, or waits for one."""
        self.assertEqual(len(self.room().turns), 0)


class ChangeTests(ChangesCase):
    def test_edit(self) -> None:
        """An edit is a message of its own, told to all; what was said before stays stored."""
        ann, bob = self.guest("Ann", "lobby"), self.guest("Bob", "lobby")
        ann.ask(said(5, "old"))
        self.assertEqual(ann.ask(edit(6, 1, "new")), {})
        self.assertEqual(bob.offsets(), [1, 2])
        self.assertEqual(bob.pushes("pub")[1]["data"]["text"], "new")
        self.assertEqual(self.said()[0]["text"], "old")
        self.assertFree()

    def test_delete(self) -> None:
        """A deletion takes away the text and that of all edits; offsets stay."""
        ann = self.guest("Ann", "lobby")
        self.ask(ann, said(5), edit(6, 1), edit(7, 1), said(8), delete(9, 1))
        self.assertEqual(
            self.said(),
            [
                *[DELETED] * 3,
                {"type": "message", "id": "m8", "text": "hi"},
                {"type": "delete", "id": "d9", "ref": 1},
            ],
        )
        tail = [json.loads(row.message.payload) for row in self.room().tail]
        self.assertEqual(tail, self.said())
        self.assertFree()

    def test_reaction(self) -> None:
        """Anybody may react to a message, they to their own too."""
        ann, bob = self.guest("Ann", "lobby"), self.guest("Bob", "lobby")
        self.ask(ann, said(5), react(6, 1))
        self.ask(bob, react(6, 1))
        self.assertEqual(self.kinds(), ["message", "reaction", "reaction"])

    def test_no_message(self) -> None:
        """Only a message that is there can be changed, and nothing is stored otherwise."""
        ann = self.guest("Ann", "lobby")
        self.ask(ann, value([], number=5), said(6), edit(7, 2), delete(8, 2))
        number = 10
        for make in (edit, delete, react):
            for ref in (1, 2, 3, 4, 5, 10**40):  # other JSON, erased, an edit, a deletion, nothing
                self.assertEqual(ann.refusal(make(number, ref)), NO_SUCH_MESSAGE.code)
                number += 1
        self.assertEqual(self.room().head, 4)
        self.assertFree()
        self.archive.asked.clear()
        ann.refusal(edit(9, 5))
        self.assertEqual(self.archive.asked, [])

    def test_trimmed(self) -> None:
        """What is trimmed cannot be changed."""
        ann = self.guest("Ann", "lobby")
        ann.begin(said(5), said(6))
        self.settle()
        self.broker.trim("lobby", 1, lambda outcome: None)
        self.settle()
        for number, make in enumerate((edit, delete, react), 10):
            self.assertEqual(ann.refusal(make(number, 1)), NO_SUCH_MESSAGE.code)

    def test_others(self) -> None:
        """What others said one can neither edit nor delete."""
        ann, bob = self.guest("Ann", "lobby"), self.guest("Bob", "lobby")
        ann.ask(said(5))
        self.assertEqual(bob.refusal(edit(6, 1)), NOT_YOURS.code)
        self.assertEqual(bob.refusal(delete(7, 1)), NOT_YOURS.code)
        self.assertEqual(self.kinds(), ["message"])

    def test_other_session(self) -> None:
        """It is the user's, from whichever of their sessions."""
        ann = self.guest("Ann", "lobby")
        ann.ask(said(5))
        again = self.guest(None, resume=self.resume(ann))
        self.assertEqual(again.ask(edit(6, 1)), {})
        self.assertEqual(again.ask(delete(7, 1)), {})

    def test_moderator(self) -> None:
        """A moderator deletes what others said, which is noted, but edits nothing of theirs."""
        ann, mod = self.guest("Ann", "lobby"), self.moderator("Mod")
        ann.ask(said(5))
        self.assertEqual(mod.refusal(edit(6, 1)), NOT_YOURS.code)
        self.assertEqual(mod.ask(delete(7, 1)), {})
        self.assertEqual(mod.ask(delete(8, 1, key="d7")), {})
        self.assertEqual(self.kinds(), ["deleted", "delete"])
        (entry,) = (json.loads(each.payload) for each in self.log("!audit"))
        self.assertEqual(
            entry,
            {"type": "audit", "action": "delete", "by": mod.user, "nick": "Mod"}
            | {"room": "lobby", "user": ann.user, "ref": 1},
        )

    def test_moderator_own(self) -> None:
        """What a moderator deletes of their own, or what is not stored, is not noted."""
        ann, mod = self.guest("Ann", "lobby"), self.moderator("Mod", "lobby")
        self.ask(mod, said(5), delete(6, 1))
        self.ask(ann, said(5))
        self.worker.failures += [None, sqlite_error("SQLITE_FULL")]
        self.assertEqual(mod.refusal(delete(7, 3)), 402)
        self.assertEqual(self.log("!audit"), [])
        self.assertFree()

    def test_too_late(self) -> None:
        """After a day a message cannot be edited any more; it can be deleted."""
        ann = self.guest("Ann", "lobby")
        ann.ask(said(5))
        self.clock.advance(EDIT_MS / 1000)
        self.assertEqual(ann.ask(edit(6, 1)), {})
        self.clock.advance(0.001)
        self.assertEqual(ann.refusal(edit(7, 1)), TOO_LATE.code)
        self.assertEqual(ann.ask(delete(8, 1)), {})

    def test_most_edits(self) -> None:
        """A message may be edited 100 times."""
        self.start(publish_burst=1000)
        ann = self.guest("Ann", "lobby")
        ann.ask(said(5))
        ann.begin(*(edit(number, 1) for number in range(10, 10 + MOST_EDITS)))
        self.settle()
        self.assertEqual(self.room().head, 1 + MOST_EDITS)
        self.assertEqual(ann.refusal(edit(6, 1)), LIMIT_EXCEEDED.code)
        self.assertEqual(ann.ask(edit(7, 1, key="e10")), {})
        self.assertEqual(ann.ask(delete(8, 1)), {})
        self.assertEqual(set(self.kinds()[:-1]), {"deleted"})

    def test_no_member(self) -> None:
        """One need not be in the room, which is closed again after it."""
        ann = self.guest("Ann")
        self.ask(ann, said(5), react(6, 1), edit(7, 1), delete(8, 1))
        self.assertEqual(ann.refusal(delete(9, 1)), NO_SUCH_MESSAGE.code)
        self.assertIsNone(self.hub.find("lobby"))

    def test_archive_fails(self) -> None:
        """When the message cannot be looked at, that is answered, and others have their turn."""
        ann = self.guest("Ann", "lobby")
        ann.ask(said(5))
        self.archive.refusal = UNAVAILABLE
        for number, make in enumerate((edit, delete, react), 10):
            self.assertEqual(ann.refusal(make(number, 1)), UNAVAILABLE.code)
        self.archive.refusal = None
        self.assertFree()
        self.assertEqual(ann.ask(edit(7, 1)), {})

    def test_storage_fails(self) -> None:
        """What is not stored, or perhaps, is answered so; the next one has its turn."""
        ann = self.guest("Ann", "lobby")
        ann.ask(said(5))
        self.worker.failures += [None, sqlite_error("SQLITE_IOERR")]
        self.assertEqual(ann.refusal(edit(6, 1)), UNKNOWN_OUTCOME.code)
        self.assertFree()
        self.assertEqual(ann.ask(edit(7, 1, key="e6")), {})


class PermissionTests(ChangesCase):
    def test_outsider(self) -> None:
        """Who may not be in a room changes nothing there, and learns nothing of its messages."""
        ann, bob = self.guest("Ann", "den"), self.guest("Bob")
        ann.ask(said(5, room="den"))
        self.room("den").charter.apply({"private": "1", "owner": ann.user})
        for number, make in enumerate((edit, delete, react), 10):
            for ref in (1, 99):
                command = make(2 * number + (ref > 1), ref)._replace(room="den")
                refusal = bob.refusal(command)
                self.assertEqual(refusal, PRIVATE_ROOM.code)
        self.assertEqual(self.archive.asked, [])

    def test_removed_meanwhile(self) -> None:
        """Whether one may is judged again when it is published."""
        ann = self.guest("Ann", "lobby")
        ann.ask(said(5))
        for number, make in enumerate((edit, delete, react), 10):
            ann.begin(make(number, 1))
            self.room().charter.apply({f"out:{ann.user}": str(10**15)})
            self.settle()
            self.assertEqual(ann.replies[number]["error"]["code"], BANNED.code)
            self.room().charter.apply({f"out:{ann.user}": None})
        self.assertEqual(self.kinds(), ["message"])
        self.assertFree()

    def test_muted(self) -> None:
        """Who is muted changes nothing either; what was stored before is acknowledged again."""
        ann = self.guest("Ann", "lobby")
        self.ask(ann, said(5), edit(6, 1))
        self.room().charter.apply({f"mute:{ann.user}": str(10**15)})
        for number, make in enumerate((edit, delete, react), 10):
            self.assertEqual(ann.refusal(make(number, 1)), MUTED.code)
        self.assertEqual(ann.ask(edit(20, 1, key="e6")), {})
        self.assertFree()

    def test_slow(self) -> None:
        """In a slow room deletions do not count, edits and reactions do."""
        ann = self.guest("Ann", "lobby")
        ann.begin(said(5), said(6))
        self.settle()
        self.room().charter.apply({"slow": "60"})
        self.assertEqual(ann.ask(edit(7, 1)), {})
        self.assertEqual(ann.refusal(react(8, 1)), 432)
        self.assertEqual(ann.refusal(edit(9, 1)), 432)
        self.assertEqual(ann.ask(delete(10, 1)), {})


class AgainTests(ChangesCase):
    def again(self, command: Publish, number: int) -> Publish:
        """The same under another number of the command."""
        return command._replace(id=number)

    def test_all(self) -> None:
        """What was stored is acknowledged again, though it would be refused now."""
        ann = self.guest("Ann", "lobby")
        done = [edit(6, 1), react(7, 1), delete(8, 1)]
        self.ask(ann, said(5), *done)
        head = self.room().head
        for number, each in enumerate(done, 10):
            self.assertEqual(ann.ask(self.again(each, number)), {})
        self.assertEqual(self.room().head, head)
        self.assertFree()

    def test_reconnected(self) -> None:
        """After a reconnect too, from anywhere, the room having been closed."""
        ann = self.guest("Ann", "lobby")
        self.ask(ann, said(5), delete(6, 1))
        token = self.resume(ann)
        ann.lost()
        self.advance(20)
        self.assertIsNone(self.hub.find("lobby"))
        again = self.guest(None, resume=token)
        self.assertEqual(again.ask(delete(7, 1, key="d6")), {})
        self.assertEqual(again.refusal(delete(8, 1)), NO_SUCH_MESSAGE.code)
        self.assertEqual(self.kinds(), ["deleted", "delete"])

    def test_forgotten(self) -> None:
        """After ten minutes an id is forgotten, as that of a message is."""
        ann = self.guest("Ann", "lobby")
        self.ask(ann, said(5), delete(6, 1))
        self.clock.advance(601)
        self.assertEqual(ann.refusal(delete(7, 1, key="d6")), NO_SUCH_MESSAGE.code)

    def test_under_way(self) -> None:
        """The same while the first is on its way is stored once and both are acknowledged."""
        ann = self.guest("Ann", "lobby")
        ann.ask(said(5))
        other = self.guest(None, "lobby", resume=self.resume(ann))
        for number, make in enumerate((react, edit, delete), 10):
            ann.begin(make(number, 1, key=f"k{number}"))
            other.begin(make(number, 1, key=f"k{number}"))
            self.settle()
            self.assertEqual(ann.replies[number], {"id": number, "publish": {}})
            self.assertEqual(other.replies[number], {"id": number, "publish": {}})
        self.assertEqual(self.kinds(), ["deleted", "reaction", "deleted", "delete"])

    def test_reaction_under_way(self) -> None:
        """A reaction that was accepted before a deletion shares its fate, said again after it."""
        ann = self.guest("Ann", "lobby")
        ann.ask(said(5))
        other = self.guest(None, "lobby", resume=self.resume(ann))
        self.hold_storing()
        ann.begin(react(6, 1, key="k"))
        self.settle()
        # As if the text were gone already: the reader may see what the writer has not told yet.
        self.archive.target = lambda room, offset, done: done(None)  # type: ignore[method-assign]
        other.begin(react(7, 1, key="k"))
        self.worker.release()
        self.settle()
        self.assertEqual(other.replies[7], {"id": 7, "publish": {}})
        self.assertEqual(self.kinds(), ["message", "reaction"])

    def test_others_id(self) -> None:
        """Ids are the user's own."""
        ann, bob = self.guest("Ann", "lobby"), self.guest("Bob", "lobby")
        self.ask(ann, said(5), edit(6, 1, key="k"))
        self.assertEqual(bob.refusal(edit(7, 1, key="k")), NOT_YOURS.code)


class RaceTests(ChangesCase):
    def race(self, *makes: Any) -> tuple[list[str], list[int]]:
        """Have sessions of one user change a message at the same time; kinds and refusals."""
        ann = self.guest("Ann", "lobby")
        ann.ask(said(5))
        people = [self.guest(None, "lobby", resume=self.resume(ann)) for _ in makes]
        for number, (person, make) in enumerate(zip(people, makes, strict=True), 10):
            person.begin(make(number, 1))
        self.settle()
        codes = [
            each["error"]["code"]
            for person in people
            for each in person.replies.values()
            if "error" in each
        ]
        self.assertFree()
        return self.kinds(), codes

    def test_deletes(self) -> None:
        """Of two deletions one is stored."""
        self.assertEqual(self.race(delete, delete), (["deleted", "delete"], [423]))

    def test_edit_delete(self) -> None:
        """An edit before a deletion is erased with the message."""
        self.assertEqual(self.race(edit, delete), (["deleted", "deleted", "delete"], []))

    def test_delete_edit(self) -> None:
        """An edit after a deletion is refused."""
        self.assertEqual(self.race(delete, edit), (["deleted", "delete"], [423]))

    def test_many(self) -> None:
        """However many wait, no edit comes after the deletion."""
        kinds, codes = self.race(edit, edit, delete, edit, delete, edit)
        self.assertEqual(kinds, ["deleted"] * 3 + ["delete"])
        self.assertEqual(codes, [423] * 3)

    def test_waits_for_storing(self) -> None:
        """The next one is looked at when the one before is stored, not when it is published."""
        ann = self.guest("Ann", "lobby")
        ann.ask(said(5))
        self.hold_storing()
        ann.begin(edit(6, 1), delete(7, 1))
        self.settle()
        self.assertEqual(self.archive.asked, [("target", "lobby")])
        self.archive.telling = lambda: None
        self.worker.release()
        self.settle()
        self.assertEqual(self.kinds(), ["deleted", "deleted", "delete"])

    def test_lost_waiting(self) -> None:
        """Who is lost while they wait changes nothing, and holds up nobody."""
        ann = self.guest("Ann", "lobby")
        ann.begin(said(5), said(6))
        self.settle()
        others = [self.guest(None, "lobby", resume=self.resume(ann)) for _ in range(3)]
        for each in others:
            each.begin(edit(7, 1), edit(8, 2))
        for each in others[1:]:
            each.session.lost()
        self.settle()
        self.assertEqual(self.kinds(), ["message", "message", "edit", "edit"])
        self.assertEqual(len(self.archive.asked), 2)
        self.assertFree()

    def test_lost_looking(self) -> None:
        """Who is lost while their message is looked at changes nothing either."""
        ann = self.guest("Ann", "lobby")
        ann.ask(said(5))
        other = self.guest(None, "lobby", resume=self.resume(ann))
        for make in (delete, react):
            other = self.guest(None, "lobby", resume=self.resume(ann))
            other.begin(make(6, 1))
            other.session.lost()
            self.settle()
        self.assertEqual(self.kinds(), ["message"])
        self.assertFree()
        self.assertEqual(ann.ask(delete(7, 1)), {})

    def test_lost_published(self) -> None:
        """What was published is stored, though the session is lost then; the next has its turn."""
        ann = self.guest("Ann", "lobby")
        ann.ask(said(5))
        other = self.guest(None, "lobby", resume=self.resume(ann))
        self.hold_storing()
        other.begin(edit(6, 1))
        self.settle()
        other.session.lost()
        self.archive.telling = lambda: None
        ann.begin(delete(7, 1))
        self.worker.release()
        self.settle()
        self.assertEqual(self.kinds(), ["deleted", "deleted", "delete"])
        self.assertFree()

    def test_slip(self) -> None:
        """When an answer cannot be given the next one has its turn all the same."""
        ann = self.guest("Ann", "lobby")
        ann.begin(said(5), said(6))
        self.settle()

        def slip(session: Session, *others: object) -> None:
            raise ZeroDivisionError

        self.patch(Session, "_published", slip)
        ann.begin(edit(7, 1))
        self.settle()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertFree()
