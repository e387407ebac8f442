"""`chatd backup` and `chatd verify` as processes, against files that others use."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from chatd.brokers.database import check
from chatd.brokers.sqlite_file import connect
from tests.support.daemon import ROOT, environment, until
from tests.support.databases import fill, flip
from tests.support.lives import lives
from tests.support.sdk import JsonClient, chat, read_all

TIMEOUT_S = 60
ROOM = "lobby"
LARGE = 75_000  # messages of 1 kB: a backup takes long enough to be caught at it

WRITER = """
import sys
from chatd.brokers.database import connect
connection = connect(sys.argv[1], write=True)
connection.execute("begin immediate")
connection.execute("delete from message where key & 0xffffff > 5")
print("writing", flush=True)
sys.stdin.read()
connection.execute("rollback")
connection.close()
"""


def make(path: Path, messages: int, size: int = 20) -> None:
    """Make a database with messages."""
    check(str(path), now=0)
    with closing(connect(str(path), write=True)) as connection:
        fill(connection, messages, size)


def command(folder: Path, *words: str) -> list[str]:
    """The words that start it."""
    return [sys.executable, "-W", "error", "-m", "chatd", *words]


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run it in a folder, to its end; there is never a traceback."""
    done = subprocess.run(
        command(folder, *words),
        cwd=folder,
        env=surroundings(),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert "Traceback" not in done.stdout + done.stderr
    return done


def surroundings() -> dict[str, str]:
    """Variables without those of chatd, with this checkout on the path."""
    return {**environment(), "PYTHONPATH": str(ROOT)}


def count(path: Path) -> int:
    """How many messages a database has."""
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("select count(*) from message").fetchone()[0])


@contextmanager
def started(folder: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Start it in a folder; it is killed at the end."""
    process = subprocess.Popen(
        command(folder, *words),
        cwd=folder,
        env=surroundings(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a large database, which no test changes."""
    folder = tmp_path_factory.mktemp("large")
    make(folder / "chatd.sqlite3", LARGE, 1000)
    yield folder
    shutil.rmtree(folder)


def opened(pid: int) -> set[str]:
    """The names of the files that a process has open."""
    folder = Path(f"/proc/{pid}/fd")
    names = set()
    for each in folder.iterdir():
        with suppress(FileNotFoundError):  # closed again
            names.add(Path(os.readlink(each)).name)
    return names


def caught(folder: Path, target: Path, number: signal.Signals, status: int) -> None:
    """Send a backup a signal while it copies, and see how it ends.

    On a fast machine it may be done before: then it is tried again.
    """
    part = Path(f"{target}.part")
    for _ in range(10):
        with started(folder, "backup", str(target)) as process:

            def copies(process: subprocess.Popen[str] = process) -> bool:
                return process.poll() is not None or opened(process.pid) >= {part.name}

            until(copies, "it copies")
            process.send_signal(number)
            out, err = process.communicate(timeout=TIMEOUT_S)
        if process.returncode != 0:
            break
        target.unlink()
    assert (process.returncode, out, err) == (status, "", "")


def test_backup_and_verify(tmp_path: Path) -> None:
    """In the folder of the daemon neither needs to be told where the database is."""
    make(tmp_path / "chatd.sqlite3", 100)
    done = run(tmp_path, "backup", "copy.sqlite3")
    size = (tmp_path / "copy.sqlite3").stat().st_size
    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        f"copied to 'copy.sqlite3': {size // 1024} KiB\n",
        "",
    )
    for words in (("verify",), ("verify", "copy.sqlite3")):
        done = run(tmp_path, *words)
        assert (done.returncode, done.stderr) == (0, "")
        assert "messages 100" in done.stdout
        assert done.stdout.endswith("\nin order\n")


