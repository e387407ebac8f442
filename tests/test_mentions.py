"""Whom a text names."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatd.core.mentions import MOST_MENTIONS, named


class NamedTests(SynchronousTestCase):
    def assertNamed(self, text: str, *nicks: str) -> None:
        """A text names these and no others."""
        self.assertEqual(named(text), nicks, text)

    def test_places(self) -> None:
        """A nick may stand anywhere, beside any other sign."""
        for text in ("@ann", "hi @ann", "(@ann)", "@ann: look", "@ann's", "\n@ann\n", "'@ann/@ann"):
            self.assertNamed(text, "ann")

    def test_folded(self) -> None:
        """Nicks are folded, each comes once, in the order of the text."""
        self.assertNamed("@Bob @ANN @bob @ann", "bob", "ann")

    def test_characters(self) -> None:
        """All characters of nicks are taken; full stops and hyphens at the end are not."""
        self.assertNamed("@a_n.n-1", "a_n.n-1")
        self.assertNamed("ask @ann. Or @bob- or @cid...", "ann", "bob", "cid")
        self.assertNamed("@... @- @", *())

    def test_addresses(self) -> None:
        """What follows a character of nicks, a letter or another sign is no mention."""
        for before in ("a", "9", "_", ".", "-", "@", "\u00e4", "\u6f22"):
            self.assertNamed(f"{before}@ann")

    def test_other_words(self) -> None:
        """A nick that goes on as another word is not meant."""
        self.assertNamed("@ann\u00e4 @anna", "anna")
        self.assertNamed("@a.n\u00e4")

    def test_length(self) -> None:
        """More characters than a nick has are none, not the first of them."""
        self.assertNamed("@" + "a" * 32, "a" * 32)
        self.assertNamed("@" + "a" * 33)
        self.assertNamed("@" + "a" * 32 + "...", "a" * 32)

    def test_many(self) -> None:
        """Of more than 20 the first ones are taken; one that comes again does not count."""
        text = " ".join(f"@n{number} @n0" for number in range(MOST_MENTIONS + 5))
        self.assertNamed(text, *(f"n{number}" for number in range(MOST_MENTIONS)))

    @given(st.text(st.sampled_from("@a.-_ \u00e4")))
    def test_any(self, text: str) -> None:
        """Whatever the text, what is found is in it and is a nick."""
        for nick in named(text):
            self.assertIn(f"@{nick}", text)
            self.assertRegex(nick, r"\A[a._-]*[a_]\Z")

    def test_fast(self) -> None:
        """A long text takes a time in proportion to its length."""
        begun = time.process_time()
        for part in ("@", "@a", "@.", "a.", "@" + "a" * 40 + "\u00e4"):
            named(part * (65_536 // len(part)))
        self.assertLess(time.process_time() - begun, 1)
