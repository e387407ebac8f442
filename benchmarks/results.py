"""What was measured: single runs, and the file that keeps them with all that is to be known."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

__all__ = ["Case", "Plain", "Result", "Run", "Status", "case_words", "read", "write"]

Plain = bool | int | float | str
Case = Mapping[str, Plain]
"""What sets one case of a family apart from the others: connections, in_flight, size..."""

Status = Literal["ok", "failed", "skipped"]

_DIGITS = 5  # of a figure, as it is kept


@dataclass(frozen=True, slots=True)
class Run:
    """One server under one load, once.

    Args:
        family: the family of cases it belongs to.
        case: which one of them.
        entrant: who was measured.
        round: from 1; who ran in one round ran within the same minute, and may be compared.
        status: `failed` when anything was not as it must be, whatever the figures say.
        why: it failed or was skipped.
        figures: what was measured, by names that end in their unit.
        load_bound: the load was busy all the time and the server was not: it could do more.
    """

    family: str
    case: Case
    entrant: str
    round: int
    status: Status
    why: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)
    load_bound: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """All runs of one call, and where, when and with what they were made.

    Args:
        date: ISO 8601, UTC.
        machine: processor, cores, memory, kernel, disk; never a name of a host.
        versions: of everything that took part.
        parameters: rounds, seconds, warmup and what else was asked for.
        runs: in the order of time.
    """

    date: str
    machine: Mapping[str, Plain]
    versions: Mapping[str, str]
    parameters: Mapping[str, Plain]
    runs: Sequence[Run]

    @property
    def is_good(self) -> bool:
        """Whether no run failed."""
        return all(run.status != "failed" for run in self.runs)


def case_words(case: Case) -> str:
    """A case in words: `connections 200, in flight 64`."""
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in case.items())


def write(result: Result, file: Path) -> None:
    """Write a result as JSON, a run a line, so that two can be compared with `diff`."""
    head = {
        "date": result.date,
        "machine": dict(result.machine),
        "versions": dict(result.versions),
        "parameters": dict(result.parameters),
    }
    text = json.dumps(head, indent=2)[:-2]
    runs = ",\n".join("    " + json.dumps(_without_defaults(run)) for run in result.runs)
    file.write_text(f'{text},\n  "runs": [\n{runs}\n  ]\n}}\n')


def read(file: Path) -> Result:
    """Read what `write` wrote.

    Raises:
        ValueError: it is no such file.
        OSError: it cannot be read.
    """
    try:
        whole: dict[str, Any] = json.loads(file.read_text())
        runs = [Run(**run) for run in whole.pop("runs")]
        return Result(**whole, runs=runs)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{file}: not a saved result: {error}") from None


def _without_defaults(run: Run) -> dict[str, object]:
    kept: dict[str, object] = {key: value for key, value in asdict(run).items() if value}
    kept |= {"case": dict(run.case), "round": run.round}
    kept["figures"] = {name: float(f"{value:.{_DIGITS}g}") for name, value in run.figures.items()}
    return kept
