"""Guests: users nobody vouches for, and the token that makes one the same user again.

A resume token is `1.<user id>.<nick>.<keyed hash>`, of `A-Z a-z 0-9 _ - .`; nothing is kept of it
here, so that a guest who never comes back leaves nothing behind.
Whoever has it is that user, so it is shown to them alone and is never logged.
"""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable

__all__ = ["Guests"]

_LABEL = b"chatd resume token 1\0"
"""Keeps a hash that the same secret makes of something else from passing for one of ours."""

# a user's id, a nick, and the 43 characters that a hash of 32 bytes makes
_TOKEN = re.compile(r"1\.([A-Za-z0-9_-]{1,64})\.([A-Za-z0-9_.-]{1,32})\.([A-Za-z0-9_-]{43})")


class Guests:
    """What lets guests in.

    Args:
        secret: the key, known to nobody else: 32 random bytes. Another one makes all tokens void.
        new_id: makes the id of a new user, unlike any other's, of 1 to 64 `A-Z a-z 0-9 _ -`.
    """

    def __init__(self, secret: bytes, new_id: Callable[[], str]) -> None:
        self._secret = secret
        self._new_id = new_id

    def admit(self) -> str:
        """Let somebody new in; returns their user id."""
        return self._new_id()

    def token(self, user: str, nick: str) -> str:
        """The resume token of a guest by the nick they have now, always the same one."""
        return f"1.{user}.{nick}.{self._mac(user, nick)}"

    def holder(self, token: str) -> tuple[str, str] | None:
        """Whose token it is: their user id, and the nick they had when it was made.

        None when we did not make it, whatever it is.
        """
        parts = _TOKEN.fullmatch(token)
        if parts is None:
            return None
        user, nick, mac = parts.groups()
        return (user, nick) if hmac.compare_digest(mac, self._mac(user, nick)) else None

    def _mac(self, user: str, nick: str) -> str:
        digest = hmac.digest(self._secret, _LABEL + f"{user}\0{nick}".encode(), "sha256")
        return urlsafe_b64encode(digest).rstrip(b"=").decode()
