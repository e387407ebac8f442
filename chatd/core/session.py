"""One connection's conversation: which commands, when, how often, and what they do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Protocol

from chatd.core import names
from chatd.core.broker import Ack
from chatd.core.events import Command, Enter, Notice, Relay, Say, Send, Sender, payload
from chatd.core.hub import Hub
from chatd.core.outbox import Outbox
from chatd.core.outbox import State as Outgoing
from chatd.core.room import Dialect, Member
from chatd.core.throttle import Throttle
from chatd.errors import BAD_REQUEST, TOO_MANY_REQUESTS, ChatError

__all__ = ["Conversation", "Session", "State"]


class Conversation(Protocol):
    """What a door talks to, one for each connection."""

    @property
    def title(self) -> str:
        """What it is, for the log; names of people and rooms are quoted."""

    def receive(self, command: Command) -> None:
        """The peer asked for something; refused is told to the peer, never raised."""

    def drained(self) -> None:
        """The peer had been above high water and has taken everything."""

    def lost(self) -> None:
        """The connection is no more; said once."""


class State(Enum):
    """Where a conversation stands."""

    CONNECTING = auto()
    LIVE = auto()
    CLOSING = auto()


@dataclass(frozen=True, slots=True)
class _Rule:
    """One row of the command table."""

    when: State
    throttled: bool
    run: Callable[[Session, Any], None]


class Session:
    """A conversation of somebody who talks in a room.

    Args:
        hub: where the rooms are.
        outbox: where its replies and events go.
        dialect: how they look.
        session_id: unlike any other's.
        new_id: makes ids for messages whose sender gives none.
        publishes: limits what it says.
        greeting: said first; empty: nothing.
        echo: whether it is sent what it says itself.
    """

    __slots__ = (
        "_dialect",
        "_echo",
        "_greeting",
        "_hub",
        "_member",
        "_new_id",
        "_outbox",
        "_publishes",
        "_room",
        "_session_id",
    )

    def __init__(
        self,
        hub: Hub,
        outbox: Outbox,
        dialect: Dialect,
        *,
        session_id: str,
        new_id: Callable[[], str],
        publishes: Throttle,
        greeting: str,
        echo: bool,
    ) -> None:
        self._hub = hub
        self._outbox = outbox
        self._dialect = dialect
        self._session_id = session_id
        self._new_id = new_id
        self._publishes = publishes
        self._greeting = greeting
        self._echo = echo
        self._member: Member | None = None
        self._room = ""

    @property
    def state(self) -> State:
        """Where it stands; closing from the first goodbye on, whoever said it."""
        if self._outbox.state is Outgoing.GONE:
            return State.CLOSING
        return State.CONNECTING if self._member is None else State.LIVE

    @property
    def title(self) -> str:
        """See `Conversation.title`."""
        if self._member is None:
            return "nobody"
        return f"{self._member.sender.nick!r} in {self._room!r}"

    def receive(self, command: Command) -> None:
        """See `Conversation.receive`. A door without replies shows a refusal as a close."""
        rule = _COMMANDS[type(command)]
        state = self.state
        if state is State.CLOSING:
            return
        try:
            if state is not rule.when:
                raise BAD_REQUEST
            if rule.throttled and not self._publishes.take():
                raise TOO_MANY_REQUESTS
            rule.run(self, command)
        except ChatError as error:
            # One object is raised again and again: kept tracebacks would keep every frame alive.
            self._refuse(error.with_traceback(None))

    def drained(self) -> None:
        """See `Conversation.drained`; what it missed has followed already."""

    def lost(self) -> None:
        """See `Conversation.lost`."""
        self._outbox.lost()
        if self._member is not None:
            self._hub.leave(self._room, self._member)
            self._member = None

    def _enter(self, command: Enter) -> None:
        room = names.room(names.DEFAULT_ROOM if command.room is None else command.room)
        nick = names.guest(self._session_id) if command.nick is None else names.nick(command.nick)
        sender = Sender(self._session_id, nick)
        self._room = room
        self._member = Member(sender, self._dialect, self._outbox, self._echo)
        if self._greeting:
            self._outbox.put([self._dialect.encode(Notice(self._greeting))])
        self._hub.join(room, self._member)

    def _say(self, command: Say) -> None:
        assert self._member is not None
        message_id = self._new_id()
        self._hub.publish(
            self._room,
            self._member.sender,
            message_id,
            payload(message_id, command.text),
            self._done,
        )

    def _send(self, command: Send) -> None:
        assert self._member is not None
        relay = Relay(self._room, self._member.sender, command.data, command.binary)
        self._hub.relay(relay, self._done)

    def _done(self, outcome: Ack | ChatError) -> None:
        if isinstance(outcome, ChatError):
            self._refuse(outcome)

    def _refuse(self, error: ChatError) -> None:
        self._outbox.close(error.close)


_COMMANDS: dict[type, _Rule] = {
    Enter: _Rule(State.CONNECTING, throttled=False, run=Session._enter),
    Say: _Rule(State.LIVE, throttled=True, run=Session._say),
    Send: _Rule(State.LIVE, throttled=True, run=Session._send),
}
