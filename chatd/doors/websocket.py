"""WebSocket connections: a conversation each, and the registry of them all.

Bytes come in through Autobahn (`guards.py`), which calls `received` with whole messages; they
are decoded and given to the conversation that the path leads to. Bytes go out through the
outbox of the connection and its `Link`.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from sys import intern
from typing import Any
from urllib.parse import parse_qs, urlsplit

from autobahn.twisted.websocket import WebSocketServerFactory
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from chatd.config import Config
from chatd.core.commands import Command
from chatd.core.outbox import Feeder, Outbox
from chatd.core.throttle import Throttle
from chatd.core.wheel import Wheel
from chatd.doors.access import Access
from chatd.doors.admission import Admission
from chatd.doors.guards import OPTIONS, GuardedProtocol
from chatd.doors.journal import Journal
from chatd.doors.lean import configured
from chatd.doors.link import Link, host_of
from chatd.doors.paths import Caller, Door, Paths, Query, Talk
from chatd.errors import (
    LOST,
    NO_PONG,
    SHUTDOWN,
    STALE,
    TOO_MANY_REQUESTS,
    ChatError,
    Close,
    Refusal,
)

__all__ = ["ChatFactory", "ChatProtocol"]

_AT_ONCE = 256  # commands, or those who ask too often would be read to the end first
_GOODBYES = 500  # in a tick of the wheel at least, or those who come back would all come at once
_GOODBYE_TICKS = 12  # in which everybody has been told


class ChatProtocol(GuardedProtocol):
    """One connection and its conversation.

    Args:
        arrived_from: the address its socket was counted under.
    """

    __slots__ = (
        "_bytes",
        "_commands",
        "_connect_by",
        "_door",
        "_link",
        "_outbox",
        "_talk",
        "admitted_from",
        "arrived_from",
    )

    factory: ChatFactory

    def __init__(self, arrived_from: str) -> None:
        super().__init__()
        self.arrived_from = arrived_from
        self.admitted_from: str | None = None
        self._link: Link | None = None
        self._outbox: Outbox | None = None
        self._door: Door | None = None
        self._talk: Talk | None = None
        self._connect_by = 0.0
        self._bytes: Throttle
        self._commands: list[Command] | None = None  # of what came at once, or nothing

    def connectionMade(self) -> None:
        """Twisted: a socket is there, on our own port or handed over by the site."""
        super().connectionMade()
        self.factory.connections.add(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Twisted: the socket is gone."""
        super().connectionLost(reason)
        self.factory.forget(self)
        if self._link is not None:
            self._link.detach()
        self.transport.unregisterProducer()  # over TLS it would keep the link
        # Or all of them would hold each other until somebody looks for garbage, which is seldom.
        self._link = self._outbox = self._talk = None

    def judge(self, headers: Mapping[str, str], path: str, host: str) -> int:
        """See `HandshakeProtocol.judge`."""
        factory = self.factory
        if self.forbidden(headers):
            return 403
        if not self.knows(path):
            return 404
        why = factory.paths.shut(path, self._query, host)
        if why:
            factory.journal.refused(self.who, 403, why)
            return 403
        if factory.closing or not factory.admission.enter(host):
            return 503
        self.admitted_from = host
        return 0

    def forbidden(self, headers: Mapping[str, str]) -> bool:
        """See `HandshakeProtocol.forbidden`."""
        refused = self.factory.access.refuse(headers.get("host"), headers.get("origin"))
        if refused is not None:
            self.factory.journal.forbidden(self.who, refused)
        return refused is not None

    def knows(self, path: str) -> bool:
        """See `HandshakeProtocol.knows`."""
        return path in self.factory.paths

    def opened(self) -> None:
        """See `GuardedProtocol.opened`."""
        config = self.factory.config
        self._bytes = Throttle(
            config.received_bytes_per_s, config.received_bytes_burst, self.factory.reactor.seconds
        )
        link = self._linked()
        self._outbox = Outbox(
            link,
            self.factory.wheel,
            self.factory.feeder,
            stall_timeout_s=config.stall_timeout_s,
        )
        link.attach(self._outbox)
        path = self.http_request_path = intern(self.http_request_path)
        door = self._door = self.factory.paths[path]
        self.maxMessagePayloadSize = door.message_bytes
        self._connect_by = self.factory.reactor.seconds() + config.connect_timeout_s
        connect_s = config.connect_timeout_s if door.is_sdk else config.ping_interval_s
        self.expect(min(connect_s, config.ping_interval_s), self._ping)
        try:
            caller = Caller(self.who, self.admitted_from or "", self.terms is not None)
            self._talk = door.open(self._query(), self._outbox, caller)
        except ChatError as error:
            self._outbox.close(error.refusal.close)
        self.factory.journal.opened(self.who, path, self._title)

    def _query(self) -> Query:
        # Autobahn's own parsing takes "?room=" for no room at all.
        return parse_qs(urlsplit(self.http_request_uri).query, keep_blank_values=True)

    def sendData(self, data: bytes, sync: bool = False, chopsize: int | None = None) -> None:
        """Autobahn: send bytes. The original's way is queued for the reactor's next turn."""
        self._linked().write(data)

    def received(self, payload: bytes, binary: bool) -> None:
        """See `GuardedProtocol.received`."""
        if self._talk is None or self._outbox is None:
            return
        if not self._bytes.take(len(payload)):  # before they are parsed, which is what costs
            self._refused(TOO_MANY_REQUESTS)
            return
        try:
            commands = self._talk.decode(payload, binary)
        except ChatError as error:
            self._refused(error.refusal)
            return
        if self._commands is None:
            self._commands = list(commands)
        else:
            self._commands += commands
        if len(self._commands) >= _AT_ONCE:
            self.all_received()

    def all_received(self) -> None:
        """See `GuardedProtocol.all_received`."""
        commands, self._commands = self._commands, None
        if commands is not None and self._talk is not None:
            self._talk.conversation.receive(commands)

    def _refused(self, refusal: Refusal) -> None:
        """Close, but obey first what came before."""
        self.all_received()
        if self._outbox is not None:
            self._outbox.close(refusal.close)

    def code_of(self, close: Close) -> int:
        """See `GuardedProtocol.code_of`."""
        return close.sdk_code if self._door is not None and self._door.is_sdk else close.code

    def takes_pongs(self) -> bool:
        """See `GuardedProtocol.takes_pongs`."""
        return self._outbox is not None and self._outbox.is_idle

    def silenced(self) -> None:
        """See `GuardedProtocol.silenced`."""
        if self._outbox is not None:
            self._outbox.lost()

    def ended(self) -> None:
        """See `GuardedProtocol.ended`."""
        if self._outbox is None:
            return
        self._outbox.lost()
        path = self.http_request_path
        self.factory.journal.closed(self.who, path, self._title, *self.how_it_ended())
        if self._talk is not None:
            self._talk.conversation.lost()

    def how_it_ended(self) -> tuple[str, int, str]:
        """Who ended it, with which code and words (RFC 6455 7.1.5: 1005 is "none given")."""
        if self.closedByMe:
            return "chatd", self.localCloseCode or 1005, (self.localCloseReason or b"").decode()
        if self.wasClean:
            return "peer", self.remoteCloseCode or 1005, self.remoteCloseReason or ""
        by = "peer" if self.lost_because is LOST else "chatd"
        return by, self.lost_because.code, self.lost_because.reason

    @property
    def _title(self) -> str:
        return "nobody" if self._talk is None else self._talk.conversation.title

    @property
    def has_opened(self) -> bool:
        """Whether the handshake is done."""
        return self._outbox is not None

    def goodbye(self) -> None:
        """The server stops: close it, or drop what is not open yet."""
        if self._outbox is not None:
            self._outbox.close(SHUTDOWN)
        else:
            self.drop()

    def _linked(self) -> Link:
        if self._link is None:
            self._link = Link(self.transport, self.say_goodbye, self._drained)
        return self._link

    def _drained(self) -> None:
        if self._talk is not None:
            self._talk.conversation.drained()

    def _ping(self) -> None:
        """Ask for a sign of life, unless nothing is read from the peer, or it is behind."""
        assert self._link is not None and self._outbox is not None and self._door is not None
        if self._talk is not None and self._talk.conversation.is_connecting:
            left_s = self._connect_by - self.factory.reactor.seconds()
            if left_s > 0:
                self.expect(left_s, self._ping)
            else:
                self._outbox.close(STALE)
        elif self.dawdles():
            self.offended()
        elif self._owes_pongs():
            self.heard = False
            if self._door.ping:
                self._outbox.put(self._door.ping)
            else:
                self.sendPing()
            taken = self._link.written - self._link.unsent()
            self.expect(self._door.pong_timeout_s, lambda: self._pong_due(taken))
        else:
            if self._door.ping:
                # Some clients take nothing else for a sign of life, so it joins what waits.
                self._outbox.answer(self._door.ping)
            self.expect(self.factory.config.ping_interval_s, self._ping)

    def _owes_pongs(self) -> bool:
        """Whether a pong would be heard: it may wait behind what is not taken, or not read."""
        return self.takes_pongs() and self._link is not None and not self._link.is_held

    def _pong_due(self, taken: int) -> None:
        """Drop a peer that has neither sent anything since the ping nor taken anything."""
        assert self._link is not None and self._outbox is not None and self._door is not None
        unsent = self._link.unsent()
        progress = bool(unsent) and self._link.written - unsent > taken
        if self.heard or progress or not self._owes_pongs():
            rest = self.factory.config.ping_interval_s - self._door.pong_timeout_s
            self.expect(max(rest, 1), self._ping)
        elif self._door.is_sdk:
            self._outbox.close(NO_PONG)
        else:
            self.lost_because = NO_PONG
            self.drop()


