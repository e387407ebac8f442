"""The raw text of the original demo."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatd.core.commands import Enter, Say, Send
from chatd.core.events import (
    Joined,
    Left,
    Message,
    Notice,
    Relay,
    Sender,
    Signal,
    Unsubscribed,
    compact,
    payload,
)
from chatd.core.replies import Counted, Done, Refused, Reply
from chatd.errors import BAD_REQUEST, ChatError
from chatd.wire.plain import Plain, decode, entrance
from tests.support import strategies
from tests.support.jsons import values
from tests.support.peers import messages_in

ANN = Sender("u1", "s1", "Ann")


def message(text: str) -> Message:
    """A message of Ann's."""
    return stored(payload("m1", text))


def stored(said: bytes) -> Message:
    """Any JSON of Ann's."""
    return Message("lobby", ANN, said, 1, 0)


class EncodeTests(SynchronousTestCase):
    @given(strategies.texts())
    def test_message(self, text: str) -> None:
        """A message is its text, whatever is in it."""
        self.assertEqual(messages_in(Plain().encode(message(text))), [text])

    @given(strategies.texts())
    def test_nicks(self, text: str) -> None:
        """With nicks a message and a text that is passed on begin with who said it."""
        dialect = Plain(nicks=True)
        relay = Relay("lobby", ANN, text.encode(), binary=False)
        for event in (message(text), relay):
            self.assertEqual(messages_in(dialect.encode(event)), [f"Ann: {text}"])

    @given(strategies.blobs(), st.booleans())
    def test_binary(self, data: bytes, nicks: bool) -> None:
        """Bytes stay the same bytes, with nicks too."""
        relay = Relay("lobby", ANN, data, binary=True)
        self.assertEqual(messages_in(Plain(nicks).encode(relay)), [data])

    @given(strategies.texts(), st.booleans())
    def test_notice(self, text: str, nicks: bool) -> None:
        """The server's own words have no nick."""
        self.assertEqual(messages_in(Plain(nicks).encode(Notice(text))), [text])

    def test_programs(self) -> None:
        """A message of a program is its text too, whatever else is in it and in which order."""
        for said in (
            b'{"type":"message","text":"hi"}',
            b'{"text":"hi","reply_to":4,"id":"m2","type":"message","x":[{}]}',
        ):
            self.assertEqual(messages_in(Plain().encode(stored(said))), ["hi"])
            self.assertEqual(messages_in(Plain(nicks=True).encode(stored(said))), ["Ann: hi"])

    def test_other_json(self) -> None:
        """Other JSON is shown as it is stored, its numbers spelled as they are."""
        for said in (
            '{"type":"edit","text":1}',
            '{"type":["delete"]}',
            '{"type":"deleted","ref":1}',
            '{"type":"message","text":1.50}',
            '{"type":"message"}',
            '{"type":["deleted"]}',
            '{"text":"hi"}',
            '["message","hi"]',
            '"message"',
            "1e2",
            "null",
        ):
            self.assertEqual(messages_in(Plain().encode(stored(said.encode()))), [said])

    @given(values())
    def test_any_json(self, value: object) -> None:
        """Any JSON can be read back from what is shown, with nicks after the nick."""
        event = stored(compact([value]))
        for dialect, before in ((Plain(), ""), (Plain(nicks=True), "Ann: ")):
            (text,) = messages_in(dialect.encode(event))
            assert isinstance(text, str)
            self.assertTrue(text.startswith(before))
            self.assertEqual(repr(json.loads(text.removeprefix(before))), repr([value]))

    def test_edit(self) -> None:
        """An edit is its new text after a star."""
        edit = stored(b'{"type":"edit","id":"e1","ref":1,"text":"high \xc3\xa4"}')
        self.assertEqual(messages_in(Plain().encode(edit)), ["* high \u00e4"])
        self.assertEqual(messages_in(Plain(nicks=True).encode(edit)), ["Ann: * high \u00e4"])

    def test_silent(self) -> None:
        """Deletions, reactions and topics are not shown."""
        for said in (
            b'{"type":"delete","id":"d1","ref":1}',
            b'{"type":"reaction","id":"r1","ref":1,"emoji":"+","on":true}',
            b'{"type":"topic","text":"cake"}',
        ):
            for dialect in (Plain(), Plain(nicks=True)):
                self.assertEqual(dialect.encode(stored(said)), b"")

    def test_erased(self) -> None:
        """An erased message is not shown."""
        for dialect in (Plain(), Plain(nicks=True)):
            self.assertEqual(dialect.encode(stored(b'{"type":"deleted"}')), b"")

    def test_not_shown(self) -> None:
        """Replies, signals and who comes and goes are nothing that somebody says."""
        for event in (
            Reply(1, Done("publish")),
            Reply(1, Counted(1, 1)),
            Reply(1, Refused(BAD_REQUEST)),
            Signal("lobby", ANN, b'{"type":"typing","on":true}'),
            Joined("lobby", ANN),
            Left("lobby", ANN),
            Unsubscribed("lobby", 2000, "kicked"),
        ):
            self.assertEqual(Plain(nicks=True).encode(event), b"")
        self.assertFalse(Plain.has_replies)

    def test_shared(self) -> None:
        """Two dialects that show the same are equal and hash equal, so they share bytes."""
        self.assertEqual(len({Plain(), Plain(nicks=False), Plain(nicks=True)}), 2)


