"""Autobahn's opening handshake with its holes closed.

Autobahn parses the handshake and judges whether it is one. What it lets a stranger do meanwhile is
closed here, each hole by one override whose docstring names it; tests/test_handshake.py has a test
for each that goes red without it. What comes after the handshake is `guards.py`'s business.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autobahn.websocket.types import ConnectionDeny, ConnectionRequest
from twisted.logger import Logger

from chatd.doors.answers import ANSWERS, MORE_HEADERS
from chatd.doors.inflate import Inflater, Terms, agree
from chatd.doors.lean import LeanProtocol
from chatd.doors.link import host_of, peer_name
from chatd.doors.upgrade import Upgrade, agreement, read

__all__ = ["HandshakeProtocol"]

log = Logger()

_END_OF_HEAD = b"\r\n\r\n"
_HEAD_BYTES = b"\t\r\n" + bytes(range(0x20, 0x7F))


class _Mute:
    """Autobahn's log: it repeats strangers' words, a line for each of their mistakes."""

    def debug(self, *args: object, **fields: object) -> None: ...

    trace = info = warn = error = debug


class HandshakeProtocol(LeanProtocol):
    """One connection, from its first byte to the answer of its handshake.

    The subclass sets `who` and `_head` when the socket is there.
    """

    __slots__ = ("_head", "who")

    log = _Mute()
    factory: Any
    transport: Any
    who: str
    terms: Terms | None = None
    """Which compression was agreed to; None: there is none."""
    _head: bytearray
    current_frame: Any
    _perMessageCompress: Any

    # What the subclass fills in

    def judge(self, headers: Mapping[str, str], path: str, host: str) -> int:
        """Whether a well-formed handshake from an address is accepted: 0, or a status."""
        raise NotImplementedError

    def onOpen(self) -> None:
        """Autobahn: the handshake is done."""
        raise NotImplementedError

    def forbidden(self, headers: Mapping[str, str]) -> bool:
        """Whether the page or the host name is not ours, which is then logged."""
        raise NotImplementedError

    def knows(self, path: str) -> bool:
        """Whether there is a WebSocket at a path."""
        raise NotImplementedError

    def drop(self) -> None:
        """End the connection at once."""
        raise NotImplementedError

    # The handshake

    def handshake_received(self, data: bytes) -> None:
        """Collect the handshake and give it to Autobahn whole.

        Holes: no limit of size, and searched from its start at each packet; split into lines
        at characters that end none; what follows is taken before it is answered.
        """
        most = self.factory.config.handshake_bytes
        searched = max(0, len(self._head) - len(_END_OF_HEAD))
        self._head += data
        found = self._head.find(_END_OF_HEAD, searched)
        size = found + len(_END_OF_HEAD) if found >= 0 else len(self._head)
        if size > most:
            self.failHandshake("handshake too large", 431)
        elif found >= 0 and len(self._head) > size:
            self.failHandshake("data before the handshake was answered")
        elif found >= 0 and self._head.translate(None, _HEAD_BYTES):
            self.failHandshake("a byte in the handshake that belongs in none")
        elif found >= 0:
            head, self._head = bytes(self._head), bytearray()
            upgrade = read(head)
            if upgrade is not None and self.knows(upgrade.path):
                self._upgrade(upgrade)
            else:
                self._dataReceived(head)

    def _upgrade(self, upgrade: Upgrade) -> None:
        """Do with a handshake that is in order what Autobahn does with it, and nothing else.

        The original parses each part twice, judges it in a Deferred, and makes thirty attributes
        of it, of which these are read.
        """
        self.http_request_uri, self.http_request_path = upgrade.uri, upgrade.path
        self.websocket_version = 13
        offers = upgrade.headers.get("sec-websocket-extensions")
        if offers is not None:
            self._parseExtensionsHeader(offers)
        status = self._status(upgrade.headers, upgrade.path)
        if status:
            self.failHandshake(ANSWERS[status][1], status)
            return
        self.sendData(agreement(upgrade.key, self._agreed()))
        self.inside_message = False
        self.current_frame = None
        self.state = self.STATE_OPEN
        self.onOpen()
        self.forget_handshake()

    def _parseExtensionsHeader(self, header: str, removeQuotes: bool = True) -> list[Any]:
        """Autobahn: which extensions does the peer offer?

        Hole: an offer that should be declined fails the handshake. What we take is agreed here,
        and nothing is left for Autobahn to agree to.
        """
        if self.factory.config.compression:
            self.terms = agree(super()._parseExtensionsHeader(header, removeQuotes))
        return []

    def onConnect(self, request: ConnectionRequest) -> tuple[None, dict[str, str]]:
        """Autobahn: a handshake is well formed; shall it be accepted?

        Hole: the words of an exception would be sent to the peer.
        """
        status = self._status(request.headers, request.path)
        if status:
            raise ConnectionDeny(status, ANSWERS[status][1])
        return None, self._agreed()

    def _agreed(self) -> dict[str, str]:
        if self.terms is None:
            return {}
        self._perMessageCompress = Inflater(self.terms.window_bits)
        return {"Sec-WebSocket-Extensions": self.terms.answer}

    def _status(self, headers: Mapping[str, str], path: str) -> int:
        # Asked now: behind a PROXY header it was the proxy's address until the header came.
        address = self.transport.getPeer()
        self.who = peer_name(address)
        try:
            return self.judge(headers, path, host_of(address))
        except Exception:
            log.failure("judging a handshake of {peer} failed", peer=self.who)
            return 500

    def failHandshake(self, reason: str, code: int = 400, responseHeaders: Any = None) -> None:
        """Answer a handshake that fails, in our words.

        Hole: Autobahn's answer repeats the request's text, and has no length.
        """
        if code == 426 and not self.knows(self.http_request_path):
            code = 404
        if code in (404, 405, 426) and self.forbidden(self.http_headers):
            code = 403
        if code == 404:
            reason = f"nothing at {self.http_request_path}"
        if code != 403:  # logged by who judged, with the flag that would allow it
            self.factory.journal.refused(self.who, code, reason)
        phrase, words = ANSWERS.get(code, ANSWERS[400])
        headers = [
            ("Server", "chatd"),
            ("Connection", "close"),
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(words) + 1)),
            *MORE_HEADERS.get(code, responseHeaders or []),
        ]
        lines = [f"HTTP/1.1 {code} {phrase}", *(f"{name}: {value}" for name, value in headers)]
        self.sendData(("\r\n".join(lines) + f"\r\n\r\n{words}\n").encode("latin-1"))
        self.dropConnection(abort=False)

    def succeedHandshake(self, res: Any) -> None:
        """Autobahn: `onConnect` agreed.

        Hole: a connection that has been closed meanwhile would be opened.
        """
        if self.state == self.STATE_CONNECTING:
            super().succeedHandshake(res)
            self.forget_handshake()

    def handshake_too_slow(self) -> None:
        """Time is up, and the handshake is not done."""
        self.factory.journal.refused(self.who, 408, "handshake not finished in time")
        self.drop()
