"""What was deleted, edited away or has expired is nowhere in the files, soon after.

A rare word is looked for in the bytes of the database, of its log and of its shared memory: in the
message, in its edits, and in the index of words, which keeps the end of a word in one piece.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatd.brokers import words
from chatd.brokers.indexer import Indexer
from chatd.brokers.retention import Retention
from chatd.brokers.scrub import Scrub
from chatd.brokers.search import Searches
from chatd.brokers.sqlite_file import connect
from chatd.core.archive import Query
from chatd.core.broker import Ack
from chatd.core.events import MESSAGE, About, Kind, Message, Sender, compact
from chatd.errors import Refusal
from tests.support.brokers import clock_broker, settle
from tests.support.daemon import running, until
from tests.support.sdk import JsonClient, chat

SEED = int(os.environ.get("CHATD_TEST_SEED", "0")) or random.SystemRandom().randrange(1 << 32)
STEPS = int(os.environ.get("CHATD_TEST_ERASURES", "400"))
"""So many things are said, changed or taken back."""

MINUTE_S = 60
DAY_S = 86_400
ROOMS = [f"room{n}" for n in range(12)]
ANN = Sender("ann", "session", "Ann")

# In a process of its own: to open and close the file here would drop SQLite's locks on it.
_GREP = """
import re, sys
found = set()
for path in sys.argv[1:]:
    try:
        with open(path, "rb") as file:
            found.update(re.findall(rb"(?=([0-9a-f]{10}q))", file.read()))
    except FileNotFoundError:
        pass
sys.stdout.write(b" ".join(found).decode())
"""


class World:
    """A broker over a file, with all that works behind it, on a clock.

    Args:
        folder: where the file is.
        chance: for rare words.
    """

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self.path = str(folder / "chatd.sqlite3")
        self.clock = Clock()
        self.clock.advance(100 * DAY_S)
        self.chance = chance
        self.broker = clock_broker(self.clock, self.path)
        later = self.clock.callLater
        self.scrub = Scrub(self.broker.connections, self.path, later=later)
        self.indexer = Indexer(
            self.broker.connections,
            later=later,
            seconds=self.clock.seconds,
            caught_up=self.scrub.wake,
        )
        self.searches = Searches(
            self.broker.connections,
            later=lambda call: later(0, call),
            seconds=lambda: 0.0,
        )
        self.broker.follow(grew=self.indexer.grew, changed=self.scrub.wake)
        self.broker.start(lambda events: None)
        self.indexer.start()
        self.scrub.start()
        for room in ROOMS:
            self.broker.open(room, lambda opened: None)
        settle(self.clock)
        self.numbers = 0

    def stop(self) -> None:
        """As the service does."""
        self.indexer.stop()
        self.scrub.stop()
        self.broker.stop(lambda: None)
        settle(self.clock)
        self.scrub.close()

    def rare(self) -> str:
        """A word that nobody else says."""
        return f"{self.chance.getrandbits(64):016x}q"

    def say(self, room: str, text: str, about: About = MESSAGE) -> int:
        """Have something stored; returns its offset."""
        self.numbers += 1
        told: list[Ack | Refusal] = []
        content = {"type": about.kind.name.lower(), "id": f"i{self.numbers}", "text": text}
        self.broker.publish(room, ANN, f"i{self.numbers}", compact(content), told.append, about)
        settle(self.clock)
        (outcome,) = told
        assert isinstance(outcome, Ack), outcome
        return outcome.position.offset

    def pass_by(self, seconds: float, step_s: float = 0.05) -> None:
        """Let time go by."""
        for _ in range(round(seconds / step_s)):
            self.clock.advance(step_s)
            settle(self.clock)

    def found(self, room: str, text: str) -> list[int]:
        """The offsets of what a search finds."""
        told: list[object] = []
        self.searches.search(Query(room, text), told.append)
        settle(self.clock)
        (messages,) = told
        assert isinstance(messages, list | tuple), messages
        return [each.offset for each in messages if isinstance(each, Message)]

    def left(self, gone: Iterable[str]) -> list[str]:
        """Which of some words are in the files, by the ends of what is there."""
        paths = [self.path, f"{self.path}-wal", f"{self.path}-shm"]
        words = [sys.executable, "-c", _GREP, *paths]
        done = subprocess.run(words, capture_output=True, check=True, text=True)
        found = set(done.stdout.split())
        return [word for word in gone if word[-11:] in found]


class ErasedTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.chance = random.Random(SEED)
        self.world = World(Path(folder.name), self.chance)
        self.addCleanup(self.world.stop)

    def test_any(self) -> None:
        """Whatever is deleted, edited or trimmed among much else is gone within a minute."""
        world, chance = self.world, self.chance
        kept: dict[tuple[str, int], list[str]] = {}
        edits: dict[tuple[str, int], list[int]] = {}
        gone: list[str] = []
        shown: dict[tuple[str, int], str] = {}
        for _ in range(STEPS):
            room = chance.choice(ROOMS)
            here = [offset for of, offset in kept if of == room]
            what = chance.random()
            if what < 0.6 or not here:
                rare = world.rare()
                text = " ".join([rare] * chance.choice((chance.randint(1, 60), 2, 400)))
                place = room, world.say(room, text)
                kept[place], edits[place], shown[place] = [rare], [], rare
            elif what < 0.75:
                place = room, chance.choice(here)
                rare = world.rare()
                about = About(Kind.EDIT, place[1])
                edits[place].append(world.say(room, f"{rare} edited", about))
                kept[place].append(rare)
                shown[place] = rare
            elif what < 0.95:
                place = room, chance.choice(here)
                about = About(Kind.DELETE, place[1], (place[1], *edits.pop(place)))
                world.say(room, "", about)
                gone += kept.pop(place)
                del shown[place]
            else:
                upto = chance.choice(here)
                world.broker.trim(room, upto, lambda outcome: None)
                for each in [each for each in kept if each[0] == room and each[1] <= upto]:
                    # An edit beyond what was trimmed stays, of a message that is not there.
                    newer = sum(offset > upto for offset in edits.pop(each))
                    gone += kept[each][: len(kept[each]) - newer]
                    del kept[each], shown[each]
            world.pass_by(chance.choice((0, 0, 0.05, 0.6)))
        self.assertNotEqual(gone, [])
        world.pass_by(MINUTE_S)
        self.assertTrue(world.scrub.is_clean and world.indexer.is_idle)
        self.assertEqual(world.left(gone), [], f"CHATD_TEST_SEED={SEED}")
        every = [word for each in kept.values() for word in each]
        self.assertEqual(len(world.left(every)), len(every))
        for (room, offset), rare in chance.sample(sorted(shown.items()), min(30, len(shown))):
            self.assertEqual(world.found(room, rare), [offset])
        for rare in gone[:30]:
            self.assertEqual([world.found(room, rare) for room in ROOMS[:1]], [[]])

    def test_index_alone(self) -> None:
        """An edit takes the words of before out of the index; the message keeps them in history."""
        world = self.world
        before, after = world.rare(), world.rare()
        offset = world.say("room1", before)
        world.pass_by(2)
        self.assertEqual(world.found("room1", before), [offset])
        self.assertEqual(self.kept_by_index([before]), [before])
        world.say("room1", after, About(Kind.EDIT, offset))
        world.pass_by(MINUTE_S)
        self.assertEqual(world.found("room1", before), [])
        self.assertEqual(world.found("room1", after), [offset])
        self.assertEqual(self.kept_by_index([before, after]), [after])

    def kept_by_index(self, rare: list[str]) -> list[str]:
        """Which words are in the index's own rows, those that were taken out too."""
        connection = self.world.broker.connections._writing
        assert connection is not None
        blocks = b"".join(b for (b,) in connection.execute("select block from words_data"))
        self.assertEqual(words.check(connection), [])
        return [word for word in rare if re.search(word[-8:].encode(), blocks)]

    def test_expired(self) -> None:
        """What is older than it may be is gone, within a minute of when it is looked for."""
        world = self.world
        old = [world.rare() for _ in range(700)]
        for rare in old:
            world.say("room2", f"{rare} and some more words")
        world.pass_by(5)
        self.assertEqual(len(world.left(old)), len(old))
        world.clock.advance(3 * DAY_S)
        new = world.rare()
        world.say("room2", new)
        retention = Retention(
            world.broker.trim,
            world.broker.connections,
            later=world.clock.callLater,
            now_ms=lambda: round(world.clock.seconds() * 1000),
            days=2,
        )
        self.addCleanup(retention.stop)
        retention.start()
        world.pass_by(MINUTE_S)
        self.assertEqual(world.left([*old, new]), [new])
        self.assertEqual(world.found("room2", "some more"), [])


class DaemonTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.database = Path(folder.name, "chatd.sqlite3")

    def in_files(self, word: str) -> bool:
        """Whether the end of a word is in the files of the daemon, another process."""
        sides = [Path(f"{self.database}{side}") for side in ("", "-wal", "-shm")]
        return any(word[-11:].encode() in each.read_bytes() for each in sides if each.exists())

    def is_indexed(self, offset: int) -> bool:
        """Whether the daemon has taken a room's events in, up to an offset."""
        with closing(connect(str(self.database), write=False)) as connection:
            return bool(
                connection.execute(
                    "select 1 from room where name = 'erased' and indexed >= ?", (offset,)
                ).fetchone()
            )

    def test_by_wire(self) -> None:
        """What somebody says, edits and deletes is gone from the files of a real daemon."""
        said, edited = (f"{random.getrandbits(64):016x}q" for _ in range(2))
        with (
            running("--database", str(self.database)) as daemon,
            JsonClient(daemon.ws) as client,
        ):
            client.connect()
            client.subscribe("erased")
            client.publish("erased", chat("m1", f"before {said}"))
            client.publish("erased", {"type": "edit", "id": "m2", "ref": 1, "text": edited})
            until(lambda: self.is_indexed(2), "words are taken in")
            self.assertEqual([self.in_files(each) for each in (said, edited)], [True, True])
            client.publish("erased", {"type": "delete", "id": "m3", "ref": 1})
            until(
                lambda: not self.in_files(said) and not self.in_files(edited),
                "they are gone",
                timeout_s=MINUTE_S,
            )
