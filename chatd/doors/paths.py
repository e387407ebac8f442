"""Which path leads to which conversation, in which dialect."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from chatd import __version__
from chatd.core import names
from chatd.core.actions import ACTIONS
from chatd.core.commands import Command
from chatd.core.conversation import Conversation
from chatd.core.greeter import Greeter
from chatd.core.node import Node
from chatd.core.outbox import Outbox
from chatd.core.session import Session
from chatd.core.throttle import Throttle
from chatd.errors import ChatError
from chatd.wire import centrifuge, plain
from chatd.wire.deflate import Deflated, Dialects

__all__ = ["CENTRIFUGE", "GREETER", "PLAIN", "Caller", "Door", "Paths", "Query", "Talk"]

PLAIN = "/plain"
GREETER = "/greeter"
CENTRIFUGE = "/connection/websocket"

Query = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Talk:
    """A conversation and how to read what its peer sends.

    Args:
        conversation: has been entered, or has refused and is closing, or has still to connect.
        decode: one WebSocket message, its payload and whether it is binary, to commands; it
            may raise ChatError.
    """

    conversation: Conversation
    decode: Callable[[bytes, bool], Sequence[Command]]


class Caller(NamedTuple):
    """Who opens a connection.

    Args:
        name: for the log.
        address: IP address; empty for a Unix socket.
        inflates: whether it takes compressed frames.
    """

    name: str
    address: str
    inflates: bool


@dataclass(frozen=True, slots=True)
class Door:
    """What is behind a path.

    Args:
        open: begins a conversation; from the query of the URL, the outbox for what is to be sent
            and who it is. It raises ChatError when the query makes no sense.
        message_bytes: the largest WebSocket message.
        ping: the frame that asks for a sign of life; empty: a ping of WebSocket's.
        pong_timeout_s: how long that may take.
        is_sdk: whether closes have the codes that Centrifuge clients know.
    """

    open: Callable[[Query, Outbox, Caller], Talk]
    message_bytes: int
    ping: bytes
    pong_timeout_s: int
    is_sdk: bool


class Paths:
    """The doors that a WebSocket may come in by.

    Args:
        node: what all sessions share.
        web: the digest of our page's files; empty: there is no page of ours.
    """

    def __init__(self, node: Node, *, web: str = "") -> None:
        self._node = node
        config = node.config
        self._dialect = centrifuge.Centrifuge(f"chatd {__version__}", node.new_id(), web)

        def simple(open: Callable[[Query, Outbox, Caller], Talk]) -> Door:
            return Door(open, config.message_bytes, b"", config.pong_timeout_s, False)

        self._doors = {
            "/": simple(self._plain),
            PLAIN: simple(self._plain),
            CENTRIFUGE: Door(
                self._centrifuge,
                centrifuge.frame_bytes(config.message_bytes),
                centrifuge.PING,
                config.sdk_pong_timeout_s,
                True,
            ),
        }
        if config.greeter:
            self._doors[GREETER] = simple(self._greeter)

    def on_both_ports(self) -> list[str]:
        """The paths that the site opens too; at its / is the page."""
        return [path for path in self._doors if path != "/"]

    def __contains__(self, path: str) -> bool:
        """Whether there is a door at this path."""
        return path in self._doors

    def shut(self, path: str, query: Callable[[], Query], address: str = "") -> str:
        """Why somebody is not let in by a door; empty: they are, to sign in maybe.

        Args:
            path: one that is known.
            query: the query of the URL, parsed only when it is needed.
            address: where they are, as an IP address; empty: not known.
        """
        if self._node.bans.covers(address, self._node.now_ms()):
            return "the address is banned"
        if not self._node.config.is_shut or path == CENTRIFUGE:
            return ""
        if path == GREETER:
            return "people sign in here, and not at this door"
        try:
            room = plain.entrance(query())[0].room
            folded = names.room(names.DEFAULT_ROOM if room is None else room)
        except ChatError:
            return "people sign in here, and this is no room"
        if self._node.gate.admits(folded):
            return ""
        return f"people sign in here; {folded} is not in auth.plain_rooms"

    def __getitem__(self, path: str) -> Door:
        """The door at a path that is known."""
        return self._doors[path]

    def _plain(self, query: Query, outbox: Outbox, caller: Caller) -> Talk:
        enter, dialect = plain.entrance(query)
        session = self._session(outbox, dialect, caller)
        session.receive([enter])
        return Talk(session, plain.decode)

    def _centrifuge(self, query: Query, outbox: Outbox, caller: Caller) -> Talk:
        return Talk(self._session(outbox, self._dialect, caller), centrifuge.decode)

    def _session(self, outbox: Outbox, spoken: Dialects, caller: Caller) -> Session:
        return Session(
            self._node,
            outbox,
            Deflated(spoken) if caller.inflates else spoken,
            session_id=self._node.new_id(),
            actions=ACTIONS,
            address=caller.address,
        )

    def _greeter(self, query: Query, outbox: Outbox, caller: Caller) -> Talk:
        config = self._node.config
        messages = Throttle(config.publish_per_s, config.publish_burst, self._node.seconds)
        return Talk(
            Greeter(outbox, plain.Plain(), peer=caller.name, messages=messages), plain.decode
        )
