"""The public SDKs catch up over a thin link, on one connection.

A reply that held all that was missed would take longer than the five seconds an SDK waits: it would
give up, connect again, and never get there. `CHATD_TEST_LINK=900` in the environment makes it the
long run.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.support.daemon import Daemon, running, until
from tests.support.link import Link
from tests.support.lives import FAST
from tests.support.sdk import JsonClient, chat
from tests.support.sdks import Sdk

MISSED = int(os.environ.get("CHATD_TEST_LINK", "300"))
SIZE = 1_000
BYTES_PER_S = 60_000
LIVE = 3

DEADLINE_S = 60.0 + 4 * MISSED * SIZE / BYTES_PER_S


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    """A daemon for both SDKs."""
    with running(env=FAST) as daemon:
        yield daemon


def test_slow_link(daemon: Daemon, sdk: Sdk, room: str) -> None:
    """What was missed comes in order, once, on the first connection after the cut."""
    with Link(daemon.ws, BYTES_PER_S) as link, JsonClient(daemon.ws) as other:
        other.connect()
        peer = sdk.peer(link.port)
        peer.connect()
        peer.subscribe(room)
        other.publish(room, chat("seen", "seen"))
        peer.heard(1)
        before = len(peer.events("connecting"))
        link.down()
        peer.event("connecting", before + 1)
        missed = [chat(f"m{number}", f"{number} ".ljust(SIZE, ".")) for number in range(MISSED)]
        assert len(list(other.publish_all(room, missed))) == MISSED
        link.up()
        until(lambda: len(peer.events("subscribed")) == 2, "subscribed again", DEADLINE_S)
        late = [chat(f"l{number}", f"said meanwhile {number}") for number in range(LIVE)]
        assert len(list(other.publish_all(room, late))) == LIVE
        heard = peer.heard(1 + MISSED + LIVE, DEADLINE_S)
        assert link.connections == 1
        assert link.bytes > MISSED * SIZE
        assert [each["offset"] for each in heard] == list(range(1, 2 + MISSED + LIVE))
        assert [each["data"] for each in heard[1:]] == [*missed, *late]
        assert peer.events("subscribed")[1]["recovered"] is True
        assert not peer.events("subscription_error")
        peer.disconnect()
