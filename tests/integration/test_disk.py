"""A disk that is full or fails, and a database that others lock, move or damage.

Disks of some MiB come from `unshare`, faults of the kernel from `strace`; where one of them cannot
be had, its tests are skipped. `CHATD_TEST_TIMES=1` makes the times count.
"""

from __future__ import annotations

import itertools
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest

from chatd.brokers.database import check
from chatd.brokers.sqlite_file import connect
from tests.support.daemon import Daemon, command, environment, running, until
from tests.support.databases import fill, flip
from tests.support.lives import FAST
from tests.support.mounts import Mounts, ballast, free
from tests.support.sdk import Json, JsonClient, RefusedError, chat, read_all

TIMES = os.environ.get("CHATD_TEST_TIMES") == "1"
AGAIN_S = 5.0
"""Publishing works again so long after what hindered it is gone."""
DEADLINE_S = 60.0

MIB = 1 << 20
ROOM = "disk"
NO_RESERVE = {**FAST, "CHATD_STORAGE_FREE_BYTES": "0"}

SENDER = '{"user":"u","client":"c","conn_info":{"nick":"ann"}}'

NOT_STORED, MAYBE_STORED, FULL = 400, 401, 402


class Speaker:
    """Publishes one message after the other, and notes what became of each.

    Args:
        port: of the daemon.
        resume: of an earlier one: who comes back.
    """

    _numbers = itertools.count(1)

    def __init__(self, port: int, resume: str | None = None) -> None:
        self.client = JsonClient(port)
        self.client.connect(resume=resume)
        self.stored: list[Json] = []
        self.refused: list[Json] = []

    def say(self, size: int = 100) -> int:
        """Publish something new; returns 0, or the code of the error."""
        number = next(self._numbers)
        return self.try_(chat(f"m{number}", f"{number} ".ljust(size, ".")))

    def try_(self, said: Json) -> int:
        """Publish something; returns 0, or the code of the error."""
        try:
            self.client.publish(ROOM, said)
        except RefusedError as error:
            assert error.temporary, error
            self.refused.append(said)
            return error.code
        self.stored.append(said)
        return 0

    def say_until(self, code: int, most: int, size: int = 100) -> None:
        """Publish until it is answered so; there may be others meanwhile that are stored."""
        for _ in range(most):
            if (answer := self.say(size)) == code:
                return
            assert answer == 0, f"{answer} instead of {code}"
        raise AssertionError(f"no {code} in {most} messages")

    def works_again(self) -> None:
        """Publish until it is stored."""
        begun = time.monotonic()
        until(lambda: self.say() == 0, "publishing works again", DEADLINE_S)
        took = time.monotonic() - begun
        sys.stdout.write(f"\npublishing works again after {took:.2f} s\n")
        assert not TIMES or took <= AGAIN_S, f"{took:.2f} s"

    def retry(self) -> None:
        """Publish again all that was refused, with the same ids."""
        again, self.refused = self.refused, []
        assert [self.try_(each) for each in again] == [0] * len(again)

    def __enter__(self) -> Speaker:
        return self

    def __exit__(self, *about: object) -> None:
        self.client.socket.socket.close()


def data(publications: Sequence[Json]) -> list[Json]:
    """What they say, after a look at their places, which have no holes."""
    assert [each["offset"] for each in publications] == list(range(1, len(publications) + 1))
    return [each["data"] for each in publications]


def reads(port: int, expected: Sequence[Json]) -> None:
    """See that history and a resume from the beginning give what is expected, once, in order."""
    with JsonClient(port) as reader:
        reader.connect()
        assert data(read_all(reader, ROOM)) == expected
        epoch = reader.history(ROOM)["epoch"]
        assert reader.subscribe(ROOM, (epoch, 0))["recovered"] is True
        assert data(reader.publications(len(expected))) == expected


@contextmanager
def listener(port: int) -> Iterator[JsonClient]:
    """Somebody who is in the room and hears what is said."""
    with JsonClient(port) as client:
        client.connect()
        client.subscribe(ROOM)
        yield client


def heard(client: JsonClient, expected: Sequence[Json]) -> None:
    """See that somebody was shown what was stored, and nothing else."""
    assert data(client.publications(len(expected))) == expected
    client.presence_stats(ROOM)  # whatever else was on its way has come
    assert not client.pushes


