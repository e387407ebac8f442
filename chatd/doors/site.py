"""The web site: which path is what, how long anything may take, and what every answer says.

twisted.web parses HTTP. It has no limit of body size, deadlines that each byte moves on, and no
security headers; `ChatRequest` and `ChatChannel` add them. A path is looked up whole in a table,
never joined or walked. A WebSocket path hands its socket to the WebSocket door.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from io import BytesIO
from typing import Any

from twisted.internet.interfaces import IAddress, IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.protocols.policies import ProtocolWrapper
from twisted.python.failure import Failure
from twisted.web.error import UnsupportedMethod
from twisted.web.http import HTTPChannel
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET, Request, Site
from zope.interface import implementer

from chatd.config import Config
from chatd.core.outbox import PIECE_BYTES
from chatd.core.wheel import Deadline, Wheel
from chatd.doors.access import Access
from chatd.doors.admission import Admission
from chatd.doors.link import host_of, peer_name
from chatd.doors.refusals import Refusals
from chatd.doors.websocket import ChatFactory

__all__ = ["ChatChannel", "ChatRequest", "ChatSite", "Greet", "WebSocketPath"]

_HOST = re.compile(rb"[A-Za-z0-9.-]+(:[0-9]+)?|\[[0-9A-Fa-f:.]+\](:[0-9]+)?")

_PHRASES = {
    400: b"Bad Request",
    403: b"Forbidden",
    405: b"Method Not Allowed",
    413: b"Content Too Large",
    426: b"Upgrade Required",
}

_EVERYWHERE = (
    (b"server", b"chatd"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=(), payment=(), usb=()"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)

_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    b"media-src 'self'; manifest-src 'self'; connect-src 'self'%s; form-action 'self'; "
    b"base-uri 'none'; frame-ancestors 'none'; "
    b"require-trusted-types-for 'script'; trusted-types 'none'"
)


class ChatRequest(Request):
    """A request that is judged before it is looked at, and an answer that is hardened."""

    channel: ChatChannel
    site: ChatSite
    content: Any

    def gotLength(self, length: int | None) -> None:
        """Twisted: the headers are read; a body of `length`, or chunks if None, follows."""
        # The original writes large and chunked bodies to a temporary file, for any path.
        self.content = BytesIO()
        if length is not None and length > self.channel.site.config.body_bytes:
            self.channel.refuse(413)

    def handleContentChunk(self, data: bytes) -> None:
        """Twisted: a piece of the body."""
        if self.content.tell() + len(data) > self.channel.site.config.body_bytes:
            self.channel.refuse(413)
        else:
            self.content.write(data)

    def process(self) -> None:
        """Twisted: the request is here, whole."""
        site = self.channel.site
        hosts, origins = (
            self.requestHeaders.getRawHeaders(name, []) for name in (b"host", b"origin")
        )
        if len(hosts) != 1 or len(origins) > 1:
            self.channel.refuse(400)
            return
        host = hosts[0].decode("latin-1")
        origin = origins[0].decode("latin-1") if origins else None
        refused = site.access.refuse(host, origin)
        if refused is not None:
            site.refusals.forbidden(peer_name(self.channel.getPeer()), refused)
            self.answer(403, b"this page or host name is not allowed; chatd's log says how to")
            return
        super().process()

    def render(self, resrc: IResource) -> None:
        """Twisted: have a resource answer. The original has pages of its own for errors."""
        try:
            body = resrc.render(self)
        except UnsupportedMethod as error:
            self.setHeader(b"allow", b", ".join(error.allowedMethods))
            self.answer(405, b"this is only to be read")
            return
        if body is NOT_DONE_YET:
            return
        if not self.responseHeaders.hasHeader(b"content-length"):
            self.setHeader(b"content-length", b"%d" % len(body))
        _Pieces(self, b"" if self.method == b"HEAD" else body).begin()

    def answer(self, status: int, words: bytes) -> None:
        """Answer with an error in a few words."""
        self.setResponseCode(status, _PHRASES[status])
        self.setHeader(b"content-type", b"text/plain; charset=utf-8")
        self.setHeader(b"content-length", b"%d" % (len(words) + 1))
        self.write(b"" if self.method == b"HEAD" else words + b"\n")
        self.finish()

    def write(self, data: bytes) -> None:
        """Twisted: some of the answer."""
        if not self.startedWriting:
            for name, value in _EVERYWHERE:
                self.setHeader(name, value)
            if self.channel.site.strict:
                self.setHeader(b"content-security-policy", self._policy())
        super().write(data)

    def _policy(self) -> bytes:
        host = self.requestHeaders.getRawHeaders(b"host", [b""])[0]
        # Older Safari takes 'self' for http only, so the two are named when the name is sound.
        sound = _HOST.fullmatch(host) is not None
        return _POLICY % (b" ws://%s wss://%s" % (host, host) if sound else b"")


@implementer(IPushProducer)
class _Pieces:
    """A body on its way, a piece at a time: whole, it would be copied for each slow reader.

    Args:
        request: what it answers; finished at the end.
        body: kept until then; shared by all who get it.
    """

    def __init__(self, request: ChatRequest, body: bytes) -> None:
        self._request = request
        self._body = memoryview(body)
        self._at = 0
        self._paused = False

    def begin(self) -> None:
        """Send what the transport takes, and the rest when it has."""
        self._request.registerProducer(self, True)
        self.resumeProducing()

    def resumeProducing(self) -> None:
        """Twisted: the transport has sent everything."""
        self._paused = False
        while self._at < len(self._body) and not self._paused:
            piece = self._body[self._at : self._at + PIECE_BYTES]
            self._at += len(piece)
            self._request.write(bytes(piece))
        if not self._paused:
            self._request.unregisterProducer()
            self._request.finish()

    def pauseProducing(self) -> None:
        """Twisted: the transport is above high water."""
        self._paused = True

    def stopProducing(self) -> None:
        """Twisted: the connection is gone."""
        self._paused = True


class ChatChannel(HTTPChannel):
    """One HTTP connection, whose deadlines no byte moves on.

    A request must be here whole `request_timeout_s` after its first byte, or the connection's
    beginning; its answer must be taken, and the next request have begun, `response_timeout_s`
    later.
    """

    site: ChatSite
    transport: Any
    arrived_from = ""
    maxHeaders = 64
    requestFactory = ChatRequest

    def connectionMade(self) -> None:
        """Twisted: a socket is there."""
        super().connectionMade()
        self._due: Deadline | None = None
        self._deaf = False
        self._arriving = True
        self.site.channels.add(self)
        self._expect(self.site.config.request_timeout_s)

    def dataReceived(self, data: bytes) -> None:
        """Twisted: bytes came."""
        if self._deaf:
            return
        if not self._arriving:
            self._arriving = True
            self._expect(self.site.config.request_timeout_s)
        super().dataReceived(data)

    def allContentReceived(self) -> None:
        """Twisted: a request is here, whole."""
        self._arriving = False
        self._expect(self.site.config.response_timeout_s)
        if not self._deaf:
            super().allContentReceived()

    def pauseProducing(self) -> None:
        """Twisted: the transport is above high water.

        The original goes on with the requests it has read: a packet full of them would be
        answered into a buffer without limit.
        """
        super().pauseProducing()
        self.paused = True
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """Twisted: the transport has sent everything."""
        self.paused = False
        super().resumeProducing()
        rest = self.clearLineBuffer()
        if rest:
            self.dataReceived(rest)

    def refuse(self, status: int) -> None:
        """Answer a request before it is whole, and take nothing more."""
        if self._deaf:
            return
        self._deaf = True
        phrase = _PHRASES[status]
        self.site.refusals.refused(peer_name(self.getPeer()), status, phrase.decode())
        self.transport.write(
            b"HTTP/1.1 %d %s\r\nServer: chatd\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            % (status, phrase)
        )
        # Closing at once would reset the connection under the feet of somebody still sending,
        # and the answer might never be read.
        self._expect(self.site.config.close_timeout_s)

    def hand_over(self, protocol: Protocol) -> None:
        """Give the socket to another protocol; this channel is done."""
        transport = self.transport
        self._leave()
        self.transport = None
        if isinstance(transport, ProtocolWrapper):  # TLS
            transport.wrappedProtocol = protocol
        else:
            transport.protocol = protocol
        protocol.makeConnection(transport)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Twisted: the socket is gone."""
        self._leave()
        super().connectionLost(reason)
        self.site.admission.depart(self.arrived_from)

    def _leave(self) -> None:
        if self._due is not None:
            self._due.cancel()
        self.site.channels.discard(self)

    def _expect(self, delay_s: float) -> None:
        if self._due is not None:
            self._due.cancel()
        self._due = self.site.wheel.after(delay_s, self.end)

    def end(self) -> None:
        """Close the connection: politely, and then for certain."""
        self.loseConnection()
        self._due = self.site.wheel.after(
            self.site.config.linger_timeout_s, self.transport.abortConnection
        )


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
        if not request.requestHeaders.hasHeader(b"upgrade"):
            request.setHeader(b"upgrade", b"websocket")
            request.answer(426, b"this is a WebSocket; connect to it with ws://")
            return NOT_DONE_YET
        channel = request.channel
        # What was sent before the answer would vanish between the two parsers (RFC 6455 4.1
        # has the client wait), and a body has no place in a handshake.
        if channel.clearLineBuffer() or request.content.read():
            channel.refuse(400)
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
        refusals: logs who was refused.
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
        refusals: Refusals,
        wheel: Wheel,
        reactor: Any,
    ) -> None:
        super().__init__(page, timeout=None, reactor=reactor, parsePOSTFormSubmission=False)
        self.config = config
        self.strict = strict
        self.access = access
        self.admission = admission
        self.refusals = refusals
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
