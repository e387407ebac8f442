"""A daemon that dies and comes back: one place, one database, many processes."""

from __future__ import annotations

import random
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.support.client import dial
from tests.support.daemon import Daemon, Ports, free_ports, is_open, running

__all__ = ["FAST", "Lives", "lives", "steady_ports"]

FAST = {
    "CHATD_LIMITS_PUBLISH_PER_S": "1000000",
    "CHATD_LIMITS_RECEIVED_BYTES_PER_S": "1000000000",
    "CHATD_LIMITS_RECEIVED_BYTES_BURST": "1000000000",
    "CHATD_LIMITS_PUBLISH_BURST": "1000000",
    "CHATD_LIMITS_COMMANDS_PER_S": "1000000",
    "CHATD_LIMITS_COMMANDS_BURST": "1000000",
}
"""Of the environment: limits that no test reaches by speaking fast."""

_FIRST, _LAST = 20000, 30000
"""Ports the system gives to nobody by itself, so that nobody takes one while its daemon is down."""


def steady_ports() -> Ports:
    """Two free ports that stay free while nobody listens on them."""
    drawn = random.SystemRandom().sample(range(_FIRST, _LAST), 200)
    found = [port for port in drawn[:20] if _is_free(port)]
    if len(found) < 2:
        found = free_ports(2)
    return found[0], found[1]


def _is_free(port: int) -> bool:
    with socket.socket() as trial:
        try:
            trial.bind(("127.0.0.1", port))
        except OSError:
            return False
    return not is_open(port)


class Lives:
    """A daemon and its successors, on the same ports and database.

    Args:
        folder: where the database is.
        env: of each process.
        ports: of each process; None: free ones.
    """

    def __init__(self, folder: Path, env: Mapping[str, str], ports: Ports | None = None) -> None:
        self.folder = folder
        self.ws, self.web = self._ports = ports or steady_ports()
        self.database = folder / "chatd.sqlite3"
        self.restarts_s: list[float] = []
        self._env = dict(env)
        self._stack = ExitStack()
        self._daemon: Daemon | None = None

    @property
    def daemon(self) -> Daemon:
        """The process that runs now."""
        assert self._daemon is not None, "it is down"
        return self._daemon

    def start(self) -> None:
        """Start a process, which takes connections when this returns."""
        assert self._daemon is None, "it runs"
        begun = time.monotonic()
        self._daemon = self._stack.enter_context(
            running("--database", str(self.database), ports=self._ports, env=self._env)
        )
        dial(self.ws).close()
        self.restarts_s.append(time.monotonic() - begun)

    def stop(self) -> None:
        """Tell it to stop with SIGTERM, and wait until it is gone.

        Raises:
            AssertionError: it did not end well, or in time.
        """
        status = self.daemon.stop()
        log = self.daemon.log()
        self._over()
        # twistd ends by the signal it was told to end by
        assert status in (0, -signal.SIGTERM), f"status {status}: {log}"

    def kill(self) -> None:
        """End it with SIGKILL."""
        self.daemon.tell(signal.SIGKILL)
        self._over()

    def restart(self, how: Callable[[Lives], None]) -> None:
        """End it by `Lives.stop` or `Lives.kill`, and start the next."""
        how(self)
        self.start()

    def copy_database(self, name: str) -> Path:
        """Copy the files of the database, while the daemon is down.

        Returns:
            the folder with the copy.
        """
        assert self._daemon is None, "it runs"
        copy = self.folder / name
        copy.mkdir()
        for each in self.folder.glob(f"{self.database.name}*"):
            shutil.copy(each, copy / each.name)
        return copy

    def restore_database(self, copy: Path) -> None:
        """Put an older copy in the place of the database, while the daemon is down.

        Args:
            copy: a folder that `copy_database` made, or the one file that `chatd backup` did.
        """
        assert self._daemon is None, "it runs"
        for each in self.folder.glob(f"{self.database.name}*"):
            each.unlink()
        if copy.is_file():
            shutil.copy(copy, self.database)
            return
        for each in copy.iterdir():
            shutil.copy(each, self.folder / each.name)

    def end(self) -> None:
        """Have it gone, whatever it takes."""
        self._daemon = None
        self._stack.close()

    def _over(self) -> None:
        self._daemon = None
        stack, self._stack = self._stack, ExitStack()
        stack.close()


@contextmanager
def lives(env: Mapping[str, str] | None = None) -> Iterator[Lives]:
    """A daemon that runs and can be restarted, for as long as the block runs.

    Args:
        env: of its processes, besides `FAST`.
    """
    with tempfile.TemporaryDirectory(prefix="chatd-lives-") as name:
        some = Lives(Path(name), {**FAST, **(env or {})})
        try:
            some.start()
            yield some
        finally:
            some.end()
