"""What every session of this process shares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from chatd.config import Config
from chatd.core.broker import Broker
from chatd.core.feed import Feed
from chatd.core.guests import Guests
from chatd.core.hub import Hub
from chatd.core.nicks import Nicks
from chatd.core.records import Records

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
        records: what is known of users.
        new_id: makes an id unlike any other, of letters and digits.
        seconds: the time, in seconds.
        sessions: those that are live, by user and then by id, in the order in which they came.
    """

    config: Config
    hub: Hub
    broker: Broker
    feed: Feed
    guests: Guests
    nicks: Nicks
    records: Records
    new_id: Callable[[], str]
    seconds: Callable[[], float]
    sessions: dict[str, dict[str, Session]] = field(default_factory=dict)
