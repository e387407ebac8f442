"""Who is present in a room: users, behind their sessions.

A user is told of when their first session comes, and when the last one has gone. One whose
connection broke is still present for a while, so that coming back goes unnoticed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from chatd.core.broker import Broker
from chatd.core.events import Sender
from chatd.core.wheel import Deadline, Wheel

__all__ = ["Presence"]


class _Attendance:
    """So many sessions of a user; with none, they are awaited until the deadline."""

    __slots__ = ("deadline", "sessions")

    def __init__(self) -> None:
        self.sessions = 0
        self.deadline: Deadline | None = None


class Presence:
    """The users of one room on this node; for each, joined and left alternate.

    Args:
        room: its folded name; open at the broker while anybody is present.
        broker: what tells the others.
        wheel: what ends the grace.
        grace_s: how long a user who may come back is present without a session, in seconds.
        emptied: called each time the last user has gone, as the last thing that is done.
    """

    __slots__ = ("_broker", "_clients", "_emptied", "_grace_s", "_room", "_users", "_wheel")

    def __init__(
        self,
        room: str,
        broker: Broker,
        wheel: Wheel,
        grace_s: float,
        emptied: Callable[[], None],
    ) -> None:
        self._room = room
        self._broker = broker
        self._wheel = wheel
        self._grace_s = grace_s
        self._emptied = emptied
        self._users: dict[str, _Attendance] = {}
        self._clients = 0

    @property
    def clients(self) -> int:
        """How many sessions are in the room."""
        return self._clients

    @property
    def users(self) -> int:
        """How many users are present, those included who are only awaited."""
        return len(self._users)

    def __contains__(self, user: str) -> bool:
        """Whether the user of this id is present, be it that they are only awaited."""
        return user in self._users

    def __iter__(self) -> Iterator[str]:
        """The ids of the users who are present, be it that they are only awaited."""
        return iter(tuple(self._users))

    def join(self, sender: Sender) -> None:
        """A session has come into the room; told if its user was not present."""
        attendance = self._users.get(sender.user)
        if attendance is None:
            attendance = self._users[sender.user] = _Attendance()
            self._broker.join(self._room, sender)
        elif attendance.deadline is not None:
            attendance.deadline.cancel()
            attendance.deadline = None
            self._broker.join(self._room, sender)  # not told; they may have another nick now
        attendance.sessions += 1
        self._clients += 1

    def leave(self, sender: Sender, *, comes_back: bool) -> None:
        """A session has left the room; to be called once for each `join`.

        Args:
            sender: who it is now; told if it was their last one.
            comes_back: whether they are still present for the grace then.
        """
        attendance = self._users[sender.user]
        attendance.sessions -= 1
        self._clients -= 1
        if attendance.sessions:
            return
        go = partial(self._go, sender)
        if comes_back:
            attendance.deadline = self._wheel.after(self._grace_s, go)
        else:
            go()

    def give_up(self, user: str) -> None:
        """A user is awaited no longer; nothing when they are here or were not awaited."""
        attendance = self._users.get(user)
        if attendance is not None and attendance.deadline is not None:
            attendance.deadline.come()

    def _go(self, sender: Sender) -> None:
        del self._users[sender.user]
        self._broker.leave(self._room, sender)
        if not self._users:
            self._emptied()
