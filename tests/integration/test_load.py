"""The load generator of the benchmarks counts what was delivered, and notices each kind of lie."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.daemon import ROOT, Daemon, running
from tests.support.external import external
from tests.support.liar import Liar, Lie
from tests.support.lives import FAST
from tests.support.sdk import JsonClient

DEADLINE_S = 30
CONNECTIONS = 20
LIED_AT = 5
QUICK = ("--warmup", "0.02", "--seconds", "0.05", "--patience", "0.2")

JSON_DOOR = "/connection/websocket"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The load generator, built for these tests.

    Raises:
        SkipTest: there is no C compiler.
        AssertionError: there is none, with `CI=true`, or it does not compile.
    """
    compiler = external("cc")
    target = tmp_path_factory.mktemp("load") / "load"
    built = subprocess.run(
        [str(ROOT / "benchmarks" / "load" / "build"), str(target)],
        env={**os.environ, "CC": compiler},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return str(target)


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    """A daemon without limits of rate."""
    with running(env=FAST) as daemon:
        yield daemon


def load(program: str, *words: str) -> tuple[int, dict[str, Any]]:
    """Run it; its status, and what it said."""
    done = subprocess.run(
        [program, *words], capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    told = json.loads(done.stdout) if done.stdout else {"why": done.stderr}
    return done.returncode, told


def lied_to(program: str, liar: Liar, path: str = "/") -> dict[str, Any]:
    """What it says of a server, which must not be that all is well; only the counts above 0."""
    dialect = "centrifuge" if path == JSON_DOOR else "raw"
    words = ("--url", f"ws://127.0.0.1:{liar.port}{path}", "--dialect", dialect, *QUICK)
    few = ("--connections", "3", "--publishers", "1", "--rate", "200")
    status, told = load(program, "fanout", *words, *few)
    assert status == 1, told
    assert told["ok"] is False
    assert told["why"]
    return {name: count for name, count in told["errors"].items() if count}


def instead(*sent: Lie) -> Lie:
    """A lie about one delivery and those that follow it; the truth about all others."""

    def tell(number: int, text: bytes) -> list[bytes]:
        index = number - LIED_AT
        return list(sent[index](number, text)) if 0 <= index < len(sent) else [text]

    return tell


def swap() -> Lie:
    """Hold one delivery back until after the next."""
    held: list[bytes] = []

    def hold(_number: int, text: bytes) -> list[bytes]:
        held.append(text)
        return []

    return instead(hold, lambda _, text: [text, *held])


DROP = instead(lambda _, text: [])
DOUBLE = instead(lambda _, text: [text, text])
GARBLE = instead(lambda _, text: [text.replace(b" ", b"_", 1)])
CUT = instead(lambda _, text: [text[:-1]])
STRANGE = instead(lambda _, text: [text, b"who is this?"])
FORGED = instead(lambda _, text: [text[:4] + b"ffffffff" + text[12:]])
STALE = instead(lambda _, text: [text.replace(b'"offset":6', b'"offset":5')])


@pytest.mark.parametrize(
    ("lie", "found"),
    [
        (DROP, {"missing": 1}),
        (DOUBLE, {"doubled": 1}),
        (swap(), {"out_of_order": 1}),
        (GARBLE, {"garbled": 1}),
        (CUT, {"garbled": 1}),
        (STRANGE, {"garbled": 1}),
        (FORGED, {"garbled": 1, "missing": 1}),
    ],
    ids=["dropped", "doubled", "swapped", "garbled", "cut", "strange", "forged"],
)
def test_lie(program: str, lie: Lie, found: dict[str, int]) -> None:
    """One wrong delivery to one member makes the run a failure, under its right name."""
    with Liar(lie) as liar:
        assert lied_to(program, liar) == found


@pytest.mark.parametrize(
    ("lie", "found"),
    [
        (DROP, {"missing": 1, "offsets": 1}),
        (DOUBLE, {"doubled": 1, "offsets": 1}),
        (STALE, {"offsets": 2}),  # the one that follows does not follow on it either
    ],
    ids=["dropped", "doubled", "offset"],
)
def test_lie_about_offsets(program: str, lie: Lie, found: dict[str, int]) -> None:
    """At the Centrifuge door an offset that is not the next one is found as well."""
    with Liar(lie) as liar:
        assert lied_to(program, liar, JSON_DOOR) == found


def test_unanswered(program: str) -> None:
    """Messages that everybody got, but whose publisher got no answer, are a failure."""
    with Liar(answers=False) as liar:
        assert lied_to(program, liar, JSON_DOOR) == {}


@pytest.mark.parametrize("path", ["/", JSON_DOOR], ids=["raw", "centrifuge"])
def test_honest(program: str, daemon: Daemon, path: str) -> None:
    """Of a run with chatd every single delivery is accounted for."""
    dialect = "centrifuge" if path == JSON_DOOR else "raw"
    url = f"ws://127.0.0.1:{daemon.ws}{path}"
    crowd = ("--connections", str(CONNECTIONS), "--seconds", "0.3", "--warmup", "0.05")
    status, told = load(
        program, "fanout", "--url", url, "--dialect", dialect, "--pids", str(daemon.pid), *crowd
    )
    assert status == 0, told
    assert told["ok"] is True
    with JsonClient(daemon.ws) as reader:
        reader.connect()
        stored = reader.history("bench" if path == JSON_DOOR else "lobby", limit=0)["offset"]
    assert stored == told["messages_in_all"]
    assert told["deliveries_in_all"] == stored * CONNECTIONS
    assert 0 < told["deliveries"] < told["deliveries_in_all"]
    latencies = told["latency_ms"]
    assert 0 < latencies["p50"] <= latencies["p99"] <= latencies["max"]
    assert told["server_rss_kib"] >= told["server_rss_before_kib"] > 0
    assert set(told["errors"].values()) == {0}


def test_usage(program: str) -> None:
    """What makes no sense is a usage error and touches no network."""
    for words in ((), ("fanout",), ("dance",), ("fanout", "--url", "ws://127.0.0.1:1/", "--nope")):
        status, told = load(program, *words)
        assert status == 2
        assert told["why"].startswith("load: ")


def test_nobody_there(program: str) -> None:
    """Where nobody listens it says so."""
    with Liar() as liar:
        port = liar.port
    status, told = load(program, "fanout", "--url", f"ws://127.0.0.1:{port}/")
    assert status == 1
    assert told["ok"] is False
    assert "refused" in told["why"]
