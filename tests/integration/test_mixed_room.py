"""People on the JavaScript SDK, the Python SDK and the plain door are in one room together."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support.client import Client
from tests.support.daemon import Daemon, running
from tests.support.lives import FAST
from tests.support.sdk import chat
from tests.support.sdks import NAMES, Peer, start

ROOM = "together"
ROUNDS = 25


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    """A daemon."""
    with running(env=FAST) as daemon:
        yield daemon


@pytest.fixture
def peers(daemon: Daemon) -> Iterator[list[Peer]]:
    """One client of each SDK, in the room."""
    with ExitStack() as stack:
        peers = []
        for name in NAMES:
            peer = stack.enter_context(start(name)).peer(daemon.web)
            peer.connect()
            peer.subscribe(ROOM)
            peers.append(peer)
        yield peers


@pytest.fixture
def plain(daemon: Daemon) -> Iterator[Client]:
    """A plain client in the room, greeted already."""
    with Client(daemon.ws, f"/?room={ROOM}") as plain:
        plain.read_text()
        yield plain


def test_one_order(peers: list[Peer], plain: Client) -> None:
    """All hear all, in the same order; each speaker's own words in theirs."""
    numbers = []
    for number in range(ROUNDS):
        for peer in peers:
            words = {"room": ROOM, "data": chat(f"m{number}", f"{peer.name} {number}")}
            numbers.append((peer, peer.sdk.put("publish", peer.name, words)))
        plain.say(f"plain {number}")
    for peer, number in numbers:
        peer.sdk.answer(number)
    total = ROUNDS * 3
    at_plain = [plain.read_text() for _ in range(total)]
    for peer in peers:
        heard = peer.heard(total)
        assert [each["offset"] for each in heard] == list(range(1, total + 1))
        assert [each["data"]["text"] for each in heard] == at_plain
    for name in ("plain", *(peer.name for peer in peers)):
        own = [text for text in at_plain if text.startswith(f"{name} ")]
        # an SDK may have several publishes under way, which the daemon takes in their order
        assert own == [f"{name} {number}" for number in range(ROUNDS)]


def test_plain_words(peers: list[Peer], plain: Client) -> None:
    """A plain text comes to the SDKs as a chat message with an id of the daemon's."""
    plain.say('zażółć "🎈"\n\\')
    said = [peer.heard(1)[0] for peer in peers]
    data = said[0]["data"]
    assert data == {"type": "message", "id": data["id"], "text": 'zażółć "🎈"\n\\'}
    assert re.fullmatch("[A-Za-z0-9_-]{1,64}", data["id"])
    assert [each["data"] for each in said] == [data, data]
    assert said[0]["info"]["user"] == said[1]["info"]["user"] != ""


def test_sdk_words(peers: list[Peer], plain: Client) -> None:
    """A chat message comes to the plain door as its text, other JSON as compact JSON."""
    for number, peer in enumerate(peers):
        peer.call("publish", room=ROOM, data=chat(f"a{number}", "zażółć 🎈"))
        assert plain.read_text() == "zażółć 🎈"
        peer.call("publish", room=ROOM, data={"b": [1, {"c": "d e"}], "a": None})
        text = plain.read_text()
        assert " " not in text.replace("d e", "")
        assert json.loads(text) == {"b": [1, {"c": "d e"}], "a": None}
        assert list(json.loads(text)) == ["b", "a"]
