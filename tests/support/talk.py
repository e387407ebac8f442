"""People who talk through an SDK, what they see of a room, and how one becomes a moderator.

It shares no code with the daemon's side.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import itertools
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.client import TIMEOUT_S
from tests.support.daemon import ROOT, environment
from tests.support.sdks import DEADLINE_S, Json, Peer, Sdk

__all__ = ["Answer", "Person", "View", "chatd", "come", "jwt", "link_code", "login", "view"]

COMMAND_S = 60.0

_CODE = re.compile(r"[\w-]+\.\d+\.[\w.-]*\.[\w-]{43}", re.A)
_ids = itertools.count(1)


@dataclass(frozen=True, slots=True)
class View:
    """What a client shows of a room.

    Args:
        texts: by offset, of the messages that are not deleted, as last edited.
        reactions: user, offset and emoji of each that holds.
        topic: the last one; empty: none.
    """

    texts: dict[int, str]
    reactions: frozenset[tuple[str, int, str]]
    topic: str


def view(publications: Iterable[Json]) -> View:
    """What comes of publications, each of which is looked at once, whatever their order."""
    texts: dict[int, tuple[int, str]] = {}
    edits: dict[int, tuple[int, str]] = {}
    reactions: dict[tuple[str, int, str], tuple[int, bool]] = {}
    topics = [(0, "")]
    deleted: set[int] = set()
    for each in publications:
        data, offset = each["data"], each["offset"]
        user = each["info"]["user"] if each["info"] else ""
        kind = data.get("type") if isinstance(data, dict) else None
        if kind == "message":
            texts[offset] = (offset, data["text"])
        elif kind == "deleted":
            deleted.add(offset)
        elif kind == "edit":
            edits[data["ref"]] = max(edits.get(data["ref"], (0, "")), (offset, data["text"]))
        elif kind == "delete":
            deleted.add(data["ref"])
        elif kind == "reaction":
            key = (user, data["ref"], data["emoji"])
            reactions[key] = max(reactions.get(key, (0, False)), (offset, data["on"]))
        elif kind == "topic":
            topics.append((offset, data["text"]))
    return View(
        {at: edits.get(at, text)[1] for at, text in sorted(texts.items()) if at not in deleted},
        frozenset(key for key, (_, on) in reactions.items() if on and key[1] not in deleted),
        max(topics)[1],
    )


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who has come in by an SDK.

    Args:
        peer: their client.
        about: what `connect` told.
    """

    peer: Peer
    about: Json

    @property
    def user(self) -> str:
        """Their id."""
        user: str = self.about["user"]
        return user

    @property
    def nick(self) -> str:
        """What they are called."""
        nick: str = self.about["nick"]
        return nick

    def publish(self, room: str, kind: str, **fields: object) -> Json:
        """Publish chat with an id of its own; returns what was published."""
        data = {"type": kind, "id": f"{kind}-{next(_ids)}", **fields}
        self.peer.call("publish", room=room, data=data)
        return data

    def refused(self, room: str, kind: str, **fields: object) -> int:
        """Publish chat that is refused; returns the code of the error."""
        data = {"type": kind, "id": f"{kind}-{next(_ids)}", **fields}
        return self.peer.refused("publish", room=room, data=data)

    def say(self, room: str, text: str = "hello") -> int:
        """Say a text; returns its offset, if nobody else speaks."""
        self.publish(room, "message", text=text)
        return self.head(room)

    def head(self, room: str) -> int:
        """The offset of the last message of a room."""
        offset: int = self.peer.call("history", room=room, limit=0)["position"][1]
        return offset

    def history(self, room: str) -> list[Json]:
        """All that history has of a room, up to one page."""
        page: list[Json] = self.peer.call("history", room=room, limit=500)["publications"]
        return page

    def heard(self, room: str) -> list[Json]:
        """The stored publications of a room that came so far."""
        return [each for each in self.peer.events("publication") if each["room"] == room]

    def hears(self, room: str, offset: int) -> Json:
        """Wait for the publication at an offset; what came meanwhile must be in order.

        Raises:
            AssertionError: it did not come in time, or there was a hole or something twice.
        """
        self.peer.sdk.wait(
            lambda: any(each["offset"] >= offset for each in self.heard(room)),
            DEADLINE_S,
            f"{self.peer.name}: offset {offset} of {room}",
        )
        got = self.heard(room)
        offsets = [each["offset"] for each in got]
        assert offsets == list(range(offsets[0], offsets[0] + len(got))), offsets
        heard: Json = got[offset - offsets[0]]
        return heard

    def whispers(self, kind: str) -> list[Json]:
        """What was told to this user alone; of a client in JavaScript."""
        told = [each["data"] for each in self.peer.events("message")]
        return [each for each in told if each["type"] == kind]


def come(sdk: Sdk, port: int, nick: str = "", **about: object) -> Person:
    """Have somebody come in.

    Args:
        sdk: by which.
        port: of the daemon.
        nick: they ask for; empty: none.
        about: see `Sdk.peer`.
    """
    peer = sdk.peer(port, nick=nick or None, **about)
    return Person(peer, peer.connect()["data"])


def jwt(secret: bytes, ttl_s: int = 3600, **claims: object) -> str:
    """A token as an identity provider makes it (RFC 7519, HS256), good for so long from now."""
    expires = time.time_ns() // 1_000_000_000 + ttl_s
    parts = ({"alg": "HS256", "typ": "JWT"}, {"exp": expires, **claims})
    signed = b".".join(_base64(json.dumps(part).encode()) for part in parts)
    return (signed + b"." + _base64(hmac.digest(secret, signed, hashlib.sha256))).decode()


def _base64(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")


def chatd(folder: Path, *words: str, stdin: str = "") -> str:
    """Run a command of chatd to its end, in the folder of a database.

    Returns:
        what it printed.

    Raises:
        AssertionError: it failed.
    """
    done = subprocess.run(
        [sys.executable, "-m", "chatd", *words],
        cwd=folder,
        env={**environment(), "PYTHONPATH": str(ROOT)},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=COMMAND_S,
    )
    assert done.returncode == 0, f"chatd {words}: {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout


def link_code(printed: str) -> str:
    """The one-time code in a link that `chatd token` printed."""
    found = _CODE.search(printed)
    assert found is not None, printed
    return found[0]


@dataclass(frozen=True, slots=True)
class Answer:
    """Of `POST /login`."""

    status: int
    headers: dict[str, str]
    body: Any

    @property
    def token(self) -> str:
        """The token, when somebody signed in."""
        assert self.status == 200, self
        token: str = self.body["token"]
        return token


def login(port: int, **fields: str) -> Answer:
    """Sign in.

    Args:
        port: of the web site.
        fields: `user` and `password`, or `code`.
    """
    connection = http.client.HTTPConnection("localhost", port, timeout=TIMEOUT_S)
    try:
        headers = {"Content-Type": "application/json"}
        connection.request("POST", "/login", json.dumps(fields), headers)
        answer = connection.getresponse()
        named = {name.lower(): value for name, value in answer.getheaders()}
        text = answer.read().decode()
    finally:
        connection.close()
    try:
        body = json.loads(text)
    except ValueError:
        body = text
    return Answer(answer.status, named, body)
