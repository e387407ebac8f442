"""The public Centrifuge SDKs come back from whatever goes wrong, and have missed nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.support.daemon import Daemon, running, until
from tests.support.lives import FAST, Lives, lives
from tests.support.sdk import Json, JsonClient, fill
from tests.support.sdks import Sdk

BIG = 30_000
MUCH = 500
"""So many of `BIG` bytes are more than the kernel keeps for somebody who does not read."""


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    """A daemon for all cases that let it live."""
    with running(env=FAST) as daemon:
        yield daemon


def offsets(publications: list[Json]) -> list[int]:
    """Where they are."""
    return [each["offset"] for each in publications]


def contents(publications: list[Json]) -> list[object]:
    """What they say."""
    return [each["data"] for each in publications]


@pytest.mark.parametrize("missed", [0, 1, 1_000, 20_000])
def test_missed(daemon: Daemon, sdk: Sdk, room: str, missed: int) -> None:
    """What was published while one was away comes when one is back, once and in order."""
    peer = sdk.peer(daemon.ws)
    peer.connect()
    peer.subscribe(room)
    said: list[object] = [*fill(daemon.ws, room, 3)]
    peer.heard(3)
    peer.disconnect()
    said += fill(daemon.ws, room, missed, first=4)
    peer.connect()
    back = peer.event("subscribed", 2)
    assert (back["was_recovering"], back["recovered"]) == (True, True)
    said += fill(daemon.ws, room, 1, first=4 + missed)
    got = peer.heard(len(said), timeout_s=60)
    assert offsets(got) == list(range(1, len(said) + 1))
    assert contents(got) == said


def test_missed_twice(daemon: Daemon, sdk: Sdk, room: str) -> None:
    """Twice in a row is no different."""
    peer = sdk.peer(daemon.ws)
    peer.connect()
    peer.subscribe(room)
    said: list[object] = []
    for time_away in range(1, 4):
        peer.disconnect()
        said += fill(daemon.ws, room, 50, first=len(said) + 1)
        peer.connect()
        back = peer.event("subscribed", time_away + 1)
        assert (back["was_recovering"], back["recovered"]) == (True, True)
        assert contents(peer.heard(len(said))) == said


def test_shutdown(own_sdk: Sdk, room: str) -> None:
    """A daemon that stops says 3001; the SDK comes back by itself and misses nothing."""
    with lives() as some:
        peer = own_sdk.peer(some.ws)
        user = peer.connect()["data"]["user"]
        peer.subscribe(room)
        said: list[object] = [*fill(some.ws, room, 5)]
        peer.heard(5)
        some.stop()
        assert peer.event("connecting", 2)["code"] == 3001
        some.start()
        assert peer.event("connected", 2)["data"]["user"] == user
        said += fill(some.ws, room, 5, first=6)
        assert contents(peer.heard(10)) == said
        assert peer.event("subscribed", 2)["recovered"]


@pytest.mark.parametrize("how", [Lives.stop, Lives.kill])
def test_missed_over_a_restart(own_sdk: Sdk, room: str, how: Callable[[Lives], None]) -> None:
    """What was published before and after a restart comes, however the daemon ended."""
    with lives() as some:
        peer = own_sdk.peer(some.ws)
        user = peer.connect()["data"]["user"]
        peer.subscribe(room)
        said: list[object] = [*fill(some.ws, room, 3)]
        peer.heard(3)
        peer.disconnect()
        said += fill(some.ws, room, 200, first=4)
        some.restart(how)
        said += fill(some.ws, room, 200, first=204)
        assert peer.connect()["data"]["user"] == user
        back = peer.event("subscribed", 2)
        assert (back["was_recovering"], back["recovered"]) == (True, True)
        got = peer.heard(403)
        assert (offsets(got), contents(got)) == (list(range(1, 404)), said)


def test_lost_position(own_sdk: Sdk, room: str) -> None:
    """Where the place of a client is on a line that was lost, it is told so."""
    with lives() as some:
        peer = own_sdk.peer(some.ws)
        peer.connect()
        peer.subscribe(room)
        fill(some.ws, room, 10)
        peer.heard(10)
        some.stop()
        copy = some.copy_database("copy")
        some.start()
        peer.event("subscribed", 2)
        fill(some.ws, room, 10, first=11)
        peer.heard(20)
        peer.disconnect()
        some.stop()
        some.restore_database(copy)
        some.start()
        other_line = fill(some.ws, room, 30, first=101)
        peer.connect()
        back = peer.event("subscribed", 3)
        assert (back["was_recovering"], back["recovered"]) == (True, False)
        assert back["position"][1] == 40
        (last,) = fill(some.ws, room, 1, first=131)
        got = peer.heard(21)
        assert (got[-1]["offset"], got[-1]["data"]) == (41, last)
        page = peer.call("history", room=room, limit=100, since=[back["position"][0], 10])
        assert contents(page["publications"]) == [*other_line, last]


def test_listener_throws(own_sdk: Sdk, daemon: Daemon, room: str) -> None:
    """A listener that throws stops the client, which gets that publication again later."""
    peer = own_sdk.peer(daemon.ws)
    peer.connect()
    peer.subscribe(room)
    said: list[object] = [*fill(daemon.ws, room, 3)]
    peer.heard(3)
    peer.call("throw_once")
    said += fill(daemon.ws, room, 1, first=4)
    assert peer.event("disconnected")["code"] == 2  # "bad protocol", both SDKs' own
    until(lambda: own_sdk.events("thrown"), "what was thrown")
    assert "thrown at 4" in own_sdk.events("thrown")[0]["message"]
    said += fill(daemon.ws, room, 1, first=5)
    peer.connect()
    assert peer.event("subscribed", 2)["recovered"]
    got = peer.heard(5)
    assert (offsets(got), contents(got)) == ([1, 2, 3, 4, 5], said)


def test_slow(own_sdk: Sdk, room: str) -> None:
    """Who does not read is closed with 3008; it comes back and has missed nothing."""
    with running(env={**FAST, "CHATD_LIMITS_STALL_TIMEOUT_S": "1"}) as daemon:
        peer = own_sdk.peer(daemon.ws)
        peer.connect()
        peer.subscribe(room)
        own_sdk.pause()
        try:
            said = [{"id": f"m{number}", "fill": "x" * BIG} for number in range(MUCH)]
            with JsonClient(daemon.ws) as other:
                other.connect()
                for _ in other.publish_all(room, said, window=8):
                    pass
            until(lambda: " 3008 " in daemon.log(), "the end of who does not read", 30)
        finally:
            own_sdk.go_on()
        got = peer.heard(MUCH, timeout_s=60)
        assert contents(got) == said
        assert all(each["recovered"] for each in peer.events("subscribed")[1:])
        assert len(peer.events("connected")) >= 2


OFTEN = {
    "CHATD_LIMITS_PING_INTERVAL_S": "2",
    "CHATD_LIMITS_SDK_PONG_TIMEOUT_S": "1",
    "CHATD_LIMITS_PONG_TIMEOUT_S": "1",
}


def test_no_pong(own_sdk: Sdk, room: str) -> None:
    """Who does not answer a ping is closed with 3012, and comes back."""
    with running(env={**FAST, **OFTEN}) as daemon:
        # the Python SDK takes no WebSocket class of one's own: its whole process is stopped
        is_paused = own_sdk.name == "python"
        peer = own_sdk.peer(daemon.ws, pongless=not is_paused)
        peer.connect()
        peer.subscribe(room)
        if is_paused:
            own_sdk.pause()
        try:
            until(lambda: " 3012 " in daemon.log(), "the end of who does not answer", 20)
        finally:
            own_sdk.go_on()
        assert peer.event("connecting", 2)["code"] == 3012
        peer.event("connected", 2)
        peer.event("subscribed", 2)
        fill(daemon.ws, room, 1)
        assert offsets(peer.heard(1)) == [1]


def test_pings(sdk: Sdk, room: str) -> None:
    """Who answers pings stays."""
    with running(env={**FAST, **OFTEN}) as daemon:
        peer = sdk.peer(daemon.ws)
        peer.connect()
        with JsonClient(daemon.ws) as watch:
            watch.connect()
            # who came before and does not answer the first is closed before this one's second
            while watch.pings < 2:
                watch.receive()
        assert len(peer.events("connecting")) == 1
        peer.disconnect()
