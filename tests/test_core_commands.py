"""What a peer asks for, as values."""

from __future__ import annotations

import dataclasses
from typing import get_args

from twisted.trial.unittest import SynchronousTestCase

from chatd.core import commands
from chatd.core.commands import (
    Command,
    Connect,
    Enter,
    Ignored,
    Publish,
    Say,
    Send,
    Since,
    Subscribe,
)
from chatd.core.events import compact
from tests.support.values import fields_of, is_frozen


class CommandTests(SynchronousTestCase):
    def test_all(self) -> None:
        """`Command` is every command there is, each once."""
        classes = {getattr(commands, name) for name in commands.__all__} - {Command, Since}
        self.assertEqual(classes, set(get_args(Command)))
        self.assertEqual(len(get_args(Command)), len(classes))

    def test_numbered(self) -> None:
        """What can be answered has a number; what comes by a door without replies has none."""
        numbered = {kind for kind in get_args(Command) if "id" in fields_of(kind)}
        self.assertEqual(set(get_args(Command)) - numbered, {Enter, Say, Send, Ignored})

    def test_frozen(self) -> None:
        """They never change, and take nothing that has no name here."""
        for kind in (*get_args(Command), Since):
            self.assertTrue(is_frozen(kind), kind)
            self.assertTrue(hasattr(kind, "__slots__"), kind)
        with self.assertRaises(dataclasses.FrozenInstanceError):
            Say("a").text = "b"  # type: ignore[misc]

    def test_equal(self) -> None:
        """They are compared by what they say, and by what kind they are."""
        self.assertEqual(Say("a"), Say("a"))
        self.assertNotEqual(Say("a"), Say("b"))
        self.assertNotEqual(Send(b"", binary=True), Send(b"", binary=False))
        self.assertNotEqual(Enter(None, None), Enter("lobby", None))
        self.assertNotEqual(Connect(1, "", None, None), Connect(1, "", None, ""))
        since = Since("e", 1)
        self.assertEqual(Subscribe(1, "a", since, True), Subscribe(1, "a", Since("e", 1), True))
        self.assertNotEqual(Subscribe(1, "a", since, True), Subscribe(1, "a", None, True))

    def test_any_value(self) -> None:
        """Any JSON value may be published, with the bytes that it is stored as."""
        values: tuple[object, ...] = (None, 1, "a", [], {"a": [1]})
        for value in values:
            self.assertEqual(Publish(1, "a", value, compact(value)).value, value)
