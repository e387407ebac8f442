"""One connection's conversation: which commands, when, how often, and in which order.

Commands of a session run in order, one that waits for something at a time; nothing is read from
the peer meanwhile. What the commands do is `actions.py`'s business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from typing import Any, TypeVar

from twisted.logger import Logger

from chatd.core import names
from chatd.core.charter import Charter
from chatd.core.commands import Command
from chatd.core.events import Sender
from chatd.core.identity import Identity
from chatd.core.node import Node
from chatd.core.outbox import Outbox
from chatd.core.outbox import State as Outgoing
from chatd.core.permissions import Permission, check
from chatd.core.replies import Done, Refused, Reply
from chatd.core.room import Dialect, Member, Room
from chatd.core.throttle import Throttle
from chatd.core.wheel import Deadline
from chatd.errors import (
    BAD_REQUEST,
    INTERNAL,
    PRIVATE_ROOM,
    TOO_MANY_REQUESTS,
    UNINTELLIGIBLE,
    ChatError,
    Close,
    Refusal,
)

__all__ = ["Action", "Rate", "Session", "State"]

_PUBLISHED = Done("publish")
_REFUSALS = (1, 10)  # a second, at once: beyond it a peer that asks too often is closed

T = TypeVar("T")

log = Logger()


class State(Enum):
    """Where a conversation stands."""

    CONNECTING = auto()
    LIVE = auto()
    CLOSING = auto()


class Rate(Enum):
    """Which of a session's two limits a command counts against."""

    COMMANDS = auto()
    PUBLISHES = auto()


_COMMANDS, _PUBLISHES = Rate.COMMANDS, Rate.PUBLISHES
_CONNECTING, _ALIVE, _CLOSING = State.CONNECTING, State.LIVE, State.CLOSING
_FLOWING, _GONE = Outgoing.LIVE, Outgoing.GONE  # an enumeration's own names are slow


@dataclass(frozen=True, slots=True)
class Action:
    """One row of the command table.

    Args:
        when: the state it is allowed in.
        rate: how often it is.
        run: does it; it may raise ChatError.
    """

    when: State
    rate: Rate
    run: Callable[[Session, Any], None]


