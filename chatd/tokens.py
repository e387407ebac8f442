"""Signed tokens: those of an identity provider and our own, and one-time codes.

A token is a JWT (RFC 7519). With which algorithm it is checked is decided by the key, never by the
token: a key is tried only at tokens that name its one algorithm, and a key named by a token is
never looked for. Its JSON is read strictly, header and claims.

Whoever has a token or a code is somebody, so neither is logged, nor any part of them.
"""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jwt

from chatd import keys
from chatd.config import Config
from chatd.core import names
from chatd.core.auth import TokenError, Verifier, fallback_nick
from chatd.core.identity import Identity, Role
from chatd.errors import TOKEN_EXPIRED, UNAUTHORIZED, ChatError
from chatd.keys import Key
from chatd.wire.strict import JsonError, parse

__all__ = ["LEEWAY_S", "TOKEN_BYTES", "OneTime", "Signer", "trusted", "verifier"]

TOKEN_BYTES = 8192
"""The longest token that is looked at."""

LEEWAY_S = 10
"""How much clocks may differ, in seconds; the least that `refresh_timeout_s` may be.

Or who is closed with an old token would come in with it again, and again.
"""

_TOKEN_KEY = b"chatd sign-in token 1\0"
_CODE_KEY = b"chatd one-time code 1\0"
_KID = "chatd"
_ALGORITHM = "HS256"

_HEADER_DEPTH = 4
_CLAIMS_DEPTH = 16
_MOST_ROOMS = 1000
_LATEST_S = 253_402_300_799  # the end of 9999: milliseconds would make tokens that never expire

_JWT = re.compile(r"([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_CODE = re.compile(
    r"([A-Za-z0-9_-]{1,64})\.([0-9]{1,12})\.([A-Za-z0-9_.-]{0,32})\.([\w-]{43})", re.A
)


class OneTime(NamedTuple):
    """What a one-time code says.

    Args:
        nonce: unlike any other code's, so that it can be told whether it was used.
        nick: the nick its holder is to have; empty: any.
        until_s: when it is over, in seconds since 1970.
    """

    nonce: str
    nick: str
    until_s: int


class Signer:
    """What makes tokens and codes of our own.

    Args:
        secret: of the server, 32 random bytes. Another one makes all of them void.
    """

    def __init__(self, secret: bytes) -> None:
        self.key = hmac.digest(secret, _TOKEN_KEY, "sha256")
        """The key of tokens, as HS256 has it."""
        self._code_key = hmac.digest(secret, _CODE_KEY, "sha256")

    def token(
        self, user: str, nick: str, *, moderator: bool, now_s: float, ttl_s: int, made: str = ""
    ) -> str:
        """Make a token, which every chatd with the same secret takes.

        Args:
            user: whose id it is, 1 to 48 of `A-Z a-z 0-9 _ . @ + = | -`.
            nick: the allowed one they are to have.
            moderator: whether they may do what moderators may.
            now_s: the time, in seconds since 1970.
            ttl_s: for how many seconds it is good.
            made: which account it is, as its record says; empty: there is no account.
        """
        claims: dict[str, Any] = {
            "sub": user,
            "iat": int(now_s),
            "exp": int(now_s) + ttl_s,
            "info": {"nick": nick},
        }
        if moderator:
            claims["moderator"] = True
        if made:
            claims["made"] = made
        return jwt.encode(claims, self.key, _ALGORITHM, headers={"kid": _KID})

    def code(self, nick: str, *, nonce: str, now_s: float, ttl_s: int) -> str:
        """Make a one-time code, of `A-Z a-z 0-9 _ . -`.

        Args:
            nick: the allowed one its holder is to have; empty: any.
            nonce: 1 to 64 of `A-Z a-z 0-9 _ -`, unlike any other.
            now_s: the time, in seconds since 1970.
            ttl_s: for how many seconds it is good.
        """
        signed = f"{nonce}.{int(now_s) + ttl_s}.{nick}"
        return f"{signed}.{self._mac(signed)}"

    def redeem(self, code: str, now_s: float) -> OneTime:
        """Read a one-time code; whether it was used is for others to know.

        Args:
            code: whatever somebody sent.
            now_s: the time, in seconds since 1970.

        Raises:
            ChatError: TOKEN_EXPIRED, or UNAUTHORIZED when we did not make it.
        """
        parts = _CODE.fullmatch(code)
        if parts is None:
            raise ChatError(UNAUTHORIZED)
        nonce, until, nick, mac = parts.groups()
        if not hmac.compare_digest(mac, self._mac(f"{nonce}.{until}.{nick}")):
            raise ChatError(UNAUTHORIZED)
        if int(until) <= now_s:
            raise ChatError(TOKEN_EXPIRED)
        return OneTime(nonce, nick, int(until))

    def _mac(self, signed: str) -> str:
        digest = hmac.digest(self._code_key, signed.encode(), "sha256")
        return urlsafe_b64encode(digest).rstrip(b"=").decode()


def trusted(config: Config) -> Sequence[Key]:
    """Read the keys of the configuration.

    Raises:
        ConfigError: one cannot be read, is too weak, or is not for its algorithm.
    """
    return [keys.load(word, config.where("keys")) for word in config.keys]


def verifier(config: Config, secret: bytes, others: Sequence[Key] = ()) -> Verifier:
    """Make what checks tokens.

    Args:
        config: the settings.
        secret: of the server; tokens made with it are taken always.
        others: the keys of others, see `trusted`.
    """
    return _Verifier(Signer(secret).key, others, config.issuer, config.audience)


