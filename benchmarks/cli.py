"""The command: `python -m benchmarks`."""

from __future__ import annotations

import argparse
import datetime
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import machine, report, results, rounds, scenarios, versions
from benchmarks.checkouts import ROOT, Checkout, parse
from benchmarks.figures import FIGURES
from benchmarks.results import Plain, Result, Run, case_words
from benchmarks.rounds import Bench, Plan

__all__ = ["main", "plans"]

LOAD = ROOT / ".venv" / "load"

_EXAMPLES = """\
examples:
  make bench                                       everything; 40 minutes on two cores
  python -m benchmarks --quick                     everything once, and short: does it run at all
  python -m benchmarks --only fanout --connections 200 --in-flight 64
  python -m benchmarks --only fanout --peers chatd-json,bun-publish --rounds 3 --seconds 2
  python -m benchmarks --only fanout --peers 'chatd-*' --chatd before=../old --chatd after=.
                                                   two checkouts of chatd, in turn in one run
  python -m benchmarks --save benchmarks/result.json
  python -m benchmarks --draw benchmarks/result.json
                                                   docs/pictures and the tables of
                                                   docs/performance.md, from what was saved

Server and load each run on a core of their own. Nothing is kept but what --save says. The status
is 1 when any run failed: a message that was missing, doubled, out of order or garbled.
"""


def _names(text: str) -> list[str]:
    return [part for part in text.split(",") if part]


