"""Strict JSON: only what every reader takes the same way."""

from __future__ import annotations

import json
import math
import unicodedata
from time import process_time

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatd.core.events import compact
from chatd.wire.strict import DEPTH, DIGITS, JsonError, parse
from tests.support import strategies
from tests.support.jsons import values


def spelled(text: str) -> str:
    """A text as one in which nothing but escapes is."""
    units = text.encode("utf-16-be")
    pairs = zip(units[::2], units[1::2], strict=True)
    return '"' + "".join(f"\\u{high:02X}{low:02x}" for high, low in pairs) + '"'


class ParseTests(SynchronousTestCase):
    def refuse(self, text: str, why: str) -> None:
        """Check that a text is refused with these words."""
        data = text.encode("utf-8", "surrogatepass")
        self.assertEqual(str(self.assertRaises(JsonError, parse, data)), why)

    @given(values(), st.booleans(), st.sampled_from((None, 2)))
    def test_equal(self, value: object, ascii_only: bool, indent: int | None) -> None:
        """Every value comes out as it went in, however it is spelled, and once more when told."""
        text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
        read = parse(text.encode())
        self.assertEqual(repr(read), repr(value))
        self.assertEqual(repr(parse(compact(read))), repr(value))

    @given(strategies.texts())
    def test_escapes(self, text: str) -> None:
        """A text may be all escapes, in any case of letters."""
        self.assertEqual(parse(spelled(text).encode()), text)

    @given(st.text(st.sampled_from('{}[]":,\\ \n0123456789.eE+-tfnurals'), max_size=30))
    def test_garbage(self, text: str) -> None:
        """A text is taken just as Python takes it, or refused in words."""
        try:
            value = parse(text.encode())
        except JsonError:
            return
        self.assertEqual(value, json.loads(text))

    @given(strategies.texts())
    def test_any_text(self, text: str) -> None:
        """No text makes it fail in another way."""
        try:
            parse(text.encode())
        except JsonError:
            pass

    def test_numbers(self) -> None:
        """Whole numbers are exact, others the nearest double; zero keeps its sign."""
        for text in (
            "0",
            "-1",
            str(2**64),
            "9" * DIGITS,
            "1.5",
            "5e-324",
            "1.7976931348623157e308",
        ):
            self.assertEqual(repr(parse(text.encode())), repr(json.loads(text)))
        self.assertEqual(math.copysign(1, float(str(parse(b"-0.0")))), -1)
        self.assertEqual(parse(b"1e-999"), 0)
        self.assertIsInstance(parse(b"1.0"), float)

    def test_not_finite(self) -> None:
        """What is not finite is refused, whether it is called so or too large."""
        for text in ("NaN", "Infinity", "-Infinity", "1e999", "-1e999", "[1E400]", '{"a":NaN}'):
            self.refuse(text, "a number is not finite")

    def test_long(self) -> None:
        """A whole number that is too long to be a double everywhere is refused, unread."""
        for digits in ("1" * (DIGITS + 1), "-" + "1" * DIGITS, "1" * 200_000):
            self.refuse(digits, "a number is too long")

    def test_equal_keys(self) -> None:
        """Equal keys are refused at any depth, however they are spelled; similar ones are not."""
        for text in ('{"a":1,"a":1}', '[{"b":{"a":1,"\\u0061":2}}]', '{"":0,"b":1,"":2}'):
            self.refuse(text, "two equal keys")
        self.assertEqual(parse(b'{"a":{"a":1},"A":2}'), {"a": {"a": 1}, "A": 2})
        for form in ("NFC", "NFD"):
            self.assertEqual(
                parse(f'{{"{unicodedata.normalize(form, "é")}":1}}'.encode()),
                {unicodedata.normalize(form, "é"): 1},
            )

    def test_half_pairs(self) -> None:
        """Half a surrogate pair is refused, in a value or a key, escaped or raw."""
        for text in (
            '"\\ud800"',
            '"\\uDC00"',
            '"\\ude00\\ud83d"',
            '"\\ud83d \\ude00"',
            '{"\\uDfff":1}',
        ):
            self.refuse(text, "half a surrogate pair")
        for text in ('"\ud800"', '"\ud83d\\ude00"'):
            self.refuse(text, "not UTF-8")
        self.assertEqual(parse(b'"\\ud83d\\uDE00"'), "😀")
        self.assertEqual(parse(b'"\\\\ud800"'), "\\ud800")

    def test_depth(self) -> None:
        """Arrays and objects may be so deep within each other, and no deeper; strings count not."""
        for opening, closing in (("[", "]"), ('{"a":', "}"), ('[{"]":', "}]"), (' [ "[{" , ', "]")):
            levels = opening.count("[{") + 1 if opening.startswith("[{") else 1
            fits = DEPTH // levels
            for inner in ("0", '"[[[[{{{{"', '"\\"[["', '"\\\\"'):
                parse((opening * fits + inner + closing * fits).encode())
                more = opening * fits + f"[{inner}]" + closing * fits
                self.refuse(more, "nested too deeply")
        parse(b"[[[]]]", depth=3)
        self.assertRaises(JsonError, parse, b"[[[]]]", depth=2)

    def test_wide(self) -> None:
        """How many arrays and objects are beside each other does not matter."""
        self.assertEqual(parse(b"[" + b"[]," * 1000 + b"{}]"), [*([[]] * 1000), {}])

    def test_bottomless(self) -> None:
        """Brackets without end and quotes without end are refused, and soon."""
        started = process_time()
        for text in ("[" * 200_000, '{"a":' * 50_000, "[" * 20 + '"' + '\\"' * 50_000):
            self.refuse(text, "nested too deeply")
        self.assertLess(process_time() - started, 5)  # a tenth; a minute when it is quadratic
        self.refuse("[" * 20 + '"' + "\\", "nested too deeply")
        self.refuse("[" * DEPTH, "not JSON")

    def test_not_json(self) -> None:
        """What is not JSON is refused."""
        for text in ("", " ", "{", "[1,]", "{'a':1}", "01", "+1", "1.", ".5", "nan", "0x1", "1 2"):
            self.refuse(text, "not JSON")
        for text in (
            '"\n"',
            '"\0"',
            '"\\x"',
            '"\\u12"',
            "\ufeff1",
            '{"a"}',
            "tru",
            "\u00a01",
            "\u0661",
        ):
            self.refuse(text, "not JSON")

    def test_separators(self) -> None:
        """U+2028 and U+2029 are characters like any other."""
        self.assertEqual(parse('"\u2028\u2029"'.encode()), "\u2028\u2029")
