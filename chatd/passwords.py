"""Passwords as they are kept: scrypt, with salt and cost beside the hash."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import unicodedata
from base64 import b64decode, b64encode

__all__ = ["LONGEST", "SHORTEST", "hashed", "matches"]

SHORTEST, LONGEST = 8, 1024
"""Characters of a password."""

_LOG_N, _R, _P = 15, 8, 1  # 32 MiB and about a tenth of a second
_SALT_BYTES, _HASH_BYTES = 16, 32
_MOST_LOG_N, _MOST_R, _MOST_P = 20, 16, 4  # what a record may ask of us
_KEPT = re.compile(
    r"scrypt\$(\d{1,2})\$(\d{1,2})\$(\d)\$([A-Za-z0-9+/=]{24})\$([A-Za-z0-9+/=]{44})"
)


def hashed(password: str) -> str:
    """What to keep of a password: `scrypt$<log2 n>$<r>$<p>$<salt>$<hash>`. Takes its time.

    Args:
        password: `SHORTEST` to `LONGEST` characters without U+0000, which the caller sees to.
    """
    salt = secrets.token_bytes(_SALT_BYTES)
    digest = _scrypt(password, salt, _LOG_N, _R, _P)
    return f"scrypt${_LOG_N}${_R}${_P}${b64encode(salt).decode()}${b64encode(digest).decode()}"


def matches(password: str, kept: str | None) -> bool:
    """Whether it is the password of which this was kept. Takes its time.

    Args:
        password: any text.
        kept: by `hashed`; None: there is none to match, which takes as long to find out.
    """
    # HMAC, of which scrypt is made, cannot tell a text from itself with U+0000 at the end.
    parts = None if kept is None or "\0" in password else _KEPT.fullmatch(kept)
    if parts is not None:
        log_n, r, p = (int(each) for each in parts.groups()[:3])
        if 1 <= log_n <= _MOST_LOG_N and 1 <= r <= _MOST_R and 1 <= p <= _MOST_P:
            salt, digest = b64decode(parts[4]), b64decode(parts[5])
            return hmac.compare_digest(_scrypt(password, salt, log_n, r, p), digest)
    _scrypt(password, bytes(_SALT_BYTES), _LOG_N, _R, _P)
    return False


def _scrypt(password: str, salt: bytes, log_n: int, r: int, p: int) -> bytes:
    # One keyboard's é is one character, another's is two (RFC 8265); half a surrogate is a byte.
    text = unicodedata.normalize("NFC", password).encode(errors="surrogatepass")
    n = 1 << log_n
    return hashlib.scrypt(
        text, salt=salt, n=n, r=r, p=p, maxmem=128 * r * (n + p + 2) + (1 << 20), dklen=_HASH_BYTES
    )
