"""Twisted's connected socket without the bytes that are kept for each and read for none."""

from __future__ import annotations

from typing import Any

from twisted.internet.tcp import Port, Server

__all__ = ["LeanServer", "make_lean"]


class _Unkept:
    """An attribute that is made when it is read, and what it is set to is dropped."""

    def __set__(self, server: LeanServer, value: object) -> None: ...


class _Hostname(_Unkept):
    def __get__(self, server: LeanServer, owner: type | None = None) -> Any:
        return server.client[0]


class _Shown(_Unkept):
    def __get__(self, server: LeanServer, owner: type | None = None) -> Any:
        return f"<{type(server).__name__} #{server.sessionno} from {server.client[0]}>"


class LeanServer(Server):
    """`twisted.internet.tcp.Server` with slots.

    What it calls itself in a traceback's line is made when there is one, and what a line of the
    log begins with is the address, which is there already.
    """

    # `fileno` is not among them: the original deletes it to uncover a method of the same name.
    __slots__ = (
        "_tempDataBuffer",
        "_tempDataLen",
        "bufferSize",
        "client",
        "connected",
        "dataBuffer",
        "offset",
        "producer",
        "protocol",
        "reactor",
        "server",
        "sessionno",
        "socket",
        "streamingProducer",
    )

    hostname: Any = _Hostname()
    logstr: Any = _Hostname()
    repstr: Any = _Shown()

    def __init__(self, *arguments: Any) -> None:
        self.bufferSize = Server.bufferSize
        self.dataBuffer = Server.dataBuffer
        self.offset = Server.offset
        self.producer = Server.producer
        self.streamingProducer = Server.streamingProducer
        self.connected = Server.connected
        super().__init__(*arguments)


def make_lean(port: object) -> None:
    """Have a TCP port make its connections so from now on; nothing where it is no such port."""
    if type(port) is Port:
        port.transport = LeanServer  # type: ignore[assignment]  # a subclass will do
