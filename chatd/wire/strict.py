"""Strict JSON: only what every reader takes the same way.

Python's own reader also takes `NaN`, keeps one of two equal keys, lets half a surrogate pair
through and reads numbers that another reader has as infinite. What `parse` lets through can be
written with `core.events.compact` and then reads back equal, everywhere.

Most texts come as orjson would write them. That one reads back as it was written shows that it is
strict: a key that is there twice, a number that is none or too long, white space: all of them
change on the way. Only the others are read by Python's reader, which takes ten times as long.
"""

from __future__ import annotations

import json
import math
import re
from typing import Never

import orjson

from chatd.core.events import compact

__all__ = ["DEPTH", "DIGITS", "JsonError", "parse"]

DEPTH = 16
"""How many arrays and objects may be within each other in a message."""

DIGITS = 100
"""How long a whole number may be, its sign included; from 309 on it is infinite as a double."""

# A string, or else a run without brackets. A string that does not end goes to the end of the text,
# else the search would begin anew at each of its quotes and take quadratic time.
_STRING_OR_RUN = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|[^"\[\]{}]++', re.DOTALL)


class JsonError(ValueError):
    """A text is not strict JSON; `str()` says why, without anything of the text."""


def parse(text: bytes, depth: int = DEPTH) -> object:
    """Read a JSON value: dict, list, str, int, float, bool or None.

    Args:
        text: one value as UTF-8, with white space around it at most.
        depth: how many arrays and objects may be within each other.

    Raises:
        JsonError: it is not UTF-8 or not JSON, or two keys of an object are equal, or a number is
            not finite or a whole one longer than `DIGITS`, or it has half a surrogate pair, or it
            is nested too deeply.
    """
    # what this counts in strings only costs the closer look
    if text.count(b"[") + text.count(b"{") > depth and _is_deeper(_decoded(text), depth):
        raise JsonError("nested too deeply")
    try:
        value: object = orjson.loads(text)
        if orjson.dumps(value) == text:
            return value
    except orjson.JSONDecodeError:
        pass  # as are texts that Python's reader takes, such as those with half a pair
    return _parse(_decoded(text))


def _decoded(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise JsonError("not UTF-8") from None


def _parse(text: str) -> object:
    try:
        value: object = _DECODER.decode(text)
    except json.JSONDecodeError:
        raise JsonError("not JSON") from None
    if "\\ud" in text or "\\uD" in text:
        try:
            compact(value)
        except UnicodeEncodeError:
            raise JsonError("half a surrogate pair") from None
    return value


def _is_deeper(text: str, depth: int) -> bool:
    """Say whether brackets are nested deeper than that, or do not match."""
    brackets = _STRING_OR_RUN.sub("", text).replace("{", "[").replace("}", "]")
    for _ in range(depth):
        brackets = brackets.replace("[]", "")  # takes off the innermost level
    return brackets != ""


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise JsonError("two equal keys")
    return value


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise JsonError("a number is not finite")
    return value


def _int(text: str) -> int:
    if len(text) > DIGITS:
        raise JsonError("a number is too long")
    return int(text)


def _constant(_: str) -> Never:
    raise JsonError("a number is not finite")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_float=_float,
    parse_int=_int,
    parse_constant=_constant,
)
