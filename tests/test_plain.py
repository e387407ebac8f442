"""The raw text of the original demo."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatd.core.events import Enter, Message, Notice, Relay, Say, Send, Sender, payload
from chatd.errors import BAD_REQUEST, ChatError
from chatd.wire.plain import Plain, decode, entrance
from tests.support import strategies
from tests.support.peers import messages_in

ANN = Sender("s1", "Ann")


def message(text: str) -> Message:
    """A message of Ann's."""
    return Message("lobby", ANN, "m1", payload("m1", text), 1, 0)


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

    def test_shared(self) -> None:
        """Two dialects that show the same are equal and hash equal, so they share bytes."""
        self.assertEqual(len({Plain(), Plain(nicks=False), Plain(nicks=True)}), 2)


class DecodeTests(SynchronousTestCase):
    @given(strategies.texts().filter(bool))
    def test_text(self, text: str) -> None:
        """A text is said, whatever is in it."""
        self.assertEqual(decode(text.encode(), binary=False), Say(text))

    @given(strategies.blobs())
    def test_binary(self, data: bytes) -> None:
        """Binary is passed on, though it may look like text."""
        self.assertEqual(decode(data, binary=True), Send(data, binary=True))

    def test_empty(self) -> None:
        """An empty text is passed on as an empty text, not stored."""
        self.assertEqual(decode(b"", binary=False), Send(b"", binary=False))

    def test_byte_for_byte(self) -> None:
        """Nothing is trimmed, folded or composed."""
        for text in ("\0", "\n", " a ", "\ufeffa", "e\u0301", "\U0001f469\u200d\U0001f467"):
            said = decode(text.encode(), binary=False)
            self.assertEqual(said, Say(text))
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
            self.assertIs(self.assertRaises(ChatError, entrance, query), BAD_REQUEST)
