"""The web site: which path is what, and the registry of its connections.

A path is looked up whole in a table, never joined or walked. A WebSocket path hands its socket to
the WebSocket door. HTTP itself is `channel.py`'s business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.interfaces import IAddress
from twisted.web.error import UnsupportedMethod
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from chatd.config import Config
from chatd.core.wheel import Wheel
from chatd.doors.access import Access
from chatd.doors.admission import Admission
from chatd.doors.channel import ChatChannel, ChatRequest
from chatd.doors.journal import Journal
from chatd.doors.link import host_of
from chatd.doors.websocket import ChatFactory

__all__ = ["ChatSite", "Greet", "WebSocketPath"]


class Greet(Resource):
    """`GET /greet` of the Bun demo."""

    isLeaf = True

    def render_GET(self, request: Request) -> bytes:
        """Say hello."""
        request.setHeader(b"content-type", b"text/plain; charset=utf-8")
        request.setHeader(b"cache-control", b"no-store")
        return b"Hello chatd!"


class WebSocketPath(Resource):
    """A path at which a WebSocket can be opened.

    Args:
        factory: makes the protocol that takes the socket over.
    """

    isLeaf = True

    def __init__(self, factory: ChatFactory) -> None:
        super().__init__()
        self._factory = factory

    def render_GET(self, request: ChatRequest) -> bytes | int:
        """Hand the socket over, with the request as it came."""
        if request.method != b"GET":  # Twisted has HEAD rendered as GET
            raise UnsupportedMethod([b"GET"])
        if not request.requestHeaders.hasHeader(b"upgrade"):
            request.setHeader(b"upgrade", b"websocket")
            request.answer(426)
            return NOT_DONE_YET
        channel = request.channel
        # What was sent before the answer would vanish between the two parsers (RFC 6455 4.1
        # has the client wait), and a body has no place in a handshake.
        if channel.clearLineBuffer() or request.content.read():
            channel.refuse(400, "data before the handshake was answered")
            return NOT_DONE_YET
        lines = [b"GET %s %s" % (request.uri, request.clientproto)]
        for name, values in request.requestHeaders.getAllRawHeaders():
            lines += [b"%s: %s" % (name, value) for value in values]
        protocol = self._factory.adopt(channel.arrived_from)
        channel.hand_over(protocol)
        protocol.dataReceived(b"\r\n".join(lines) + b"\r\n\r\n")
        return NOT_DONE_YET


class ChatSite(Site):
    """The web site.

    Args:
        config: the settings.
        routes: resources by their whole path.
        page: the resource for every other path.
        strict: whether answers carry the Content-Security-Policy of our own page.
        access: which pages and host names are ours.
        admission: counts sockets, those of the WebSocket port too.
        is_banned: whether nobody may come in from an address.
        journal: logs who was refused.
        wheel: for all deadlines.
        reactor: for the time.
    """

    noisy = False
    protocol: Any = ChatChannel
    requestFactory = ChatRequest

    def __init__(
        self,
        config: Config,
        *,
        routes: Mapping[bytes, IResource],
        page: IResource,
        strict: bool,
        access: Access,
        admission: Admission,
        is_banned: Callable[[str], bool],
        journal: Journal,
        wheel: Wheel,
        reactor: Any,
    ) -> None:
        super().__init__(page, timeout=None, reactor=reactor, parsePOSTFormSubmission=False)
        self.config = config
        self.strict = strict
        self.access = access
        self.admission = admission
        self.is_banned = is_banned
        self.journal = journal
        self.wheel = wheel
        self.channels: set[ChatChannel] = set()
        self.closing = False
        self._routes = routes

    def startFactory(self) -> None:
        """Twisted: a port listens. The original starts an access log and a timer for it."""

    def stopFactory(self) -> None:
        """Twisted: the last port is closed."""

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """Twisted: a socket came; None closes it."""
        host = host_of(addr)
        if self.closing or not self.admission.arrive(host):
            return None
        channel = super().buildProtocol(addr)
        channel.arrived_from = host
        return channel

    def getResourceFor(self, request: Request) -> IResource:
        """Twisted: what answers a request."""
        return self._routes.get(request.path, self.resource)

    def goodbye(self) -> None:
        """Let nobody in any more and end every connection."""
        self.closing = True
        for channel in list(self.channels):
            channel.end()
