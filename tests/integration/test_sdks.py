"""The public Centrifuge SDKs for JavaScript and Python work with chatd as they come."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.support.daemon import Daemon, running, until
from tests.support.lives import FAST
from tests.support.sdk import Json, JsonClient, RefusedError, chat, fill
from tests.support.sdks import Sdk


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    """A daemon for all cases that let it live."""
    with running(env={**FAST, "CHATD_LIMITS_GRACE_S": "1"}) as daemon:
        yield daemon


def offsets(publications: list[Json]) -> list[int]:
    """Where they are."""
    return [each["offset"] for each in publications]


def contents(publications: list[Json]) -> list[object]:
    """What they say."""
    return [each["data"] for each in publications]


def test_publish(daemon: Daemon, sdk: Sdk, room: str) -> None:
    """Who publishes hears it too: with its place, its time, and who said it."""
    peer = sdk.peer(daemon.ws, nick=f"ann-{room}")
    about = peer.connect()["data"]
    subscribed = peer.subscribe(room)
    assert (subscribed["was_recovering"], subscribed["recovered"]) == (False, False)
    epoch, offset = subscribed["position"]
    assert epoch and offset == 0
    before_ms = time.time_ns() // 1_000_000
    peer.call("publish", room=room, data=chat("one", "zażółć 🎈"))
    (heard,) = peer.heard(1)
    assert heard["offset"] == 1
    assert heard["data"] == chat("one", "zażółć 🎈")
    assert abs(int(heard["tags"]["time"]) - before_ms) < 60_000
    assert heard["info"]["user"] == about["user"]
    assert heard["info"]["info"]["nick"] == about["nick"] == f"ann-{room}"


@pytest.mark.parametrize("value", [None, True, 0, -1.5, "", "text", [1, [2]], {"a": {"b": None}}])
def test_any_json(daemon: Daemon, sdk: Sdk, room: str, value: object) -> None:
    """Any JSON value comes out as it went in."""
    peer = sdk.peer(daemon.web)
    peer.connect()
    peer.subscribe(room)
    peer.call("publish", room=room, data=value)
    assert contents(peer.heard(1)) == [value]


def test_history(daemon: Daemon, sdk: Sdk, room: str) -> None:
    """History is read in pages, forward and backward, from anywhere."""
    said: list[object] = [*fill(daemon.ws, room, 12)]
    peer = sdk.peer(daemon.ws)
    peer.connect()

    def page(**words: object) -> list[Json]:
        answer = peer.call("history", room=room, **words)
        assert answer["position"] == [epoch, 12]
        publications: list[Json] = answer["publications"]
        return publications

    epoch = peer.call("history", room=room, limit=0)["position"][0]
    assert page(limit=0) == []
    assert contents(page(limit=100)) == said
    assert offsets(page(limit=5)) == [1, 2, 3, 4, 5]
    assert offsets(page(limit=5, since=[epoch, 5])) == [6, 7, 8, 9, 10]
    assert offsets(page(limit=5, since=[epoch, 10])) == [11, 12]
    assert page(limit=5, since=[epoch, 12]) == []
    assert offsets(page(limit=5, reverse=True)) == [12, 11, 10, 9, 8]
    assert offsets(page(limit=5, since=[epoch, 8], reverse=True)) == [7, 6, 5, 4, 3]
    assert offsets(page(limit=5, since=[epoch, 3], reverse=True)) == [2, 1]
    for wrong in (["strange", 1], [epoch, 13]):
        with pytest.raises(RefusedError) as refused:
            peer.call("history", room=room, limit=5, since=wrong)
        assert refused.value.code == 112


def test_presence(daemon: Daemon, sdk: Sdk, room: str) -> None:
    """Who is there is listed by name, and counted."""
    with JsonClient(daemon.ws) as other:
        other.connect(nick=f"bob-{room}")
        other.subscribe(room)
        peer = sdk.peer(daemon.ws, nick=f"ann-{room}")
        about = peer.connect()["data"]
        peer.subscribe(room)
        there = peer.call("presence", room=room)
        assert {each["user"]: each["info"]["nick"] for each in there} == {
            about["user"]: f"ann-{room}",
            other.user: f"bob-{room}",
        }
        assert peer.call("presence_stats", room=room) == {"clients": 2, "users": 2}


def test_join_and_leave(daemon: Daemon, sdk: Sdk, room: str) -> None:
    """Who asked for it is told who comes and who goes."""
    peer = sdk.peer(daemon.ws)
    mine = peer.connect()["data"]["user"]
    peer.subscribe(room, join_leave=True)
    with JsonClient(daemon.ws) as other:
        other.connect()
        other.subscribe(room)
        until(lambda: other.user in [each["user"] for each in peer.events("join")], "a join")
    (left,) = (peer.event("leave"),)
    assert left["user"] == other.user != mine
    assert left["id"] == other.client_id


def test_nick(daemon: Daemon, sdk: Sdk, room: str) -> None:
    """A call changes one's nick; others are told, and see it on what one says next."""
    peer = sdk.peer(daemon.ws, nick=f"ann-{room}")
    about = peer.connect()["data"]
    with JsonClient(daemon.ws) as other:
        other.connect()
        other.subscribe(room)
        peer.subscribe(room)
        peer.call("rpc", method="nick", data={"nick": f"eve-{room}"})
        told = other.next_push("pub").body
        assert "offset" not in told
        assert told["data"] == {
            "type": "nick",
            "user": about["user"],
            "from": f"ann-{room}",
            "to": f"eve-{room}",
        }
        peer.call("publish", room=room, data="hello")
        assert other.next_push("pub").body["info"]["conn_info"]["nick"] == f"eve-{room}"


