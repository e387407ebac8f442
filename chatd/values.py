"""Rules for the values of settings.

Each takes what the TOML file has, or the text of a flag or variable, and returns what `Config`
holds. It raises ValueError with words that follow "must be".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import ip_network
from urllib.parse import urlsplit

__all__ = [
    "database",
    "durability",
    "greeting",
    "keys",
    "networks",
    "origin",
    "origins",
    "public_url",
    "rooms",
    "several",
    "text",
    "whole",
    "yes_no",
]

DEFAULT_PORTS = {"http": 80, "https": 443}

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")
_HOST = re.compile(r"[a-z0-9_.-]+|[0-9a-f:.]+")  # a name as it is on the wire, or an address
_KEY = re.compile(r"(HS256|RS256|ES256|EdDSA):[^\0]+")
_MOST_KEYS = 10
_ROOM = re.compile(r"[A-Za-z0-9_.:-]{1,100}")
_MOST_ROOMS = 1000


def text(value: object) -> str:
    """Any text without U+0000."""
    if not isinstance(value, str) or "\0" in value:
        raise ValueError("text")
    return value


def greeting(value: object) -> str:
    """A text of at most 1000 bytes."""
    words = text(value)
    try:
        size = len(words.encode())
    except UnicodeEncodeError:  # a variable that is not UTF-8
        raise ValueError("text in UTF-8") from None
    if size > 1000:
        raise ValueError("text of at most 1000 bytes")
    return words


def yes_no(value: object) -> bool:
    """A boolean, or one of the words people use for it."""
    if isinstance(value, bool):
        return value
    known = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
    if not isinstance(value, str) or value.lower() not in known:
        raise ValueError("true or false")
    return known[value.lower()]


def whole(least: int, most: int) -> Callable[[object], int]:
    """A rule for whole numbers from `least` to `most`."""

    def rule(value: object) -> int:
        words = f"a whole number from {least} to {most}"
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise ValueError(words)
        try:
            number = int(value)
        except ValueError:
            raise ValueError(words) from None
        if not least <= number <= most:
            raise ValueError(words)
        return number

    return rule


def several(value: object) -> tuple[str, ...]:
    """Several words: a list in the file, separated by spaces in a variable."""
    if isinstance(value, str):
        value = value.split()
    if not isinstance(value, list | tuple) or not all(isinstance(word, str) for word in value):
        raise ValueError("a list of texts")
    return tuple(word for word in value if word)


def networks(value: object) -> tuple[str, ...]:
    """Several IP addresses or networks."""
    words = several(value)
    for word in words:
        try:
            ip_network(word, strict=False)
        except ValueError:
            raise ValueError("addresses or networks such as 10.0.0.5 or 10.0.0.0/8") from None
    return words


def keys(value: object) -> tuple[str, ...]:
    """At most 10 keys as `ALG:FILE`."""
    words = several(value)
    if len(words) > _MOST_KEYS or not all(_KEY.fullmatch(word) for word in words):
        raise ValueError(
            f"at most {_MOST_KEYS} of ALG:FILE such as ES256:/etc/chatd/idp.pem, "
            f"ALG being HS256, RS256, ES256 or EdDSA"
        )
    return words


def rooms(value: object) -> tuple[str, ...]:
    """At most 1000 names of rooms, in lower case."""
    words = several(value)
    if len(words) > _MOST_ROOMS or not all(_ROOM.fullmatch(word) for word in words):
        raise ValueError(f"at most {_MOST_ROOMS} names of 1 to 100 of A-Z a-z 0-9 _ . : -")
    return tuple(word.lower() for word in words)


def origin(value: str) -> str:
    """One origin as browsers send it (RFC 6454 6.2), in one spelling, or `null`.

    Lower case, no default port, no trailing slash. `file:` pages are `null`, as browsers say.
    """
    words = "an origin such as https://chat.example or http://10.0.0.5:8080, or null"
    if value == "null" or value.lower().startswith("file:"):
        return "null"
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise ValueError(words) from None
    bare = not (parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc)
    host = parts.hostname or ""
    if not (_SCHEME.fullmatch(parts.scheme) and _HOST.fullmatch(host) and bare):
        raise ValueError(words)
    host = f"[{host}]" if ":" in host else host
    shown = "" if port in (None, DEFAULT_PORTS.get(parts.scheme)) else f":{port}"
    return f"{parts.scheme}://{host}{shown}"


def origins(value: object) -> tuple[str, ...]:
    """Several origins."""
    return tuple(origin(word) for word in several(value))


def public_url(value: object) -> str:
    """The origin of a web site; empty for none."""
    url = text(value)
    if url and not url.lower().startswith(("http://", "https://")):
        raise ValueError("a URL such as https://chat.example")
    return origin(url) if url else ""


def durability(value: object) -> str:
    """How safe a commit is: `full` or `normal`."""
    if value not in ("full", "normal"):
        raise ValueError("full or normal")
    return str(value)


def database(value: object) -> str:
    """The path of a file, or ':memory:'."""
    words = "the path of a file such as chatd.sqlite3, or ':memory:'"
    try:
        path = text(value)
    except ValueError:
        raise ValueError(words) from None
    # The second: a ':memory:' with a slip of the finger, which would be a strange file.
    if path.rpartition("/")[2] in ("", ".", "..") or (path[0] == ":" and path != ":memory:"):
        raise ValueError(words)
    return path
