"""The broker over SQLite."""

from __future__ import annotations

import re
import resource
import secrets
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar, cast

from twisted.internet.base import ReactorBase
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase

from chatd.brokers import connections
from chatd.brokers.database import check
from chatd.brokers.disk import Disk
from chatd.brokers.sqlite import SqliteBroker
from chatd.brokers.worker import ThreadWorker
from chatd.core.broker import Ack, Broker, Opened, Place, Position, RoomSummary
from chatd.core.events import About, Kind, Message, payload
from chatd.errors import FULL, UNAVAILABLE, UNKNOWN_OUTCOME, Refusal
from tests.support.brokers import ClockWorker, blocks, clock_broker, settle, sqlite_error
from tests.support.contracts import SENDER, BrokerContract, DurableContract, Told

NOW_MS = 1_700_000_000_000

T = TypeVar("T")


class CrampedWorker(ClockWorker):
    """A worker in whose jobs, and only there, no file may become longer than `size` bytes."""

    size: int | None = None

    def do(self, job: Callable[[], T], done: Callable[[T | Exception], None]) -> None:
        def cramped() -> T:
            limits = resource.getrlimit(resource.RLIMIT_FSIZE)
            if self.size is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (self.size, limits[1]))
            try:
                return job()
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, limits)

        super().do(cramped, done)


