"""What a published value means."""

from __future__ import annotations

from typing import ClassVar

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatd.core.chat import MOST_EMOJI_CHARS, Said, about, judge
from chatd.core.events import MESSAGE, OTHER, About, Kind, compact
from chatd.errors import BAD_REQUEST, NOT_AVAILABLE, TEXT_TOO_LONG, ChatError, Refusal

MOST_BYTES = 200
MOST_CHARS = 20

FREE = Said(message_id=None, is_signal=False)
SERVERS = ("audit", "deleted", "direct", "nick", "read", "topic")
CHAT = ("message", "typing", "edit", "delete", "reaction", *SERVERS)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3),
    max_leaves=8,
)


def said(value: object, *, most_bytes: int = MOST_BYTES) -> Said:
    """Judge a value, with its true payload."""
    return judge(value, compact(value), most_bytes=most_bytes, most_chars=MOST_CHARS)


class ChatCase(SynchronousTestCase):
    def assertRefused(self, value: object, refusal: Refusal) -> None:
        """A value is refused with these words and number."""
        error = self.assertRaises(ChatError, said, value)
        self.assertIs(error.refusal, refusal, value)


class FreeTests(ChatCase):
    @given(json_values)
    def test_any(self, value: object) -> None:
        """A value that is no chat is free, and nothing of it is taken for an id."""
        self.assertEqual(said(value, most_bytes=1 << 20), FREE)

    def test_other_types(self) -> None:
        """An object whose type is none of chat's, or no string, is free."""
        kinds: tuple[object, ...] = (
            None,
            True,
            1,
            [],
            ["message"],
            {},
            "",
            "Message",
            "message ",
            "order",
        )
        for kind in kinds:
            self.assertEqual(said({"type": kind, "id": "m1", "text": ""}), FREE)

    def test_no_object(self) -> None:
        """Only an object is chat, not a list or a string that looks like one."""
        for value in ("message", ["type", "message"], [{"type": "message"}], None, 0):
            self.assertEqual(said(value), FREE)

    def test_type_within(self) -> None:
        """What is inside of a free value is not looked at."""
        self.assertEqual(said({"inner": {"type": "message"}}), FREE)


