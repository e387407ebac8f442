"""Which user of this node holds which nick; no two hold the same one in any case of its letters.

A nick belongs to the user, not to one of their sessions: all of them share it, and it stays
theirs for a while after the last one was lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import chain, count, islice

from chatd.core.names import MOST_NICK_CHARS, fold_nick
from chatd.core.wheel import Deadline, Wheel
from chatd.errors import NICK_TAKEN, ChatError

__all__ = ["Nicks"]

_MOST_TRIES = 99


class _Holder:
    """A user who holds a nick, with so many sessions; with none, until the deadline."""

    __slots__ = ("deadline", "nick", "sessions")

    def __init__(self, nick: str) -> None:
        self.nick = nick
        self.sessions = 0
        self.deadline: Deadline | None = None


class Nicks:
    """Nicks and their holders.

    Args:
        wheel: what ends the grace.
        grace_s: how long a nick is kept for a user who may come back, in seconds.
    """

    def __init__(self, wheel: Wheel, grace_s: float) -> None:
        self._wheel = wheel
        self._grace_s = grace_s
        self._holders: dict[str, _Holder] = {}
        self._taken: set[str] = set()

    def take(self, user: str, wanted: str | None, fallback: str) -> str:
        """One more session of a user is here.

        Args:
            user: their id.
            wanted: the allowed nick they ask for, of no account to one who holds a nick already;
                None: any. If it is taken they get it with a number from 2 to 99 behind it, cut so
                that it stays a nick.
            fallback: the allowed nick they get when all of these are taken or none was wanted; if
                taken itself, with the first free number behind it.

        Returns:
            The nick of the user, in all of their sessions.
        """
        holder = self._holders.get(user)
        if holder is None:
            holder = self._holders[user] = _Holder(self._free(wanted, fallback))
            self._taken.add(fold_nick(holder.nick))
        elif holder.deadline is not None:
            holder.deadline.cancel()
            holder.deadline = None
        holder.sessions += 1
        return holder.nick

    def rename(self, user: str, nick: str) -> None:
        """Give a user another nick, or their own in another spelling; the old one is free then.

        Args:
            user: their id; they have a session here.
            nick: an allowed one.

        Raises:
            ChatError: NICK_TAKEN, if another user holds it, be it that they are only awaited.
        """
        holder = self._holders[user]
        old, new = fold_nick(holder.nick), fold_nick(nick)
        if new != old and new in self._taken:
            raise ChatError(NICK_TAKEN)
        self._taken.remove(old)
        self._taken.add(new)
        holder.nick = nick

    def release(self, user: str, *, comes_back: bool) -> None:
        """A session of a user has ended; to be called once for each `take`.

        Args:
            user: their id.
            comes_back: whether the nick is kept for the grace if this was their last session.
        """
        holder = self._holders[user]
        holder.sessions -= 1
        if holder.sessions:
            return
        forget = partial(self._forget, user)
        if comes_back:
            holder.deadline = self._wheel.after(self._grace_s, forget)
        else:
            forget()

    def dismiss(self, user: str) -> bool:
        """Await a user no longer; whether they had no session and were awaited."""
        holder = self._holders.get(user)
        if holder is None or holder.deadline is None:
            return False
        holder.deadline.come()
        return True

    def __len__(self) -> int:
        """How many users hold a nick, those included who are only awaited."""
        return len(self._holders)

    def _free(self, wanted: str | None, fallback: str) -> str:
        if wanted is not None:
            for nick in islice(_numbered(wanted), _MOST_TRIES):
                if fold_nick(nick) not in self._taken:
                    return nick
        # it ends: no two numbered ones are the same, and no more are taken than there are users
        return next(nick for nick in _numbered(fallback) if fold_nick(nick) not in self._taken)

    def _forget(self, user: str) -> None:
        self._taken.remove(fold_nick(self._holders.pop(user).nick))


def _numbered(nick: str) -> Iterator[str]:
    suffixes = (f"-{number}" for number in count(2))
    return chain((nick,), (nick[: MOST_NICK_CHARS - len(each)] + each for each in suffixes))
