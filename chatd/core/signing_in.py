"""Signing in: a name and its password, or a one-time code, become a token."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple, Protocol

from chatd.core import names
from chatd.core.accounts import Account, Accounts, account_name
from chatd.core.attempts import Attempts
from chatd.core.codes import Codes
from chatd.errors import TOKEN_EXPIRED, ChatError, Refusal

__all__ = [
    "MOST_WAITING",
    "Done",
    "Issuer",
    "OneTime",
    "Passwords",
    "SignedIn",
    "SigningIn",
    "Turned",
    "Why",
]

MOST_WAITING = 32
"""So many passwords wait to be looked at."""

_NO_NAME = ""  # one bucket for all that can be nobody's name: no bucket of a stranger's choice


class OneTime(Protocol):
    """What a one-time code says: a name of its own, the nick, until when in seconds."""

    @property
    def nonce(self) -> str:
        """Unlike any other code's."""

    @property
    def nick(self) -> str:
        """Empty: any."""

    @property
    def until_s(self) -> int:
        """When it is over, in seconds since 1970."""


class Issuer(Protocol):
    """What makes tokens, and reads the codes it made."""

    def token(
        self, user: str, nick: str, *, moderator: bool, now_s: float, ttl_s: int, made: str = ""
    ) -> str:
        """Make a token."""

    def redeem(self, code: str, now_s: float) -> OneTime:
        """Read a code.

        Raises:
            ChatError: TOKEN_EXPIRED, or another when it is no code.
        """


class Passwords(Protocol):
    """What compares a password with what was kept of one."""

    def __call__(
        self, password: str, kept: str | None, done: Callable[[bool | Exception], None]
    ) -> None:
        """Compare; `kept` is None where there is none, which takes as long."""


class Why(Enum):
    """Why somebody is turned away."""

    WRONG = auto()
    """There is no such name, or it has another password, or it is no code."""
    EXPIRED = auto()
    """The code is too old."""
    USED = auto()
    """The code was used already."""
    TOO_OFTEN = auto()
    BUSY = auto()
    """Too many wait."""
    UNAVAILABLE = auto()
    """It cannot be found out now."""


class Turned(NamedTuple):
    """Turned away.

    Args:
        why: as it is told.
        after_s: in so many seconds it may be tried again; 0: nobody knows.
    """

    why: Why
    after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Signed in.

    Args:
        token: to be shown at the first command of a conversation; a secret.
        expires_s: for so many seconds it is good.
        user: whose it is.
        nick: what they are called.
    """

    token: str
    expires_s: int
    user: str
    nick: str


Done = Callable[[SignedIn | Turned], None]


class SigningIn:
    """Where names and codes become tokens.

    Args:
        accounts: who has a password here.
        codes: those that were used.
        issuer: makes the tokens.
        passwords: compares, beside the reactor.
        by_address: how often somebody may be wrong.
        by_user: how often somebody may be wrong about one name.
        ttl_s: how long a token is good, in seconds.
        now_s: the wall clock, in seconds since 1970.
        new_id: makes an id unlike any other.
        redeemed: told user and nick of somebody whose one-time code was good.
    """

    def __init__(
        self,
        accounts: Accounts,
        codes: Codes,
        *,
        issuer: Issuer,
        passwords: Passwords,
        by_address: Attempts,
        by_user: Attempts,
        ttl_s: int,
        now_s: Callable[[], float],
        new_id: Callable[[], str],
        redeemed: Callable[[str, str], None],
    ) -> None:
        self._accounts = accounts
        self._codes = codes
        self._issuer = issuer
        self._passwords = passwords
        self._by_address = by_address
        self._by_user = by_user
        self._ttl_s = ttl_s
        self._now_s = now_s
        self._new_id = new_id
        self._redeemed = redeemed
        self._waiting = 0

    def with_password(self, name: str, password: str, origin: str, done: Done) -> None:
        """Sign in with a name and its password.

        Whether there is such a name shows neither in what is told nor in how long that takes.

        Args:
            name: whatever somebody typed.
            password: likewise.
            origin: who tries, as far as attempts are counted; empty: one who may try any number.
            done: told later, or at once.
        """
        try:
            user = names.fold_nick(account_name(name))
        except ChatError:
            user = _NO_NAME
        if self._waiting >= MOST_WAITING:
            done(Turned(Why.BUSY))
            return
        wait = self._by_address.take(origin) if origin else 0.0
        if not wait:
            wait = self._by_user.take(user)
        if wait:
            done(Turned(Why.TOO_OFTEN, wait))
            return
        self._waiting += 1

        def found(account: Account | Refusal | None) -> None:
            if isinstance(account, Refusal):
                ended(Turned(Why.UNAVAILABLE))
            else:
                kept = None if account is None else account.password
                self._passwords(password, kept, lambda match: compared(account, match))

        def compared(account: Account | None, match: bool | Exception) -> None:
            if isinstance(match, Exception):
                ended(Turned(Why.UNAVAILABLE))
            elif account is None or not match:
                ended(Turned(Why.WRONG))
            else:
                if origin:
                    self._by_address.give_back(origin)
                self._by_user.give_back(user)
                ended(self._signed_in(account))

        def ended(outcome: SignedIn | Turned) -> None:
            self._waiting -= 1
            done(outcome)

        self._accounts.find(user or "-", found)

    def with_code(self, code: str, origin: str, done: Done) -> None:
        """Sign in as a moderator, with a one-time code.

        Args:
            code: whatever somebody sent.
            origin: as for `with_password`.
            done: told later, or at once.
        """
        wait = self._by_address.take(origin) if origin else 0.0
        if wait:
            done(Turned(Why.TOO_OFTEN, wait))
            return
        try:
            said = self._issuer.redeem(code, self._now_s())
        except ChatError as error:
            done(Turned(Why.EXPIRED if error.refusal is TOKEN_EXPIRED else Why.WRONG))
            return

        def used(outcome: bool | Refusal) -> None:
            if isinstance(outcome, Refusal):
                done(Turned(Why.UNAVAILABLE))
            elif not outcome:
                done(Turned(Why.USED))
            else:
                user = self._new_id()
                nick = said.nick or f"mod-{user[:6]}"
                self._redeemed(user, nick)
                account = Account(user, nick, "", is_moderator=True, made="")
                done(self._signed_in(account))

        self._codes.use(said.nonce, said.until_s * 1000, used)

    def _signed_in(self, account: Account) -> SignedIn:
        token = self._issuer.token(
            account.user,
            account.nick,
            moderator=account.is_moderator,
            now_s=self._now_s(),
            ttl_s=self._ttl_s,
            made=account.made,
        )
        return SignedIn(token, self._ttl_s, account.user, account.nick)
