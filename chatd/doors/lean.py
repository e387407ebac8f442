"""Autobahn's server protocol without the bytes that an open connection never reads again.

The original keeps 114 attributes a connection: a copy of each option of its factory, all of the
opening handshake, and defaults. Here the options are the class's, the handshake is forgotten once
it is answered, what a connection does have is in slots, and what only a frame in parts needs is
made for one. How it parses and what state it is in is not touched.
"""

from __future__ import annotations

from typing import Any, TypeVar

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.protocol import TrafficStats
from autobahn.websocket.utf8validator import Utf8Validator

__all__ = ["LeanProtocol", "configured"]


class _Unawaited:
    """Autobahn's Deferreds for "open" and "closed", for which nobody waits."""

    def callback(self, result: object) -> None:
        """Autobahn: it has come."""


class _OfHandshake:
    """An attribute that is there until the handshake is forgotten."""

    __slots__ = ("_name",)

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, protocol: LeanProtocol | None, owner: type | None = None) -> Any:
        if protocol is None:
            return self
        try:
            return protocol._handshake[self._name]
        except KeyError:
            raise AttributeError(self._name) from None

    def __set__(self, protocol: LeanProtocol, value: object) -> None:
        if protocol._handshake is _FORGOTTEN:
            protocol._handshake = {}
        protocol._handshake[self._name] = value


_FORGOTTEN: dict[str, object] = {}


class LeanProtocol(WebSocketServerProtocol):
    """One connection; see the module. Its class is to be made by `configured`."""

    __slots__ = (
        "_handshake",
        "_isMessageCompressed",
        "_utf8validator",
        "connected",
        "control_frame_data",
        "current_frame",
        "current_frame_masker",
        "data",
        "factory",
        "frame_data",
        "frame_length",
        "http_request_path",
        "inside_message",
        "message_data",
        "message_data_total_length",
        "message_is_binary",
        "state",
        "transport",
        "utf8validateIncomingCurrentMessage",
        "utf8validateLast",
        "websocket_version",
    )

    # What Autobahn gives each connection when its socket is there, and nearly never changes.
    peer = ""
    is_open = is_closed = _Unawaited()
    trafficStats = TrafficStats()  # sums of all connections, which nobody reads
    send_queue: Any = ()  # of what is sent in parts or late, which nothing is here
    send_state = WebSocketServerProtocol.SEND_STATE_GROUND
    triggered = False
    trackedTimings: Any = None
    wasClean = closedByMe = failedByMe = droppedByMe = False
    wasNotCleanReason: Any = None
    wasMaxFramePayloadSizeExceeded = wasMaxMessagePayloadSizeExceeded = False
    wasServerConnectionDropTimeout = wasOpenHandshakeTimeout = wasCloseHandshakeTimeout = False
    wasServingFlashSocketPolicyFile = False
    localCloseCode: Any = None
    localCloseReason: Any = None
    remoteCloseCode: Any = None
    remoteCloseReason: Any = None
    openHandshakeTimeoutCall = closeHandshakeTimeoutCall = None
    autoPingTimeoutCall = autoPingPending = autoPingPendingCall = autoPingPendingSent = None
    autoPingPendingSeq = 0
    _perMessageCompress: Any = None

    utf8validateLast: Any

    http_headers = _OfHandshake()
    http_request_data = _OfHandshake()
    http_request_host = _OfHandshake()
    http_request_params = _OfHandshake()
    http_request_uri = _OfHandshake()
    http_response_data = _OfHandshake()
    http_status_line = _OfHandshake()
    websocket_extensions = _OfHandshake()
    websocket_extensions_in_use = _OfHandshake()
    websocket_origin = _OfHandshake()
    websocket_protocol_in_use = _OfHandshake()
    websocket_protocols = _OfHandshake()
    _wskey = _OfHandshake()

    def __init__(self) -> None:
        # Without the original's, which makes two Deferreds, a registry of events and a record of
        # the transport for each connection.
        self.factory: Any = None
        self.transport: Any = None
        self.connected = 0
        self.data = b""
        self.state = self.STATE_CONNECTING
        self._handshake = _FORGOTTEN
        self._utf8validator: Utf8Validator | None = None

    def connectionMade(self) -> None:
        """Twisted: a socket is there. Of it the original makes a record that nobody reads."""
        self._connectionMade()

    def _connectionMade(self) -> None:
        """Autobahn: begin. The original copies options and defaults, and prints them for a log."""
        self.factory.countConnections += 1

    def _onOpen(self) -> None:
        """Autobahn: the handshake is done."""
        self.onOpen()

    @property
    def utf8validator(self) -> Utf8Validator:  # type: ignore[override]  # it is only read
        """What reads a text in parts; made for the first part."""
        if self._utf8validator is None:
            self._utf8validator = Utf8Validator()
        return self._utf8validator

    def onFrameEnd(self) -> Any:
        """Autobahn: a frame is read. What read it is made anew for the next one anyway."""
        goes_on = super().onFrameEnd()
        if self.current_frame is None:  # not after a frame that cannot be inflated
            self.current_frame_masker = None
        if not self.inside_message:
            self._utf8validator = self.utf8validateLast = None
        return goes_on

    def forget_handshake(self) -> None:
        """Keep nothing of the handshake but the path."""
        self._handshake = _FORGOTTEN


P = TypeVar("P", bound=LeanProtocol)


def configured(protocol: type[P], factory: WebSocketServerFactory) -> type[P]:
    """A protocol with the options that a factory has now, for all of its connections.

    Args:
        protocol: its base.
        factory: whose options are set.
    """
    options = {name: getattr(factory, name) for name in protocol.CONFIG_ATTRS}
    return type(
        protocol.__name__,
        (protocol,),
        {
            "__slots__": (),
            "__module__": protocol.__module__,
            "__doc__": protocol.__doc__,
            **{name: staticmethod(it) if callable(it) else it for name, it in options.items()},
        },
    )
