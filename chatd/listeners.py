"""Where it is listened: endpoints to ports, all or none, and what the log says of them."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from twisted.internet.defer import Deferred, fail, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocolFactory,
    IStreamServerEndpoint,
)
from twisted.internet.protocol import Factory
from twisted.internet.tcp import Port
from twisted.logger import Logger
from twisted.python.failure import Failure

from chatd.config import Config
from chatd.errors import ConfigError

__all__ = ["Listener", "Listeners", "parse"]

_ANY = {"0.0.0.0", "::"}
_BACKLOG = 4096  # of connections not yet accepted, for when all come back at once

log = Logger()


@dataclass(frozen=True, slots=True)
class Listener:
    """Where somebody is to be listened for.

    Args:
        said: who said what, for errors.
        is_web: whether it is the site's, or else the WebSocket server's.
        scheme: of the addresses: ws, wss, http or https.
        endpoint: the place.
    """

    said: str
    is_web: bool
    scheme: str
    endpoint: IStreamServerEndpoint


def parse(config: Config, reactor: Any) -> list[Listener]:
    """Read what the settings say of endpoints. Nothing is listened at yet.

    Args:
        config: the settings.
        reactor: for the endpoints.

    Raises:
        ConfigError: one is no endpoint.
    """
    ws, web = config.where("ws"), config.where("web")
    return [
        *(_listener(reactor, ws, "ws", each) for each in config.ws),
        *(_listener(reactor, web, "http", each) for each in config.web),
    ]


def _listener(reactor: Any, where: str, scheme: str, words: str) -> Listener:
    said = f"{where}: {words!r}"
    kind = words.partition(":")[0]
    tcp = kind in ("tcp", "tcp4", "tcp6", "ssl")
    backlog = f":backlog={_BACKLOG}" if tcp and ":backlog=" not in words else ""
    try:
        endpoint = serverFromString(reactor, words + backlog)
    except Exception as error:  # whatever the parser of each kind of endpoint stumbles over
        example = f"tcp:{words}" if words.isdecimal() else "tcp:1919"
        raise ConfigError(f"{said} is no endpoint: {error}; e.g. {example}") from None
    return Listener(said, scheme == "http", f"{scheme}s" if kind == "ssl" else scheme, endpoint)


class _Gate(Factory):
    """Stands at a port until what is behind it is there; meanwhile who comes is sent away.

    Nobody comes before the reactor runs: until then the kernel keeps them waiting.
    """

    noisy = False

    def __init__(self, name: str) -> None:
        self._name = name
        self._behind: IProtocolFactory | None = None

    def logPrefix(self) -> str:
        """Twisted: what its lines of the log begin with."""
        return self._name

    def lead_to(self, behind: IProtocolFactory) -> None:
        """Let everybody through to this."""
        self._behind = behind
        if self.numPorts:
            behind.doStart()

    def stopFactory(self) -> None:
        """Twisted: the last port is closed."""
        if self._behind is not None:
            self._behind.doStop()

    def buildProtocol(self, addr: Any) -> Any:
        """Twisted: somebody came."""
        return None if self._behind is None else self._behind.buildProtocol(addr)


class Listeners:
    """All ports.

    Args:
        listeners: opened together or not at all.
    """

    def __init__(self, listeners: Iterable[Listener]) -> None:
        self._listeners = tuple(listeners)
        self._sockets = _Gate("WebSocket server")
        self._site = _Gate("web site")
        self.ports: list[tuple[str, IListeningPort]] = []
        """Scheme and port of each, while they are open."""

    def open(self) -> None:
        """Listen everywhere, or nowhere. Those who come wait; see `lead_to`.

        Raises:
            ConfigError: it cannot, at one place.
        """
        failures: list[Failure] = []
        for each in self._listeners:
            try:
                listening = each.endpoint.listen(self._site if each.is_web else self._sockets)
            except Exception:  # some endpoints fail at once, some by their Deferred
                listening = fail(Failure())
            listening.addCallback(self._listening, each.scheme)
            listening.addErrback(failures.append)
            if failures:
                self.abandon()
                error = getattr(failures[0].value, "socketError", failures[0].value)
                words = getattr(error, "strerror", None) or str(error)
                if getattr(error, "errno", None) == errno.EADDRINUSE:
                    words += "; stop what listens there (another chatd?), or choose another"
                raise ConfigError(f"{each.said}: cannot listen: {words}")

    def lead_to(self, *, sockets: IProtocolFactory, site: IProtocolFactory) -> list[int]:
        """Say who is connected to whom, before the reactor runs.

        Args:
            sockets: for those who come to the WebSocket server.
            site: for those who come to the web site.

        Returns:
            The number of each port that has one.
        """
        self._sockets.lead_to(sockets)
        self._site.lead_to(site)
        numbers = [getattr(port.getHost(), "port", None) for _, port in self.ports]
        return [number for number in numbers if number is not None]

    def hold(self, on: bool) -> None:
        """Have the kernel keep those who come waiting, or go on to accept them."""
        for _, port in self.ports:
            if isinstance(port, Port):
                if on:
                    port.stopReading()
                else:
                    port.startReading()

    def abandon(self) -> None:
        """Listen nowhere, when the reactor will never run: leave no Unix socket behind."""
        ports, self.ports = self.ports, []
        for _, port in ports:
            if isinstance(port, Port):
                # What stopListening puts off to the next turn, which would never come.
                port.connectionLost(Failure(ConnectionDone()))
            else:
                port.stopListening()

    def close(self) -> list[Deferred[Any]]:
        """Listen nowhere; what is returned fires as each port is closed."""
        ports, self.ports = self.ports, []
        return [maybeDeferred(port.stopListening) for _, port in ports]

    def announce(self) -> None:
        """Log where to go."""
        if all(_is_loopback(getattr(port.getHost(), "host", "")) for _, port in self.ports):
            log.info("only this machine can connect; see the README for the LAN")
        for scheme, port in self.ports:
            _announce(scheme, port.getHost())

    def _listening(self, port: IListeningPort, scheme: str) -> None:
        self.ports.append((scheme, port))


def _announce(scheme: str, address: Any) -> None:
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


def _is_loopback(host: str) -> bool:
    return bool(host) and ip_address(host).is_loopback
