"""Every way to start chatd, and how each of them ends."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import tempfile
import time
from contextlib import ExitStack

import pytest

from tests.support.client import Client, dial, request
from tests.support.daemon import (
    BACKGROUND,
    FOREGROUND,
    KINDS,
    STOP_S,
    Daemon,
    command,
    environment,
    running,
    until,
)
from tests.support.rfc6455 import TEXT

GREETING = "connected to WebSocket server"
HANG_UPS = 100


def greeted(daemon: Daemon) -> Client:
    """Somebody who has been greeted."""
    client = Client(daemon.ws)
    assert client.read_text() == GREETING
    return client


@pytest.mark.parametrize("kind", KINDS)
def test_starts_and_stops(kind: str) -> None:
    """Started in any way it serves page and chat, says where, and says goodbye at SIGTERM."""
    with running(kind=kind) as daemon:
        page = request(daemon.web)
        assert page.status == 200
        assert b"<title>chatd</title>" in page.body
        log = daemon.log()
        assert f"connect to ws://localhost:{daemon.ws}/" in log
        assert f"open http://localhost:{daemon.web}/" in log
        with greeted(daemon) as client:
            daemon.tell(signal.SIGTERM)
            code, reason = client.read_close()
            assert (code, reason) == (1001, "server is stopping")
            client.send(0x8, b"\x03\xe9")
            assert client.ends()
        # a polite client keeps nobody waiting
        until(lambda: not daemon.is_running, "its end", STOP_S)
        if kind in FOREGROUND:
            assert daemon.status() == -signal.SIGTERM
        assert daemon.log().count("stopped") == 1


@pytest.mark.parametrize("kind", FOREGROUND)
def test_interrupt(kind: str) -> None:
    """Ctrl-C stops it as SIGTERM does: with a goodbye, and by that signal."""
    with running(kind=kind) as daemon, greeted(daemon) as client:
        daemon.tell(signal.SIGINT)
        assert client.read_close() == (1001, "server is stopping")
        client.send(0x8, b"\x03\xe9")
        assert client.ends()
        until(lambda: not daemon.is_running, "its end", STOP_S)
        assert daemon.status() == -signal.SIGINT


@pytest.mark.parametrize("kind", BACKGROUND)
def test_files_of_the_background(kind: str) -> None:
    """A daemon logs to twistd.log, prints nothing, and takes its pidfile along."""
    with running(kind=kind) as daemon:
        assert (daemon.folder / "twistd.pid").read_text() == str(daemon.pid)
        assert (daemon.folder / "printed").read_text() == ""
        assert "started" in (daemon.folder / "twistd.log").read_text()
        daemon.stop()
        assert not (daemon.folder / "twistd.pid").exists()
        assert "stopped" in (daemon.folder / "twistd.log").read_text()


@pytest.mark.parametrize("kind", ["twistd -n", "twistd"])
def test_mute_peers_do_not_hold_it_up(kind: str) -> None:
    """Nobody who is silent at the goodbye keeps it from being gone within ten seconds."""
    with running(kind=kind) as daemon, ExitStack() as peers:
        mute = [peers.enter_context(Client(daemon.ws, path)) for path in ("/", "/plain")]
        mute += [peers.enter_context(Client(daemon.web, "/plain"))]
        strangers = [peers.enter_context(dial(port)) for port in (daemon.ws, daemon.web)]
        half = peers.enter_context(dial(daemon.ws))
        half.sendall(b"GET / HTTP/1.1\r\nHost: local")
        # Anything answered later than this was accepted later than these.
        with greeted(daemon):
            begun = time.monotonic()
            status = daemon.stop()
            assert time.monotonic() - begun < STOP_S
        if kind in FOREGROUND:
            assert status == -signal.SIGTERM
        assert "did not end" not in daemon.log()
        del mute, strangers


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_impatience(number: signal.Signals) -> None:
    """A second signal while it stops changes nothing and makes no noise in the log."""
    with running() as daemon, Client(daemon.ws):
        daemon.tell(number)
        until(lambda: "stopping" in daemon.log(), "its first word")
        daemon.tell(number)
        daemon.tell(number)
        until(lambda: not daemon.is_running, "its end", STOP_S)
        assert daemon.status() == -number
        assert "stopped" in daemon.log()


def test_json_of_a_daemon() -> None:
    """A daemon can log as JSON too, to a file of its own, from its start to its stop."""
    with running(kind="twistd --logger=chatd.logs.json_file") as daemon:
        with greeted(daemon):
            pass
        file = daemon.folder / "chatd.log.json"
        until(lambda: "closed" in file.read_text(), "what it says of a client")
        daemon.stop()
        texts = [json.loads(line)["text"] for line in file.read_text().splitlines()]
        assert any(text.startswith("chatd ") and text.endswith(" started") for text in texts)
        assert "stopped" in texts


@pytest.mark.parametrize("kind", ["twistd -n", "twistd", "chatd serve"])
def test_hang_up(kind: str) -> None:
    """SIGHUP, however often, ends nothing: who is connected stays and is served."""
    with running(kind=kind) as daemon, greeted(daemon) as client, greeted(daemon) as other:
        for number in range(HANG_UPS):
            daemon.tell(signal.SIGHUP)
            if number % 10 == 0:
                client.say(f"after {number}")
                assert other.read_text() == client.read_text() == f"after {number}"
        with greeted(daemon) as third:
            third.say("still here")
            assert [each.read_text() for each in (client, other, third)] == ["still here"] * 3
        assert daemon.is_running
        until(lambda: "SIGHUP" in daemon.log(), "a line about it")
        client.send(TEXT, b"")
        assert client.read().payload == b""


def test_starts_again_on_its_ports() -> None:
    """Where one has just stopped, with somebody connected, the next can listen at once."""
    with running() as daemon:
        ports = daemon.ws, daemon.web
        with greeted(daemon) as client:
            daemon.tell(signal.SIGTERM)
            client.read_close()
            until(lambda: not daemon.is_running, "its end", STOP_S)
    with running(ports=ports) as again, greeted(again) as client:
        client.say("hello again")
        assert client.read_text() == "hello again"


@pytest.mark.parametrize("kind", KINDS)
def test_a_second_one_with_the_same_database(kind: str) -> None:
    """A database has one daemon: another ends at once, with one line; the first goes on."""
    with running() as daemon, tempfile.TemporaryDirectory() as folder:
        database = str(daemon.folder / "chatd.sqlite3")
        here = ["--ws", "tcp:0:interface=127.0.0.1", "--web", "tcp:0:interface=127.0.0.1"]
        words, needed = command(kind, [*here, "--database", database])
        done = subprocess.run(
            words,
            cwd=folder,
            env=environment(needed),
            capture_output=True,
            text=True,
            timeout=STOP_S,
            check=False,
        )
        assert done.returncode == 1
        *_, last = (done.stdout + done.stderr).splitlines()
        assert last == f"chatd: {database!r}: another chatd uses it; see --database"
        assert not os.path.exists(f"{folder}/twistd.pid")
        with greeted(daemon) as client:
            client.say("still here")
            assert client.read_text() == "still here"


@pytest.mark.parametrize("kind", ["twistd -n", "twistd"])
def test_what_is_left(kind: str) -> None:
    """Stopped, it leaves a database without a log, whoever was connected; the next has it all."""
    with running(kind=kind) as daemon:
        database = daemon.folder / "chatd.sqlite3"
        with greeted(daemon) as client:
            client.say("remember me")
            assert client.read_text() == "remember me"
            daemon.tell(signal.SIGTERM)
            client.read_close()
        until(lambda: not daemon.is_running, "its end", STOP_S)
        assert {each.name for each in daemon.folder.glob("chatd.sqlite3*")} == {
            *("chatd.sqlite3", "chatd.sqlite3.lock", "chatd.sqlite3.secret"),
        }
        with running("--database", str(database)) as again, greeted(again):
            with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
                ((count,),) = connection.execute("select count(*) from message")
            connection.close()
            assert count == 1


def test_a_second_one_in_the_same_folder() -> None:
    """Twistd's own pidfile keeps two daemons apart; the first goes on."""
    with running(kind="twistd") as daemon:
        (daemon.folder / "printed").write_text("")
        with pytest.raises(AssertionError, match="Another twistd server is running"):
            Daemon(
                "twistd",
                daemon.folder,
                ["--ws", "tcp:0:interface=127.0.0.1", "--web", "tcp:0:interface=127.0.0.1"],
                (daemon.ws, daemon.web),
            )
        with greeted(daemon):
            pass
