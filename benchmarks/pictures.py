"""The pictures of docs/performance.md, as SVG: the same result draws the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.figures import FIGURES, Spread, groups
from benchmarks.report import number, rows
from benchmarks.results import Result
from benchmarks.servers import PEERS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PICTURES", "Bar", "Line", "bars", "draw_all", "percentiles", "throughput"]

PERCENTILES = {
    "p50": "latency_ms.p50",
    "p90": "latency_ms.p90",
    "p99": "latency_ms.p99",
    "p99.9": "latency_ms.p999",
}

# Told apart by lightness too; ours are the two strong ones.
_COLOURS = {
    "chatd-json": "#b3261e",
    "chatd-plain": "#e8833a",
    "bun-publish": "#1f4e79",
    "bun-loop": "#6f9bc4",
    "node-ws": "#3a7d44",
    "socket.io": "#8fbf8f",
    "websockets": "#7b5ea7",
    "autobahn": "#8c8c8c",
    "autobahn-prepared": "#4d4d4d",
}
_OTHER = "#a8a8a8"
_WIDE, _HIGH = 8.0, 4.6  # inches


@dataclass(frozen=True, slots=True)
class Line:
    """What one entrant is in a picture of lines.

    Args:
        entrant: its name.
        places: along the picture.
        values: each with its spread, one a place.
    """

    entrant: str
    places: Sequence[float]
    values: Sequence[Spread]


@dataclass(frozen=True, slots=True)
class Bar:
    """What one entrant is in a picture of bars."""

    entrant: str
    value: Spread


def throughput(result: Result, in_flight: int) -> list[Line]:
    """Deliveries a second against connections, of whoever ran without failing; most first.

    Args:
        result: that is shown.
        in_flight: of the cases.
    """
    found: dict[str, list[tuple[float, Spread]]] = {}
    for family, case, runs in groups(result.runs):
        if family == "fanout" and case.get("in_flight") == in_flight:
            for each in rows(family, runs)[0]:
                value = each.values.get("deliveries_per_s")
                if value is not None and not each.failed:
                    place = float(case["connections"])
                    found.setdefault(each.entrant, []).append((place, value))
    lines = []
    for name, points in found.items():
        points.sort(key=lambda point: point[0])
        lines.append(Line(name, [p for p, _ in points], [v for _, v in points]))
    return sorted(lines, key=lambda line: line.values[-1].median, reverse=True)


def percentiles(result: Result) -> list[Line]:
    """The percentiles of latency at 100 messages a second; the longest first."""
    found = []
    for family, _, runs in groups(result.runs):
        if family != "latency":
            continue
        for each in rows(family, runs)[0]:
            values = [each.values[name] for name in PERCENTILES.values() if name in each.values]
            if len(values) == len(PERCENTILES) and not each.failed:
                found.append(Line(each.entrant, range(len(values)), values))
    return sorted(found, key=lambda line: line.values[2].median, reverse=True)


def bars(result: Result, family: str, figure: str) -> list[Bar]:
    """One figure of everybody in the only case of a family, least first.

    Args:
        result: that is shown.
        family: of which the last case counts.
        figure: that is shown.
    """
    found: list[Bar] = []
    for name, _, runs in groups(result.runs):
        if name == family:
            found = [
                Bar(each.entrant, each.values[figure])
                for each in rows(family, runs)[0]
                if figure in each.values and not each.failed
            ]
    return sorted(found, key=lambda bar: bar.value.median)


def label(entrant: str) -> str:
    """A name for people."""
    if entrant in PEERS:
        return PEERS[entrant].label
    plain = entrant.removesuffix("-tls")
    return f"{PEERS[plain].label}, TLS" if plain in PEERS else entrant


def _colour(entrant: str) -> str:
    plain = entrant.partition("@")[0]
    while plain and plain not in _COLOURS:
        plain = plain.rpartition("-")[0]
    return _COLOURS.get(plain, _OTHER)


def _draw_lines(axes: Axes, lines: Sequence[Line], scale: float) -> None:
    for line in lines:
        values = [each.median * scale for each in line.values]
        least = [(each.median - each.least) * scale for each in line.values]
        most = [(each.most - each.median) * scale for each in line.values]
        is_ours = line.entrant.startswith("chatd")
        axes.errorbar(
            line.places,
            values,
            yerr=[least, most],
            color=_colour(line.entrant),
            label=label(line.entrant),
            marker="o",
            markersize=5 if is_ours else 4,
            linewidth=2.4 if is_ours else 1.4,
            capsize=2,
            zorder=3 if is_ours else 2,
        )
    axes.grid(True, which="major", color="#dddddd", linewidth=0.6)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=9)


def _throughput(result: Result, axes: Axes) -> bool:
    lines = throughput(result, 64)
    places = sorted({place for line in lines for place in line.places})
    if not places:
        return False
    _draw_lines(axes, lines, 1.0)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(places, [f"{place:,.0f}".replace(",", " ") for place in places])
    axes.minorticks_off()
    marks = [5e4, 1e5, 2e5, 5e5, 1e6, 2e6, 5e6, 1e7]
    axes.set_yticks(marks, [f"{mark / 1e3:,.0f} k".replace(",", " ") for mark in marks])
    values = [value for line in lines for value in line.values]
    axes.set_ylim(min(v.least for v in values) * 0.8, max(v.most for v in values) * 1.25)
    axes.set_xlabel("connections")
    axes.set_ylabel("deliveries a second")
    axes.set_title("Fan-out, 8 publishers, 64 messages in flight", loc="left", fontsize=11)
    return True


def _latency(result: Result, axes: Axes) -> bool:
    lines = percentiles(result)
    if not lines:
        return False
    _draw_lines(axes, lines, 1.0)
    axes.set_yscale("log")
    axes.minorticks_off()
    axes.set_xticks(range(len(PERCENTILES)), list(PERCENTILES))
    values = [value for line in lines for value in line.values]
    least, most = min(v.least for v in values), max(v.most for v in values)
    marks = [base * 10.0**power for power in range(-2, 4) for base in (1, 2, 5)]
    marks = [mark for mark in marks if least * 0.7 <= mark <= most * 1.4]
    axes.set_yticks(marks, [f"{mark:g} ms" for mark in marks])
    axes.set_ylim(least * 0.7, most * 1.4)
    axes.set_ylabel("publish to receipt")
    axes.set_title("Latency, 100 messages a second to 200", loc="left", fontsize=11)
    return True


def _draw_bars(result: Result, axes: Axes, family: str, figure: str, title: str) -> bool:
    found = bars(result, family, figure)
    if not found:
        return False
    values = [bar.value.median for bar in found]
    spans = [
        [bar.value.median - bar.value.least for bar in found],
        [bar.value.most - bar.value.median for bar in found],
    ]
    places = range(len(found))
    axes.barh(
        places,
        values,
        xerr=spans,
        color=[_colour(bar.entrant) for bar in found],
        error_kw={"ecolor": "#333333", "capsize": 2, "linewidth": 0.8},
    )
    for place, bar in zip(places, found, strict=True):
        axes.annotate(
            number(bar.value.median),
            (bar.value.most, place),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
        )
    axes.set_yticks(places, [label(bar.entrant) for bar in found])
    axes.invert_yaxis()
    axes.set_xlim(0, max(bar.value.most for bar in found) * 1.12)
    axes.set_xlabel(FIGURES[figure].title)
    axes.set_title(title, loc="left", fontsize=11)
    return True


def _memory(result: Result, axes: Axes) -> bool:
    title = "Memory of the server for each idle connection"
    return _draw_bars(result, axes, "memory", "kib_per_connection", title)


def _cpu(result: Result, axes: Axes) -> bool:
    title = "Processor time of the server for each delivery, 100 messages a second to 200"
    return _draw_bars(result, axes, "latency", "server_cpu_us_per_delivery", title)


PICTURES: Mapping[str, Callable[[Result, Axes], bool]] = {
    "throughput": _throughput,
    "latency": _latency,
    "memory": _memory,
    "cpu": _cpu,
}
"""The pictures by the name of their file; each says whether there was anything to draw."""


def draw_all(result: Result, folder: Path) -> None:
    """Draw every picture that the result has something for.

    Args:
        result: that is shown.
        folder: is made if it is not there.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    folder.mkdir(parents=True, exist_ok=True)
    style: dict[Any, Any] = {
        "svg.fonttype": "none",  # text stays text
        "svg.hashsalt": "chatd",
        "font.family": "sans-serif",
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    with mpl.rc_context(style):
        for name, paint in PICTURES.items():
            figure = Figure(figsize=(_WIDE, _HIGH))
            if paint(result, figure.add_subplot()):
                # No date, or each drawing would be a change.
                figure.savefig(
                    folder / f"{name}.svg",
                    bbox_inches="tight",
                    facecolor="white",
                    metadata={"Date": None, "Creator": None},
                )
