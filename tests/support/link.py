"""A thin link to a daemon: a TCP proxy that lets so many bytes a second through to the client."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from tests.support.client import dial

__all__ = ["Link"]

_TICKS_PER_S = 20
_BUFFER = 4096
"""Small, so that what is on its way waits in the daemon and not in between."""

_RESET = struct.pack("ii", 1, 0)
_END_S = 10.0


class Link:
    """A port that leads to another one.

    Args:
        port: where it leads.
        bytes_per_s: towards the client; the other way is not limited.
    """

    def __init__(self, port: int, bytes_per_s: int) -> None:
        self._target = port
        self._bytes_per_s = bytes_per_s
        self._lock = threading.Lock()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._threads: list[threading.Thread] = []
        self._is_up = True
        self._is_over = threading.Event()
        self.connections = 0
        self.bytes = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self._start(self._accept)

    def down(self) -> None:
        """Reset all connections, and from now on each new one."""
        with self._lock:
            self._is_up = False
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for each in pair:
                with suppress(OSError):  # gone already
                    # The thread that reads it wakes up and closes it: in this way.
                    each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                    each.shutdown(socket.SHUT_RDWR)

    def up(self) -> None:
        """Let connections through again, and count them from 0."""
        with self._lock:
            self._is_up = True
            self.connections = self.bytes = 0

    def end(self) -> None:
        """Be gone, with all connections."""
        self._is_over.set()
        self.down()
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        for each in self._threads:
            each.join(_END_S)
        self._listening.close()

    def _start(self, job: Callable[..., None], *arguments: socket.socket) -> None:
        thread = threading.Thread(target=job, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._is_over.is_set():
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
            far = None
            with self._lock:
                if self._is_up:
                    far = dial(self._target, receive_buffer=_BUFFER)
                    far.settimeout(None)
                    self._pairs.append((near, far))
                    self.connections += 1
            if far is None:
                near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                near.close()
            else:
                self._start(self._carry, near, far)

    def _carry(self, near: socket.socket, far: socket.socket) -> None:
        up = threading.Thread(target=_pump, args=(near, far), daemon=True)
        up.start()
        begun, sent = time.monotonic(), 0
        with suppress(OSError):
            while got := far.recv(max(1, self._bytes_per_s // _TICKS_PER_S)):
                near.sendall(got)
                sent += len(got)
                with self._lock:
                    self.bytes += len(got)
                now = time.monotonic()
                # Idle time is not saved up.
                begun = max(begun, now - sent / self._bytes_per_s - 1 / _TICKS_PER_S)
                self._is_over.wait(max(0.0, begun + sent / self._bytes_per_s - now))
        for each in (near, far):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        up.join(_END_S)
        near.close()
        far.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while got := source.recv(1 << 16):
            target.sendall(got)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