class _Verifier:
    """`core.auth.Verifier` of some keys.

    Args:
        own: the key of tokens that are ours.
        others: the keys of the others.
        issuer: who must have made the others; empty: anybody who has the key.
        audience: whom the others must be for; empty: anybody.
    """

    def __init__(self, own: bytes, others: Sequence[Key], issuer: str, audience: str) -> None:
        self._own = Key(_ALGORITHM, own)
        self._others = others
        self._issuer = issuer
        self._audience = audience

    def verify(self, token: str, now_s: float) -> Identity:
        """See `Verifier.verify`."""
        header = _header(token)
        algorithm, kid = header.get("alg"), header.get("kid")
        if kid == _KID and algorithm == _ALGORITHM:
            payload = _payload(token, self._own)
            if payload is not None:
                claims = _claims(payload)
                made = claims.get("made", "")
                if not isinstance(made, str):
                    raise _invalid("its made is no text")
                return _identity(claims, now_s, made)
        for key in self._others:
            if key.algorithm == algorithm:
                payload = _payload(token, key)
                if payload is not None:
                    return self._other(_claims(payload), now_s)
        raise _invalid("no key of ours signed it")

    def _other(self, claims: Mapping[str, object], now_s: float) -> Identity:
        if self._issuer and claims.get("iss") != self._issuer:
            raise _invalid("it is by another issuer")
        if self._audience:
            audience = claims.get("aud")
            if self._audience not in (audience if isinstance(audience, list) else [audience]):
                raise _invalid("it is for another audience")
        return _identity(claims, now_s, "")


def _invalid(reason: str) -> TokenError:
    return TokenError(UNAUTHORIZED, reason)


def _header(token: str) -> Mapping[str, object]:
    parts = _JWT.fullmatch(token) if len(token) <= TOKEN_BYTES else None
    if parts is None:
        raise _invalid("it is no signed JWT")
    header = _object(_decoded(parts[1]), _HEADER_DEPTH, "header")
    # A header that must be understood, and the only one of them that PyJWT does.
    if "crit" in header or "b64" in header:
        raise _invalid("its header asks for more than is known")
    return header


def _decoded(segment: str) -> bytes:
    try:
        return urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except ValueError:
        raise _invalid("it is no signed JWT") from None


def _object(text: bytes, depth: int, what: str) -> Mapping[str, object]:
    try:
        value = parse(text, depth)
    except JsonError as error:
        raise _invalid(f"its {what} is no strict JSON: {error}") from None
    if not isinstance(value, dict):
        raise _invalid(f"its {what} is no JSON object")
    return value


def _payload(token: str, key: Key) -> bytes | None:
    """What was signed with a key; None: it was not."""
    try:
        payload: bytes = jwt.PyJWS(algorithms=[key.algorithm]).decode(
            token, key.key, algorithms=[key.algorithm]
        )
    except jwt.InvalidTokenError:
        return None
    return payload


def _claims(payload: bytes) -> Mapping[str, object]:
    return _object(payload, _CLAIMS_DEPTH, "claims")


def _identity(claims: Mapping[str, object], now_s: float, made: str) -> Identity:
    """Check the claims of a token that was signed."""
    expires = _time(claims, "exp")
    if expires is None:
        raise _invalid("it has no exp, so it would never end")
    for name in ("nbf", "iat"):
        since = _time(claims, name)
        if since is not None and since > now_s + LEEWAY_S:
            raise _invalid(f"by its {name} it is not good yet")
    user = _user(claims)
    moderator = claims.get("moderator", False)
    if not isinstance(moderator, bool):
        raise _invalid("its moderator is neither true nor false")
    rooms = _rooms(claims)
    if expires <= now_s - LEEWAY_S:
        raise TokenError(TOKEN_EXPIRED, "it has expired")
    role = Role.MODERATOR if moderator else Role.USER
    return Identity(user, _nick(claims, user), role, rooms, expires, made)


def _user(claims: Mapping[str, object]) -> str:
    user = claims.get("sub")
    try:
        return names.user(user if isinstance(user, str) else "")
    except ChatError:
        raise _invalid("its sub is not 1 to 48 of A-Z a-z 0-9 _ . @ + = | -") from None


def _time(claims: Mapping[str, object], name: str) -> float | None:
    value = claims.get(name)
    if name not in claims:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _invalid(f"its {name} is no number")
    if not 0 <= value <= _LATEST_S:
        raise _invalid(f"its {name} is no time in seconds since 1970")
    return value


def _rooms(claims: Mapping[str, object]) -> frozenset[str] | None:
    if "rooms" not in claims:
        return None
    rooms = claims["rooms"]
    if not isinstance(rooms, list) or len(rooms) > _MOST_ROOMS:
        raise _invalid(f"its rooms are no list of at most {_MOST_ROOMS}")
    try:
        return frozenset(names.room(name) for name in rooms if _is_text(name))
    except ChatError:
        raise _invalid("one of its rooms is no name of a room") from None


def _is_text(name: object) -> bool:
    if not isinstance(name, str):
        raise _invalid("one of its rooms is no name of a room")
    return True


def _nick(claims: Mapping[str, object], user: str) -> str:
    about = claims.get("info")
    told = (about.get("nick"), about.get("name")) if isinstance(about, dict) else ()
    for nick in (*told, user):
        if isinstance(nick, str):
            try:
                return names.nick(nick)
            except ChatError:
                continue
    return fallback_nick(user)