class MemoryTests(BrokerContract, SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.wall_ms = NOW_MS

    def make(self) -> SqliteBroker:
        return clock_broker(self.clock, now_ms=lambda: self.wall_ms)

    def turn(self) -> None:
        settle(self.clock)

    def step_clock(self, seconds: float) -> None:
        self.wall_ms += round(seconds * 1000)


class FileTests(DurableContract, SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.wall_ms = NOW_MS
        self.folder = TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.brokers: list[Broker] = []
        self.paths: dict[Broker, str] = {}
        self.addCleanup(self.stop_all)

    def make(self) -> SqliteBroker:
        return self.make_at(str(Path(self.folder.name, f"{len(self.paths)}.sqlite3")))

    def make_at(self, path: str) -> SqliteBroker:
        broker = clock_broker(self.clock, path, now_ms=lambda: self.wall_ms)
        self.paths[broker] = path
        return broker

    def restart(self, broker: Broker) -> SqliteBroker:
        broker.drain(lambda: broker.stop(lambda: None))
        self.turn()
        return self.make_at(self.paths[broker])

    def stop_all(self) -> None:
        for broker in self.paths:
            broker.stop(lambda: None)
        self.turn()

    def turn(self) -> None:
        settle(self.clock)

    def step_clock(self, seconds: float) -> None:
        self.wall_ms += round(seconds * 1000)

    def path(self, broker: Broker) -> Path:
        return Path(self.paths[broker])

    def run_sql(self, broker: Broker, sql: str) -> None:
        """Do something on the connection that writes."""
        assert isinstance(broker, SqliteBroker)
        told: list[object] = []
        broker.connections.write(lambda each: each.execute(sql).fetchall(), told.append)
        self.turn()
        self.assertIsInstance(told[0], list)

    def copy(self, broker: Broker) -> SqliteBroker:
        """Make a broker over a copy of the files as they are now, as after a kill."""
        path = self.path(broker)
        copy = path.with_name(f"copy of {path.name}")
        for suffix in ("", "-wal"):
            shutil.copy(f"{path}{suffix}", f"{copy}{suffix}")
        return self.make_at(str(copy))

    def test_killed(self) -> None:
        """What is acknowledged is in the files, whatever happens to the process after."""
        broker, told = self.begin()
        told.publish(broker, "one")
        while "one" not in told.outcomes:
            self.clock.advance(0)
        _, again = self.begin_over(self.copy(broker))
        self.assertEqual([each.payload for each in again.head("ann").tail], [payload("one", "one")])

    def test_full(self) -> None:
        """On a full disk nothing of a commit is stored or told; with room again all can be."""
        broker, told = self.begin()
        self.say(broker, told, ["one"])
        self.run_sql(broker, "pragma max_page_count = 12")
        keys = [f"m{number}" for number in range(300)]
        for key in keys:
            told.publish(broker, key)
            told.publish(broker, f"{key} {'x' * 500}")
            self.turn()
        refused = [key for key in keys if told.outcomes[key] == [FULL]]
        self.assertGreater(len(refused), 100)
        self.assertFalse(broker.is_up)
        self.assertEqual(self.page(broker, 0, 1), [1])
        told.open(broker, "new")
        self.turn()
        self.assertEqual(told.head("new").head, 0)
        head = told.messages()[-1].offset
        self.assertEqual([each.offset for each in told.messages()], list(range(1, head + 1)))
        self.run_sql(broker, "pragma max_page_count = 1000000")
        for key in refused:
            del told.outcomes[key]
        self.say(broker, told, refused)
        self.assertEqual(
            [told.acks(key) for key in refused],
            [[(head + number, False)] for number in range(1, len(refused) + 1)],
        )
        self.assertTrue(broker.is_up)

    def test_read_only(self) -> None:
        """A database that cannot be written to can be read."""
        broker, told = self.begin()
        self.say(broker, told, ["one"])
        self.run_sql(broker, "pragma query_only = 1")
        self.say(broker, told, ["two"])
        self.assertEqual(told.outcomes["two"], [UNAVAILABLE])
        self.assertEqual(self.page(broker, 0, 9), [1])

    def test_locked(self) -> None:
        """While somebody else holds the database nothing is stored, but read."""
        broker, told = self.begin()
        self.say(broker, told, ["one"])
        other = sqlite3.connect(self.path(broker), isolation_level=None)
        self.addCleanup(other.close)
        other.execute("begin exclusive")
        self.say(broker, told, ["two"])
        self.assertEqual(told.outcomes.pop("two"), [UNAVAILABLE])
        self.assertEqual(self.page(broker, 0, 9), [1])
        other.execute("rollback")
        self.say(broker, told, ["two"])
        self.assertEqual(told.acks("two"), [(2, False)])

    def test_deleted(self) -> None:
        """When the file is deleted nothing is stored; when it is put back, it goes on."""
        broker, told = self.begin()
        self.say(broker, told, ["one"])
        away = self.path(broker).with_name("away")
        self.path(broker).rename(away)
        for name in ("nothing", "another"):
            self.say(broker, told, ["two"])
            self.assertEqual(told.outcomes.pop("two"), [UNAVAILABLE])
            self.assertFalse(broker.is_up)
            self.path(broker).write_bytes(name.encode())
        self.assertEqual(self.page(broker, 0, 9), [1])
        away.rename(self.path(broker))
        self.say(broker, told, ["two"])
        self.assertEqual(told.acks("two"), [(2, False)])

    def test_input_output_error(self) -> None:
        """When the file cannot grow the outcome is unknown, until it can again."""
        path, writer = str(Path(self.folder.name, "cramped")), CrampedWorker(self.clock)
        broker = clock_broker(self.clock, path, writer=writer)
        self.paths[broker] = path
        _, told = self.begin_over(broker)
        self.say(broker, told, ["one"])
        writer.size = Path(f"{path}-wal").stat().st_size
        self.say(broker, told, ["two"])
        self.assertEqual(told.outcomes.pop("two"), [UNKNOWN_OUTCOME])
        self.assertEqual((told.names(), broker.is_up), (["one"], False))
        writer.size = None
        self.say(broker, told, ["two"])
        self.assertEqual((told.acks("two"), broker.is_up), ([(2, False)], True))

    def test_restored_copy(self) -> None:
        """Positions on the line that a restored copy has left are not good, others are."""
        broker, told = self.begin()
        self.say(broker, told, ["one", "two"])
        first = told.head("ann").epoch
        copy = self.copy(broker)
        self.say(broker, told, ["lost", "lost too"])
        broker, told = self.begin_over(copy)
        self.say(broker, told, ["other", "other too", "more"])
        places = [self.locate(broker, first, offset) for offset in range(7)]
        self.assertEqual(places, [Place.OK] * 3 + [Place.TRUNCATE] * 4)
        self.assertIs(self.locate(broker, told.head("ann").epoch, 5), Place.OK)

    def test_starts_on_a_full_disk(self) -> None:
        """Who comes while nothing can be stored has their place in whatever opening follows."""
        broker, told = self.begin()
        self.say(broker, told, ["one", "two"])
        path = self.paths[broker]
        epochs = [told.head("ann").epoch]
        for _ in range(2):
            self.restart(broker)
            writer = ClockWorker(self.clock)
            writer.failures += [None, sqlite_error("SQLITE_FULL"), sqlite_error("SQLITE_FULL")]
            broker = clock_broker(self.clock, path, writer=writer)
            self.paths[broker] = path
            _, told = self.begin_over(broker)
            for epoch in epochs:
                self.assertIs(self.locate(broker, epoch, 2), Place.OK)
            epochs.append(told.head("ann").epoch)
            told.publish(broker, "refused")
            self.turn()
            self.assertEqual(told.outcomes.pop("refused"), [FULL])
        self.say(broker, told, ["three"])  # with room again
        self.assertEqual(told.outcomes["three"], [Ack(Position(epochs[-1], 3))])
        for _ in range(2):
            places = [self.locate(broker, epoch, 2) for epoch in epochs]
            self.assertEqual(places, [Place.OK] * 3)
            places = [self.locate(broker, epoch, 3) for epoch in epochs]
            self.assertEqual(places, [Place.TRUNCATE, Place.RESET, Place.OK])
            broker, told = self.begin_over(self.restart(broker))

    def test_starts_on_a_low_disk(self) -> None:
        """With too little free nothing is stored but that this opening began."""
        path = str(Path(self.folder.name, "low"))
        epochs = list[str]()
        for _ in range(2):
            broker = clock_broker(self.clock, path)
            self.paths[broker] = path
            broker.connections._disk = Disk(path, 1 << 60, lambda path: blocks(4))
            _, told = self.begin_over(broker)
            self.say(broker, told, ["one"])
            self.assertEqual(told.outcomes["one"], [FULL])
            epochs.append(told.head("ann").epoch)
            self.assertIs(self.locate(broker, epochs[0], 0), Place.OK)
            self.restart(broker)
        with closing(sqlite3.connect(path)) as connection:
            stored = [epoch for (epoch,) in connection.execute("select epoch from opening")]
        self.assertEqual(stored, epochs)

    def test_lost_opening(self) -> None:
        """An epoch that a restored copy does not know is not known."""
        broker, told = self.begin()
        self.say(broker, told, ["one"])
        copy = self.copy(broker)
        broker, told = self.begin_over(self.restart(broker))
        self.say(broker, told, ["two"])
        lost = told.head("ann").epoch
        broker, told = self.begin_over(copy)
        self.say(broker, told, ["other", "more"])
        self.assertIs(self.locate(broker, lost, 1), Place.RESET)

    def test_shared_read(self) -> None:
        """Five thousand who come back to the same place after a restart are one read."""
        broker, told = self.begin()
        self.say(broker, told, ["one", "two"])
        epoch = told.head("ann").epoch
        reader = ClockWorker(self.clock)
        again = clock_broker(self.clock, self.paths[broker], reader=reader)
        self.paths[again] = ""
        self.restart(broker)
        self.begin_over(again)
        asked, places = reader.asked, list[object]()
        for _ in range(5000):
            again.locate("ann", Position(epoch, 1), places.append)
        self.turn()
        self.assertEqual((reader.asked - asked, places), (1, [Place.OK] * 5000))

    def test_shared_list(self) -> None:
        """However many ask for the rooms at once, it is one read; so many may wait for it."""
        reader = ClockWorker(self.clock)
        broker = clock_broker(self.clock, str(Path(self.folder.name, "x")), reader=reader)
        self.paths[broker] = ""
        _, told = self.begin_over(broker)
        self.say(broker, told, ["one"])
        asked, lines = reader.asked, list[object]()
        for _ in range(connections.MOST_READS + 1):
            broker.rooms(lines.append)
        self.turn()
        self.assertEqual((reader.asked - asked, lines[0]), (1, UNAVAILABLE))
        self.assertEqual(lines[1:], [[RoomSummary("ann", 1, 0)]] * connections.MOST_READS)
        reader.failures.append(sqlite_error("SQLITE_IOERR"))
        lines.clear()
        for _ in range(2):
            broker.rooms(lines.append)
        self.turn()
        self.assertEqual(lines, [UNAVAILABLE] * 2)

    def test_no_database(self) -> None:
        """What is no database is refused as often as it is tried; once it is one, it works."""
        broker = self.make()
        self.path(broker).write_bytes(b"something else" * 99)
        told = Told()
        broker.start(told.deliver)
        told.open(broker, "ann")
        told.publish(broker, "one")
        self.turn()
        self.assertEqual(told.opened.pop("ann"), [UNAVAILABLE])
        self.assertEqual(told.outcomes.pop("one"), [UNAVAILABLE])
        others: list[object] = []
        broker.rooms(others.append)
        broker.trim("ann", 1, others.append)
        self.turn()
        self.assertEqual(others, [UNAVAILABLE, UNAVAILABLE])
        self.path(broker).unlink()
        check(self.paths[broker], now=0)
        told.open(broker, "ann")
        told.publish(broker, "one")
        self.turn()
        self.assertEqual(told.acks("one"), [(1, False)])

    def test_openings_unread(self) -> None:
        """When the openings cannot be read rooms are refused, and the next one tries again."""
        reader = ClockWorker(self.clock)
        reader.failures += [None, sqlite_error("SQLITE_IOERR")]
        broker = clock_broker(self.clock, str(Path(self.folder.name, "x")), reader=reader)
        self.paths[broker] = ""
        told = Told()
        broker.start(told.deliver)
        for _ in range(2):
            told.open(broker, "ann")
            self.turn()
        first, second = told.opened["ann"]
        self.assertEqual(first, UNAVAILABLE)
        self.assertIsInstance(second, Opened)

    def test_too_many_reads(self) -> None:
        """With too many reads waiting a further one is refused, of whatever kind."""
        broker, told = self.begin()
        self.say(broker, told, ["one"])
        self.patch(connections, "MOST_READS", 0)
        others: list[object] = []
        broker.page("ann", 0, 1, others.append)
        broker.rooms(others.append)
        broker.open("new", others.append)
        self.assertEqual(others, [])
        self.turn()
        self.assertEqual(others, [UNAVAILABLE] * 3)
        unstarted, told = self.make(), Told()
        unstarted.start(told.deliver)
        told.open(unstarted, "ann")
        self.turn()
        self.assertEqual(told.opened["ann"], [UNAVAILABLE])

    def test_too_many_trims(self) -> None:
        """A hundred trims may wait; one that fails says what that means."""
        broker, told = self.begin()
        self.say(broker, told, ["one"])
        others: list[object] = []
        for _ in range(101):
            broker.trim("ann", 1, others.append)
        self.turn()
        self.assertEqual(others, [UNAVAILABLE] + [1] * 100)
        others.clear()
        self.run_sql(broker, "pragma query_only = 1")
        broker.trim("ann", 1, others.append)
        broker.trim("not open", 1, others.append)
        self.turn()
        self.assertEqual(others, [1, 0])
        self.run_sql(broker, "pragma query_only = 0")
        self.say(broker, told, ["two"])
        self.run_sql(broker, "pragma query_only = 1")
        broker.trim("ann", 2, others.append)
        self.turn()
        self.assertEqual(others[2:], [UNAVAILABLE])

    def test_followed(self) -> None:
        """Who follows is told of each commit, and of what changes what was said."""
        broker, told = self.begin()
        assert isinstance(broker, SqliteBroker)
        grew: list[Sequence[int]] = []
        changed: list[int] = []
        broker.follow(grew=grew.append, changed=lambda: changed.append(len(grew)))
        self.say(broker, told, ["one"])
        told.publish(broker, "two")
        told.publish(broker, "three", "bob")
        self.turn()
        self.assertEqual((grew, changed), ([[1], [1, 2]], []))
        told.publish(broker, "four", about=About(Kind.EDIT, 1))
        self.turn()
        told.publish(broker, "five", erases=[2])
        self.turn()
        self.say(broker, told, ["one"])
        told.relay(broker, "six")
        self.turn()
        self.assertEqual((grew[2:], changed), ([[1], [1]], [3, 4]))
        self.trim(broker, 1)
        self.trim(broker, 1)
        self.assertEqual(changed, [3, 4, 4])
        self.run_sql(broker, "pragma query_only = 1")
        told.publish(broker, "seven", erases=[2])
        self.turn()
        self.assertEqual((len(grew), len(changed)), (4, 3))

    def test_erased_from_the_file(self) -> None:
        """Of what was erased or trimmed nothing is in the database once its log is taken in."""
        broker, told = self.begin()
        for number in range(300):
            told.publish(broker, f"secret{number:04}")
        self.turn()
        self.say(broker, told, [f"m{number}" for number in range(300)])
        told.publish(broker, "gone", erases=range(101, 301))
        self.turn()
        self.trim(broker, 100)
        self.run_sql(broker, "pragma wal_checkpoint(truncate)")
        path = self.path(broker)
        for each in (path, Path(f"{path}-wal")):
            found = set(re.findall(rb'"text":"secret....', each.read_bytes()))
            self.assertEqual(found, set(), each)

    def test_trim_to_the_head(self) -> None:
        """A trim ends at the head: what is under way is not taken before it is told."""
        broker, told = self.begin()
        self.say(broker, told, ["one"])
        told.publish(broker, "two")
        others: list[object] = []
        self.clock.callLater(0, broker.trim, "ann", 1 << 40, others.append)
        self.turn()
        self.assertEqual((others, self.page(broker, 0, 9)), ([1], [2]))

    def test_closed_while_opening(self) -> None:
        """A room that is closed while it opens is told, and closed; opened again it is told too."""
        broker, told = self.begin()
        for _ in range(3):
            told.open(broker, "new")
            broker.close("new")
        told.open(broker, "new")
        self.turn()
        self.assertEqual(len(told.opened["new"]), 4)
        broker.close("new")
        told.publish(broker, "late", "new")
        self.turn()
        self.assertEqual(told.outcomes["late"], [UNAVAILABLE])

    def test_closed_is_closed(self) -> None:
        """In a closed room nothing can be said, even while what was said before is stored."""
        broker, told = self.begin()
        told.publish(broker, "one")
        broker.close("ann")
        told.publish(broker, "late")
        self.turn()
        self.assertEqual(told.acks("one"), [(1, False)])
        self.assertEqual(told.outcomes["late"], [UNAVAILABLE])

    def test_not_open_yet(self) -> None:
        """A room that is not open yet has no pages and no positions."""
        broker, told = self.begin()
        told.open(broker, "new")
        others: list[object] = []
        broker.page("new", 0, 1, others.append)
        broker.locate("new", Position("epoch", 0), others.append)
        self.turn()
        self.assertEqual(others, [UNAVAILABLE] * 2)

    def test_page_to_the_head(self) -> None:
        """A page ends at the head: what is stored beyond, it will be told."""
        broker, told = self.begin()
        self.say(broker, told, ["one"])
        self.run_sql(
            broker,
            "insert into message select key + 1, opening, time, size, kind, ref, user, id, sender,"
            " body from message",
        )
        self.assertEqual(self.page(broker, 0, 9), [1])
        self.assertEqual(self.page(broker, 0, 9, backward=True), [1])

    def test_open_unstarted(self) -> None:
        """A room that is opened before the broker is started is opened then."""
        broker, told = self.make(), Told()
        told.open(broker, "ann")
        self.turn()
        self.assertEqual(told.opened, {"ann": []})
        self.assertFalse(Path(f"{self.path(broker)}-wal").exists())
        broker.start(told.deliver)
        self.turn()
        self.assertEqual(told.head("ann").head, 0)

    def test_left_who_never_came(self) -> None:
        """Who leaves without having joined is not told."""
        broker, told = self.begin()
        broker.leave("ann", SENDER)
        self.turn()
        self.assertEqual(told.events, [])


class ReactorTests(TestCase):
    """Real threads and the real reactor."""

    def make(self, path: str) -> SqliteBroker:
        from twisted.internet import reactor

        loop = cast(ReactorBase, reactor)
        return SqliteBroker(
            path=path,
            reader=ThreadWorker("chatd-reader", loop.callFromThread),
            writer=ThreadWorker("chatd-writer", loop.callFromThread),
            later=lambda call: loop.callLater(0, call),
            now_ms=lambda: NOW_MS,
            new_epoch=lambda: secrets.token_hex(8),
            most_pending=4000,
            most_bytes=1 << 24,
            free_bytes=0,
        )

    async def store(self, path: str) -> None:
        broker, told = self.make(path), Told()
        broker.start(told.deliver)
        opened: Deferred[Opened | Refusal] = Deferred()
        broker.open("ann", opened.callback)
        for number in range(1500):
            told.publish(broker, f"m{number}")
        before = await opened
        assert isinstance(before, Opened)
        acked: Deferred[Ack | Refusal] = Deferred()
        broker.publish("ann", SENDER, "m0", b"0", acked.callback)
        outcome = await acked
        assert isinstance(outcome, Ack)
        self.assertEqual(outcome.position.offset, 1)
        page: Deferred[Sequence[Message] | Refusal] = Deferred()
        broker.page("ann", before.head, 1 << 30, page.callback, limit=500)
        messages = await page
        assert not isinstance(messages, Refusal)
        self.assertEqual(
            [each.offset for each in messages], list(range(before.head + 1, before.head + 501))
        )
        for step in (broker.drain, broker.stop):
            done: Deferred[None] = Deferred()
            step(lambda done=done: done.callback(None))  # type: ignore[misc]
            await done

    def test_file(self) -> Deferred[None]:
        """With real threads messages are stored, told and read, and all is let go of."""
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = str(Path(folder.name, "chat"))
        check(path, now=0)
        return Deferred.fromCoroutine(self.store(path))

    def test_memory(self) -> Deferred[None]:
        """And so in memory."""
        return Deferred.fromCoroutine(self.store(":memory:"))
