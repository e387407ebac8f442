"""Bans: who may not come in, by user and by address, until when.

All of them are in memory. They are kept in the record `bans`, see `core.records`, and read from it
at the start; until that is done nobody may come in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from itertools import islice

from twisted.logger import Logger

from chatd.core.records import Records
from chatd.core.wheel import Wheel
from chatd.errors import BAD_REQUEST, LIMIT_EXCEEDED, UNAVAILABLE, ChatError, Refusal

__all__ = ["MOST_BANS", "RETRY_S", "SUBJECT", "Bans", "by_address", "by_user", "is_within"]

MOST_BANS = 10_000
"""So many bans there are at most, those included that have lapsed and are not forgotten yet."""

RETRY_S = 1.0
"""So long after they could not be read that is tried again, in seconds."""

SUBJECT = "bans"

_USER, _ADDRESS = "user:", "address:"
_KEPT_MS = 24 * 3600 * 1000  # of a lapsed ban: the clock may have been wrong when it lapsed
_FORGOTTEN = 50  # lapsed bans at most, with each write

_REMEMBERED = 16384  # addresses, of which each is asked for with each ban of a network
_SITE_BITS = 64  # of an IPv6 address: what one site is given, and changes its addresses in
_MAPPED = IPv6Network("::ffff:0:0/96")

_Network = IPv4Network | IPv6Network
_Place = tuple[int, int, int]
"""Of a network: the version of IP, how many bits it fixes, and these."""

log = Logger()


def by_user(user: str) -> str:
    """The name of a ban of a user.

    Args:
        user: their id.
    """
    return _USER + user


def by_address(text: str) -> str:
    """The name of a ban of an address or a network.

    Of an IPv6 address all of its /64 is meant; one that maps an IPv4 address is that one.

    Raises:
        ChatError: BAD_REQUEST, if it is neither.
    """
    bare, slash, _ = text.partition("/")
    if "%" in bare:  # a zone is of one machine alone
        raise ChatError(BAD_REQUEST)
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise ChatError(BAD_REQUEST) from None
    if isinstance(network, IPv6Network):
        if network.subnet_of(_MAPPED):
            inner = network.network_address.ipv4_mapped
            network = IPv4Network((int(inner or 0), network.prefixlen - _MAPPED.prefixlen))
        elif not slash:
            network = IPv6Network((network.network_address, _SITE_BITS), strict=False)
    return _ADDRESS + str(network)


def is_within(address: str, ban: str) -> bool:
    """Whether an address is one of those that a ban by address is about.

    Args:
        address: as a door knows it; empty: none.
        ban: its name, see `by_address`.
    """
    place = _place(ip_network(ban.removeprefix(_ADDRESS)))
    found = _number(address)
    return found is not None and found[0] == place[0] and _fixed(*found, place[1]) == place[2]


class Bans:
    """All bans.

    Args:
        records: where they are kept.
        wheel: for trying again to read them.
        exempt: IP addresses and networks that cannot be banned beside loopback: many come by them.

    Attributes:
        is_known: whether they have been read.
    """

    def __init__(self, records: Records, wheel: Wheel, *, exempt: Iterable[str] = ()) -> None:
        self._records = records
        self._wheel = wheel
        loopback = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
        self._exempt = [*loopback, *(ip_network(each, strict=False) for each in exempt)]
        self._until: dict[str, int] = {}
        self._places: dict[_Place, int] = {}
        self._sizes: Counter[tuple[int, int]] = Counter()
        self.is_known = False

    def load(self, known: Callable[[], None] = lambda: None) -> None:
        """Read them, until that succeeds.

        Args:
            known: called after the first try, whether it succeeded or not.
        """

        def came(outcome: Mapping[str, str] | Refusal) -> None:
            if isinstance(outcome, Refusal):
                log.error("the bans cannot be read, nobody may come in: {why}", why=outcome.words)
                self._wheel.after(RETRY_S, self.load)
            else:
                self._apply(outcome)
                self.is_known = True
            known()

        self._records.read(SUBJECT, came)

    def refused(self, user: str, address: str, now_ms: int) -> bool:
        """Whether somebody may not come in.

        Args:
            user: their id.
            address: where they are; empty: not known.
            now_ms: the wall clock, in milliseconds since 1970.

        Raises:
            ChatError: UNAVAILABLE, as long as the bans are not known.
        """
        if not self.is_known:
            raise ChatError(UNAVAILABLE)
        return self._until.get(_USER + user, 0) > now_ms or self.covers(address, now_ms)

    def covers(self, address: str, now_ms: int) -> bool:
        """Whether an address is banned; none is as long as the bans are not known."""
        if not self._places:
            return False
        found = _number(address)
        if found is None or not any(
            version == found[0]
            and self._places.get((version, bits, _fixed(*found, bits)), 0) > now_ms
            for version, bits in self._sizes
        ):
            return False
        return not any(_is_in(found, each) for each in self._exempt)

    def check(self, ban: str) -> None:
        """Let a ban by address be made.

        Args:
            ban: its name.

        Raises:
            ChatError: BAD_REQUEST, if loopback or a trusted proxy would be banned.
        """
        network = ip_network(ban.removeprefix(_ADDRESS))
        if any(each.version == network.version and each.overlaps(network) for each in self._exempt):
            raise ChatError(BAD_REQUEST)

    def ban(
        self, ban: str, until_ms: int, now_ms: int, done: Callable[[Refusal | None], None]
    ) -> None:
        """Ban somebody; it holds once it is stored.

        Args:
            ban: its name, see `by_user` and `by_address`.
            until_ms: until when, in milliseconds since 1970.
            now_ms: the wall clock, likewise.
            done: told None, or why it could not be done: LIMIT_EXCEEDED, or as `Records.write`.
        """
        is_full = ban not in self._until and len(self._until) >= MOST_BANS
        forgotten = {**dict.fromkeys(self._lapsed(now_ms - (0 if is_full else _KEPT_MS)))}
        if is_full and not forgotten:
            done(LIMIT_EXCEEDED)
            return
        self._change({**forgotten, ban: str(until_ms)}, done)

    def unban(self, ban: str, done: Callable[[Refusal | None], None]) -> None:
        """End a ban, be it that there is none.

        Args:
            ban: its name.
            done: see `ban`.
        """
        if ban in self._until:
            self._change({ban: None}, done)
        else:
            done(None)

    def __len__(self) -> int:
        """How many there are, those included that have lapsed and are not forgotten yet."""
        return len(self._until)

    def _change(
        self, changes: Mapping[str, str | None], done: Callable[[Refusal | None], None]
    ) -> None:
        def stored(refusal: Refusal | None) -> None:
            if refusal is None:
                self._apply(changes)
            done(refusal)

        self._records.write(SUBJECT, changes, stored)

    def _apply(self, changes: Mapping[str, str | None]) -> None:
        for ban, text in changes.items():
            before = self._until.pop(ban, None)
            if text is not None:
                self._until[ban] = int(text)
            if not ban.startswith(_ADDRESS):
                continue
            place = _place(ip_network(ban.removeprefix(_ADDRESS)))
            size = place[:2]
            if before is not None:
                del self._places[place]
                self._sizes[size] -= 1
            if text is not None:
                self._places[place] = int(text)
                self._sizes[size] += 1
            if not self._sizes[size]:
                del self._sizes[size]

    def _lapsed(self, until_ms: int) -> Iterator[str]:
        lapsed = (ban for ban, until in self._until.items() if until <= until_ms)
        return islice(lapsed, _FORGOTTEN)


@lru_cache(_REMEMBERED)
def _number(address: str) -> tuple[int, int] | None:
    """The version of an address and itself; mapped into IPv6 it is the IPv4 one; None: no such."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:  # there is none on a Unix socket
        return None
    found = getattr(found, "ipv4_mapped", None) or found
    return found.version, int(found)


def _fixed(version: int, number: int, bits: int) -> int:
    return number >> ((32 if version == 4 else 128) - bits)


def _place(network: _Network) -> _Place:
    version, bits = network.version, network.prefixlen
    return version, bits, _fixed(version, int(network.network_address), bits)


def _is_in(found: tuple[int, int], network: _Network) -> bool:
    version, bits, fixed = _place(network)
    return found[0] == version and _fixed(*found, bits) == fixed
