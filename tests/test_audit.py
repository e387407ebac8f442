"""The audit log."""

from __future__ import annotations

import json
from typing import Any

from chatd.core import names
from chatd.core.audit import AUDIT_ROOM, OPERATOR, Audit, entry
from chatd.core.broker import Ack, Position
from chatd.core.commands import Command, History, Publish, Rpc, Subscribe
from chatd.core.events import Sender
from chatd.errors import FULL, ROOM_INVALID, UNAVAILABLE, ChatError
from tests.support.logs import LogCase
from tests.support.people import PeopleCase
from tests.support.scene import Scene

ANN = Sender("ann", "a1", "Ann")


class EntryTests(LogCase):
    """What is stored."""

    def test_short(self) -> None:
        """What an action is not about is left out."""
        self.assertEqual(
            json.loads(entry("kick", ANN)),
            {"type": "audit", "action": "kick", "by": "ann", "nick": "Ann"},
        )

    def test_long(self) -> None:
        """Room, user, address, seconds and message are named, and 0 seconds are a number."""
        said = entry("x", ANN, room="r", user="u", address="a", seconds=0, ref=7)
        about = {"room": "r", "user": "u", "address": "a", "seconds": 0, "ref": 7}
        self.assertEqual(json.loads(said).items() & about.items(), about.items())

    def test_operator(self) -> None:
        """No user can have the operator's id, and no peer can name the room."""
        self.assertRaises(ChatError, names.user, OPERATOR.user)
        self.assertRaises(ChatError, names.room, AUDIT_ROOM)


class AuditTests(LogCase):
    """Writing it, on a broker that answers when it is told to."""

    def setUp(self) -> None:
        super().setUp()
        self.scene = Scene()
        ids = iter("abcdef")
        self.audit = Audit(self.scene.hub, self.scene.broker, lambda: next(ids))

    def stored(self) -> list[str]:
        """The actions that are in the log."""
        self.scene.broker.commit()
        room = self.scene.hub.find(AUDIT_ROOM)
        assert room is not None
        return [json.loads(row.message.payload)["action"] for row in room.tail]

    def opens(self) -> None:
        """Answer what was asked for first."""
        self.scene.broker.answer(self.scene.broker.asked[0])

    def test_held(self) -> None:
        """The room is opened at the start and stays open; an entry is the actor's message."""
        self.audit.start()
        self.opens()
        self.audit.note("kick", ANN, user="bob")
        self.audit.note("mute", ANN, user="bob", seconds=5)
        self.assertEqual(self.stored(), ["kick", "mute"])
        self.assertEqual(len(self.scene.hub), 1)
        room = self.scene.hub.find(AUDIT_ROOM)
        assert room is not None
        self.assertEqual({row.message.sender for row in room.tail}, {ANN})
        self.assertEqual(room.uses, 1)

    def test_early(self) -> None:
        """What is noted while the room is being opened is stored once it is."""
        self.audit.start()
        self.audit.note("a", ANN)
        self.audit.note("b", ANN)
        self.opens()
        self.assertEqual(self.stored(), ["a", "b"])
        room = self.scene.hub.find(AUDIT_ROOM)
        assert room is not None
        self.assertEqual(room.uses, 1)

    def test_not_opened(self) -> None:
        """A room that cannot be opened is a line, and is opened with the next entry."""
        self.audit.start()
        self.scene.broker.answer(self.scene.broker.asked[0], refusal=UNAVAILABLE)
        self.assertEqual(len([line for line in self.lines if "cannot be opened" in line]), 1)
        self.audit.note("a", ANN)
        self.scene.broker.answer(self.scene.broker.asked[-1], refusal=UNAVAILABLE)
        (line,) = [line for line in self.lines if "not in the audit log" in line]
        self.assertIn('"action":"a"', line)
        self.audit.note("b", ANN)
        self.scene.broker.answer(self.scene.broker.asked[-1])
        self.assertEqual(self.stored(), ["b"])

    def test_refused(self) -> None:
        """An entry that is not stored is one line that has all of it."""
        told: list[Any] = []

        class Full:
            def publish(self, *said: Any) -> None:
                told.append(said)

        audit = Audit(self.scene.hub, Full(), lambda: "x")  # type: ignore[arg-type]
        audit.start()
        self.opens()
        audit.note("ban", ANN, address="203.0.113.7/32")
        done = told[0][-1]
        done(Ack(Position("epoch", 1)))
        self.assertEqual(self.lines, [])
        done(FULL)
        (line,) = self.lines
        self.assertIn("203.0.113.7/32", line)
        self.assertIn(FULL.words, line)


class UnreachableTests(PeopleCase):
    """Nobody reads it on the wire."""

    def test_names(self) -> None:
        """No command can name it, and no list has it."""
        self.node.audit.note("kick", ANN)
        self.settle()
        ann = self.guest("ann")
        commands: tuple[Command, ...] = (
            Subscribe(10, AUDIT_ROOM, None, False),
            History(11, AUDIT_ROOM, 10, None, False),
            Publish(12, AUDIT_ROOM, 1, b"1"),
            Rpc(13, "search", {"room": AUDIT_ROOM, "text": "kick"}),
            Rpc(14, "read", {"room": AUDIT_ROOM, "offset": 1}),
        )
        for command in commands:
            with self.subTest(command):
                self.assertEqual(ann.refusal(command), ROOM_INVALID.code)
        self.assertEqual(ann.ask(Rpc(20, "rooms", {})), {"data": []})
        self.assertEqual(ann.ask(Rpc(21, "unread", {})), {"data": {}})
