"""Accounts: the users of this server that have a name and a password here.

The record `account:<folded name>` is one; the folded name is the user's id, so that two accounts
never differ in case alone. What a password looks like when it is kept is not known here.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from chatd.core import names
from chatd.core.node import Node
from chatd.core.records import Records
from chatd.errors import (
    NICK_INVALID,
    NICK_TAKEN,
    NO_SUCH_USER,
    UNAVAILABLE,
    ChatError,
    Close,
    Refusal,
)

__all__ = ["NAME_RULE", "PREFIX", "Account", "Accounts", "account_name", "dismiss", "parsed"]

PREFIX = "account:"
"""What the subject of an account's record begins with."""

NAME_RULE = "a name is 1 to 32 of A-Z a-z 0-9 _ . -, not reserved and not 16 hex digits"
"""What `account_name` asks for, in words for the operator."""

_GUEST_ID = re.compile(r"[0-9a-f]{16}")
_MOST_WAITING = 100

Done = Callable[["Account | Refusal"], None]
Found = Callable[["Account | Refusal | None"], None]


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who has a password here.

    Args:
        user: their id.
        nick: what they are called: the id, in the case in which it was given.
        password: what is kept of it.
        is_moderator: of this server.
        made: a name of this account with this password; another one makes a token void.
    """

    user: str
    nick: str
    password: str
    is_moderator: bool
    made: str


def account_name(name: str) -> str:
    """A name for an account, as it is.

    Raises:
        ChatError: NICK_INVALID, unless it is allowed as a nick and is not what a guest's id is.
    """
    nick = names.nick(name)
    if _GUEST_ID.fullmatch(names.fold_nick(nick)):
        raise ChatError(NICK_INVALID)
    return nick


def parsed(user: str, record: Mapping[str, str]) -> Account | None:
    """An account by its record; None when it is none."""
    try:
        return Account(
            user,
            record["nick"],
            record["hash"],
            record.get("moderator") == "1",
            record["made"],
        )
    except KeyError:
        return None


def dismiss(node: Node, user: str, made: str, close: Close) -> None:
    """End the sessions of a user who came in with a token for an account that is no more.

    Args:
        node: where they are.
        user: whose account it was.
        made: of the account that there is now; empty: there is none.
        close: why.
    """
    for session in list(node.sessions.get(user, {}).values()):
        if session.whoever.made not in ("", made):
            session.outbox.close(close)


class Accounts:
    """All accounts. They change one at a time, in the order in which that is asked for.

    Args:
        records: where they are kept.
        new_id: makes an id unlike any other.
        changed: told what was done (`user add`, `user passwd`, `user remove`) to which account,
            once it is stored: as it is, or as it was.
    """

    def __init__(
        self,
        records: Records,
        *,
        new_id: Callable[[], str],
        changed: Callable[[str, Account], None],
    ) -> None:
        self._records = records
        self._new_id = new_id
        self._changed = changed
        self._waiting: deque[Callable[[], None]] = deque()

    def find(self, user: str, done: Found) -> None:
        """Look for an account.

        Args:
            user: the id, which is a folded name; nothing else is found.
            done: told it, None when there is none, or why it cannot be told.
        """

        def was_read(record: Mapping[str, str] | Refusal) -> None:
            done(record if isinstance(record, Refusal) else parsed(user, record))

        self._records.read(f"{PREFIX}{user}", was_read)

    def add(self, name: str, password: str, *, is_moderator: bool, done: Done) -> None:
        """Make an account.

        Args:
            name: becomes the nick and, folded, the id.
            password: what is to be kept of it.
            is_moderator: of this server.
            done: told the account, NICK_INVALID, NICK_TAKEN when there is one, or why it cannot
                be stored.
        """

        def changed(before: Account | None) -> Account:
            if before is not None:
                raise ChatError(NICK_TAKEN)
            nick = account_name(name)
            return Account(names.fold_nick(nick), nick, password, is_moderator, made=self._new_id())

        self._change("user add", name, changed, done)

    def set_password(self, name: str, password: str, done: Done) -> None:
        """Give an account another password.

        Args:
            name: of the account, in any case.
            password: what is to be kept of it.
            done: told the account, NO_SUCH_USER, or why it cannot be stored.
        """

        def changed(before: Account | None) -> Account:
            if before is None:
                raise ChatError(NO_SUCH_USER)
            return Account(
                before.user, before.nick, password, before.is_moderator, made=self._new_id()
            )

        self._change("user passwd", name, changed, done)

    def remove(self, name: str, done: Done) -> None:
        """Have an account no longer.

        Args:
            name: of the account, in any case.
            done: told the account as it was, NO_SUCH_USER, or why it cannot be stored.
        """

        def changed(before: Account | None) -> None:
            if before is None:
                raise ChatError(NO_SUCH_USER)

        self._change("user remove", name, changed, done)

    def _change(
        self,
        action: str,
        name: str,
        change: Callable[[Account | None], Account | None],
        done: Done,
    ) -> None:
        """Change an account, once no other change is under way."""
        try:
            user = names.fold_nick(account_name(name))
        except ChatError as error:
            done(error.refusal if action == "user add" else NO_SUCH_USER)
            return
        if len(self._waiting) >= _MOST_WAITING:
            done(UNAVAILABLE)
            return
        self._waiting.append(partial(self._begin, action, user, change, done))
        if len(self._waiting) == 1:
            self._waiting[0]()

    def _begin(
        self,
        action: str,
        user: str,
        change: Callable[[Account | None], Account | None],
        done: Done,
    ) -> None:
        def found(before: Account | Refusal | None) -> None:
            if isinstance(before, Refusal):
                ended(before)
                return
            try:
                after = change(before)
            except ChatError as error:
                ended(error.refusal)
                return
            self._records.write(f"{PREFIX}{user}", _fields(after), partial(stored, after or before))

        def stored(account: Account | None, refusal: Refusal | None) -> None:
            assert account is not None  # or there would have been no change
            if refusal is None:
                self._changed(action, account)
            ended(account if refusal is None else refusal)

        def ended(outcome: Account | Refusal) -> None:
            self._waiting.popleft()
            done(outcome)
            if self._waiting:
                self._waiting[0]()

        self.find(user, found)


def _fields(account: Account | None) -> Mapping[str, str | None]:
    if account is None:
        return dict.fromkeys(("hash", "nick", "moderator", "made"))
    return {
        "hash": account.password,
        "nick": account.nick,
        "moderator": "1" if account.is_moderator else None,
        "made": account.made,
    }
