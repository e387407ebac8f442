"""`chatd backup` and `chatd verify`: the database from the shell, while the daemon runs or not."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from getopt import GetoptError, gnu_getopt
from types import FrameType
from typing import TextIO

from chatd.brokers.backup import backup
from chatd.brokers.sqlite_file import MEMORY
from chatd.brokers.verify import verify
from chatd.config import load
from chatd.errors import ConfigError

__all__ = ["COMMANDS", "Meter"]

_OPTIONS = """\
  --database PATH    the database; default: what the daemon would use
  --config FILE      read settings from this TOML file, as the daemon does
  --help             this text
"""

_BACKUP = f"""\
Usage: chatd backup [options] FILE

Copy the database to FILE as it is at this moment; the daemon may run. The copy is one file and
readable by you alone.

Options:
  --force            overwrite FILE
{_OPTIONS}
Status: 0 when the copy is whole and on the disk, 1 when it cannot be made, 2 for a wrong option.

Examples:
  chatd backup chat-monday.sqlite3
  chatd backup --database /var/lib/chatd/chatd.sqlite3 --force /mnt/backup/chatd.sqlite3
  chatd verify chat-monday.sqlite3               is it sound?

To restore: stop chatd, move the database and its -wal and -shm away, put the copy in its place.
"""

_VERIFY = f"""\
Usage: chatd verify [options] [FILE]

Look through a database or a backup: is the file sound, is no message missing, is each what it
says? Nothing is changed; the daemon may run. Without FILE: the database.

Options:
{_OPTIONS}
Status: 0 when all is well, 1 when it is not or cannot be read, 2 for a wrong option.

Examples:
  chatd verify
  chatd verify chat-monday.sqlite3
"""


class Meter:
    """Shows on a terminal how far something is, once it takes long.

    Args:
        words: what it is.
        stream: written to only if it is a terminal.
        seconds: a clock.
    """

    def __init__(self, words: str, stream: TextIO, seconds: Callable[[], float]) -> None:
        self._words = words
        self._stream = stream
        self._seconds = seconds
        self._next = seconds() + 1
        self._shown = False

    def __call__(self, done: int, total: int) -> None:
        """Show it, a few times a second.

        Args:
            done: how much.
            total: of how much.
        """
        now = self._seconds()
        if now >= self._next and self._stream.isatty():
            self._next = now + 0.2
            self._shown = True
            self._stream.write(f"\r{self._words}: {100 * done // max(total, 1)} %")
            self._stream.flush()

    def clear(self) -> None:
        """Leave the line as if nothing had been there."""
        if self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()


def _backup(words: Sequence[str]) -> int:
    """Copy the database; returns the status."""
    said, files = _parsed(_BACKUP, words, "force")
    if len(files) != 1:
        raise GetoptError("give one FILE to copy to")
    folder = os.path.dirname(files[0])
    if folder and not os.path.isdir(folder):
        raise ConfigError(f"{files[0]!r}: there is no folder {folder!r}")
    with _ended_by(_stop, signal.SIGTERM, signal.SIGHUP), _metered("copying") as meter:
        size = backup(_database(said), files[0], meter, overwrite="force" in said)
    _say(f"copied to {files[0]!r}: {_size(size)}")
    return 0


def _verify(words: Sequence[str]) -> int:
    """Look through a database; returns the status."""
    said, files = _parsed(_VERIFY, words)
    if len(files) > 1:
        raise GetoptError("give one FILE at most")
    if files and "database" in said:
        raise GetoptError("give a FILE or --database, not both")
    # SQLite looks at a large file in one call, which no exception of ours would end; a signal
    # does, and there is nothing to tidy up.
    with _ended_by(signal.SIG_DFL, signal.SIGINT), _metered("looking through") as meter:
        path = files[0] if files else _database(said)
        report = verify(path, meter)
    for problem in report.problems:
        _say(f"{path!r}: {problem}")
    if report.more:
        _say(f"{path!r}: and {report.more} more problem{'s' * (report.more > 1)}")
    if report.looked:
        _say(
            f"{path!r}: rooms {report.rooms}, messages {report.messages}, records "
            f"{report.records}, openings {report.openings}"
        )
    elif not report.problems:
        _say(f"{path!r} is of the older version {report.version}: only the file was looked at")
    _say("not in order" if report.problems else "in order")
    return 1 if report.problems else 0


def _run(name: str, command: Callable[[Sequence[str]], int], words: Sequence[str]) -> None:
    try:
        status = command(words)
    except GetoptError as error:
        _complain(f"chatd {name}: {error.msg}; see chatd {name} --help")
        raise SystemExit(2) from None
    except ConfigError as error:
        _complain(f"chatd {name}: {error}")
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(128 + signal.SIGINT) from None
    if status:
        raise SystemExit(status)


COMMANDS: dict[str, Callable[[Sequence[str]], None]] = {
    "backup": lambda words: _run("backup", _backup, words),
    "verify": lambda words: _run("verify", _verify, words),
}
"""By name: take the words after the name; SystemExit ends them, but for status 0."""


def _parsed(text: str, words: Sequence[str], *switches: str) -> tuple[dict[str, str], list[str]]:
    """Part options from file names; `--help` ends it.

    Raises:
        GetoptError: an unknown option.
    """
    options, files = gnu_getopt(list(words), "h", ["help", "database=", "config=", *switches])
    said = {name.lstrip("-"): value for name, value in options}
    if "help" in said or "h" in said:
        _say(text.rstrip())
        raise SystemExit(0)
    return said, files


def _database(said: dict[str, str]) -> str:
    """The path of the database that the daemon would use, given these options.

    Raises:
        ConfigError: the settings make no sense, or it is in memory.
    """
    flags = {"database": said["database"]} if "database" in said else {}
    config = load(flags, os.environ, said.get("config"))
    if config.database == MEMORY:
        raise ConfigError(f"{config.where('database')}: a database in memory is in no file")
    return config.database


@contextmanager
def _metered(words: str) -> Iterator[Meter]:
    meter = Meter(words, sys.stderr, time.monotonic)
    try:
        yield meter
    finally:
        meter.clear()


@contextmanager
def _ended_by(
    action: Callable[[int, FrameType | None], None] | signal.Handlers, *numbers: signal.Signals
) -> Iterator[None]:
    before = {number: signal.signal(number, action) for number in numbers}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _stop(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _size(size: int) -> str:
    return f"{size / (1 << 20):.1f} MiB" if size >= 1 << 20 else f"{-(-size // 1024)} KiB"


def _say(words: str) -> None:
    print(words)  # noqa: T201  # the answer to a command


def _complain(words: str) -> None:
    line = words if words.isprintable() else repr(words)
    print(line, file=sys.stderr)  # noqa: T201  # the answer to a command
