"""From the command line to the service: what `twistd chatd` looks for."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from typing import Any

from twisted.application.service import IService
from twisted.python import usage

from chatd import __version__, service
from chatd.config import TABLE, Config, Setting, load
from chatd.errors import ConfigError
from chatd.process import prepare

__all__ = ["BadSettings", "Options", "from_environment", "makeService"]

_EXAMPLES = """\
Examples:
  chatd serve                                      this machine only
  chatd serve --ws tcp:1919 --web tcp:1920         everybody on the LAN
  chatd serve --public-url https://chat.example    behind a proxy
  chatd serve --page ./my-page --greeter           somebody's own page
  chatd serve --logger chatd.logs.json_lines       log as JSON lines
  twistd chatd --config /etc/chatd.toml            as a daemon, log in ./twistd.log
"""


_LOGGER = "logger=NAME"


class BadSettings(usage.UsageError):
    """The options are known, but what they and the other settings say makes no sense."""


class Options(usage.Options):
    """The flags of `config.TABLE`, and `--config`."""

    synopsis = "[options]"
    longdesc = (
        "A chat and broadcast daemon: a WebSocket server and the page that talks to it. An "
        "ENDPOINT is Twisted's: tcp:1919 (every interface), tcp:1919:interface=127.0.0.1, "
        "ssl:443:privateKey=key.pem:certKey=cert.pem, unix:/run/chatd.sock, systemd:… Every "
        "option is also a key of the TOML file and a CHATD_SECTION_KEY variable; "
        "docs/configuration.md lists them all, with the limits."
    )

    def __init__(self) -> None:
        super().__init__()
        self.said: dict[str, object] = {}
        self.file: str | None = None
        self.chosen: Config | None = None

    def getSynopsis(self) -> str:
        """Twisted: the first line of the help."""
        if _is_chatd():
            return "Usage: chatd serve [options]"
        return str(super().getSynopsis())

    def getUsage(self, width: int | None = None) -> str:
        """Twisted: the help; with what options take, and examples as they are, unfolded."""
        names = {row.flag: f"{row.flag}={row.metavar}" for row in TABLE if row.metavar}
        names["config"] = "config=FILE"
        # Twisted shows a bare `--ws=`: it is told that this is the whole name of a switch.
        shown = type(self)()
        shown.longOpt = [names.get(each.rstrip("="), each) for each in self.longOpt]
        shown.docs = {names.get(name, name): words for name, words in self.docs.items()}
        shown.synonyms = {
            names.get(name, name): names.get(of, of) for name, of in self.synonyms.items()
        }
        if _is_chatd():  # else it is an option of twistd, which stands before `chatd`
            shown.longOpt.append(_LOGGER)
            shown.docs[_LOGGER] = "Log with what this makes, e.g. chatd.logs.json_lines."
            shown.synonyms[_LOGGER] = _LOGGER
        return f"{usage.Options.getUsage(shown, width)}\n{_EXAMPLES}"

    opt_h = usage.Options.opt_help

    def opt_config(self, file: str) -> None:
        """Read settings from this TOML file."""
        self.file = file

    def opt_version(self) -> None:
        """Print chatd's version and end."""
        print(f"chatd {__version__}")  # noqa: T201  # the answer to a command
        sys.exit(0)

    def parseArgs(self, *extra: str) -> None:
        """Twisted: what is no option.

        Raises:
            UsageError: there is something.
        """
        if extra:
            raise usage.UsageError(f"unexpected argument {extra[0]!r}")

    def postOptions(self) -> None:
        """Twisted: everything was parsed.

        Raises:
            BadSettings: the settings make no sense.
        """
        try:
            self.chosen = load(self.said, os.environ, self.file)
        except ConfigError as error:
            raise BadSettings(str(error)) from None


def _is_chatd() -> bool:
    return os.path.basename(sys.argv[0]) == "chatd"


def _option(row: Setting) -> Callable[..., None]:
    """The method with which `usage.Options` hears of a flag; its docstring is the help."""

    def switch(self: Options) -> None:
        self.said[row.name] = row.switched_to

    def one(self: Options, value: str) -> None:
        self.said[row.name] = value

    def another(self: Options, value: str) -> None:
        before: Any = self.said.get(row.name, ())
        self.said[row.name] = (*before, value)

    option: Callable[..., None]
    if row.switched_to is not None:
        option, words = switch, row.help
    elif row.repeats:
        option, words = another, f"{row.help} May be repeated."
    else:
        option, words = one, row.help
    option.__doc__ = f"{words}{_default(row)}"
    return option


def _default(row: Setting) -> str:
    default = row.default
    if row.switched_to is not None or not default:
        return ""
    return f" [default: {' '.join(default) if isinstance(default, tuple) else default}]"


for _row in TABLE:
    if _row.flag:
        setattr(Options, f"opt_{_row.flag.replace('-', '_')}", _option(_row))


def makeService(options: Options) -> IService:
    """Twisted: make the service that these options describe; it listens already.

    Raises:
        SystemExit: with one line, when chatd cannot be put together or cannot listen.
    """
    from twisted.internet import reactor

    assert options.chosen is not None
    prepare(reactor)
    try:
        return service.build(options.chosen, reactor)
    except ConfigError as error:
        raise SystemExit(f"chatd: {error}") from None


def from_environment(words: str) -> IService:
    """Make the service for `chatd.tac`, to which twistd gives no options.

    Args:
        words: the options, as a shell would take them: what `CHATD_OPTIONS` holds.

    Raises:
        SystemExit: with one line, when they make no sense.
    """
    options = Options()
    try:
        options.parseOptions(shlex.split(words))
    except (usage.UsageError, ValueError) as error:
        raise SystemExit(f"chatd: {error}") from None
    return makeService(options)
