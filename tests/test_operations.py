"""`chatd.core.operations`: what the operator may ask for."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from twisted.trial.unittest import SynchronousTestCase

from chatd.core.accounts import Accounts
from chatd.core.operations import operations
from chatd.errors import NOT_AVAILABLE, UNAVAILABLE, ChatError, Refusal
from tests.support.held_records import HeldRecords


class OperationTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.records = HeldRecords()
        self.outcome: Refusal | None = None
        accounts = Accounts(self.records, new_id=lambda: "id", changed=lambda *_: None)
        self.table = operations(accounts, self.reindex)
        self.said: list[object] = []

    def reindex(
        self, told: Callable[[int, int], None], done: Callable[[Refusal | None], None]
    ) -> None:
        """Make an index in one step."""
        told(1, 2)
        done(self.outcome)

    def progress(self, done: int, total: int) -> None:
        """See `Answer.progress`."""
        self.said.append((done, total))

    def done(self, value: Mapping[str, object]) -> None:
        """See `Answer.done`."""
        self.said.append(value)

    def refused(self, words: str) -> None:
        """See `Answer.refused`."""
        self.said.append(words)

    def ask(self, operation: str, **fields: object) -> object:
        """What is answered last."""
        self.table[operation](fields, self)
        return self.said[-1]

    def test_accounts(self) -> None:
        """Accounts are made, changed and removed."""
        ann = {"user": "ann", "nick": "Ann"}
        self.assertEqual(self.ask("user add", name="Ann", hash="kept", moderator=True), ann)
        self.assertEqual(
            self.records.stored["account:ann"],
            {"nick": "Ann", "hash": "kept", "moderator": "1", "made": "id"},
        )
        self.assertEqual(self.ask("user passwd", name="ann", hash="other"), ann)
        self.assertEqual(self.records.stored["account:ann"]["hash"], "other")
        self.assertEqual(self.ask("user remove", name="ANN"), ann)
        self.assertEqual(self.records.stored["account:ann"], {})

    def test_refused(self) -> None:
        """What cannot be is told in words for people."""
        self.ask("user add", name="ann", hash="kept")
        self.assertEqual(
            self.ask("user add", name="ann", hash="kept"), "there is an account of that name"
        )
        self.assertIn("not 16 hex", str(self.ask("user add", name="0" * 16, hash="kept")))
        self.assertEqual(self.ask("user remove", name="bob"), "there is no account of that name")
        self.records.refusal = UNAVAILABLE
        self.assertEqual(self.ask("user remove", name="ann"), UNAVAILABLE.words)

    def test_no_sense(self) -> None:
        """A request without a name or without what is to be kept is refused."""
        for name, fields in (
            ("user add", {"name": "ann"}),
            ("user add", {"name": 1, "hash": "kept"}),
            ("user remove", {}),
        ):
            self.assertRaises(ChatError, self.table[name], fields, self)

    def test_moderator(self) -> None:
        """Only true makes a moderator."""
        self.ask("user add", name="ann", hash="kept", moderator="no")
        self.assertNotIn("moderator", self.records.stored["account:ann"])

    def test_reindex(self) -> None:
        """How far it is is told, and how it ended."""
        self.assertEqual(self.ask("reindex"), {})
        self.assertEqual(self.said, [(1, 2), {}])
        self.outcome = NOT_AVAILABLE
        self.assertEqual(self.ask("reindex"), "not available")
        self.outcome = UNAVAILABLE
        self.assertIn("another one is under way", str(self.ask("reindex")))
