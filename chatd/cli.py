"""The `chatd` command, which is `python -m chatd` too."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from chatd import __version__

__all__ = ["main"]

_HELP = """\
Usage: chatd [command] [options]

Commands:
  serve    run the daemon in the foreground; the command when none is given

Options:
  --help       this text; chatd serve --help lists the options of serve
  --version    the version

Examples:
  chatd serve                                 open http://localhost:1920
  chatd serve --ws tcp:1919 --web tcp:1920    for everybody on the LAN
  chatd serve --logger chatd.logs.json_lines  log as JSON lines
  twistd chatd                                as a daemon, log in ./twistd.log
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command.

    Args:
        arguments: words after the program's name; None: the process's own.

    Raises:
        SystemExit: with status 2 for an unknown command; otherwise as the command ends.
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
    else:
        print(f"chatd: unknown command {words[0]!r}; see chatd --help", file=sys.stderr)  # noqa: T201
        raise SystemExit(2)


def _serve(words: list[str]) -> None:
    """Become `twistd --nodaemon chatd`, once the options make sense.

    Raises:
        SystemExit: with status 1 and one line, when they do not.
    """
    from twisted.python import usage
    from twisted.scripts.twistd import run

    from chatd.tap import Options

    twistd, ours = _sorted(words)
    sys.argv = ["chatd", *twistd, "chatd", *ours]
    try:
        Options().parseOptions(ours)
    except usage.UsageError as error:
        # twistd would print its own help first, of which nobody here has heard.
        raise SystemExit(f"chatd serve: {error}") from None
    run()


def _sorted(words: list[str]) -> tuple[list[str], list[str]]:
    """Part the words for twistd, whose option `--logger` is, from those for chatd."""
    twistd = ["--nodaemon", "--pidfile="]
    ours: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == "--logger":
            twistd.append(f"--logger={next(rest, '')}")
        elif word.startswith("--logger="):
            twistd.append(word)
        else:
            ours.append(word)
    return twistd, ours
