"""Tables: what was measured, for a terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.figures import FIGURES, Row, Spread, groups, row
from benchmarks.results import Case, Result, Run, case_words
from benchmarks.scenarios import FAMILIES, against, first_checkout

__all__ = ["aligned", "markdown", "number", "ratio", "rows", "skips", "table", "text", "versions"]

DISTURBED = 0.3
"""Cores that others may have of ours before a figure is marked."""


def number(value: float) -> str:
    """Three digits that matter: `2 456`, `93.4`, `0.0123`."""
    if abs(value) >= 100:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:#.3g}".rstrip(".") if value else "0"


def shown(found: Spread | None, name: str) -> str:
    """A figure as the tables show it."""
    return "" if found is None else number(found.median * FIGURES[name].scale)


def ratio(found: Spread | None) -> str:
    """A ratio with what it lies between, when there was more than one round."""
    if found is None:
        return ""
    if found.rounds == 1:
        return f"{found.median:.2f}"
    return f"{found.median:.2f} ({found.least:.2f}..{found.most:.2f})"


def rows(family: str, runs: Sequence[Run]) -> tuple[list[Row], str, Sequence[str]]:
    """Everybody in a case.

    Args:
        family: its family.
        runs: all of the case.

    Returns:
        The rows in the order of the table of families, whom they are compared to, and the names
        of the figures that are to be shown.
    """
    known = {each.name: each for each in FAMILIES}
    names = list(dict.fromkeys(run.entrant for run in sorted(runs, key=lambda run: run.round > 0)))
    if family not in known:  # an old file of a family that is gone
        figures = [name for name in FIGURES if any(name in run.figures for run in runs)]
        reference = names[0]
    else:
        table = [each.name for each in known[family].entrants]
        names.sort(key=lambda name: _place(table, name))
        figures = list(known[family].figures)
        ran = [n for n in names if any(r.entrant == n and r.status == "ok" for r in runs)]
        reference = against(ran or names, known[family].reference)
    before = {name: first_checkout(names, name) for name in names}
    found = [row(runs, figures, name, reference, before[name]) for name in names]
    return found, reference, figures


def _place(table: Sequence[str], name: str) -> int:
    plain = name.partition("@")[0]
    return table.index(plain) if plain in table else len(table)


def table(family: str, runs: Sequence[Run]) -> list[list[str]]:
    """A case as cells, heads first; those who were skipped are not in it."""
    found, reference, names = rows(family, runs)
    names = [name for name in names if any(name in each.values for each in found)]
    has_before = any(each.before for each in found)
    heads = [""]
    for place, name in enumerate(names):
        heads.append(FIGURES[name].title)
        if len(found) > 1 and place < 2:
            heads.append(f"× {reference}")
        if has_before and place < 2:
            heads.append("× before")
    cells = [[*heads, ""]]
    for each in found:
        if not each.rounds:
            continue
        line = [each.entrant]
        for place, name in enumerate(names):
            line.append(shown(each.values.get(name), name))
            if len(found) > 1 and place < 2:
                line.append(ratio(each.ratios.get(name)))
            if has_before and place < 2:
                line.append(ratio(each.before.get(name)))
        cells.append([*line, _remark(each)])
    return cells


def _remark(each: Row) -> str:
    said = []
    if each.failed:
        said.append(f"FAILED {each.failed} of {each.rounds}: {each.why}")
    if each.load_bound:
        said.append("load-bound")
    if each.others > DISTURBED:
        said.append(f"disturbed (others had {each.others:.1f} cores)")
    return "; ".join(said)


def aligned(cells: Sequence[Sequence[str]]) -> list[str]:
    """Cells as lines: the first and the last column to the left, others to the right."""
    widths = [max(len(line[place]) for line in cells) for place in range(len(cells[0]))]
    last = len(widths) - 1
    return [
        "  ".join(
            cell.ljust(width) if place in (0, last) else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in cells
    ]


def markdown(cells: Sequence[Sequence[str]]) -> list[str]:
    """Cells as a table of Markdown, without columns that are empty."""
    kept = [place for place in range(len(cells[0])) if any(line[place] for line in cells)]
    heads, *lines = [[line[place].replace("|", "\\|") for place in kept] for line in cells]
    rule = ["---", *("---:" for _ in heads[1:])]
    return [f"| {' | '.join(line)} |" for line in (heads, rule, *lines)]


def skips(runs: Iterable[Run]) -> list[str]:
    """Who was skipped and why, each reason once, with the families it holds for."""
    found: dict[tuple[str, str], list[str]] = {}
    for run in runs:
        if run.status == "skipped":
            families = found.setdefault((run.entrant, run.why), [])
            if run.family not in families:
                families.append(run.family)
    return [f"{name} ({', '.join(of)}): {why}" for (name, why), of in found.items()]


def title(family: str, case: Case) -> str:
    """The head of a case's table."""
    words = case_words(case)
    return f"{family}: {words}" if words else family


def versions(result: Result) -> str:
    """Machine and versions in a paragraph."""
    machine = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in result.machine.items())
    used = ", ".join(f"{name} {version}" for name, version in result.versions.items())
    return f"{result.date}: {machine}. {used}."


def text(result: Result) -> str:
    """Everything, for a terminal."""
    lines = [versions(result), ""]
    for family, case, runs in groups(result.runs):
        cells = table(family, runs)
        if len(cells) > 1:
            lines += [title(family, case), *(f"  {line}" for line in aligned(cells)), ""]
    skipped = skips(result.runs)
    if skipped:
        lines += ["Skipped:", *(f"  {line}" for line in skipped), ""]
    failed = sum(run.status == "failed" for run in result.runs)
    if failed:
        lines += [
            f"FAILED: {failed} of {len(result.runs)} runs. Their figures are not counted.",
            "",
        ]
    return "\n".join(lines)
