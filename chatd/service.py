"""The object graph, and the order in which it starts and stops; nothing else."""

from __future__ import annotations

import secrets
import socket
import time
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, DeferredList, fail, maybeDeferred
from twisted.internet.endpoints import serverFromString
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
from chatd.doors.journal import Journal
from chatd.doors.paths import Paths
from chatd.doors.site import ChatSite, Greet, WebSocketPath
from chatd.doors.websocket import ChatFactory
from chatd.errors import ConfigError
from chatd.process import most_descriptors

__all__ = ["STOP_TIMEOUT_S", "ChatService", "build"]

STOP_TIMEOUT_S = 9
"""The longest a stop may take, in seconds; what is not gone then is left to the kernel."""

_ANY = {"0.0.0.0", "::"}
_REFUSAL_LINES = (5, 20)  # a second, at once
_CONNECTION_LINES = (50, 1000)
_BACKLOG = 4096  # of connections not yet accepted, for when all come back at once

log = Logger()


def build(config: Config, reactor: Any) -> ChatService:
    """Put chatd together.

    Args:
        config: the settings.
        reactor: not yet running.

    Raises:
        ConfigError: the page cannot be read, an endpoint is none, or a setting does not fit
            this machine.
    """
    seconds = reactor.seconds
    wheel = Wheel(seconds)
    broker = MemoryBroker(
        later=lambda call: reactor.callLater(0, call),
        now_ms=lambda: time.time_ns() // 1_000_000,
        new_epoch=_new_id,
        most_pending=config.pending_messages,
        most_bytes=config.pending_bytes,
    )
    hub = Hub(broker)
    page = assets.load(Path(config.page) if config.page else assets.web_root(), own=not config.page)
    admission = Admission(
        most=_most_connections(config),
        most_per_address=config.connections_per_address,
        trusted_proxies=config.trusted_proxies,
    )
    access = Access(own_names(), public_url=config.public_url, allow_origin=config.allow_origin)
    journal = Journal(
        connections=Throttle(*_CONNECTION_LINES, seconds),
        refusals=Throttle(*_REFUSAL_LINES, seconds),
    )
    paths = Paths(config, hub, seconds=seconds, new_id=_new_id)
    sockets = ChatFactory(
        config,
        paths=paths,
        access=access,
        admission=admission,
        journal=journal,
        wheel=wheel,
        reactor=reactor,
    )
    upgrade = WebSocketPath(sockets)
    routes = {path.encode(): upgrade for path in paths.on_both_ports()}
    site = ChatSite(
        config,
        routes={**routes, b"/greet": Greet()},
        page=assets.PageResource(page),
        strict=page.own,
        access=access,
        admission=admission,
        journal=journal,
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
            *(_listener(reactor, config.where("ws"), "ws", each, sockets) for each in config.ws),
            *(_listener(reactor, config.where("web"), "http", each, site) for each in config.web),
        ],
    )


def _new_id() -> str:
    return secrets.token_hex(8)


def _is_loopback(host: str) -> bool:
    return bool(host) and ip_address(host).is_loopback


def _most_connections(config: Config) -> int:
    descriptors = most_descriptors()
    most, wanted = descriptors - RESERVE, max(config.connections, 1)
    if wanted > most:
        raise ConfigError(
            f"{config.where('connections')}: {wanted} need {wanted + RESERVE} descriptors, and "
            f"the process may have {descriptors}; see ulimit -n"
        )
    return config.connections or most


@dataclass(frozen=True, slots=True)
class Listener:
    """Where somebody is to be listened for.

    Args:
        said: who said what, for errors.
        scheme: of the addresses: ws, wss, http or https.
        endpoint: the place.
        factory: for whom.
    """

    said: str
    scheme: str
    endpoint: IStreamServerEndpoint
    factory: IProtocolFactory


def _listener(
    reactor: Any, where: str, scheme: str, words: str, factory: IProtocolFactory
) -> Listener:
    said = f"{where}: {words!r}"
    kind = words.partition(":")[0]
    tcp = kind in ("tcp", "tcp4", "tcp6", "ssl")
    backlog = f":backlog={_BACKLOG}" if tcp and ":backlog=" not in words else ""
    try:
        endpoint = serverFromString(reactor, words + backlog)
    except Exception as error:  # whatever the parser of each kind of endpoint stumbles over
        raise ConfigError(f"{said} is no endpoint: {error}") from None
    return Listener(said, f"{scheme}s" if kind == "ssl" else scheme, endpoint, factory)


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
        self._turning.clock = reactor  # or it would run on the global one

    def listen(self) -> None:
        """Listen everywhere, or nowhere.

        Done before twistd detaches: afterwards nobody would see what goes wrong.

        Raises:
            ConfigError: it cannot, at one place.
        """
        failures: list[Failure] = []
        for each in self._listeners:
            try:
                listening = each.endpoint.listen(each.factory)
            except Exception:  # some endpoints fail at once, some by their Deferred
                listening = fail(Failure())
            listening.addCallback(self._listening, each.scheme)
            listening.addErrback(failures.append)
            if failures:
                self._unlisten()
                error = getattr(failures[0].value, "socketError", failures[0].value)
                words = getattr(error, "strerror", None) or str(error)
                raise ConfigError(f"{each.said}: cannot listen: {words}")

    def _listening(self, port: IListeningPort, scheme: str) -> None:
        self.ports.append((scheme, port))
        number = getattr(port.getHost(), "port", None)
        if number is not None:
            self._access.ports.add(number)

    def _unlisten(self) -> list[Deferred[Any]]:
        ports, self.ports = self.ports, []
        return [maybeDeferred(port.stopListening) for _, port in ports]

    def startService(self) -> None:
        """Twisted: begin.

        Raises:
            ConfigError: it does not listen yet and cannot.
        """
        if not self.ports:  # started by somebody else than tap.py
            self.listen()
        super().startService()
        self._turning.start(TICK_S, now=False)
        log.info("chatd {version} started", version=__version__)
        if all(_is_loopback(getattr(port.getHost(), "host", "")) for _, port in self.ports):
            log.info("only this machine can connect; see the README for the LAN")
        for scheme, port in self.ports:
            self._announce(scheme, port.getHost())

    def _announce(self, scheme: str, address: Any) -> None:
        """Log where to go."""
        host, port = getattr(address, "host", ""), getattr(address, "port", 0)
        if not host:
            log.info("{scheme} at {address}", scheme=scheme, address=str(address))
            return
        names = ["localhost"] if _is_loopback(host) or host in _ANY else [host]
        names += [socket.gethostname()] if host in _ANY else []
        for name in names:
            shown = f"[{name}]" if ":" in name else name
            verb = "open" if scheme.startswith("http") else "connect to"
            log.info(
                "{verb} {scheme}://{name}:{port}/",
                verb=verb,
                scheme=scheme,
                name=shown,
                port=port,
            )

    def stopService(self) -> Deferred[Any]:
        """Twisted: end, within `STOP_TIMEOUT_S`.

        In this order: nobody comes in, what was accepted is delivered, everybody is told
        goodbye and is gone, the wheel that made sure of that stands still.
        """
        log.info("stopping: {count} connections", count=len(self._sockets.connections))
        super().stopService()
        closed = self._unlisten()
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
        if self._turning.running:  # not when it listened and was never started
            self._turning.stop()
        log.info("stopped")