def test_unknown_call(daemon: Daemon, sdk: Sdk) -> None:
    """A method that is not there is error 104, and the connection goes on."""
    peer = sdk.peer(daemon.ws)
    peer.connect()
    with pytest.raises(RefusedError) as refused:
        peer.call("rpc", method="make_coffee", data={})
    assert refused.value.code == 104
    peer.call("publish", room="elsewhere", data="still here")


def test_typing(daemon: Daemon, sdk: Sdk, room: str) -> None:
    """That somebody types is told and forgotten; it has no place in history."""
    peer = sdk.peer(daemon.ws)
    peer.connect()
    peer.subscribe(room)
    with JsonClient(daemon.ws) as other:
        other.connect()
        other.publish(room, {"type": "typing", "on": True})
        other.publish(room, chat("one", "typed"))
    assert offsets(peer.heard(1)) == [1]
    (told,) = peer.events("passing")
    assert told["data"] == {"type": "typing", "on": True}
    assert peer.call("history", room=room, limit=10)["position"][1] == 1


def test_resume_token(daemon: Daemon, sdk: Sdk, room: str) -> None:
    """The resume token brings the same user back, on this connection and on another."""
    peer = sdk.peer(daemon.ws, nick=f"ann-{room}")
    first = peer.connect()["data"]
    peer.disconnect()
    again = peer.connect()["data"]
    second = sdk.peer(daemon.web, resume=first["resume"])
    elsewhere = second.connect()["data"]
    stranger = sdk.peer(daemon.ws).connect()["data"]
    for each in (again, elsewhere):
        assert (each["user"], each["nick"]) == (first["user"], f"ann-{room}")
    assert stranger["user"] != first["user"]


def test_invalid_token(daemon: Daemon, sdk: Sdk) -> None:
    """A token nobody can check ends the client for good, with 3500."""
    peer = sdk.peer(daemon.ws, token="not.a.token")
    peer.sdk.put("connect", peer.name, {})
    assert peer.event("disconnected")["code"] == 3500
    other = sdk.peer(daemon.ws)
    other.connect()
    assert len(peer.events("connecting")) == 1
    assert not peer.events("connected")
