"""`chatd.doors.refusals`."""

from __future__ import annotations

from twisted.internet.task import Clock

from chatd.core.throttle import Throttle
from chatd.doors.access import Refused
from chatd.doors.refusals import Refusals
from tests.support.logs import LogCase


class RefusalsTests(LogCase):
    """Lines about strangers."""

    def setUp(self) -> None:
        super().setUp()
        self.clock = Clock()
        self.refusals = Refusals(Throttle(1, 3, self.clock.seconds))

    def test_flag(self) -> None:
        """A foreign page is named, with the flag that would let it in."""
        refused = Refused("origin", "http://a.example", "--allow-origin http://a.example")
        self.refusals.forbidden("10.0.0.1:5", refused)
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
        self.refusals.refused("10.0.0.1:5", 400, evil)
        self.refusals.forbidden("10.0.0.1:5", Refused("host", evil, evil))
        for line in self.lines:
            self.assertIn("{log_logger}\\x1b[31m\\n", line)
            self.assertLess(len(line), 600)
            self.assertNotIn("\n", line)

    def test_flood(self) -> None:
        """Only so many lines are written; the next one says how many were not."""
        for _ in range(100):
            self.refusals.refused("10.0.0.1:5", 400, "bad")
        self.assertEqual(len(self.lines), 3)
        self.clock.advance(1)
        self.refusals.refused("10.0.0.1:5", 400, "bad")
        self.assertEqual(self.lines[3], "refused 97 more, not listed")
        self.assertEqual(len(self.lines), 5)
