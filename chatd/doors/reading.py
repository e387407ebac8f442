"""Whole messages read off what comes in, at a fifth of what Autobahn's parser costs.

Nearly all that a client sends is whole, masked, unfragmented data frames. Those are read here, all
that came at once; anything else, from its first byte on, is Autobahn's, whose judgement this never
anticipates: tests/test_reading.py feeds both the same bytes and sees no difference. Autobahn's
statistics and its own pings know nothing of what is read here.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any

from autobahn.websocket import USES_NVX
from autobahn.websocket.xormasker import create_xor_masker  # type: ignore[attr-defined]

from chatd.doors.lean import LeanProtocol
from chatd.wire.frames import BINARY, TEXT

__all__ = ["FrameReader", "Message", "whole_messages"]

Message = tuple[int, bytes, bool]
"""Where its frame ends in what was read, its payload, and whether it is binary."""

_FIN = 0x80  # and no reserved bit, which an extension would have set
_MASKED = 0x80
_CONTROL = 0x8

# Autobahn's masker in C costs 3 µs and next to nothing a byte; an integer, 0.4 µs and 2 ns a byte.
_LARGE = 1024 if USES_NVX else sys.maxsize

_ANY = sys.maxsize  # for Autobahn, 0 is no limit


def whole_messages(data: bytes, most: int) -> Iterator[Message]:
    """Read messages of one frame each, up to the first thing that is anything else.

    A frame that is cut short is something else, as is text that is not UTF-8.

    Args:
        data: begins with a frame.
        most: the largest payload, in bytes.
    """
    end, size = 0, len(data)
    while end + 6 <= size:
        first, length, start = data[end], data[end + 1] - _MASKED, end + 6
        if (first != _FIN | TEXT and first != _FIN | BINARY) or length < 0:
            return
        if length == 126:
            start += 2
            length = int.from_bytes(data[end + 2 : end + 4], "big")
            if length < 126:
                return
        elif length == 127:
            start += 8
            length = int.from_bytes(data[end + 2 : end + 10], "big")
            if length < 65536:
                return
        if length > most or start + length > size:
            return
        mask, end = data[start - 4 : start], start + length
        if length < _LARGE:
            stretched = (mask * (length // 4 + 1))[:length]
            bits = int.from_bytes(data[start:end], "little") ^ int.from_bytes(stretched, "little")
            payload = bits.to_bytes(length, "little")
        else:
            payload = create_xor_masker(mask, length).process(data[start:end])
        if first == _FIN | TEXT:
            try:
                payload.decode()
            except UnicodeDecodeError:
                return
        yield end, payload, first == _FIN | BINARY


class FrameReader(LeanProtocol):
    """Autobahn's protocol with a shorter way for whole messages."""

    __slots__ = ()

    data: bytes
    current_frame: Any
    maxMessagePayloadSize: int
    maxFramePayloadSize: int
    _isMessageCompressed: bool

    def take(self, messages: Iterable[Message]) -> int:
        """Take messages, one after the other, for as long as the connection is open.

        Returns:
            where the last one that was taken ends; 0: none was.
        """
        raise NotImplementedError

    def read(self, data: bytes) -> None:
        """Read some bytes, as `_dataReceived` would alone."""
        data = self._begun_before(data)
        taken = 0
        if self.state == self.STATE_OPEN and not self.inside_message:
            most = min(self.maxMessagePayloadSize or _ANY, self.maxFramePayloadSize or _ANY)
            taken = self.take(whole_messages(data, most))
        if taken < len(data):
            self._dataReceived(data[taken:])

    def _begun_before(self, data: bytes) -> bytes:
        """Have a frame finished that is under way, so that what follows it may go the short way.

        Returns:
            the bytes still to be read; unless a message is under way, they begin with a frame.
        """
        frame = self.current_frame
        if frame is None:
            data, self.data = self.data + data, b""  # a part of a frame's head, if anything
        elif frame.opcode >= _CONTROL or not self._isMessageCompressed:
            # Not if compressed: where that fails, Autobahn stops in the middle.
            lacking = frame.length - self.current_frame_masker.pointer()
            self._dataReceived(data[:lacking])
            data = data[lacking:]
        return data
