"""The command table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from typing import Any, ClassVar

from chatd.core.commands import (
    Command,
    Connect,
    Enter,
    Ping,
    Presence,
    Refresh,
    Rpc,
    Since,
    Strange,
)
from chatd.core.session import State
from chatd.errors import (
    BAD_REQUEST,
    NO_SUCH_COMMAND,
    NORMAL,
)
from chatd.wire.plain import Plain
from tests.support.brokers import sqlite_error
from tests.support.people import PeopleCase, Person, past, said, to


class OtherTests(PeopleCase):
    def test_ping(self) -> None:
        """A ping is answered."""
        self.assertEqual(self.guest().ask(Ping(5)), {})

    def test_refresh(self) -> None:
        """Guests have nothing to refresh."""
        self.assertEqual(self.guest().refusal(Refresh(5, "token")), 108)

    def test_strange(self) -> None:
        """What makes no sense is answered with what is wrong with it."""
        person = self.guest()
        self.assertEqual(person.refusal(Strange(5, NO_SUCH_COMMAND)), 104)
        self.assertEqual(person.refusal(Strange(6, BAD_REQUEST)), 107)


class LostTests(PeopleCase):
    """Whoever goes in the middle of something leaves nothing behind."""

    limits: ClassVar[Mapping[str, Any]] = {"grace_s": 1}

    def check(self, command: Command, how: Callable[[Person], None], *, is_open: bool) -> int:
        """Have somebody go in each turn of a command; returns how many turns it has."""
        turns = 0
        while True:
            person = self.arrive()
            if not isinstance(command, Connect):
                person.begin(Connect(1, "", "Ann", None))
                self.settle()
            other = self.guest("Bob", "lobby", "den") if is_open else None
            person.begin(command)
            for _ in range(turns):
                self.clock.advance(0)
            number = getattr(command, "id", 0)
            is_done = number in person.replies
            how(person)
            self.settle()
            self.assertIs(person.session.state, State.CLOSING)
            self.assertEqual(number in person.replies, is_done)
            person.lost()
            if other is not None:
                other.lost()
            self.advance(2)
            self.assertNobody()
            if is_done:
                return turns
            turns += 1

    def test_lost(self) -> None:
        """No session, nick, room, member or presence, whatever was under way, in any turn."""
        visitor = self.guest("Old")
        token = self.resume(visitor)
        epoch = visitor.ask(to("lobby", number=4))["epoch"]
        self.say(3)
        visitor.lost()
        self.advance(2)
        since = Since(epoch, 1)
        commands: Mapping[str, Command] = {
            "connect": Connect(5, "", None, token),
            "subscribe": to("lobby"),
            "recover": to("lobby", since=since),
            "begin anew": to("lobby", since=Since("another", 1)),
            "publish": said(5),
            "history": past(2, number=5),
            "history since": past(2, number=5, since=since),
            "no history": past(2, number=5, since=Since("another", 1)),
            "presence": Presence(5, "den"),
            "rooms": Rpc(5, "rooms", None),
        }
        ways: tuple[Callable[[Person], None], ...] = (
            lambda person: person.session.lost(),
            lambda person: person.outbox.close(NORMAL),
        )
        for name, how, is_open in product(commands, ways, (False, True)):
            turns = self.check(commands[name], how, is_open=is_open)
            self.assertEqual(turns > 0, name != "subscribe" or not is_open, name)

    def test_entering(self) -> None:
        """Nor of one who goes while the room they enter is being opened."""
        for turns in range(6):
            person = self.arrive(Plain())
            person.begin(Enter("den", "Ann"))
            for _ in range(turns):
                self.clock.advance(0)
            person.lost()
            self.assertNobody()

    def test_failing(self) -> None:
        """Nor when what was under way fails after they have gone."""
        for command in (past(2), Presence(5, "den"), to("lobby")):
            person = self.guest("Ann")
            self.worker.failures.append(sqlite_error("SQLITE_IOERR"))
            person.begin(command)
            person.lost()
            self.advance(2)
            self.assertNobody()
