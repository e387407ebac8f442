"""Rules for the values of settings."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatd import values
from chatd.core import names
from tests.support import strategies


class ValuesCase(SynchronousTestCase):
    def refused(
        self, rule: Callable[[str], object] | Callable[[object], object], *bad: object
    ) -> None:
        """Check that each is refused with words that follow "must be"."""
        for value in bad:
            error = self.assertRaises(ValueError, rule, value)
            self.assertRegex(str(error), r"\A('|:|\w)[^\n]+\Z")
            self.assertNotIn("codec", str(error))


class TextTests(ValuesCase):
    @given(strategies.texts())
    def test_kept(self, text: str) -> None:
        """Any text is kept as it is, unless U+0000 is in it."""
        if "\0" in text:
            self.refused(values.text, text)
        else:
            self.assertEqual(values.text(text), text)

    def test_others(self) -> None:
        """Numbers, booleans and lists are no texts."""
        self.refused(values.text, 1, True, None, [], 1.5)


class GreetingTests(ValuesCase):
    def test_longest(self) -> None:
        """A greeting has at most 1000 bytes, not characters."""
        self.assertEqual(values.greeting("ż" * 500), "ż" * 500)
        self.assertEqual(values.greeting(""), "")
        self.refused(values.greeting, "ż" * 500 + "x", 7, "\0")

    def test_not_utf_8(self) -> None:
        """Bytes of the environment that are not UTF-8 are refused in words."""
        self.refused(values.greeting, b"\xff".decode(errors="surrogateescape"))


class YesNoTests(ValuesCase):
    def test_words(self) -> None:
        """Booleans and their usual words are taken, in any case."""
        for value in (True, "yes", "TRUE", "1"):
            self.assertIs(values.yes_no(value), True)
        for value in (False, "no", "False", "0"):
            self.assertIs(values.yes_no(value), False)

    def test_others(self) -> None:
        """Nothing else is guessed."""
        self.refused(values.yes_no, 1, 0, "", "on", "y", None, [])


class WholeTests(ValuesCase):
    def test_bounds(self) -> None:
        """Both ends of the range are in it."""
        rule = values.whole(1, 10)
        self.assertEqual([rule(1), rule("10"), rule("5")], [1, 10, 5])
        self.refused(rule, 0, 11, "0", "-1")

    def test_others(self) -> None:
        """A boolean, a fraction, a word or a number of endless digits is none."""
        self.refused(values.whole(0, 10), True, 1.0, "1.0", "", "ten", None, "9" * 5000)

    def test_words(self) -> None:
        """The words tell the range."""
        error = self.assertRaises(ValueError, values.whole(1, 10), 11)
        self.assertEqual(str(error), "a whole number from 1 to 10")


class SeveralTests(ValuesCase):
    def test_list(self) -> None:
        """A list is taken as it is, without the empty ones."""
        self.assertEqual(values.several(["a b", "", "c"]), ("a b", "c"))
        self.assertEqual(values.several(("a",)), ("a",))

    def test_words(self) -> None:
        """A text is split at spaces; an empty one is none."""
        self.assertEqual(values.several(" a  b\n"), ("a", "b"))
        self.assertEqual(values.several(""), ())

    def test_others(self) -> None:
        """Anything else is refused, also within a list."""
        self.refused(values.several, 1, None, {"a": 1}, ["a", 1], [["a"]])


class NetworksTests(ValuesCase):
    def test_kinds(self) -> None:
        """Addresses and networks of both kinds are taken, host bits and all."""
        words = ("10.0.0.5", "10.0.0.1/8", "::1", "2001:db8::/32")
        self.assertEqual(values.networks(" ".join(words)), words)

    def test_others(self) -> None:
        """Names and nonsense are refused."""
        self.refused(values.networks, "proxy.example", "10.0.0.256", "10.0.0.0/33", "1 2 x")


class OriginTests(ValuesCase):
    def test_spelling(self) -> None:
        """An origin has one spelling, that of browsers (RFC 6454 6.2)."""
        for given_, expected in (
            ("https://chat.example", "https://chat.example"),
            ("HTTPS://Chat.Example/", "https://chat.example"),
            ("http://a:80", "http://a"),
            ("https://a:443", "https://a"),
            ("http://a:443", "http://a:443"),
            ("http://10.0.0.5:8080/", "http://10.0.0.5:8080"),
            ("http://[::1]:80", "http://[::1]"),
            ("http://[2001:DB8::1]:81", "http://[2001:db8::1]:81"),
            ("chrome-extension://abcdef", "chrome-extension://abcdef"),
            ("null", "null"),
            ("file:///home/me/index.html", "null"),
            ("FILE://", "null"),
        ):
            self.assertEqual(values.origin(given_), expected)

    def test_refused(self) -> None:
        """What browsers do not send as an origin is refused."""
        self.refused(
            values.origin,
            *("", "*", "chat.example", "chat.example:80", "https://", "://a", "http:a"),
            *("http://a/path", "http://a?q=1", "http://a#f", "http://me@a", "http://me:pw@a"),
            *("https://*.example", "http://ex ample", "http://\u00fc.example", "http://a\\b"),
            *("http://a:port", "http://a:99999", "http://[::1", "1http://a", "NULL:"),
        )

    @given(
        st.one_of(
            st.text(),
            st.builds(
                "{}://{}{}{}".format,
                st.sampled_from(("http", "HTTPS", "ws", "")),
                st.one_of(st.text(max_size=8), st.sampled_from(("[::1]", "A.example"))),
                st.sampled_from(("", ":80", ":443", ":x", ":0")),
                st.sampled_from(("", "/", "/a", "?", "#")),
            ),
        )
    )
    def test_stable(self, text: str) -> None:
        """What comes out would be taken again and come out the same; else it is refused."""
        try:
            chosen = values.origin(text)
        except ValueError as error:
            self.assertTrue(str(error).startswith("an origin such as"), str(error))
        else:
            self.assertEqual(values.origin(chosen), chosen)

    def test_several(self) -> None:
        """Several are each in that spelling; one bad one refuses all."""
        self.assertEqual(values.origins("HTTP://a null"), ("http://a", "null"))
        self.refused(values.origins, "http://a b", 1)


class PublicUrlTests(ValuesCase):
    def test_origin(self) -> None:
        """It is the origin of a web site, or empty."""
        self.assertEqual(values.public_url(""), "")
        self.assertEqual(values.public_url("https://Chat.example:443/"), "https://chat.example")

    def test_refused(self) -> None:
        """It is nothing but an origin, and of http or https."""
        self.refused(values.public_url, "null", "ftp://a", "wss://a", "https://a/chat", 1, "\0")


class KeysTests(ValuesCase):
    def test_keys(self) -> None:
        """A key is an algorithm and a file; all behind the first colon is the file."""
        self.assertEqual(values.keys([]), ())
        words = ["HS256:/a", "RS256:b", "ES256:c:d", "EdDSA:e f"]
        self.assertEqual(values.keys(words), tuple(words))
        self.assertEqual(values.keys("HS256:/a ES256:/b"), ("HS256:/a", "ES256:/b"))

    def test_refused(self) -> None:
        """What names no known algorithm or no file is refused, and more than 10."""
        for word in ("/a", "HS256", "HS256:", "hs256:/a", "none:/a", "HS512:/a", "RS256:/a\0b"):
            self.refused(values.keys, [word])
        self.refused(values.keys, ["HS256:a"] * 11, 7, None, {"HS256": "a"}, [7])
        self.assertEqual(len(values.keys(["HS256:a"] * 10)), 10)


class RoomsTests(ValuesCase):
    def test_rooms(self) -> None:
        """Rooms are named as everywhere, and compared in lower case."""
        self.assertEqual(values.rooms(["Den", "a.b:c_d-1"]), ("den", "a.b:c_d-1"))
        for name in ("Den", "x" * 100):
            self.assertEqual(values.rooms([name]), (names.room(name),))

    def test_refused(self) -> None:
        """What is no name of a room that anybody may enter is refused, and more than 1000."""
        for name in ("a b", "x" * 101, "@a:b", "!audit", "é"):
            self.refused(values.rooms, [name])
        self.refused(values.rooms, ["a"] * 1001, 7, None)


class DurabilityTests(ValuesCase):
    def test_durability(self) -> None:
        """It is one of two words."""
        for word in ("full", "normal"):
            self.assertEqual(values.durability(word), word)
        self.refused(values.durability, "off", "", "FULL", 1, None, True, ["full"])


class DatabaseTests(ValuesCase):
    def test_paths(self) -> None:
        """A database is a file of any name, or memory."""
        for path in (":memory:", "chatd.sqlite3", "/var/lib/chatd/a b.sqlite3", "../a?b", "a:b"):
            self.assertEqual(values.database(path), path)

    def test_refused(self) -> None:
        """What names no file is refused, and a slip in ':memory:' too."""
        self.refused(values.database, "", "a/", "/", ".", "a/..", ":memory", ":mem:", None, 1, "\0")
