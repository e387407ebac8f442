"""Real daemons: chatd in processes of its own, in each way that people start it.

Each has a temporary folder as its working directory, ports that were free, and an environment
without `CHATD_` names. None outlives the test that started it.
"""

from __future__ import annotations

import os
import select
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

from tests.support.client import dial

__all__ = [
    "BACKGROUND",
    "FOREGROUND",
    "KINDS",
    "ROOT",
    "STOP_S",
    "Daemon",
    "Ports",
    "command",
    "environment",
    "free_ports",
    "is_open",
    "running",
    "until",
]

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[2]

FOREGROUND = ("twistd -n", "twistd -ny chatd.tac", "chatd serve", "python -m chatd")
BACKGROUND = ("twistd", "twistd -y chatd.tac")
KINDS = FOREGROUND + BACKGROUND

START_S = 20.0
STOP_S = 10.0
"""What chatd promises: it is gone this long after it was told to stop."""

_TRIES = 3
_IN_USE = "in use"

Ports = tuple[int, int]
"""Of the WebSocket server and of the web site."""


def until(condition: Callable[[], T], what: str, timeout_s: float = 10.0) -> T:
    """Wait until something is true.

    Args:
        condition: asked again and again.
        what: is waited for; the words of the failure.
        timeout_s: for how long.

    Returns:
        what the condition said at last.

    Raises:
        AssertionError: it did not come true in time.
    """
    pause, end = threading.Event(), time.monotonic() + timeout_s
    while not (said := condition()):
        assert time.monotonic() < end, f"not within {timeout_s:g} s: {what}"
        pause.wait(0.02)
    return said


