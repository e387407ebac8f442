"""A moderator and a troll, at every door of a daemon: kicked, muted, slowed down and banned."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from chatd import secret
from chatd.tokens import Signer
from tests.support.client import Client, dial, request, upgrade_headers
from tests.support.daemon import Daemon, free_ports, running, until

SDK = "/connection/websocket"
FAR = b"PROXY TCP4 203.0.113.7 127.0.0.1 40000 1919\r\n"

Json = dict[str, Any]


class Talker:
    """Somebody at the Centrifuge door, frame by frame.

    Args:
        where: the port, or a socket.
        token: theirs; empty: a guest.
        resume: see `connect`.
    """

    def __init__(self, where: Any, token: str = "", resume: str = "") -> None:
        self.client = Client(where, SDK)
        self.pushes: list[Json] = []
        self._numbers = itertools.count(1)
        self.about = self.ask("connect", token=token, data={"resume": resume} if resume else {})

    @property
    def user(self) -> str:
        """Their id."""
        user: str = self.about["data"]["user"]
        return user

    def begin(self, method: str, /, **argument: object) -> int:
        """Ask, and do not wait; returns the number of the command."""
        number = next(self._numbers)
        self.client.say(json.dumps({"id": number, method: argument}))
        return number

    def ask(self, method: str, /, **argument: object) -> Json:
        """Ask, and wait for the result or the error."""
        number = self.begin(method, **argument)
        while True:
            for line in self.client.read_text().splitlines():
                told = json.loads(line)
                if told.get("id") == number:
                    answer: Json = told.get("error") or told[method]
                    return answer
                if "push" in told:
                    self.pushes.append(told["push"])

    def call(self, method: str, /, **argument: object) -> int:
        """Call; returns the code of the error, or 0."""
        return int(self.ask("rpc", method=method, data=argument).get("code", 0))

    def say(self, room: str, text: str) -> int:
        """Say something; returns the code of the error, or 0."""
        data = {"type": "message", "id": f"m{next(self._numbers)}", "text": text}
        return int(self.ask("publish", channel=room, data=data).get("code", 0))

    def hears(self) -> list[object]:
        """What was said and done in rooms so far, in order: texts, and codes of unsubscribes."""
        self.ask("ping")
        found: list[object] = []
        for each in self.pushes:
            if "pub" in each:
                found.append(each["pub"]["data"]["text"])
            elif "unsubscribe" in each:
                found.append(each["unsubscribe"]["code"])
        return found


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    """A daemon without any settings but the endpoints."""
    with running() as daemon:
        yield daemon


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """What is closed at the end."""
    with ExitStack() as stack:
        yield stack


def come(stack: ExitStack, where: Any, *rooms: str, **about: str) -> Talker:
    """Somebody who is in some rooms."""
    talker = Talker(where, **about)
    stack.enter_context(talker.client)
    for room in rooms:
        assert "code" not in talker.ask("subscribe", channel=room)
    return talker


def token(database: Path, user: str, *, moderator: bool = False) -> str:
    """A token of the server's own."""
    signer = Signer(secret.read(str(database)))
    return signer.token(user, user, moderator=moderator, now_s=time.time(), ttl_s=600)  # noqa: TID251


def moderator(stack: ExitStack, daemon: Daemon, *rooms: str, user: str = "mod") -> Talker:
    """A moderator."""
    (path,) = daemon.folder.glob("*.secret")
    database = path.with_suffix("")
    return come(stack, daemon.ws, *rooms, token=token(database, user, moderator=True))


def _alone(talker: Talker, room: str) -> bool:
    return len(talker.ask("presence", channel=room)["presence"]) == 1


def test_kick(daemon: Daemon, stack: ExitStack, room: str) -> None:
    """Out of a room on every session and door at once; the others hear all, the kicked no more."""
    mod = moderator(stack, daemon, room)
    ann = come(stack, daemon.ws, room)
    resume = ann.about["data"]["resume"]
    twins = [come(stack, port, room, resume=resume) for port in (daemon.web, daemon.ws)]
    bob = come(stack, daemon.web, room)
    assert bob.say(room, "one") == 0
    assert mod.call("kick", room=room.upper(), user=ann.user) == 0
    assert bob.say(room, "two") == 0
    for each in (ann, *twins):
        assert each.hears() == ["one", 2000]
        assert each.ask("subscribe", channel=room)["code"] == 431
        assert each.say(room, "three") == 431
        assert each.ask("history", channel=room, limit=5)["code"] == 431
    assert bob.hears() == ["one", "two"]
    assert ann.ask("subscribe", channel=f"{room}-other") != {"code": 431}


