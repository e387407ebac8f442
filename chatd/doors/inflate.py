"""permessage-deflate as it is agreed to and received (RFC 7692).

Autobahn reads what is offered and calls `Inflater` for frames that are compressed. Its own code
for the rest fails the handshake for an offer that has only to be declined, cannot say
`server_no_context_takeover` unasked, keeps zlib's 10 KiB or more for each idle connection, cuts a
message that is a byte too large, and takes one that ends in the middle for a whole one.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from autobahn.exception import PayloadCorruptError, PayloadExceededError

from chatd.wire.deflate import WINDOW_BITS

__all__ = ["Inflater", "Terms", "agree"]

Offer = tuple[str, Mapping[str, Sequence[str | bool]]]
"""An extension's name, and its parameters with their values; True: it has none."""

_NAME = "permessage-deflate"
_ALONE = ("server_no_context_takeover", "client_no_context_takeover")
_WINDOWS = {str(bits): bits for bits in range(8, 16)}
_LARGEST_WINDOW = 15

_SYNC_MARK = b"\0\0\xff\xff"  # which the sender left out (RFC 7692 7.2.2)
_LAST_BLOCK = b"\x03\0"  # an empty one, by which zlib tells that the one before is complete
_BROKEN = "the compressed stream is broken"


@dataclass(frozen=True, slots=True)
class Terms:
    """What was agreed with a peer.

    Args:
        answer: the header that says so.
        window_bits: of the window with which the peer compresses.
    """

    answer: str
    window_bits: int


def agree(offers: Iterable[Offer]) -> Terms | None:
    """The terms on which we take the first offer of permessage-deflate that we can take, or None.

    Neither side ever compresses with what was in an earlier message.

    Args:
        offers: in the peer's order; other extensions are passed over.
    """
    for name, parameters in offers:
        if name == _NAME:
            terms = _terms(parameters)
            if terms is not None:
                return terms
    return None


def _terms(parameters: Mapping[str, Sequence[str | bool]]) -> Terms | None:
    """None: the offer makes no sense, or wants a smaller window than ours."""
    answer = [_NAME, *_ALONE]
    window_bits = _LARGEST_WINDOW
    for name, values in parameters.items():
        value = values[0] if len(values) == 1 else ""
        bits = _WINDOWS.get(value, 0) if isinstance(value, str) else 0
        if name == "server_max_window_bits" and bits >= WINDOW_BITS:
            answer.append(f"{name}={WINDOW_BITS}")
        elif name == "client_max_window_bits" and (value is True or bits):
            window_bits = min(bits or _LARGEST_WINDOW, WINDOW_BITS)
            answer.append(f"{name}={window_bits}")
        elif name not in _ALONE or value is not True:
            return None
    return Terms("; ".join(answer), window_bits)


class Inflater:
    """What Autobahn calls for compressed frames. Between messages it holds nothing.

    Args:
        window_bits: of the peer's window.
    """

    EXTENSION_NAME = _NAME

    __slots__ = ("_stream", "_window_bits")

    def __init__(self, window_bits: int) -> None:
        self._window_bits = window_bits
        self._stream: zlib._Decompress | None = None

    def begin(self) -> None:
        """Begin with a message."""
        self._stream = zlib.decompressobj(-self._window_bits)

    def inflate(self, data: bytes, max_output_len: int) -> bytes:
        """Inflate some of a message.

        Args:
            data: any piece of it, as it came.
            max_output_len: how many bytes are left of the largest message; less than 0 like 0.

        Returns:
            all that there is so far; nothing once the message is broken.

        Raises:
            PayloadExceededError: it is more; one byte more was made at most.
            PayloadCorruptError: it is not deflate, or goes on after its end.
        """
        stream = self._stream
        if stream is None:
            return b""
        most = max(max_output_len, 0)
        try:
            # One more than allowed: all that zlib has is out when it stops short of that.
            inflated = stream.decompress(data, most + 1)
        except zlib.error:
            raise self._broken() from None
        if len(inflated) > most:
            self._stream = None
            raise PayloadExceededError("more than the largest message")
        if len(stream.unused_data) > 1:
            raise self._broken()
        return inflated

    def end(self) -> None:
        """The message has come; let go of its window.

        Raises:
            PayloadCorruptError: its stream ends in the middle.
        """
        stream, self._stream = self._stream, None
        if stream is None:
            return
        if stream.eof:  # a last block, and the byte of an empty one (RFC 7692 7.2.3.4)
            is_whole = stream.unused_data in (b"", b"\0")
        else:
            try:
                rest = stream.decompress(_SYNC_MARK + _LAST_BLOCK, 1)
            except zlib.error:
                raise self._broken() from None
            is_whole = not rest and stream.eof and not stream.unused_data
        if not is_whole:
            raise self._broken()

    start_decompress_message = begin
    decompress_message_data = inflate
    end_decompress_message = end

    def _broken(self) -> PayloadCorruptError:
        self._stream = None
        return PayloadCorruptError(_BROKEN)