def free_ports(number: int = 2) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on, all different."""
    with ExitStack() as sockets:
        opened = [sockets.enter_context(socket.socket()) for _ in range(number)]
        for each in opened:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in opened]


def is_open(port: int) -> bool:
    """Whether somebody listens on a port of 127.0.0.1."""
    with socket.socket() as trial:
        trial.settimeout(5)
        return trial.connect_ex(("127.0.0.1", port)) == 0


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of this process without what would tell chatd or Python something."""
    strange = ("CHATD_", "COVERAGE_", "COV_", "PYTEST_", "LISTEN_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(strange)}
    return {**kept, **(extra or {})}


def command(kind: str, options: list[str]) -> tuple[list[str], dict[str, str]]:
    """How chatd is started in one of the `KINDS`.

    Args:
        kind: the words people type before chatd's own options.
        options: chatd's own.

    Returns:
        the words of the command, and what the environment must say.
    """
    folder = Path(sys.executable).parent
    program, *rest = kind.split()
    if rest[-1:] == ["chatd.tac"]:
        words = [str(folder / program), *rest[:-1], str(ROOT / "chatd.tac")]
        return words, {"CHATD_OPTIONS": shlex.join(options)}
    if program == "python":
        return [sys.executable, *rest, *options], {}
    if program == "twistd":
        rest = [*rest, "chatd"]
    return [str(folder / program), *rest, *options], {}


class Daemon:
    """A running chatd.

    Args:
        kind: one of `KINDS`.
        folder: its working directory.
        options: its own options, endpoints included.
        ports: that the options name.
        env: more of the environment.
        within: words that run a command elsewhere, such as in another mount namespace.

    Raises:
        AssertionError: it ended, or did not answer in time; what it printed is in the words.
    """

    def __init__(
        self,
        kind: str,
        folder: Path,
        options: list[str],
        ports: Ports,
        env: Mapping[str, str] | None = None,
        within: Sequence[str] = (),
    ) -> None:
        self.kind = kind
        self.folder = folder
        self.ws, self.web = ports
        self.in_background = kind.startswith("twistd") and " -n" not in kind
        words, needed = command(kind, options)
        if within:  # which begins in another folder
            words = [*within, "sh", "-c", 'cd "$0" && exec "$@"', str(folder), *words]
        with (folder / "printed").open("ab") as printed:
            self._process = subprocess.Popen(
                words,
                cwd=folder,
                env=environment({**needed, **(env or {})}),
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.STDOUT,
            )
        self.pid = self._process.pid
        self._watched = -1
        try:
            if self.in_background:
                status = self._process.wait(START_S)
                assert status == 0, f"status {status}"
                self.pid = until(self._read_pid, "a pidfile", START_S)
            # A descriptor of the process: it tells the end of one that is not our child too.
            self._watched = os.pidfd_open(self.pid)
            until(self._answers, "an answer", START_S)
        except BaseException as error:
            self.end()
            if isinstance(error, AssertionError):
                raise AssertionError(f"{kind}: {error}\n{self.log()}") from None
            raise

    def _read_pid(self) -> int:
        try:
            return int((self.folder / "twistd.pid").read_text())
        except (OSError, ValueError):
            return 0

    def _answers(self) -> bool:
        assert self.is_running, "it ended"
        try:
            with dial(self.web) as connection:
                connection.sendall(b"GET /greet HTTP/1.0\r\nHost: localhost\r\n\r\n")
                # to its end, so that nothing of this question is left in the daemon
                answer = b"".join(iter(lambda: connection.recv(4096), b""))
        except ConnectionRefusedError:
            return False
        return answer.split(b" ")[1:2] == [b"200"]

    @property
    def is_running(self) -> bool:
        """Whether the process is there."""
        return not self._gone_within(0)

    @property
    def log_file(self) -> Path:
        """Where it logs to."""
        return self.folder / ("twistd.log" if self.in_background else "printed")

    def log(self) -> str:
        """Everything it has logged and printed."""
        texts = (self.folder / "printed", self.folder / "twistd.log")
        return "".join(each.read_text("utf-8", "replace") for each in texts if each.exists())

    def tell(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def stop(self, number: int = signal.SIGTERM) -> int | None:
        """Tell it to stop and wait until it is gone.

        Returns:
            its exit status; None when it was nobody's child.

        Raises:
            AssertionError: it took longer than `STOP_S`.
        """
        self.tell(number)
        assert self._gone_within(STOP_S), f"{self.kind} still runs: {self.log()}"
        return self.status()

    def status(self) -> int | None:
        """The exit status of one that has ended; None when it was nobody's child."""
        return None if self.in_background else self._process.wait(STOP_S)

    def rss_bytes(self, field: str = "VmRSS") -> int:
        """Its memory: `VmRSS` now, `VmHWM` at most so far."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == field:
                return int(value.split()[0]) * 1024
        raise AssertionError(f"no {field}")

    def descriptors(self) -> int:
        """How many it has open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def end(self) -> None:
        """Have it gone, whatever it takes."""
        if self._watched >= 0:
            if self.is_running:
                self.tell(signal.SIGTERM)
                if not self._gone_within(STOP_S):
                    self.tell(signal.SIGKILL)
                    self._gone_within(STOP_S)
            os.close(self._watched)
            self._watched = -1
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    def _gone_within(self, timeout_s: float) -> bool:
        poll = select.poll()
        poll.register(self._watched, select.POLLIN)
        return bool(poll.poll(timeout_s * 1000))


@contextmanager
def running(
    *options: str,
    kind: str = "twistd -n",
    ports: Ports | None = None,
    env: Mapping[str, str] | None = None,
    within: Sequence[str] = (),
) -> Iterator[Daemon]:
    """A daemon that answers, for as long as the block runs.

    Args:
        options: its own, besides the endpoints.
        kind: one of `KINDS`.
        ports: for its endpoints on 127.0.0.1; None: free ones.
        env: more of its environment.
        within: see `Daemon`.

    Raises:
        AssertionError: it did not start, or there is a traceback in its log.
    """
    with tempfile.TemporaryDirectory(prefix="chatd-") as name:
        folder = Path(name)
        daemon = _start(kind, folder, options, ports, env, within)
        try:
            yield daemon
        finally:
            daemon.end()
        log = daemon.log()
        assert "Traceback" not in log and "Unhandled" not in log, log


def _start(
    kind: str,
    folder: Path,
    options: tuple[str, ...],
    ports: Ports | None,
    env: Mapping[str, str] | None,
    within: Sequence[str],
) -> Daemon:
    for _ in range(_TRIES - 1):
        ws, web = ports or free_ports()
        try:
            return Daemon(kind, folder, _said(options, ws, web), (ws, web), env, within)
        except AssertionError as error:
            # Somebody may have taken a port since it was found free.
            if ports is not None or _IN_USE not in str(error):
                raise
            (folder / "printed").unlink(missing_ok=True)
    ws, web = ports or free_ports()
    return Daemon(kind, folder, _said(options, ws, web), (ws, web), env, within)


def _said(options: tuple[str, ...], ws: int, web: int) -> list[str]:
    here = "interface=127.0.0.1"
    return ["--ws", f"tcp:{ws}:{here}", "--web", f"tcp:{web}:{here}", *options]
