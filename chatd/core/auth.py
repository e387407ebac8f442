"""Who is let in, and as whom."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Protocol

from twisted.logger import Logger

from chatd.config import Config
from chatd.core import names
from chatd.core.identity import Identity
from chatd.core.throttle import Throttle
from chatd.errors import SIGN_IN, ChatError, Refusal

__all__ = ["Gate", "TokenError", "Verifier", "fallback_nick"]

_LINES = (1, 10)  # of the log about tokens, a second and at once
_PREFIX = "guest-"

log = Logger()


def fallback_nick(user: str) -> str:
    """The nick of a user who has none that is allowed and free, made of their id."""
    return f"user-{sha256(user.encode()).hexdigest()[:6]}"


class TokenError(ChatError):
    """A token is not taken.

    Args:
        refusal: TOKEN_EXPIRED for one that was good once, else UNAUTHORIZED.
        reason: why, for the log; without anything of the token.
    """

    def __init__(self, refusal: Refusal, reason: str) -> None:
        super().__init__(refusal)
        self.reason = reason


class Verifier(Protocol):
    """What tells whose a token is."""

    def verify(self, token: str, now_s: float) -> Identity:
        """Say who the holder of a token is; `expires_s` is set.

        Args:
            token: whatever somebody sent.
            now_s: the time, in seconds since 1970.

        Raises:
            TokenError: it is not taken.
        """


class Gate:
    """What lets people in.

    Args:
        verifier: of tokens.
        config: the settings.
        now_ms: the wall clock, in milliseconds since 1970; it may step.
        seconds: the time, in seconds.
    """

    def __init__(
        self,
        verifier: Verifier,
        config: Config,
        *,
        now_ms: Callable[[], int],
        seconds: Callable[[], float],
    ) -> None:
        self._verifier = verifier
        self._now_ms = now_ms
        self._is_shut = config.is_shut
        self._plain_rooms = frozenset(config.plain_rooms)
        self._lines = Throttle(*_LINES, seconds)
        self._unsaid = 0

    def left_s(self, identity: Identity) -> float | None:
        """How long somebody's time lasts, in seconds, below 0 when it is over; None: for ever."""
        end = identity.expires_s
        return None if end is None else end - self._now_ms() / 1000

    def holder(self, token: str, address: str) -> Identity:
        """Say whose a token is, and log it when it is nobody's.

        Args:
            token: whatever somebody sent.
            address: of who sent it.

        Raises:
            TokenError: it is not taken.
        """
        try:
            return self._verifier.verify(token, self._now_ms() / 1000)
        except TokenError as error:
            self._log(error.reason, address)
            raise

    def pass_guest(self) -> None:
        """Let somebody without a token in.

        Raises:
            ChatError: SIGN_IN, where guests stay outside.
        """
        if self._is_shut:
            raise ChatError(SIGN_IN)

    def admits(self, room: str) -> bool:
        """Whether somebody who cannot show a token may enter a room, by its folded name."""
        return not self._is_shut or room in self._plain_rooms

    def plain_guest(self, user: str, room: str, nick: str | None) -> tuple[Identity, str | None]:
        """Let somebody in who cannot show a token.

        Args:
            user: the id they are to have.
            room: the folded name of where they want to go.
            nick: the allowed one they ask for; None: any.

        Returns:
            who they are, and the nick they may ask for: where the others have signed in it shows
            that they have not.

        Raises:
            ChatError: SIGN_IN, where guests stay outside of this room.
        """
        if not self._is_shut:
            return Identity(user), nick
        if room not in self._plain_rooms:
            raise ChatError(SIGN_IN)
        if nick is not None and not names.fold_nick(nick).startswith(_PREFIX):
            nick = f"{_PREFIX}{nick}"[: names.MOST_NICK_CHARS]
        return Identity(user, rooms=self._plain_rooms), nick

    def _log(self, reason: str, address: str) -> None:
        if not self._lines.take():
            self._unsaid += 1
            return
        if self._unsaid:
            log.warn("refused {count} more tokens, not listed", count=self._unsaid)
            self._unsaid = 0
        log.warn("refused a token from {address!r}: {reason}", address=address, reason=reason)
