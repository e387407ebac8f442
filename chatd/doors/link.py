"""One connection's transport, as the rules see it: the bytes out, and how many are still unsent."""

from __future__ import annotations

import fcntl
import socket
import struct
import termios
from collections.abc import Callable
from contextlib import suppress

from twisted.internet.interfaces import IAddress, INegotiated, IPushProducer, ITCPTransport
from twisted.internet.tcp import Connection
from twisted.protocols.policies import ProtocolWrapper
from zope.interface import implementer

from chatd.core.outbox import HIGH_WATER_BYTES, Outbox
from chatd.errors import Close

__all__ = ["Link", "host_of", "peer_name", "set_no_delay", "set_not_sent", "unsent_bytes"]

_NOTSENT_LOWAT = 25  # TCP_NOTSENT_LOWAT of linux/tcp.h, which Python's socket has no name for
_NOT_SENT_BYTES = 16384
_NOT_SENT_TLS_BYTES = 65536  # with less, TLS records make peers lag for moments


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
    transport = _bare(transport)
    if not isinstance(transport, Connection) or not transport.connected:
        return 0
    kept = len(transport.dataBuffer) - transport.offset + transport._tempDataLen
    answer = fcntl.ioctl(transport.getHandle(), termios.TIOCOUTQ, b"\0\0\0\0")
    return kept + int(struct.unpack("i", answer)[0])


def _bare(transport: object) -> object:
    """A transport below its TLS and PROXY wrappers."""
    while isinstance(transport, ProtocolWrapper):
        transport = transport.transport
    return transport


def set_not_sent(transport: object) -> None:
    """Bound what the kernel keeps beyond what is on its way (TCP_NOTSENT_LOWAT).

    Without it one slow peer has megabytes there, and nobody can tell that it is slow. Nothing
    where the kernel has no such option, and on a Unix socket.
    """
    bare = _bare(transport)
    if isinstance(bare, Connection) and bare.connected and ITCPTransport.providedBy(bare):
        is_tls = bare.TLS or INegotiated.providedBy(transport)  # what TLS, or is around it, is
        most = _NOT_SENT_TLS_BYTES if is_tls else _NOT_SENT_BYTES
        with suppress(OSError):
            bare.getHandle().setsockopt(socket.IPPROTO_TCP, _NOTSENT_LOWAT, most)


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

    __slots__ = ("_direct", "_drained", "_goodbye", "_outbox", "_transport", "is_held", "written")

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
        self.is_held = False
        """Whether nothing is read from the peer."""
        # Only a bare socket may be written to directly: TLS has the same method, by attribute
        # forwarding, and would put clear text into its stream.
        self._direct = isinstance(transport, Connection) and not transport.TLS

    def attach(self, outbox: Outbox) -> None:
        """Tell an outbox from now on when the peer is above high water, and when not."""
        self._outbox = outbox
        set_not_sent(self._transport)
        self._transport.unregisterProducer()  # under a Site its channel is registered
        self._transport.registerProducer(self, True)
        if self._direct:
            self._transport.bufferSize = HIGH_WATER_BYTES

    def detach(self) -> None:
        """The connection is gone: tell nothing to the outbox any more, and keep it no longer."""
        self._outbox = None

    def write(self, data: bytes) -> None:
        """See `Peer.write`."""
        self.written += len(data)
        out = self._transport
        # `transport.write` queues, waits for a turn of the reactor, and sends: three system
        # calls. With nothing queued before it, data may go at once.
        if (
            self._direct
            and not out.dataBuffer
            and not out._tempDataBuffer
            and out.connected
            and not out.disconnecting
            and not out._aborting
        ):
            try:
                sent = out.socket.send(data)
            except OSError:  # it takes nothing now, or is lost, which `write` will find out
                sent = 0
            if sent == len(data):
                return
            data = data[sent:]
        if data:
            out.write(data)

    def hold(self, on: bool) -> None:
        """See `Peer.hold`."""
        self.is_held = on
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
