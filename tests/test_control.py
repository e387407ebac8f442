"""`chatd.doors.control`: the operator's socket, a real one in a temporary folder."""

from __future__ import annotations

import json
import os
import socket
import stat
import tempfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.trial.unittest import TestCase

from chatd.core.operations import Answer
from chatd.core.wheel import TICK_S, Wheel
from chatd.doors.control import (
    MOST_BYTES,
    TIMEOUT_S,
    Control,
    _bound,
    _Talk,
    reachable,
    socket_path,
)
from chatd.errors import NO_SUCH_USER, ChatError
from tests.support.logs import LogCase


class Transport(StringTransport):
    """A transport that can be aborted, and may not be closed while there is a producer."""

    aborted = False

    def abortConnection(self) -> None:
        self.aborted = True

    def loseConnection(self) -> None:
        assert self.producer is None
        super().loseConnection()


class TalkTests(LogCase):
    """One request."""

    def setUp(self) -> None:
        super().setUp()
        self.clock = MemoryReactorClock()
        self.wheel = Wheel(self.clock.seconds)
        self.answers: list[Answer] = []
        self.requests: list[Mapping[str, object]] = []
        table = {"note": self.note, "refuse": self.refuse, "fail": self.fail_}
        self.control = Control("/nowhere", table, self.wheel, self.clock)

    def note(self, request: Mapping[str, object], answer: Answer) -> None:
        self.requests.append(request)
        self.answers.append(answer)

    def refuse(self, request: Mapping[str, object], answer: Answer) -> None:
        raise ChatError(NO_SUCH_USER)

    def fail_(self, request: Mapping[str, object], answer: Answer) -> None:
        raise RuntimeError("secret")

    def connect(self) -> tuple[_Talk, Transport]:
        """Somebody connects."""
        talk = self.control.buildProtocol(None)
        assert talk is not None
        transport = Transport()
        talk.makeConnection(transport)
        return talk, transport

    def ask(self, data: bytes) -> tuple[_Talk, Transport]:
        """Somebody connects and sends bytes."""
        talk, transport = self.connect()
        talk.dataReceived(data)
        return talk, transport

    def advance(self, seconds: float) -> None:
        for _ in range(round(seconds / TICK_S) + 1):
            self.clock.advance(TICK_S)
            self.wheel.tick()

    def told(self, transport: Transport) -> list[object]:
        """The lines that were answered."""
        return [json.loads(line) for line in transport.value().splitlines()]

    def test_answer(self) -> None:
        """A request is a line, which may come in pieces; it is answered once and that is all."""
        talk, transport = self.ask(b'{"do":"note",')
        talk.dataReceived(b'"name":"ann"}\n{"do":"note"}\n')
        self.assertEqual(self.requests, [{"do": "note", "name": "ann"}])
        self.answers[0].progress(1, 2)
        self.answers[0].done({"nick": "Ann"})
        self.answers[0].refused("too late")
        self.answers[0].progress(2, 2)
        self.assertEqual(self.told(transport), [{"progress": [1, 2]}, {"done": {"nick": "Ann"}}])
        self.assertTrue(transport.disconnecting)

    def test_refused(self) -> None:
        """What is refused, fails or is no request is told in words, and nothing of an exception."""
        for line, words in (
            (b'{"do":"refuse"}', "no such user"),
            (b'{"do":"fail"}', "internal error; chatd's log says more"),
            (b'{"do":"unknown"}', "this chatd does not know that command"),
            (b'{"do":["note"]}', "this chatd does not know that command"),
            (b"[]", "this chatd does not know that command"),
            (b"\xff", "this chatd does not know that command"),
            (b"[" * 100, "this chatd does not know that command"),
        ):
            _, transport = self.ask(line + b"\n")
            self.assertEqual(self.told(transport), [{"refused": words}], line)
            self.control.talks.clear()
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_too_long(self) -> None:
        """A line over the limit is refused, whether it ends or not."""
        for end in (b"", b"\n"):
            _, transport = self.ask(b"x" * (MOST_BYTES + 1) + end)
            self.assertEqual(self.told(transport), [{"refused": "this is too long"}])
        long = json.dumps({"do": "note", "x": "x" * (MOST_BYTES - 30)}).encode()
        self.ask(long + b"\n")
        self.assertEqual(len(self.requests), 1)

    def test_too_many(self) -> None:
        """The fifth connection is closed at once; when one ends there is place again."""
        talks = [self.connect()[0] for _ in range(4)]
        self.assertIsNone(self.control.buildProtocol(None))
        talks[0].connectionLost()
        self.assertIsNotNone(self.control.buildProtocol(None))

    def test_deadlines(self) -> None:
        """A request that does not come in time, and an answer that is not taken, end it."""
        _, mute = self.connect()
        _, slow = self.ask(b'{"do":"refuse"}\n')
        talk, waits = self.ask(b'{"do":"note"}\n')
        self.advance(TIMEOUT_S)
        self.assertEqual([mute.aborted, slow.aborted, waits.aborted], [True, True, False])
        talk.connectionLost()
        self.answers[0].progress(1, 2)
        self.answers[0].done({})
        self.assertEqual(self.told(waits), [])

    def test_slow(self) -> None:
        """Somebody who does not read is not told how far it is, but how it ends."""
        talk, transport = self.ask(b'{"do":"note"}\n')
        talk.pauseProducing()
        self.answers[0].progress(1, 3)
        talk.resumeProducing()
        self.answers[0].progress(2, 3)
        talk.pauseProducing()
        self.answers[0].done({})
        self.assertEqual(self.told(transport), [{"progress": [2, 3]}, {"done": {}}])
        talk.stopProducing()

    def test_goodbye(self) -> None:
        """At a stop every connection ends."""
        _, transport = self.connect()
        self.control.goodbye()
        self.assertTrue(transport.aborted)

    def test_closed_before(self) -> None:
        """One that never listened is closed at once."""
        self.successResultOf(self.control.close())


