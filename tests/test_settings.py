"""The table of settings."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter

from twisted.trial.unittest import SynchronousTestCase

from chatd.settings import TABLE, Config, Setting

BY_NAME = {row.name: row for row in TABLE}


class TableTests(SynchronousTestCase):
    def test_fields(self) -> None:
        """The table is the fields of `Config`, and their defaults are its defaults."""
        fields = dataclasses.asdict(Config())
        self.assertEqual(fields.pop("said"), {})
        self.assertEqual({row.name: row.default for row in TABLE}, fields)

    def test_help(self) -> None:
        """Each row has one sentence of help: a capital, a full stop, no newline."""
        for row in TABLE:
            self.assertRegex(row.help, r"\A[A-Z][^\n]*[^.\s]\.\Z", row.name)

    def test_unique(self) -> None:
        """No two rows share a key, a variable or a flag."""
        for names in (
            [f"{row.section}.{row.key}" for row in TABLE],
            [row.variable for row in TABLE],
            [row.flag for row in TABLE if row.flag],
        ):
            self.assertEqual([name for name, times in Counter(names).items() if times > 1], [])

    def test_names(self) -> None:
        """Keys can be variables, flags have dashes, and a flag with a value says which."""
        for row in TABLE:
            self.assertRegex(row.variable, r"\ACHATD_[A-Z]+_[A-Z][A-Z_]*\Z")
            self.assertRegex(row.flag, r"\A([a-z]+(-[a-z]+)*)?\Z")
            wants = bool(row.flag) and not isinstance(row.default, bool)
            self.assertEqual(bool(row.metavar), wants, row.name)

    def test_defaults(self) -> None:
        """Each default is what its own rule makes of it."""
        for row in TABLE:
            self.assertEqual(row.rule(row.default), row.default, row.name)

    def test_repeats(self) -> None:
        """Those may be repeated that hold several values."""
        for row in TABLE:
            self.assertEqual(row.repeats, isinstance(row.default, tuple), row.name)

    def test_switches(self) -> None:
        """A switch sets the opposite of its default; a flag with a value is none."""
        self.assertEqual(BY_NAME["echo"].flag, "no-echo")
        self.assertIs(BY_NAME["echo"].switched_to, False)
        self.assertIs(BY_NAME["greeter"].switched_to, True)
        self.assertIsNone(BY_NAME["greeting"].switched_to)

    def test_sections_apart(self) -> None:
        """No section's variables begin like another's, or unknown ones would go unseen."""
        sections = {row.section for row in TABLE}
        for section in sections:
            self.assertEqual([each for each in sections if each.startswith(f"{section}_")], [])


class ShutTests(SynchronousTestCase):
    def test_is_shut(self) -> None:
        """With keys or accounts nobody comes in who has not signed in."""
        self.assertFalse(Config(plain_rooms=("den",), issuer="x", audience="y").is_shut)
        self.assertTrue(Config(users=True).is_shut)
        self.assertTrue(Config(keys=("HS256:/a",)).is_shut)


class SettingTests(SynchronousTestCase):
    def test_variable(self) -> None:
        """Its variable is made of section and key."""
        row: Setting = BY_NAME["allow_origin"]
        self.assertEqual(row.variable, "CHATD_ACCESS_ALLOW_ORIGIN")

    def test_units(self) -> None:
        """Times and sizes among the limits have their unit in the name."""
        for row in TABLE:
            if re.search("timeout|interval", row.key):
                self.assertTrue(row.key.endswith("_s"), row.key)