class DecodeTests(SynchronousTestCase):
    @given(strategies.texts().filter(bool))
    def test_text(self, text: str) -> None:
        """A text is said, whatever is in it."""
        self.assertEqual(decode(text.encode(), binary=False), [Say(text)])

    @given(strategies.blobs())
    def test_binary(self, data: bytes) -> None:
        """Binary is passed on, though it may look like text."""
        self.assertEqual(decode(data, binary=True), [Send(data, binary=True)])

    def test_empty(self) -> None:
        """An empty text is passed on as an empty text, not stored."""
        self.assertEqual(decode(b"", binary=False), [Send(b"", binary=False)])

    def test_byte_for_byte(self) -> None:
        """Nothing is trimmed, folded or composed."""
        for text in ("\0", "\n", " a ", "\ufeffa", "e\u0301", "\U0001f469\u200d\U0001f467"):
            said = decode(text.encode(), binary=False)
            self.assertEqual(said, [Say(text)])
            self.assertEqual(messages_in(Plain().encode(message(text))), [text])


class EntranceTests(SynchronousTestCase):
    def test_nothing(self) -> None:
        """Without a query it is any nick in the default room, shown without nicks."""
        self.assertEqual(entrance({}), (Enter(None, None), Plain()))

    def test_all(self) -> None:
        """Room, nick and nicks are taken as they are; whether they are good is not its matter."""
        query = {"room": ["Den!"], "nick": ["Ann"], "nicks": ["1"]}
        self.assertEqual(entrance(query), (Enter("Den!", "Ann"), Plain(nicks=True)))

    def test_empty(self) -> None:
        """An empty name is asked for like any other."""
        self.assertEqual(entrance({"room": [""], "nick": [""]}), (Enter("", ""), Plain()))

    def test_no_nicks(self) -> None:
        """`nicks=0` is the same as none."""
        self.assertEqual(entrance({"nicks": ["0"]}), (Enter(None, None), Plain()))

    def test_others(self) -> None:
        """Other keys are ignored, however often they are given."""
        self.assertEqual(entrance({"x": ["1", "2"], "token": []}), (Enter(None, None), Plain()))

    def test_refused(self) -> None:
        """A key given twice, or `nicks` that is neither 0 nor 1, is a bad request."""
        for query in (
            {"room": ["a", "b"]},
            {"nick": ["a", "a"]},
            {"nicks": ["1", "1"]},
            {"room": list[str]()},
            {"nicks": [""]},
            {"nicks": ["yes"]},
        ):
            error = self.assertRaises(ChatError, entrance, query)
            self.assertIs(error.refusal, BAD_REQUEST)
