"""`chatd.core.accounts`: who has a password here, and what becomes of it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, NamedTuple

from twisted.trial.unittest import SynchronousTestCase

from chatd.core import accounts as module
from chatd.core.accounts import Account, Accounts, account_name, dismiss, parsed
from chatd.errors import (
    FULL,
    KICKED,
    NICK_INVALID,
    NICK_TAKEN,
    NO_SUCH_USER,
    UNAVAILABLE,
    ChatError,
    Close,
    Refusal,
)
from tests.support.held_records import HeldRecords


class AccountCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.records = HeldRecords()
        self.ids = iter(range(1000))
        self.changes: list[tuple[str, str]] = []
        self.told: list[object] = []
        self.accounts = Accounts(
            self.records,
            new_id=lambda: f"id{next(self.ids)}",
            changed=lambda action, account: self.changes.append((action, account.user)),
        )

    def add(self, name: str, *, is_moderator: bool = False) -> object:
        """Make an account; returns what is told."""
        self.accounts.add(name, "kept", is_moderator=is_moderator, done=self.told.append)
        return self.told[-1] if self.told else None


class NameTests(SynchronousTestCase):
    def test_names(self) -> None:
        """A name is an allowed nick, as it is, and never a guest's id."""
        for name in ("ann", "Ann.B-c_1", "x" * 32, "0123456789abcde", "g123456789abcdef"):
            self.assertEqual(account_name(name), name)
        for name in ("", "x" * 33, "a b", "a/b", "é", "Admin", "chatd", "0123456789abCDEF"):
            error = self.assertRaises(ChatError, account_name, name)
            self.assertIs(error.refusal, NICK_INVALID)

    def test_parsed(self) -> None:
        """A record that lacks something is no account."""
        whole = {"nick": "Ann", "hash": "kept", "made": "m"}
        self.assertEqual(parsed("ann", whole), Account("ann", "Ann", "kept", False, "m"))
        self.assertEqual(parsed("ann", {**whole, "moderator": "1"}).is_moderator, True)  # type: ignore[union-attr]
        for field in whole:
            self.assertIsNone(parsed("ann", {k: v for k, v in whole.items() if k != field}))


class ChangeTests(AccountCase):
    def test_add(self) -> None:
        """The folded name is the id; what was told is what is found."""
        for name, user, is_moderator in (("Ann", "ann", False), ("bob", "bob", True)):
            account = self.add(name, is_moderator=is_moderator)
            self.assertIsInstance(account, Account)
            self.accounts.find(user, self.told.append)
            self.assertEqual(self.told[-1], account)
            assert isinstance(account, Account)
            self.assertEqual((account.nick, account.is_moderator), (name, is_moderator))
        self.assertEqual(self.changes, [("user add", "ann"), ("user add", "bob")])

    def test_taken(self) -> None:
        """There are no two of one name, in whatever case."""
        self.add("Ann")
        self.assertIs(self.add("aNN"), NICK_TAKEN)
        self.assertEqual(len(self.changes), 1)

    def test_invalid(self) -> None:
        """A name that is none is refused, or nobody's."""
        self.assertIs(self.add("a b"), NICK_INVALID)
        self.accounts.set_password("a b", "x", self.told.append)
        self.accounts.remove("a b", self.told.append)
        self.assertEqual(self.told[1:], [NO_SUCH_USER, NO_SUCH_USER])
        self.assertEqual(self.records.stored, {})

    def test_password(self) -> None:
        """Another password keeps everything else, but it is another account to tokens."""
        before = self.add("Ann", is_moderator=True)
        assert isinstance(before, Account)
        self.accounts.set_password("ANN", "other", self.told.append)
        after = self.told[-1]
        assert isinstance(after, Account)
        self.assertEqual((after.nick, after.password, after.is_moderator), ("Ann", "other", True))
        self.assertNotEqual(after.made, before.made)
        self.assertEqual(self.changes[-1], ("user passwd", "ann"))

    def test_remove(self) -> None:
        """Nothing is left of one that is removed, and one made anew is another."""
        before = self.add("Ann", is_moderator=True)
        assert isinstance(before, Account)
        self.accounts.remove("ann", self.told.append)
        self.assertEqual(self.told[-1], before)
        self.assertEqual(self.changes[-1], ("user remove", "ann"))
        self.assertEqual(self.records.stored["account:ann"], {})
        again = self.add("Ann")
        assert isinstance(again, Account)
        self.assertFalse(again.is_moderator)
        self.assertNotEqual(again.made, before.made)

    def test_nobody(self) -> None:
        """What is not there can be neither changed nor removed."""
        self.accounts.set_password("ann", "x", self.told.append)
        self.accounts.remove("ann", self.told.append)
        self.assertEqual(self.told, [NO_SUCH_USER, NO_SUCH_USER])
        self.assertEqual(self.changes, [])

    def test_refused(self) -> None:
        """What cannot be read or stored is told, and nothing is said to have changed."""
        self.records.refusal = UNAVAILABLE
        self.assertIs(self.add("ann"), UNAVAILABLE)
        self.records.refusal, self.records.is_held = None, True
        self.add("bob")
        self.records.refusal = FULL
        self.records.release(2)
        self.assertIs(self.told[-1], FULL)
        self.assertEqual(self.changes, [])

    def test_one_at_a_time(self) -> None:
        """Of two who are made at the same moment under one name one is; others go on after it."""
        self.records.is_held = True
        for name in ("ann", "Ann", "bob"):
            self.add(name)
        while self.records.held:
            self.assertEqual(len(self.records.held), 1)
            self.records.release()
        self.assertEqual([type(each) for each in self.told], [Account, Refusal, Account])

    def test_many(self) -> None:
        """Too many changes at once are refused."""
        self.patch(module, "_MOST_WAITING", 2)
        self.records.is_held = True
        for name in ("a", "b", "c"):
            self.add(name)
        self.assertEqual(self.told, [UNAVAILABLE])


class Whoever(NamedTuple):
    """An identity, as far as it matters."""

    made: str


class Somebody:
    """A session, as far as it matters."""

    def __init__(self, made: str) -> None:
        self.whoever = Whoever(made)
        self.outbox = self
        self.closes: list[Close] = []

    def close(self, close: Close) -> None:
        """Note why."""
        self.closes.append(close)


class DismissTests(SynchronousTestCase):
    def test_dismiss(self) -> None:
        """Sessions of an account that is no more end; of the present one, or of none, go on."""
        old, new, foreign, other = (Somebody(made) for made in ("old", "new", "", "old"))
        sessions = {"ann": {"1": old, "2": new, "3": foreign}, "bob": {"4": other}}
        node: Any = SimpleNamespace(sessions=sessions)
        dismiss(node, "ann", "new", KICKED)
        self.assertEqual([each.closes for each in (old, new, foreign)], [[KICKED], [], []])
        dismiss(node, "ann", "", KICKED)
        self.assertEqual([each.closes for each in (new, foreign, other)], [[KICKED], [], []])
        dismiss(node, "nobody", "", KICKED)
