"""An identity provider: keys of every algorithm, and tokens signed with them."""

from __future__ import annotations

import hmac
import json
import os
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

__all__ = [
    "ALGORITHMS",
    "SECRET",
    "Provider",
    "encoded",
    "private",
    "private_pem",
    "public_pem",
    "raw",
]

ALGORITHMS = ("HS256", "RS256", "ES256", "EdDSA")

SECRET = b"0123456789abcdef0123456789abcdef"


@lru_cache
def private(kind: str) -> Any:
    """A private key: of an algorithm, or `RSA1024`, `P-384` or `Ed448`."""
    if kind in ("RS256", "RSA1024"):
        return rsa.generate_private_key(65537, 1024 if kind == "RSA1024" else 2048)
    if kind in ("ES256", "P-384"):
        return ec.generate_private_key(ec.SECP256R1() if kind == "ES256" else ec.SECP384R1())
    if kind == "Ed448":
        return ed448.Ed448PrivateKey.generate()
    return ed25519.Ed25519PrivateKey.generate()


def public_pem(kind: str) -> bytes:
    """The public key that goes with a private one."""
    pem: bytes = (
        private(kind).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    return pem


def private_pem(kind: str) -> bytes:
    """A private key as PEM."""
    pem: bytes = private(kind).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem


def encoded(part: bytes) -> str:
    """One part of a token."""
    return urlsafe_b64encode(part).rstrip(b"=").decode()


def raw(header: bytes, claims: bytes, secret: bytes = SECRET) -> str:
    """A token signed by HMAC, whatever is in it."""
    signed = f"{encoded(header)}.{encoded(claims)}"
    return f"{signed}.{encoded(hmac.digest(secret, signed.encode(), 'sha256'))}"


class Provider:
    """Somebody who says who people are, with a key of one algorithm.

    Args:
        algorithm: one of `ALGORITHMS`.
    """

    def __init__(self, algorithm: str) -> None:
        self.algorithm = algorithm

    def write(self, folder: str | Path) -> str:
        """Write the key that its tokens are checked by, as chatd is to be told of it."""
        path = os.path.join(folder, f"{self.algorithm}.key")
        kept = SECRET if self.algorithm == "HS256" else public_pem(self.algorithm)
        with open(path, "wb") as file:
            file.write(kept)
        os.chmod(path, 0o600)
        return f"{self.algorithm}:{path}"

    def token(
        self, user: object, expires_s: float, headers: Mapping[str, Any] | None = None, **more: Any
    ) -> str:
        """Make a token.

        Args:
            user: the `sub`.
            expires_s: the `exp`.
            headers: more of the header.
            more: claims.
        """
        claims = json.dumps({"sub": user, "exp": expires_s, **more}).encode()
        key = SECRET if self.algorithm == "HS256" else private(self.algorithm)
        return jwt.PyJWS().encode(claims, key, self.algorithm, headers=dict(headers or {}))