class SocketTests(TestCase):
    """The socket."""

    def setUp(self) -> None:
        from twisted.internet import reactor

        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(os.path.realpath(folder.name))
        self.reactor = reactor

    def control(self, path: Path) -> Control:
        """A control that listens, until the test ends."""
        control = Control(str(path), {}, Wheel(self.reactor.seconds), self.reactor)
        control.open()
        self.addCleanup(control.close)
        return control

    def reach(self, path: Path) -> None:
        """Check that somebody listens."""
        with socket.socket(socket.AF_UNIX) as talk, reachable(str(path), os.O_PATH) as place:
            talk.connect(place)

    def test_path(self) -> None:
        """It is beside the database, whatever link leads there."""
        os.symlink("a", self.folder / "b")
        self.assertEqual(socket_path(str(self.folder / "b")), f"{self.folder}/a.sock")

    def test_rights(self) -> None:
        """Only its user may connect, from the first moment; nothing else is left beside it."""
        before = os.umask(0)
        try:
            # As it is before it listens: afterwards Twisted sets the rights once more.
            _bound(str(self.folder / "bound")).close()
            self.control(self.folder / "sock")
            self.assertEqual(os.umask(0), 0)
        finally:
            os.umask(before)
        for name in ("bound", "sock"):
            mode = os.stat(self.folder / name).st_mode
            self.assertEqual((stat.S_ISSOCK(mode), stat.S_IMODE(mode)), (True, 0o600))
        self.assertEqual(sorted(os.listdir(self.folder)), ["bound", "sock"])

    def test_closed(self) -> Deferred[object]:
        """It is gone when it is closed, also if somebody took it away before."""
        control, other = self.control(self.folder / "sock"), self.control(self.folder / "other")
        self.reach(self.folder / "sock")
        os.unlink(self.folder / "other")
        both = DeferredList([control.close(), other.close()], fireOnOneErrback=True)
        return both.addCallback(lambda _: self.assertEqual(os.listdir(self.folder), []))

    def test_stale(self) -> None:
        """What a crash left is replaced, what was half made too."""
        path, new = self.folder / "sock", self.folder / f".{sha256(b'sock').hexdigest()[:12]}.new"
        for left in (path, new):
            with socket.socket(socket.AF_UNIX) as other:
                other.bind(str(left))
        self.assertRaises(ConnectionRefusedError, self.reach, path)
        self.control(path)
        self.reach(path)
        self.assertEqual(os.listdir(self.folder), ["sock"])

    def test_long(self) -> None:
        """A path and a name of any length work."""
        folder = self.folder
        for _ in range(3):
            folder /= "f" * 100
        folder.mkdir(parents=True)
        path = folder / ("n" * 240 + ".sock")
        self.control(path)
        self.reach(path)
        self.assertEqual(os.listdir(folder), [path.name])


class CannotTests(LogCase):
    """Where there can be no socket."""

    def test_cannot(self) -> None:
        """It is logged, nothing that is there is harmed, and chatd goes on."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "sock")
            file.write_text("precious")
            for path in (file, Path(folder, "nowhere", "sock")):
                clock = MemoryReactorClock()
                control = Control(str(path), {}, Wheel(clock.seconds), clock)
                control.open()
                self.assertIn("no commands can be given while it runs", self.lines[-1])
                self.assertIsNone(self.successResultOf(control.close()))
            self.assertEqual(file.read_text(), "precious")
            self.assertEqual(os.listdir(folder), ["sock"])
