"""The arithmetic: medians with their spread, and ratios that never cross a round.

A shared machine is a third slower or faster an hour later; what ran within one round ran within
the same minute. So a ratio is taken in each round, and only then the median of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.results import Case, Run

__all__ = ["FIGURES", "Figure", "Row", "Spread", "groups", "ratios", "row", "spread"]


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured quantity.

    Args:
        name: as it is called in `Run.figures`.
        title: as the head of a column.
        scale: a value times this is shown.
        more_is_better: whether.
    """

    name: str
    title: str
    scale: float = 1.0
    more_is_better: bool = False


FIGURES = {
    each.name: each
    for each in (
        Figure("deliveries_per_s", "k deliveries/s", 1e-3, True),
        Figure("messages_per_s", "messages/s", 1.0, True),
        Figure("latency_ms.p50", "p50 ms"),
        Figure("latency_ms.p90", "p90 ms"),
        Figure("latency_ms.p99", "p99 ms"),
        Figure("latency_ms.p999", "p99.9 ms"),
        Figure("latency_ms.max", "max ms"),
        Figure("server_cpu_us_per_delivery", "µs CPU/delivery"),
        Figure("server_cpu_us_per_message", "µs CPU/message"),
        Figure("server_busy", "server busy"),
        Figure("load_busy", "load busy"),
        Figure("bytes_per_delivery", "bytes/delivery"),
        Figure("kib_per_connection", "KiB/connection"),
        Figure("server_cpu_percent", "% of a core"),
        Figure("connections_per_s", "connections/s", 1.0, True),
        Figure("joined_per_s", "joined/s", 1.0, True),
        Figure("seconds", "all of them, s"),
        Figure("p50_s", "half of them, s"),
        Figure("max_s", "last one, s"),
        Figure("start_s", "s to first connection"),
    )
}
"""Every figure that is shown."""


@dataclass(frozen=True, slots=True)
class Spread:
    """A median and what it lies between.

    Args:
        median: of all rounds.
        least: of them.
        most: of them.
        rounds: how many there were.
    """

    median: float
    least: float
    most: float
    rounds: int


@dataclass(frozen=True, slots=True)
class Row:
    """An entrant in a case.

    Args:
        entrant: its name.
        values: by figure; what it did not tell is missing.
        ratios: by figure, to the reference in the same rounds; missing likewise.
        before: by figure, to the same entrant of the first checkout; likewise.
        rounds: how often it was tried, skips not counted.
        failed: how many of these failed.
        why: the first of them did, or it was skipped.
        load_bound: in any round.
        others: so many cores somebody else had in the worst round.
    """

    entrant: str
    values: dict[str, Spread]
    ratios: dict[str, Spread]
    before: dict[str, Spread]
    rounds: int
    failed: int
    why: str
    load_bound: bool
    others: float


def spread(values: Sequence[float]) -> Spread | None:
    """Summarize one value of each round; None if there are none."""
    if not values:
        return None
    return Spread(median(values), min(values), max(values), len(values))


def ratios(runs: Iterable[Run], figure: str, entrant: str, reference: str) -> list[float]:
    """Compare two entrants in every round that went well for both.

    Args:
        runs: of one case.
        figure: what is compared.
        entrant: the dividend.
        reference: the divisor.

    Returns:
        A ratio for each such round; rounds in which the reference is 0 are left out.
    """
    by_round: dict[int, dict[str, float]] = {}
    for run in runs:
        if run.status == "ok" and figure in run.figures:
            by_round.setdefault(run.round, {})[run.entrant] = run.figures[figure]
    return [
        of[entrant] / of[reference]
        for _, of in sorted(by_round.items())
        if entrant in of and of.get(reference)
    ]


def row(
    runs: Sequence[Run], figures: Iterable[str], entrant: str, reference: str, before: str = ""
) -> Row:
    """Summarize one entrant in one case.

    Args:
        runs: all of the case.
        figures: that are wanted.
        entrant: who.
        reference: whom it is compared to.
        before: the same entrant of the first checkout; empty: there is one checkout.
    """
    own = [run for run in runs if run.entrant == entrant]
    tried = [run for run in own if run.status != "skipped"]
    good = [run for run in tried if run.status == "ok"]
    values, compared, to_before = {}, {}, {}
    for name in figures:
        found = spread([run.figures[name] for run in good if name in run.figures])
        if found is None:
            continue
        values[name] = found
        if (ratio := spread(ratios(runs, name, entrant, reference))) is not None:
            compared[name] = ratio
        if before and (ratio := spread(ratios(runs, name, entrant, before))) is not None:
            to_before[name] = ratio
    return Row(
        entrant,
        values,
        compared,
        to_before,
        rounds=len(tried),
        failed=len(tried) - len(good),
        why=next((run.why for run in own if run.why), ""),
        load_bound=any(run.load_bound for run in good),
        others=max((run.figures.get("others_cores", 0) for run in good), default=0),
    )


def groups(runs: Iterable[Run]) -> list[tuple[str, Case, list[Run]]]:
    """Sort runs by family and case, both in the order of their first run."""
    found: dict[tuple[str, str], tuple[str, Case, list[Run]]] = {}
    for run in runs:
        key = run.family, repr(sorted(run.case.items()))
        found.setdefault(key, (run.family, run.case, []))[2].append(run)
    return list(found.values())
