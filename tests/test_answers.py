"""`chatd.doors.answers`."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from chatd.doors.answers import ANSWERS, MORE_HEADERS

PROTOCOL = Path(__file__).resolve().parents[1] / "docs" / "protocol.md"


class AnswersTests(SynchronousTestCase):
    """What a refused request is told."""

    def test_phrases(self) -> None:
        """The phrases are those of HTTP, and each has a sentence."""
        for status, (phrase, words) in ANSWERS.items():
            known = HTTPStatus(status).phrase
            self.assertIn(phrase, (known, "Content Too Large"))  # Python's 413 has its old name
            self.assertTrue(words.isprintable() and words.isascii(), words)

    def test_documented(self) -> None:
        """docs/protocol.md says of each when it comes; of a bug there is nothing to say."""
        text = PROTOCOL.read_text()
        for status in ANSWERS:
            if status != 500:
                self.assertIn(f"| {status} |", text)

    def test_headers(self) -> None:
        """What more is said belongs to an answer."""
        self.assertLessEqual(set(MORE_HEADERS), set(ANSWERS))
