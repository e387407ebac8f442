"""The `chatd` command, which is `python -m chatd` too."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from chatd import __version__

__all__ = ["main"]

_HELP = """\
Usage: chatd [command] [options]

Commands:
  serve     run the daemon in the foreground; the command when none is given
  backup    copy the database, while the daemon runs or not
  verify    look through the database or a backup
  user      make, change, remove and list accounts
  token     make a link with which somebody signs in as a moderator, once
  audit     tell what moderators and operators did
  reindex   make the index of words, which searches use, anew

Options:
  --help       this text; chatd COMMAND --help lists the options of a command
  --version    the version

Examples:
  chatd serve                                 open http://localhost:1920
  chatd serve --ws tcp:1919 --web tcp:1920    for everybody on the LAN
  chatd serve --logger chatd.logs.json_lines  log as JSON lines
  chatd backup chat-monday.sqlite3            a copy of the database
  chatd token --moderator                     a link for the first moderator
  chatd user add ann                          somebody who signs in with a password
  twistd chatd                                as a daemon, log in ./twistd.log
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command.

    Args:
        arguments: words after the program's name; None: the process's own.

    Raises:
        SystemExit: status 2 for an unknown command or option; otherwise as the command ends.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] in (["--help"], ["-h"]):
        print(_HELP, end="")  # noqa: T201  # the answer to a command
    elif words[:1] == ["--version"]:
        print(f"chatd {__version__}")  # noqa: T201  # the answer to a command
    elif not words or words[0].startswith("-"):
        _serve(words)
    elif words[0] == "serve":
        _serve(words[1:])
    elif words[0] in ("backup", "verify"):
        from chatd.commands import COMMANDS

        COMMANDS[words[0]](words[1:])
    elif words[0] in ("user", "token", "audit", "reindex"):
        from chatd import operator

        operator.COMMANDS[words[0]](words[1:])
    else:
        raise _ended(2, f"chatd: unknown command {words[0]!r}; see chatd --help")


def _serve(words: list[str]) -> None:
    """Become `twistd --nodaemon chatd`, once the options make sense.

    Raises:
        SystemExit: with one line, when they do not: status 2, or 1 when it is the settings.
    """
    from twisted.python import usage
    from twisted.scripts.twistd import run

    from chatd.tap import BadSettings, Options

    # twistd would print its own help first, of which nobody here has heard.
    try:
        twistd, ours = _sorted(words)
        sys.argv = ["chatd", *twistd, "chatd", *ours]
        Options().parseOptions(ours)
    except BadSettings as error:
        raise _ended(1, f"chatd serve: {error}") from None
    except usage.UsageError as error:
        raise _ended(2, f"chatd serve: {error}; see chatd serve --help") from None
    run()


def _sorted(words: list[str]) -> tuple[list[str], list[str]]:
    """Part the words for twistd, whose option `--logger` is, from those for chatd.

    Raises:
        UsageError: no logger has such a name.
    """
    twistd = ["--nodaemon", "--pidfile="]
    ours: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == "--logger":
            twistd.append(_logger(next(rest, "")))
        elif word.startswith("--logger="):
            twistd.append(_logger(word.removeprefix("--logger=")))
        else:
            ours.append(word)
    return twistd, ours


def _logger(name: str) -> str:
    from twisted.python import usage
    from twisted.python.reflect import namedAny

    if not name:
        raise usage.UsageError("--logger: give it a name, e.g. chatd.logs.json_lines")
    try:
        found = namedAny(name)
    except Exception as error:  # whatever the module stumbles over
        words = f"--logger: {name!r} cannot be had: {error}"
        raise usage.UsageError(words) from None
    if not callable(found):
        raise usage.UsageError(f"--logger: {name!r} makes no observer")
    return f"--logger={name}"


def _ended(status: int, words: str) -> SystemExit:
    """Say one line; returns what ends the process."""
    print(words if words.isprintable() else repr(words), file=sys.stderr)  # noqa: T201
    return SystemExit(status)
