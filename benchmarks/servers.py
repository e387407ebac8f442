"""The servers that are measured: what each needs, how it is started, waited for and ended."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from benchmarks.machine import Cores

__all__ = ["PEERS", "Peer", "Server", "ServerError", "bun", "free_ports", "missing", "node"]

FOLDER = Path(__file__).resolve().parent / "peers"

START_S = 30.0
_STOP_S = 10.0
_POLL_S = 0.002

_HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class ServerError(Exception):
    """A server did not start, or ended by itself; the words say how."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A kind of server.

    Args:
        label: for people.
        dialect: the load's word for what it speaks.
        path: of the WebSocket.
        runs_in: what runs it.
        program: in `benchmarks/peers`, with its arguments before the port; chatd has none.
        needs: the npm package or Python module that must be installed.
    """

    label: str
    dialect: Literal["raw", "centrifuge", "socketio"]
    path: str
    runs_in: Literal["node", "bun", "python", "chatd"]
    program: tuple[str, ...] = ()
    needs: str = ""


_LOOP = "autobahn_loop.py"

PEERS = {
    "bun-publish": Peer("Bun, native publish", "raw", "/", "bun", ("bun_publish.mjs",)),
    "bun-loop": Peer("Bun, the demo's loop", "raw", "/", "bun", ("bun_loop.mjs",)),
    "node-ws": Peer("Node ws, the demo's loop", "raw", "/", "node", ("node_ws.mjs",), "ws"),
    "socket.io": Peer(
        "Socket.IO, io.emit",
        "socketio",
        "/socket.io/?EIO=4&transport=websocket",
        "node",
        ("socket_io.mjs",),
        "socket.io",
    ),
    "websockets": Peer(
        "websockets, broadcast()",
        "raw",
        "/",
        "python",
        ("websockets_broadcast.py",),
        "websockets.asyncio.server",
    ),
    "autobahn": Peer("Autobahn, sendMessage", "raw", "/", "python", (_LOOP,), "autobahn"),
    "autobahn-prepared": Peer(
        "Autobahn, sendPreparedMessage", "raw", "/", "python", (_LOOP, "prepared"), "autobahn"
    ),
    "chatd-plain": Peer("chatd, plain door", "raw", "/", "chatd"),
    "chatd-json": Peer("chatd, JSON door", "centrifuge", "/connection/websocket", "chatd"),
}


def node() -> str | None:
    """Where Node is."""
    return shutil.which("node") or shutil.which("nodejs")


@cache
def bun() -> str | None:
    """Where the Bun of the npm package is; looked for once.

    Its own folder has only a word about an install script that was not run, which would put the
    program there; it lies beside, in the package for this kind of machine.
    """
    modules = FOLDER / "node_modules"
    for path in (*sorted(modules.glob("@oven/bun-*/bin/bun")), modules / "bun/bin/bun.exe"):
        with suppress(OSError, subprocess.SubprocessError):
            words = [str(path), "--version"]
            if subprocess.run(words, capture_output=True, timeout=20).returncode == 0:
                return str(path)
    return None


def missing(peer: Peer) -> str | None:
    """Say what a peer needs and is not there; None: it can run."""
    if peer.runs_in == "chatd":
        return None
    if peer.runs_in == "python":
        try:
            found = importlib.util.find_spec(peer.needs)
        except ModuleNotFoundError:
            found = None
        return None if found else f"{peer.needs.split('.')[0]} is not installed (make .venv/.bench)"
    if peer.runs_in == "bun":
        return None if bun() else "the npm package bun is not installed (make .venv/.peers)"
    if node() is None:
        return "node is not installed"
    if not (FOLDER / "node_modules" / peer.needs).is_dir():
        return f"the npm package {peer.needs} is not installed (make .venv/.peers)"
    return None


def words(peer: Peer, port: int) -> list[str]:
    """How a peer that is not chatd is started; `missing` has said that it can be."""
    found = {"node": node(), "bun": bun(), "python": sys.executable}
    interpreter = found[peer.runs_in]
    assert interpreter is not None
    program, *rest = peer.program
    return [interpreter, str(FOLDER / program), *([str(port), *rest])]


def free_ports(number: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on, all different."""
    opened = [socket.socket() for _ in range(number)]
    try:
        for each in opened:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in opened]
    finally:
        for each in opened:
            each.close()


def handshake(port: int, path: str, tls: bool) -> bool:
    """Whether a WebSocket can be opened now."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as plain:
            link = context.wrap_socket(plain) if tls else plain
            link.sendall(_HANDSHAKE.format(path=path, port=port).encode())
            answer = link.recv(4096)
            link.close()
    except OSError:
        return False
    return answer.startswith(b"HTTP/1.1 101")


class Server:
    """A process that can be connected to.

    Args:
        words: the command.
        folder: its working directory; what it prints goes there too.
        environment: of the process.
        cores: who runs where.
        port: it listens on.
        path: of the WebSocket.
        tls: whether it speaks TLS.

    Attributes:
        pid: of the process.
        start_s: seconds from its start until a WebSocket was open.

    Raises:
        ServerError: it ended, or no WebSocket could be opened in time.
    """

    def __init__(
        self,
        words: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        cores: Cores,
        port: int,
        path: str,
        tls: bool = False,
    ) -> None:
        self.url = f"{'wss' if tls else 'ws'}://127.0.0.1:{port}{path}"
        self._printed = folder / "printed"
        with cores.server(), self._printed.open("wb") as printed:
            begun = time.monotonic()
            self._process = subprocess.Popen(
                words,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.STDOUT,
            )
        self.pid = self._process.pid
        try:
            while not handshake(port, path, tls):
                self.check()
                if time.monotonic() - begun > START_S:
                    raise ServerError(f"no answer within {START_S:g} s{self._last_words()}")
                time.sleep(_POLL_S)
        except BaseException:
            self.end()
            raise
        self.start_s = time.monotonic() - begun

    def check(self) -> None:
        """Make sure that it is still there and has not stumbled.

        Raises:
            ServerError: it is not, or there is a traceback in what it printed.
        """
        status = self._process.poll()
        if status is not None:
            raise ServerError(f"the server ended with status {status}{self._last_words()}")

    def printed(self) -> str:
        """What it printed."""
        return self._printed.read_text("utf-8", "replace")

    def end(self) -> None:
        """Have it gone."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()

    def _last_words(self) -> str:
        lines = [line for line in self.printed().splitlines() if line.strip()]
        return f": {lines[-1]}" if lines else ""


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of this process, without what would tell a server something."""
    strange = ("CHATD_", "PYTHON", "NODE_", "BUN_", "COVERAGE_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(strange)}
    return {**kept, "NODE_ENV": "production", **(extra or {})}
