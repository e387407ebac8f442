"""`chatd.passwords`: what is kept of a password, and what matches it."""

from __future__ import annotations

import base64
import hashlib

from twisted.trial.unittest import SynchronousTestCase

from chatd import passwords
from chatd.passwords import hashed, matches


class PasswordTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.costs: list[tuple[int, int, int]] = []
        original = passwords._scrypt

        def cheap(password: str, salt: bytes, log_n: int, r: int, p: int) -> bytes:
            self.costs.append((log_n, r, p))
            return original(password, salt, 4, r, p)

        self.patch(passwords, "_scrypt", cheap)

    def test_matches(self) -> None:
        """A password matches what was kept of it, and no other does."""
        kept = hashed("correct horse")
        self.assertTrue(matches("correct horse", kept))
        for other in ("correct hors", "Correct horse", "", "x" * 100_000, "correct horse\0"):
            self.assertFalse(matches(other, kept), other[:20])

    def test_salted(self) -> None:
        """The same password is kept differently each time, and never itself."""
        one, two = hashed("correct horse"), hashed("correct horse")
        self.assertNotEqual(one, two)
        self.assertNotIn("horse", one)

    def test_any_text(self) -> None:
        """Any characters are a password; composed and decomposed ones are the same."""
        self.assertTrue(matches("cafe\u0301 zażółć", hashed("caf\u00e9 zażółć")))
        self.assertTrue(matches("half \ud83d", hashed("half \ud83d")))

    def test_unknown_takes_as_long(self) -> None:
        """Where there is nothing to match, or nonsense, the same work is done in vain."""
        kept = hashed("correct horse")
        matches("correct horse", kept)
        for nothing in (None, "", "scrypt$15$8$1$", kept.replace("scrypt", "md5")):
            self.assertFalse(matches("correct horse", nothing))
        self.assertEqual(set(self.costs), {(15, 8, 1)})

    def test_costs_in_a_record_have_a_limit(self) -> None:
        """What a record asks for beyond reason is not done."""
        kept = hashed("correct horse")
        for costs in ("$21$8$1$", "$15$17$1$", "$15$8$5$", "$0$8$1$", "$15$0$1$", "$15$8$0$"):
            self.assertFalse(matches("correct horse", kept.replace("$15$8$1$", costs)))
        self.assertEqual(set(self.costs), {(15, 8, 1)})

    def test_older_costs(self) -> None:
        """What was kept at another cost still matches."""
        salt, digest = bytes(16), passwords._scrypt("old", bytes(16), 14, 8, 2)
        text = "$".join(base64.b64encode(each).decode() for each in (salt, digest))
        self.assertTrue(matches("old", f"scrypt$14$8$2${text}"))
        self.assertEqual(self.costs[-1], (14, 8, 2))


class CostTests(SynchronousTestCase):
    def test_real(self) -> None:
        """What is kept is scrypt with n = 32768, r = 8, p = 1, as anybody can check."""
        kept = hashed("correct horse")
        name, log_n, r, p, salt, digest = kept.split("$")
        self.assertEqual((name, log_n, r, p), ("scrypt", "15", "8", "1"))
        found = hashlib.scrypt(
            b"correct horse",
            salt=base64.b64decode(salt),
            n=32768,
            r=8,
            p=1,
            maxmem=1 << 26,
            dklen=32,
        )
        self.assertEqual(found, base64.b64decode(digest))
        self.assertEqual(len(base64.b64decode(salt)), 16)
