"""What every session of this process shares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from chatd.config import Config
from chatd.core.archive import Archive
from chatd.core.audit import Audit
from chatd.core.auth import Gate
from chatd.core.bans import Bans
from chatd.core.broker import Broker
from chatd.core.events import Whisper
from chatd.core.feed import Feed
from chatd.core.guests import Guests
from chatd.core.hub import Hub
from chatd.core.invites import Invites
from chatd.core.nicks import Nicks
from chatd.core.profiles import Profiles
from chatd.core.records import Records
from chatd.core.wheel import Wheel

if TYPE_CHECKING:
    from chatd.core.session import Session

__all__ = ["Node"]


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One chatd process, as its sessions see it.

    Args:
        config: the settings.
        hub: where the rooms are.
        broker: what stores and carries messages.
        feed: what brings members to the head.
        guests: who is whom.
        nicks: who is called what.
        records: what is known of users and rooms.
        archive: what was said, to be asked.
        profiles: what is kept about those who are here.
        gate: who is let in.
        wheel: for deadlines of sessions.
        invites: what lets somebody into a private room.
        bans: who may not come in.
        audit: who did what.
        new_id: makes an id unlike any other, of letters and digits.
        seconds: the time, in seconds.
        now_ms: the wall clock, in milliseconds since 1970; it may step.
        sessions: those that are live, by user and then by id, in the order in which they came.
    """

    config: Config
    hub: Hub
    broker: Broker
    feed: Feed
    guests: Guests
    nicks: Nicks
    records: Records
    archive: Archive
    profiles: Profiles
    gate: Gate
    wheel: Wheel
    invites: Invites
    bans: Bans
    audit: Audit
    new_id: Callable[[], str]
    seconds: Callable[[], float]
    now_ms: Callable[[], int]
    sessions: dict[str, dict[str, Session]] = field(default_factory=dict)

    def forget(self, user: str, session: str) -> bool:
        """A session has ended; whether it was one until now.

        Args:
            user: whose.
            session: its id.
        """
        theirs = self.sessions.get(user, {})
        if theirs.pop(session, None) is None:
            return False
        if not theirs:
            del self.sessions[user]
            self.profiles.drop(user)
        return True

    def whisper(self, user: str, payload: bytes, *, but: Session | None = None) -> None:
        """Tell the sessions of a user something.

        Args:
            user: their id; nothing happens when they are not here.
            payload: compact JSON.
            but: a session that is not told.
        """
        told = Whisper(payload)
        for each in list(self.sessions.get(user, {}).values()):
            if each is not but and each.dialect.has_replies:
                each.outbox.tell(each.dialect.encode(told))
