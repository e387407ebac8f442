"""Broker: stamp, store and announce, as one step.

Publishing never delivers. A broker takes what is published, numbers it, keeps it if it can, and
brings it back through one callback, in order, many events at a time. The same callback serves a
broker in this process and one that many nodes share.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from chatd.core.events import Message, Relay, Sender
from chatd.errors import ChatError

__all__ = ["Ack", "Broker", "Deliver", "Done", "Position"]


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a room's history.

    Args:
        epoch: which stream it is a place in.
        offset: 1 is the first message, 0 the place before it.
    """

    epoch: str
    offset: int


@dataclass(frozen=True, slots=True)
class Ack:
    """A message is where it will stay, at this position."""

    position: Position


Done = Callable[[Ack | ChatError], None]
Deliver = Callable[[Sequence[Message | Relay]], None]


class Broker(Protocol):
    """What carries messages from those who publish to `Deliver`."""

    def start(self, deliver: Deliver) -> None:
        """Begin; `deliver` is called with whole batches, in order, and must not raise."""

    def open(self, room: str) -> None:
        """Get ready for a room, once, before anything else with it."""

    def close(self, room: str) -> None:
        """Nobody is in the room any more."""

    def publish(
        self, room: str, sender: Sender, message_id: str, payload: bytes, done: Done
    ) -> None:
        """Number and keep a message.

        Calls for one room take effect in call order. `done`, which must not raise, is called
        exactly once, before the message is delivered: with an `Ack`, or with the `ChatError` that
        refuses it; a refused message is never delivered.
        """

    def ephemeral(self, event: Relay, done: Done) -> None:
        """Deliver an event in its place among what is published, without keeping it.

        `done` is called only to refuse it.
        """

    def drain(self) -> None:
        """Deliver what was accepted, refuse what comes from now on."""
