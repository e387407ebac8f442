"""What chatd can be told: one table.

The table is the fields of `Config`: each has a section and key of the TOML file, maybe a flag,
a rule for its values and a sentence for people. Flags, `CHATD_SECTION_KEY` variables, the file,
`--help` and docs/configuration.md all come from it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field

from chatd import values
from chatd.rows import Setting, setting

__all__ = ["TABLE", "Config", "Setting"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All settings, checked; never changes after start. Units are in the names."""

    ws: tuple[str, ...] = setting(
        "listen.ws",
        values.several,
        ("tcp:1919:interface=127.0.0.1",),
        "Where the WebSocket server listens; empty: nowhere.",
        flag="ws",
        metavar="ENDPOINT",
    )
    web: tuple[str, ...] = setting(
        "listen.web",
        values.several,
        ("tcp:1920:interface=127.0.0.1",),
        "Where the web site with the page listens; empty: nowhere.",
        flag="web",
        metavar="ENDPOINT",
    )
    compression: bool = setting(
        "listen.compression",
        values.yes_no,
        False,
        "Whether large frames go out compressed to WebSocket peers that offer it: fewer bytes on "
        "the line, for more CPU.",
    )
    database: str = setting(
        "storage.database",
        values.database,
        "chatd.sqlite3",
        "The file in which history is kept; ':memory:' keeps nothing.",
        flag="database",
        metavar="PATH",
    )
    durability: str = setting(
        "storage.durability",
        values.durability,
        "full",
        "What a power cut may take: nothing that was acknowledged (full), or the last moments "
        "(normal, with fewer waits for the disk).",
    )
    free_bytes: int = setting(
        "storage.free_bytes",
        values.whole(0, 1 << 50),
        1 << 30,
        "Publishing is refused while less than this, or 5 % of the disk if that is less, is free; "
        "0: never.",
    )
    keep_days: int = setting(
        "storage.keep_days",
        values.whole(0, 36500),
        0,
        "Messages that are older are removed; 0: none.",
    )
    keep_messages: int = setting(
        "storage.keep_messages",
        values.whole(0, 1_000_000_000),
        0,
        "So many of the newest messages of each room are kept, and those of 10 minutes; 0: all. "
        "The audit log goes by age alone.",
    )
    allow_origin: tuple[str, ...] = setting(
        "access.allow_origin",
        values.origins,
        (),
        "A foreign page that may connect, e.g. https://chat.example; 'null' for file pages.",
        flag="allow-origin",
        metavar="ORIGIN",
    )
    public_url: str = setting(
        "access.public_url",
        values.public_url,
        "",
        "The address people use when chatd is behind a proxy or has a name.",
        flag="public-url",
        metavar="URL",
    )
    greeting: str = setting(
        "plain.greeting",
        values.greeting,
        "connected to WebSocket server",
        "What the plain door says first; empty: nothing.",
        flag="greeting",
        metavar="TEXT",
    )
    echo: bool = setting(
        "plain.echo",
        values.yes_no,
        True,
        "Whether a plain message goes back to its sender too; --no-echo: to the others only.",
        flag="no-echo",
    )
    greeter: bool = setting(
        "plain.greeter",
        values.yes_no,
        False,
        "Open a second door at /greeter, which answers every message the same.",
        flag="greeter",
    )
    page: str = setting(
        "page.folder",
        values.text,
        "",
        "Serve your own page from this folder, read once at start, instead of chatd's.",
        flag="page",
        metavar="DIR",
    )
    keys: tuple[str, ...] = setting(
        "auth.keys",
        values.keys,
        (),
        "Keys of those who say who somebody is, as ALG:FILE, e.g. HS256:/etc/chatd/hs.key or "
        "ES256:/etc/chatd/idp.pem; ALG: HS256, RS256, ES256 or EdDSA. With one nobody comes in "
        "without a token.",
    )
    issuer: str = setting(
        "auth.issuer",
        values.text,
        "",
        "Whose tokens are taken, by their 'iss'; empty: anybody's who has a key.",
    )
    audience: str = setting(
        "auth.audience",
        values.text,
        "",
        "What must be in the 'aud' of a token; empty: anything.",
    )
    users: bool = setting(
        "auth.users",
        values.yes_no,
        False,
        "Whether people sign in at /login with accounts made by 'chatd user'; then nobody comes "
        "in without.",
    )
    plain_rooms: tuple[str, ...] = setting(
        "auth.plain_rooms",
        values.rooms,
        (),
        "Rooms that the plain door leads to, for guests, where all others sign in.",
    )
    token_ttl_s: int = setting(
        "auth.token_ttl_s",
        values.whole(60, 365 * 86400),
        30 * 86400,
        "How long somebody stays signed in by /login or a one-time link.",
    )
    refresh_timeout_s: int = setting(
        "auth.refresh_timeout_s",
        values.whole(10, 3600),
        25,
        "How long after the end of its token a connection may take to show a newer one.",
    )
    message_bytes: int = setting(
        "limits.message_bytes",
        values.whole(1, 450_000),
        65536,
        "The largest message that is taken, as compact JSON; at the plain door, its text.",
    )
    text_chars: int = setting(
        "limits.text_chars",
        values.whole(1, 1 << 20),
        8000,
        "The longest text of a chat message, in characters.",
    )
    publish_per_s: int = setting(
        "limits.publish_per_s",
        values.whole(1, 1_000_000),
        10,
        "Messages a second from one connection.",
    )
    publish_burst: int = setting(
        "limits.publish_burst",
        values.whole(1, 1_000_000),
        100,
        "Messages at once from one connection.",
    )
    commands_per_s: int = setting(
        "limits.commands_per_s",
        values.whole(1, 1_000_000),
        50,
        "Other commands a second from one connection.",
    )
    commands_burst: int = setting(
        "limits.commands_burst",
        values.whole(1, 1_000_000),
        300,
        "Other commands at once from one connection.",
    )
    received_bytes_per_s: int = setting(
        "limits.received_bytes_per_s",
        values.whole(1024, 1 << 30),
        1 << 20,
        "Bytes of messages a second from one connection, whatever they say.",
    )
    received_bytes_burst: int = setting(
        "limits.received_bytes_burst",
        values.whole(1024, 1 << 30),
        8 << 20,
        "Bytes of messages at once from one connection.",
    )
    control_per_s: int = setting(
        "limits.control_per_s",
        values.whole(1, 1_000_000),
        2,
        "Pings and pongs a second from one connection.",
    )
    control_burst: int = setting(
        "limits.control_burst",
        values.whole(1, 1_000_000),
        20,
        "Pings and pongs at once from one connection.",
    )
    fragments: int = setting(
        "limits.fragments", values.whole(1, 65536), 64, "Frames that one message may come in."
    )
    connections: int = setting(
        "limits.connections",
        values.whole(0, 1_000_000),
        0,
        "WebSocket connections in all; 0: the descriptors of the process less 256.",
    )
    connections_per_address: int = setting(
        "limits.connections_per_address",
        values.whole(1, 1_000_000),
        100,
        "Connections from one address (IPv6: one /64); loopback and trusted proxies: any number.",
    )
    rooms_per_connection: int = setting(
        "limits.rooms_per_connection",
        values.whole(1, 100_000),
        128,
        "Rooms in which one connection may be at once.",
    )
    trusted_proxies: tuple[str, ...] = setting(
        "limits.trusted_proxies",
        values.networks,
        (),
        "Addresses or networks of proxies, which bring many people on one address.",
    )
    handshake_bytes: int = setting(
        "limits.handshake_bytes", values.whole(512, 65536), 8192, "The largest opening handshake."
    )
    handshake_timeout_s: int = setting(
        "limits.handshake_timeout_s",
        values.whole(1, 600),
        5,
        "How long an opening handshake may take.",
    )
    connect_timeout_s: int = setting(
        "limits.connect_timeout_s",
        values.whole(1, 600),
        10,
        "How long after the handshake a peer may take to say who it is.",
    )
    grace_s: int = setting(
        "limits.grace_s",
        values.whole(0, 3600),
        15,
        "How long after its last connection a user may come back without having left.",
    )
    recovery_messages: int = setting(
        "limits.recovery_messages",
        values.whole(0, 1_000_000_000),
        200_000,
        "How many missed messages of a room a peer is given; one that missed more begins anew.",
    )
    cached_bytes: int = setting(
        "limits.cached_bytes",
        values.whole(0, 1 << 40),
        64 << 20,
        "What is kept in memory of blocks of history that lagging peers read.",
    )
    stall_timeout_s: int = setting(
        "limits.stall_timeout_s",
        values.whole(1, 3600),
        60,
        "How long a peer above high water may take nothing.",
    )
    ping_interval_s: int = setting(
        "limits.ping_interval_s",
        values.whole(1, 3600),
        25,
        "How often a peer is pinged; a message must be whole within two of these.",
    )
    pong_timeout_s: int = setting(
        "limits.pong_timeout_s",
        values.whole(1, 3600),
        20,
        "How long after a ping there must be a sign of life, or some bytes taken.",
    )
    sdk_pong_timeout_s: int = setting(
        "limits.sdk_pong_timeout_s",
        values.whole(1, 3600),
        10,
        "The same for clients of the SDK, whose pong is a message.",
    )
    close_timeout_s: int = setting(
        "limits.close_timeout_s",
        values.whole(1, 60),
        2,
        "How long a peer may take to answer our Close.",
    )
    linger_timeout_s: int = setting(
        "limits.linger_timeout_s",
        values.whole(1, 60),
        5,
        "How long the last bytes of a closed connection may take.",
    )
    pending_messages: int = setting(
        "limits.pending_messages",
        values.whole(1, 10_000_000),
        4000,
        "Messages of all that may wait to be stored; more are refused.",
    )
    pending_bytes: int = setting(
        "limits.pending_bytes",
        values.whole(1, 1 << 40),
        16 << 20,
        "Bytes of all that may wait to be stored; more are refused.",
    )
    body_bytes: int = setting(
        "limits.body_bytes", values.whole(0, 1 << 30), 65536, "The largest body of an HTTP request."
    )
    request_timeout_s: int = setting(
        "limits.request_timeout_s",
        values.whole(1, 600),
        10,
        "How long an HTTP request may take to arrive whole.",
    )
    response_timeout_s: int = setting(
        "limits.response_timeout_s",
        values.whole(1, 600),
        30,
        "How long an HTTP response may take to be read, and a connection be idle.",
    )
    said: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    """Where each value that is no default came from: a flag, a variable, a file and its key."""

    @property
    def is_shut(self) -> bool:
        """Whether nobody comes in who has not signed in, but plain guests in `plain_rooms`."""
        return bool(self.keys) or self.users

    def where(self, name: str) -> str:
        """Where a setting came from, for an error; its key, when it is a default."""
        row = next(row for row in TABLE if row.name == name)
        return self.said.get(name, f"{row.section}.{row.key}")


TABLE: tuple[Setting, ...] = tuple(
    Setting(name=each.name, default=each.default, **each.metadata)
    for each in dataclasses.fields(Config)
    if each.metadata
)
