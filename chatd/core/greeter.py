"""The greeter: the conversation of the Bun demo, which answers everybody the same."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.logger import Logger

from chatd.core.commands import Command, Say, Send
from chatd.core.events import Notice
from chatd.core.outbox import Outbox, State
from chatd.core.room import Dialect
from chatd.core.throttle import Throttle
from chatd.errors import NORMAL, TOO_MANY_REQUESTS

__all__ = ["Greeter"]

ANSWER = "Hello from server!"
STOP = Say("stop")

log = Logger()


class Greeter:
    """Answers each message with `ANSWER`; the word `stop` ends it with code 1000.

    Args:
        outbox: where the answers go.
        dialect: how they look.
        peer: who it is, for the log.
        messages: limits what it is asked.
    """

    __slots__ = ("_dialect", "_messages", "_outbox", "_peer")

    def __init__(self, outbox: Outbox, dialect: Dialect, *, peer: str, messages: Throttle) -> None:
        self._outbox = outbox
        self._dialect = dialect
        self._peer = peer
        self._messages = messages

    @property
    def is_connecting(self) -> bool:
        """See `Conversation.is_connecting`."""
        return False

    @property
    def title(self) -> str:
        """See `Conversation.title`."""
        return "greeter"

    def receive(self, commands: Sequence[Command]) -> None:
        """See `Conversation.receive`. Lengths are logged, texts never."""
        for command in commands:
            self._answer(command)

    def drained(self) -> None:
        """See `Conversation.drained`."""
        log.info("greeter: {peer} drained", peer=self._peer)

    def lost(self) -> None:
        """See `Conversation.lost`; the door logs the close."""

    def _answer(self, command: Command) -> None:
        assert isinstance(command, Say | Send)  # nobody enters here
        if self._outbox.state is State.GONE:
            return
        said = command.text.encode() if isinstance(command, Say) else command.data
        if not self._messages.take():
            self._outbox.close(TOO_MANY_REQUESTS.close)
            return
        log.info("greeter: {length} bytes from {peer}", length=len(said), peer=self._peer)
        if command == STOP:
            self._outbox.close(NORMAL)
        else:
            self._outbox.answer(self._dialect.encode(Notice(ANSWER)))
            self._outbox.flush()
