"""Finding what was said."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from chatd.core.archive import MOST_FOUND, Query
from chatd.core.commands import Rpc
from chatd.core.events import Message
from chatd.errors import BAD_REQUEST, PRIVATE_ROOM, ROOM_INVALID, Refusal
from tests.support.people import Person, past, said, value
from tests.support.watched import ArchiveCase, WatchedArchive


def search(number: int, text: object = "cake", **more: object) -> Rpc:
    """The call that searches in the lobby."""
    return Rpc(number, "search", {"room": "lobby", "text": text, **more})


class SearchTests(ArchiveCase):
    def talk(self, *texts: str) -> Person:
        """Somebody in the lobby who said these."""
        ann = self.guest("Ann", "lobby")
        for number, text in enumerate(texts, 10):
            ann.ask(said(number, text))
        return ann

    def queries(self) -> list[Query]:
        """What the archive is asked from now on; it is answered as ever."""
        asked: list[Query] = []
        found = self.archive.search

        def note(query: Query, done: Callable[[Sequence[Message] | Refusal], None]) -> None:
            asked.append(query)
            found(query, done)

        self.archive.search = note  # type: ignore[method-assign]
        return asked

    def test_found(self) -> None:
        """What is found is told as history tells it, byte for byte."""
        ann = self.talk("a cake", "tea", "cake!")
        pubs = ann.ask(past(10))["publications"]
        self.assertEqual(ann.ask(search(5))["data"], {"found": [pubs[2], pubs[0]], "more": False})
        self.assertEqual(ann.ask(search(60, "beer"))["data"], {"found": [], "more": False})

    def test_more(self) -> None:
        """As many as were asked for: there may be more."""
        ann = self.talk("cake", "cake", "cake")
        told = ann.ask(search(5, limit=2))["data"]
        self.assertEqual(([each["offset"] for each in told["found"]], told["more"]), ([3, 2], True))

    def test_large(self) -> None:
        """At most 64 KiB are told, and that there is more."""
        ann = self.talk(*["cake " + "x" * 7000] * 12)
        told = ann.ask(search(5))["data"]
        self.assertEqual((len(told["found"]), told["more"]), (9, True))

    def test_query(self) -> None:
        """All that was asked for goes to the archive."""
        ann = self.talk()
        asked = self.queries()
        ann.ask(search(5))
        more: dict[str, Any] = {"user": "u", "since": 1, "until": 2, "before": 3, "rank": True}
        ann.ask(search(6, "x" * 200, skip=1000, limit=1, strange=1, **more))
        ann.ask(Rpc(7, "search", {"room": "LOBBY", "text": "a", "user": None}))
        self.assertEqual(
            asked,
            [
                Query("lobby", "cake", limit=MOST_FOUND),
                Query("lobby", "x" * 200, "u", 1, 2, 3, True, 1000, 1),
                Query("lobby", "a"),
            ],
        )

    def test_bad(self) -> None:
        """An argument that makes no sense is refused, without a look at the archive."""
        ann = self.talk()
        bad: tuple[dict[str, object], ...] = (
            {"text": ""},
            {"text": "x" * 201},
            {"text": 1},
            {"text": None},
            {"user": "a b"},
            {"user": 1},
            {"since": -1},
            {"until": "1"},
            {"before": 1.5},
            {"rank": 1},
            {"skip": 1001},
            {"limit": 0},
            {"limit": MOST_FOUND + 1},
            {"room": None},
        )
        for number, each in enumerate(bad, 5):
            self.assertEqual(ann.refusal(search(number, **{"text": "a", **each})), BAD_REQUEST.code)
        self.assertEqual(ann.refusal(search(50, room="a b")), ROOM_INVALID.code)
        self.assertEqual(ann.refusal(Rpc(51, "search", None)), BAD_REQUEST.code)
        self.assertEqual(self.archive.asked, [])

    def test_no_word(self) -> None:
        """What the archive refuses is answered so."""
        self.assertEqual(self.talk().refusal(search(5, "!")), BAD_REQUEST.code)

    def test_may_not(self) -> None:
        """Who may not read a room finds nothing in it, nor who may no more when it is found."""
        ann = self.talk("cake")
        charter = self.room().charter
        self.archive.telling = lambda: charter.apply({"private": "1", "owner": "x"})
        self.assertEqual(ann.refusal(search(5)), PRIVATE_ROOM.code)
        self.assertEqual(len(self.archive.asked), 1)
        self.assertEqual(ann.refusal(search(6)), PRIVATE_ROOM.code)
        self.assertEqual(len(self.archive.asked), 1)

    def test_deleted_meanwhile(self) -> None:
        """What is deleted after it was found is told without its text."""
        ann = self.talk("cake")
        held: list[Callable[[], None]] = []

        def late(query: Query, done: Callable[[Sequence[Message] | Refusal], None]) -> None:
            found = WatchedArchive(self.broker, self.node.archive)
            found.search(query, lambda outcome: held.append(lambda: done(outcome)))

        self.archive.search = late  # type: ignore[method-assign]
        ann.begin(search(5))
        self.settle()
        other = self.guest(None, resume=self.resume(ann))
        other.ask(value({"type": "delete", "id": "d", "ref": 1}))
        for tell in held:
            tell()
        (found,) = ann.replies[5]["rpc"]["data"]["found"]
        self.assertEqual(found["data"], {"type": "deleted"})
