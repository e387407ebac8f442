"""`chatd.tokens`."""

from __future__ import annotations

import json
import os
from base64 import urlsafe_b64decode
from typing import Any

import jwt
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatd import tokens
from chatd.config import Config
from chatd.core.auth import TokenError, Verifier
from chatd.core.identity import Identity, Role
from chatd.errors import TOKEN_EXPIRED, UNAUTHORIZED, ChatError, ConfigError
from chatd.tokens import LEEWAY_S, TOKEN_BYTES, OneTime, Signer
from tests.support.signing import (
    ALGORITHMS,
    SECRET,
    Provider,
    encoded,
    private,
    public_pem,
    raw,
)

OURS = b"o" * 32
NOW = 1_800_000_000.5
END = int(NOW) + 60
HS256 = b'{"alg":"HS256"}'


class VerifierCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = self.mktemp()
        os.mkdir(self.folder)
        self.verifier = self.make(*ALGORITHMS)

    def make(self, *algorithms: str, **limits: Any) -> Verifier:
        """A verifier with the keys of these algorithms."""
        words = tuple(Provider(each).write(self.folder) for each in algorithms)
        config = Config(keys=words, **limits)
        return tokens.verifier(config, OURS, tokens.trusted(config))

    def verify(self, token: str, now_s: float = NOW) -> Identity:
        return self.verifier.verify(token, now_s)

    def refuse(self, token: str, reason: str, now_s: float = NOW) -> None:
        """Check that a token is nobody's, and why."""
        error = self.assertRaises(TokenError, self.verify, token, now_s)
        self.assertIs(error.refusal, UNAUTHORIZED)
        self.assertIn(reason, error.reason)
        for part in token.split("."):
            self.assertNotIn(part or "\0", error.reason)

    def expired(self, token: str, now_s: float = NOW) -> None:
        """Check that a token was somebody's."""
        error = self.assertRaises(TokenError, self.verify, token, now_s)
        self.assertIs(error.refusal, TOKEN_EXPIRED)

    def claims(self, **claims: object) -> str:
        """A token with these claims, signed with the secret."""
        return raw(HS256, json.dumps({"sub": "ann", "exp": END, **claims}).encode())