def _numbers(text: str) -> list[Plain]:
    return [int(part) for part in _names(text)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="How fast chatd is, beside others that do the same.",
        epilog=_EXAMPLES + "\nfamilies:\n" + _families(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--only", type=_names, default=[], metavar="FAMILY,...", help="these families (see below)")
    add("--peers", type=_names, default=[], metavar="NAME,...", help="these entrants; * is a joker")
    add("--connections", type=_numbers, default=[], metavar="N,...", help="instead of the table's")
    add("--in-flight", type=_numbers, default=[], metavar="N,...", help="instead of the table's")
    add("--size", type=_numbers, default=[], metavar="BYTES,...", help="instead of the table's")
    add("--rounds", type=int, metavar="N", help="how often each is measured (3)")
    add("--seconds", type=float, metavar="S", help="for how long, after the warm-up (3)")
    add("--warmup", type=float, metavar="S", help="before it (1)")
    add("--quick", action="store_true", help="few cases, 1 round, 1 s, 0.3 s of warm-up")
    add(
        "--chatd",
        action="append",
        default=[],
        metavar="[LABEL=]PATH",
        help="the checkout of chatd that is measured; several: each in turn (this one)",
    )
    add("--folder", metavar="DIR", help="for the databases; on a real disk (TMPDIR)")
    add("--load", metavar="FILE", help="the load generator (.venv/load)")
    add("--save", metavar="FILE", help="write everything that was measured, as JSON")
    add("--draw", metavar="FILE", help="measure nothing: pictures and tables of a saved result")
    return parser


def _families() -> str:
    lines = []
    for family in scenarios.FAMILIES:
        lines.append(f"  {family.name:12} {family.question}")
        lines.append(f"  {'':12} {', '.join(each.name for each in family.entrants)}")
    return "\n".join(lines)


def plans(said: argparse.Namespace, checkouts: Sequence[Checkout]) -> list[Plan]:
    """What a command line asks for.

    Args:
        said: what was said.
        checkouts: of chatd.

    Raises:
        ValueError: a name is of nothing, or nothing is left.
    """
    for pattern in said.peers:
        if not any(
            scenarios.entrants(family, [pattern], checkouts) for family in scenarios.FAMILIES
        ):
            raise ValueError(f"nobody is called {pattern!r}; see --help")
    values: dict[str, Sequence[Plain]] = {
        "connections": said.connections,
        "in_flight": said.in_flight,
        "size": said.size,
    }
    found = [
        Plan(family, case, present)
        for family in scenarios.select(said.only)
        if (present := scenarios.entrants(family, said.peers, checkouts))
        for case in scenarios.cases(family, quick=said.quick, values=values)
    ]
    if not found:
        raise ValueError("none of these entrants takes part in these families; see --help")
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, or draw what was measured.

    Raises:
        SystemExit: status 1 when a run failed or this machine cannot do it, 2 for a wrong option,
            130 when it was interrupted.
    """
    parser = _parser()
    said = parser.parse_args(arguments)
    try:
        if said.draw:
            from benchmarks import page

            page.draw(results.read(Path(said.draw)))
            return
        checkouts = parse(said.chatd or [str(ROOT)])
        wanted = plans(said, checkouts)
        for name, least in (("rounds", 1), ("seconds", 0.1), ("warmup", 0)):
            if (value := getattr(said, name)) is not None and value < least:
                raise ValueError(f"--{name} must be at least {least}")
        if said.save and not os.access(Path(said.save).resolve().parent, os.W_OK):
            raise ValueError(f"--save: there is no folder for {said.save} that can be written to")
        load = Path(said.load).resolve() if said.load else LOAD
        if not load.is_file():
            raise ValueError("the load generator is not built: make .venv/.load")
    except (OSError, ValueError) as error:
        parser.error(str(error))
    # So that servers are ended and folders removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        result = _run(said, checkouts, wanted, load)
    except machine.NotHereError as error:
        sys.exit(f"benchmarks: {error}")
    print(report.text(result))
    if said.save:
        results.write(result, Path(said.save))
    sys.exit(130 if result.parameters["interrupted"] else 0 if result.is_good else 1)


def _run(
    said: argparse.Namespace, checkouts: Sequence[Checkout], wanted: Sequence[Plan], load: Path
) -> Result:
    cores = machine.choose()
    descriptors = machine.raise_descriptors()
    os.sched_setaffinity(0, {cores.load_core})
    usual = (1, 1.0, 0.3) if said.quick else (3, 3.0, 1.0)
    number: int = usual[0] if said.rounds is None else said.rounds
    seconds: float = usual[1] if said.seconds is None else said.seconds
    warmup_s: float = usual[2] if said.warmup is None else said.warmup
    with tempfile.TemporaryDirectory(prefix="chatd-bench-", dir=said.folder) as name:
        folder = Path(name)
        if machine.file_system(folder) in ("tmpfs", "ramfs"):
            raise machine.NotHereError(
                "the databases would lie in memory, not on a disk: give --folder DIR"
            )
        bench = Bench(
            load=load,
            cores=cores,
            folder=folder,
            rounds=number,
            seconds=seconds,
            warmup_s=warmup_s,
            is_quick=said.quick,
            descriptors=descriptors,
        )
        date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        about = machine.describe(folder, cores)
        names = versions.used(checkouts)
        total = sum(len(plan.entrants) for plan in wanted) * number
        told = _teller(total)
        runs: list[Run] = []
        interrupted = False
        try:
            for run in rounds.measure(bench, wanted):
                told(run)
                runs.append(run)
        except KeyboardInterrupt:
            interrupted = True  # what was measured until then is as good as ever
    parameters: dict[str, Plain] = {
        "rounds": number,
        "seconds": seconds,
        "warmup": warmup_s,
        "quick": said.quick,
        "interrupted": interrupted,
    }
    return Result(date, about, names, parameters, runs)


def _teller(total: int) -> Callable[[Run], None]:
    """What tells each run as soon as it is there, on standard error."""
    begun, count = time.monotonic(), 0
    main_figures = {family.name: family.figures[0] for family in scenarios.FAMILIES}

    def tell(run: Run) -> None:
        nonlocal count
        where = f"{run.family} {case_words(run.case)}".strip()
        if run.status == "skipped":
            outcome = f"skipped: {run.why}"
        elif run.status == "failed":
            outcome = f"FAILED: {run.why}"
        else:
            figure = FIGURES[main_figures[run.family]]
            value = run.figures.get(figure.name, 0.0) * figure.scale
            outcome = f"{report.number(value)} {figure.title}"
            outcome += " (load-bound)" if run.load_bound else ""
            if run.figures.get("others_cores", 0) > report.DISTURBED:
                outcome += " (disturbed)"
        count += 1
        minutes, seconds = divmod(int(time.monotonic() - begun), 60)
        head = f"[{count}/{total} {minutes}:{seconds:02}]"
        print(f"{head} {where}: {run.entrant}: {outcome}", file=sys.stderr, flush=True)

    return tell
