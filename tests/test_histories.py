"""Whatever happens to a database, a position is good exactly if its line is still there."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatd.brokers.sqlite import SqliteBroker
from chatd.core.broker import Place, Position
from chatd.core.events import Message
from chatd.errors import Refusal
from tests import examples
from tests.support.brokers import ClockWorker, clock_broker, settle, sqlite_error
from tests.support.contracts import Told, text

ROOMS = ("ann", "bob")
COPIES = 4

_rooms = st.sampled_from(ROOMS)


@dataclass(frozen=True)
class Line:
    """What a room says: of each message its key and a number that no other has."""

    said: tuple[tuple[str, int], ...] = ()
    erased: frozenset[int] = frozenset()
    floor: int = 0


@dataclass(frozen=True)
class Seen:
    """A position somebody holds, and all that was said on their line before it."""

    room: str
    position: Position
    said: tuple[tuple[str, int], ...]


@dataclass
class File:
    """What is stored in a database."""

    lines: dict[str, Line] = field(default_factory=lambda: dict.fromkeys(ROOMS, Line()))
    epochs: frozenset[str] = frozenset()

    def copy(self) -> File:
        """Another of the same."""
        return File(dict(self.lines), self.epochs)


class Histories(RuleBasedStateMachine):
    """One database, its openings and its copies, against a model of what is on each line."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.folder = TemporaryDirectory()
        self.path = str(Path(self.folder.name, "chat"))
        self.file = File()
        self.copies: list[tuple[Path, File]] = []
        self.made = self.numbers = 0
        self.seen: list[Seen] = []
        self.begin(is_full=False)

    def begin(self, *, is_full: bool) -> None:
        writer = ClockWorker(self.clock)
        if is_full:
            writer.failures += [None, sqlite_error("SQLITE_FULL")]
        self.told = Told()
        self.broker: SqliteBroker = clock_broker(self.clock, self.path, writer=writer)
        self.broker.start(self.told.deliver)
        for room in ROOMS:
            self.told.open(self.broker, room)
        settle(self.clock)
        self.own = self.told.head("ann").epoch.partition(".")[0]
        if not is_full:
            self.file.epochs |= {self.own}
        for room in ROOMS:
            assert self.told.head(room).head == len(self.file.lines[room].said)
            self.see(room)
        self.resume()

    def end(self) -> None:
        self.broker.drain(lambda: self.broker.stop(lambda: None))
        settle(self.clock)

    def see(self, room: str) -> None:
        said = self.file.lines[room].said
        position = Position(self.told.head(room).epoch, len(said))
        self.seen.append(Seen(room, position, said))

    def publish(self, room: str, key: str, erases: int = 0) -> None:
        line = self.file.lines[room]
        known = [n for n, (each, _) in enumerate(line.said, 1) if each == key]
        if known and known[-1] <= line.floor:
            return  # its id may be forgotten
        self.told.outcomes.clear()
        self.told.publish(self.broker, key, room, erases=[erases] if erases else [])
        settle(self.clock)
        if known:
            assert self.told.acks(key) == [(known[-1], True)]
            return
        self.numbers += 1
        said = (*line.said, (key, self.numbers))
        erased = line.erased | ({erases} if erases else set())
        self.file.lines[room] = Line(said, erased, line.floor)
        self.file.epochs |= {self.own}  # its row is before the first message
        assert self.told.acks(key) == [(len(said), False)]
        self.see(room)

    @rule(room=_rooms, key=st.integers(0, 9), more=st.integers(0, 2))
    def say(self, room: str, key: int, more: int) -> None:
        """Publish, some for the first time and some again."""
        for number in range(key, key + more + 1):
            self.publish(room, f"m{number}")

    @rule(room=_rooms, place=st.integers(1, 9))
    def erase(self, room: str, place: int) -> None:
        """Publish what erases another."""
        self.publish(room, f"erase {self.numbers}", min(place, len(self.file.lines[room].said)))

    @rule(room=_rooms, upto=st.integers(1, 9))
    def trim(self, room: str, upto: int) -> None:
        """Trim."""
        line = self.file.lines[room]
        gone: list[int | Refusal] = []
        self.broker.trim(room, upto, gone.append)
        settle(self.clock)
        floor = max(line.floor, min(upto, len(line.said)))
        assert gone == [floor]
        self.file.lines[room] = Line(line.said, line.erased, floor)

    @rule()
    def keep(self) -> None:
        """Copy the files as they are, as after a kill."""
        self.made += 1
        copy = Path(self.folder.name, f"copy {self.made}")
        for suffix in ("", "-wal"):
            if Path(f"{self.path}{suffix}").exists():
                shutil.copy(f"{self.path}{suffix}", f"{copy}{suffix}")
        self.copies = [*self.copies, (copy, self.file.copy())][-COPIES:]

    @rule(is_full=st.booleans())
    def restart(self, is_full: bool) -> None:
        """Begin anew, maybe on a full disk."""
        self.end()
        self.begin(is_full=is_full)

    @rule(which=st.integers(0, COPIES - 1), is_full=st.booleans())
    def restore(self, which: int, is_full: bool) -> None:
        """Put a copy in the place of the database, and keep that: maybe it was the better one."""
        if not self.copies:
            return
        copy, file = self.copies[which % len(self.copies)]
        self.end()
        self.keep()
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self.path}{suffix}").unlink(missing_ok=True)
            if Path(f"{copy}{suffix}").exists():
                shutil.copy(f"{copy}{suffix}", f"{self.path}{suffix}")
        self.file = file.copy()
        self.begin(is_full=is_full)

    @rule()
    def resume(self) -> None:
        """Everybody comes back, whatever they saw last and wherever that was."""
        places: list[Place | Refusal] = []
        for seen in self.seen:
            self.broker.locate(
                seen.room,
                seen.position,
                lambda told, seen=seen: places.append((seen, told)),  # type: ignore[misc, arg-type]
            )
        settle(self.clock)
        assert len(places) == len(self.seen)
        for seen, place in places:  # type: ignore[misc]
            assert place is self.expected(seen), (seen, place, self.file)
        for room, line in self.file.lines.items():
            pages: list[Sequence[Message] | Refusal] = []
            self.broker.page(room, 0, len(line.said), pages.append, limit=500)
            settle(self.clock)
            assert [(each.offset, text(each)) for each in pages[0]] == [  # type: ignore[union-attr]
                (n, "" if n in line.erased else key)
                for n, (key, _) in enumerate(line.said, 1)
                if n > line.floor
            ]

    def expected(self, seen: Seen) -> Place:
        """What must become of a position."""
        line, offset = self.file.lines[seen.room], seen.position.offset
        epoch, _, rest = seen.position.epoch.partition(".")
        head, _, last = rest.partition(".")
        if epoch not in self.file.epochs | {self.own} and (
            last not in self.file.epochs or offset > int(head)
        ):
            return Place.RESET
        if offset > len(line.said):
            return Place.TRUNCATE
        if offset < line.floor:
            return Place.GAP
        return Place.OK if line.said[:offset] == seen.said else Place.TRUNCATE

    def teardown(self) -> None:
        """Hypothesis: after each run."""
        self.resume()
        self.end()
        self.folder.cleanup()


class HistoriesTests(SynchronousTestCase):
    def test_anything(self) -> None:
        """Never is a position good on another line, and never refused on its own."""
        run_state_machine_as_test(
            Histories,
            settings=settings(
                max_examples=examples(200),
                stateful_step_count=25,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
