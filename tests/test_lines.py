"""Lines of the Centrifuge JSON protocol, to commands."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

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
from chatd.errors import BAD_REQUEST, NO_SUCH_COMMAND, ChatError
from chatd.wire.lines import LINES, PAGE, decode
from chatd.wire.strict import DEPTH
from tests.support import strategies
from tests.support.jsons import values

# Every command, in its shortest form and with all that is looked at.
COMMANDS: tuple[tuple[str, Command], ...] = (
    ('{"id":1,"connect":{}}', Connect(1, "", None, None)),
    (
        '{"id":4294967295,"connect":{"token":"t","data":{"nick":"Ann","resume":"r","x":1},'
        '"name":"js","version":"1","headers":{},"subs":{"a":{"recover":true,"offset":5}}}}',
        Connect(4294967295, "t", "Ann", "r"),
    ),
    ('{"id":1,"connect":{"data":null}}', Connect(1, "", None, None)),
    ('{"id":1,"connect":{"data":{"nick":""}}}', Connect(1, "", "", None)),
    ('{"id":2,"subscribe":{"channel":"Den"}}', Subscribe(2, "Den", None, False)),
    (
        '{"id":2,"subscribe":{"channel":"Den","recover":true,"epoch":"e","offset":7,"flag":1,'
        '"positioned":true,"recoverable":true,"join_leave":true,"data":[]}}',
        Subscribe(2, "Den", Since("e", 7), True),
    ),
    (
        '{"id":2,"subscribe":{"channel":"Den","recover":true,"epoch":"_"}}',
        Subscribe(2, "Den", Since("_", 0), False),
    ),
    (
        '{"id":2,"subscribe":{"channel":"Den","recover":true}}',
        Subscribe(2, "Den", Since("", 0), False),
    ),
    (
        '{"id":2,"subscribe":{"channel":"","recover":false,"epoch":"e","offset":7}}',
        Subscribe(2, "", None, False),
    ),
    ('{"id":3,"unsubscribe":{"channel":"Den"}}', Unsubscribe(3, "Den")),
    ('{"id":4,"publish":{"channel":"Den","data":null}}', Publish(4, "Den", None, b"null")),
    (
        '{"id":4,"publish":{"channel":"Den","data": {"a": [1, "\\u000a\\u0000"]}}}',
        Publish(4, "Den", {"a": [1, "\n\0"]}, b'{"a":[1,"\\n\\u0000"]}'),
    ),
    ('{"id":5,"history":{"channel":"Den"}}', History(5, "Den", 0, None, False)),
    (
        '{"id":5,"history":{"channel":"Den","limit":9,"since":{"offset":3,"epoch":"e"},'
        '"reverse":true}}',
        History(5, "Den", 9, Since("e", 3), True),
    ),
    ('{"id":5,"history":{"channel":"Den","limit":-1}}', History(5, "Den", PAGE, None, False)),
    ('{"id":5,"history":{"channel":"Den","limit":501}}', History(5, "Den", PAGE, None, False)),
    (
        '{"id":5,"history":{"channel":"Den","since":{},"limit":null,"reverse":null}}',
        History(5, "Den", 0, Since("", 0), False),
    ),
    (
        '{"id":5,"history":{"channel":"Den","since":{"offset":9223372036854775807}}}',
        History(5, "Den", 0, Since("", (1 << 63) - 1), False),
    ),
    ('{"id":6,"presence":{"channel":"Den"}}', Presence(6, "Den")),
    ('{"id":7,"presence_stats":{"channel":"Den"}}', PresenceStats(7, "Den")),
    ('{"id":8,"rpc":{"method":"nick","data":{"nick":"B"}}}', Rpc(8, "nick", {"nick": "B"})),
    ('{"id":8,"rpc":{"method":""}}', Rpc(8, "", None)),
    ('{"id":9,"refresh":{"token":"t"}}', Refresh(9, "t")),
    ('{"id":10,"ping":{}}', Ping(10)),
    ('{"other":1,"id":10,"ping":{"x":[]}}', Ping(10)),
)

# Known, but with a body that makes no sense.
BAD_BODIES = (
    '"ping":null',
    '"ping":1',
    '"subscribe":[]',
    '"connect":"x"',
    '"connect":{"token":1}',
    '"connect":{"data":"Ann"}',
    '"connect":{"data":[]}',
    '"connect":{"data":{"nick":1}}',
    '"connect":{"data":{"resume":{}}}',
    '"subscribe":{}',
    '"subscribe":{"channel":null}',
    '"subscribe":{"channel":1}',
    '"subscribe":{"channel":"a","recover":1}',
    '"subscribe":{"channel":"a","join_leave":"yes"}',
    '"subscribe":{"channel":"a","recover":true,"epoch":1}',
    '"subscribe":{"channel":"a","recover":true,"offset":-1}',
    '"subscribe":{"channel":"a","recover":true,"offset":1.0}',
    '"subscribe":{"channel":"a","recover":true,"offset":true}',
    '"subscribe":{"channel":"a","recover":true,"offset":"1"}',
    '"subscribe":{"channel":"a","recover":true,"offset":9223372036854775808}',
    '"unsubscribe":{}',
    '"publish":{"channel":"a"}',
    '"publish":{"data":1}',
    '"history":{"limit":1}',
    '"history":{"channel":"a","limit":-2}',
    '"history":{"channel":"a","limit":1.5}',
    '"history":{"channel":"a","limit":false}',
    '"history":{"channel":"a","reverse":0}',
    '"history":{"channel":"a","since":7}',
    '"history":{"channel":"a","since":{"offset":-1}}',
    '"presence":{}',
    '"presence_stats":{"channel":[]}',
    '"rpc":{}',
    '"rpc":{"method":null,"data":1}',
    '"refresh":{}',
    '"ping":{},"connect":{}',
    '"ping":{},"send":{}',
)

# JSON for Python, and not for everybody.
NOT_STRICT = (
    "NaN",
    "-Infinity",
    "1e999",
    "1" * 5000,
    '"\\ud800"',
    '{"\\udc00":1}',
    '{"a":1,"a":2}',
    "[" * (DEPTH + 1) + "]" * (DEPTH + 1),
    "[" * 100 + '{"id":1}' + "]" * 100,
)

# Nothing to which an answer could be given.
HOPELESS = (
    "[]",
    "1",
    "null",
    '""',
    "x",
    "{",
    '{"ping":{}}',
    '{"id":null,"ping":{}}',
    '{"id":0,"ping":{}}',
    '{"id":-1,"ping":{}}',
    '{"id":true,"ping":{}}',
    '{"id":1.0,"ping":{}}',
    '{"id":"1","ping":{}}',
    '{"id":4294967296,"ping":{}}',
    '{"sned":{}}',
    '{"send":{},"ping":{}}',
    '{"id":1,"id":2,"ping":{}}',
    '{"id":1,"\\u0069d":1,"ping":{}}',
    '{"id":NaN,"ping":{}}',
    '{"id":' + "1" * 5000 + ',"ping":{}}',
    '{"ping":{"id":1,"x":NaN}}',
    "[NaN]",
    "NaN",
    '{"id":1,"ping":{}} {}',
    '{"id":1,"publish":{"channel":"a","data":' + "[" * 100_000 + "}}",
    '{"id":1,"publish":{"channel":"a","data":' + "[" * 50_000 + "]" * 50_000 + "}}",
    "\0",
    "\ufeff{}",
)


class DecodeTests(SynchronousTestCase):
    def refuse(self, data: bytes, binary: bool = False) -> None:
        """Check that a whole message is a bad request."""
        error = self.assertRaises(ChatError, decode, data, binary)
        self.assertIs(error.refusal, BAD_REQUEST)

    def test_commands(self) -> None:
        """Each command is read, with all its fields and without those that may be left out."""
        for line, command in COMMANDS:
            self.assertEqual(decode(line.encode(), False), [command])

    def test_truth(self) -> None:
        """What is a number or a truth in JSON is one of the same kind as a command."""
        (command,) = decode(b'{"id":2,"subscribe":{"channel":"a","recover":true}}', False)
        assert isinstance(command, Subscribe)
        self.assertIs(command.join_leave, False)

    @given(st.lists(st.sampled_from(COMMANDS), max_size=20), st.sampled_from("\n \t\r"))
    def test_several(self, several: list[tuple[str, Command]], blank: str) -> None:
        """Lines are read in their order like single ones; blank ones are nothing."""
        data = f"\n{blank}\n".join(line for line, _ in several)
        self.assertEqual(
            decode(data.encode(), False), [command for _, command in several] or [Ignored()]
        )

    def test_nothing(self) -> None:
        """A pong, a `send` with or without a number, and an empty message are not answered."""
        for data in (b"", b"{}", b"\n\n {} ", b'{"send":{"data":1}}', b'{"id":1,"send":null}'):
            self.assertEqual(decode(data, False), [Ignored()])
        self.assertEqual(decode(b"{}\n{}\n\n", False), [Ignored()] * 2)

    def test_unknown(self) -> None:
        """A command that is none is answered so."""
        for line in ('{"id":5,"sub_refresh":{}}', '{"id":5}', '{"id":5,"Ping":{},"x":1}'):
            self.assertEqual(decode(line.encode(), False), [Strange(5, NO_SUCH_COMMAND)])

    def test_bad_body(self) -> None:
        """A command with a body that makes no sense is a bad request, and others are obeyed."""
        for body in BAD_BODIES:
            data = f'{{"id":4,"ping":{{}}}}\n{{"id":5,{body}}}\n{{"id":6,"ping":{{}}}}'.encode()
            self.assertEqual(decode(data, False), [Ping(4), Strange(5, BAD_REQUEST), Ping(6)], body)

    def test_not_strict(self) -> None:
        """What not every reader takes the same way is a bad request, answered by its number."""
        for value in NOT_STRICT:
            for line in (
                f'{{"id":5,"publish":{{"channel":"a","data":{value}}}}}',
                f'{{"publish":{{"channel":"a","data":{value}}},"id":5}}',
            ):
                self.assertEqual(decode(line.encode(), False), [Strange(5, BAD_REQUEST)], value)

    def test_depth(self) -> None:
        """A message may be as deep as messages may be, its command not counted."""
        value = "[" * DEPTH + "]" * DEPTH
        (command,) = decode(
            f'{{"id":5,"publish":{{"channel":"a","data":{value}}}}}'.encode(), False
        )
        assert isinstance(command, Publish)
        self.assertEqual(command.payload, value.encode())

    def test_hopeless(self) -> None:
        """With a line that cannot be answered the whole message is a bad request."""
        for line in HOPELESS:
            self.refuse(line.encode())
            self.refuse(f'{{"id":4,"ping":{{}}}}\n{line}'.encode())

    def test_binary(self) -> None:
        """A binary message is a bad request, whatever is in it."""
        self.refuse(b"", binary=True)
        self.refuse(b"{}", binary=True)

    def test_not_utf8(self) -> None:
        """What is not UTF-8 is a bad request; an encoded surrogate is not."""
        self.refuse(b"\xff")
        self.refuse(b'{"id":1,"rpc":{"method":"\xed\xa0\x80"}}')

    def test_lines(self) -> None:
        """A message has so many lines and no more, blank or not."""
        line = b'{"id":1,"ping":{}}'
        self.assertEqual(decode(b"\n".join([line] * LINES), False), [Ping(1)] * LINES)
        self.refuse(b"\n".join([line] * (LINES + 1)))
        self.assertEqual(decode(b"\n" * (LINES - 1), False), [Ignored()])
        self.refuse(b"\n" * LINES)

    @given(values())
    def test_payload(self, value: object) -> None:
        """A payload is one line without U+0000 and says what was said."""
        command = {"id": 1, "publish": {"channel": "a", "data": value}}
        (read,) = decode(json.dumps(command).encode(), False)
        assert isinstance(read, Publish)
        self.assertEqual(repr(read.value), repr(value))
        self.assertFalse({0, 10, 13} & set(read.payload))
        self.assertEqual(repr(json.loads(read.payload)), repr(value))

    @given(strategies.blobs(), st.booleans())
    def test_any_bytes(self, data: bytes, binary: bool) -> None:
        """No bytes make it fail in another way."""
        try:
            decode(data, binary)
        except ChatError as error:
            self.assertIs(error.refusal, BAD_REQUEST)

    @given(
        st.dictionaries(
            st.sampled_from(("id", "connect", "subscribe", "publish", "history", "rpc", "send")),
            st.one_of(
                values(),
                st.dictionaries(
                    st.sampled_from(("channel", "data", "since", "offset", "epoch", "recover")),
                    values(),
                ),
            ),
        )
    )
    def test_any_object(self, value: object) -> None:
        """No object makes it fail in another way, or is more than one command."""
        try:
            commands = decode(json.dumps(value).encode(), False)
        except ChatError as error:
            self.assertIs(error.refusal, BAD_REQUEST)
        else:
            self.assertLessEqual(len(commands), 1)

    @given(values())
    def test_any_body(self, value: object) -> None:
        """Whatever is in a command with a number, there is an answer to that number."""
        for name in ("connect", "subscribe", "publish", "history", "rpc", "refresh", "x"):
            (command,) = decode(json.dumps({"id": 3, name: value}).encode(), False)
            self.assertEqual(getattr(command, "id", None), 3)