def test_while_somebody_writes(tmp_path: Path) -> None:
    """A transaction of another process hinders neither, and nothing of it is seen."""
    make(tmp_path / "chatd.sqlite3", 100)
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path / "chatd.sqlite3")],
        env=surroundings(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with writer:
        assert writer.stdout is not None and writer.stdin is not None
        assert writer.stdout.readline() == "writing\n"
        assert run(tmp_path, "backup", "copy.sqlite3").returncode == 0
        assert "messages 100" in run(tmp_path, "verify").stdout
        assert count(tmp_path / "copy.sqlite3") == 100
        writer.stdin.close()
        assert writer.wait(TIMEOUT_S) == 0


def test_restored(tmp_path: Path) -> None:
    """A backup that is put in the place of the database is the database."""
    make(tmp_path / "chatd.sqlite3", 100)
    assert run(tmp_path, "backup", "copy.sqlite3").returncode == 0
    flip(str(tmp_path / "chatd.sqlite3"), 0, 8192)
    os.rename(tmp_path / "copy.sqlite3", tmp_path / "chatd.sqlite3")
    check(str(tmp_path / "chatd.sqlite3"), now=0)
    assert count(tmp_path / "chatd.sqlite3") == 100


def test_restored_and_used(tmp_path: Path) -> None:
    """A daemon over the backup of a live one stores, and knows which positions are of its line."""
    copy = tmp_path / "copy.sqlite3"
    with lives() as some:
        with JsonClient(some.ws) as client:
            client.connect()
            epoch = client.subscribe(ROOM)["epoch"]
            said = [chat(f"m{number}", "kept") for number in range(5)]
            assert len(list(client.publish_all(ROOM, said))) == 5
            database = ("--database", str(some.database))
            assert run(tmp_path, "backup", str(copy), *database).returncode == 0
            lost = [chat(f"m{number}", "lost") for number in range(5, 8)]
            assert len(list(client.publish_all(ROOM, lost))) == 3
        some.stop()
        some.restore_database(copy)
        some.start()
        with JsonClient(some.ws) as client:
            client.connect()
            for number in range(8, 14):
                client.publish(ROOM, chat(f"m{number}", "after"))
            told = read_all(client, ROOM)
            texts = [each["data"]["text"] for each in told]
            assert texts == ["kept"] * 5 + ["after"] * 6
            for offset, recovered in ((3, True), (5, True), (6, None), (8, None)):
                place = client.subscribe(ROOM, (epoch, offset))
                assert place.get("recovered") is recovered, offset
                if recovered:
                    assert client.publications(11 - offset) == told[offset:]
                client.unsubscribe(ROOM)


def test_damaged(tmp_path: Path) -> None:
    """Damage is reported with status 1."""
    make(tmp_path / "chatd.sqlite3", 2000)
    size = (tmp_path / "chatd.sqlite3").stat().st_size
    for start in (0, size // 2):
        flip(str(tmp_path / "chatd.sqlite3"), start, 4000)
        done = run(tmp_path, "verify")
        assert (done.returncode, done.stderr) == (1, "")
        assert done.stdout.endswith("\nnot in order\n")


def test_killed(large: Path, tmp_path: Path) -> None:
    """A backup that is killed leaves no copy that looks whole, and does not hinder the next."""
    target = tmp_path / "copy.sqlite3"
    caught(large, target, signal.SIGKILL, -signal.SIGKILL)
    assert not target.exists()
    assert run(large, "backup", str(target)).returncode == 0
    assert os.listdir(tmp_path) == ["copy.sqlite3"]
    assert count(target) == LARGE
    target.unlink()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped(large: Path, tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C and SIGTERM end a backup without a word, and leave nothing."""
    caught(large, tmp_path / "copy.sqlite3", number, 128 + number)
    assert os.listdir(tmp_path) == []


def test_verify_stopped(large: Path) -> None:
    """Ctrl-C ends verify at once, as the signal that shells show as 130."""
    with started(large, "verify") as process:
        until(lambda: "chatd.sqlite3" in opened(process.pid), "it looks")
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=TIMEOUT_S) == ("", "")
        assert process.returncode == -signal.SIGINT


def test_terminal(large: Path, tmp_path: Path) -> None:
    """On a terminal what takes long shows how far it is, and leaves a clean line."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command(large, "verify"),
        cwd=large,
        env=surroundings(),
        stdout=subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    with process:
        while select.select([ours], [], [], TIMEOUT_S)[0]:
            try:
                shown += os.read(ours, 4096)
            except OSError:  # the other end is closed
                break
        assert process.wait(TIMEOUT_S) == 0
    os.close(ours)
    assert re.fullmatch(rb"((\rlooking through: \d+ %)+\r\x1b\[K)?", shown), shown


def test_full_disk(tmp_path: Path) -> None:
    """On a full disk a backup is one line, and a database that cannot be made is not there."""
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs a mount namespace")
    make(tmp_path / "chatd.sqlite3", 5000, 1000)
    (tmp_path / "small").mkdir()
    script = (
        "mount -t tmpfs -o size=1m none small && "
        '"$0" -m chatd backup small/copy; echo "$?"; ls -A small; '
        "head -c 1040000 /dev/zero >small/ballast; "
        '"$0" -c "from chatd.brokers.database import check; check(\'small/new\', now=0)" '
        "2>&1 | tail -1; ls -A small"
    )
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script, sys.executable],
        cwd=tmp_path,
        env=surroundings(),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert done.stderr == "chatd backup: 'small/copy': the disk is full; make room first\n"
    status, error, left = done.stdout.splitlines()
    assert (status, left) == ("1", "ballast")
    assert "small/new': the disk is full" in error
