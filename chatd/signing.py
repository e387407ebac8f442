"""What signing in and the operator's commands need, put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.web.resource import Resource

from chatd import passwords
from chatd.brokers.database import MEMORY
from chatd.brokers.worker import Worker
from chatd.core.accounts import Account, Accounts, dismiss
from chatd.core.attempts import Attempts
from chatd.core.audit import OPERATOR
from chatd.core.codes import Codes
from chatd.core.events import Sender
from chatd.core.node import Node
from chatd.core.operations import Reindex, operations
from chatd.core.signing_in import SigningIn
from chatd.doors.assets import Page, PageResource
from chatd.doors.control import Control, socket_path
from chatd.doors.login import Login
from chatd.errors import EXPIRED, KICKED, ChatError
from chatd.tokens import Signer

__all__ = ["Signing"]

_MINUTE_S = 60.0
_BY_ADDRESS = 5
_BY_USER = 10
_REMEMBERED = 10_000  # addresses, and names
_LATE_S = 1.0

log = Logger()


class Signing:
    """Accounts, `/login` and the control socket of one node.

    Args:
        node: what all sessions share.
        key: the secret of the database.
        worker: where passwords are compared.
        origin: by address, who shares attempts; see `Admission.origin`.
        reindex: makes the index of words anew.
        reactor: for the socket.
    """

    def __init__(
        self,
        node: Node,
        key: bytes,
        worker: Worker,
        origin: Callable[[str], str],
        *,
        reindex: Reindex,
        reactor: Any,
    ) -> None:
        self._node = node
        self._worker = worker
        self._origin = origin
        self.accounts = Accounts(node.records, new_id=node.new_id, changed=self._changed)
        self.signing_in = SigningIn(
            self.accounts,
            Codes(node.records, node.now_ms),
            issuer=Signer(key),
            passwords=self._compare,
            by_address=Attempts(_BY_ADDRESS, _MINUTE_S, most=_REMEMBERED, seconds=node.seconds),
            by_user=Attempts(_BY_USER, _MINUTE_S, most=_REMEMBERED, seconds=node.seconds),
            ttl_s=node.config.token_ttl_s,
            now_s=lambda: node.now_ms() / 1000,
            new_id=node.new_id,
            redeemed=self._redeemed,
        )
        self._control: Control | None = None
        if node.config.database != MEMORY:
            table = operations(self.accounts, reindex)
            self._control = Control(socket_path(node.config.database), table, node.wheel, reactor)
            self._control.open()

    def routes(self, own: Page, page: Page) -> Mapping[bytes, Resource]:
        """What is at `/login`, and the files of ours that it needs.

        Args:
            own: our own page.
            page: the site's.
        """
        config = self._node.config
        login = Login(
            own.assets[b"/login"].raw.decode(),
            self.signing_in,
            has_accounts=config.users,
            public_url=config.public_url,
            origin=self._origin,
        )
        files = PageResource(own)
        needed = () if page is own else (path for path in own.assets if path.startswith(b"/v/"))
        return {b"/login": login, **dict.fromkeys(needed, files)}

    def close(self) -> list[Deferred[Any]]:
        """Take no more commands; what is returned fires when the socket is gone."""
        return [] if self._control is None else [self._control.close()]

    def stop(self, done: Callable[[], None]) -> None:
        """End every conversation with an operator and the worker; then call `done`."""
        if self._control is not None:
            self._control.goodbye()
        self._worker.stop(done)

    def _compare(
        self, password: str, kept: str | None, done: Callable[[bool | Exception], None]
    ) -> None:
        def compared(outcome: bool | Exception) -> None:
            if isinstance(outcome, Exception) and not isinstance(outcome, ChatError):
                log.error("a password cannot be compared: {error!r}", error=outcome)
            done(outcome)

        self._worker.do(partial(passwords.matches, password, kept), compared)

    def _changed(self, action: str, account: Account) -> None:
        self._node.audit.note(action, OPERATOR, user=account.user)
        if action == "user add":
            return
        # With another password an SDK may come again, with another token.
        made, why = ("", KICKED) if action == "user remove" else (account.made, EXPIRED)
        end = partial(dismiss, self._node, account.user, made, why)
        end()
        # Somebody may be coming in at this moment, whose account was looked up before.
        self._node.wheel.after(self._node.config.connect_timeout_s + _LATE_S, end)

    def _redeemed(self, user: str, nick: str) -> None:
        self._node.audit.note("link", Sender(user, "login", nick))
