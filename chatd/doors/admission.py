"""How many may be here: in all, and from one address."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from chatd.config import Config
from chatd.errors import ConfigError

__all__ = ["RESERVE", "Admission", "most_connections"]

RESERVE = 256
"""Descriptors kept for everything that is not a WebSocket connection."""

_REMEMBERED = 1024  # addresses, of which each connection asks three times

_POLITE = RESERVE // 2  # sockets beyond the limit that live long enough to be told 503


def most_connections(config: Config, descriptors: int) -> int:
    """How many connections may be open.

    Args:
        config: the settings.
        descriptors: so many the process may have.

    Raises:
        ConfigError: that is too few for what is wanted.
    """
    most, wanted = descriptors - RESERVE, max(config.connections, 1)
    if wanted > most:
        raise ConfigError(
            f"{config.where('connections')}: {wanted} need {wanted + RESERVE} descriptors, and "
            f"the process may have {descriptors}; see ulimit -n"
        )
    return config.connections or most


class Admission:
    """Counts sockets and open connections, of both ports together.

    A socket counts from its first packet on, so that mute ones have a limit too; an open
    connection from its handshake on, so that mute ones do not use up the places of real ones.

    Args:
        most: open connections in all.
        most_per_address: open connections from one address, an IPv6 /64 being one address.
        trusted_proxies: IP addresses and networks without that limit; loopback has none either.
    """

    def __init__(
        self, *, most: int, most_per_address: int, trusted_proxies: Iterable[str] = ()
    ) -> None:
        self._most = most
        self._most_per_address = most_per_address
        self._trusted = [ip_network(each, strict=False) for each in trusted_proxies]
        self._sockets: Counter[str] = Counter()
        self._open: Counter[str] = Counter()
        self._sockets_now = 0
        self._open_now = 0
        self._key = lru_cache(_REMEMBERED)(self._origin)

    def origin(self, host: str) -> str:
        """What all of one origin share: the address, an IPv6 /64; empty for those without limit."""
        return self._key(host)

    def arrive(self, host: str) -> bool:
        """A socket was accepted; False: close it at once, without a word."""
        key = self._key(host)
        if self._sockets_now >= self._most + _POLITE:
            return False
        if key and self._sockets[key] >= self._most_per_address + _POLITE:
            return False
        self._sockets[key] += 1
        self._sockets_now += 1
        return True

    def depart(self, host: str) -> None:
        """A socket that was let in is closed."""
        _less(self._sockets, self._key(host))
        self._sockets_now -= 1

    def enter(self, host: str) -> bool:
        """A handshake wants to be accepted; False: too many."""
        key = self._key(host)
        if self._open_now >= self._most:
            return False
        if key and self._open[key] >= self._most_per_address:
            return False
        self._open[key] += 1
        self._open_now += 1
        return True

    def leave(self, host: str) -> None:
        """A connection that was let in is closed."""
        _less(self._open, self._key(host))
        self._open_now -= 1

    def _origin(self, host: str) -> str:
        """What connections of one origin share; empty for those without a limit of their own."""
        address = _address(host)
        if address is None or address.is_loopback:
            return ""
        if any(address in network for network in self._trusted):
            return ""
        if isinstance(address, IPv6Address):
            return str(IPv6Network((address, 64), strict=False))
        return str(address)

    def __len__(self) -> int:
        """How many connections are open."""
        return self._open_now


def _address(host: str) -> IPv4Address | IPv6Address | None:
    """An address; one that came mapped into IPv6 is the IPv4 one; None on a Unix socket."""
    try:
        address = ip_address(host)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _less(counter: Counter[str], key: str) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]
