"""The measuring: everybody in turn within a round, and each round another one begins."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from benchmarks import checkouts, generator, servers
from benchmarks.generator import Answer
from benchmarks.machine import Cores, Others
from benchmarks.results import Case, Plain, Run
from benchmarks.scenarios import ROOM, Entrant, Family
from benchmarks.servers import PEERS, Server, ServerError

__all__ = ["Bench", "Plan", "measure", "order", "unable"]

T = TypeVar("T")

_SPARE = 300  # descriptors beside those of the connections


@dataclass(frozen=True, slots=True)
class Plan:
    """A case that is to be measured.

    Args:
        family: it belongs to.
        case: which.
        entrants: who takes part.
    """

    family: Family
    case: Case
    entrants: Sequence[Entrant]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """With what and for how long.

    Args:
        load: the load generator.
        cores: who runs where.
        folder: a temporary one, for databases.
        rounds: how many.
        seconds: of a measurement.
        warmup_s: before it.
        is_quick: whether the families' shorter times hold.
        descriptors: that a process may have.
    """

    load: Path
    cores: Cores
    folder: Path
    rounds: int
    seconds: float
    warmup_s: float
    is_quick: bool
    descriptors: int


def order(entrants: Sequence[T], round: int) -> list[T]:
    """Who is measured when in a round, from 1: each round another one begins."""
    turn = (round - 1) % len(entrants)
    return [*entrants[turn:], *entrants[:turn]]


def unable(entrant: Entrant, case: Case, descriptors: int) -> str:
    """Say why an entrant cannot be measured here; empty: it can.

    Args:
        entrant: who.
        case: in which.
        descriptors: that a process may have.
    """
    lack = servers.missing(PEERS[entrant.peer])
    if lack is not None:
        return lack
    needed = int(case.get("connections", 0)) + _SPARE
    if needed > descriptors:
        return f"it takes {needed} descriptors and a process may have {descriptors} (ulimit -Hn)"
    if entrant.checkout is not None:
        for key in entrant.settings:
            if key not in checkouts.known_settings(entrant.checkout):
                return f"this chatd has no setting {key}"
    return ""


def measure(bench: Bench, plans: Sequence[Plan]) -> Iterator[Run]:
    """Measure everything; each run is handed out as soon as it is there."""
    for plan in plans:
        able = []
        for entrant in plan.entrants:
            why = unable(entrant, plan.case, bench.descriptors)
            if why:
                yield Run(plan.family.name, plan.case, entrant.name, 0, "skipped", why)
            else:
                able.append(entrant)
        for round in range(1, bench.rounds + 1 if able else 0):
            for entrant in order(able, round):
                answer = _once(bench, plan.family, plan.case, entrant)
                yield Run(
                    plan.family.name,
                    plan.case,
                    entrant.name,
                    round,
                    answer.status,
                    answer.why,
                    answer.figures,
                    answer.load_bound,
                )


def _once(bench: Bench, family: Family, case: Case, entrant: Entrant) -> Answer:
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=bench.folder))
    try:
        server = _start(bench, entrant, folder)
        try:
            if family.scenario == "start":
                return Answer("ok", "", {"start_s": server.start_s})
            answer = _ask(bench, family, case, entrant, server)
        finally:
            server.end()
        if entrant.checkout is not None and "Traceback" in server.printed():
            return Answer("failed", "there is a traceback in the log of chatd", answer.figures)
        return answer
    except (OSError, ServerError) as error:
        return Answer("failed", str(error), {})
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _ask(bench: Bench, family: Family, case: Case, entrant: Entrant, server: Server) -> Answer:
    least = family.quick_seconds if bench.is_quick else family.seconds
    seconds = max(bench.seconds, least)
    options: dict[str, Plain] = {
        "url": server.url,
        "dialect": PEERS[entrant.peer].dialect,
        "seconds": seconds,
        "warmup": bench.warmup_s,
        "pids": str(server.pid),
        **family.load,
        **case,
        **entrant.load,
    }
    scenario = entrant.scenario or family.scenario
    others = Others(bench.cores, server.pid)
    limit_s = bench.warmup_s + seconds
    answer = generator.ask(bench.load, scenario, options, bench.cores, limit_s)
    server.check()
    return replace(answer, figures={**answer.figures, "others_cores": others.cores()})


def _start(bench: Bench, entrant: Entrant, folder: Path) -> Server:
    peer = PEERS[entrant.peer]
    ports = servers.free_ports(2)
    checkout = entrant.checkout
    if checkout is None:
        words, environment = servers.words(peer, ports[0]), servers.environment()
    else:
        database = folder / "chatd.sqlite3"
        if entrant.stored:
            made = checkouts.stored(checkout, bench.folder, entrant.stored, ROOM)
            checkouts.copy(made, database)
            # Else the disk is still busy with the copy when it is measured.
            os.sync()
        tls = str(checkouts.certificate(bench.folder)) if entrant.tls else ""
        path = ":memory:" if entrant.database == "memory" else str(database)
        words = checkouts.command(ports, path, tls)
        environment = {**checkout.environment, **checkouts.variables(entrant.settings)}
    return Server(words, folder, environment, bench.cores, ports[0], peer.path, entrant.tls)
