"""`chatd.opening`: what is said of the database at a start."""

from __future__ import annotations

import os

from chatd.brokers.database import MEMORY
from chatd.opening import opened
from chatd.secret import LENGTH
from tests.support.databases import DatabaseCase


class OpeningTests(DatabaseCase):
    def test_file(self) -> None:
        """One in a file is made, with its secret, and named; the next start has the same."""
        key = opened(self.path, "full")
        self.assertEqual(len(key), LENGTH)
        self.assertEqual(self.lines[-1], f"the database is {self.path}")
        self.assertEqual(opened(self.path, "full"), key)

    def test_lost_secret(self) -> None:
        """That the secret of one that was there before is gone is said, not of a new one."""
        open(self.path, "wb").close()
        opened(self.path, "full")
        self.assertNotIn("missing", "".join(self.lines))
        os.unlink(f"{self.path}.secret")
        opened(self.path, "full")
        self.assertIn("secret was missing", "".join(self.lines))

    def test_durability(self) -> None:
        """That a power cut may take something is said."""
        opened(self.path, "normal")
        self.assertIn("durability is normal", self.lines[-1])

    def test_memory(self) -> None:
        """That nothing is kept is said."""
        opened(MEMORY, "full")
        self.assertEqual(self.lines[-1], "the database is in memory: nothing is kept")