class Session:
    """A conversation of somebody who talks in rooms.

    Args:
        node: what it shares with the others.
        outbox: where its replies and events go.
        dialect: how its replies look.
        session_id: unlike any other's.
        actions: the command table.
        address: where the peer is, as an IP address; empty: not known.
    """

    __slots__ = (
        "_actions",
        "_commands",
        "_goodbye",
        "_inbox",
        "_is_busy",
        "_is_working",
        "_publishes",
        "_refusals",
        "_unanswered",
        "_using",
        "address",
        "comes_back",
        "dialect",
        "expiry",
        "home",
        "id",
        "identity",
        "memberships",
        "node",
        "outbox",
        "sender",
    )

    def __init__(
        self,
        node: Node,
        outbox: Outbox,
        dialect: Dialect,
        *,
        session_id: str,
        actions: Mapping[type, Action],
        address: str = "",
    ) -> None:
        config = node.config
        self.node = node
        self.outbox = outbox
        self.dialect = dialect
        self.id = session_id
        self.address = address
        self.identity: Identity | None = None
        """Who it was found to be; None while it is connecting."""
        self.expiry: Deadline | None = None
        """When it is looked whether its time is over; None: it has no end."""
        self.sender: Sender | None = None
        """Who it is; None while it is connecting."""
        self.comes_back = False
        """Whether the same user may come again."""
        self.home = ""
        """The room that it came for, where there is but one."""
        self.memberships: dict[str, Member] = {}
        """By the rooms' folded names."""
        self._actions = actions
        self._commands = Throttle(config.commands_per_s, config.commands_burst, node.seconds)
        self._publishes = Throttle(config.publish_per_s, config.publish_burst, node.seconds)
        self._refusals = Throttle(*_REFUSALS, node.seconds)
        # The next one is the last. Mostly empty, when a deque would keep ten times as much.
        self._inbox: list[Command] = []
        self._is_busy = False
        self._is_working = False
        self._goodbye: Close | None = None
        self._unanswered = 0
        self._using: Room | None = None

    @property
    def state(self) -> State:
        """Where it stands; closing from the first goodbye on, whoever said it."""
        if self._goodbye is not None or self.outbox.state is _GONE:
            return _CLOSING
        return _CONNECTING if self.sender is None else _ALIVE

    @property
    def is_connecting(self) -> bool:
        """See `Conversation.is_connecting`."""
        return self.state is _CONNECTING

    @property
    def title(self) -> str:
        """See `Conversation.title`."""
        if self.sender is None:
            return "nobody"
        return f"{self.sender.nick!r} in {self.home!r}" if self.home else f"{self.sender.nick!r}"

    def receive(self, commands: Sequence[Command]) -> None:
        """See `Conversation.receive`. A door without replies shows a refusal as a close."""
        if self.state is not _CLOSING:
            self._inbox[:0] = commands[::-1]
            self._work()

    def drained(self) -> None:
        """See `Conversation.drained`; what it missed has followed already."""
        self._work()

    def lost(self) -> None:
        """See `Conversation.lost`. Nothing when it was told before, as to who is removed."""
        self.outbox.lost()
        self._inbox.clear()
        if self.expiry is not None:
            self.expiry.cancel()
        for name in list(self.memberships):
            self.leave(name, comes_back=self.comes_back)
        if self.sender is not None and self.node.forget(self.sender.user, self.id):
            self.node.nicks.release(self.sender.user, comes_back=self.comes_back)

    # For commands

    @property
    def who(self) -> Sender:
        """Who it is, once it has come in."""
        assert self.sender is not None  # or the table would not have let the command in
        return self.sender

    @property
    def whoever(self) -> Identity:
        """Who it was found to be, once it has come in."""
        assert self.identity is not None  # as for `who`
        return self.identity

    def admit(self, identity: Identity, nick: str, *, comes_back: bool) -> Sender:
        """From now on it is the session of a user, whose nick it holds once more."""
        self.identity = identity
        self.sender = Sender(identity.user, self.id, nick)
        self.comes_back = comes_back
        self.node.sessions.setdefault(identity.user, {})[self.id] = self
        return self.sender

    def needs(self, permission: Permission, charter: Charter) -> None:
        """Let a command go on only if its user may do that in a room.

        Raises:
            ChatError: they may not.
        """
        check(permission, self.whoever, charter, self.node.now_ms())

    def enter(self, member: Member, after: int) -> None:
        """Become a member of the room that was opened, having got everything up to an offset."""
        self._using = None  # from now on the membership does
        self.memberships[member.room.name] = member
        self.node.hub.arrive(member.room, member.sender)
        member.room.join(member, after)
        self.node.feed.catch_up(self.outbox)

    def leave(self, name: str, *, comes_back: bool) -> None:
        """Be a member of a room no longer."""
        member = self.memberships.pop(name)
        member.room.leave(member)
        self.node.hub.depart(member.room, self.sender or member.sender, comes_back=comes_back)
        self.node.hub.release(member.room)

    def reply(self, command: Command, answer: Any) -> None:
        """Answer a command that has a number, where there are replies."""
        dialect = self.dialect
        if dialect.has_replies:
            number = getattr(command, "id", 0)
            if number:
                self.outbox.answer(dialect.encode(Reply(number, answer)))

    def refuse(self, command: Command, refusal: Refusal) -> None:
        """Answer that a command is not obeyed, or close where there are no replies."""
        if self.dialect.has_replies:
            self.reply(command, Refused(refusal))
        else:
            self.outbox.close(refusal.close)

    def published(self, command: Command) -> Callable[[object], None]:
        """What the broker is to tell when a message is stored, or is not."""
        self._unanswered += 1
        return partial(self._published, command)

    def may(self, rate: Rate, count: int = 1) -> bool:
        """Whether so much more is allowed now, which counts from then on."""
        throttle = self._publishes if rate is _PUBLISHES else self._commands
        return throttle.take(count)

    def awaits(self, command: Command, then: Callable[[T], None]) -> Callable[[T | Refusal], None]:
        """Wait for an outcome, which is to be told to what is returned.

        Until then nothing else is done for the peer, and the room that was opened stays open.

        Args:
            command: that is under way.
            then: told the outcome, unless it is a refusal, which is answered, or it is too late;
                it may wait for another one.
        """
        self._is_busy = True

        def came(outcome: T | Refusal) -> None:
            self._is_busy = False
            if isinstance(outcome, Refusal):
                self.refuse(command, outcome)
            elif self.state is not _CLOSING:
                try:
                    then(outcome)
                except Exception as error:
                    self._failed(command, error)
            if self._using is not None and not self._is_busy:
                room, self._using = self._using, None
                self.node.hub.release(room)
            self._work()

        return came

    def with_room(self, command: Command, name: str, then: Callable[[Room], None]) -> None:
        """Open a room until a command is done, or for as long as it makes the peer a member.

        Args:
            command: that needs it.
            name: its folded name.
            then: told it, maybe at once; see `awaits`.

        Raises:
            ChatError: PRIVATE_ROOM: it is the direct room of two others, and not even looked at.
        """
        if names.is_direct(name) and self.whoever.user not in names.two(name):
            raise ChatError(PRIVATE_ROOM)
        came = self.awaits(command, then)

        def opened(outcome: Room | Refusal) -> None:
            if isinstance(outcome, Room):
                self._using = outcome
            came(outcome)

        self.node.hub.open(name, opened)

    # Running

    def _work(self) -> None:
        """Run what is in the inbox, as far as that goes now."""
        if self._is_working:
            return
        self._is_working = True
        while self._inbox and not self._is_busy and self.outbox.state is _FLOWING:
            self._run(self._inbox.pop())
        self._is_working = False
        self.outbox.busy(self._is_busy or self._goodbye is not None)
        self.outbox.flush()

    def _published(self, command: Command, outcome: object) -> None:
        self._unanswered -= 1
        if isinstance(outcome, Refusal):
            self.refuse(command, outcome)
        else:
            self.reply(command, _PUBLISHED)
        if self.dialect.has_replies:
            self.node.hub.answers(self.outbox)
        if self._goodbye is not None:
            self._leave()

    def _leave(self) -> None:
        """Say the goodbye that is due, once all that was published is answered."""
        if self._goodbye is not None and not self._unanswered:
            self.outbox.close(self._goodbye)

    def _run(self, command: Command) -> None:
        action = self._actions.get(type(command))
        state = self.state
        is_expected = action is not None and action.when is state
        if state is _CONNECTING and not is_expected:
            self.outbox.close(UNINTELLIGIBLE)
        elif not self.may(_COMMANDS if action is None else action.rate):
            self._too_many(command)
        elif action is None or not is_expected:
            self.refuse(command, BAD_REQUEST)
        else:
            try:
                action.run(self, command)
            except Exception as error:
                self._failed(command, error)

    def _too_many(self, command: Command) -> None:
        self.refuse(command, TOO_MANY_REQUESTS)
        if not self._refusals.take():
            self._goodbye = TOO_MANY_REQUESTS.close
            self._inbox.clear()
            self._leave()

    def _failed(self, command: Command, error: Exception) -> None:
        if isinstance(error, ChatError):
            self.refuse(command, error.refusal)
        else:
            log.failure("{command} failed", command=type(command).__name__)
            self.refuse(command, INTERNAL)
