"""The object graph, and the order in which it starts and stops; nothing else."""

from __future__ import annotations

import secrets
import socket
import time
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, DeferredList, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from chatd import __version__
from chatd.brokers.memory import MemoryBroker
from chatd.config import Config
from chatd.core.hub import Hub
from chatd.core.throttle import Throttle
from chatd.core.wheel import TICK_S, Wheel
from chatd.doors import assets
from chatd.doors.access import Access, own_names
from chatd.doors.admission import RESERVE, Admission
from chatd.doors.paths import GREETER, PLAIN, Paths
from chatd.doors.refusals import Refusals
from chatd.doors.site import ChatSite, Greet, WebSocketPath
from chatd.doors.websocket import ChatFactory
from chatd.process import most_descriptors

__all__ = ["STOP_TIMEOUT_S", "ChatService", "build"]

STOP_TIMEOUT_S = 9
"""The longest a stop may take, in seconds; what is not gone then is left to the kernel."""

_LOOPBACK = {"127.0.0.1", "::1"}
_ANY = {"0.0.0.0", "::"}
_REFUSAL_LINES_PER_S = 5
_REFUSAL_LINES_BURST = 20

log = Logger()


def build(config: Config, reactor: Any) -> ChatService:
    """Put chatd together.

    Args:
        config: the settings.
        reactor: not yet running.

    Raises:
        ConfigError: the page cannot be read, or a setting does not fit this machine.
    """
    seconds = reactor.seconds
    wheel = Wheel(seconds)
    broker = MemoryBroker(
        later=lambda call: reactor.callLater(0, call),
        now_ms=lambda: time.time_ns() // 1_000_000,
        new_epoch=_new_id,
        most_pending=config.pending_messages,
    )
    hub = Hub(broker)
    page = assets.load(Path(config.page) if config.page else assets.web_root(), own=not config.page)
    admission = Admission(
        most=config.connections or max(most_descriptors() - RESERVE, 1),
        most_per_address=config.connections_per_address,
        trusted_proxies=config.trusted_proxies,
    )
    access = Access(own_names(), public_url=config.public_url, allow_origin=config.allow_origin)
    refusals = Refusals(Throttle(_REFUSAL_LINES_PER_S, _REFUSAL_LINES_BURST, seconds))
    paths = Paths(config, hub, seconds=seconds, new_id=_new_id)
    sockets = ChatFactory(
        config,
        paths=paths,
        access=access,
        admission=admission,
        refusals=refusals,
        wheel=wheel,
        reactor=reactor,
    )
    upgrade = WebSocketPath(sockets)
    routes = {path.encode(): upgrade for path in (PLAIN, GREETER) if path in paths}
    site = ChatSite(
        config,
        routes={**routes, b"/greet": Greet()},
        page=assets.PageResource(page),
        strict=page.own,
        access=access,
        admission=admission,
        refusals=refusals,
        wheel=wheel,
        reactor=reactor,
    )
    return ChatService(
        reactor=reactor,
        wheel=wheel,
        broker=broker,
        access=access,
        sockets=sockets,
        site=site,
        listeners=[
            *(("ws", serverFromString(reactor, each), sockets) for each in config.ws),
            *(("http", serverFromString(reactor, each), site) for each in config.web),
        ],
    )


def _new_id() -> str:
    return secrets.token_hex(8)


Listener = tuple[str, IStreamServerEndpoint, IProtocolFactory]
"""The scheme of its address, where it listens, and for whom."""


class ChatService(Service):
    """All of chatd, as Twisted starts and stops it.

    Args:
        reactor: for the wheel's timer.
        wheel: turned while it runs.
        broker: drained at the stop.
        access: told the ports.
        sockets: the WebSocket door.
        site: the web site.
        listeners: opened together or not at all.
    """

    def __init__(
        self,
        *,
        reactor: Any,
        wheel: Wheel,
        broker: MemoryBroker,
        access: Access,
        sockets: ChatFactory,
        site: ChatSite,
        listeners: list[Listener],
    ) -> None:
        self._reactor = reactor
        self._broker = broker
        self._access = access
        self._sockets = sockets
        self._site = site
        self._listeners = listeners
        self.ports: list[tuple[str, IListeningPort]] = []
        """Scheme and port of each listener, while it runs."""
        self._turning = LoopingCall(wheel.tick)
        self._turning.clock = reactor

    def privilegedStartService(self) -> None:
        """Twisted: listen, perhaps still as root.

        Raises:
            SystemExit: with one line, when a port has been taken since it was tried.
        """
        failures: list[Failure] = []
        for scheme, endpoint, factory in self._listeners:
            listening = endpoint.listen(factory)
            listening.addCallback(self._listening, scheme)
            listening.addErrback(failures.append)
        for failure in failures:
            if not failure.check(CannotListenError, OSError):
                failure.raiseException()
            log.critical("cannot listen: {error}", error=str(failure.value))
            raise SystemExit(f"chatd: cannot listen: {failure.value}")

    def _listening(self, port: IListeningPort, scheme: str) -> None:
        self.ports.append((scheme, port))

    def startService(self) -> None:
        """Twisted: begin."""
        if not self.ports:
            self.privilegedStartService()
        super().startService()
        self._turning.start(TICK_S, now=False)
        log.info("chatd {version} started", version=__version__)
        hosts = [self._announce(scheme, port.getHost()) for scheme, port in self.ports]
        if all(host in _LOOPBACK for host in hosts):
            log.info("only this machine can connect; for the LAN: --ws tcp:1919 --web tcp:1920")

    def _announce(self, scheme: str, address: Any) -> str:
        """Log where to go; returns the host that is listened on."""
        host, port = getattr(address, "host", ""), getattr(address, "port", 0)
        if not host:
            log.info("{scheme} at {address}", scheme=scheme, address=str(address))
            return ""
        self._access.ports.add(port)
        names = ["localhost"] if host in _LOOPBACK | _ANY else [host]
        names += [socket.gethostname()] if host in _ANY else []
        for name in names:
            shown = f"[{name}]" if ":" in name else name
            verb = "open" if scheme == "http" else "connect to"
            log.info(
                "{verb} {scheme}://{name}:{port}/",
                verb=verb,
                scheme=scheme,
                name=shown,
                port=port,
            )
        return str(host)

    def stopService(self) -> Deferred[Any]:
        """Twisted: end, within `STOP_TIMEOUT_S`.

        In this order: nobody comes in, what was accepted is delivered, everybody is told
        goodbye and is gone, the wheel that made sure of that stands still.
        """
        log.info("stopping: {count} connections", count=len(self._sockets.connections))
        super().stopService()
        closed = [maybeDeferred(port.stopListening) for _, port in self.ports]
        self.ports.clear()
        self._broker.drain()
        self._site.goodbye()
        gone = self._sockets.goodbye()
        everything: list[Deferred[Any]] = [*closed, gone]
        done: Deferred[Any] = DeferredList(everything, consumeErrors=True)
        done.addTimeout(STOP_TIMEOUT_S, self._reactor)  # which cancels what has not ended
        done.addCallback(self._stopped)
        return done

    def _stopped(self, outcomes: list[tuple[bool, Any]]) -> None:
        for ended, failure in outcomes:
            if not ended and not failure.check(CancelledError):
                log.failure("stopping", failure)
        if self._sockets.connections:
            log.warn("{count} connections did not end", count=len(self._sockets.connections))
        self._turning.stop()
        log.info("stopped")
