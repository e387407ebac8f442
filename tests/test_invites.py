"""Invites: made, and known again."""

from __future__ import annotations

from base64 import urlsafe_b64encode

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatd.core.guests import Guests
from chatd.core.invites import Invite, Invites

ROOMS = st.from_regex(r"[a-z0-9_.:-]{1,100}", fullmatch=True)
USERS = st.from_regex(r"([A-Za-z0-9_.@+=|-]{1,48})?", fullmatch=True)
WHOLE = st.integers(0, 10**15)


class InvitesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.invites = Invites(b"secret")
        self.invite = Invite("den", 7, "ann", 1000)
        self.token = self.invites.token(self.invite)

    @given(st.builds(Invite, ROOMS, WHOLE, USERS, WHOLE))
    def test_read(self, invite: Invite) -> None:
        """What a token says is read as it was said; it fits into an address as it is."""
        token = Invites(b"secret").token(invite)
        self.assertEqual(Invites(b"secret").read(token), invite)
        self.assertRegex(token, r"\A[A-Za-z0-9_.-]{1,330}\Z")

    def test_longest(self) -> None:
        """The longest names make a token that is read."""
        invite = Invite("r" * 100, 10**15, "u" * 48, 10**15)
        self.assertEqual(self.invites.read(self.invites.token(invite)), invite)

    def test_cut(self) -> None:
        """A token of which something is missing, doubled or another is none."""
        for at in range(len(self.token)):
            self.assertIsNone(self.invites.read(self.token[:at]))
            self.assertIsNone(self.invites.read(self.token[at + 1 :]))
            other = "A" if self.token[at] != "A" else "B"
            # The last letter of base64 has bits that are of no account.
            if at != len(self.token) - 1:
                changed = self.token[:at] + other + self.token[at + 1 :]
                self.assertIsNone(self.invites.read(changed), at)

    @given(st.text())
    def test_anything(self, text: str) -> None:
        """Whatever else is no token."""
        self.assertIsNone(Invites(b"secret").read(text))

    def test_forged(self) -> None:
        """What another secret has made is none; nor is what is said with the hash of another."""
        self.assertIsNone(Invites(b"another").read(self.token))
        other = self.invites.token(self.invite._replace(room="hall"))
        told, mac = other.split(".")[1], self.token.split(".")[2]
        self.assertIsNone(self.invites.read(f"1.{told}.{mac}"))

    def test_label(self) -> None:
        """The hash by which a guest comes back is of no use here, though the secret is the same."""
        resume = Guests(b"secret", lambda: "u").token("u", "Ann")
        told = urlsafe_b64encode(b"u\0Ann").rstrip(b"=").decode()
        self.assertIsNone(self.invites.read(f"1.{told}.{resume.split('.')[-1]}"))
        self.assertIsNone(self.invites.read(resume))
        self.assertIsNone(Guests(b"secret", lambda: "u").holder(self.token))
