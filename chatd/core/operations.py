"""What the operator may ask of chatd, running or not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from chatd.core.accounts import NAME_RULE, Account, Accounts
from chatd.errors import (
    NICK_INVALID,
    NICK_TAKEN,
    NO_SUCH_USER,
    UNAVAILABLE,
    UNKNOWN_OUTCOME,
    ChatError,
    Refusal,
)

__all__ = ["Answer", "Operation", "Reindex", "operations"]

_WORDS = {
    NICK_INVALID: NAME_RULE,
    NICK_TAKEN: "there is an account of that name",
    NO_SUCH_USER: "there is no account of that name",
    UNKNOWN_OUTCOME: "it may be stored or not: look, and try again",
}

_NOT_INDEXED = "another one is under way, or chatd stops and goes on when it starts; see its log"


class Answer(Protocol):
    """What is told of an operation: how far it is, and once how it ended."""

    def progress(self, done: int, total: int) -> None:
        """So much is done, of so much."""

    def done(self, value: Mapping[str, object]) -> None:
        """It is done."""

    def refused(self, words: str) -> None:
        """It is not."""


Operation = Callable[[Mapping[str, object], Answer], None]
"""Does what a request asks for; it may raise ChatError."""

Reindex = Callable[[Callable[[int, int], None], Callable[[Refusal | None], None]], None]
"""Makes the index of words anew; tells how far it is, and then how it ended."""


def operations(accounts: Accounts, reindex: Reindex) -> Mapping[str, Operation]:
    """The table of operations, by name.

    Args:
        accounts: of local users.
        reindex: see `Reindex`.
    """

    def add(request: Mapping[str, object], answer: Answer) -> None:
        accounts.add(
            _text(request, "name"),
            _text(request, "hash"),
            is_moderator=request.get("moderator") is True,
            done=_told(answer),
        )

    def set_password(request: Mapping[str, object], answer: Answer) -> None:
        accounts.set_password(_text(request, "name"), _text(request, "hash"), _told(answer))

    def remove(request: Mapping[str, object], answer: Answer) -> None:
        accounts.remove(_text(request, "name"), _told(answer))

    def make_index(request: Mapping[str, object], answer: Answer) -> None:
        def ended(refusal: Refusal | None) -> None:
            if refusal is None:
                answer.done({})
            else:
                answer.refused(_NOT_INDEXED if refusal is UNAVAILABLE else refusal.words)

        reindex(answer.progress, ended)

    return {
        "user add": add,
        "user passwd": set_password,
        "user remove": remove,
        "reindex": make_index,
    }


def _told(answer: Answer) -> Callable[[Account | Refusal], None]:
    def told(outcome: Account | Refusal) -> None:
        if isinstance(outcome, Refusal):
            answer.refused(_WORDS.get(outcome, outcome.words))
        else:
            answer.done({"user": outcome.user, "nick": outcome.nick})

    return told


def _text(request: Mapping[str, object], field: str) -> str:
    value = request.get(field)
    if not isinstance(value, str):
        raise ChatError(NICK_INVALID)
    return value
