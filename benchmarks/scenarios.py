"""What is measured: a table of families, each with its cases, its entrants and its figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from itertools import product

from benchmarks.checkouts import Checkout
from benchmarks.results import Case, Plain

__all__ = [
    "FAMILIES",
    "ROOM",
    "Entrant",
    "Family",
    "against",
    "base",
    "cases",
    "entrants",
    "first_checkout",
    "grid",
    "select",
]

ROOM = "bench"
"""The room that the load uses when there is one."""

MILLION = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrant:
    """A server as it takes part in a family.

    Args:
        name: its own within the family.
        peer: the key of `servers.PEERS`.
        settings: of chatd, by `section.key`; a checkout that knows one not does not take part.
        database: `disk`, or `memory`.
        stored: so many messages are in the room before it starts.
        tls: whether it is asked over TLS.
        scenario: of the load, when it is not the family's.
        load: more options of the load.
        checkout: of chatd; None: not chatd.
    """

    name: str
    peer: str
    settings: Mapping[str, Plain] = field(default_factory=dict)
    database: str = "disk"
    stored: int = 0
    tls: bool = False
    scenario: str = ""
    load: Mapping[str, Plain] = field(default_factory=dict)
    checkout: Checkout | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Cases that answer one question.

    Args:
        name: for `--only`.
        question: for people.
        scenario: of the load; `start`: only the start of the server is measured.
        cases: what differs from one to the next, as options of the load.
        quick: the cases of `--quick`.
        load: options of the load that are the same in all cases.
        seconds: the least that is measured for, whatever is asked; 0: as asked.
        quick_seconds: the same for `--quick`.
        entrants: who takes part.
        reference: whom the others are compared to.
        figures: that are shown; the first is what it is about.
    """

    name: str
    question: str
    scenario: str
    cases: Sequence[Case]
    quick: Sequence[Case]
    load: Mapping[str, Plain] = field(default_factory=dict)
    seconds: float = 0
    quick_seconds: float = 0
    entrants: Sequence[Entrant]
    reference: str
    figures: Sequence[str]


def grid(**axes: Sequence[Plain]) -> list[Case]:
    """Every combination of some values."""
    return [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]


def _plain(*names: str) -> list[Entrant]:
    return [Entrant(name=name, peer=name) for name in names]


_DOORS = _plain("chatd-json", "chatd-plain")
_PEERS = [
    *_plain("bun-publish", "bun-loop", "node-ws", "socket.io", "websockets"),
    # to 8 000 connections it sends nothing for six seconds, then all at once
    Entrant(name="autobahn", peer="autobahn", load={"seconds": 8}),
    *_plain("autobahn-prepared"),
]
_JSON = Entrant(name="chatd-json", peer="chatd-json")
_JSON_TLS = replace(_JSON, name="chatd-json-tls", tls=True)
_DEFLATE: Mapping[str, Plain] = {"deflate": True}

_THROUGHPUT = ("deliveries_per_s", "latency_ms.p50", "latency_ms.p99", "server_cpu_us_per_delivery")
_EVENLY: Mapping[str, Plain] = {"publishers": 8, "rate": 100}

