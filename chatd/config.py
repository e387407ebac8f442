"""What chatd can be told, from one table.

The table is the fields of `Config`: each has a section and key of the TOML file, maybe a flag,
a rule for its values and a sentence for people. Flags, `CHATD_SECTION_KEY` variables, the file,
`--help` and docs/configuration.md all come from it. A flag wins over the environment, which
wins over the file, which wins over the default.
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from chatd import values
from chatd.errors import ConfigError

__all__ = ["TABLE", "Config", "Setting", "load"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table.

    Args:
        name: the field of `Config`.
        section: of the TOML file.
        key: within the section.
        flag: without dashes; empty when there is none.
        metavar: what the flag takes; empty for a switch.
        repeats: whether the flag may be given several times.
        help: one sentence.
        default: its value when nobody says anything.
        rule: from what was said to a value; raises ValueError with words after "must be".
    """

    name: str
    section: str
    key: str
    flag: str
    metavar: str
    repeats: bool
    help: str
    default: object
    rule: Callable[[object], object]

    @property
    def variable(self) -> str:
        """Its name in the environment."""
        return f"CHATD_{self.section}_{self.key}".upper()

    @property
    def switched_to(self) -> bool | None:
        """What a switch sets when given (`--no-echo`: false); None for a flag with a value."""
        return (not self.default) if isinstance(self.default, bool) else None