class ChatFactory(WebSocketServerFactory):
    """The WebSocket server and the registry of its connections.

    Args:
        config: the settings.
        paths: where a handshake may lead.
        access: which pages and host names are ours.
        admission: counts sockets and connections, those of the site's port too.
        journal: logs who was not let in.
        feeder: brings lagging peers to the head.
        wheel: for all deadlines.
        reactor: for the time.
    """

    noisy = False

    def __init__(
        self,
        config: Config,
        *,
        paths: Paths,
        access: Access,
        admission: Admission,
        journal: Journal,
        feeder: Feeder,
        wheel: Wheel,
        reactor: Any,
    ) -> None:
        super().__init__(server="chatd", reactor=reactor)
        self.config = config
        self.paths = paths
        self.access = access
        self.admission = admission
        self.journal = journal
        self.feeder = feeder
        self.wheel = wheel
        self.connections: set[ChatProtocol] = set()
        self.closing = False
        self._all_gone: Deferred[None] | None = None
        self.setProtocolOptions(
            maxMessagePayloadSize=config.message_bytes,
            **OPTIONS,
        )
        self._protocol = configured(ChatProtocol, self)

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        """Twisted: a socket came to our own port; None closes it."""
        host = host_of(addr)
        if self.closing or not self.admission.arrive(host):
            return None
        return self.adopt(host)

    def adopt(self, host: str) -> ChatProtocol:
        """A protocol for a socket that was counted when it arrived, here or at the site.

        Args:
            host: the address it was counted under.
        """
        protocol = self._protocol(host)
        protocol.factory = self
        return protocol

    def forget(self, protocol: ChatProtocol) -> None:
        """A connection is gone."""
        self.connections.discard(protocol)
        self.admission.depart(protocol.arrived_from)
        if protocol.admitted_from is not None:
            self.admission.leave(protocol.admitted_from)
        self._tell_when_gone()

    def goodbye(self) -> Deferred[None]:
        """Let nobody in any more, and close everybody as the server stops.

        A few at a time, so that they do not all come back at once; who has not finished the
        handshake is dropped.

        Returns:
            fires when the last one is gone, which takes at most 3 seconds, the close timeout, the
            linger timeout, and a tick or two.
        """
        self.closing = True
        gone: Deferred[None] = Deferred()
        self._all_gone = gone
        waiting = []
        for protocol in list(self.connections):
            if protocol.has_opened:
                waiting.append(protocol)
            else:
                protocol.goodbye()
        self._say_goodbye(waiting, max(_GOODBYES, ceil(len(waiting) / _GOODBYE_TICKS)))
        self._tell_when_gone()
        return gone

    def _say_goodbye(self, waiting: list[ChatProtocol], most: int) -> None:
        rest = waiting[most:]
        if rest:
            self.wheel.after(0, lambda: self._say_goodbye(rest, most))
        for protocol in waiting[:most]:
            protocol.goodbye()

    def _tell_when_gone(self) -> None:
        if self._all_gone is not None and not self.connections:
            gone, self._all_gone = self._all_gone, None
            gone.callback(None)
