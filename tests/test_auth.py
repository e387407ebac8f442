"""`chatd.core.auth`."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatd.config import Config
from chatd.core import names
from chatd.core.auth import Gate, TokenError, Verifier, fallback_nick
from chatd.core.identity import Identity, Role
from chatd.errors import SIGN_IN, TOKEN_EXPIRED, UNAUTHORIZED, ChatError
from tests.support.logs import LogCase

ANN = Identity("ann", "Ann", Role.USER, None, 100)


class Desk:
    """A verifier that takes one token, until it has expired."""

    def verify(self, token: str, now_s: float) -> Identity:
        """See `Verifier.verify`."""
        if token != "ann's":
            raise TokenError(UNAUTHORIZED, "it is nobody's")
        if now_s >= 100:
            raise TokenError(TOKEN_EXPIRED, "it has expired")
        return ANN


class GateTests(LogCase):
    def setUp(self) -> None:
        super().setUp()
        self.clock = Clock()

    def make(self, **limits: Any) -> Gate:
        desk: Verifier = Desk()
        return Gate(
            desk,
            Config(**limits),
            now_ms=lambda: round(self.clock.seconds() * 1000),
            seconds=self.clock.seconds,
        )

    def test_open(self) -> None:
        """Where nobody needs to sign in guests come in, by any door and with any nick."""
        gate = self.make(plain_rooms=("den",))
        gate.pass_guest()
        self.assertTrue(gate.admits("lobby"))
        self.assertEqual(gate.plain_guest("u1", "lobby", "Ann"), (Identity("u1"), "Ann"))
        self.assertEqual(gate.plain_guest("u1", "den", None), (Identity("u1"), None))

    def test_shut(self) -> None:
        """With keys, or with accounts, guests stay outside."""
        for limits in ({"keys": ("HS256:x",)}, {"users": True}):
            gate = self.make(**limits)
            self.assertIs(self.assertRaises(ChatError, gate.pass_guest).refusal, SIGN_IN)
            self.assertFalse(gate.admits("lobby"))
            error = self.assertRaises(ChatError, gate.plain_guest, "u1", "lobby", None)
            self.assertIs(error.refusal, SIGN_IN)

    def test_plain_rooms(self) -> None:
        """Plain guests come into the rooms that are named, and may use no others."""
        gate = self.make(users=True, plain_rooms=("den", "cam"))
        self.assertIs(self.assertRaises(ChatError, gate.pass_guest).refusal, SIGN_IN)
        self.assertEqual(
            [gate.admits(each) for each in ("den", "cam", "lobby")], [True, True, False]
        )
        identity, nick = gate.plain_guest("u1", "den", None)
        self.assertEqual(identity, Identity("u1", rooms=frozenset({"den", "cam"})))
        self.assertIsNone(nick)
        other, _ = gate.plain_guest("u2", "cam", None)
        self.assertIs(other.rooms, identity.rooms)

    def test_plain_nick(self) -> None:
        """Their nick shows that they have not signed in, and is one all the same."""
        gate = self.make(users=True, plain_rooms=("den",))
        for asked, given in (
            ("Ann", "guest-Ann"),
            ("guest-Ann", "guest-Ann"),
            ("Guest-Ann", "Guest-Ann"),
            ("x" * 32, "guest-" + "x" * 26),
        ):
            nick = gate.plain_guest("u1", "den", asked)[1]
            self.assertEqual(nick, given)
            self.assertEqual(names.nick(given), given)

    def test_holder(self) -> None:
        """Whose a token is, is for the verifier to say, by the wall clock."""
        gate = self.make()
        self.assertIs(gate.holder("ann's", "::1"), ANN)
        self.clock.advance(100)
        error = self.assertRaises(TokenError, gate.holder, "ann's", "::1")
        self.assertIs(error.refusal, TOKEN_EXPIRED)

    def test_log(self) -> None:
        """That a token was refused is logged, with why, from where, and nothing of the token."""
        gate = self.make()
        self.assertRaises(TokenError, gate.holder, "somebody's", "10.0.0.7")
        lines = self.lines
        self.assertEqual(len(lines), 1)
        self.assertIn("'10.0.0.7'", lines[0])
        self.assertIn("it is nobody's", lines[0])
        self.assertNotIn("somebody's", lines[0])

    def test_many_lines(self) -> None:
        """Strangers cannot fill the log: what is not listed is counted."""
        gate = self.make()
        for _ in range(1000):
            self.assertRaises(TokenError, gate.holder, "x", "10.0.0.7")
        self.assertEqual(len(self.lines), 10)
        self.clock.advance(1)
        self.assertRaises(TokenError, gate.holder, "x", "10.0.0.7")
        self.assertEqual(len(self.lines), 12)
        self.assertIn("990 more", self.lines[-2])

    def test_left(self) -> None:
        """What is left of somebody's time goes by the wall clock; without an end it is for ever."""
        gate = self.make()
        self.assertEqual(gate.left_s(ANN), 100)
        self.clock.advance(150)
        self.assertEqual(gate.left_s(ANN), -50)
        self.assertIsNone(gate.left_s(Identity("bob")))


class NickTests(SynchronousTestCase):
    def test_fallback(self) -> None:
        """Every user has a nick of last resort, always the same, and an allowed one."""
        found = {fallback_nick(user) for user in ("ann@example", "a|b", "x" * 48, "é")}
        self.assertEqual(len(found), 4)
        for each in found:
            self.assertRegex(each, "^user-[0-9a-f]{6}$")
            names.nick(each)
        self.assertEqual(fallback_nick("ann@example"), fallback_nick("ann@example"))