FAMILIES: Sequence[Family] = (
    Family(
        name="fanout",
        question="Eight people talk as fast as they are answered, everybody hears everything",
        scenario="fanout",
        cases=[
            *grid(connections=(200,), in_flight=(16, 64)),
            *grid(connections=(1000, 8000), in_flight=(64,)),
        ],
        quick=grid(connections=(200,), in_flight=(64,)),
        load={"publishers": 8},
        entrants=[*_PEERS, *_DOORS],
        reference="bun-publish",
        figures=_THROUGHPUT,
    ),
    Family(
        name="latency",
        question="100 messages a second to 200: how late they come, and what each delivery costs",
        scenario="fanout",
        cases=grid(connections=(200,)),
        quick=grid(connections=(200,)),
        load=_EVENLY,
        seconds=10,
        quick_seconds=2,
        entrants=[*_PEERS, *_DOORS],
        reference="bun-publish",
        figures=(
            *("latency_ms.p99", "server_cpu_us_per_delivery"),
            *("latency_ms.p50", "latency_ms.p90", "latency_ms.p999"),
        ),
    ),
    Family(
        name="memory",
        question="What an idle connection costs in memory (RSS)",
        scenario="idle",
        cases=grid(connections=(8000,)),
        quick=grid(connections=(1000,)),
        entrants=[*_PEERS, *_DOORS, _JSON_TLS],
        reference="bun-publish",
        figures=("kib_per_connection",),
    ),
    Family(
        name="idle",
        question="What 8 000 idle members cost in processor time, their pings included",
        scenario="idle",
        cases=grid(connections=(8000,)),
        quick=grid(connections=(1000,)),
        seconds=50,  # twice the interval of the pings
        quick_seconds=26,
        entrants=[_JSON],
        reference="chatd-json",
        figures=("server_cpu_percent", "kib_per_connection"),
    ),
    Family(
        name="rooms",
        question="1 000 rooms of eight, one of whom talks in each",
        scenario="fanout",
        cases=[{"rooms": 1000, "connections": 8000, "publishers": 1000, "in_flight": 1000}],
        quick=[{"rooms": 100, "connections": 800, "publishers": 100, "in_flight": 100}],
        entrants=_DOORS,
        reference="chatd-plain",
        figures=_THROUGHPUT,
    ),
    Family(
        name="storm",
        question="Everybody connects at once",
        scenario="storm",
        cases=grid(connections=(4000,)),
        quick=grid(connections=(1000,)),
        entrants=[*_plain("autobahn"), *_DOORS, _JSON_TLS],
        reference="autobahn",
        figures=("connections_per_s", "joined_per_s"),
    ),
    Family(
        name="slow",
        question="1 000 messages a second to 200, with and without one who reads slowly, or stops",
        scenario="fanout",
        cases=grid(connections=(200,)),
        quick=grid(connections=(200,)),
        load={"publishers": 8, "rate": 1000},
        seconds=10,
        quick_seconds=2,
        entrants=[
            _JSON,
            replace(_JSON, name="chatd-json-slow", scenario="slow"),
            replace(_JSON, name="chatd-json-stopped", scenario="slow", load={"slow_bytes": 1}),
        ],
        reference="chatd-json",
        figures=("latency_ms.p99", "latency_ms.p50", "server_cpu_us_per_delivery"),
    ),
    Family(
        name="history",
        question="A page of 100 messages from anywhere in a room of 1 000 000",
        scenario="history",
        cases=grid(limit=(100,)),
        quick=grid(limit=(100,)),
        load={"requests": 200, "room": ROOM},
        entrants=[replace(_JSON, stored=MILLION)],
        reference="chatd-json",
        figures=("latency_ms.p50", "latency_ms.p99"),
    ),
    Family(
        name="start",
        question="From the start of the process to the first connection",
        scenario="start",
        cases=[{}],
        quick=[{}],
        entrants=[_JSON, replace(_JSON, name="chatd-json-million", stored=MILLION)],
        reference="chatd-json",
        figures=("start_s",),
    ),
    Family(
        name="growth",
        question="What a message costs when 1 000 000 are stored already, and when none is",
        scenario="fanout",
        cases=grid(connections=(8,)),
        quick=grid(connections=(8,)),
        load={"publishers": 8, "rate": 1000},
        seconds=5,
        quick_seconds=1,
        entrants=[_JSON, replace(_JSON, name="chatd-json-million", stored=MILLION)],
        reference="chatd-json",
        figures=("server_cpu_us_per_message", "latency_ms.p50", "latency_ms.p99"),
    ),
    Family(
        name="resume",
        question="Many come back at once and get what they missed, while others talk on",
        scenario="resume",
        cases=[
            {"connections": 400, "missed": 1000, "rate": 1000},
            {"connections": 2000, "missed": 100, "rate": 100},
        ],
        quick=[
            {"connections": 400, "missed": 1000, "rate": 1000},
            {"connections": 2000, "missed": 100, "rate": 100},
        ],
        entrants=[_JSON],
        reference="chatd-json",
        figures=("seconds", "p50_s", "max_s"),
    ),
    Family(
        name="sizes",
        question="Texts from 64 bytes to 16 KiB",
        scenario="fanout",
        cases=grid(connections=(200,), size=(64, 256, 1024, 4096, 16384)),
        quick=grid(connections=(200,), size=(1024, 16384)),
        load={"publishers": 8, "in_flight": 64},
        # A chat message has 8 000 characters at most, as shipped.
        entrants=[
            *_plain("bun-publish"),
            *(replace(each, settings={"limits.text_chars": 16384}) for each in _DOORS),
        ],
        reference="bun-publish",
        figures=_THROUGHPUT,
    ),
    Family(
        name="tls",
        question="What TLS costs",
        scenario="fanout",
        cases=grid(connections=(200, 1000), in_flight=(64,)),
        quick=grid(connections=(200,), in_flight=(64,)),
        load={"publishers": 8},
        entrants=[
            *_DOORS,
            _JSON_TLS,
            replace(_DOORS[1], name="chatd-plain-tls", tls=True),
        ],
        reference="chatd-json",
        figures=_THROUGHPUT,
    ),
    Family(
        name="compression",
        question="What permessage-deflate costs and saves",
        scenario="fanout",
        cases=grid(connections=(200,), size=(256, 4096)),
        quick=grid(connections=(200,), size=(4096,)),
        load={"publishers": 8, "in_flight": 64},
        entrants=[
            _JSON,
            replace(
                _JSON,
                name="chatd-json-deflate",
                settings={"listen.compression": True},
                load=_DEFLATE,
            ),
        ],
        reference="chatd-json",
        figures=("deliveries_per_s", "bytes_per_delivery", "server_cpu_us_per_delivery"),
    ),
    Family(
        name="durability",
        question="History on disk, on disk but not at every commit, and in memory",
        scenario="fanout",
        cases=grid(connections=(200, 1000), in_flight=(64,)),
        quick=grid(connections=(200,), in_flight=(64,)),
        load={"publishers": 8},
        entrants=[
            _JSON,
            replace(_JSON, name="chatd-json-normal", settings={"storage.durability": "normal"}),
            replace(_JSON, name="chatd-json-memory", database="memory"),
        ],
        reference="chatd-json",
        figures=_THROUGHPUT,
    ),
)
"""Every family."""


