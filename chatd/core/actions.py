"""The command table: what each does, when it may come, and which limit it counts against."""

from __future__ import annotations

from collections.abc import Mapping

from chatd.core import arrival, attendance, calls, recall, speech
from chatd.core.commands import (
    Connect,
    Enter,
    History,
    Ignored,
    Ping,
    Presence,
    PresenceStats,
    Publish,
    Refresh,
    Rpc,
    Say,
    Send,
    Strange,
    Subscribe,
    Unsubscribe,
)
from chatd.core.replies import Done
from chatd.core.session import Action, Rate, Session, State
from chatd.errors import ChatError

__all__ = ["ACTIONS"]


def _ping(session: Session, command: Ping) -> None:
    session.reply(command, Done("ping"))


def _ignored(session: Session, command: Ignored) -> None:
    """Nothing."""


def _strange(session: Session, command: Strange) -> None:
    raise ChatError(command.refusal)


ACTIONS: Mapping[type, Action] = {
    Enter: Action(State.CONNECTING, Rate.COMMANDS, arrival.enter),
    Connect: Action(State.CONNECTING, Rate.COMMANDS, arrival.connect),
    Say: Action(State.LIVE, Rate.PUBLISHES, speech.say),
    Send: Action(State.LIVE, Rate.PUBLISHES, speech.send),
    Publish: Action(State.LIVE, Rate.PUBLISHES, speech.publish),
    Subscribe: Action(State.LIVE, Rate.COMMANDS, attendance.subscribe),
    Unsubscribe: Action(State.LIVE, Rate.COMMANDS, attendance.unsubscribe),
    History: Action(State.LIVE, Rate.COMMANDS, recall.history),
    Presence: Action(State.LIVE, Rate.COMMANDS, attendance.presence),
    PresenceStats: Action(State.LIVE, Rate.COMMANDS, attendance.presence_stats),
    Rpc: Action(State.LIVE, Rate.COMMANDS, calls.call),
    Refresh: Action(State.LIVE, Rate.COMMANDS, arrival.refresh),
    Ping: Action(State.LIVE, Rate.COMMANDS, _ping),
    Ignored: Action(State.LIVE, Rate.COMMANDS, _ignored),
    Strange: Action(State.LIVE, Rate.COMMANDS, _strange),
}
