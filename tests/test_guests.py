"""Guests and the tokens that make one the same user again."""

from __future__ import annotations

import hashlib
import hmac
import string
from base64 import urlsafe_b64encode

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatd.core.guests import Guests

SECRET = bytes(range(32))
ALPHABET = string.ascii_letters + string.digits + "_-"

user_ids = st.text(ALPHABET, min_size=1, max_size=64)


def forged(label: bytes, user: str, version: str = "1", nick: str = "Ann") -> str:
    """A token made with our secret, over any label."""
    digest = hmac.new(SECRET, label + f"{user}\0{nick}".encode(), hashlib.sha256).digest()
    return f"{version}.{user}.{nick}.{urlsafe_b64encode(digest).decode().rstrip('=')}"


class AdmitTests(SynchronousTestCase):
    def test_new(self) -> None:
        """Each guest is a new user."""
        guests = Guests(SECRET, iter(("u1", "u2")).__next__)
        self.assertEqual((guests.admit(), guests.admit()), ("u1", "u2"))


class TokenTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.guests = Guests(SECRET, str)

    @given(user_ids)
    def test_round_trip(self, user: str) -> None:
        """A token says whose it is, also to a later process with the same secret."""
        token = self.guests.token(user, "Ann")
        self.assertEqual(self.guests.holder(token), (user, "Ann"))
        self.assertEqual(Guests(SECRET, str).holder(token), (user, "Ann"))

    @given(user_ids)
    def test_looks(self, user: str) -> None:
        """A token goes into a header or a URL as it is, and holds no padding."""
        token = self.guests.token(user, "Ann")
        self.assertLessEqual(set(token), set(ALPHABET + "."))
        self.assertEqual(len(token), len(user) + 50)

    def test_form(self) -> None:
        """Tokens that were given out hold over releases: this is how they are made."""
        self.assertEqual(self.guests.token("u1", "Ann"), forged(b"chatd resume token 1\0", "u1"))

    def test_nick(self) -> None:
        """A token says the nick it was made by, dots and all, and no other."""
        token = self.guests.token("u1", "a.n-n_1.")
        self.assertEqual(self.guests.holder(token), ("u1", "a.n-n_1."))
        self.assertIsNone(self.guests.holder(token.replace("a.n", "b.n")))
        self.assertIsNone(
            self.guests.holder(forged(b"chatd resume token 1\0", "u1", nick="n" * 33))
        )

    @given(user_ids, user_ids)
    def test_another_user(self, user: str, other: str) -> None:
        """The hash of one user is none of another's."""
        mac = self.guests.token(user, "Ann").rpartition(".")[2]
        self.assertEqual(
            self.guests.holder(f"1.{other}.Ann.{mac}"), (user, "Ann") if user == other else None
        )

    @given(user_ids, st.integers(0), st.characters())
    def test_any_change(self, user: str, place: int, character: str) -> None:
        """A token with any character changed is nobody's."""
        token = self.guests.token(user, "Ann")
        place %= len(token)
        changed = token[:place] + character + token[place + 1 :]
        self.assertEqual(self.guests.holder(changed), (user, "Ann") if changed == token else None)

    @given(user_ids, st.binary(min_size=32, max_size=32))
    def test_another_secret(self, user: str, secret: bytes) -> None:
        """A token made with another secret is nobody's."""
        token = Guests(secret, str).token(user, "Ann")
        self.assertEqual(self.guests.holder(token), (user, "Ann") if secret == SECRET else None)

    @given(st.text())
    def test_garbage(self, token: str) -> None:
        """Garbage is nobody's token."""
        self.assertIsNone(self.guests.holder(token))

    def test_traps(self) -> None:
        """What nearly is a token of ours is nobody's."""
        token = self.guests.token("u1", "Ann")
        self.assertIsNotNone(self.guests.holder(token))
        for nearly in (
            "",
            "1",
            "1..",
            "1.u1.",
            "1.u1.Ann.",
            token + "=",
            token + "\n",
            " " + token,
            token[:-1],
            token.replace("1.", "\u0661.", 1),
            token[:-1] + "\u00e9",
            token[:-1] + "\ud800",
            token.upper(),
            "." * 65536,
            "1." * 32768,
            "1." + "u" * 65536,
            token * 1000,
        ):
            self.assertIsNone(self.guests.holder(nearly))

    def test_version(self) -> None:
        """A token of another version is nobody's, even if its hash is right."""
        label = b"chatd resume token 1\0"
        self.assertEqual(self.guests.holder(forged(label, "u1")), ("u1", "Ann"))
        for version in ("", "0", "2", "01", "11"):
            self.assertIsNone(self.guests.holder(forged(label, "u1", version)))

    def test_label(self) -> None:
        """A hash that the same secret made of something else is no token."""
        for label in (b"", b"chatd resume token 1", b"chatd resume token 2\0"):
            self.assertIsNone(self.guests.holder(forged(label, "u1")))

    def test_user_id(self) -> None:
        """An id that is none is nobody's, even if its hash is right."""
        label = b"chatd resume token 1\0"
        for user in ("", "u" * 65, "u.1", "u 1", "u\n", "\u00fc", "\u0661"):
            self.assertIsNone(self.guests.holder(forged(label, user)))
        self.assertEqual(self.guests.holder(forged(label, "u" * 64)), ("u" * 64, "Ann"))

    def test_last_character(self) -> None:
        """A hash has one spelling: bits that its last character does not need are not free."""
        token = self.guests.token("u1", "Ann")
        good = [letter for letter in ALPHABET if self.guests.holder(token[:-1] + letter)]
        self.assertEqual(good, [token[-1]])