def select(only: Sequence[str]) -> list[Family]:
    """The families of some names, in the order of the table; all, if none is named.

    Raises:
        ValueError: there is none of a name.
    """
    names = [family.name for family in FAMILIES]
    for name in only:
        if name not in names:
            raise ValueError(f"there is nothing called {name!r}; there are {', '.join(names)}")
    return [family for family in FAMILIES if not only or family.name in only]


def cases(
    family: Family, *, quick: bool = False, values: Mapping[str, Sequence[Plain]] | None = None
) -> list[Case]:
    """The cases of a family.

    Args:
        family: whose.
        quick: whether few will do.
        values: that stand in for those of the table, for keys that the family's cases have.
    """
    found: list[Case] = []
    for case in family.quick if quick else family.cases:
        changed = {key: (values or {}).get(key) or (value,) for key, value in case.items()}
        found.extend(each for each in grid(**changed) if each not in found)
    return found


def entrants(
    family: Family, patterns: Sequence[str], checkouts: Sequence[Checkout]
) -> list[Entrant]:
    """Who takes part in a family.

    Args:
        family: which one.
        patterns: names, with `*` for anything; empty: everybody.
        checkouts: of chatd; with several, each has entrants of its own, called `name@label`.
    """
    found = []
    for each in family.entrants:
        if patterns and not any(fnmatchcase(each.name, pattern) for pattern in patterns):
            continue
        if not each.peer.startswith("chatd"):
            found.append(each)
            continue
        for checkout in checkouts:
            name = f"{each.name}@{checkout.label}" if len(checkouts) > 1 else each.name
            found.append(replace(each, name=name, checkout=checkout))
    return found


def base(name: str) -> str:
    """The name of an entrant without its checkout."""
    return name.partition("@")[0]


def against(present: Sequence[str], wanted: str) -> str:
    """Whom the entrants of a case are compared to.

    Args:
        present: their names, in order.
        wanted: the reference of the family.

    Returns:
        The first of them that is the reference, in whatever checkout; or else the first.
    """
    return next((name for name in present if base(name) == wanted), present[0])


def first_checkout(present: Sequence[str], name: str) -> str:
    """The same entrant of the first checkout; empty when there is but one."""
    if "@" not in name:
        return ""
    return next(each for each in present if base(each) == base(name))
