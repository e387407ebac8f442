"""What is changed, read and named in a real daemon, over a real restart."""

from __future__ import annotations

import pytest

from tests.support.client import Client
from tests.support.lives import Lives, lives
from tests.support.sdk import Json, JsonClient, RefusedError, chat

ROOM = "lobby"


def refused(client: JsonClient, data: Json) -> int:
    """The code with which something is refused."""
    with pytest.raises(RefusedError) as error:
        client.publish(ROOM, data)
    return error.value.code


def log(client: JsonClient) -> list[Json]:
    """All that is stored in the room."""
    return [each["data"] for each in client.history(ROOM, 100)["publications"]]


def unread(client: JsonClient) -> Json:
    """What somebody has not read."""
    told: Json = client.call("rpc", {"method": "unread", "data": {}})["data"]
    return told


def test_changes() -> None:
    """Edits, deletions and reactions, seen live, plainly, in history and after a restart."""
    with lives() as some:
        with JsonClient(some.ws) as ann, JsonClient(some.ws) as bob, Client(some.ws) as plain:
            ann.connect("ann")
            bob.connect("bob")
            assert plain.read_text() == "connected to WebSocket server"
            ann.publish(ROOM, chat("a1", "first @bob"))
            ann.publish(ROOM, chat("a2", "seconnd"))
            ann.publish(ROOM, {"type": "edit", "id": "a3", "ref": 2, "text": "second"})
            bob.publish(ROOM, {**chat("b1", "yes"), "reply_to": 2})
            bob.publish(ROOM, {"type": "reaction", "id": "b2", "ref": 2, "emoji": "👍", "on": True})
            assert refused(bob, {"type": "edit", "id": "b3", "ref": 2, "text": "x"}) == 421
            assert refused(bob, {"type": "delete", "id": "b4", "ref": 2}) == 421
            assert refused(bob, {**chat("b5", "x"), "reply_to": 99}) == 423
            ann.publish(ROOM, {"type": "delete", "id": "a4", "ref": 2})
            assert refused(ann, {"type": "delete", "id": "a5", "ref": 2}) == 423
            assert refused(ann, {"type": "edit", "id": "a6", "ref": 2, "text": "x"}) == 423
            assert refused(bob, {**_reaction("b6", 2)}) == 423
            bob.publish(ROOM, chat("b7", "end"))
            heard = [plain.read_text() for _ in range(5)]
            assert heard == ["first @bob", "seconnd", "* second", "yes", "end"]
            stored, resume = log(bob), ann.resume
        kinds = [each["type"] for each in stored]
        assert kinds == [
            "message",
            "deleted",
            "deleted",
            "message",
            "reaction",
            "delete",
            "message",
        ]
        some.restart(Lives.kill)
        with JsonClient(some.ws) as ann:
            ann.connect(resume=resume)
            assert log(ann) == stored
            ann.publish(ROOM, {"type": "delete", "id": "a4", "ref": 2})  # said again
            assert refused(ann, {"type": "delete", "id": "a7", "ref": 2}) == 423
            assert log(ann) == stored


def test_unread() -> None:
    """Counts are right after own messages, edits, deletions, read marks and a restart."""
    with lives() as some:
        with JsonClient(some.ws) as ann, JsonClient(some.ws) as bob:
            ann.connect("ann")
            bob.connect("bob")
            ann.publish(ROOM, chat("a1", "hello @bob"))
            ann.publish(ROOM, chat("a2", "typo @bobb"))
            ann.publish(ROOM, chat("a3", "secret @bob"))
            bob.publish(ROOM, chat("b1", "hi @bob"))
            assert unread(bob) == {}
            bob.subscribe(ROOM)
            assert unread(bob) == {ROOM: _counts(0, 4, 3, 2)}
            ann.publish(ROOM, {"type": "edit", "id": "a4", "ref": 2, "text": "@bob"})
            assert unread(bob) == {ROOM: _counts(0, 5, 3, 3)}
            ann.publish(ROOM, {"type": "delete", "id": "a5", "ref": 3})
            assert unread(bob) == {ROOM: _counts(0, 6, 2, 2)}
            bob.call("rpc", {"method": "read", "data": {"room": ROOM, "offset": 1}})
            assert unread(bob) == {ROOM: _counts(1, 6, 1, 1)}
            resume = bob.resume
        for how in (Lives.stop, Lives.kill):
            some.restart(how)
            with JsonClient(some.ws) as bob:
                bob.connect(resume=resume)
                assert unread(bob) == {ROOM: _counts(1, 6, 1, 1)}
                bob.call("rpc", {"method": "read", "data": {"room": ROOM, "offset": 0}})
                assert unread(bob) == {ROOM: _counts(1, 6, 1, 1)}


def _reaction(message_id: str, ref: int) -> Json:
    return {"type": "reaction", "id": message_id, "ref": ref, "emoji": "+", "on": True}


def _counts(read: int, offset: int, messages: int, mentions: int) -> Json:
    return {"read": read, "offset": offset, "unread": messages, "mentions": mentions}
