"""Whether chatd could listen where it is told to, found out before the process detaches.

`twistd` binds after it has become a daemon, when nobody sees what goes wrong. So each endpoint is
tried first: Twisted's own parser and endpoint classes run against a reactor that binds and lets
go at once.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from typing import Any

from twisted.internet.endpoints import serverFromString
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from chatd.errors import ConfigError

__all__ = ["check_endpoints"]


def check_endpoints(flag: str, endpoints: Iterable[str]) -> None:
    """Try to listen, and stop.

    Args:
        flag: how the endpoints were given, for the error.
        endpoints: Twisted's endpoint strings.

    Raises:
        ConfigError: a string is none, or nobody can listen there.
    """
    trial: Any = _Trial()
    failures: list[Failure] = []
    for each in endpoints:
        try:
            endpoint = serverFromString(trial, each)
        except Exception as error:  # whatever the parser of each kind of endpoint stumbles over
            raise ConfigError(f"--{flag}: {each!r} is no endpoint: {error}") from None
        endpoint.listen(Factory()).addErrback(failures.append)
        if failures:
            reason = failures[0].value
            words = getattr(reason, "strerror", None) or str(reason)
            raise ConfigError(f"--{flag}: cannot listen on {each!r}: {words}")


class _Trial:
    """A reactor that can only try to listen."""

    def listenTCP(self, port: int, factory: object, backlog: int = 50, interface: str = "") -> None:
        """Bind as Twisted will, and let go."""
        if not 0 <= port <= 65535:
            raise ValueError("a port is a number from 0 to 65535")
        family = socket.AF_INET6 if ":" in interface else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((interface, port))
            trial.listen(1)

    def listenSSL(
        self,
        port: int,
        factory: object,
        contextFactory: object,
        backlog: int = 50,
        interface: str = "",
    ) -> None:
        """The same as without TLS; the certificate was read by the parser."""
        self.listenTCP(port, factory, backlog, interface)

    def listenUNIX(
        self,
        address: str,
        factory: object,
        backlog: int = 50,
        mode: int = 0o666,
        wantPID: bool = False,
    ) -> None:
        """Look at the folder; a stale socket is Twisted's to judge, by its lock."""
        folder = os.path.dirname(address) or "."
        if not os.access(folder, os.W_OK):
            raise ValueError(f"cannot write to the folder {folder!r}")

    def adoptStreamPort(self, fileDescriptor: int, addressFamily: int, factory: object) -> None:
        """A socket of systemd's, which listens already."""
