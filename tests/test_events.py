"""Commands, events and the stored form of a text."""

from __future__ import annotations

import dataclasses
import json

from hypothesis import given
from twisted.trial.unittest import SynchronousTestCase

from chatd.core.events import Enter, Message, Notice, Relay, Say, Send, Sender, payload
from tests.support import strategies


class PayloadTests(SynchronousTestCase):
    @given(strategies.texts())
    def test_round_trip(self, text: str) -> None:
        """Any text comes out of its stored form as it went in."""
        self.assertEqual(
            json.loads(payload("m1", text)), {"type": "message", "id": "m1", "text": text}
        )

    @given(strategies.texts())
    def test_one_line(self, text: str) -> None:
        """The stored form has no raw control character, so a newline can end it."""
        self.assertFalse([byte for byte in payload("m1", text) if byte < 0x20])

    def test_compact(self) -> None:
        """There is no space between its parts, and text is UTF-8, not escaped."""
        self.assertEqual(
            payload("m1", "zażółć"),
            '{"type":"message","id":"m1","text":"zażółć"}'.encode(),
        )


class ValuesTests(SynchronousTestCase):
    def test_equal(self) -> None:
        """Commands and events are compared by what they say."""
        self.assertEqual(Say("a"), Say("a"))
        self.assertNotEqual(Say("a"), Say("b"))
        self.assertEqual(Enter("r", None), Enter("r", None))
        self.assertNotEqual(Send(b"", True), Send(b"", False))

    def test_frozen(self) -> None:
        """They never change: one object is shared by all who are told it."""
        sender = Sender("s", "n")
        for value, name in (
            (Enter(None, None), "room"),
            (Say(""), "text"),
            (Send(b"", True), "data"),
            (sender, "nick"),
            (Message("r", sender, "m", b"", 1, 0), "offset"),
            (Relay("r", sender, b"", True), "data"),
            (Notice(""), "text"),
        ):
            with self.assertRaises(dataclasses.FrozenInstanceError):
                setattr(value, name, None)
