"""People who sign in with a token, through the public SDKs."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.client import Client, request, upgrade_headers
from tests.support.daemon import Daemon, running, until
from tests.support.lives import FAST
from tests.support.sdk import JsonClient, chat
from tests.support.sdks import Sdk
from tests.support.signing import ALGORITHMS, Provider

HS256 = Provider("HS256")
LATE_S = 10
"""How long a token is taken after its end, and who showed it may stay."""

OLD_S = 2 - LATE_S
"""What is left of a token that is taken for another two seconds."""


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    """A daemon with a key of each algorithm."""
    with tempfile.TemporaryDirectory(prefix="chatd-keys-") as folder:
        keys = " ".join(Provider(each).write(folder) for each in ALGORITHMS)
        env = {
            "CHATD_AUTH_KEYS": keys,
            "CHATD_AUTH_PLAIN_ROOMS": "den",
            "CHATD_AUTH_REFRESH_TIMEOUT_S": str(LATE_S),
            "CHATD_LIMITS_GRACE_S": "0",
        }
        with running(env={**FAST, **env}) as daemon:
            yield daemon


def now_s() -> float:
    """The time, in seconds since 1970."""
    return time.time_ns() / 1e9


def token(user: str, left_s: float = 3600, **claims: Any) -> str:
    """A token that is good for so long."""
    return HS256.token(user, now_s() + left_s, **claims)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_algorithms(daemon: Daemon, sdk: Sdk, room: str, algorithm: str) -> None:
    """A token of each algorithm says who somebody is, and what they say is theirs."""
    user = f"{algorithm}|{room}"
    signed = Provider(algorithm).token(user, now_s() + 3600, info={"nick": f"ann-{room}"})
    peer = sdk.peer(daemon.ws, token=signed)
    about = peer.connect()["data"]
    assert (about["user"], about["nick"]) == (user, f"ann-{room}")
    assert "moderator" not in about
    peer.subscribe(room)
    peer.call("publish", room=room, data=chat("one", "hello"))
    (heard,) = peer.heard(1)
    assert heard["info"]["user"] == user
    assert heard["info"]["info"]["nick"] == f"ann-{room}"
    peer.disconnect()


def test_moderator(daemon: Daemon, sdk: Sdk, room: str) -> None:
    """A moderator is told so."""
    peer = sdk.peer(daemon.ws, token=token(f"m-{room}", moderator=True))
    assert peer.connect()["data"]["moderator"] is True
    peer.disconnect()


def test_nobody(daemon: Daemon, sdk: Sdk) -> None:
    """Without a token an SDK is told to sign in first, and does not try again."""
    assert sdk.peer(daemon.ws).turned_away() == 440


def test_invalid(daemon: Daemon, sdk: Sdk) -> None:
    """With a token that is none it stays away, also if it could get another."""
    head, claims, _ = token("ann").split(".")
    for wrong in (f"{head}.{claims}.AAAA", "x", token("a b")):
        peer = sdk.peer(daemon.ws, token=wrong, tokens=[token("ann")])
        assert peer.turned_away() == 3500
        assert peer.events("token") == []


def test_expired(daemon: Daemon, sdk: Sdk, room: str) -> None:
    """With an expired one it asks its application for another, and comes back by itself."""
    peer = sdk.peer(daemon.ws, token=token(room, -60), tokens=[token(room)])
    assert peer.connect()["data"]["user"] == room
    assert len(peer.events("token")) == 1
    assert peer.events("disconnected") == []
    peer.disconnect()


def test_refresh(daemon: Daemon, sdk: Sdk, room: str) -> None:
    """It shows a newer token in time, and nothing of the conversation is disturbed."""
    peer = sdk.peer(daemon.ws, token=token(room, OLD_S), tokens=[token(room)])
    peer.connect()
    peer.subscribe(room)
    peer.event("token")
    end = time.monotonic() + 1.5
    until(lambda: time.monotonic() > end, "the end of the first token and of the time after it")
    peer.call("publish", room=room, data=chat("one", "still here"))
    peer.heard(1)
    assert len(peer.events("connected")) == len(peer.events("subscribed")) == 1
    assert len(peer.events("token")) == 1
    peer.disconnect()


def test_end(daemon: Daemon, sdk: Sdk, room: str) -> None:
    """When it has no newer token in time it is closed, and comes back once it has one."""
    peer = sdk.peer(daemon.ws, token=token(room, OLD_S), tokens=[None, token(room)])
    peer.connect()
    peer.subscribe(room)
    with JsonClient(daemon.ws) as other:
        other.connect(token=token(f"o-{room}"))
        assert peer.event("connecting", 2)["code"] == 3005
        other.publish(room, chat("one", "missed"))
    peer.event("connected", 2)
    peer.heard(1)
    assert peer.events("disconnected") == []
    peer.disconnect()


def test_wrong_token(daemon: Daemon, sdk: Sdk, room: str) -> None:
    """An old token does no harm when a newer one is due: it asks again; another user's ends it."""
    late = sdk.peer(daemon.ws, token=token(room, 1), tokens=[token(room, -2 * LATE_S), token(room)])
    late.connect()
    strange = sdk.peer(daemon.ws, token=token(f"s-{room}", 1), tokens=[token(f"o-{room}")])
    strange.connect()
    assert late.event("connecting", 2)["code"] == 3005
    late.event("connected", 2)
    assert len(late.events("token")) == 2
    assert late.events("disconnected") == []
    late.disconnect()
    assert strange.event("disconnected")["code"] == 101


def test_rooms(daemon: Daemon, sdk: Sdk, room: str) -> None:
    """A newer token with fewer rooms takes it out of the others, for good."""
    name = room.title()
    newer = token(room, rooms=["hall"])
    peer = sdk.peer(daemon.ws, token=token(room, 1, rooms=[name, "hall"]), tokens=[newer])
    peer.connect()
    peer.subscribe("hall")
    peer.subscribe(name)
    gone = peer.event("unsubscribed")
    assert (gone["room"], gone["code"]) == (name, 2000)
    peer.call("publish", room="hall", data=1)
    assert peer.events("disconnected") == []
    peer.disconnect()


def test_users(daemon: Daemon, sdk: Sdk, room: str) -> None:
    """Two sessions of a user have one nick; another user with that nick gets a number."""
    about = {"nick": f"ann-{room}"}
    users = [f"{room}-{each}" for each in (1, 1, 2)]
    peers = [sdk.peer(daemon.ws, token=token(user, info=about)) for user in users]
    nicks = [peer.connect()["data"]["nick"] for peer in peers]
    assert nicks == [f"ann-{room}", f"ann-{room}", f"ann-{room}-2"]
    for peer in peers:
        peer.disconnect()


def test_plain(daemon: Daemon) -> None:
    """At the plain door guests come into the room that is named, and are shut out of others."""
    headers = upgrade_headers(f"127.0.0.1:{daemon.web}")
    for path in ("/plain", "/plain?room=lobby"):
        assert request(daemon.web, path, headers).status == 403
    with Client(daemon.web, "/plain?room=den&nick=ann") as plain:
        with JsonClient(daemon.ws) as sdk:
            sdk.connect(token=token("bob"))
            sdk.subscribe("den")
            plain.say("hello")
            assert sdk.next_push("pub").body["info"]["conn_info"]["nick"] == "guest-ann"
