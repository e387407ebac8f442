"""Names of rooms, nicks and ids."""

from __future__ import annotations

import string
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatd.core import names
from chatd.errors import BAD_REQUEST, NICK_INVALID, ROOM_INVALID, ChatError, Refusal
from tests.support import strategies

LETTERS = frozenset(string.ascii_letters + string.digits)
NICKS = strategies.nicks().filter(lambda name: name.lower() != "moderator")


class NamesCase(SynchronousTestCase):
    def assertRefused(self, rule: Callable[[str], str], name: str, refusal: Refusal) -> None:
        """A name is refused with these words and number."""
        self.assertIs(self.assertRaises(ChatError, rule, name).refusal, refusal)


class RoomTests(NamesCase):
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
        self.assertRefused(names.room, "a" * 101, ROOM_INVALID)

    @given(st.text())
    def test_alphabet(self, name: str) -> None:
        """A name with any other character, or none, is refused."""
        if 1 <= len(name) <= 100 and set(name) <= LETTERS | set("_.:-"):
            self.assertEqual(names.room(name), name.lower())
        else:
            self.assertRefused(names.room, name, ROOM_INVALID)

    def test_traps(self) -> None:
        """Letters that only look or fold like ours, and a newline at the end, are refused."""
        for name in (
            "",
            "a\n",
            "\u212a",
            "\u0130",
            "a b",
            "@b:a",
            "@a",
            "@a:",
            "@:b",
            "@a:b:c",
            "!audit",
            "a/b",
            "\uff41",
            "a\0",
        ):
            self.assertRefused(names.room, name, ROOM_INVALID)


class NickTests(NamesCase):
    @given(NICKS)
    def test_kept(self, name: str) -> None:
        """A nick is shown as it was asked for, in the same case."""
        self.assertEqual(names.nick(name), name)

    def test_longest(self) -> None:
        """32 characters are allowed, 33 are not."""
        names.nick("n" * 32)
        self.assertRefused(names.nick, "n" * 33, NICK_INVALID)

    def test_alphabet(self) -> None:
        """A nick with any other character is refused; a colon would look like the prefix."""
        for name in ("", "a:b", "a b", "n\n", "n\u0435", "\u202en", "n\0"):
            self.assertRefused(names.nick, name, NICK_INVALID)

    def test_reserved(self) -> None:
        """Nobody is called like the server or its people, in whatever case."""
        for name in ("admin", "Server", "SYSTEM", "chatd", "Moderator"):
            self.assertRefused(names.nick, name, NICK_INVALID)

    @given(NICKS)
    def test_folded(self, name: str) -> None:
        """Nicks are compared in any case, and what is folded is itself an allowed nick."""
        self.assertEqual(names.fold_nick(name.upper()), names.fold_nick(name.lower()))
        self.assertEqual(names.nick(names.fold_nick(name)), names.fold_nick(name))

    def test_folded_apart(self) -> None:
        """Nicks that differ in more than their case stay apart."""
        folded = {names.fold_nick(name) for name in ("ann", "Ann", "ann.", "ann-", "ann_")}
        self.assertEqual(folded, {"ann", "ann.", "ann-", "ann_"})


class GuestTests(NamesCase):
    def test_allowed(self) -> None:
        """A guest's nick is made of the user's id and is one that could be asked for."""
        nick = names.guest("0123456789abcdef")
        self.assertEqual(nick, "guest-012345")
        self.assertEqual(names.nick(nick), nick)

    def test_short(self) -> None:
        """An id shorter than what a guest's nick shows of it is shown whole."""
        self.assertEqual(names.guest("a_"), "guest-a_")


class MessageIdTests(NamesCase):
    @given(st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=64))
    def test_kept(self, text: str) -> None:
        """An id of allowed characters is taken as it is, in its case."""
        self.assertEqual(names.message_id(text), text)

    def test_longest(self) -> None:
        """64 characters are allowed, 65 are not."""
        names.message_id("i" * 64)
        self.assertRefused(names.message_id, "i" * 65, BAD_REQUEST)

    def test_alphabet(self) -> None:
        """An id with any other character, or with none at all, is refused."""
        for text in ("", "a.b", "a b", "a:b", "a\n", "\u0660", "\uff41", "a\0", "\ud800"):
            self.assertRefused(names.message_id, text, BAD_REQUEST)


class DirectTests(NamesCase):
    def test_same_for_both(self) -> None:
        """Two users have one direct room, whoever asks, and its name says who they are."""
        for one, other in (("ann", "bob"), ("Zoe", "ann"), ("a@b", "c|d"), ("ann", "ann")):
            name = names.direct(one, other)
            self.assertEqual(name, names.direct(other, one))
            self.assertCountEqual(names.two(name), [one, other])
            self.assertEqual(names.room(name), name)
            self.assertTrue(names.is_direct(name) and names.is_unlisted(name))

    def test_exact(self) -> None:
        """It is compared as it is, unlike other rooms."""
        self.assertNotEqual(names.room("@Ann:bob"), names.room("@ann:bob"))

    def test_others(self) -> None:
        """Other rooms are not direct; those of the server are not listed either."""
        self.assertFalse(names.is_direct("lobby") or names.is_unlisted("lobby"))
        self.assertFalse(names.is_direct("!audit"))
        self.assertTrue(names.is_unlisted("!audit"))

    def test_user(self) -> None:
        """A user's id is 1 to 48 characters of mail addresses and such, taken as it is."""
        for good in ("Ann", "ann@example.org", "auth0|1=2+3", "x" * 48):
            self.assertEqual(names.user(good), good)
        for bad in ("", "x" * 49, "a:b", "a b", "ann\n", "\u00e9"):
            self.assertRefused(names.user, bad, BAD_REQUEST)
