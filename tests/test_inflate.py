"""`chatd.doors.inflate`: what is agreed to, and whole messages, broken ones and bombs."""

from __future__ import annotations

import tracemalloc
import zlib

from autobahn.exception import PayloadCorruptError, PayloadExceededError
from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatd.doors.inflate import Inflater, Offer, Terms, agree
from tests.support.deflates import deflated

BOTH = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"


def offer(**parameters: str | bool | list[str | bool]) -> Offer:
    """An offer of permessage-deflate."""
    listed = {k: v if isinstance(v, list) else [v] for k, v in parameters.items()}
    return "permessage-deflate", listed


class AgreeTests(SynchronousTestCase):
    """Negotiation."""

    def test_plain(self) -> None:
        """An offer without parameters is taken; both sides begin anew with each message."""
        self.assertEqual(agree([offer()]), Terms(BOTH, 15))
        asked = offer(client_no_context_takeover=True, server_no_context_takeover=True)
        self.assertEqual(agree([asked]), Terms(BOTH, 15))

    def test_client_window(self) -> None:
        """A peer that can make its window smaller is told to, no larger than it said itself."""
        for said, bits in ((True, 12), ("15", 12), ("12", 12), ("9", 9), ("8", 8)):
            terms = agree([offer(client_max_window_bits=said)])
            self.assertEqual(terms, Terms(f"{BOTH}; client_max_window_bits={bits}", bits))

    def test_server_window(self) -> None:
        """A peer that wants our window no larger than it is is told what it is."""
        for said in ("15", "12"):
            terms = agree([offer(server_max_window_bits=said)])
            self.assertEqual(terms, Terms(f"{BOTH}; server_max_window_bits=12", 15))

    def test_smaller_server_window(self) -> None:
        """One that wants it smaller gets nothing compressed, as it is made once for all."""
        for said in ("11", "9", "8"):
            self.assertIsNone(agree([offer(server_max_window_bits=said)]))

    def test_senseless(self) -> None:
        """An offer that makes no sense is declined."""
        for parameters in (
            {"server_max_window_bits": True},
            {"server_max_window_bits": "16"},
            {"server_max_window_bits": "012"},
            {"client_max_window_bits": "7"},
            {"client_max_window_bits": ""},
            {"client_max_window_bits": "x"},
            {"client_max_window_bits": "\u0661\u0662"},
            {"client_max_window_bits": ["12", "12"]},
            {"client_no_context_takeover": "1"},
            {"server_no_context_takeover": [True, True]},
            {"permessage-deflate": True},
            {"level": "9"},
        ):
            self.assertIsNone(agree([("permessage-deflate", offer(**parameters)[1])]), parameters)

    def test_first(self) -> None:
        """The first offer that can be taken is; other extensions are passed over."""
        offers = [
            ("permessage-bzip2", {}),
            offer(server_max_window_bits="9"),
            offer(server_max_window_bits="15"),
            offer(),
        ]
        self.assertEqual(agree(offers), Terms(f"{BOTH}; server_max_window_bits=12", 15))
        self.assertIsNone(agree(offers[:2]))
        self.assertIsNone(agree([]))


def inflate(inflater: Inflater, pieces: list[bytes], most: int) -> bytes:
    """One message, as Autobahn has it inflated."""
    inflater.start_decompress_message()
    inflated = b""
    for piece in pieces:
        inflated += inflater.decompress_message_data(piece, max_output_len=most - len(inflated))
    inflater.end_decompress_message()
    return inflated


