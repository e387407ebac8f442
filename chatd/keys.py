"""The files with the keys that tokens are checked by, read once at start."""

from __future__ import annotations

import os
import stat
from typing import NamedTuple

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from chatd.errors import ConfigError

__all__ = ["ALGORITHMS", "Key", "PublicKey", "load"]

ALGORITHMS = ("HS256", "RS256", "ES256", "EdDSA")
"""Of RFC 7518 and RFC 8037; there are no others, and `none` least of all."""

PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey

_MOST_BYTES = 65536
_LEAST_SECRET_BYTES = 32
_LEAST_RSA_BITS = 2048
_WANTED = {
    "RS256": "an RSA public key",
    "ES256": "a public key on the curve P-256",
    "EdDSA": "an Ed25519 public key",
}


class Key(NamedTuple):
    """A key and the one algorithm it is for.

    Args:
        algorithm: one of `ALGORITHMS`.
        key: the secret of HS256, or a public key.
    """

    algorithm: str
    key: bytes | PublicKey


def load(word: str, where: str) -> Key:
    """Read a key.

    Args:
        word: `ALG:FILE`. A line end behind a secret of printable characters is no part of it.
        where: it was said, for an error.

    Raises:
        ConfigError: the file cannot be read, others may, or it holds no key for the algorithm.
    """
    algorithm, _, path = word.partition(":")
    try:
        return Key(algorithm, _key(algorithm, path))
    except OSError as error:
        raise ConfigError(f"{where}: {path!r}: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"{where}: {path!r} {error}") from None


def _key(algorithm: str, path: str) -> bytes | PublicKey:
    kept, mode = _read(path)
    if mode & 0o022:
        raise ValueError("may be changed by others: chmod go-w it")
    if algorithm != "HS256":
        return _public(algorithm, kept)
    if mode & 0o007:
        raise ValueError("holds a secret that others may read: chmod 600 it")
    return _secret(kept)


def _read(path: str) -> tuple[bytes, int]:
    # Not blocking: a pipe would keep the daemon waiting for ever.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise ValueError("is no file")
        kept = os.read(descriptor, _MOST_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(kept) > _MOST_BYTES:
        raise ValueError("is too large for a key")
    return kept, mode


def _secret(kept: bytes) -> bytes:
    if b"-----BEGIN" in kept or kept.startswith(b"ssh-"):
        raise ValueError("holds no secret for HS256: its key must be known to nobody else")
    line = kept.removesuffix(b"\n").removesuffix(b"\r")
    # In random bytes the last one may look like a line end and be none.
    secret = line if line.isascii() and line.decode("latin-1").isprintable() else kept
    if len(secret) < _LEAST_SECRET_BYTES:
        raise ValueError(
            f"is shorter than {_LEAST_SECRET_BYTES} bytes, so it could be guessed; "
            f"to make a new one: openssl rand -hex 32"
        )
    return secret


def _public(algorithm: str, kept: bytes) -> PublicKey:
    wanted = _WANTED[algorithm]
    if b"PRIVATE KEY-----" in kept:
        raise ValueError(
            f"holds a private key, and {algorithm} needs the public one; "
            f"to make it of that: openssl pkey -pubout"
        )
    if b"BEGIN CERTIFICATE-----" in kept:
        raise ValueError(
            f"holds a certificate, and {algorithm} needs the public key in it; "
            f"to take it out: openssl x509 -pubkey -noout"
        )
    try:
        key = load_pem_public_key(kept)
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError(f"is not {wanted} as PEM") from None
    if algorithm == "RS256" and isinstance(key, RSAPublicKey):
        if key.key_size < _LEAST_RSA_BITS:
            raise ValueError(f"has {key.key_size} bits, and {_LEAST_RSA_BITS} is the least")
        return key
    is_curve = isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1)
    if algorithm == "ES256" and isinstance(key, EllipticCurvePublicKey) and is_curve:
        return key
    if algorithm == "EdDSA" and isinstance(key, Ed25519PublicKey):
        return key
    raise ValueError(f"is not {wanted}: {algorithm} goes with no other")
