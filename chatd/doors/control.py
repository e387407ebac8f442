"""The operator's door: a Unix socket beside the database, for the commands of this machine.

A request is a line of JSON, an object whose `do` names an operation. Answered are lines with
`progress`, [done, total], if it takes long, and a last one with `done` or `refused`. Only the user
that chatd runs as may connect.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from typing import Any

import orjson
from twisted.internet import tcp, unix
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, connectionDone
from twisted.logger import Logger
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure

from chatd.core.operations import Operation
from chatd.core.wheel import Deadline, Wheel
from chatd.errors import ChatError
from chatd.wire.strict import JsonError, parse

__all__ = ["MOST_BYTES", "TIMEOUT_S", "Control", "reachable", "socket_path"]

MOST_BYTES = 65536
"""The longest line of a request."""

TIMEOUT_S = 10.0
"""How long a request may take to come, and an answer to be taken."""

_MOST = 4  # connections
_DEPTH = 4
_DIRECT_BYTES = 100  # a longer path may not fit into an address

log = Logger()


def socket_path(database: str) -> str:
    """Where the socket of the daemon that uses a database is."""
    return f"{os.path.realpath(database)}.sock"


@contextmanager
def reachable(path: str, flags: int) -> Iterator[str]:
    """Give a path of any length one that fits into the address of a Unix socket.

    Args:
        path: of a folder or socket that is there.
        flags: with which it is opened, if it must be.

    Raises:
        OSError: it is not there.
    """
    if len(os.fsencode(path)) <= _DIRECT_BYTES:
        yield path
        return
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _bound(path: str) -> socket.socket:
    """A socket bound to a path, in the place of what a crash left; nobody else may connect.

    It is made under another name, and has its rights from its first moment on.

    Raises:
        OSError: it cannot be made, or something else is there.
    """
    if os.path.lexists(path) and not stat.S_ISSOCK(os.lstat(path).st_mode):
        raise FileExistsError(0, "it is there and is no socket")
    folder, name = os.path.split(path)
    # Short, of whatever length the name is, and the same each time.
    new = f".{sha256(os.fsencode(name)).hexdigest()[:12]}.new"
    with suppress(FileNotFoundError):
        os.unlink(os.path.join(folder, new))
    bound = socket.socket(socket.AF_UNIX)
    try:
        bound.setblocking(False)
        before = os.umask(0o177)
        try:
            with reachable(folder, os.O_RDONLY | os.O_DIRECTORY) as place:
                bound.bind(os.path.join(place, new))
        finally:
            os.umask(before)
        os.rename(os.path.join(folder, new), path)
    except BaseException:
        bound.close()
        raise
    return bound


class _Port(unix.Port):
    """A port over a socket that is bound already."""

    def __init__(self, path: str, bound: socket.socket, factory: Factory, reactor: Any) -> None:
        super().__init__(os.fsencode(path), factory, _MOST, 0o600, reactor)
        self._preexistingSocket = bound
        self._path = path

    def connectionLost(self, reason: Failure) -> None:
        """Twisted: the port is closed."""
        try:
            with suppress(FileNotFoundError):
                os.unlink(self._path)
        except OSError as error:  # on a disk that became read-only; the next start sees to it
            log.info("{path} stays: {why}", path=self._path, why=error.strerror)
        tcp.Port.connectionLost(self, reason)


class Control(Factory):
    """The door. Whoever may use the database may use it.

    Args:
        path: of the socket; its database is locked, so that no other chatd has the path.
        operations: by name.
        wheel: for deadlines.
        reactor: listens.
    """

    noisy = False

    def __init__(
        self, path: str, operations: Mapping[str, Operation], wheel: Wheel, reactor: Any
    ) -> None:
        self.path = path
        self.operations = operations
        self.wheel = wheel
        self.talks: set[_Talk] = set()
        self._reactor = reactor
        self._port: _Port | None = None

    def logPrefix(self) -> str:
        """Twisted: what its lines of the log begin with."""
        return "control"

    def open(self) -> None:
        """Listen. That it cannot be is logged: people can chat without."""
        try:
            bound = _bound(self.path)
        except OSError as error:
            log.warn(
                "no commands can be given while it runs: {path!r}: {why}",
                path=self.path,
                why=error.strerror or type(error).__name__,
            )
            return
        self._port = _Port(self.path, bound, self, self._reactor)
        self._port.startListening()

    def close(self) -> Deferred[Any]:
        """Take no more requests; what is returned fires when the socket is gone."""
        port, self._port = self._port, None
        return maybeDeferred(lambda: None if port is None else port.stopListening())

    def goodbye(self) -> None:
        """End every connection."""
        for talk in list(self.talks):
            talk.transport.abortConnection()

    def buildProtocol(self, addr: IAddress | None) -> _Talk | None:
        """Twisted: somebody came; None sends them away."""
        return _Talk(self) if len(self.talks) < _MOST else None


class _Talk(LineOnlyReceiver):
    """One request and its answer."""

    delimiter = b"\n"
    MAX_LENGTH = MOST_BYTES
    transport: Any

    def __init__(self, control: Control) -> None:
        self._control = control
        self._is_asked = self._is_answered = self._is_slow = self._is_gone = False
        self._due: Deadline | None = None

    def connectionMade(self) -> None:
        """Twisted: a socket is there."""
        self._control.talks.add(self)
        self.transport.registerProducer(self, True)
        self._expect()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Twisted: the socket is gone; what was asked for goes on."""
        self._is_gone = True
        self._control.talks.discard(self)
        self._unexpect()

    def lineReceived(self, line: bytes) -> None:
        """Twisted: a line came."""
        if self._is_asked:
            return
        self._is_asked = True
        self._unexpect()
        try:
            request = parse(line, _DEPTH)
        except JsonError:
            request = None
        name = request.get("do") if isinstance(request, dict) else None
        operation = self._control.operations.get(name) if isinstance(name, str) else None
        if not isinstance(request, dict) or operation is None:
            self.refused("this chatd does not know that command")
            return
        try:
            operation(request, self)
        except ChatError as error:
            self.refused(error.refusal.words)
        except Exception:
            log.failure("{name} failed", name=name)
            self.refused("internal error; chatd's log says more")

    def lineLengthExceeded(self, line: bytes) -> None:
        """Twisted: a line is too long. The original would wait for the producer for ever."""
        self._is_asked = True
        self.refused("this is too long")

    def progress(self, done: int, total: int) -> None:
        """See `Answer.progress`. Not told to somebody who does not read."""
        if not self._is_slow and not self._is_answered:
            self._tell({"progress": [done, total]})

    def done(self, value: Mapping[str, object]) -> None:
        """See `Answer.done`."""
        self._end({"done": value})

    def refused(self, words: str) -> None:
        """See `Answer.refused`."""
        self._end({"refused": words})

    def pauseProducing(self) -> None:
        """Twisted: the other side does not read."""
        self._is_slow = True

    def resumeProducing(self) -> None:
        """Twisted: the other side has read everything."""
        self._is_slow = False

    def stopProducing(self) -> None:
        """Twisted: the connection is gone."""

    def _end(self, answer: Mapping[str, object]) -> None:
        if self._is_answered or self._is_gone:
            return
        self._is_answered = True
        self._tell(answer)
        self.transport.unregisterProducer()
        self._expect()
        self.transport.loseConnection()

    def _tell(self, answer: Mapping[str, object]) -> None:
        if not self._is_gone:
            self.transport.write(orjson.dumps(answer) + b"\n")

    def _expect(self) -> None:
        self._due = self._control.wheel.after(TIMEOUT_S, self.transport.abortConnection)

    def _unexpect(self) -> None:
        if self._due is not None:
            self._due.cancel()
