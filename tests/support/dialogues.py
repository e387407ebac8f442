"""Dialogues of a document, played against the real doors: what is shown must be what is told.

A line begins with who it is of, `>` for what they send and `<` for what they get. Without a name it
is the one client of the dialogue, who gets nothing but what is shown. With names everybody has come
in before: `mod` with the token of a moderator, `plain` by the plain door, a name that ends in a
digit as one more client of that user, and everybody else as a guest. Of what those get the dialogue
may leave out something.

`…` stands for anything that is there. `$EPOCH` and `$INVITE` are of an answer before, `$TOKEN` is a
moderator's, `$ann` the id of that user.
"""

from __future__ import annotations

import json
import re
from typing import Any

from chatd.brokers.indexer import Indexer
from chatd.tokens import Signer
from tests.support.doors import Client, World

__all__ = ["Dialogue", "alike"]

_LINE = re.compile(r"(\w*)([<>]) (.*)")
_NAME = re.compile(r"\$([a-z]+)")
_CENTRIFUGE = "/connection/websocket"
_SECRET = b"secret"  # of `World`


def alike(pattern: Any, answer: Any) -> Any:
    """A pattern with what an answer has in the places where it says that it differs each time.

    `…` stands for any text, number or object that is not empty.
    """
    if pattern == "…":
        return answer if isinstance(answer, str | int | dict) and str(answer) else pattern
    if isinstance(pattern, list) and isinstance(answer, list):
        return [alike(*each) for each in zip(pattern, answer, strict=False)] + pattern[
            len(answer) :
        ]
    if isinstance(pattern, dict) and isinstance(answer, dict):
        return {key: alike(value, answer.get(key)) for key, value in pattern.items()}
    return pattern


class Dialogue:
    """A dialogue that is being played.

    Raises:
        AssertionError: something else was told than is shown.
    """

    def __init__(self, text: str) -> None:
        self._world = World()
        self._clients: dict[str, Client] = {}
        self._heard: dict[str, int] = {}
        self._known: dict[str, str] = {}
        self._resume: dict[str, str] = {}
        signer = Signer(_SECRET)
        self._known["$TOKEN"] = signer.token(
            "moderator-1", "mod", moderator=True, now_s=0, ttl_s=3600
        )
        broker = self._world.broker
        indexer = Indexer(
            broker.connections,
            later=self._world.clock.callLater,
            seconds=self._world.clock.seconds,
        )
        broker.follow(grew=indexer.grew, changed=lambda: None)
        indexer.start()
        lines = [_LINE.fullmatch(line) for line in text.strip().splitlines()]
        for name in dict.fromkeys(line[1] for line in lines if line):
            self._open(name)
        for line in lines:
            assert line is not None, text
            (self._say if line[2] == ">" else self._hear)(line[1], line[3])
        if "" in self._clients:
            assert self._texts("") == [], self._texts("")

    def _open(self, name: str) -> None:
        world, kind = self._world, name.rstrip("0123456789")
        path = "/?room=lobby" if kind == "plain" else _CENTRIFUGE
        client = self._clients[name] = world.open(path)
        self._heard[name] = 0
        world.turn()
        if not name or kind == "plain":
            return
        about: dict[str, object] = {"data": {"nick": kind, "resume": self._resume.get(kind)}}
        if kind == "mod":
            about = {"token": self._known["$TOKEN"]}
        client.say(json.dumps({"id": 1, "connect": about}))
        world.turn()
        told = json.loads(client.texts[0])["connect"]["data"]
        self._known[f"${kind}"], self._resume[kind] = told["user"], told["resume"]
        self._heard[name] = 1

    def _say(self, name: str, words: str) -> None:
        if '"search"' in words:  # what was said is found a moment later
            self._world.advance(1.0)
        self._clients[name].say(self._filled(words))
        self._world.turn()
        self._learn(name)

    def _hear(self, name: str, words: str) -> None:
        client = self._clients[name]
        if words.startswith("closed with "):
            _, _, code, *reason = words.split(" ")
            assert client.close == (int(code), " ".join(reason)), client.close
            return
        if name.startswith("plain"):
            assert words in self._texts(name), (words, client.texts)
            return
        pattern = json.loads(self._filled(words))
        told = self._texts(name)
        for number, text in enumerate(told if name else told[:1]):
            answer = json.loads(text)
            if alike(pattern, answer) == answer:
                self._heard[name] += number + 1
                return
        raise AssertionError(f"{name}< {words}\nnot among what was told:\n" + "\n".join(told))

    def _texts(self, name: str) -> list[str]:
        """What a client was told beyond what was shown already."""
        return self._clients[name].texts[self._heard[name] :]

    def _filled(self, words: str) -> str:
        for mark in ("$EPOCH", "$INVITE", "$TOKEN"):
            words = words.replace(mark, self._known.get(mark, mark))
        return _NAME.sub(lambda found: self._known.get(found[0], found[0]), words)

    def _learn(self, name: str) -> None:
        """Keep what later lines may refer to."""
        if name.startswith("plain"):
            return
        for text in self._texts(name):
            for result in json.loads(text).values():
                if not isinstance(result, dict):
                    continue
                if "epoch" in result:
                    self._known["$EPOCH"] = result["epoch"]
                data = result.get("data")
                if isinstance(data, dict) and "invite" in data:
                    self._known["$INVITE"] = data["invite"]
