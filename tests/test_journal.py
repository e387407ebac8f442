"""`chatd.doors.journal`."""

from __future__ import annotations

from twisted.internet.task import Clock

from chatd.core.throttle import Throttle
from chatd.doors.access import Refused
from chatd.doors.journal import Journal
from tests.support.logs import LogCase


class JournalTests(LogCase):
    """Lines about strangers."""

    def setUp(self) -> None:
        super().setUp()
        self.clock = Clock()
        self.journal = Journal(
            connections=Throttle(1, 3, self.clock.seconds),
            refusals=Throttle(1, 3, self.clock.seconds),
        )

    def test_flag(self) -> None:
        """A foreign page is named, with the flag that would let it in."""
        refused = Refused("origin", "http://a.example", "--allow-origin http://a.example")
        self.journal.forbidden("10.0.0.1:5", refused)
        self.assertEqual(
            self.lines,
            [
                "refused 10.0.0.1:5: origin 'http://a.example' is not known; "
                "to allow it: '--allow-origin http://a.example'"
            ],
        )

    def test_text_of_strangers(self) -> None:
        """A stranger's text is quoted, cut short and never taken for a format."""
        evil = "{log_logger}\x1b[31m\n" + "x" * 10_000
        self.journal.refused("10.0.0.1:5", 400, evil)
        self.journal.forbidden("10.0.0.1:5", Refused("host", evil, evil))
        for line in self.lines:
            self.assertIn("{log_logger}\\x1b[31m\\n", line)
            self.assertLess(len(line), 600)
            self.assertNotIn("\n", line)

    def test_flood(self) -> None:
        """Only so many lines are written; the next one says how many were not."""
        for _ in range(100):
            self.journal.refused("10.0.0.1:5", 400, "bad")
        self.assertEqual(len(self.lines), 3)
        self.clock.advance(1)
        self.journal.refused("10.0.0.1:5", 400, "bad")
        self.assertEqual(self.lines[3], "refused: 97 more, not listed")
        self.assertEqual(len(self.lines), 5)

    def test_connections(self) -> None:
        """Who came and went is said, the reason of a stranger quoted."""
        self.journal.opened("10.0.0.1:5", "/", "'ann' in 'lobby'")
        self.journal.closed("10.0.0.1:5", "/", "'bob' in 'lobby'", "peer", 1000, "bye\x1b")
        self.assertEqual(
            self.lines,
            [
                "opened 10.0.0.1:5 / 'ann' in 'lobby'",
                "closed 10.0.0.1:5 / 'bob' in 'lobby' 1000 'bye\\x1b' by peer",
            ],
        )

    def test_flood_of_connections(self) -> None:
        """A flood of connections is counted apart from refusals, and not listed in full."""
        for _ in range(50):
            self.journal.opened("10.0.0.1:5", "/", "greeter")
            self.journal.closed("10.0.0.1:5", "/", "greeter", "peer", 1006, "")
        self.assertEqual(len(self.lines), 3)
        self.journal.refused("10.0.0.1:5", 400, "bad")
        self.assertEqual(len(self.lines), 4)
        self.clock.advance(1)
        self.journal.opened("10.0.0.1:5", "/", "greeter")
        self.assertEqual(self.lines[4], "opened or closed: 97 more, not listed")
