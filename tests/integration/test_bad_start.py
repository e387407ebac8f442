"""What cannot be started says why, in its last line, and leaves nothing behind."""

from __future__ import annotations

import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.client import dial
from tests.support.daemon import command, environment, free_ports, is_open

DEADLINE_S = 10
AT_ONCE = 2

TWISTDS = ("twistd -n", "twistd", "chatd serve")
ONE = ("twistd",)
EVERYWHERE = (*TWISTDS, "twistd -ny chatd.tac", "twistd -y chatd.tac")


@dataclass(frozen=True)
class Case:
    """One mistake.

    Args:
        options: besides the endpoints, `{folder}`, `{taken}` and `{free}` filled in; a later
            `--ws` or `--web` is one more.
        words: what the last line must hold, filled in likewise.
        env: variables, filled in likewise.
        files: of the folder; a name that ends in a slash is a folder.
        listen: whether good endpoints are given too.
        kinds: ways to start it that are tried.
        made: whether the lock of the database may be left, for it is the database that is bad.
    """

    options: tuple[str, ...]
    words: tuple[str, ...]
    env: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    listen: bool = True
    kinds: tuple[str, ...] = TWISTDS
    made: bool = False


CASES = {
    "unknown option": Case(("--nonsense",), ("nonsense",), kinds=EVERYWHERE),
    "extra argument": Case(("serve",), ("unexpected argument", "'serve'"), kinds=EVERYWHERE),
    "no endpoint": Case(("--ws", "nonsense"), ("--ws", "'nonsense'")),
    "port not a number": Case(("--web", "tcp:abc"), ("--web", "'tcp:abc'")),
    "port too high": Case(("--ws", "tcp:70000"), ("--ws", "'tcp:70000'", "65535")),
    "port in use": Case(
        ("--ws", "tcp:{taken}:interface=127.0.0.1"),
        ("--ws", "{taken}", "in use"),
        kinds=EVERYWHERE,
    ),
    "other port in use": Case(
        ("--web", "tcp:{taken}:interface=127.0.0.1"), ("--web", "{taken}", "in use"), kinds=ONE
    ),
    "one port for both": Case(
        ("--ws", "tcp:{free}:interface=127.0.0.1", "--web", "tcp:{free}:interface=127.0.0.1"),
        ("--web", "{free}", "in use"),
        kinds=EVERYWHERE,
    ),
    "endpoint of a variable": Case(
        ("--web", "tcp:{free}:interface=127.0.0.1"),
        ("CHATD_LISTEN_WS", "'nonsense'"),
        env={"CHATD_LISTEN_WS": "nonsense"},
        listen=False,
        kinds=ONE,
    ),
    "half a quotation": Case(
        ("--greeting", "x"),
        ("quotation",),
        env={"CHATD_OPTIONS": "--ws 'tcp:1"},
        kinds=("twistd -ny chatd.tac", "twistd -y chatd.tac"),
    ),
    "more connections than descriptors": Case(
        (),
        ("CHATD_LIMITS_CONNECTIONS", "1000000", "ulimit -n"),
        env={"CHATD_LIMITS_CONNECTIONS": "1000000"},
        kinds=ONE,
    ),
    "foreign address": Case(
        ("--ws", "tcp:{free}:interface=192.0.2.1"),
        ("--ws", "192.0.2.1", "cannot listen"),
        kinds=ONE,
    ),
    "no such socket folder": Case(
        ("--ws", "unix:{folder}/no/socket"), ("--ws", "{folder}/no"), kinds=ONE
    ),
    "no such certificate": Case(
        ("--web", "ssl:{free}:privateKey={folder}/no.pem"), ("--web", "no.pem"), kinds=ONE
    ),
    "no such file": Case(("--config", "no.toml"), ("'no.toml'", "No such file")),
    "file is a folder": Case(("--config", "{folder}"), ("{folder}", "Is a directory"), kinds=ONE),
    "broken TOML": Case(
        ("--config", "chatd.toml"),
        ("'chatd.toml'", "not TOML"),
        files={"chatd.toml": "[limits\n"},
        kinds=EVERYWHERE,
    ),
    "unknown key": Case(
        ("--config", "chatd.toml"),
        ("'chatd.toml'", "limits.nonsense"),
        files={"chatd.toml": "[limits]\nnonsense = 1\n"},
    ),
    "bad value": Case(
        ("--config", "chatd.toml"),
        ("'chatd.toml'", "limits.fragments", "whole number", "'many'"),
        files={"chatd.toml": '[limits]\nfragments = "many"\n'},
    ),
    "bad flag value": Case(
        ("--allow-origin", "example"), ("--allow-origin", "'example'"), kinds=ONE
    ),
    "bad variable": Case(
        (),
        ("CHATD_LIMITS_FRAGMENTS", "whole number", "'many'"),
        env={"CHATD_LIMITS_FRAGMENTS": "many"},
        kinds=EVERYWHERE,
    ),
    "unknown variable": Case(
        (), ("CHATD_LIMITS_NONSENSE",), env={"CHATD_LIMITS_NONSENSE": "1"}, kinds=ONE
    ),
    "file of a variable": Case((), ("'no.toml'",), env={"CHATD_CONFIG": "no.toml"}, kinds=ONE),
    "no page folder": Case(("--page", "no"), ("no", "No such file", "--page"), kinds=EVERYWHERE),
    "page without index": Case(
        ("--page", "empty"), ("empty", "no index.html", "--page"), files={"empty/": ""}
    ),
    "bad proxy": Case(
        (),
        ("CHATD_LIMITS_TRUSTED_PROXIES", "'nobody'"),
        env={"CHATD_LIMITS_TRUSTED_PROXIES": "nobody"},
        kinds=ONE,
    ),
    "nowhere to listen": Case(
        ("--ws=", "--web="), ("nothing to listen on", "--ws", "--web"), listen=False
    ),
    "no database": Case(
        ("--database", "x.sqlite3"),
        ("x.sqlite3", "not a"),
        files={"x.sqlite3": "words, and many of them " * 1000},
        kinds=EVERYWHERE,
        made=True,
    ),
    "no folder of a database": Case(
        ("--database", "no/x.sqlite3"), ("there is no folder", "--database"), kinds=EVERYWHERE
    ),
    "a secret that others may read": Case(
        (),
        ("chatd.sqlite3.secret", "chmod 600"),
        files={"chatd.sqlite3.secret": "x" * 32},
        kinds=EVERYWHERE,
        made=True,
    ),
    "folder for a database": Case(("--database", "x/"), ("--database", "'x/'")),
}


