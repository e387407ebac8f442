"""Audit: who did what to whom, as stored messages of a room that nobody can name on the wire."""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger

from chatd.core.broker import Broker
from chatd.core.events import Sender, compact
from chatd.core.hub import Hub
from chatd.core.room import Room
from chatd.errors import Refusal

__all__ = ["AUDIT_ROOM", "OPERATOR", "Audit", "entry"]

AUDIT_ROOM = "!audit"
"""The room's name; `names.room` lets no peer say it."""

OPERATOR = Sender("!operator", "!operator", "chatd")
"""Who acts by a command on the server's own machine; no user can have this id."""

log = Logger()


def entry(
    action: str,
    by: Sender,
    *,
    room: str = "",
    user: str = "",
    address: str = "",
    seconds: int | None = None,
    ref: int = 0,
) -> bytes:
    """What is stored of an action, as compact JSON.

    Args:
        action: what was done, such as `kick`.
        by: who did it.
        room: the folded name of the room in which; empty: on the whole server.
        user: the user to whom; empty: to none.
        address: the address or network to which; empty: to none.
        seconds: for how long; None: that says nothing.
        ref: the offset of the message to which; 0: to none.
    """
    said = {"type": "audit", "action": action, "by": by.user, "nick": by.nick}
    named = {"room": room, "user": user, "address": address, "ref": ref}
    lasting = {} if seconds is None else {"seconds": seconds}
    return compact({**said, **{key: it for key, it in named.items() if it}, **lasting})


class Audit:
    """What writes the audit log. Nobody waits for it: what cannot be written is in the log.

    Args:
        hub: opens the room, which is held from then on.
        broker: stores the entries.
        new_id: makes an id unlike any other, for each entry.
    """

    def __init__(self, hub: Hub, broker: Broker, new_id: Callable[[], str]) -> None:
        self._hub = hub
        self._broker = broker
        self._new_id = new_id
        self._room: Room | None = None

    def start(self) -> None:
        """Open the room. If it cannot be opened now, that is tried again with each entry."""
        self._hub.open(AUDIT_ROOM, self._opened)

    def note(
        self,
        action: str,
        by: Sender,
        *,
        room: str = "",
        user: str = "",
        address: str = "",
        seconds: int | None = None,
        ref: int = 0,
    ) -> None:
        """Store an entry, some time soon. See `entry` for the arguments."""
        text = entry(action, by, room=room, user=user, address=address, seconds=seconds, ref=ref)
        if self._room is None:
            self._hub.open(AUDIT_ROOM, lambda outcome: self._opened(outcome, (by, text)))
        else:
            self._store(by, text)

    def _opened(self, outcome: Room | Refusal, wanted: tuple[Sender, bytes] | None = None) -> None:
        if isinstance(outcome, Room):
            if self._room is None:
                self._room = outcome
            else:
                self._hub.release(outcome)
            if wanted is not None:
                self._store(*wanted)
        elif wanted is None:
            log.error("the audit log cannot be opened: {why}", why=outcome.words)
        else:
            _lost(wanted[1], outcome)

    def _store(self, by: Sender, text: bytes) -> None:
        def stored(outcome: object) -> None:
            if isinstance(outcome, Refusal):
                _lost(text, outcome)

        self._broker.publish(AUDIT_ROOM, by, self._new_id(), text, stored)


def _lost(text: bytes, refusal: Refusal) -> None:
    log.error("not in the audit log: {entry!r}: {why}", entry=text.decode(), why=refusal.words)
