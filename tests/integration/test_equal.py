"""What goes in comes out equal: any JSON value, any text, at every door, live, later and from disk.

`CHATD_TEST_EXAMPLES=2000` in the environment makes it the long run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import Enum

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.support.client import Client
from tests.support.jsons import values
from tests.support.lives import Lives, lives
from tests.support.sdk import Json, JsonClient, chat, read_all
from tests.support.strategies import texts

EXAMPLES = int(os.environ.get("CHATD_TEST_EXAMPLES", "200"))
ROOM = "equal"

CHECKED = ("message", "typing", "edit", "delete", "reaction", "deleted", "nick", "read", "topic")
"""Types of objects that are chat, and not any JSON."""

HARD_TEXTS = (
    "\0",
    "a\0b",
    "\n",
    "one\r\ntwo\n\nthree",
    "\u2028\u2029\u0085",
    "🎈 👩\u200d👩\u200d👧 \U0001d4b3 \U0010ffff",
    "e\u0301 é",
    "\ufeffmark",
    "\ud7ff\ue000\ufffe\uffff",
    '"\\u0000\\',
    "{}",
    '{"id":1,"connect":{}}\n{}',
    "\x1b[2J\x7f\x9b",
    " ",
    "x" * 8_000,
    "🎈" * 8_000,
)

HARD_VALUES: tuple[object, ...] = (
    *({text: text} for text in HARD_TEXTS),
    *({"": {"": [text]}} for text in HARD_TEXTS[:8]),
    [0.0, -0.0, 0, -1, 1.0, 1e308, 5e-324, 0.1, 1e16, 123456789012345680.0],
    [10**98, -(10**97), 2**53 + 1, 2**64, -(2**63)],
    -0.0,
    0,
    "",
    [],
    {},
    None,
    False,
    [None, True, [], {}, [[]], {"": None}],
    {"type": "message of another kind", "text": 7},
    {"type": ["message"]},
    {"push": {"channel": "equal"}, "id": 1, "error": {"code": 100}},
)


class Door(Enum):
    """Where something is said, and as what."""

    VALUE = "a value at the Centrifuge door"
    CHAT = "a message at the Centrifuge door"
    PLAIN = "a text at the plain door of the WebSocket port"
    PLAIN_WEB = "a text at the plain door of the web port"


@dataclass(frozen=True, slots=True)
class Said:
    """Something that is said.

    Args:
        door: where.
        value: what.
    """

    door: Door
    value: object


def is_any(value: object) -> bool:
    """Whether a value is not chat, which has rules of its own."""
    return not (isinstance(value, dict) and value.get("type") in CHECKED)


def said() -> st.SearchStrategy[Said]:
    """Anything, at any door."""
    some = texts().filter(bool)
    chats = (st.builds(Said, st.just(door), some) for door in Door if door is not Door.VALUE)
    return st.one_of(st.builds(Said, st.just(Door.VALUE), values().filter(is_any)), *chats)


def exact(value: object) -> str:
    """A value so that equal is the same: 1 and 1.0, 0.0 and -0.0 differ."""
    return json.dumps(value, sort_keys=True)


class People:
    """Everybody in the room, on both ports and at both doors.

    Args:
        some: the daemon.
        stack: closes their connections.
    """

    def __init__(self, some: Lives, stack: ExitStack) -> None:
        self.stored: list[object] = []
        self._speaker = stack.enter_context(JsonClient(some.ws))
        self._other = stack.enter_context(JsonClient(some.web))
        for each in (self._speaker, self._other):
            each.connect()
        for each in (self._speaker, self._other):
            self._epoch = each.subscribe(ROOM)["epoch"]
        self._plain = stack.enter_context(Client(some.ws, f"/?room={ROOM}"))
        self._plain_web = stack.enter_context(Client(some.web, f"/plain?room={ROOM}"))
        for door in (self._plain, self._plain_web):
            door.read_text()

    def say(self, something: Said) -> None:
        """Say something, and see that it comes out equal everywhere."""
        value, number = something.value, len(self.stored) + 1
        shown = value
        match something.door:
            case Door.VALUE:
                self._speaker.publish(ROOM, value)
                shown = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
            case Door.CHAT:
                value = chat(f"m{number}", str(value))
                self._speaker.publish(ROOM, value)
            case Door.PLAIN:
                self._plain.say(str(value))
            case Door.PLAIN_WEB:
                self._plain_web.say(str(value))
        own, foreign = (each.next_push("pub").body for each in (self._speaker, self._other))
        if something.door in (Door.PLAIN, Door.PLAIN_WEB):
            value = chat(own["data"]["id"], str(value))
        self.stored.append(value)
        page = self._speaker.history(ROOM, 2, (self._epoch, number - 1))["publications"]
        for pub in (own, foreign, *page):
            assert (pub["offset"], exact(pub["data"])) == (number, exact(value)), something
        assert len(page) == 1
        for door in (self._plain, self._plain_web):
            assert door.read_text() == shown, something


def from_disk(some: Lives, expected: list[object]) -> None:
    """See that history says what was said, at both ports, with all that is told of it."""
    seen: list[list[Json]] = []
    for port in (some.ws, some.web):
        with JsonClient(port) as reader:
            reader.connect()
            seen.append(list(read_all(reader, ROOM)))
            position = reader.history(ROOM)["epoch"], 0
            assert reader.subscribe(ROOM, position)["recovered"] is True
            seen.append(reader.publications(len(expected)))
    assert [exact(pub["data"]) for pub in seen[0]] == [exact(value) for value in expected]
    assert all(each == seen[0] for each in seen)


@contextmanager
def people(some: Lives) -> Iterator[People]:
    """Everybody comes in."""
    with ExitStack() as stack:
        yield People(some, stack)


def test_equal() -> None:
    """Whoever hears, reads or recovers it has what was said, before and after a restart."""
    with lives({"CHATD_LIMITS_PING_INTERVAL_S": "600"}) as some:  # nobody answers pings
        with people(some) as everybody:
            for value in HARD_VALUES:
                everybody.say(Said(Door.VALUE, value))
            for text in HARD_TEXTS:
                everybody.say(Said(Door.VALUE, text))
                for door in (Door.CHAT, Door.PLAIN, Door.PLAIN_WEB):
                    everybody.say(Said(door, text))

            # no shrinking: what others were shown of a failed example is still on its way
            @settings(
                max_examples=EXAMPLES,
                deadline=None,
                database=None,
                phases=(Phase.generate,),
                suppress_health_check=list(HealthCheck),
            )
            @given(said())
            def any_(something: Said) -> None:
                everybody.say(something)

            any_()
        expected = everybody.stored
        assert len(expected) >= EXAMPLES
        from_disk(some, expected)
        for how in (Lives.stop, Lives.kill):
            some.restart(how)
            from_disk(some, expected)
