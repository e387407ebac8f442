"""Invites: tokens that let whoever has them into one private room.

An invite is `1.<what it says>.<keyed hash>`, of `A-Z a-z 0-9 _ - .`; nothing is kept of it here.
Whether it holds still is for the room's record to say: see `Invite.generation`.
"""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import NamedTuple

__all__ = ["LIFETIME_MS", "Invite", "Invites"]

LIFETIME_MS = 7 * 24 * 3600 * 1000
"""How long an invite holds, in milliseconds."""

_LABEL = b"chatd invite 1\0"
"""Keeps a hash that the same secret makes of something else from passing for one of ours."""

# What it says takes up to 2 names and 2 numbers, in base64.
_TOKEN = re.compile(r"1\.([A-Za-z0-9_-]{1,280})\.([A-Za-z0-9_-]{43})")


class Invite(NamedTuple):
    """What an invite says.

    Args:
        room: its folded name.
        generation: the one that the room's invites had when it was made; it holds while they do.
        user: the id of the only user whom it lets in; empty: anybody.
        until_ms: when it ends, in milliseconds since 1970.
    """

    room: str
    generation: int
    user: str
    until_ms: int


class Invites:
    """What makes invites and knows them again.

    Args:
        secret: the key, known to nobody else: 32 random bytes. Another one makes all void.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def token(self, invite: Invite) -> str:
        """The token that says this."""
        words = (invite.room, str(invite.generation), invite.user, str(invite.until_ms))
        told = _base64("\0".join(words).encode())
        return f"1.{told}.{self._mac(told)}"

    def read(self, token: str) -> Invite | None:
        """What a token says; None when we did not make it, whatever it is."""
        parts = _TOKEN.fullmatch(token)
        if parts is None:
            return None
        told, mac = parts.groups()
        if not hmac.compare_digest(mac, self._mac(told)):
            return None
        words = urlsafe_b64decode(told + "=" * (-len(told) % 4)).decode()
        room, generation, user, until_ms = words.split("\0")
        return Invite(room, int(generation), user, int(until_ms))

    def _mac(self, told: str) -> str:
        return _base64(hmac.digest(self._secret, _LABEL + told.encode(), "sha256"))


def _base64(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()
