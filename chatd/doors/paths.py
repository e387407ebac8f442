"""Which path leads to which conversation, in which dialect."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from chatd.config import Config
from chatd.core.events import Command
from chatd.core.greeter import Greeter
from chatd.core.hub import Hub
from chatd.core.outbox import Outbox
from chatd.core.session import Conversation, Session
from chatd.core.throttle import Throttle
from chatd.wire import plain

__all__ = ["GREETER", "PLAIN", "Paths", "Talk"]

PLAIN = "/plain"
GREETER = "/greeter"

Query = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Talk:
    """A conversation and how to read what its peer sends.

    Args:
        conversation: has been entered, or has refused and is closing.
        decode: one WebSocket message, its payload and whether it is binary, to a command.
    """

    conversation: Conversation
    decode: Callable[[bytes, bool], Command]


class Paths:
    """The doors that a WebSocket may come in by.

    Args:
        config: the settings.
        hub: where rooms are.
        seconds: the time, in seconds.
        new_id: makes an id unlike any other, of letters and digits.
    """

    def __init__(
        self,
        config: Config,
        hub: Hub,
        *,
        seconds: Callable[[], float],
        new_id: Callable[[], str],
    ) -> None:
        self._config = config
        self._hub = hub
        self._seconds = seconds
        self._new_id = new_id
        self._open = {"/": self._plain, PLAIN: self._plain}
        if config.greeter:
            self._open[GREETER] = self._greeter

    def on_both_ports(self) -> list[str]:
        """The paths that the site opens too; at its / is the page."""
        return [path for path in self._open if path != "/"]

    def __contains__(self, path: str) -> bool:
        """Whether there is a door at this path."""
        return path in self._open

    def open(self, path: str, query: Query, outbox: Outbox, peer: str) -> Talk:
        """Begin a conversation.

        Args:
            path: one that is known.
            query: of the URL, decoded.
            outbox: for what is to be sent.
            peer: who it is, for the log.

        Raises:
            ChatError: the query makes no sense.
        """
        return self._open[path](query, outbox, peer)

    def _throttle(self) -> Throttle:
        config = self._config
        return Throttle(config.publish_per_s, config.publish_burst, self._seconds)

    def _plain(self, query: Query, outbox: Outbox, peer: str) -> Talk:
        enter, dialect = plain.entrance(query)
        session = Session(
            self._hub,
            outbox,
            dialect,
            session_id=self._new_id(),
            new_id=self._new_id,
            publishes=self._throttle(),
            greeting=self._config.greeting,
            echo=self._config.echo,
        )
        session.receive(enter)
        return Talk(session, plain.decode)

    def _greeter(self, query: Query, outbox: Outbox, peer: str) -> Talk:
        return Talk(
            Greeter(outbox, plain.Plain(), peer=peer, messages=self._throttle()), plain.decode
        )
