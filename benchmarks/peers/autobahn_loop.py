"""Autobahn on Twisted, as its examples do it: a loop with `sendMessage` or `sendPreparedMessage`.

The second argument, `prepared`, asks for the latter.
"""

from __future__ import annotations

import sys

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol


class _Everybody(WebSocketServerFactory):
    def __init__(self, prepared: bool) -> None:
        super().__init__()
        self.prepared = prepared
        self.open: set[_Protocol] = set()

    def broadcast(self, payload: bytes, isBinary: bool) -> None:
        """Send a message to all."""
        if self.prepared:
            message = self.prepareMessage(payload, isBinary)
            for each in self.open:
                each.sendPreparedMessage(message)
        else:
            for each in self.open:
                each.sendMessage(payload, isBinary)


class _Protocol(WebSocketServerProtocol):
    factory: _Everybody

    def onOpen(self) -> None:
        """Autobahn: the handshake is done."""
        self.factory.open.add(self)
        self.sendMessage(b"connected to WebSocket server")

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """Autobahn: a message came."""
        self.factory.broadcast(payload, isBinary)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        """Autobahn: it is closed."""
        self.factory.open.discard(self)


def _main(port: int, prepared: bool) -> None:
    from twisted.internet import reactor

    factory = _Everybody(prepared)
    factory.protocol = _Protocol
    reactor.listenTCP(port, factory, interface="127.0.0.1")
    reactor.run()


if __name__ == "__main__":
    _main(int(sys.argv[1]), sys.argv[2:] == ["prepared"])
