"""Reading what was said."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

from chatd.core.commands import (
    History,
    Since,
)
from tests.support.brokers import sqlite_error
from tests.support.people import PeopleCase, past


class HistoryTests(PeopleCase):
    def setUp(self) -> None:
        super().setUp()
        self.person = self.guest("Ann", "lobby")

    def offsets(self, command: History) -> list[int]:
        """Of what is read."""
        self.person.peer.writes.clear()
        result = self.person.ask(command)
        self.assertEqual((result["epoch"], result["offset"]), (self.epoch, self.room().head))
        return [each["offset"] for each in result["publications"]]

    @property
    def epoch(self) -> str:
        """Of the lobby."""
        return self.room().epoch

    def test_directions(self) -> None:
        """It is read from the beginning, or backwards from the end, as many as are asked for."""
        self.say(5)
        self.assertEqual(self.offsets(past(3)), [1, 2, 3])
        self.assertEqual(self.offsets(past(3, reverse=True)), [5, 4, 3])
        self.assertEqual(self.offsets(past(9)), [1, 2, 3, 4, 5])

    def test_since(self) -> None:
        """From a place on what is after it is read, backwards what is before it."""
        self.say(5)
        for offset, after, before in (
            (0, [1, 2, 3, 4, 5], []),
            (1, [2, 3, 4, 5], []),
            (3, [4, 5], [2, 1]),
            (5, [], [4, 3, 2, 1]),
        ):
            since = Since(self.epoch, offset)
            self.assertEqual(self.offsets(past(9, since=since)), after)
            self.assertEqual(self.offsets(past(9, since=since, reverse=True)), before)

    def test_position_only(self) -> None:
        """With the limit 0 only the position is told; of a room with nothing in it, too."""
        self.assertEqual(self.offsets(past(0)), [])
        self.assertEqual(self.offsets(past(9)), [])
        self.say(3)
        self.assertEqual(self.offsets(past(0)), [])
        self.assertEqual(self.offsets(past(0, reverse=True)), [])

    def test_pages(self) -> None:
        """No more than 500, and no more than 64 KiB, come at once; the rest by going on."""
        self.say(520, size=0)
        self.assertEqual(self.offsets(past(10_000)), list(range(1, 501)))
        self.assertEqual(self.offsets(past(10_000, reverse=True)), list(range(520, 20, -1)))
        self.say(20, size=8000)
        found: list[int] = [520]
        while found[-1] < 540:
            page = self.offsets(past(500, since=Since(self.epoch, found[-1])))
            self.assertIn(len(page), range(1, 9))
            found += page
        self.assertEqual(found, list(range(520, 541)))

    def test_no_more_than_shown(self) -> None:
        """No more is read than may be shown, and nothing where there is nothing to read."""
        self.say(3)
        bounds: list[Mapping[str, object]] = []
        page = self.broker.page

        def noting(*args: Any, **kwargs: Any) -> None:
            bounds.append(kwargs)
            page(*args, **kwargs)

        self.patch(self.broker, "page", noting)
        self.offsets(past(0))
        self.offsets(past(9, since=Since(self.epoch, 3)))
        self.offsets(past(9, since=Since(self.epoch, 1), reverse=True))
        self.assertEqual(bounds, [])
        self.offsets(past(9))
        self.offsets(past(1 << 40, reverse=True))
        size = 64 * 1024
        self.assertEqual(
            bounds,
            [
                {"limit": 9, "most_bytes": size, "backward": False},
                {"limit": 500, "most_bytes": size, "backward": True},
            ],
        )

    def test_unrecoverable(self) -> None:
        """A place that is not known, or lies beyond the end, is refused, in either direction."""
        self.say(3)
        for number, (since, reverse) in enumerate(
            product((Since("another", 1), Since(self.epoch, 4)), (False, True)), 20
        ):
            command = past(9, number=number, since=since, reverse=reverse)
            self.assertEqual(self.person.refusal(command), 112)

    def test_trimmed(self) -> None:
        """What was trimmed is not there; what is, comes."""
        self.say(5)
        self.broker.trim("lobby", 2, lambda told: None)
        self.settle()
        self.assertEqual(self.offsets(past(9)), [3, 4, 5])
        self.assertEqual(self.offsets(past(9, since=Since(self.epoch, 1))), [3, 4, 5])

    def test_failure(self) -> None:
        """What cannot be read is an error, for now."""
        self.say(3)
        self.worker.failures.append(sqlite_error("SQLITE_IOERR"))
        self.assertEqual(self.person.refusal(past(9)), 400)
        self.assertLive(self.person)
