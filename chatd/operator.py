"""`chatd user`, `token`, `audit` and `reindex`: what the operator does, daemon or not."""

from __future__ import annotations

import getpass
import json
import os
import re
import secrets
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from getopt import GetoptError

from chatd import passwords, secret
from chatd.asking import ask
from chatd.brokers.lookup import Deed, accounts, deeds
from chatd.brokers.sqlite_file import missing
from chatd.commands import OPTIONS, complain, metered, parsed, run, say, settings
from chatd.config import Config
from chatd.core import names
from chatd.core.accounts import NAME_RULE, account_name
from chatd.core.audit import OPERATOR
from chatd.errors import ChatError, ConfigError
from chatd.tokens import Signer

__all__ = ["COMMANDS"]

_CODE_S = 24 * 3600
_MEMORY = "one in memory is the daemon's alone"

_USER = f"""\
Usage: chatd user add NAME [--moderator] [options]
       chatd user passwd NAME [options]
       chatd user remove NAME [options]
       chatd user list [options]

Accounts of people who sign in at /login, where auth.users is set. The daemon may run: what is
changed holds at once. With another password, or removed, somebody is signed out everywhere. A
name that is made again is the same user, whose rooms and direct messages are there again.

The password has {passwords.SHORTEST} to {passwords.LONGEST} characters. It is asked for twice on \
a terminal; else it is one
line of standard input. NAME is 1 to 32 of A-Z a-z 0-9 _ . - and the nick; case makes no difference.

Options:
  --moderator        with add: of this server
{OPTIONS}
Status: 0 when it is done, 1 when it cannot be, 2 for a wrong option.

Examples:
  chatd user add ann
  chatd user add --moderator bob
  pwgen 16 1 | tee ann.txt | chatd user passwd ann
"""

_TOKEN = f"""\
Usage: chatd token --moderator [--nick NICK] [options]

Print a link with which somebody signs in as a moderator: once, within 24 hours. Nothing is asked
of the daemon; both read the secret beside the database. Whoever has the link can use it.

Options:
  --moderator        what the link is for; there is no other kind
  --nick NICK        the nick that they get; default: one is made up
  --public-url URL   the address people use; default: what the daemon would use
{OPTIONS}
Status: 0 when it is printed, 1 when it cannot be made, 2 for a wrong option.

Examples:
  chatd token --moderator --nick ann
  chatd token --moderator --public-url https://chat.example
  chatd token --moderator --public-url http://chat.local:1920    for somebody on the LAN
"""

_AUDIT = f"""\
Usage: chatd audit [options]

Tell what moderators and operators did, one line each, the newest last. Nothing is changed; the
daemon may run. Times are UTC. With the action "link" somebody signed in by a one-time link.

Options:
  --since WHEN       since a day or time, as 2026-11-22 or 2026-11-22T10:30, or an age, as 90m,
                     12h or 7d
  -n NUMBER          only so many of the newest
  --json             as lines of JSON
{OPTIONS}
Status: 0, 1 when it cannot be read, 2 for a wrong option.

Examples:
  chatd audit -n 20
  chatd audit --since 7d --json | jq 'select(.action == "ban")'
"""

_REINDEX = f"""\
Usage: chatd reindex [options]

Make the index of words, which searches use, anew from the messages. The daemon may run; meanwhile
searches find less.

Options:
{OPTIONS}
Status: 0 when it is done, 1 when it cannot be, 2 for a wrong option.

Examples:
  chatd reindex
  chatd reindex --database /var/lib/chatd/chatd.sqlite3
"""

