"""`chatd backup` and `chatd verify`, while the daemon runs or not; and what all commands share."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from getopt import GetoptError, gnu_getopt
from types import FrameType
from typing import TextIO

from chatd.brokers.backup import backup
from chatd.brokers.sqlite_file import MEMORY
from chatd.brokers.verify import verify
from chatd.config import Config, load
from chatd.errors import ConfigError

__all__ = [
    "COMMANDS",
    "OPTIONS",
    "Meter",
    "complain",
    "metered",
    "parsed",
    "run",
    "say",
    "settings",
]

OPTIONS = """\
  --database PATH    the database; default: what the daemon would use
  --config FILE      read settings from this TOML file, as the daemon does
  --help             this text
"""
"""Options that every command takes, for its help."""

_BACKUP = f"""\
Usage: chatd backup [options] FILE

Copy the database to FILE as it is at this moment; the daemon may run. The copy is one file and
readable by you alone.

Options:
  --force            overwrite FILE
{OPTIONS}
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
{OPTIONS}
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
    said, files = parsed(_BACKUP, words, "force")
    if len(files) != 1:
        raise GetoptError("give one FILE to copy to")
    folder = os.path.dirname(files[0])
    if folder and not os.path.isdir(folder):
        raise ConfigError(f"{files[0]!r}: there is no folder {folder!r}")
    with _ended_by(_stop, signal.SIGTERM, signal.SIGHUP), metered("copying") as meter:
        size = backup(_database(said), files[0], meter, overwrite="force" in said)
    say(f"copied to {files[0]!r}: {_size(size)}")
    return 0


def _verify(words: Sequence[str]) -> int:
    """Look through a database; returns the status."""
    said, files = parsed(_VERIFY, words)
    if len(files) > 1:
        raise GetoptError("give one FILE at most")
    if files and "database" in said:
        raise GetoptError("give a FILE or --database, not both")
    # SQLite looks at a large file in one call, which no exception of ours would end; a signal
    # does, and there is nothing to tidy up.
    with _ended_by(signal.SIG_DFL, signal.SIGINT), metered("looking through") as meter:
        path = files[0] if files else _database(said)
        report = verify(path, meter)
    for problem in report.problems:
        say(f"{path!r}: {problem}")
    if report.more:
        say(f"{path!r}: and {report.more} more problem{'s' * (report.more > 1)}")
    if report.looked:
        say(
            f"{path!r}: rooms {report.rooms}, messages {report.messages}, records "
            f"{report.records}, openings {report.openings}"
        )
    elif not report.problems:
        say(f"{path!r} is of the older version {report.version}: only the file was looked at")
    say("not in order" if report.problems else "in order")
    return 1 if report.problems else 0


def run(name: str, command: Callable[[Sequence[str]], int], words: Sequence[str]) -> None:
    """Run a command, so that whatever is wrong is one line.

    Args:
        name: of the command.
        command: takes its words and returns its status.
        words: after the name.

    Raises:
        SystemExit: unless its status is 0.
    """
    try:
        try:
            status = command(words)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # As with `| head`. What is left would be written, and fail, once more at the end.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        raise SystemExit(128 + signal.SIGPIPE) from None
    except GetoptError as error:
        complain(f"chatd {name}: {error.msg}; see chatd {name} --help")
        raise SystemExit(2) from None
    except ConfigError as error:
        complain(f"chatd {name}: {error}")
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(128 + signal.SIGINT) from None
    if status:
        raise SystemExit(status)


COMMANDS: dict[str, Callable[[Sequence[str]], None]] = {
    "backup": lambda words: run("backup", _backup, words),
    "verify": lambda words: run("verify", _verify, words),
}
"""By name: take the words after the name; SystemExit ends them, but for status 0."""


def parsed(
    text: str, words: Sequence[str], *named: str, short: str = ""
) -> tuple[dict[str, str], list[str]]:
    """Part options from other words; `--help` ends it.

    Args:
        text: the help.
        words: of the command.
        named: its long options, with `=` at the end of one that takes a value.
        short: its short options, likewise with `:`.

    Returns:
        The options, without dashes, and the other words.

    Raises:
        GetoptError: an unknown option.
    """
    options, rest = gnu_getopt(list(words), f"h{short}", ["help", "database=", "config=", *named])
    said = {name.lstrip("-"): value for name, value in options}
    if "help" in said or "h" in said:
        say(text.rstrip())
        raise SystemExit(0)
    return said, rest


def settings(said: Mapping[str, str], *, memory: str) -> Config:
    """Read what the daemon would be told, given these options.

    Args:
        said: `database`, `public-url` and `config` of these; each may be missing.
        memory: what is wrong with a database in memory.

    Raises:
        ConfigError: the settings make no sense, or the database is in memory.
    """
    flags = {
        name: said[flag]
        for flag, name in (("database", "database"), ("public-url", "public_url"))
        if flag in said
    }
    config = load(flags, os.environ, said.get("config"))
    if config.database == MEMORY:
        raise ConfigError(f"{config.where('database')}: {memory}")
    return config


def _database(said: Mapping[str, str]) -> str:
    return settings(said, memory="a database in memory is in no file").database


@contextmanager
def metered(words: str) -> Iterator[Meter]:
    """Show on standard error how far something is, while it goes on."""
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


def say(words: str) -> None:
    """Print a line of the answer."""
    print(words)  # noqa: T201  # the answer to a command


def complain(words: str) -> None:
    """Print a line about what is wrong, whatever is in it."""
    line = words if words.isprintable() else repr(words)
    print(line, file=sys.stderr)  # noqa: T201  # the answer to a command