class SizeTests(ChatCase):
    def test_edge(self) -> None:
        """A payload may have `most_bytes` bytes and no more, whatever it means."""
        self.assertEqual(said("a" * (MOST_BYTES - 2)), FREE)
        self.assertRefused("a" * (MOST_BYTES - 1), BAD_REQUEST)

    def test_bytes(self) -> None:
        """The size is in bytes of the payload, not in characters."""
        self.assertRefused("\u20ac" * (MOST_BYTES // 2), BAD_REQUEST)

    def test_chat(self) -> None:
        """Chat that is too big is too big first of all."""
        for kind in ("message", "typing", "edit", "deleted"):
            value = {"type": kind, "id": "m1", "text": "a", "on": True, "more": "a" * MOST_BYTES}
            self.assertRefused(value, BAD_REQUEST)


class MessageTests(ChatCase):
    def test_good(self) -> None:
        """A message has its sender's id and is stored."""
        self.assertEqual(
            said({"type": "message", "id": "m-1_A", "text": "hi"}),
            Said("m-1_A", is_signal=False, about=MESSAGE),
        )

    def test_mentions(self) -> None:
        """Whom it names is known; one that names nobody is like all such messages."""
        value = {"type": "message", "id": "m1"}
        found = said({**value, "text": "hi @Bob, @ann"}).about
        self.assertEqual(found, About(Kind.MESSAGE, 0, (), ("bob", "ann")))
        for text in ("hi", "a@b"):
            self.assertIs(said({**value, "text": text}).about, MESSAGE)
            self.assertIs(about(text), MESSAGE)

    def test_more(self) -> None:
        """Further fields are nobody's business."""
        value = {"type": "message", "id": "m1", "text": "hi", "on": 3, "colour": ["red"]}
        before = compact(value)
        self.assertEqual(said(value).message_id, "m1")
        self.assertEqual(compact(value), before)

    def test_id(self) -> None:
        """The id must be a message id."""
        self.assertRefused({"type": "message", "text": "hi"}, BAD_REQUEST)
        bad: tuple[object, ...] = (None, 1, True, [], {}, "", "a b", "a.b", "a\n", "i" * 65)
        for own_id in bad:
            self.assertRefused({"type": "message", "id": own_id, "text": "hi"}, BAD_REQUEST)

    def test_text(self) -> None:
        """The text must be a string with something in it."""
        self.assertRefused({"type": "message", "id": "m1"}, BAD_REQUEST)
        bad: tuple[object, ...] = (None, 1, True, ["hi"], {}, "")
        for text in bad:
            self.assertRefused({"type": "message", "id": "m1", "text": text}, BAD_REQUEST)

    def test_text_length(self) -> None:
        """A text may have `most_chars` characters and no more."""
        for character in ("a", "\u20ac", "\U0001f600"):
            text = character * MOST_CHARS
            self.assertEqual(said({"type": "message", "id": "m1", "text": text}).message_id, "m1")
            text += character
            self.assertRefused({"type": "message", "id": "m1", "text": text}, TEXT_TOO_LONG)

    def test_malformed_and_long(self) -> None:
        """What could not become a message by being shorter is a bad request."""
        text = "a" * (MOST_CHARS + 1)
        self.assertRefused({"type": "message", "id": "", "text": text}, BAD_REQUEST)

    def test_reply_to(self) -> None:
        """A message may answer an offset: a whole number from 1."""
        value = {"type": "message", "id": "m1", "text": "hi"}
        for offset in (1, 2, 1 << 53):
            self.assertEqual(
                said({**value, "reply_to": offset}), Said("m1", False, MESSAGE, offset)
            )
        self.assertEqual(said(value).reply_to, 0)
        self.assertEqual(said({**value, "text": "@x", "reply_to": 7}).reply_to, 7)
        self.assertEqual(said({**value, "text": "@x"}).reply_to, 0)
        bad: tuple[object, ...] = (None, 0, -1, True, False, 1.0, "1", [], {})
        for other in bad:
            self.assertRefused({**value, "reply_to": other}, BAD_REQUEST)


class TypingTests(ChatCase):
    def test_good(self) -> None:
        """That somebody types, or stopped, is told and not stored, and has no id."""
        for on in (True, False):
            self.assertEqual(
                said({"type": "typing", "on": on, "id": "m1"}), Said(None, is_signal=True)
            )

    def test_on(self) -> None:
        """It says which of the two."""
        self.assertRefused({"type": "typing"}, BAD_REQUEST)
        bad: tuple[object, ...] = (None, 0, 1, "true", [])
        for on in bad:
            self.assertRefused({"type": "typing", "on": on}, BAD_REQUEST)


class ChangeTests(ChatCase):
    EDIT: ClassVar = {"type": "edit", "id": "e1", "ref": 3, "text": "hi @Bob"}
    DELETE: ClassVar = {"type": "delete", "id": "d1", "ref": 3}
    REACTION: ClassVar = {"type": "reaction", "id": "r1", "ref": 3, "emoji": "+", "on": True}

    def test_good(self) -> None:
        """An edit, a deletion and a reaction say of which message they are."""
        for value, expected in (
            (self.EDIT, About(Kind.EDIT, 3, (), ("bob",))),
            (self.DELETE, About(Kind.DELETE, 3)),
            (self.REACTION, About(Kind.REACTION, 3)),
            ({**self.REACTION, "on": False}, About(Kind.REACTION, 3)),
        ):
            self.assertEqual(said(value), Said(str(value["id"]), False, expected))

    def test_id(self) -> None:
        """Each needs an id of its own, which must be a message id."""
        for value in (self.EDIT, self.DELETE, self.REACTION):
            for own_id in (None, 1, "", "a b", "i" * 65):
                self.assertRefused({**value, "id": own_id}, BAD_REQUEST)

    def test_ref(self) -> None:
        """Each needs the offset of a message: a whole number from 1, however large."""
        for value in (self.EDIT, self.DELETE, self.REACTION):
            self.assertEqual(said({**value, "ref": 10**40}).about.ref, 10**40)
            bad: tuple[object, ...] = (None, 0, -1, True, 1.0, "1", [])
            for ref in bad:
                self.assertRefused({**value, "ref": ref}, BAD_REQUEST)

    def test_text(self) -> None:
        """The text of an edit is as that of a message."""
        for text in (None, 1, "", ["hi"]):
            self.assertRefused({**self.EDIT, "text": text}, BAD_REQUEST)
        self.assertEqual(said({**self.EDIT, "text": "a" * MOST_CHARS}).about.ref, 3)
        self.assertRefused({**self.EDIT, "text": "a" * (MOST_CHARS + 1)}, TEXT_TOO_LONG)

    def test_emoji(self) -> None:
        """A reaction is one sign of up to 32 characters, without spaces and control characters."""
        family = "\U0001f468\u200d\U0001f469\u200d\U0001f467\ufe0f"
        for emoji in ("a", "\U0001f44d\U0001f3fd", family, "x" * MOST_EMOJI_CHARS):
            self.assertEqual(said({**self.REACTION, "emoji": emoji}).about.ref, 3)
        for bad in (
            None,
            1,
            "",
            "x" * (MOST_EMOJI_CHARS + 1),
            "a b",
            "\0",
            "\x7f",
            "\x85",
            "\u3000",
        ):
            self.assertRefused({**self.REACTION, "emoji": bad}, BAD_REQUEST)

    def test_on(self) -> None:
        """A reaction is given or taken back."""
        for on in (None, 0, 1, "true"):
            self.assertRefused({**self.REACTION, "on": on}, BAD_REQUEST)


class NotAvailableTests(ChatCase):
    def test_of_the_server(self) -> None:
        """What only the server says is refused: from a peer it would be forged."""
        for kind in SERVERS:
            self.assertRefused({"type": kind}, NOT_AVAILABLE)
            self.assertRefused({"type": kind, "id": "m1", "text": "a"}, NOT_AVAILABLE)


class AnyTests(ChatCase):
    @given(
        st.sampled_from(CHAT),
        st.dictionaries(
            st.sampled_from(("id", "text", "on", "reply_to", "ref", "emoji")),
            json_values | st.just("a") | st.just(1),
        ),
    )
    def test_total(self, kind: str, fields: dict[str, object]) -> None:
        """Chat with whatever in its fields is judged or refused, and nothing else happens."""
        value = {"type": kind, **fields}
        try:
            got = said(value)
        except ChatError as error:
            self.assertIn(error.refusal, (BAD_REQUEST, NOT_AVAILABLE, TEXT_TOO_LONG))
        else:
            own_id, on = fields.get("id"), kind == "typing"
            self.assertNotIn(kind, SERVERS)
            self.assertEqual((got.message_id, got.is_signal), (None if on else own_id, on))
            self.assertEqual(got.about is OTHER, on)
