"""Names of rooms and nicks."""

from __future__ import annotations

import string

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatd.core import names
from chatd.errors import NICK_INVALID, ROOM_INVALID, ChatError
from tests.support import strategies

LETTERS = frozenset(string.ascii_letters + string.digits)


class RoomTests(SynchronousTestCase):
    @given(strategies.rooms())
    def test_folded(self, name: str) -> None:
        """A room's name is compared in lower case, and folding twice changes nothing."""
        self.assertEqual(names.room(name), name.lower())
        self.assertEqual(names.room(names.room(name)), names.room(name))

    def test_default(self) -> None:
        """The default room's name is allowed and folded."""
        self.assertEqual(names.room(names.DEFAULT_ROOM), names.DEFAULT_ROOM)

    def test_longest(self) -> None:
        """100 characters are allowed, 101 are not."""
        names.room("a" * 100)
        error = self.assertRaises(ChatError, names.room, "a" * 101)
        self.assertIs(error, ROOM_INVALID)

    @given(st.text())
    def test_alphabet(self, name: str) -> None:
        """A name with any other character, or none, is refused."""
        if 1 <= len(name) <= 100 and set(name) <= LETTERS | set("_.:-"):
            self.assertEqual(names.room(name), name.lower())
        else:
            self.assertIs(self.assertRaises(ChatError, names.room, name), ROOM_INVALID)

    def test_traps(self) -> None:
        """Letters that only look or fold like ours, and a newline at the end, are refused."""
        for name in ("", "a\n", "\u212a", "\u0130", "a b", "@a:b", "a/b", "\uff41", "a\0"):
            self.assertIs(self.assertRaises(ChatError, names.room, name), ROOM_INVALID)


class NickTests(SynchronousTestCase):
    @given(strategies.nicks())
    def test_kept(self, name: str) -> None:
        """A nick is shown as it was asked for, in the same case."""
        self.assertEqual(names.nick(name), name)

    def test_longest(self) -> None:
        """32 characters are allowed, 33 are not."""
        names.nick("n" * 32)
        self.assertIs(self.assertRaises(ChatError, names.nick, "n" * 33), NICK_INVALID)

    def test_alphabet(self) -> None:
        """A nick with any other character is refused; a colon would look like the prefix."""
        for name in ("", "a:b", "a b", "n\n", "n\u0435", "\u202en", "n\0"):
            self.assertIs(self.assertRaises(ChatError, names.nick, name), NICK_INVALID)

    def test_reserved(self) -> None:
        """Nobody is called like the server or its people, in whatever case."""
        for name in ("admin", "Server", "SYSTEM", "chatd", "Moderator"):
            self.assertIs(self.assertRaises(ChatError, names.nick, name), NICK_INVALID)


class GuestTests(SynchronousTestCase):
    def test_allowed(self) -> None:
        """A guest's nick tells sessions apart and is one that could be asked for."""
        nick = names.guest("0123456789abcdef")
        self.assertEqual(nick, "guest-012345")
        self.assertEqual(names.nick(nick), nick)
