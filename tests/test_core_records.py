"""What keeps records, as a seam. How it behaves is `support.contracts.RecordsContract`."""

from __future__ import annotations

import inspect

from twisted.trial.unittest import SynchronousTestCase

from chatd.brokers.records import SqliteRecords
from chatd.core.records import Records


class SeamTests(SynchronousTestCase):
    def test_signatures(self) -> None:
        """What keeps records in the database is called as the seam says, name by name."""
        for name in ("read", "read_many", "write"):
            seam = inspect.signature(getattr(Records, name))
            ours = inspect.signature(getattr(SqliteRecords, name))
            self.assertEqual(list(ours.parameters), list(seam.parameters), name)

    def test_complete(self) -> None:
        """Reading and writing is all that the rules ask for."""
        asked = [name for name in vars(Records) if not name.startswith("_")]
        self.assertEqual(asked, ["read", "read_many", "write"])

    def test_only_seam(self) -> None:
        """It cannot be made: it promises, and does nothing."""
        self.assertRaises(TypeError, Records)