@contextmanager
def small_disk(folder: Path, size: int = 8 * MIB) -> Iterator[tuple[Mounts, Path, Path]]:
    """A disk of its own: where it is mounted for the daemon, and where we see it."""
    with Mounts() as mounts:
        place = folder / "disk"
        place.mkdir()
        yield mounts, place, mounts.disk(place, size)


def verify(path: Path, within: Sequence[str] = ()) -> str:
    """Have `chatd verify` look at a database, which must be in order."""
    done = subprocess.run(
        [*within, sys.executable, "-m", "chatd", "verify", str(path)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return done.stdout


def refused_start(database: Path, within: Sequence[str] = ()) -> str:
    """Start a daemon that must refuse with status 1; returns its last line."""
    options = ["--ws", "tcp:0:interface=127.0.0.1", "--web", "tcp:0:interface=127.0.0.1"]
    words, _ = command("chatd serve", [*options, "--database", str(database)])
    done = subprocess.run(
        [*within, *words],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    printed = done.stdout + done.stderr
    assert done.returncode == 1, f"status {done.returncode}: {printed}"
    assert "Traceback" not in printed
    return printed.splitlines()[-1]


def serving(
    database: Path, within: Sequence[str] = (), env: dict[str, str] = NO_RESERVE
) -> AbstractContextManager[Daemon]:
    """A daemon with this database; see `running`."""
    return running("--database", str(database), env=env, within=within)


def test_full(tmp_path: Path) -> None:
    """A full disk refuses with 402 and stores nothing of it; with room again all goes on."""
    with small_disk(tmp_path) as (mounts, place, seen):
        with (
            serving(place / "chatd.sqlite3", mounts.words) as daemon,
            Speaker(daemon.ws) as speaker,
            listener(daemon.web) as other,
        ):
            assert [speaker.say(1_000) for _ in range(300)] == [0] * 300
            ballast(seen / "ballast", 300_000)
            speaker.say_until(FULL, 1_000, 1_000)
            ballast(seen / "ballast", 0)
            assert {speaker.say(7_000) for _ in range(50)} == {FULL}
            assert free(seen) == 0
            reads(daemon.web, speaker.stored)
            heard(other, speaker.stored)
            (seen / "ballast").unlink()
            speaker.works_again()
            speaker.retry()
            reads(daemon.ws, speaker.stored)
            assert daemon.log().count("storing messages fails: SQLITE_FULL") >= 1
            assert daemon.stop() in (0, -signal.SIGTERM)
        assert f"messages {len(speaker.stored)}" in verify(place / "chatd.sqlite3", mounts.words)
        with serving(place / "chatd.sqlite3", mounts.words) as daemon:
            reads(daemon.ws, speaker.stored)


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_restart_on_full_disk(tmp_path: Path, how: str) -> None:
    """What ends on a full disk and starts there again has all, or says that there is no room."""
    with small_disk(tmp_path) as (mounts, place, seen):
        database = place / "chatd.sqlite3"
        with serving(database, mounts.words) as daemon, Speaker(daemon.ws) as speaker:
            assert [speaker.say(1_000) for _ in range(300)] == [0] * 300
            ballast(seen / "ballast", 0)
            speaker.say_until(FULL, 1_000, 7_000)
            stored = speaker.stored
            if how == "kill":
                daemon.tell(signal.SIGKILL)
                until(lambda: not daemon.is_running, "its end")
            else:
                assert daemon.stop() in (0, -signal.SIGTERM)
        with serving(database, mounts.words) as daemon, Speaker(daemon.ws) as speaker:
            assert [speaker.say(7_000) for _ in range(5)] == [FULL] * 5
            reads(daemon.ws, stored)
            (seen / "ballast").unlink()
            speaker.works_again()
            speaker.retry()
            stored += speaker.stored
            reads(daemon.ws, stored)
            assert daemon.stop() in (0, -signal.SIGTERM)
        verify(database, mounts.words)
        with serving(database, mounts.words) as daemon, Speaker(daemon.ws) as speaker:
            reads(daemon.ws, stored)
            assert speaker.say() == 0


def test_reserve(tmp_path: Path) -> None:
    """With less free than is to be left free, publishing is refused before the disk is full."""
    with small_disk(tmp_path, 32 * MIB) as (mounts, place, seen):
        env = {**FAST, "CHATD_STORAGE_FREE_BYTES": str(100 * MIB)}  # 5 % of it are enough
        with (
            serving(place / "chatd.sqlite3", mounts.words, env) as daemon,
            Speaker(daemon.ws) as speaker,
            listener(daemon.ws) as other,
        ):
            assert speaker.say() == 0
            ballast(seen / "ballast", MIB + MIB // 2)
            until(lambda: speaker.say() == FULL, "402", DEADLINE_S)
            assert [speaker.say() for _ in range(20)] == [FULL] * 20
            assert free(seen) > MIB // 2
            reads(daemon.web, speaker.stored)
            heard(other, speaker.stored)
            (seen / "ballast").unlink()
            speaker.works_again()
            speaker.retry()
            reads(daemon.ws, speaker.stored)


def test_mounted_read_only(tmp_path: Path) -> None:
    """A running daemon still writes what it has open; a start says that it may not, and is over."""
    with small_disk(tmp_path) as (mounts, place, _):
        database = place / "chatd.sqlite3"
        with serving(database, mounts.words) as daemon, Speaker(daemon.ws) as speaker:
            assert speaker.say() == 0
            mounts.mount("--bind", str(place), str(place))
            mounts.mount("-o", "remount,bind,ro", str(place))
            assert speaker.say() == 0
            reads(daemon.ws, speaker.stored)
            stored = speaker.stored
            assert daemon.stop() in (0, -signal.SIGTERM)
        line = refused_start(database, mounts.words)
        assert str(database) in line
        assert "Read-only" in line or "may not" in line, line
        assert mounts.run("umount", str(place)).returncode == 0
        with serving(database, mounts.words) as daemon:
            reads(daemon.ws, stored)


def test_unmounted(tmp_path: Path) -> None:
    """A disk that goes away under the daemon takes no message with it, and may come back."""
    with small_disk(tmp_path) as (mounts, place, _):
        with (
            serving(place / "chatd.sqlite3", mounts.words) as daemon,
            Speaker(daemon.ws) as speaker,
        ):
            assert speaker.say() == 0
            mounts.disk(place, MIB)
            assert [speaker.say() for _ in range(5)] == [NOT_STORED] * 5
            reads(daemon.ws, speaker.stored)
            assert mounts.run("umount", str(place)).returncode == 0
            speaker.works_again()
            speaker.retry()
            reads(daemon.ws, speaker.stored)


@contextmanager
def failing(pid: int, call: str, error: str) -> Iterator[None]:
    """Have a system call of a process fail, for as long as the block runs."""
    program = shutil.which("strace")
    if program is None:
        pytest.skip("strace is not installed; to run this test: sudo apt install strace")
    tracer = subprocess.Popen(
        [
            program,
            "-f",
            "-p",
            str(pid),
            "-e",
            f"trace={call}",
            "-e",
            f"inject={call}:error={error}",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with tracer:
        assert tracer.stderr is not None
        first = tracer.stderr.readline()
        if "attached" not in first:
            tracer.kill()
            pytest.skip(f"strace cannot be used here: {first}")
        try:
            tasks = Path(f"/proc/{pid}/task")

            def all_are_traced() -> bool:
                return all(
                    f"TracerPid:\t{tracer.pid}\n" in (each / "status").read_text()
                    for each in tasks.iterdir()
                )

            until(all_are_traced, "traced")
            yield
        finally:
            tracer.send_signal(signal.SIGINT)
            tracer.communicate(timeout=DEADLINE_S)


@pytest.mark.parametrize(
    ("call", "error"), [("pwrite64", "EROFS"), ("pwrite64", "EIO"), ("fdatasync", "EIO")]
)
def test_failing_disk(tmp_path: Path, call: str, error: str) -> None:
    """A disk that fails, or turns read-only, is 401; a retry with the same id is one message."""
    with serving(tmp_path / "chatd.sqlite3") as daemon, Speaker(daemon.ws) as speaker:
        assert speaker.say() == 0
        with listener(daemon.ws) as other:
            with failing(daemon.pid, call, error):
                assert [speaker.say() for _ in range(5)] == [MAYBE_STORED] * 5
                reads(daemon.ws, speaker.stored)
                other.presence_stats(ROOM)
                assert not other.pushes
            speaker.works_again()
            speaker.retry()
            reads(daemon.ws, speaker.stored)
        assert daemon.stop() in (0, -signal.SIGTERM)
    verify(tmp_path / "chatd.sqlite3")
    with serving(tmp_path / "chatd.sqlite3") as daemon:
        reads(daemon.ws, speaker.stored)


def test_file_limit(tmp_path: Path) -> None:
    """A file that may not grow is 401; a retry with the same id is one message."""
    database = tmp_path / "chatd.sqlite3"
    with (
        serving(database) as daemon,
        Speaker(daemon.ws) as speaker,
        listener(daemon.ws) as other,
    ):
        assert [speaker.say(1_000) for _ in range(100)] == [0] * 100
        before = resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE)
        size = Path(f"{database}-wal").stat().st_size
        resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (size, before[1]))
        assert [speaker.say(1_000) for _ in range(5)] == [MAYBE_STORED] * 5
        reads(daemon.web, speaker.stored)
        heard(other, speaker.stored)
        resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, before)
        retried = [each["id"] for each in speaker.refused]
        speaker.retry()
        reads(daemon.web, speaker.stored)
        again = list(speaker.stored)
        for said in again[-len(retried) :]:
            assert speaker.try_(said) == 0
        reads(daemon.web, again)
        assert daemon.log().count("storing messages fails") == 1
        assert daemon.log().count("storing messages works again") == 1


def test_locked(tmp_path: Path) -> None:
    """While another program holds the database, publishing is 400 and everything else goes on."""
    database = tmp_path / "chatd.sqlite3"
    with serving(database) as daemon, Speaker(daemon.ws) as speaker, listener(daemon.ws) as other:
        assert speaker.say() == 0
        with closing(sqlite3.connect(database, isolation_level=None)) as holder:
            holder.execute("begin exclusive")
            number = speaker.client.put("publish", {"channel": ROOM, "data": "waits"})
            speaker.client.flush()
            slowest = 0.0
            while not speaker.client.has_reply(number):
                asked = time.monotonic()
                assert len(other.history(ROOM, 10)["publications"]) == 1
                slowest = max(slowest, time.monotonic() - asked)
                if speaker.client.sip(1 << 16, 0.05):
                    continue
            with pytest.raises(RefusedError) as refused:
                speaker.client.taken("publish", number)
            assert refused.value.code == NOT_STORED
            assert speaker.say() == NOT_STORED
            reads(daemon.web, speaker.stored)
            holder.execute("rollback")
        sys.stdout.write(f"\nthe slowest reading while it was locked: {slowest * 1000:.1f} ms\n")
        assert not TIMES or slowest < 0.05, f"{slowest * 1000:.1f} ms"
        speaker.works_again()
        speaker.retry()
        reads(daemon.web, speaker.stored)
        heard(other, speaker.stored)


@pytest.mark.parametrize("side", ["", "-wal"])
def test_moved_away(tmp_path: Path, side: str) -> None:
    """With a file moved away publishing is 400 and reading goes on; with it back, all does."""
    database = tmp_path / "chatd.sqlite3"
    path, away = Path(f"{database}{side}"), tmp_path / "away"
    with serving(database) as daemon, Speaker(daemon.ws) as speaker, listener(daemon.ws) as other:
        assert speaker.say() == 0
        path.rename(away)
        # files beside it are looked at once a second
        until(lambda: speaker.say() == NOT_STORED, "400", DEADLINE_S)
        assert [speaker.say() for _ in range(20)] == [NOT_STORED] * 20
        reads(daemon.web, speaker.stored)
        heard(other, speaker.stored)
        assert daemon.log().count("storing messages fails: the database was") == 1
        away.rename(path)
        speaker.works_again()
        speaker.retry()
        reads(daemon.web, speaker.stored)
        assert daemon.stop() in (0, -signal.SIGTERM)
    verify(database)
    with serving(database) as daemon:
        reads(daemon.ws, speaker.stored)


@pytest.mark.parametrize("replaced", [False, True])
def test_deleted(tmp_path: Path, replaced: bool) -> None:
    """With the database deleted, or another in its place, no message is taken; it ends well."""
    database = tmp_path / "chatd.sqlite3"
    with serving(database) as daemon, Speaker(daemon.ws) as speaker:
        assert speaker.say() == 0
        database.unlink()
        if replaced:
            check(str(tmp_path / "other.sqlite3"), now=0)
            (tmp_path / "other.sqlite3").rename(database)
        assert [speaker.say() for _ in range(20)] == [NOT_STORED] * 20
        reads(daemon.web, speaker.stored)
        assert daemon.log().count("storing messages fails: the database was") == 1
        assert daemon.stop() in (0, -signal.SIGTERM)
    assert database.exists() == replaced


def test_damaged_while_down(tmp_path: Path) -> None:
    """A damaged file is refused at the start with a line that says what to do, and status 1."""
    database = tmp_path / "chatd.sqlite3"
    make(database, 3_000, 1_000)
    flip(str(database), database.stat().st_size // 2, 20_000)
    line = refused_start(database)
    for words in (str(database), "damaged", "chatd verify", "to restore a backup"):
        assert words in line, line


def make(path: Path, messages: int, size: int) -> None:
    """Make a database with messages in a room."""
    check(str(path), now=0)
    with closing(connect(str(path), write=True)) as connection:
        fill(connection, messages, size)
        connection.execute("update message set sender = ?", (SENDER,))


def refused_pages(client: JsonClient, epoch: str, begin: int, end: int, step: int) -> list[int]:
    """Read a part of the lobby's history in pages; returns where those begin that cannot be had."""
    refused = []
    for after in range(begin, end, step):
        try:
            page = client.history("lobby", step, (epoch, after))["publications"]
        except RefusedError as error:
            assert (error.code, error.temporary) == (NOT_STORED, True)
            refused.append(after)
        else:
            assert [each["offset"] for each in page] == list(range(after + 1, after + 1 + step))
    return refused


def resumes_up_to(port: int, since: tuple[str, int], last: int) -> None:
    """See that who comes back gets what is before some damage, and is then told to begin anew."""
    with JsonClient(port) as client:
        client.connect()
        assert client.subscribe("lobby", since)["recovered"] is True
        after = since[1]
        while (push := client.next_push()).kind == "pub":
            after += 1
            assert push.body["offset"] == after
        assert (push.kind, push.body["code"]) == ("unsubscribe", 2500)
        assert after <= last


def test_damage_found_late(tmp_path: Path) -> None:
    """Damage in a file too large to look through is an error at reading, and only there."""
    database, count, step = tmp_path / "chatd.sqlite3", 80_000, 40
    make(database, count, 1_000)
    assert database.stat().st_size > 64 * MIB, "would be looked through at the start"
    flip(str(database), database.stat().st_size // 2, 40_000)
    with serving(database) as daemon, JsonClient(daemon.ws) as client:
        client.connect()
        client.subscribe("lobby")
        epoch, middle = client.history("lobby")["epoch"], count // 2
        bad = refused_pages(client, epoch, middle - 10 * step, middle + 10 * step, step)
        assert 1 <= len(bad) <= 3, bad
        assert refused_pages(client, epoch, 0, 10 * step, step) == []
        assert refused_pages(client, epoch, count - 10 * step, count, step) == []
        resumes_up_to(daemon.web, (epoch, bad[0] - 200), bad[-1] + step)
        client.publish("lobby", "goes on")
        assert client.next_push("pub").body["offset"] == count + 1
        assert "reading the database fails: SQLITE_CORRUPT" in daemon.log()


def test_damaged_text(tmp_path: Path) -> None:
    """A message that has become something else reaches nobody, and is no traceback."""
    database, count, step = tmp_path / "chatd.sqlite3", 1_000, 50
    make(database, count, 1_000)
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("update message set body = '\"find me\"' where key & 0xffffffffff = 525")
        connection.commit()
        connection.execute("pragma wal_checkpoint(truncate)")
    flip(str(database), database.read_bytes().index(b'find me"') + 7, 1)
    with serving(database) as daemon, JsonClient(daemon.ws) as client:
        client.connect()
        client.subscribe("lobby")
        epoch = client.history("lobby")["epoch"]
        assert refused_pages(client, epoch, 0, count, step) == [500]
        resumes_up_to(daemon.web, (epoch, 300), 524)
        client.publish("lobby", "goes on")
        assert client.next_push("pub").body["offset"] == count + 1
        assert "a stored message is damaged; chatd verify says which" in daemon.log()