def test_plain(daemon: Daemon, stack: ExitStack, room: str) -> None:
    """Plain connections are closed, at either port: kicked, muted, banned."""
    mod = moderator(stack, daemon, room)
    seconds = {"room": room, "seconds": 60}
    for port, path in ((daemon.ws, "/"), (daemon.web, "/plain")):
        for method, argument, words in (
            ("kick", {"room": room}, "removed"),
            ("kick", {}, "removed"),
            ("mute", seconds, "muted"),
            ("ban", {"seconds": 60}, "banned"),
        ):
            plain = stack.enter_context(Client(port, f"{path}?room={room}&nick=ann"))
            plain.read_text()
            users = mod.ask("presence", channel=room)["presence"].values()
            (user,) = [each["user"] for each in users if each["conn_info"]["nick"] != "mod"]
            assert mod.call(method, user=user, **argument) == 0
            if method == "mute":
                plain.say("hello")
            assert plain.read_close() == (1008, words)
            plain.socket.close()
            until(lambda: _alone(mod, room), "the end of a plain connection")
    assert mod.hears() == []


def test_muted_and_slow(daemon: Daemon, stack: ExitStack, room: str) -> None:
    """Muted and slowed down over sessions and doors; whoever moderates is not slowed down."""
    mod = moderator(stack, daemon, room)
    ann = come(stack, daemon.ws, room)
    twin = come(stack, daemon.web, resume=ann.about["data"]["resume"])
    assert mod.call("mute", room=room, user=ann.user, seconds=60) == 0
    assert (ann.say(room, "a"), twin.say(room.upper(), "b")) == (430, 430)
    assert mod.call("mute", room=room, user=ann.user, seconds=0) == 0
    assert mod.call("slow", room=room, seconds=60) == 0
    assert (ann.say(room, "c"), twin.say(room, "d"), ann.say(room, "e")) == (0, 432, 432)
    assert (mod.say(room, "f"), mod.say(room, "g")) == (0, 0)
    assert mod.call("slow", room=room, seconds=0) == 0
    assert twin.say(room, "h") == 0
    assert ann.hears() == ["c", "f", "g", "h"]


def test_ban(daemon: Daemon, stack: ExitStack, room: str) -> None:
    """A banned user is out with 3503 at both ports, and back by no token."""
    mod = moderator(stack, daemon, room)
    ann = come(stack, daemon.ws, room)
    resume = ann.about["data"]["resume"]
    twin = come(stack, daemon.web, room, resume=resume)
    assert mod.call("ban", user=ann.user, seconds=60) == 0
    for each in (ann, twin):
        assert each.client.read_close() == (3503, "banned")
    for port in (daemon.ws, daemon.web):
        again = stack.enter_context(Client(port, SDK))
        again.say(json.dumps({"id": 1, "connect": {"data": {"resume": resume}}}))
        assert json.loads(again.read_text())["error"]["code"] == 431
    assert _alone(mod, room)
    assert come(stack, daemon.ws).call("whois", user=ann.user) == 103


def test_address_over_a_restart(stack: ExitStack, tmp_path: Path) -> None:
    """A banned address is told 403 at every path, after a start anew too; the audit log has it."""
    database = tmp_path / "kept.sqlite3"
    for number in range(2):
        ws, web = free_ports()
        both = [f"haproxy:tcp:{port}:interface=127.0.0.1" for port in (ws, web)]
        options = ("--database", str(database), "--ws", both[0], "--web", both[1])
        with running(*options) as daemon, ExitStack() as here:

            def far(port: int) -> Any:
                connection = dial(port)
                connection.sendall(FAR)
                return connection

            mod = come(here, daemon.ws, token=token(database, "mod", moderator=True))
            if not number:
                troll = come(here, far(ws), "lobby")
                told = mod.ask("rpc", method="whois", data={"user": troll.user})["data"]
                assert told["sessions"][0]["address"] == "203.0.113.7"
                assert mod.call("ban", address="203.0.113.7", seconds=600) == 0
                assert troll.client.read_close() == (3503, "banned")
            for port, paths in ((ws, ("/", "/plain", SDK)), (web, ("/plain", SDK))):
                for path in paths:
                    assert request(far(port), path, upgrade_headers("localhost")).status == 403
            assert request(far(web), "/", {"Host": "localhost"}).status == 200
            assert mod.call("ban", address="127.0.0.1", seconds=600) == 107
            if number:
                assert mod.call("unban", address="::ffff:203.0.113.7") == 0
                come(here, far(ws))
