"""`chatd.keys`."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from chatd.errors import ConfigError
from chatd.keys import ALGORITHMS, load
from tests.support.signing import Provider, private_pem, public_pem

PAIRS = ("RS256", "ES256", "EdDSA")


class LoadTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = self.mktemp()
        os.mkdir(self.folder)

    def write(self, kept: bytes, mode: int = 0o600, name: str = "key") -> str:
        path = os.path.join(self.folder, name)
        with open(path, "wb") as file:
            file.write(kept)
        os.chmod(path, mode)
        return path

    def refuse(self, algorithm: str, path: str) -> str:
        """Load what is refused; returns the words, one line with the place and the file."""
        words = str(self.assertRaises(ConfigError, load, f"{algorithm}:{path}", "auth.keys"))
        self.assertTrue(words.startswith(f"auth.keys: {path!r}"), words)
        self.assertNotIn("\n", words)
        return words

    def test_each(self) -> None:
        """There are four algorithms, and each has its kind of key."""
        self.assertEqual(ALGORITHMS, ("HS256", "RS256", "ES256", "EdDSA"))
        for algorithm in ALGORITHMS:
            found = load(Provider(algorithm).write(self.folder), "auth.keys")
            self.assertEqual(found.algorithm, algorithm)

    def test_secret(self) -> None:
        """A line end behind a printable secret is not part of it; in random bytes it is."""
        text, random = b"s" * 32, b"\xff" * 31
        for kept, secret in (
            (text, text),
            (text + b"\n", text),
            (text + b"\r\n", text),
            (text + b"\n\n", text + b"\n\n"),
            (random + b"\n", random + b"\n"),
        ):
            self.assertEqual(load(f"HS256:{self.write(kept)}", "here").key, secret)

    def test_weak_secret(self) -> None:
        """A secret shorter than 32 bytes is refused; a line end does not lengthen it."""
        for kept in (b"", b"s" * 31, b"s" * 31 + b"\n"):
            self.assertIn("openssl rand -hex 32", self.refuse("HS256", self.write(kept)))

    def test_secret_others_read(self) -> None:
        """A secret that others may read is refused; a group may, as containers have it."""
        for mode in (0o604, 0o644, 0o601):
            self.assertIn("chmod 600", self.refuse("HS256", self.write(b"s" * 32, mode)))
        load(f"HS256:{self.write(b's' * 32, 0o640)}", "here")
        load(f"ES256:{self.write(public_pem('ES256'), 0o644)}", "here")

    def test_others_write(self) -> None:
        """A key that others may change is refused, be it public."""
        for mode in (0o620, 0o602):
            self.assertIn("chmod go-w", self.refuse("HS256", self.write(b"s" * 32, mode)))
            self.assertIn("go-w", self.refuse("RS256", self.write(public_pem("RS256"), mode)))

    def test_confusion(self) -> None:
        """A key that others know is no secret: a token signed with it would be anybody's."""
        for kept in (*map(public_pem, PAIRS), b"ssh-rsa AAAA" + b"A" * 32, private_pem("RS256")):
            self.assertIn("no secret for HS256", self.refuse("HS256", self.write(kept)))

    def test_wrong_kind(self) -> None:
        """A key goes with its own algorithm and no other."""
        for algorithm in PAIRS:
            for kind in {*PAIRS, "P-384", "Ed448"} - {algorithm}:
                words = self.refuse(algorithm, self.write(public_pem(kind)))
                self.assertIn(f"{algorithm} goes with no other", words)

    def test_small_rsa(self) -> None:
        """An RSA key of fewer than 2048 bits is refused."""
        words = self.refuse("RS256", self.write(public_pem("RSA1024")))
        self.assertIn("has 1024 bits, and 2048 is the least", words)

    def test_private(self) -> None:
        """A private key is refused, with how to make the public one."""
        for kind in PAIRS:
            words = self.refuse(kind, self.write(private_pem(kind)))
            self.assertIn("openssl pkey -pubout", words)

    def test_certificate(self) -> None:
        """A certificate is refused, with how to take the key out."""
        kept = b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
        self.assertIn("openssl x509", self.refuse("RS256", self.write(kept)))

    def test_no_key(self) -> None:
        """What is no PEM at all is refused."""
        for kept in (b"", b"\xff\0", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"):
            for algorithm in PAIRS:
                self.assertIn("as PEM", self.refuse(algorithm, self.write(kept)))

    def test_unreadable(self) -> None:
        """A file that is not there, is none, or is endless is refused, at once."""
        missing = os.path.join(self.folder, "missing")
        self.assertIn("No such file", self.refuse("RS256", missing))
        self.assertIn("is no file", self.refuse("HS256", self.folder))
        pipe = os.path.join(self.folder, "pipe")
        os.mkfifo(pipe, 0o600)
        self.assertIn("is no file", self.refuse("HS256", pipe))
        self.assertIn("too large", self.refuse("HS256", self.write(b"s" * 65537)))

    def test_path(self) -> None:
        """All behind the first colon is the path."""
        path = self.write(b"s" * 32, name="a:b key")
        self.assertEqual(load(f"HS256:{path}", "here").key, b"s" * 32)

    def test_quiet(self) -> None:
        """Nothing of a key is in the words that refuse it."""
        words = self.refuse("HS256", self.write(b"topsecret"))
        self.assertNotIn("topsecret", words)