@contextmanager
def taken_port() -> Iterator[int]:
    """A port that somebody else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


def faults(case: Case, kind: str) -> list[str]:
    """Start chatd with a mistake in it; says what is wrong with how it took that."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chatd-")))
        taken = stack.enter_context(taken_port())
        ws, web, free = free_ports(3)

        def filled(words: str) -> str:
            return words.format(folder=folder, taken=taken, free=free)

        for name, text in case.files.items():
            if name.endswith("/"):
                (folder / name).mkdir()
            else:
                (folder / name).write_text(text)
        here = "interface=127.0.0.1"
        ours = ["--ws", f"tcp:{ws}:{here}", "--web", f"tcp:{web}:{here}"] if case.listen else []
        words, needed = command(kind, [*ours, *map(filled, case.options)])
        said = {name: filled(value) for name, value in case.env.items()}
        with (folder / "printed").open("wb") as printed:
            process = subprocess.Popen(
                words,
                cwd=folder,
                env=environment({**needed, **said}),
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.STDOUT,
            )
            try:
                status = process.wait(DEADLINE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                return [f"did not end within {DEADLINE_S} s"]

        text = (folder / "printed").read_text()
        log = folder / "twistd.log"
        logged = log.read_text() if log.exists() else ""
        last = [line for line in text.splitlines() if line.strip()][-1:]
        found = [] if status else ["its status is 0"]
        found += [
            f"the last line lacks {filled(each)!r}: {last}"
            for each in case.words
            if filled(each) not in "".join(last)
        ]
        found += [f"a traceback: {each}" for each in (text, logged) if "Traceback" in each]
        found += [f"port {port} is open" for port in (ws, web, free) if is_open(port)]
        found += ["a pidfile is left"] * (folder / "twistd.pid").exists()
        if not case.made:
            known = {"printed", "twistd.log", *(name.rstrip("/") for name in case.files)}
            found += [f"{each.name} is left" for each in folder.iterdir() if each.name not in known]
        dial(taken).close()
        return found


@pytest.mark.parametrize("name", CASES)
def test_mistake(name: str) -> None:
    """A mistake ends the start at once: status not 0, one clear last line, nothing left."""
    case = CASES[name]
    each: Callable[[str], list[str]] = lambda kind: faults(case, kind)  # noqa: E731
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = dict(zip(case.kinds, pool.map(each, case.kinds), strict=True))
    assert found == {kind: [] for kind in case.kinds}


def test_sees_no_fault_where_there_is_none() -> None:
    """The check itself can fail: told to find fault with `--version`, it finds its status 0."""
    found = faults(Case(("--version",), ("chatd",)), "chatd serve")
    assert found == ["its status is 0"]
