"""The argument of a call, taken apart."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatd.core import arguments
from chatd.errors import BAD_REQUEST, ROOM_INVALID, ChatError

_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-9, 9),
    st.floats(),
    st.text(max_size=3),
    st.lists(st.integers(), max_size=2),
)


class ArgumentsTests(SynchronousTestCase):
    def refused(self, read: Callable[..., object], *words: object) -> object:
        """Why a field is not taken."""
        return self.assertRaises(ChatError, read, *words).refusal

    def test_fields(self) -> None:
        """An argument is an object, or was left out."""
        self.assertEqual(arguments.fields({"a": 1}), {"a": 1})
        self.assertEqual(arguments.fields(None), {})
        values: tuple[object, ...] = ([], "x", 1, True)
        for value in values:
            self.assertIs(self.refused(arguments.fields, value), BAD_REQUEST)

    def test_text(self) -> None:
        """A text is a text; null is as good as none."""
        self.assertEqual(arguments.text({"a": ""}, "a"), "")
        self.assertIsNone(arguments.maybe_text({"a": None}, "a"))
        self.assertIsNone(arguments.maybe_text({}, "a"))
        for given_ in ({}, {"a": None}, {"a": 1}, {"a": ["x"]}):
            self.assertIs(self.refused(arguments.text, given_, "a"), BAD_REQUEST)

    def test_room(self) -> None:
        """A room is told in the form in which rooms are compared."""
        self.assertEqual(arguments.room({"room": "Lobby"}), "lobby")
        self.assertIs(self.refused(arguments.room, {"room": "no room"}), ROOM_INVALID)
        self.assertIs(self.refused(arguments.room, {}), BAD_REQUEST)

    def test_user(self) -> None:
        """A user's id is compared as it is."""
        self.assertEqual(arguments.user({"user": "Ann@example.org"}), "Ann@example.org")
        for bad in ("", "a:b", "x" * 49, "a b"):
            self.assertIs(self.refused(arguments.user, {"user": bad}), BAD_REQUEST)

    def test_whole(self) -> None:
        """A whole number is within its bounds; none may have a default."""
        self.assertEqual(arguments.whole({"a": 5}, "a", 5, 5), 5)
        self.assertEqual(arguments.whole({"a": None}, "a", 1, 5, 3), 3)
        for bad in (0, 6, True, 1.0, "1"):
            self.assertIs(self.refused(arguments.whole, {"a": bad}, "a", 1, 5), BAD_REQUEST)
        self.assertIs(self.refused(arguments.whole, {}, "a", 1, 5), BAD_REQUEST)

    def test_flag(self) -> None:
        """A flag is true or false, and false when it was left out."""
        self.assertIs(arguments.flag({"a": True}, "a"), True)
        self.assertIs(arguments.flag({}, "a"), False)
        self.assertIs(self.refused(arguments.flag, {"a": 1}, "a"), BAD_REQUEST)

    @given(_VALUES)
    def test_total(self, value: object) -> None:
        """Whatever is given, what comes is of the right kind or a refusal."""
        given_ = {"a": value}
        kinds: dict[type, Callable[[], object]] = {
            str: lambda: arguments.text(given_, "a"),
            int: lambda: arguments.whole(given_, "a", -5, 5),
            bool: lambda: arguments.flag(given_, "a"),
        }
        for kind, call in kinds.items():
            try:
                self.assertIs(type(call()), kind)
            except ChatError as error:
                self.assertIs(error.refusal, BAD_REQUEST)
