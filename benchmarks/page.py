"""docs/performance.md: its tables come from a saved result, between marks in the text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from benchmarks import report
from benchmarks.checkouts import ROOT
from benchmarks.figures import groups
from benchmarks.results import Result, case_words
from benchmarks.scenarios import FAMILIES
from benchmarks.targets import TARGETS, look_up

__all__ = ["PAGE", "PICTURES", "blocks", "draw", "fill_in"]

PAGE = ROOT / "docs" / "performance.md"
PICTURES = ROOT / "docs" / "pictures"

_SPOKEN = {
    "processor": "{}",
    "cores": "{} cores",
    "memory_gib": "{} GiB of memory",
    "system": "{}",
    "file_system": "{}",
    "fsync_ms": "fsync of 4 KiB {} ms",
}

_QUICK = (
    "**These are of a `--quick` run, one short round: they show that it runs, not how fast it is.**"
)


def draw(result: Result, page: Path = PAGE, pictures: Path = PICTURES) -> None:
    """Bring the page up to date with a result.

    Args:
        result: what the page shall show.
        page: that has the marks.
        pictures: the folder of the pictures.

    Raises:
        ValueError: a mark is missing.
    """
    from benchmarks.pictures import draw_all  # which takes a second to import

    page.write_text(fill_in(page.read_text(), blocks(result)))
    draw_all(result, pictures)


def fill_in(text: str, made: Mapping[str, str]) -> str:
    """Put blocks between their marks, `<!-- begin NAME -->` and `<!-- end NAME -->`.

    Args:
        text: of the page.
        made: the blocks by name.

    Raises:
        ValueError: the page has not just one place for each.
    """
    for name, block in made.items():
        marks = f"<!-- begin {name} -->\n", f"<!-- end {name} -->"
        if any(text.count(mark) != 1 for mark in marks):
            raise ValueError(f"the page has not one place for {name!r}")
        first, last = marks
        head, rest = text.split(first)
        text = f"{head}{first}\n{block}\n{last}{rest.split(last)[1]}"
    return text


def blocks(result: Result) -> dict[str, str]:
    """Every block of the page, by the name of its place."""
    made: dict[str, Callable[[Result], Iterable[str]]] = {
        "machine": _machine,
        "targets": _targets,
        "tables": _tables,
    }
    return {name: "\n".join([*make(result), ""]) for name, make in made.items()}


def _machine(result: Result) -> list[str]:
    said = [words.format(result.machine.get(name)) for name, words in _SPOKEN.items()]
    used = [f"{name} {version}" for name, version in result.versions.items()]
    of = result.parameters
    quick = ", `--quick`" if of.get("quick") else ""
    count = of.get("rounds")
    rounds = "1 round" if count == 1 else f"{count} rounds"
    return [
        f"Measured {result.date}, {rounds} of {of.get('seconds'):g} s after "
        f"{of.get('warmup'):g} s of warm-up{quick}: {', '.join(said)}.",
        f"With {', '.join(used)}.",
    ]


def _targets(result: Result) -> list[str]:
    cells = [["what", "target", "measured", ""]]
    for target in TARGETS:
        measured = look_up(target, result)
        cells.append([target.what, target.words, measured.words, measured.verdict])
    heads, _, *lines = report.markdown(cells)
    table = [heads, "|---|---|---|---|", *lines]
    return [_QUICK, "", *table] if result.parameters.get("quick") else table


def _tables(result: Result) -> list[str]:
    questions = {family.name: family.question for family in FAMILIES}
    lines: list[str] = []
    before = ""
    for family, case, runs in groups(result.runs):
        cells = report.table(family, runs)
        if len(cells) < 2:
            continue
        if family != before:
            lines += [f"### {family}", "", f"{questions.get(family, family)}.", ""]
            before = family
        words = case_words(case)
        lines += [f"{words[:1].upper()}{words[1:]}:", ""] if words else []
        lines += [*report.markdown(cells), ""]
    skipped = report.skips(result.runs)
    if skipped:
        lines += ["### Skipped", "", *(f"- {line}" for line in skipped), ""]
    return lines[:-1]
