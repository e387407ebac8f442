"""One connection's transport, as the rules see it: the bytes out, and how many are still unsent."""

from __future__ import annotations

import fcntl
import struct
import termios
from collections.abc import Callable

from twisted.internet.interfaces import IAddress, IPushProducer, ITCPTransport
from twisted.internet.tcp import Connection
from twisted.protocols.policies import ProtocolWrapper
from zope.interface import implementer

from chatd.core.outbox import HIGH_WATER_BYTES, Outbox
from chatd.errors import Close

__all__ = ["Link", "host_of", "peer_name", "set_no_delay", "unsent_bytes"]


def host_of(address: IAddress | None) -> str:
    """The IP address in an address; empty for a Unix socket."""
    return str(getattr(address, "host", ""))


def peer_name(address: IAddress | None) -> str:
    """Who somebody is, for the log: `127.0.0.1:53422`, `[::1]:53422` or `unix`."""
    host = host_of(address)
    if not host:
        return "unix"
    shown = f"[{host}]" if ":" in host else host
    return f"{shown}:{getattr(address, 'port', 0)}"


def unsent_bytes(transport: object) -> int:
    """Bytes written to a transport that the other side has not acknowledged.

    Counts what Twisted keeps and what the kernel keeps (`TIOCOUTQ`), below TLS and PROXY
    wrappers, so that it changes whenever the other side takes anything. 0 for a transport
    that is no socket.
    """
    while isinstance(transport, ProtocolWrapper):
        transport = transport.transport
    if not isinstance(transport, Connection) or not transport.connected:
        return 0
    kept = len(transport.dataBuffer) - transport.offset + transport._tempDataLen
    answer = fcntl.ioctl(transport.getHandle(), termios.TIOCOUTQ, b"\0\0\0\0")
    return kept + int(struct.unpack("i", answer)[0])


def set_no_delay(transport: object) -> None:
    """Have small frames sent at once (TCP_NODELAY); nothing on a Unix socket."""
    if ITCPTransport.providedBy(transport):
        transport.setTcpNoDelay(True)


@implementer(IPushProducer)
class Link:
    """`core.outbox.Peer` over a Twisted transport.

    Args:
        transport: connected; another producer registered with it is replaced.
        goodbye: sends a Close and sees to it that the connection ends.
        drained: is told when the peer has taken everything.
    """

    def __init__(
        self,
        transport: object,
        goodbye: Callable[[Close], None],
        drained: Callable[[], None],
    ) -> None:
        self._transport: Connection = transport  # type: ignore[assignment]  # or alike
        self._goodbye = goodbye
        self._drained = drained
        self._outbox: Outbox | None = None
        self.written = 0
        """Bytes written so far, for telling progress from silence."""
        # Only a bare socket may be written to directly: TLS has the same method, by attribute
        # forwarding, and would put clear text into its stream.
        self._direct = isinstance(transport, Connection) and not transport.TLS

    def attach(self, outbox: Outbox) -> None:
        """Tell an outbox from now on when the peer is above high water, and when not."""
        self._outbox = outbox
        self._transport.unregisterProducer()  # under a Site its channel is registered
        self._transport.registerProducer(self, True)
        if self._direct:
            self._transport.bufferSize = HIGH_WATER_BYTES

    def write(self, data: bytes) -> None:
        """See `Peer.write`."""
        self.written += len(data)
        socket = self._transport
        # `transport.write` queues, waits for a turn of the reactor, and sends: three system
        # calls. With nothing queued before it, data may go at once.
        if (
            self._direct
            and not socket.dataBuffer
            and not socket._tempDataBuffer
            and socket.connected
            and not socket.disconnecting
            and not socket._aborting
        ):
            sent = socket.writeSomeData(data)
            if isinstance(sent, int):  # else the link is lost, which write will find out
                data = data[sent:]
        if data:
            socket.write(data)

    def hold(self, on: bool) -> None:
        """See `Peer.hold`."""
        if on:
            self._transport.pauseProducing()
        else:
            self._transport.resumeProducing()

    def unsent(self) -> int:
        """See `Peer.unsent`."""
        return unsent_bytes(self._transport)

    def close(self, close: Close) -> None:
        """See `Peer.close`."""
        self._goodbye(close)

    def pauseProducing(self) -> None:
        """Twisted: the transport is above high water."""
        if self._outbox is not None:
            self._outbox.paused()

    def resumeProducing(self) -> None:
        """Twisted: the transport has sent everything."""
        if self._outbox is not None and self._outbox.drained():
            self._drained()

    def stopProducing(self) -> None:
        """Twisted: the connection is being lost, which the protocol hears too."""
