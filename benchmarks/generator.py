"""The load generator as it is called from here, and what its answer means."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.machine import Cores
from benchmarks.results import Plain, Status

__all__ = ["Answer", "arguments", "ask", "judge"]

_SERVER_BUSY = 0.9
_LOAD_BUSY = 0.97
_OVERTIME_S = 90  # to connect, to wait for what is under way, to end
_CANNOT = 3  # the status that says so
_ECHO = {"connections", "publishers", "in_flight", "size", "rooms", "rate", "missed", "limit"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one run of the load; the fields are those of `Run`."""

    status: Status
    why: str
    figures: Mapping[str, float]
    load_bound: bool = False


def arguments(options: Mapping[str, Plain]) -> list[str]:
    """Options as the words of a command: `{"in_flight": 16}` as `--in-flight 16`.

    True is a switch, false is left out.
    """
    words: list[str] = []
    for name, value in options.items():
        if value is False:
            continue
        words.append(f"--{name.replace('_', '-')}")
        if value is not True:
            words.append(f"{value:g}" if isinstance(value, float) else str(value))
    return words


def ask(
    program: Path, scenario: str, options: Mapping[str, Plain], cores: Cores, seconds: float
) -> Answer:
    """Run the load once, on its core.

    Args:
        program: the load generator.
        scenario: of its scenarios.
        options: in Python's spelling.
        cores: who runs where.
        seconds: that it is told to take; it is ended when it takes far longer.
    """
    words = [str(program), scenario, *arguments(options)]
    limit_s = seconds + _OVERTIME_S
    with cores.load():
        try:
            done = subprocess.run(
                words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=limit_s
            )
        except subprocess.TimeoutExpired:
            return Answer("failed", f"the load was not done after {limit_s:g} s", {})
    return judge(done.returncode, done.stdout, done.stderr)


def judge(status: int, said: str, complained: str) -> Answer:
    """Make sense of what the load left behind.

    What it only repeats of its options, and counts of errors that did not happen, are left out.

    Args:
        status: its exit status.
        said: its standard output, one JSON object.
        complained: its standard error.
    """
    last = (complained.strip().splitlines() or ["it said nothing"])[-1]
    if status == _CANNOT:
        return Answer("skipped", last, {})
    try:
        told: dict[str, Any] = json.loads(said)
        is_good = told["ok"] is True and status == 0
    except (KeyError, TypeError, ValueError):
        return Answer("failed", f"the load ended with status {status}: {last}", {})
    figures = {
        name: value
        for name, value in _numbers(told).items()
        if name not in _ECHO and (value or not name.startswith("errors."))
    }
    _derive(figures)
    if not is_good:
        return Answer("failed", str(told.get("why") or f"status {status}: {last}"), figures)
    load_bound = (
        figures.get("load_busy", 0) > _LOAD_BUSY and figures.get("server_busy", 1) < _SERVER_BUSY
    )
    return Answer("ok", "", figures, load_bound)


def _numbers(told: Mapping[str, Any], within: Sequence[str] = ()) -> dict[str, float]:
    """All numbers of an object, those of inner ones under `outer.inner`."""
    found: dict[str, float] = {}
    for name, value in told.items():
        if isinstance(value, dict):
            found |= _numbers(value, (*within, name))
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found[".".join((*within, name))] = value
    return found


def _derive(figures: dict[str, float]) -> None:
    if figures.get("bytes") and figures.get("deliveries"):
        figures["bytes_per_delivery"] = figures["bytes"] / figures["deliveries"]
    cpu_s, seconds = figures.get("server_cpu_s"), figures.get("seconds")
    if cpu_s is None or not seconds:
        return
    figures["server_busy"] = cpu_s / seconds
    figures["server_cpu_percent"] = 100 * cpu_s / seconds
    if figures.get("messages"):
        figures["server_cpu_us_per_message"] = 1e6 * cpu_s / figures["messages"]
