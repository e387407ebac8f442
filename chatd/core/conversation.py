"""Conversation: what a door talks to, one for each connection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from chatd.core.commands import Command

__all__ = ["Conversation"]


class Conversation(Protocol):
    """What a door talks to, one for each connection."""

    @property
    def title(self) -> str:
        """What it is, for the log; names of people and rooms are quoted."""

    @property
    def is_connecting(self) -> bool:
        """Whether the peer has still to say who it is."""

    def receive(self, commands: Sequence[Command]) -> None:
        """The peer asked for something; refused is told to the peer, never raised."""

    def drained(self) -> None:
        """The peer had been above high water and has taken everything."""

    def lost(self) -> None:
        """The connection is no more; said once."""
