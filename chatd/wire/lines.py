"""Lines of the Centrifuge JSON protocol, to commands.

A WebSocket message is one or more JSON objects, a line each. Each is answered under its own number,
so whatever has one becomes a command, be it one that makes no sense.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

from chatd.core.commands import (
    Command,
    Connect,
    History,
    Ignored,
    Ping,
    Presence,
    PresenceStats,
    Publish,
    Refresh,
    Rpc,
    Since,
    Strange,
    Subscribe,
    Unsubscribe,
)
from chatd.core.events import compact
from chatd.errors import BAD_REQUEST, NO_SUCH_COMMAND, ChatError
from chatd.wire.strict import DEPTH, DIGITS, JsonError, parse

__all__ = ["LINES", "PAGE", "decode", "frame_bytes"]

_LONGEST_ESCAPE = 6  # `\u0061` for one byte
_ENVELOPE_BYTES = 8192  # of a command around the message in it

LINES = 1000
"""How many lines it may have, blank ones included."""

PAGE = 500
"""How many messages a page of history has at most."""

_PONG = Ignored()

_LARGEST_ID = (1 << 32) - 1
_LARGEST_OFFSET = (1 << 63) - 1  # what a store can count to

_Body = Mapping[str, object]


def frame_bytes(message_bytes: int) -> int:
    """The largest WebSocket message to be taken: a message in it, even if all of it is escapes.

    Args:
        message_bytes: how large a message may be as compact JSON.
    """
    return _LONGEST_ESCAPE * message_bytes + _ENVELOPE_BYTES


def decode(data: bytes, binary: bool) -> Sequence[Command]:
    """Read one WebSocket message.

    A pong, a `send` and a message of blank lines are `Ignored`; blank lines beside others are
    nothing. A command that is none or makes no sense is `Strange`, as is one that is JSON but not
    strict (see `wire.strict`). An optional field that is null counts as left out.

    Args:
        data: its payload.
        binary: its kind.

    Raises:
        ChatError: BAD_REQUEST, and nothing of the message is to be obeyed: it is binary, not
            UTF-8 or has more than `LINES` lines, or one is no JSON object or has no number under
            which it could be answered.
    """
    if data == b"{}" and not binary:
        return [_PONG]
    if binary or data.count(b"\n") >= LINES:
        raise ChatError(BAD_REQUEST)
    read = [_command(line) for line in data.split(b"\n") if line and not line.isspace()]
    return read or [Ignored()]


def _command(line: bytes) -> Command:
    try:
        value = parse(line, DEPTH + 2)  # a message is two levels down in its command
    except JsonError:
        return _strange(line)
    if not isinstance(value, dict):
        raise ChatError(BAD_REQUEST)
    named = value.keys() & _NAMES
    if not value or named == {"send"}:
        return Ignored()
    number = _number(value.get("id"))
    if len(named) != 1:
        return Strange(number, BAD_REQUEST if named else NO_SUCH_COMMAND)
    method = named.pop()
    body = value[method]
    try:
        if not isinstance(body, dict):
            raise ChatError(BAD_REQUEST)
        return _METHODS[method](number, body)
    except ChatError as error:
        return Strange(number, error.refusal)


def _number(value: object) -> int:
    """Check the number of a command."""
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _LARGEST_ID:
        return value
    raise ChatError(BAD_REQUEST)


def _strange(line: bytes) -> Command:
    """Find the number of a command in JSON that is not strict."""
    try:
        pairs: object = _LENIENT.decode(line.decode())
    except (ValueError, RecursionError):
        raise ChatError(BAD_REQUEST) from None
    numbers = [value for key, value in pairs if key == "id"] if isinstance(pairs, tuple) else []
    if len(numbers) != 1:  # of two, nobody knows which the peer waits for
        raise ChatError(BAD_REQUEST)
    return Strange(_number(numbers[0]), BAD_REQUEST)


# Python's own reading, but an object is a tuple of all its pairs, and of a long number only so
# much is read as shows that it is too large.
_LENIENT = json.JSONDecoder(object_pairs_hook=tuple, parse_int=lambda digits: int(digits[:DIGITS]))


# Fields of a command; null is as good as none.


def _maybe_text(body: _Body, key: str) -> str | None:
    value = body.get(key)
    if value is None or isinstance(value, str):
        return value
    raise ChatError(BAD_REQUEST)


def _text(body: _Body, key: str) -> str:
    value = _maybe_text(body, key)
    if value is None:
        raise ChatError(BAD_REQUEST)
    return value


def _flag(body: _Body, key: str) -> bool:
    value = body.get(key)
    if value is None or isinstance(value, bool):
        return bool(value)
    raise ChatError(BAD_REQUEST)


def _whole(body: _Body, key: str) -> int:
    value = body.get(key)
    if value is None:
        return 0
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ChatError(BAD_REQUEST)


def _part(body: _Body, key: str) -> _Body | None:
    value = body.get(key)
    if value is None or isinstance(value, dict):
        return value
    raise ChatError(BAD_REQUEST)


def _since(body: _Body) -> Since:
    offset = _whole(body, "offset")
    if not 0 <= offset <= _LARGEST_OFFSET:
        raise ChatError(BAD_REQUEST)
    return Since(_maybe_text(body, "epoch") or "", offset)


# The commands.


def _connect(number: int, body: _Body) -> Command:
    own = _part(body, "data") or {}
    token = _maybe_text(body, "token") or ""
    return Connect(number, token, _maybe_text(own, "nick"), _maybe_text(own, "resume"))


def _subscribe(number: int, body: _Body) -> Command:
    since = _since(body) if _flag(body, "recover") else None
    return Subscribe(number, _text(body, "channel"), since, _flag(body, "join_leave"))


def _publish(number: int, body: _Body) -> Command:
    if "data" not in body:
        raise ChatError(BAD_REQUEST)
    value = body["data"]
    return Publish(number, _text(body, "channel"), value, compact(value))


def _history(number: int, body: _Body) -> Command:
    limit = _whole(body, "limit")
    if limit < -1:
        raise ChatError(BAD_REQUEST)
    since = _part(body, "since")
    return History(
        number,
        _text(body, "channel"),
        PAGE if limit == -1 else min(limit, PAGE),
        None if since is None else _since(since),
        _flag(body, "reverse"),
    )


_METHODS: Mapping[str, Callable[[int, _Body], Command]] = {
    "connect": _connect,
    "subscribe": _subscribe,
    "unsubscribe": lambda number, body: Unsubscribe(number, _text(body, "channel")),
    "publish": _publish,
    "history": _history,
    "presence": lambda number, body: Presence(number, _text(body, "channel")),
    "presence_stats": lambda number, body: PresenceStats(number, _text(body, "channel")),
    "rpc": lambda number, body: Rpc(number, _text(body, "method"), body.get("data")),
    "refresh": lambda number, body: Refresh(number, _text(body, "token")),
    "ping": lambda number, _: Ping(number),
}
_NAMES = {*_METHODS, "send"}