class InflaterTests(SynchronousTestCase):
    """Messages."""

    @given(
        st.lists(st.binary(max_size=3000).map(bytes.hex), max_size=3),
        st.integers(0, 9),
        st.integers(9, 15),
        st.integers(1, 500),
    )
    def test_round_trip(self, said: list[str], level: int, bits: int, size: int) -> None:
        """Whatever the level and the window, and however it is cut, a message is what was said."""
        inflater = Inflater(bits)
        for words in said:
            payload = words.encode()
            data = deflated(payload, level=level, bits=bits)
            pieces = [data[at : at + size] for at in range(0, len(data), size)]
            self.assertEqual(inflate(inflater, pieces, len(payload)), payload)

    def test_examples(self) -> None:
        """The examples of RFC 7692 7.2.3, and both ways to say nothing."""
        for data, words in (
            ("f2 48 cd c9 c9 07 00", b"Hello"),
            ("00 05 00 fa ff 48 65 6c 6c 6f 00", b"Hello"),
            ("f3 48 cd c9 c9 07 00 00", b"Hello"),
            ("f2 48 05 00 00 00 ff ff ca c9 c9 07 00", b"Hello"),
            ("00", b""),
            ("02 00", b""),
        ):
            self.assertEqual(inflate(Inflater(12), [bytes.fromhex(data)], 5), words)

    def test_ended(self) -> None:
        """A stream may have a last block, with nothing behind."""
        stream = zlib.compressobj(wbits=-12)
        data = stream.compress(b"Hello") + stream.flush()
        self.assertEqual(inflate(Inflater(12), [data], 5), b"Hello")

    def test_small_window(self) -> None:
        """What was made with the smallest window is read too."""
        self.assertEqual(inflate(Inflater(8), [deflated(b"x" * 5000, bits=9)], 5000), b"x" * 5000)

    @given(st.integers(1, 3000))
    @example(1)
    def test_too_large(self, more: int) -> None:
        """A message that is larger by a byte or more is too large, not cut short."""
        with self.assertRaises(PayloadExceededError):
            inflate(Inflater(15), [deflated(b"a" * (1000 + more))], 1000)

    def test_bomb(self) -> None:
        """Of a bomb no more is made than the largest message and a byte, in no piece of it."""
        inflater = Inflater(15)
        inflater.start_decompress_message()
        data = deflated(bytes(20_000_000))
        for size in (10, 100, len(data)):
            left = 65536
            inflater.start_decompress_message()
            tracemalloc.start()
            with self.assertRaises(PayloadExceededError):
                for at in range(0, len(data), size):
                    piece = data[at : at + size]
                    left -= len(inflater.decompress_message_data(piece, max_output_len=left))
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            self.assertLess(peak, 300_000)
            self.assertGreaterEqual(left, 0)
        self.assertEqual(inflater.decompress_message_data(data[:100], 65536), b"")
        inflater.end_decompress_message()

    def test_nothing_left(self) -> None:
        """When nothing is left of the limit, or less, anything is too much."""
        for left in (0, -1):
            inflater = Inflater(15)
            inflater.start_decompress_message()
            with self.assertRaises(PayloadExceededError):
                inflater.decompress_message_data(deflated(b"a"), left)

    def test_corrupt(self) -> None:
        """What is not deflate is refused with our own words, and then no more is made of it."""
        for data in (b"\xff" * 10, b"\x07", b"\x01\x05\x00\x00\x00"):
            inflater = Inflater(12)
            inflater.start_decompress_message()
            with self.assertRaises(PayloadCorruptError) as caught:
                inflater.decompress_message_data(data, 100)
            self.assertEqual(str(caught.exception), "the compressed stream is broken")
            self.assertEqual(inflater.decompress_message_data(deflated(b"a"), 100), b"")
            inflater.end_decompress_message()

    def test_takeover(self) -> None:
        """A message that refers to the one before is broken: nothing of that is kept."""
        stream = zlib.compressobj(wbits=-12)
        first, second = (
            (stream.compress(b"the same words") + stream.flush(zlib.Z_SYNC_FLUSH))[:-4]
            for _ in range(2)
        )
        inflater = Inflater(12)
        self.assertEqual(inflate(inflater, [first], 100), b"the same words")
        with self.assertRaises(PayloadCorruptError):
            inflate(inflater, [second], 100)

    @given(st.binary(min_size=40, max_size=400).map(bytes.hex), st.integers(1, 9), st.data())
    def test_cut_short(self, words: str, level: int, data: st.DataObject) -> None:
        """A stream that ends in the middle is broken, never a shorter message."""
        whole = deflated(words.encode(), level=level)
        cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
        with self.assertRaises(PayloadCorruptError):
            inflate(Inflater(15), [cut], 10_000)

    def test_goes_on(self) -> None:
        """What goes on after its last block is broken, and not collected."""
        stream = zlib.compressobj(wbits=-12)
        data = stream.compress(b"Hello") + stream.flush()
        for more in (b"\1", b"\0\0", deflated(b"Hello")):
            with self.assertRaises(PayloadCorruptError):
                inflate(Inflater(12), [data + more], 100)
        inflater = Inflater(12)
        inflater.start_decompress_message()
        self.assertEqual(inflater.decompress_message_data(data + b"\0", 100), b"Hello")
        with self.assertRaises(PayloadCorruptError):
            inflater.decompress_message_data(b"\0", 95)

    def test_between_messages(self) -> None:
        """Between messages there is no zlib object, however the last one ended."""
        inflater = Inflater(12)
        self.assertIsNone(inflater._stream)
        inflate(inflater, [deflated(b"Hello")], 5)
        self.assertIsNone(inflater._stream)
        for pieces, most in (([b"\xff"], 5), ([deflated(b"Hello")], 4), ([b"\xf2"], 5)):
            with self.assertRaises((PayloadCorruptError, PayloadExceededError)):
                inflate(inflater, pieces, most)
            self.assertIsNone(inflater._stream)