def _setting(
    where: str,
    rule: Callable[[Any], T],
    default: T,
    words: str,
    *,
    flag: str = "",
    metavar: str = "",
) -> T:
    section, key = where.split(".")
    return field(
        default=default,
        metadata={
            "section": section,
            "key": key,
            "flag": flag,
            "metavar": metavar,
            "repeats": isinstance(default, tuple),
            "help": words,
            "rule": rule,
        },
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All settings, checked; never changes after start. Units are in the names."""

    ws: tuple[str, ...] = _setting(
        "listen.ws",
        values.several,
        ("tcp:1919:interface=127.0.0.1",),
        "Where the WebSocket server listens; empty: nowhere.",
        flag="ws",
        metavar="ENDPOINT",
    )
    web: tuple[str, ...] = _setting(
        "listen.web",
        values.several,
        ("tcp:1920:interface=127.0.0.1",),
        "Where the web site with the page listens; empty: nowhere.",
        flag="web",
        metavar="ENDPOINT",
    )
    database: str = _setting(
        "storage.database",
        values.database,
        ":memory:",
        "Where history is kept; ':memory:' keeps nothing.",
        flag="database",
        metavar="PATH",
    )
    allow_origin: tuple[str, ...] = _setting(
        "access.allow_origin",
        values.origins,
        (),
        "A foreign page that may connect, e.g. https://chat.example; 'null' for file pages.",
        flag="allow-origin",
        metavar="ORIGIN",
    )
    public_url: str = _setting(
        "access.public_url",
        values.public_url,
        "",
        "The address people use when chatd is behind a proxy or has a name.",
        flag="public-url",
        metavar="URL",
    )
    greeting: str = _setting(
        "plain.greeting",
        values.greeting,
        "connected to WebSocket server",
        "What the plain door says first; empty: nothing.",
        flag="greeting",
        metavar="TEXT",
    )
    echo: bool = _setting(
        "plain.echo",
        values.yes_no,
        True,
        "Send a plain message back to its sender too; with --no-echo, to the others only.",
        flag="no-echo",
    )
    greeter: bool = _setting(
        "plain.greeter",
        values.yes_no,
        False,
        "Open a second door at /greeter, which answers every message the same.",
        flag="greeter",
    )
    page: str = _setting(
        "page.folder",
        values.text,
        "",
        "Serve your own page from this folder, read once at start, instead of chatd's.",
        flag="page",
        metavar="DIR",
    )
    message_bytes: int = _setting(
        "limits.message_bytes",
        values.whole(1, 1 << 20),
        65536,
        "The largest message that is taken.",
    )
    publish_per_s: int = _setting(
        "limits.publish_per_s",
        values.whole(1, 1_000_000),
        10,
        "Messages a second from one connection.",
    )
    publish_burst: int = _setting(
        "limits.publish_burst",
        values.whole(1, 1_000_000),
        100,
        "Messages at once from one connection.",
    )
    control_per_s: int = _setting(
        "limits.control_per_s",
        values.whole(1, 1_000_000),
        2,
        "Pings and pongs a second from one connection.",
    )
    control_burst: int = _setting(
        "limits.control_burst",
        values.whole(1, 1_000_000),
        20,
        "Pings and pongs at once from one connection.",
    )
    fragments: int = _setting(
        "limits.fragments", values.whole(1, 65536), 64, "Frames that one message may come in."
    )
    connections: int = _setting(
        "limits.connections",
        values.whole(0, 1_000_000),
        0,
        "WebSocket connections in all; 0: the descriptors of the process less 256.",
    )
    connections_per_address: int = _setting(
        "limits.connections_per_address",
        values.whole(1, 1_000_000),
        100,
        "Connections from one address (IPv6: one /64); loopback and trusted proxies: any number.",
    )
    trusted_proxies: tuple[str, ...] = _setting(
        "limits.trusted_proxies",
        values.networks,
        (),
        "Addresses or networks of proxies, which bring many people on one address.",
    )
    handshake_bytes: int = _setting(
        "limits.handshake_bytes", values.whole(512, 65536), 8192, "The largest opening handshake."
    )
    handshake_timeout_s: int = _setting(
        "limits.handshake_timeout_s",
        values.whole(1, 600),
        5,
        "How long an opening handshake may take.",
    )
    held_bytes: int = _setting(
        "limits.held_bytes",
        values.whole(0, 1 << 30),
        262144,
        "What is kept for a peer that is above high water (64 KiB unsent); beyond it is closed.",
    )
    stall_timeout_s: int = _setting(
        "limits.stall_timeout_s",
        values.whole(1, 3600),
        60,
        "How long a peer above high water may take nothing.",
    )
    ping_interval_s: int = _setting(
        "limits.ping_interval_s",
        values.whole(1, 3600),
        25,
        "How often a peer is pinged; a message must be whole within two of these.",
    )
    pong_timeout_s: int = _setting(
        "limits.pong_timeout_s",
        values.whole(1, 3600),
        20,
        "How long after a ping there must be a sign of life, or some bytes taken.",
    )
    close_timeout_s: int = _setting(
        "limits.close_timeout_s",
        values.whole(1, 60),
        2,
        "How long a peer may take to answer our Close.",
    )
    linger_timeout_s: int = _setting(
        "limits.linger_timeout_s",
        values.whole(1, 60),
        5,
        "How long the last bytes of a closed connection may take.",
    )
    pending_messages: int = _setting(
        "limits.pending_messages",
        values.whole(1, 10_000_000),
        100_000,
        "Messages of all that may wait for the end of a turn; more are refused.",
    )
    pending_bytes: int = _setting(
        "limits.pending_bytes",
        values.whole(1, 1 << 40),
        67_108_864,
        "Bytes of all that may wait for the end of a turn; more are refused.",
    )
    body_bytes: int = _setting(
        "limits.body_bytes", values.whole(0, 1 << 30), 65536, "The largest body of an HTTP request."
    )
    request_timeout_s: int = _setting(
        "limits.request_timeout_s",
        values.whole(1, 600),
        10,
        "How long an HTTP request may take to arrive whole.",
    )
    response_timeout_s: int = _setting(
        "limits.response_timeout_s",
        values.whole(1, 600),
        30,
        "How long an HTTP response may take to be read, and a connection be idle.",
    )
    said: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    """Where each value that is no default came from: a flag, a variable, a file and its key."""

    def where(self, name: str) -> str:
        """Where a setting came from, for an error; its key, when it is a default."""
        row = next(row for row in TABLE if row.name == name)
        return self.said.get(name, f"{row.section}.{row.key}")


TABLE: tuple[Setting, ...] = tuple(
    Setting(name=each.name, default=each.default, **each.metadata)
    for each in dataclasses.fields(Config)
    if each.metadata
)


def load(
    flags: Mapping[str, object], environment: Mapping[str, str], file: str | None = None
) -> Config:
    """Put together what was said in three places.

    Args:
        flags: field name to what the command line said, only for what it did say.
        environment: of the process.
        file: path of a TOML file; None: `CHATD_CONFIG`, or no file.

    Raises:
        ConfigError: an unreadable file, an unknown key or a value out of its rule; it names
            the file or variable and the key.
    """
    file = file if file is not None else environment.get("CHATD_CONFIG") or None
    said: dict[str, tuple[str, object]] = {}
    if file is not None:
        said.update(_from_file(Path(file)))
    said.update(_from_environment(environment))
    for row in TABLE:
        if row.name in flags:
            said[row.name] = (f"--{row.flag}", flags[row.name])
    chosen: dict[str, Any] = {}
    for row in TABLE:
        if row.name in said:
            where, value = said[row.name]
            try:
                chosen[row.name] = row.rule(value)
            except ValueError as error:
                shown = " ".join(value) if isinstance(value, tuple) else value
                raise ConfigError(f"{where}: must be {error}, not {shown!r}") from None
    config = Config(**chosen, said={name: where for name, (where, _) in said.items()})
    if not config.ws and not config.web:
        raise ConfigError("nothing to listen on: give --ws or --web an endpoint")
    if config.pong_timeout_s >= config.ping_interval_s:
        where = config.where("pong_timeout_s")
        raise ConfigError(f"{where}: must be less than limits.ping_interval_s")
    return config


def _from_file(path: Path) -> dict[str, tuple[str, object]]:
    try:
        with path.open("rb") as file:
            sections = tomllib.load(file)
    except OSError as error:
        raise ConfigError(f"cannot read {str(path)!r}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # also not UTF-8, endless numbers, deep lists
        raise ConfigError(f"{str(path)!r} is not TOML: {error}") from None
    rows = {(row.section, row.key): row for row in TABLE}
    said: dict[str, tuple[str, object]] = {}
    for section, keys in sections.items():
        if not isinstance(keys, dict):
            raise ConfigError(f"{str(path)!r}: unknown key {section!r} outside a section")
        if section not in {row.section for row in TABLE}:
            raise ConfigError(f"{str(path)!r}: unknown section {section!r}")
        for key, value in keys.items():
            row = rows.get((section, key))
            if row is None:
                raise ConfigError(f"{str(path)!r}: unknown key {f'{section}.{key}'!r}")
            said[row.name] = (f"{str(path)!r}: {section}.{key}", value)
    return said


def _from_environment(environment: Mapping[str, str]) -> dict[str, tuple[str, object]]:
    rows = {row.variable: row for row in TABLE}
    ours = tuple({f"CHATD_{row.section}_".upper() for row in TABLE})
    said: dict[str, tuple[str, object]] = {}
    for variable, value in environment.items():
        if variable in rows:
            said[rows[variable].name] = (variable, value)
        # Other CHATD_ names belong to somebody else: Kubernetes makes CHATD_SERVICE_HOST.
        elif variable.startswith(ours):
            raise ConfigError(f"unknown variable {variable!r}")
    return said
