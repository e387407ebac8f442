"""Public clients that offer permessage-deflate talk with others, once it is switched on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.support.client import Client
from tests.support.daemon import Daemon, running
from tests.support.link import Link
from tests.support.lives import FAST
from tests.support.sdk import chat
from tests.support.sdks import NAMES, Sdk

ROOM = "together"
SMALL = "zażółć 🎈 0123456789".ljust(100, ".")
LARGE = "".join(f"{number}: it was the best of times 🎈\n" for number in range(400))[:10_000]
TEXTS = [SMALL, LARGE] * 5
"""50 500 characters."""


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    """A daemon that compresses."""
    more = {"CHATD_LISTEN_COMPRESSION": "yes", "CHATD_LIMITS_TEXT_CHARS": "10000"}
    with running(env={**FAST, **more}) as daemon:
        yield daemon


@pytest.mark.parametrize("name", NAMES)
def test_sdks(daemon: Daemon, started: Callable[[str], Sdk], name: str) -> None:
    """An SDK hears the same as a plain connection, live and missed in fewer bytes, and paged."""
    room = f"{ROOM}-{name}"
    link = Link(daemon.web, 10_000_000)
    with link, Client(daemon.ws, f"/?room={room}") as plain:
        plain.read_text()
        peer = started(name).peer(link.port)
        peer.connect()
        peer.subscribe(room)
        for number, text in enumerate(TEXTS):
            peer.call("publish", room=room, data=chat(f"a{number}", text))
        for text in TEXTS:
            plain.say(text)
        said = [*TEXTS, *TEXTS]
        assert [each["data"]["text"] for each in peer.heard(len(said))] == said
        assert [plain.read_text() for _ in said] == said
        peer.disconnect()
        for text in TEXTS:
            plain.say(text)
        assert [plain.read_text() for _ in TEXTS] == TEXTS
        peer.connect()
        assert [each["data"]["text"] for each in peer.heard(30)[20:]] == TEXTS
        assert link.connections == 2
        assert link.bytes < 0.3 * 3 * sum(map(len, TEXTS))
        page = peer.call("history", room=room, limit=10)
        assert [each["data"]["text"] for each in page["publications"]] == TEXTS
