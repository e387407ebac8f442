"""`chatd.core.signing_in`: names and codes become tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatd.core.accounts import Accounts
from chatd.core.attempts import Attempts
from chatd.core.codes import Codes
from chatd.core.signing_in import MOST_WAITING, SignedIn, SigningIn, Turned, Why
from chatd.errors import TOKEN_EXPIRED, UNAUTHORIZED, UNAVAILABLE, ChatError
from tests.support.held_records import HeldRecords


class Code(NamedTuple):
    """A code, read."""

    nonce: str
    nick: str
    until_s: int


class Words:
    """An issuer whose tokens can be read."""

    def token(
        self, user: str, nick: str, *, moderator: bool, now_s: float, ttl_s: int, made: str = ""
    ) -> str:
        """Say all of it."""
        return f"{user} {nick} {moderator} {now_s + ttl_s:g} {made}"

    def redeem(self, code: str, now_s: float) -> Code:
        """Read `nonce nick`."""
        nonce, _, nick = code.partition(" ")
        if nonce in ("old", "bad"):
            raise ChatError(TOKEN_EXPIRED if nonce == "old" else UNAUTHORIZED)
        return Code(nonce, nick, int(now_s) + 60)


class SigningInTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.records = HeldRecords()
        self.ids = iter(range(1000))
        self.compared: list[tuple[str, str | None]] = []
        self.waiting: list[Callable[[], None]] | None = None
        self.failure: Exception | None = None
        self.redeemed: list[tuple[str, str]] = []
        accounts = Accounts(self.records, new_id=self.new_id, changed=lambda action, user: None)
        accounts.add("Ann", "right", is_moderator=False, done=lambda outcome: None)
        accounts.add("bob", "right", is_moderator=True, done=lambda outcome: None)
        self.signing_in = SigningIn(
            accounts,
            Codes(self.records, lambda: 0),
            issuer=Words(),
            passwords=self.compare,
            by_address=Attempts(5, 60, most=10, seconds=self.clock.seconds),
            by_user=Attempts(10, 60, most=10, seconds=self.clock.seconds),
            ttl_s=100,
            now_s=self.clock.seconds,
            new_id=self.new_id,
            redeemed=lambda user, nick: self.redeemed.append((user, nick)),
        )
        self.told: list[SignedIn | Turned] = []

    def new_id(self) -> str:
        """An id unlike any other."""
        return f"id-{next(self.ids):06}"

    def compare(
        self, password: str, kept: str | None, done: Callable[[bool | Exception], None]
    ) -> None:
        """Compare as they are, at once or when `waiting` is called."""
        self.compared.append((password, kept))
        outcome = self.failure or password == kept
        if self.waiting is None:
            done(outcome)
        else:
            self.waiting.append(lambda: done(outcome))

    def sign_in(self, name: str, password: str = "right", origin: str = "") -> object:
        """Sign in; returns what is told."""
        self.signing_in.with_password(name, password, origin, self.told.append)
        return self.told[-1] if self.told else None

    def redeem(self, code: str, origin: str = "") -> object:
        """Use a code; returns what is told."""
        self.signing_in.with_code(code, origin, self.told.append)
        return self.told[-1]

    def test_password(self) -> None:
        """A name, in any case, and its password are worth a token that says who it is."""
        self.assertEqual(
            self.sign_in("ANN"), SignedIn("ann Ann False 1100 id-000000", 100, "ann", "Ann")
        )
        self.assertEqual(
            self.sign_in("bob"), SignedIn("bob bob True 1100 id-000001", 100, "bob", "bob")
        )

    def test_wrong(self) -> None:
        """An unknown name, one that is none and a wrong password are told and done the same."""
        for name in ("ann", "nobody", "a b", "", "x" * 1000, "-"):
            self.assertEqual(self.sign_in(name, "wrong"), Turned(Why.WRONG), name)
        self.assertEqual([kept for _, kept in self.compared], ["right"] + [None] * 5)

    def test_nothing_kept(self) -> None:
        """What happens to match nothing is not let in."""
        self.compare = lambda password, kept, done: done(True)  # type: ignore[method-assign]
        self.signing_in._passwords = self.compare
        self.assertEqual(self.sign_in("nobody"), Turned(Why.WRONG))

    def test_by_address(self) -> None:
        """After five wrong ones from one address no more is looked at, the right one neither."""
        for number in range(5):
            self.assertEqual(self.sign_in(f"n{number}", "wrong", "1.2.3.4"), Turned(Why.WRONG))
        self.assertEqual(self.sign_in("ann", origin="1.2.3.4"), Turned(Why.TOO_OFTEN, 12))
        self.assertEqual(self.redeem("a", "1.2.3.4"), Turned(Why.TOO_OFTEN, 12))
        self.assertEqual(len(self.compared), 5)
        self.assertIsInstance(self.sign_in("ann", origin="1.2.3.5"), SignedIn)
        self.clock.advance(12)
        self.assertIsInstance(self.sign_in("ann", origin="1.2.3.4"), SignedIn)

    def test_by_user(self) -> None:
        """After ten wrong ones about one name no more is looked at, wherever from."""
        for number in range(10):
            self.sign_in("ann" if number % 2 else "Ann", "wrong", f"1.2.3.{number}")
        self.assertEqual(self.sign_in("ann"), Turned(Why.TOO_OFTEN, 6))
        self.assertIsInstance(self.sign_in("bob"), SignedIn)

    def test_right_ones_do_not_count(self) -> None:
        """Who is right may sign in any number of times."""
        for _ in range(50):
            self.assertIsInstance(self.sign_in("ann", origin="1.2.3.4"), SignedIn)

    def test_busy(self) -> None:
        """So many wait, and no more; those who waited are told."""
        self.waiting = []
        for _ in range(MOST_WAITING):
            self.sign_in("ann")
            self.clock.advance(60)
        self.assertEqual(self.told, [])
        self.assertEqual(self.sign_in("ann"), Turned(Why.BUSY))
        self.waiting.pop()()
        self.assertIsInstance(self.told[-1], SignedIn)
        self.sign_in("ann")
        self.assertEqual(len(self.told), 2)

    def test_unavailable(self) -> None:
        """What cannot be looked up, compared or remembered is told as that."""
        self.failure = RuntimeError()
        self.assertEqual(self.sign_in("ann"), Turned(Why.UNAVAILABLE))
        self.records.refusal = UNAVAILABLE
        self.assertEqual(self.sign_in("ann"), Turned(Why.UNAVAILABLE))
        self.assertEqual(self.redeem("a"), Turned(Why.UNAVAILABLE))
        self.assertEqual(self.redeemed, [])

    def test_code(self) -> None:
        """A code is worth the token of a moderator, once, and that is told."""
        signed_in = self.redeem("a Mo")
        user = "id-000002"
        self.assertEqual(signed_in, SignedIn(f"{user} Mo True 1100 ", 100, user, "Mo"))
        self.assertEqual(self.redeemed, [(user, "Mo")])
        self.assertEqual(self.redeem("a Mo"), Turned(Why.USED))
        self.assertEqual(len(self.redeemed), 1)

    def test_code_without_nick(self) -> None:
        """A code without a nick makes one up."""
        signed_in = self.redeem("b")
        assert isinstance(signed_in, SignedIn)
        self.assertEqual(signed_in.nick, f"mod-{signed_in.user[:6]}")

    def test_bad_codes(self) -> None:
        """An old code is told apart from one that is none."""
        self.assertEqual(self.redeem("old"), Turned(Why.EXPIRED))
        self.assertEqual(self.redeem("bad"), Turned(Why.WRONG))
