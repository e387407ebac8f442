"""Which pages may connect, and under which names chatd may be reached.

A browser sends a page's `Origin` along, and any page anywhere may try; and a foreign name that
resolves to this machine makes a foreign page look like one of ours (DNS rebinding). So an origin
must be known, and so must the name in `Host`. Programs that are no browsers send no `Origin`.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import urlsplit

from chatd import values

__all__ = ["Access", "Refused", "own_names"]

_REMEMBERED = 256  # values of a header: a server has few names, and few pages lead to it


@dataclass(frozen=True, slots=True)
class Refused:
    """Why somebody may not come in, for the log.

    Args:
        what: `host` or `origin`.
        value: what they sent; text of a stranger.
        flag: what the operator would add to allow it; text of a stranger too.
    """

    what: str
    value: str
    flag: str


def own_names() -> frozenset[str]:
    """The names of this machine: host name, FQDN and `<host>.local`, in lower case.

    Asks the resolver, which may take a moment; call it before the reactor runs.
    """
    host = socket.gethostname().lower()
    first = host.split(".")[0]
    return frozenset({"localhost", host, socket.getfqdn().lower(), first, f"{first}.local"})


class Access:
    """The rule for `Host` and `Origin`, the same on both ports.

    Args:
        names: names of this machine, lower case.
        public_url: the origin people use, as the configuration gives it; empty: none.
        allow_origin: origins that may connect besides ours; `null` is one of them or is not.
    """

    def __init__(
        self, names: frozenset[str], *, public_url: str = "", allow_origin: tuple[str, ...] = ()
    ) -> None:
        self._allowed = frozenset(allow_origin) | ({public_url} if public_url else frozenset())
        public_host = urlsplit(public_url).hostname
        self._names = names | ({public_host} if public_host else frozenset())
        self._own_name = lru_cache(_REMEMBERED)(self._name)
        self.ports: set[int] = set()
        """The ports chatd listens on, once it does."""

    def refuse(self, host: str | None, origin: str | None) -> Refused | None:
        """Judge a request.

        Args:
            host: its `Host` header, None when it has none.
            origin: its `Origin` header, None when it has none.

        Returns:
            None when it may come in.
        """
        name = self._own_name(host or "")
        if name is None:
            return Refused("host", host or "", f"--public-url http://{host or 'HOST'}")
        if origin is None or self._allows(name, origin):
            return None
        return Refused("origin", origin, f"--allow-origin {origin}")

    def _allows(self, name: str, origin: str) -> bool:
        try:
            page = _page(origin)
        except ValueError:
            return False
        if page in self._allowed:
            return True
        parts = urlsplit(page)
        port = parts.port or values.DEFAULT_PORTS.get(parts.scheme)
        page_host = (parts.hostname or "").rstrip(".")
        return parts.scheme in values.DEFAULT_PORTS and page_host == name and port in self.ports

    def _name(self, host: str) -> str | None:
        """The name in a Host header, if it is one of ours."""
        name = _host_name(host)
        return name if name is not None and self._known(name) else None

    def _known(self, name: str) -> bool:
        if name in self._names:
            return True
        try:
            ip_address(name)
        except ValueError:
            return False
        return True


_page = lru_cache(_REMEMBERED)(values.origin)


def _host_name(host: str) -> str | None:
    """The name in a Host header (RFC 9110 7.2), without port and brackets; None: malformed."""
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port
    except ValueError:
        return None
    if parts.netloc != host or "@" in host or parts.hostname is None:
        return None
    return parts.hostname.rstrip(".")
