"""Accounts, links and the operator's commands, with real daemons."""

from __future__ import annotations

import http.client
import json
import os
import pty
import re
import select
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.daemon import ROOT, environment, until
from tests.support.jsonline import ClosedError
from tests.support.lives import Lives, lives
from tests.support.sdk import JsonClient

PASSWORD = "correct horse"
TIMEOUT_S = 60
USERS = {"CHATD_AUTH_USERS": "yes"}


def path() -> str:
    """Where this checkout and what it needs is imported from."""
    return os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))


def command(*words: str) -> list[str]:
    """The words that start a command."""
    return [sys.executable, "-W", "error", "-m", "chatd", *words]


def run(some: Lives, *words: str, typed: str = f"{PASSWORD}\n") -> tuple[int, str, str]:
    """Run a command beside a daemon, if one runs; returns status, output and errors."""
    done = subprocess.run(
        command(*words),
        cwd=some.folder,
        env={**environment(USERS), "PYTHONPATH": path()},
        input=typed,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert "Traceback" not in done.stdout + done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


def post(some: Lives, **said: str) -> tuple[int, dict[str, Any]]:
    """Post to /login; returns status and answer."""
    connection = http.client.HTTPConnection("localhost", some.web, timeout=TIMEOUT_S)
    try:
        headers = {"Content-Type": "application/json"}
        connection.request("POST", "/login", json.dumps(said), headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def close_code(call: Callable[[], object]) -> int | None:
    """With which code the connection ends on which something is awaited."""
    with pytest.raises(ClosedError) as caught:
        call()
    return caught.value.code


def refused(some: Lives, token: str) -> int | None:
    """With which code somebody with a token is turned away."""
    with JsonClient(some.ws) as client:
        return close_code(lambda: client.connect(token=token))


def code(some: Lives) -> str:
    """A one-time code."""
    status, out, err = run(some, "token", "--moderator", "--nick", "Mo")
    assert (status, err) == (0, "")
    return out.strip().partition("#")[2]


@pytest.fixture(scope="module")
def some() -> Iterator[Lives]:
    """A daemon over which people sign in; each test has people of its own."""
    with lives(USERS) as some:
        yield some


def test_account(some: Lives) -> None:
    """An account is made while the daemon runs; who is removed is signed out at that moment."""
    assert run(some, "user", "add", "Ann") == (0, "add: Ann\n", "")
    status, told = post(some, user="ann", password=PASSWORD)
    assert (status, told["user"], told["nick"]) == (200, "ann", "Ann")
    assert post(some, user="ann", password="wrong")[0] == 401
    with JsonClient(some.ws) as client:
        assert client.connect(token=told["token"])["data"]["nick"] == "Ann"
        assert run(some, "user", "remove", "ann")[0] == 0
        assert close_code(client.next_push) == 3503
    assert post(some, user="ann", password=PASSWORD)[0] == 401
    assert refused(some, told["token"]) == 3500


def test_password(some: Lives) -> None:
    """With another password, tokens that were given out before are void; a new one is not."""
    run(some, "user", "add", "pat")
    _, old = post(some, user="pat", password=PASSWORD)
    assert run(some, "user", "passwd", "pat", typed="battery staple\n")[0] == 0
    assert refused(some, old["token"]) == 3500
    status, new = post(some, user="pat", password="battery staple")
    assert status == 200
    with JsonClient(some.ws) as client:
        client.connect(token=new["token"])


def test_not_running(some: Lives) -> None:
    """The same commands work while no daemon runs, and all of it is in the audit log."""
    some.stop()
    assert run(some, "user", "add", "cid")[0] == 0
    assert run(some, "user", "add", "dan", "--moderator")[0] == 0
    assert run(some, "user", "remove", "cid")[0] == 0
    status, out, err = run(some, "user", "list")
    assert (status, err) == (0, "") and "dan moderator\n" in out and "cid" not in out
    assert run(some, "reindex") == (0, "indexed\n", "")
    assert not (some.folder / "chatd.sqlite3.sock").exists()
    some.start()
    assert run(some, "reindex") == (0, "indexed\n", "")
    status, told = post(some, user="dan", password=PASSWORD)
    assert status == 200
    with JsonClient(some.ws) as client:
        assert client.connect(token=told["token"])["data"]["moderator"] is True
    assert run(some, "user", "remove", "dan")[0] == 0
    _, out, _ = run(some, "audit")
    assert re.findall(r"chatd: (.*=(?:cid|dan))", out) == [
        *("user add user=cid", "user add user=dan", "user remove user=cid"),
        "user remove user=dan",
    ]


def test_link(some: Lives) -> None:
    """A link is good once, whoever is first of those who come at the same moment, for ever."""
    secret = code(some)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: post(some, code=secret), range(8)))
    assert sorted(status for status, _ in answers) == [200] + [401] * 7
    some.stop()
    some.start()
    assert post(some, code=secret)[0] == 401
    told = next(told for status, told in answers if status == 200)
    with JsonClient(some.ws) as client:
        reply = client.connect(token=told["token"])
        assert (reply["data"]["nick"], reply["data"]["moderator"]) == ("Mo", True)
    assert run(some, "audit")[1].endswith(f"Mo ({told['user']}): link\n")


def test_socket(some: Lives) -> None:
    """The socket is its user's alone, is replaced after a crash and is gone after a stop."""
    socket = some.folder / "chatd.sqlite3.sock"
    assert stat.S_IMODE(socket.stat().st_mode) == 0o600
    some.kill()
    assert socket.exists()
    assert run(some, "user", "add", "eve")[0] == 0
    some.start()
    assert run(some, "user", "remove", "eve")[0] == 0
    some.stop()
    assert not socket.exists()
    some.start()


def test_many_sign_in(some: Lives) -> None:
    """While many passwords are looked at, everybody else is served."""
    with ThreadPoolExecutor(36) as pool:
        tries = [
            pool.submit(post, some, user=f"user{number}", password="wrong one")
            for number in range(36)
        ]
        assert refused(some, "x") == 3500
        statuses = {each.result()[0] for each in tries}
    assert statuses <= {401, 503} and 401 in statuses


def test_terminal(some: Lives) -> None:
    """On a terminal the password is asked for twice, and never shown."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command("user", "add", "tom"),
        cwd=some.folder,
        env={**environment(USERS), "PYTHONPATH": path()},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    shown = b""

    def read() -> bytes:
        nonlocal shown
        while select.select([ours], [], [], 0)[0]:
            try:
                shown += os.read(ours, 4096)
            except OSError:  # the other end is closed
                break
        return shown

    with process:
        until(lambda: b"Password: " in read(), "the first prompt", TIMEOUT_S)
        os.write(ours, PASSWORD.encode() + b"\n")
        until(lambda: b"again: " in read(), "the second prompt", TIMEOUT_S)
        os.write(ours, PASSWORD.encode() + b"\n")
        assert process.wait(TIMEOUT_S) == 0, read()
    until(lambda: b"add: tom" in read(), "the answer", TIMEOUT_S)
    os.close(ours)
    assert PASSWORD.encode() not in shown
    assert post(some, user="tom", password=PASSWORD)[0] == 200
