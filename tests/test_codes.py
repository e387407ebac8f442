"""`chatd.core.codes`: each code is good once."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from chatd.core.codes import SUBJECT, Codes
from chatd.errors import FULL, UNAVAILABLE, Refusal
from tests.support.held_records import HeldRecords

DAY_MS = 24 * 3600 * 1000


class CodesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.records = HeldRecords()
        self.now_ms = 1_000 * DAY_MS
        self.codes = Codes(self.records, lambda: self.now_ms)
        self.told: list[bool | Refusal] = []

    def use(self, nonce: str) -> list[bool | Refusal]:
        """Use a code that is good for a day more; returns what was told so far."""
        self.codes.use(nonce, self.now_ms + DAY_MS, self.told.append)
        return self.told

    def test_once(self) -> None:
        """It is good once, and another one is another."""
        for nonce in ("a", "a", "b", "a"):
            self.use(nonce)
        self.assertEqual(self.told, [True, False, True, False])

    def test_restart(self) -> None:
        """What was used stays used in another process over the same records."""
        self.use("a")
        self.codes = Codes(self.records, lambda: self.now_ms)
        self.assertEqual(self.use("a"), [True, False])

    def test_at_once(self) -> None:
        """Of two who come at the same moment one wins."""
        self.records.is_held = True
        self.use("a")
        self.assertEqual(self.use("a"), [False])
        self.records.release(2)
        self.assertEqual(self.told, [False, True])
        self.use("a")
        self.records.release()
        self.assertEqual(self.told, [False, True, False])

    def test_not_remembered(self) -> None:
        """Where it cannot be looked up or remembered it is not good, and may be used later."""
        self.records.refusal = UNAVAILABLE
        self.use("a")
        self.records.refusal = None
        self.records.is_held = True
        self.use("a")
        self.records.refusal = FULL
        self.records.release(2)
        self.assertEqual(self.told, [UNAVAILABLE, FULL])
        self.records.refusal, self.records.is_held = None, False
        self.assertEqual(self.use("a")[2:], [True])

    def test_forgotten(self) -> None:
        """One whose time is a day over is forgotten when the next is used, and no other."""
        self.use("a")
        self.now_ms += 2 * DAY_MS
        self.use("b")
        self.assertEqual(set(self.records.stored[SUBJECT]), {"a", "b"})
        self.now_ms += 1
        self.use("c")
        self.assertEqual(set(self.records.stored[SUBJECT]), {"b", "c"})
