"""The real WebSocket door with an echo behind it, for suites that test nothing but the protocol.

python -m tests.support.echo PORT
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from twisted.internet.task import LoopingCall

from chatd.config import Config
from chatd.core.commands import Command, Say, Send
from chatd.core.outbox import Outbox
from chatd.core.throttle import Throttle
from chatd.core.wheel import TICK_S, Wheel
from chatd.doors.access import Access
from chatd.doors.admission import Admission
from chatd.doors.journal import Journal
from chatd.doors.paths import Caller, Door, Query, Talk
from chatd.doors.websocket import ChatFactory
from chatd.wire import plain
from chatd.wire.frames import BINARY, TEXT, frame

__all__ = ["Echo", "EchoPaths", "echo_factory"]


class Echo:
    """A conversation that answers each message with itself: text with text, binary with binary.

    Args:
        outbox: where the answers go.
    """

    title = "an echo"
    is_connecting = False

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def receive(self, commands: Sequence[Command]) -> None:
        """See `Conversation.receive`."""
        for command in commands:
            match command:
                case Say(text):
                    self._outbox.answer(frame(TEXT, text.encode()))
                case Send(data, binary):
                    self._outbox.answer(frame(BINARY if binary else TEXT, data))
                case _:
                    raise TypeError(command)
        self._outbox.flush()

    def drained(self) -> None:
        """See `Conversation.drained`; the outbox has flushed already."""

    def lost(self) -> None:
        """See `Conversation.lost`."""


class EchoPaths:
    """`Paths` with an echo at `/` and nothing else.

    Args:
        config: the limits.
    """

    def __init__(self, config: Config) -> None:
        self._door = Door(self._open, config.message_bytes, b"", config.pong_timeout_s, False)

    def __contains__(self, path: str) -> bool:
        return path == "/"

    def __getitem__(self, path: str) -> Door:
        return self._door

    def shut(self, path: str, query: object, address: str) -> str:
        """See `Paths.shut`."""
        return ""

    def _open(self, query: Query, outbox: Outbox, caller: Caller) -> Talk:
        return Talk(Echo(outbox), plain.decode)


class _NobodyLags:
    """A feeder that has nothing to feed: an echo has no memory."""

    def catch_up(self, outbox: Outbox) -> None: ...


def echo_factory(config: Config, reactor: Any, wheel: Wheel, port: int) -> ChatFactory:
    """Chatd's own door with an echo behind it.

    Args:
        config: the limits.
        reactor: for the time.
        wheel: for all deadlines; somebody turns it.
        port: where it will listen.
    """
    access = Access(frozenset({"localhost", "127.0.0.1"}))
    access.ports.add(port)
    paths: Any = EchoPaths(config)
    return ChatFactory(
        config,
        paths=paths,
        access=access,
        admission=Admission(most=1000, most_per_address=1000, trusted_proxies=()),
        journal=Journal(
            connections=Throttle(50, 1000, reactor.seconds),
            refusals=Throttle(5, 20, reactor.seconds),
        ),
        feeder=_NobodyLags(),
        wheel=wheel,
        reactor=reactor,
    )


def main() -> None:
    """Serve until it is ended, with the limits that chatd ships with."""
    from twisted.internet import reactor as installed

    reactor: Any = installed
    port = int(sys.argv[1])
    wheel = Wheel(reactor.seconds)
    LoopingCall(wheel.tick).start(TICK_S)
    reactor.listenTCP(port, echo_factory(Config(), reactor, wheel, port), interface="127.0.0.1")
    reactor.run()


if __name__ == "__main__":
    main()
