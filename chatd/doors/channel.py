"""twisted.web's request and channel, with what it leaves open closed.

twisted.web has no limit of body size, deadlines that each byte moves on, answers to requests that
came together without a look at whether anybody takes them, pages of its own for errors, and no
security headers. Each is mended here by one override; tests/test_channel.py has a test for each
that fails without it.
"""

from __future__ import annotations

import re
from io import BytesIO
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.protocols.policies import ProtocolWrapper
from twisted.python.failure import Failure
from twisted.web.error import UnsupportedMethod
from twisted.web.http import HTTPChannel
from twisted.web.resource import IResource
from twisted.web.server import NOT_DONE_YET, Request
from zope.interface import implementer

from chatd.core.outbox import PIECE_BYTES
from chatd.core.wheel import Deadline
from chatd.doors.answers import ANSWERS
from chatd.doors.link import host_of, peer_name

if TYPE_CHECKING:
    from chatd.doors.site import ChatSite

__all__ = ["ChatChannel", "ChatRequest"]

_HOST = re.compile(rb"[A-Za-z0-9.-]+(:[0-9]+)?|\[[0-9A-Fa-f:.]+\](:[0-9]+)?")

_EVERYWHERE = (
    (b"server", b"chatd"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
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
    is_ours = False
    """Whether the answer carries the policy of our own page, whosever the site's page is."""

    def gotLength(self, length: int | None) -> None:
        """Twisted: the headers are read; a body of `length`, or chunks if None, follows."""
        # The original writes large and chunked bodies to a temporary file, for any path.
        self.content = BytesIO()
        if length is not None and length > self.channel.site.config.body_bytes:
            self.channel.refuse(413, "a body over the limit")

    def handleContentChunk(self, data: bytes) -> None:
        """Twisted: a piece of the body."""
        if self.content.tell() + len(data) > self.channel.site.config.body_bytes:
            self.channel.refuse(413, "a body over the limit")
        else:
            self.content.write(data)

    def process(self) -> None:
        """Twisted: the request is here, whole."""
        site = self.channel.site
        hosts, origins = (
            self.requestHeaders.getRawHeaders(name, []) for name in (b"host", b"origin")
        )
        if len(hosts) != 1 or len(origins) > 1:
            self.channel.refuse(400, "not one Host, or several Origins")
            return
        host = hosts[0].decode("latin-1")
        origin = origins[0].decode("latin-1") if origins else None
        refused = site.access.refuse(host, origin)
        if refused is not None:
            site.journal.forbidden(peer_name(self.channel.getPeer()), refused)
            self._answer(403)
            return
        # Who is banned may look at the page, and neither sign in nor do anything else.
        if self.method == b"POST" and site.is_banned(host_of(self.channel.getPeer())):
            self.answer(403)
            return
        super().process()

    def render(self, resrc: IResource) -> None:
        """Twisted: have a resource answer. The original has pages of its own for errors."""
        try:
            body = resrc.render(self)
        except UnsupportedMethod as error:
            self.setHeader(b"allow", b", ".join(error.allowedMethods))
            self.answer(405)
            return
        if body is NOT_DONE_YET:
            return
        if not self.responseHeaders.hasHeader(b"content-length"):
            self.setHeader(b"content-length", b"%d" % len(body))
        _Pieces(self, b"" if self.method == b"HEAD" else body).begin()

    def answer(self, status: int) -> None:
        """Answer with an error, and log it."""
        who = peer_name(self.channel.getPeer())
        self.channel.site.journal.refused(who, status, self.path.decode("latin-1"))
        self._answer(status)

    def _answer(self, status: int) -> None:
        phrase, words = ANSWERS[status]
        body = f"{words}\n".encode()
        self.setResponseCode(status, phrase.encode())
        self.setHeader(b"content-type", b"text/plain; charset=utf-8")
        self.setHeader(b"content-length", b"%d" % len(body))
        self.write(b"" if self.method == b"HEAD" else body)
        self.finish()

    def write(self, data: bytes) -> None:
        """Twisted: some of the answer."""
        if not self.startedWriting:
            for name, value in _EVERYWHERE:
                self.setHeader(name, value)
            if self.channel.site.strict or self.is_ours:
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
        self._begun = False
        self.site.channels.add(self)
        self._expect(self.site.config.request_timeout_s)

    def dataReceived(self, data: bytes) -> None:
        """Twisted: bytes came."""
        if self._deaf:
            return
        if not self.paused:  # else it only waits, behind an answer that has its own deadline
            if not self._arriving:
                self._arriving = True
                self._expect(self.site.config.request_timeout_s)
            self._begun = True
        super().dataReceived(data)

    def headerReceived(self, line: bytes) -> bool:
        """Twisted: a header line. A length of thousands of digits makes the original raise."""
        try:
            return bool(super().headerReceived(line))
        except ValueError:
            self.refuse(400, "a header that is none")
            return False

    def lineLengthExceeded(self, line: bytes) -> None:
        """Twisted: a line over 16 KiB. The original closes without a word."""
        self.refuse(431, "a line over the limit")

    def _respondToBadRequestAndDisconnect(self) -> None:
        """Twisted: a request is none, or its headers are too many or too large."""
        large = self._receivedHeaderSize > self.totalHeadersSize
        if large or self._receivedHeaderCount > self.maxHeaders:
            self.refuse(431, "headers over the limit")
        else:
            self.refuse(400, "not a request")

    def _send100Continue(self) -> None:
        """Twisted: the body is awaited, unless it was refused."""
        if not self._deaf:
            super()._send100Continue()

    def allContentReceived(self) -> None:
        """Twisted: a request is here, whole."""
        self._arriving = self._begun = False
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

    def refuse(self, status: int, why: str) -> None:
        """Answer a request before it is whole, log why, and take nothing more."""
        if self._deaf:
            return
        self._deaf = True
        self.clearLineBuffer()  # or the parser would go on with the lines it has
        phrase = ANSWERS[status][0].encode()
        self.site.journal.refused(peer_name(self.getPeer()), status, why)
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
        # Or they would keep each other and the socket alive until somebody looks for garbage.
        for request in self.requests:
            request.channel = None
        self.requests = []
        self._networkProducer = None  # type: ignore[assignment]  # as it was before the first
        if isinstance(transport, ProtocolWrapper):  # TLS
            transport.wrappedProtocol = protocol
        else:
            transport.protocol = protocol
        protocol.makeConnection(transport)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Twisted: the socket is gone."""
        self._leave()
        super().connectionLost(reason)
        self.transport.unregisterProducer()  # over TLS it would keep the channel
        self.site.admission.depart(self.arrived_from)

    def _leave(self) -> None:
        if self._due is not None:
            self._due.cancel()
        self.site.channels.discard(self)

    def _expect(self, delay_s: float) -> None:
        if self._due is not None:
            self._due.cancel()
        self._due = self.site.wheel.after(delay_s, self._late)

    def _late(self) -> None:
        if self._begun and not self._deaf:
            who = peer_name(self.getPeer())
            self.site.journal.refused(who, 408, "request not finished in time")
        self.end()

    def end(self) -> None:
        """Close the connection: politely, and then for certain.

        TLS goes on reading until the other side agrees, and nothing of it may move a deadline.
        """
        self._deaf = True
        if self._due is not None:
            self._due.cancel()
        self.loseConnection()
        self._due = self.site.wheel.after(
            self.site.config.linger_timeout_s, self.transport.abortConnection
        )