_AGE = re.compile(r"(\d{1,6})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_ENDPOINT = re.compile(r"(tcp|tcp4|tcp6|ssl):(?:port=)?(\d+)((?::.*)?)")
_INTERFACE = re.compile(r":interface=((?:\\:|[^:])+)")
_ANYWHERE = {"0.0.0.0", "::", "127.0.0.1", "::1"}


def _user(words: Sequence[str]) -> int:
    """Do something to accounts; returns the status."""
    said, rest = parsed(_USER, words, "moderator")
    action, *named = rest or [""]
    if action not in ("add", "passwd", "remove", "list"):
        raise GetoptError("say add, passwd, remove or list")
    if len(named) != (action != "list"):
        raise GetoptError("give one NAME" if action != "list" else "list takes no NAME")
    if "moderator" in said and action != "add":
        raise GetoptError("--moderator goes with add")
    config = settings(said, memory=_MEMORY)
    if action == "list":
        for account in accounts(config.database):
            say(f"{account.nick} moderator" if account.is_moderator else account.nick)
        return 0
    name = _name(named[0])
    if not os.path.exists(config.database):  # before somebody types a password in vain
        raise missing(config.database)
    request: dict[str, object] = {"do": f"user {action}", "name": name}
    if action != "remove":
        request["hash"] = passwords.hashed(_password())
        request["moderator"] = "moderator" in said
    done = ask(config.database, request, lambda done, total: None)
    say(f"{action}: {done['nick']}")
    if action == "add" and not config.users:
        # Maybe only here: the daemon may have been told otherwise.
        complain(
            "chatd user: auth.users is not set here; a daemon for which it is not lets nobody "
            "sign in with it: CHATD_AUTH_USERS=yes chatd serve"
        )
    return 0


def _name(text: str) -> str:
    try:
        return account_name(text)
    except ChatError:
        raise ConfigError(f"{text!r}: {NAME_RULE}") from None


def _password() -> str:
    """A password: typed twice, or a line of standard input.

    Raises:
        ConfigError: it is too short or too long, or the two are not equal.
    """
    try:
        if sys.stdin.isatty():
            password = _sound(getpass.getpass("Password: "))
            if getpass.getpass("The same again: ") != password:
                raise ConfigError("these are two different passwords")
            return password
        # One character more tells what is too long.
        return _sound(sys.stdin.readline(passwords.LONGEST + 2).removesuffix("\n"))
    except (EOFError, UnicodeDecodeError):
        raise ConfigError("a password is UTF-8, on one line") from None


def _sound(password: str) -> str:
    if not passwords.SHORTEST <= len(password) <= passwords.LONGEST:
        raise ConfigError(f"a password has {passwords.SHORTEST} to {passwords.LONGEST} characters")
    if any(each < " " or each == "\x7f" or "\ud800" <= each <= "\udfff" for each in password):
        raise ConfigError("a password has no control characters, and is UTF-8")
    return password


def _token(words: Sequence[str]) -> int:
    """Print a one-time link; returns the status."""
    said, rest = parsed(_TOKEN, words, "moderator", "nick=", "public-url=")
    if rest:
        raise GetoptError(f"unexpected argument {rest[0]!r}")
    if "moderator" not in said:
        raise GetoptError("say --moderator: there are no other links")
    config = settings(said, memory=_MEMORY)
    nick = said.get("nick", "")
    try:
        if nick:
            names.nick(nick)
    except ChatError as error:
        raise ConfigError(f"--nick: {error.refusal.words}") from None
    if not os.path.exists(config.database):
        raise missing(config.database)
    signer = Signer(secret.read(config.database))
    code = signer.code(nick, nonce=secrets.token_hex(8), now_s=_now_s(), ttl_s=_CODE_S)
    say(f"{config.public_url or _address(config)}/login#{code}")
    return 0


def _address(config: Config) -> str:
    """Where the site is, as somebody on this machine reaches it.

    Raises:
        ConfigError: it cannot be told.
    """
    for endpoint in config.web:
        parts = _ENDPOINT.fullmatch(endpoint)
        if parts is None:
            continue
        kind, port, rest = parts.groups()
        interface = _INTERFACE.search(rest)
        host = interface[1].replace("\\:", ":") if interface else "0.0.0.0"
        shown = "localhost" if host in _ANYWHERE else f"[{host}]" if ":" in host else host
        return f"{'https' if kind == 'ssl' else 'http'}://{shown}:{port}"
    raise ConfigError("nobody knows the address of the site: give --public-url")


def _audit(words: Sequence[str]) -> int:
    """Tell the audit log; returns the status."""
    said, rest = parsed(_AUDIT, words, "since=", "json", short="n:")
    if rest:
        raise GetoptError(f"unexpected argument {rest[0]!r}")
    number = said.get("n", "")
    if number and not re.fullmatch(r"[0-9]{1,9}", number):
        raise GetoptError(f"-n: {number!r} is no number")
    since_ms = _since_ms(said["since"]) if "since" in said else 0
    path = settings(said, memory=_MEMORY).database
    for deed in deeds(path, since_ms=since_ms, most=int(number) if number else -1):
        say(_as_json(deed) if "json" in said else _as_words(deed))
    return 0


def _since_ms(when: str) -> int:
    """A time in milliseconds since 1970.

    Raises:
        GetoptError: it is none.
    """
    age = _AGE.fullmatch(when)
    if age is not None:
        return int((_now_s() - int(age[1]) * _SECONDS[age[2]]) * 1000)
    try:
        found = datetime.fromisoformat(when)
        since = found if found.tzinfo else found.replace(tzinfo=UTC)
        return (since - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        raise GetoptError(f"--since: {when!r} is no time; say 2026-11-22 or 12h") from None


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _time(deed: Deed) -> str:
    at = _EPOCH + timedelta(milliseconds=deed.time_ms)
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")


def _as_json(deed: Deed) -> str:
    return json.dumps({"time": _time(deed), **deed.said})


def _as_words(deed: Deed) -> str:
    """A line of a terminal: nothing in it is obeyed."""
    rest = dict(deed.said)
    action, by, nick = (str(rest.pop(name, "?")) for name in ("action", "by", "nick"))
    rest.pop("type", None)
    who = _plain(nick) if by in (nick, OPERATOR.user) else f"{_plain(nick)} ({_plain(by)})"
    more = "".join(f" {_plain(name)}={_plain(value)}" for name, value in rest.items())
    return f"{_time(deed)} {who}: {_plain(action, spaces=True)}{more}"


def _plain(value: object, *, spaces: bool = False) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    sound = text.isprintable() and text and (spaces or " " not in text)
    return text if sound else json.dumps(text)


def _reindex(words: Sequence[str]) -> int:
    """Make the index of words anew; returns the status."""
    said, rest = parsed(_REINDEX, words)
    if rest:
        raise GetoptError(f"unexpected argument {rest[0]!r}")
    path = settings(said, memory=_MEMORY).database
    with metered("indexing") as meter:
        ask(path, {"do": "reindex"}, meter)
    say("indexed")
    return 0


def _now_s() -> float:
    return time.time()  # noqa: TID251  # a command has no reactor


def _command(name: str, command: Callable[[Sequence[str]], int]) -> Callable[[Sequence[str]], None]:
    return lambda words: run(name, command, words)


COMMANDS: Mapping[str, Callable[[Sequence[str]], None]] = {
    name: _command(name, command)
    for name, command in (
        ("user", _user),
        ("token", _token),
        ("audit", _audit),
        ("reindex", _reindex),
    )
}
"""By name: take the words after the name; SystemExit ends them, but for status 0."""