class SignatureTests(VerifierCase):
    def test_each(self) -> None:
        """A token of each algorithm is taken, with its key, and says who and until when."""
        for algorithm in ALGORITHMS:
            found = self.verify(Provider(algorithm).token("ann", END))
            self.assertEqual(found, Identity("ann", "ann", Role.USER, None, END, ""))

    def test_without_keys(self) -> None:
        """Without keys nobody else's token is taken."""
        self.verifier = self.make()
        for algorithm in ALGORITHMS:
            self.refuse(Provider(algorithm).token("ann", END), "no key of ours")

    def test_other_key(self) -> None:
        """A token that was signed with another key is refused, in each algorithm."""
        strange = {"HS256": b"x" * 32, "EdDSA": private("Ed448")}
        for algorithm in ("HS256", "EdDSA"):
            claims = {"sub": "ann", "exp": END}
            token = jwt.encode(claims, strange[algorithm], algorithm)
            self.refuse(token, "no key of ours")

    def test_changed(self) -> None:
        """A token of which anything was changed is refused."""
        for algorithm in ALGORITHMS:
            header, claims, signature = Provider(algorithm).token("ann", END).split(".")
            other = encoded(json.dumps({"sub": "bob", "exp": END}).encode())
            self.refuse(f"{header}.{other}.{signature}", "no key of ours")
            flipped = signature[:5] + ("A" if signature[5] != "A" else "B") + signature[6:]
            self.refuse(f"{header}.{claims}.{flipped}", "no key of ours")
            self.refuse(f"{header}.{claims}.AAAA", "no key of ours")

    def test_none(self) -> None:
        """A token without a signature is refused, however it says so."""
        claims = encoded(json.dumps({"sub": "ann", "exp": END}).encode())
        for name in ("none", "None", "NONE", "nOnE", ""):
            header = encoded(json.dumps({"alg": name}).encode())
            self.refuse(f"{header}.{claims}.AAAA", "no key of ours")
            self.refuse(f"{header}.{claims}.", "no signed JWT")
        unsigned = jwt.encode({"sub": "ann", "exp": END}, "", algorithm="none")
        self.refuse(unsigned, "no signed JWT")

    def test_confusion(self) -> None:
        """A public key is never the secret of a token that says HS256, with or without one."""
        claims = json.dumps({"sub": "ann", "exp": END}).encode()
        for algorithms in (("RS256", "ES256", "EdDSA"), ALGORITHMS):
            self.verifier = self.make(*algorithms)
            for kind in ("RS256", "ES256", "EdDSA"):
                pem = public_pem(kind)
                for secret in (pem, pem.strip(), pem.decode().encode("utf-16")):
                    self.refuse(raw(HS256, claims, secret), "no key of ours")
                    self.refuse(
                        raw(b'{"alg":"HS256","kid":"chatd"}', claims, secret), "no key of ours"
                    )

    def test_pinned(self) -> None:
        """A key is for its one algorithm: a good signature of another one does not count."""
        self.verifier = self.make("RS256", "HS256")
        claims = {"sub": "ann", "exp": END}
        for name in ("RS384", "RS512", "PS256"):
            self.refuse(jwt.encode(claims, private("RS256"), name), "no key of ours")
        for name in ("HS384", "HS512"):
            self.refuse(jwt.encode(claims, SECRET * 2, name), "no key of ours")
            self.refuse(jwt.encode(claims, SECRET + SECRET, name), "no key of ours")

    def test_several(self) -> None:
        """Of several keys of an algorithm any may have signed it: so a key can be changed."""
        path = os.path.join(self.folder, "other")
        with open(path, "wb") as file:
            file.write(b"n" * 32)
        os.chmod(path, 0o600)
        config = Config(keys=(f"HS256:{path}", Provider("HS256").write(self.folder)))
        self.verifier = tokens.verifier(config, OURS, tokens.trusted(config))
        self.verify(self.claims())
        self.verify(jwt.encode({"sub": "ann", "exp": END}, b"n" * 32, "HS256"))

    def test_key_named(self) -> None:
        """The key that a token names, or brings along, is neither looked for nor used."""
        claims = json.dumps({"sub": "ann", "exp": END}).encode()
        for kid in ("../../etc/passwd", "/dev/null", "' or 1=1 --", "x" * 4000, "chatd", "\0"):
            header = json.dumps({"alg": "HS256", "kid": kid}).encode()
            self.assertEqual(self.verify(raw(header, claims)).user, "ann")
            self.refuse(raw(header, claims, b""), "no key of ours")
            self.refuse(raw(header, claims, b"x" * 32), "no key of ours")
        kids: tuple[object, ...] = (1, None, [], {"a": 1})
        for strange in kids:
            header = json.dumps({"alg": "HS256", "kid": strange}).encode()
            self.refuse(raw(header, claims), "no key of ours")
        jwk = {"kty": "oct", "k": encoded(b"mine" * 8)}
        named: tuple[tuple[str, object], ...] = (
            ("jwk", jwk),
            ("jku", "http://127.0.0.1:1/"),
            ("x5u", "file:///x"),
        )
        for name, value in named:
            header = json.dumps({"alg": "HS256", name: value}).encode()
            self.refuse(raw(header, claims, b"mine" * 8), "no key of ours")

    def test_critical(self) -> None:
        """A token that must be understood otherwise is refused, though its signature is good."""
        claims = json.dumps({"sub": "ann", "exp": END}).encode()
        cases: tuple[dict[str, object], ...] = (
            {"crit": ["exp"]},
            {"crit": []},
            {"b64": True},
            {"b64": False, "crit": ["b64"]},
        )
        for more in cases:
            header = json.dumps({"alg": "HS256", **more}).encode()
            self.refuse(raw(header, claims), "asks for more")

    def test_strange_header(self) -> None:
        """A header that is not strict JSON, or names no algorithm, is refused."""
        claims = json.dumps({"sub": "ann", "exp": END}).encode()
        for header, reason in (
            (b"", "no signed JWT"),
            (b"{", "strict JSON"),
            (b"[]", "no JSON object"),
            (b'{"alg":"none","alg":"HS256"}', "two equal keys"),
            (b'{"alg":"HS256","x":' + b"[" * 5000 + b"]" * 1000 + b"}", "nested"),
            (b'{"alg":"HS256","x":' + b"[" * 900 + b"]" * 900 + b"}", "nested"),
            (b'{"alg":"HS256","x":NaN}', "strict JSON"),
            (b"{}", "no key of ours"),
            (b'{"alg":["HS256"]}', "no key of ours"),
            (b'{"alg":{}}', "no key of ours"),
            (b'{"alg":null}', "no key of ours"),
            (b"\xff\xfe", "strict JSON"),
        ):
            self.refuse(raw(header, claims), reason)

    def test_shape(self) -> None:
        """What is not three parts of base64url is refused, at once if it is long."""
        token = self.claims()
        for wrong in (
            *("", ".", "..", "a.b.c", "a.b", f"{token}.x", f" {token}", f"{token}\n", "é.é.é"),
            *(token.replace(".", "=."), f"{token}==", "\ud800.a.a", "A.A.A", "Bearer " + token),
            "a" * 10_000_000,
        ):
            with self.subTest(wrong[:50]):
                self.assertRaises(TokenError, self.verify, wrong)

    def test_size(self) -> None:
        """A token of 8 KiB is taken, and no longer one."""
        short = len(self.claims(x=""))
        room = TOKEN_BYTES - short
        longest = self.claims(x="x" * (room * 3 // 4))
        self.assertLessEqual(TOKEN_BYTES - len(longest), 3)
        self.verify(longest)
        self.refuse(self.claims(x="x" * (room * 3 // 4 + 4)), "no signed JWT")

    @settings(
        suppress_health_check=[HealthCheck.differing_executors], max_examples=200, deadline=None
    )
    @given(st.binary(max_size=60), st.binary(max_size=60), st.binary(max_size=40))
    def test_anything(self, header: bytes, claims: bytes, signature: bytes) -> None:
        """Whatever is sent is refused in words, and never raises anything else."""
        token = ".".join(map(encoded, (header, claims, signature)))
        self.assertRaises(TokenError, self.verify, token)

    @settings(
        suppress_health_check=[HealthCheck.differing_executors], max_examples=200, deadline=None
    )
    @given(st.text(max_size=100))
    def test_any_text(self, token: str) -> None:
        """So is any text."""
        self.assertRaises(TokenError, self.verify, token)


class ClaimTests(VerifierCase):
    def test_expiry(self) -> None:
        """A token is good until its `exp`, and a little longer as clocks differ."""
        token = self.claims()
        self.verify(token, END + LEEWAY_S - 0.1)
        self.expired(token, END + LEEWAY_S)
        self.expired(token, END + 1e9)

    def test_expiry_is_due(self) -> None:
        """A token without `exp`, or with one that is no time in seconds, is refused."""
        self.refuse(raw(HS256, b'{"sub":"ann"}'), "no exp")
        ends: tuple[object, ...] = (
            None,
            "x",
            str(END),
            True,
            [END],
            {},
            -1,
            -1e300,
            END * 1000,
            10**90,
            1e300,
        )
        for end in ends:
            self.refuse(self.claims(exp=end), "its exp is no")
        for text in (b"NaN", b"Infinity", b"1e400", b"-Infinity", b"1" * 200):
            self.refuse(raw(HS256, b'{"sub":"ann","exp":%b}' % text), "strict JSON")

    def test_fraction(self) -> None:
        """Times may have fractions (RFC 7519 2)."""
        self.assertEqual(self.verify(self.claims(exp=END + 0.5)).expires_s, END + 0.5)

    def test_early(self) -> None:
        """A token is not taken before its `nbf`, nor before it was made."""
        for name in ("nbf", "iat"):
            self.verify(self.claims(**{name: NOW + LEEWAY_S}))
            self.refuse(self.claims(**{name: NOW + LEEWAY_S + 1}), f"by its {name}")
            times: tuple[object, ...] = (None, "1", False, -1, 1e300)
            for wrong in times:
                self.refuse(self.claims(**{name: wrong}), f"its {name} is no")

    def test_user(self) -> None:
        """`sub` is 1 to 48 characters of those that ids may have."""
        for user in ("a", "auth0|5f7c", "ann.b@c+d=e_f-g", "x" * 48):
            self.assertEqual(self.verify(self.claims(sub=user)).user, user)
        users: tuple[object, ...] = (
            "",
            "x" * 49,
            "a b",
            "a:b",
            "é",
            "a\n",
            "a/b",
            "!",
            None,
            7,
            [],
        )
        for wrong in users:
            self.refuse(self.claims(sub=wrong), "its sub is not")
        self.refuse(raw(HS256, b'{"exp":%d}' % END), "its sub is not")

    def test_nick(self) -> None:
        """The nick is that of `info`, else its name, else the id, else one made of the id."""
        for about, user, nick in (
            ({"nick": "Ann", "name": "Bob"}, "u1", "Ann"),
            ({"nick": "a b", "name": "Bob"}, "u1", "Bob"),
            ({"nick": 7, "name": None}, "u1", "u1"),
            ({"nick": "admin"}, "u1", "u1"),
            ({}, "u1", "u1"),
            ("text", "u1", "u1"),
            (None, "u1", "u1"),
            ({"name": "x" * 33}, "u1", "u1"),
        ):
            found = self.verify(self.claims(sub=user, info=about))
            self.assertEqual(found.nick, nick, about)
        for user in ("ann@example", "Server", "x" * 40):
            self.assertRegex(self.verify(self.claims(sub=user)).nick or "", r"^user-[0-9a-f]{6}$")

    def test_moderator(self) -> None:
        """`moderator` makes one if it is true; nothing else passes for true."""
        self.assertIs(self.verify(self.claims(moderator=True)).role, Role.MODERATOR)
        self.assertIs(self.verify(self.claims(moderator=False)).role, Role.USER)
        flags: tuple[object, ...] = (1, "true", None, "yes", [True], {})
        for wrong in flags:
            self.refuse(self.claims(moderator=wrong), "its moderator")

    def test_rooms(self) -> None:
        """`rooms` are the only rooms, in the form in which names are compared."""
        self.assertIsNone(self.verify(self.claims()).rooms)
        self.assertEqual(self.verify(self.claims(rooms=[])).rooms, frozenset())
        found = self.verify(self.claims(rooms=["Den", "den", "lobby"]))
        self.assertEqual(found.rooms, {"den", "lobby"})

    def test_wrong_rooms(self) -> None:
        """What is no list of names of rooms is refused; so nobody gets all rooms by mistake."""
        lists: tuple[object, ...] = (None, "den", {"den": 1}, 7, True, ["a b"], [""], [7], [None])
        for wrong in lists:
            self.refuse(self.claims(rooms=wrong), "of its rooms" if isinstance(wrong, list) else "")
        self.refuse(self.claims(rooms=["!audit"]), "one of its rooms")

    def test_many_rooms(self) -> None:
        """There are at most 1000 rooms."""
        self.verify(self.claims(rooms=["a"] * 1000))
        self.refuse(self.claims(rooms=["a"] * 1001), "at most 1000")

    def test_strange_claims(self) -> None:
        """Claims that are not strict JSON are refused, though they are signed."""
        for claims, reason in (
            (b"{", "strict JSON"),
            (b'["ann"]', "no JSON object"),
            (b'{"sub":"bob","sub":"ann","exp":%d}' % END, "two equal keys"),
            (b'{"sub":"ann","exp":%d,"exp":%d}' % (END, END + 9), "two equal keys"),
            (b'{"sub":"ann","exp":%d,"x":%b}' % (END, b"[" * 2000 + b"]" * 2000), "nested"),
            (b'{"sub":"ann","exp":%d,"x":"\\ud800"}' % END, "surrogate"),
            (b"\xff", "UTF-8"),
        ):
            self.refuse(raw(HS256, claims), reason)

    def test_issuer(self) -> None:
        """Where there is an issuer, a token must be by it."""
        self.verify(self.claims(iss="anybody"))
        self.verifier = self.make("HS256", issuer="https://idp")
        self.verify(self.claims(iss="https://idp"))
        issuers: tuple[object, ...] = ("https://idp/", "", None, ["https://idp"], 7)
        for wrong in issuers:
            self.refuse(self.claims(iss=wrong), "another issuer")
        self.refuse(self.claims(), "another issuer")

    def test_audience(self) -> None:
        """Where there is an audience, a token must be for it, be it among others."""
        self.verify(self.claims(aud="anybody"))
        self.verifier = self.make("HS256", audience="chat")
        for right in ("chat", ["chat"], ["mail", "chat"]):
            self.verify(self.claims(aud=right))
        audiences: tuple[object, ...] = (
            "chats",
            "",
            None,
            [],
            ["mail"],
            [["chat"]],
            {"chat": 1},
            7,
        )
        for wrong in audiences:
            self.refuse(self.claims(aud=wrong), "another audience")
        self.refuse(self.claims(), "another audience")


class SignerTests(VerifierCase):
    def setUp(self) -> None:
        super().setUp()
        self.verifier = self.make()
        self.signer = Signer(OURS)

    def test_token(self) -> None:
        """Our own token is taken without any keys, also where others need an issuer."""
        token = self.signer.token("ann", "Ann", moderator=False, now_s=NOW, ttl_s=60)
        ann = Identity("ann", "Ann", Role.USER, None, END, "")
        self.assertEqual(self.verify(token), ann)
        self.expired(token, END + LEEWAY_S)
        self.verifier = self.make("HS256", issuer="idp", audience="chat")
        self.assertEqual(self.verify(token), ann)

    def test_moderator(self) -> None:
        """It says whether somebody moderates, and which account they are."""
        token = self.signer.token("b", "B", moderator=True, now_s=NOW, ttl_s=60, made="7")
        self.assertEqual(self.verify(token), Identity("b", "B", Role.MODERATOR, None, END, "7"))

    def test_other_secret(self) -> None:
        """With another secret it is void, and the secret itself is no key."""
        claims = {"sub": "ann", "exp": END}
        for key in (OURS, Signer(b"p" * 32).key):
            token = jwt.encode(claims, key, "HS256", headers={"kid": "chatd"})
            self.refuse(token, "no key of ours")

    def test_named(self) -> None:
        """It is known by the name of its key; without that it is nobody's."""
        token = jwt.encode({"sub": "ann", "exp": END}, self.signer.key, "HS256")
        self.refuse(token, "no key of ours")

    def test_account_of_others(self) -> None:
        """Nobody else's token can be that of an account of ours."""
        self.verifier = self.make("HS256")
        self.assertEqual(self.verify(self.claims(made="7")).made, "")

    def test_strange_account(self) -> None:
        """An account that is no text is refused, though we signed it."""
        claims = {"sub": "ann", "exp": END, "made": 7}
        token = jwt.encode(claims, self.signer.key, "HS256", headers={"kid": "chatd"})
        self.refuse(token, "its made")

    def test_code(self) -> None:
        """A one-time code says what it was made for, until it is over."""
        for nick in ("Ann", "", "a.b-c_d", "x" * 32):
            code = self.signer.code(nick, nonce="n_-1", now_s=NOW, ttl_s=60)
            self.assertRegex(code, r"^[A-Za-z0-9_.-]+$")
            self.assertEqual(self.signer.redeem(code, END - 1), OneTime("n_-1", nick, END))
            error = self.assertRaises(ChatError, self.signer.redeem, code, END)
            self.assertIs(error.refusal, TOKEN_EXPIRED)

    def test_wrong_code(self) -> None:
        """A code of which anything was changed, or that we did not make, is refused."""
        code = self.signer.code("Ann", nonce="n1", now_s=NOW, ttl_s=60)
        other = Signer(b"p" * 32).code("Ann", nonce="n1", now_s=NOW, ttl_s=60)
        token = self.signer.token("ann", "Ann", moderator=True, now_s=NOW, ttl_s=60)
        wrong = [code[:i] + ("A" if code[i] != "A" else "B") + code[i + 1 :] for i in range(40)]
        for each in (*wrong, other, token, "", ".", code + "x", code + "\n", "é" * 60, "1.2.3.4"):
            error = self.assertRaises(ChatError, self.signer.redeem, each, NOW)
            self.assertIs(error.refusal, UNAUTHORIZED, each)

    def test_code_is_no_token(self) -> None:
        """A code is not taken for a token, whose key is another one."""
        code = self.signer.code("Ann", nonce="n1", now_s=NOW, ttl_s=60)
        self.assertRaises(TokenError, self.verify, code)
        claims = urlsafe_b64decode(
            self.signer.token("a", "A", moderator=False, now_s=NOW, ttl_s=60).split(".")[1] + "=="
        )
        self.assertNotIn(b"moderator", claims)
        self.assertNotIn(b"made", claims)


class TrustedTests(VerifierCase):
    def test_words(self) -> None:
        """A key that cannot be had is said with where it was named."""
        config = Config(keys=("HS256:/nowhere",), said={"keys": "CHATD_AUTH_KEYS"})
        error = self.assertRaises(ConfigError, tokens.trusted, config)
        self.assertEqual(str(error), "CHATD_AUTH_KEYS: '/nowhere': No such file or directory")
