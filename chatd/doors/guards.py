"""Autobahn's server protocol with its holes closed.

Autobahn parses and keeps the state of RFC 6455. What it lets a stranger do is closed here, each
hole by one override whose docstring names it; tests/test_guards.py has a test for each that goes
red without it; those of the opening handshake are closed in `handshake.py`. What is said over the
connection is not this module's business: `websocket.py` fills in what is marked so, here and there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from chatd.core.throttle import Throttle
from chatd.core.wheel import Deadline
from chatd.doors.handshake import HandshakeProtocol
from chatd.doors.link import peer_name, set_no_delay
from chatd.doors.reading import FrameReader, Message
from chatd.errors import INTERNAL, LOST, POLICY, Close
from chatd.wire.frames import BINARY

__all__ = ["OPTIONS", "GuardedProtocol"]

log = Logger()

OPTIONS: dict[str, Any] = {
    "versions": [13],
    "webStatus": False,  # or GET /?redirect=… redirects anywhere
    "failByDrop": False,  # or a peer never learns why
    "echoCloseCodeReason": True,  # as the demo's server did, and RFC 6455 5.5.1 suggests
    "openHandshakeTimeout": 0,  # these three are the wheel's
    "closeHandshakeTimeout": 0,
    "autoPingInterval": 0,
    "allowedOrigins": ["*"],  # judged in `judge`, exactly; patterns let too much in
    "allowNullOrigin": True,
    "trustXForwardedFor": 0,
    "serveFlashSocketPolicy": False,
}
"""For `setProtocolOptions`, with the limits of size, in one call: each call sets
`allowNullOrigin` anew."""

_LARGEST_CONTROL = 125  # RFC 6455 5.5
_PIECES = 64  # of a frame that are kept apart; more are joined
_LAST_FRAMES = 64  # that are read after our Close, of which the peer's should be one


class GuardedProtocol(FrameReader, HandshakeProtocol):
    """One connection, from its first byte to its last."""

    __slots__ = (
        "_controls",
        "_deaf",
        "_due",
        "_fragments",
        "_last_frames",
        "_messages",
        "_under_way",
        "heard",
        "lost_because",
    )

    factory: Any
    transport: Any
    message_data: Any
    frame_data: Any
    localCloseReason: Any
    localCloseCode: Any
    _transport_details: Any  # on which the bases do not agree

    # What the subclass fills in

    def opened(self) -> None:
        """The handshake is done."""
        raise NotImplementedError

    def received(self, payload: bytes, binary: bool) -> None:
        """A whole message, within the limits; valid UTF-8 unless `binary`. May raise."""
        raise NotImplementedError

    def all_received(self) -> None:
        """That was all that came at once. May raise."""
        raise NotImplementedError

    def code_of(self, close: Close) -> int:
        """The code that the peer knows a close by."""
        raise NotImplementedError

    def takes_pongs(self) -> bool:
        """Whether the peer reads what is sent to it."""
        raise NotImplementedError

    def silenced(self) -> None:
        """A Close was sent: nothing may be sent after it."""
        raise NotImplementedError

    def ended(self) -> None:
        """The connection is gone; called once, opened or not."""
        raise NotImplementedError

    # Opening

    def connectionMade(self) -> None:
        """Twisted: a socket is there.

        Hole: Autobahn reads its own option before it is set, so TCP_NODELAY never is.
        """
        config = self.factory.config
        self.who = peer_name(self.transport.getPeer())
        self.lost_because = LOST
        self._controls = Throttle(
            config.control_per_s, config.control_burst, self.factory.reactor.seconds
        )
        self._due: Deadline | None = None
        self._head = bytearray()
        self._fragments = 0
        self._messages = 0
        self._under_way = 0
        self._last_frames = _LAST_FRAMES
        self.heard = False
        self._deaf = False
        super().connectionMade()
        set_no_delay(self.transport)
        self.expect(config.handshake_timeout_s, self.handshake_too_slow)

    def dataReceived(self, data: bytes) -> None:
        """Twisted: bytes came.

        Hole: an exception leaves a broken parser behind an open connection.
        """
        self.heard = True
        try:
            if self.state == self.STATE_CONNECTING:
                self.handshake_received(data)
            elif self.state != self.STATE_CLOSED and not self._deaf:
                self.read(data)
        except Exception:
            log.failure("reading from {peer} failed", peer=self.who)
            self.drop()

    def onOpen(self) -> None:
        """Autobahn: the handshake is done.

        Hole: exceptions vanish in a Deferred.
        """
        try:
            self.opened()
        except Exception:
            self._failed("opening")

    # Reading

    def onMessageBegin(self, isBinary: bool) -> None:
        """Autobahn: the first frame of a message."""
        self._fragments = 0
        self._messages += 1
        super().onMessageBegin(isBinary)

    def onFrameBegin(self) -> None:
        """Autobahn: a frame.

        Hole: after our Close, frames are parsed for as long as they come, at full cost.
        """
        if self.state == self.STATE_CLOSING:
            self._last_frames -= 1
            self._deaf = self._deaf or self._last_frames < 0
        super().onFrameBegin()

    def onMessageFrameBegin(self, length: int) -> None:
        """Autobahn: a frame of a message.

        Hole: frames are not counted, and empty ones escape the limit of size.
        """
        self._fragments += 1
        if self._fragments > self.factory.config.fragments:
            self.offended()
        super().onMessageFrameBegin(length)

    def onFrameData(self, payload: bytes) -> Any:
        """Autobahn: some payload of a frame.

        Holes: an oversize control frame fails the connection, and is collected all the same;
        payload that comes a byte at a time is kept in as many objects.
        """
        if self.failedByMe and self.current_frame.length > _LARGEST_CONTROL:
            payload = b""
        goes_on = super().onFrameData(payload)
        if self.current_frame.opcode <= BINARY and len(self.frame_data or ()) > _PIECES:
            self.frame_data = [b"".join(self.frame_data)]
        return goes_on

    def onMessageEnd(self) -> None:
        """Autobahn: the last frame of a message. The original makes a Deferred for each."""
        if not self.failedByMe:
            self.onMessage(b"".join(self.message_data), self.message_is_binary)
        self.message_data = None

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """Autobahn: a whole message.

        Holes: called after our own Close too; what it raises is swallowed or kills the link.
        """
        if self.state == self.STATE_OPEN:
            self.take([(0, payload, isBinary)])

    def take(self, messages: Iterable[Message]) -> int:
        """See `FrameReader.take`."""
        taken = 0
        try:
            try:
                for end, payload, binary in messages:
                    taken = end
                    self.received(payload, binary)
                    if self.state != self.STATE_OPEN:
                        break
            finally:
                self.all_received()
        except Exception:
            self._failed("a message")
        return taken

    def onPing(self, payload: bytes) -> None:
        """Autobahn: a ping.

        Hole: each is answered, into a buffer without limit.
        """
        if self._control_allowed() and self.takes_pongs():
            self.sendPong(payload)

    def onPong(self, payload: bytes) -> None:
        """Autobahn: a pong. Which it answers is all one: any byte is a sign of life."""
        self._control_allowed()

    def _control_allowed(self) -> bool:
        allowed = self._controls.take()
        if not allowed:
            self.offended()
        return allowed

    def processData(self) -> bool:
        """Autobahn: parse one more frame, or a piece of one.

        Hole: goes on with what a peer sends that was told to go away.
        """
        if self._deaf:
            self.data = b""
            return False
        return bool(super().processData())

    # Closing

    def say_goodbye(self, close: Close) -> None:
        """Send a Close.

        Hole: `sendClose` refuses 1001, 1008, 1011 and 1013.
        """
        if self.state == self.STATE_OPEN:
            self.sendCloseFrame(self.code_of(close), close.reason.encode())

    def offended(self) -> None:
        """The peer broke a rule: close, and listen to nothing more."""
        self.say_goodbye(POLICY)
        self._deaf = True

    def drop(self) -> None:
        """End the connection at once."""
        self.dropConnection(abort=True)

    def sendCloseFrame(
        self, code: int | None = None, reasonUtf8: bytes | None = None, isReply: bool = False
    ) -> None:
        """Autobahn: send a Close, ours or the answer to theirs.

        Hole: messages may be sent after it.
        """
        was_open = self.state == self.STATE_OPEN
        super().sendCloseFrame(code, reasonUtf8, isReply)
        if was_open:
            self.silenced()
            self.expect(self.factory.config.close_timeout_s, self.drop)

    def _closeConnection(self, abort: bool = False) -> None:
        """Autobahn: end the TCP connection, after what is unsent unless `abort`.

        Holes: waits for ever for a peer that does not read, or does not end its TLS; resets the
        connection of a peer that has answered our Close, to whom that looks like a failure.
        """
        abort = abort and not self.wasClean
        if not abort:
            self.expect(self.factory.config.linger_timeout_s, self.transport.abortConnection)
        super()._closeConnection(abort)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Twisted: the socket is gone."""
        if self._due is not None:
            self._due.cancel()
        super().connectionLost(reason)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        """Autobahn: the connection is gone."""
        try:
            self.ended()
        except Exception:
            log.failure("ending {peer} failed", peer=self.who)

    def expect(self, delay_s: float, otherwise: Callable[[], None]) -> None:
        """Have something done later, unless something else is expected first.

        A connection has one deadline, for what it does next: finish its handshake, be pinged,
        give a sign of life, answer our Close, take its last bytes. Beginning with the next
        cancels that of the one before.
        """
        if self._due is not None:
            self._due.cancel()
        self._due = self.factory.wheel.after(delay_s, otherwise)

    def dawdles(self) -> bool:
        """Whether the message that was under way at the last call still is.

        Hole: a message may take for ever. Asked now and then, this costs no timer a message.
        """
        before = self._under_way
        self._under_way = self._messages if self.inside_message else 0
        return before != 0 and before == self._under_way

    def _failed(self, doing: str) -> None:
        log.failure("{doing} of {peer} failed", doing=doing, peer=self.who)
        self.say_goodbye(INTERNAL.close)
