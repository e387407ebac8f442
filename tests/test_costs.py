"""Nothing costs more calls, bytes or SQL statements than tests/costs.toml says."""

from __future__ import annotations

import textwrap
from typing import ClassVar

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.support.costs import (
    FILE,
    PYTHON,
    RENEW,
    SLACK,
    changes,
    complaint,
    recorded,
    rendered,
    without,
)
from tests.support.counts import Counts, Tally, counted


class CostTests(SynchronousTestCase):
    _counts: ClassVar[Counts] = {}

    def check(self, name: str, before: Counts) -> None:
        if not self._counts:
            self._counts.update(counted())
        self.assertTrue(self._counts[name])
        self.assertEqual(complaint(changes(name, before[name], self._counts[name])), "")

    def mine(self) -> Counts:
        pythons = recorded()[1]
        if PYTHON not in pythons:
            raise SkipTest(without(PYTHON))
        return pythons[PYTHON]

    def test_calls(self) -> None:
        """A delivery, and a received message, take the function calls that are recorded."""
        self.check("calls", self.mine())

    def test_bytes(self) -> None:
        """One more member takes the memory that is recorded."""
        self.check("bytes", self.mine())

    def test_statements(self) -> None:
        """A batch, a page and the opening of a room take the statements that are recorded."""
        self.check("statements", recorded()[0])


class ChangesTests(SynchronousTestCase):
    def test_same(self) -> None:
        """What is as it was, or nearly so, is no change."""
        self.assertEqual(changes("calls", {"a": 100, "b": 5}, {"a": 110, "b": 5}), [])
        self.assertEqual(changes("calls", {"a": 100}, {"a": 90}), [])
        self.assertEqual(complaint([]), "")

    def test_rise(self) -> None:
        """A rise by more than a tenth is told: which, from what to what, and by how much."""
        self.assertEqual(SLACK, 0.1)
        self.assertEqual(
            changes("calls", {"a": 100, "b": 5}, {"a": 110.5, "b": 6}),
            [
                "calls.a: 110.5, recorded is 100 (+10.5%)",
                "calls.b: 6, recorded is 5 (+20.0%)",
            ],
        )

    def test_fall(self) -> None:
        """A gain is told too, after the rises, so that it is recorded and kept."""
        self.assertEqual(
            changes("bytes", {"a": 1000, "b": 1000}, {"a": 880, "b": 1120}),
            [
                "bytes.b: 1120, recorded is 1000 (+12.0%)",
                "bytes.a: 880, recorded is 1000 (-12.0%)",
            ],
        )

    def test_statement(self) -> None:
        """Of statements one more or less is told."""
        self.assertEqual(
            changes("statements", {"a": 64, "b": 64}, {"a": 65, "b": 63}),
            [
                "statements.a: 65, recorded is 64 (+1.6%)",
                "statements.b: 63, recorded is 64 (-1.6%)",
            ],
        )

    def test_new(self) -> None:
        """A count that was not there, or is no more, is told."""
        self.assertEqual(
            changes("system_calls", {"gone": 2}, {"came": 1, "odd": 0.09}),
            [
                "system_calls.came: 1, recorded is 0 (new)",
                "system_calls.gone: 0, recorded is 2 (-100.0%)",
            ],
        )

    def test_complaint(self) -> None:
        """The failure says how to record what is meant."""
        words = complaint(["calls.a: 6, recorded is 5 (+20.0%)"])
        self.assertIn("tests/costs.toml", words)
        self.assertIn("calls.a: 6", words)
        self.assertIn(RENEW, words)


class FileTests(SynchronousTestCase):
    def test_as_written(self) -> None:
        """The file is as the command writes it: sorted, with its comments."""
        common, pythons = recorded()
        self.assertEqual(FILE.read_text("utf-8"), rendered(common, pythons))
        self.assertLessEqual({"statements", "system_calls"}, common.keys())
        for tables in pythons.values():
            self.assertEqual(tables.keys(), {"bytes", "calls"})

    def test_other_python(self) -> None:
        """Why a version of Python without counts is skipped names it, and how to count."""
        self.assertIn("Python 3.99", without("3.99"))
        self.assertIn(RENEW, without("3.99"))


class TallyTests(SynchronousTestCase):
    def test_calls(self) -> None:
        """A library's functions count, and the C functions that they call; a test's do not."""

        def of(text: str) -> int:
            with Tally() as tally:
                textwrap.indent(text, " ")
            return tally.calls

        of("a")
        self.assertGreater(of("a"), 1)
        self.assertGreater(of("a\nb"), of("a"))
        self.assertEqual(of("a\nb"), of("a\nb"))
        with Tally() as tally:
            len("")
        self.assertEqual(tally.calls, 0)
