"""What chatd may cost: tests/costs.toml, which guards against getting slower.

It holds counts and no times, so that a slow machine and a fast one agree. `python -m
tests.support.costs` counts again, writes it and prints what changed; what another version of
Python has there stays.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from unittest import SkipTest

from tests.support.counts import BURST, FEW, MANY, Counts, counted
from tests.support.daemon import ROOT
from tests.support.syscalls import system_calls

__all__ = [
    "FILE",
    "PYTHON",
    "RENEW",
    "SLACK",
    "changes",
    "complaint",
    "recorded",
    "rendered",
    "without",
]

FILE = ROOT / "tests" / "costs.toml"
RENEW = "python -m tests.support.costs"

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"

SLACK = 0.1
"""By so much of itself a count may differ from what is recorded."""

_EXACT = ("statements",)
_LEAST = {"system_calls": 0.1}
"""Smaller differences are nothing: an odd wake-up in forty rounds."""

_OF_PYTHON = ("bytes", "calls")
"""What each version of Python has counts of its own of."""

_HEAD = f"""\
# What chatd costs, counted: tests/test_costs.py and tests/integration/test_costs.py compare.
# A statement more or less fails them, as does any other count that is off by over {SLACK:.0%}.
# To count again and write this file: {RENEW}
"""

_WORDS = {
    "bytes": """\
Bytes that Python allocates for one more member of a room, by their door: connection,
session and membership, without the socket's transport.""",
    "calls": f"""\
Calls of Python and C functions, by chatd and its libraries, from the read to the last write.
DOOR_HOW_per_delivery is what one more member adds to one message, of {FEW} to {MANY} members;
DOOR_HOW_per_message is the rest: receiving, checking, storing, encoding, acknowledging.
single: one message at a time. burst: {BURST} messages in one read.""",
    "statements": """\
SQL statements of the broker, and how often triggers ran in them. A batch is what is stored by
one commit; a new room has nothing stored yet.""",
    "system_calls": f"""\
System calls of a daemon on disk, by what they do, without the scheduler's and the allocator's;
the lists of names are in tests/support/syscalls.py. What wakes the other thread is a send and a
receive too. single: one message at a time, for each delivery and for the message itself.
burst: {BURST} messages in one write, for each member and for the batch.""",
}


def recorded(file: Path = FILE) -> tuple[Counts, dict[str, Counts]]:
    """Read the file.

    Returns:
        the tables that hold for all versions of Python, and those of each.
    """
    tables = tomllib.loads(file.read_text("utf-8"))
    pythons = tables.pop("python", {})
    return tables, pythons


def rendered(common: Counts, pythons: Mapping[str, Counts]) -> str:
    """The text of the file, tables and names sorted."""
    parts = [_HEAD]
    for name, table in sorted(common.items()):
        parts.append(_table(name, name, table))
    for python, tables in sorted(pythons.items()):
        for name, table in sorted(tables.items()):
            parts.append(_table(f'python."{python}".{name}', name, table))
    return "\n".join(parts)


def _table(title: str, name: str, table: Mapping[str, float]) -> str:
    words = "".join(f"# {line}\n" for line in _WORDS[name].splitlines())
    rows = "".join(f"{key} = {value:g}\n" for key, value in sorted(table.items()))
    return f"{words}[{title}]\n{rows}"


def changes(name: str, before: Mapping[str, float], now: Mapping[str, float]) -> list[str]:
    """Say what has changed by more than it may.

    Args:
        name: of the table.
        before: what is recorded.
        now: what was counted; what is in only one of the two is 0 in the other.

    Returns:
        a line for each, sorted; the rises first.
    """
    rises: list[str] = []
    falls: list[str] = []
    for key in sorted(before.keys() | now.keys()):
        was, came = before.get(key, 0), now.get(key, 0)
        may = 0 if name in _EXACT else max(SLACK * was, _LEAST.get(name, 0))
        if abs(came - was) > may + 1e-9:
            much = f"{came / was - 1:+.1%}" if was else "new"
            line = f"{name}.{key}: {came:g}, recorded is {was:g} ({much})"
            (rises if came > was else falls).append(line)
    return rises + falls


def complaint(found: list[str]) -> str:
    """The words of the failure; none when nothing has changed."""
    if not found:
        return ""
    lines = "\n  ".join(found)
    return (
        f"the costs are not those of {FILE.relative_to(ROOT)}:\n  {lines}\n"
        f"A rise that cannot be helped, and a gain that is to be kept, are recorded by: {RENEW}"
    )


def without(python: str) -> str:
    """Why nothing is compared under a version of Python that nobody has counted with."""
    return (
        f"{FILE.relative_to(ROOT)} has no bytes and function calls of Python {python}; "
        f"to count them: {RENEW}"
    )


def _main() -> None:
    common, pythons = recorded() if FILE.exists() else ({}, {})
    counts = counted()
    try:
        counts["system_calls"] = system_calls()
    except SkipTest as error:
        sys.stderr.write(f"system calls stay as they are: {error}\n")
    mine = pythons.setdefault(PYTHON, {})
    for name, table in sorted(counts.items()):
        kept = mine if name in _OF_PYTHON else common
        before, kept[name] = kept.get(name, {}), table
        for key in sorted(before.keys() | table.keys()):
            if before.get(key) != table.get(key):
                sys.stdout.write(f"{name}.{key}: {before.get(key)} -> {table.get(key)}\n")
    FILE.write_text(rendered(common, pythons), "utf-8")


if __name__ == "__main__":
    _main()
