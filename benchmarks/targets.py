"""The targets, each with how its value is read off a result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks.figures import Spread, groups, ratios, spread
from benchmarks.report import number, ratio
from benchmarks.results import Case, Result, Run

__all__ = ["TARGETS", "Measured", "Target", "look_up"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One line of the table of targets.

    Args:
        what: is measured.
        family: whose runs tell.
        case: of the family; what is not named may be anything.
        figure: of the runs.
        entrant: whose it is.
        reference: the figure is a ratio to that of this entrant; empty: it is absolute.
        limit: of the figure.
        least: whether the limit is the least it must be, or the most it may be.
        unit: of an absolute figure.
    """

    what: str
    family: str
    case: Case
    figure: str
    entrant: str
    reference: str = ""
    limit: float
    least: bool = False
    unit: str = ""

    @property
    def words(self) -> str:
        """What it should be: `≥ 10 × node-ws`."""
        sign = "≥" if self.least else "≤"
        rest = f"× {self.reference}" if self.reference else self.unit
        return f"{sign} {self.limit:g} {rest}".strip()


@dataclass(frozen=True, slots=True)
class Measured:
    """What a result says of a target.

    Args:
        words: the value with its spread; `not measured` when there is none.
        verdict: whether it is reached.
    """

    words: str
    verdict: Literal["reached", "missed", ""]


def _throughput(door: str, name: str) -> list[Target]:
    return [
        Target(
            what=f"deliveries/s, {name}, history on disk, 64 in flight, {connections} connections",
            family="fanout",
            case={"connections": connections, "in_flight": 64},
            figure="deliveries_per_s",
            entrant=door,
            reference=reference,
            limit=limit,
            least=True,
        )
        for connections in (200, 1000, 8000)
        for reference, limit in (("bun-publish", 1.0), ("node-ws", 10.0))
    ]


TARGETS: Sequence[Target] = (
    *_throughput("chatd-json", "JSON door"),
    *_throughput("chatd-plain", "plain door"),
    *(
        Target(
            what=f"processor time a delivery, {door}, 100 messages/s to 200",
            family="latency",
            case={"connections": 200},
            figure="server_cpu_us_per_delivery",
            entrant=entrant,
            reference="bun-publish",
            limit=1.25,
        )
        for entrant, door in (("chatd-json", "JSON door"), ("chatd-plain", "plain door"))
    ),
    *(
        Target(
            what=f"p99 latency, {door}, history on disk, 100 messages/s to 200",
            family="latency",
            case={"connections": 200},
            figure="latency_ms.p99",
            entrant=entrant,
            reference="bun-publish",
            limit=1.5,
        )
        for entrant, door in (("chatd-json", "JSON door"), ("chatd-plain", "plain door"))
    ),
    Target(
        what="memory of an idle member, 8 000 JSON sessions in one room",
        family="memory",
        case={"connections": 8000},
        figure="kib_per_connection",
        entrant="chatd-json",
        limit=12,
        unit="KiB",
    ),
    Target(
        what="400 clients resume 1 000 messages each while 1 000 messages/s go on: all live",
        family="resume",
        case={"connections": 400, "missed": 1000},
        figure="seconds",
        entrant="chatd-json",
        limit=2,
        unit="s",
    ),
    Target(
        what="connections accepted a second, plain door",
        family="storm",
        case={"connections": 4000},
        figure="connections_per_s",
        entrant="chatd-plain",
        reference="autobahn",
        limit=2,
        least=True,
    ),
    Target(
        what="8 000 idle connections, pings included",
        family="idle",
        case={"connections": 8000},
        figure="server_cpu_percent",
        entrant="chatd-json",
        limit=2,
        unit="% of a core",
    ),
    Target(
        what="one of 200 reads slowly: the others' p99",
        family="slow",
        case={"connections": 200},
        figure="latency_ms.p99",
        entrant="chatd-json-slow",
        reference="chatd-json",
        limit=1.2,
    ),
    Target(
        what="one of 200 stops reading: the others' p99",
        family="slow",
        case={"connections": 200},
        figure="latency_ms.p99",
        entrant="chatd-json-stopped",
        reference="chatd-json",
        limit=1.2,
    ),
    Target(
        what="a page of 100 messages from a room of 1 000 000, p99",
        family="history",
        case={"limit": 100},
        figure="latency_ms.p99",
        entrant="chatd-json",
        limit=5,
        unit="ms",
    ),
    Target(
        what="processor time a message with 1 000 000 stored",
        family="growth",
        case={},
        figure="server_cpu_us_per_message",
        entrant="chatd-json-million",
        reference="chatd-json",
        limit=1.1,
    ),
    Target(
        what="start with 1 000 000 messages stored, to the first connection",
        family="start",
        case={},
        figure="start_s",
        entrant="chatd-json-million",
        limit=1,
        unit="s",
    ),
)
"""All of them. What is held for a peer that stops reading, and the resume over a slow link with the
public SDK, are tests: `tests/integration/test_lagging.py` and `test_slow_link.py`."""


def look_up(target: Target, result: Result) -> Measured:
    """Compare a target with what was measured."""
    runs = _runs(target, result)
    if target.reference:
        values = ratios(runs, target.figure, target.entrant, target.reference)
    else:
        values = [
            run.figures[target.figure]
            for run in runs
            if run.entrant == target.entrant and run.status == "ok" and target.figure in run.figures
        ]
    found = spread(values)
    failed = sum(run.entrant == target.entrant and run.status == "failed" for run in runs)
    if found is None:
        return Measured("failed" if failed else "not measured", "missed" if failed else "")
    reached = found.median >= target.limit if target.least else found.median <= target.limit
    words = ratio(found) if target.reference else _absolute(found, target.unit)
    if failed:
        return Measured(f"{words}, and {failed} runs failed", "missed")
    return Measured(words, "reached" if reached else "missed")


def _runs(target: Target, result: Result) -> list[Run]:
    for family, case, runs in groups(result.runs):
        if family == target.family and target.case.items() <= case.items():
            return runs
    return []


def _absolute(found: Spread, unit: str) -> str:
    if found.rounds == 1:
        return f"{number(found.median)} {unit}"
    return f"{number(found.median)} ({number(found.least)}..{number(found.most)}) {unit}"
