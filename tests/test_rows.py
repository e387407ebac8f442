"""`chatd.rows`."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from twisted.trial.unittest import SynchronousTestCase

from chatd.rows import Setting, setting


def rule(value: object) -> str:
    """Any text."""
    return str(value)


@dataclass(frozen=True)
class Few:
    """A small table."""

    word: str = setting("some.word", rule, "", "A word.", flag="word", metavar="WORD")
    several: tuple[str, ...] = setting("some.several", tuple, (), "Words.")
    on: bool = setting("other.on", bool, True, "Whether.", flag="no-on")


ROWS = [
    Setting(name=each.name, default=each.default, **each.metadata)
    for each in dataclasses.fields(Few)
]


class RowTests(SynchronousTestCase):
    def test_field(self) -> None:
        """A field has its default, and all that the table says of it."""
        self.assertEqual(Few(), Few("", (), True))
        word = ROWS[0]
        self.assertEqual(
            word, Setting("word", "some", "word", "word", "WORD", False, "A word.", "", rule)
        )

    def test_repeats(self) -> None:
        """A flag may be given several times if its default is a tuple."""
        self.assertEqual([row.repeats for row in ROWS], [False, True, False])

    def test_variable(self) -> None:
        """The variable is made of section and key."""
        self.assertEqual(ROWS[0].variable, "CHATD_SOME_WORD")

    def test_switch(self) -> None:
        """A switch sets what is not the default; other flags are none."""
        self.assertEqual([row.switched_to for row in ROWS], [None, None, False])
