"""What a published value means."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatd.core.chat import Said, judge
from chatd.core.events import compact
from chatd.errors import BAD_REQUEST, NOT_AVAILABLE, TEXT_TOO_LONG, ChatError, Refusal

MOST_BYTES = 200
MOST_CHARS = 20

FREE = Said(message_id=None, is_signal=False)
CHAT = ("message", "typing", "edit", "delete", "reaction", "deleted", "topic", "nick", "read")

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
            said({"type": "message", "id": "m-1_A", "text": "hi"}), Said("m-1_A", is_signal=False)
        )

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
            self.assertEqual(said({**value, "reply_to": offset}).message_id, "m1")
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


class NotAvailableTests(ChatCase):
    def test_later(self) -> None:
        """What is not there yet is refused, well-formed or not: it must not be stored as free."""
        for kind in ("edit", "delete", "reaction"):
            self.assertRefused({"type": kind}, NOT_AVAILABLE)
            self.assertRefused({"type": kind, "id": "m1", "ref": 1, "text": "a"}, NOT_AVAILABLE)

    def test_of_the_server(self) -> None:
        """What only the server says is refused: from a peer it would be forged."""
        for kind in ("deleted", "topic", "nick", "read"):
            self.assertRefused({"type": kind}, NOT_AVAILABLE)
            self.assertRefused({"type": kind, "id": "m1", "text": "a"}, NOT_AVAILABLE)


class AnyTests(ChatCase):
    @given(
        st.sampled_from(CHAT),
        st.dictionaries(st.sampled_from(("id", "text", "on", "reply_to")), json_values),
    )
    def test_total(self, kind: str, fields: dict[str, object]) -> None:
        """Chat with whatever in its fields is judged or refused, and nothing else happens."""
        value = {"type": kind, **fields}
        try:
            got = said(value)
        except ChatError as error:
            self.assertIn(error.refusal, (BAD_REQUEST, NOT_AVAILABLE, TEXT_TOO_LONG))
        else:
            expected = {"message": (fields.get("id"), False), "typing": (None, True)}
            self.assertEqual((got.message_id, got.is_signal), expected[kind])
