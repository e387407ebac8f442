"""`chatd.asking`: the daemon is asked, or nobody is and it is done here."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from threading import Thread

from chatd import asking
from chatd.asking import ask
from chatd.brokers import database
from chatd.brokers.lookup import accounts, deeds
from chatd.doors.control import reachable, socket_path
from chatd.errors import ConfigError
from tests.support.databases import DatabaseCase
from tests.support.logs import LogCase

ADD = {"do": "user add", "name": "Ann", "hash": "kept", "moderator": True}


class AskingCase(DatabaseCase):
    def setUp(self) -> None:
        super().setUp()
        self.steps: list[tuple[int, int]] = []

    def ask(self, request: Mapping[str, object]) -> Mapping[str, object]:
        """Have something done."""
        return ask(self.path, request, lambda done, total: self.steps.append((done, total)))

    def refused(self, words: str, request: Mapping[str, object] = ADD) -> None:
        """Check that it is refused with these words, on one line."""
        error = str(self.assertRaises(ConfigError, self.ask, request))
        self.assertIn(words, error)
        self.assertTrue(error.isprintable(), error)


class AloneTests(AskingCase):
    """No daemon runs."""

    def test_done(self) -> None:
        """What is asked for is done by the same rules, and noted."""
        self.made()
        self.assertEqual(self.ask(ADD), {"user": "ann", "nick": "Ann"})
        self.refused("there is an account of that name")
        self.ask({"do": "user passwd", "name": "ann", "hash": "other"})
        (account,) = accounts(self.path)
        self.assertEqual(
            (account.nick, account.password, account.is_moderator), ("Ann", "other", True)
        )
        self.ask({"do": "user remove", "name": "ann"})
        self.assertEqual(accounts(self.path), [])
        done = [
            (deed.said["action"], deed.said["user"])
            for deed in deeds(self.path, since_ms=0, most=-1)
        ]
        self.assertEqual(
            done, [("user add", "ann"), ("user passwd", "ann"), ("user remove", "ann")]
        )

    def test_nothing_left(self) -> None:
        """Afterwards the file is whole by itself, and a daemon may have it."""
        self.made()
        self.ask(ADD)
        self.assertEqual(self.names(), ["chatd.sqlite3", "chatd.sqlite3.lock"])
        held = database.lock(self.path)
        assert held is not None
        held.release()

    def test_reindex(self) -> None:
        """The index of words is made anew, and how far that is is told."""
        self.filled(10)
        self.assertEqual(self.ask({"do": "reindex"}), {})
        self.assertEqual(self.steps[-1], (10, 10))

    def test_in_use(self) -> None:
        """While somebody else has the database, nothing is written."""
        held = database.lock(self.made())
        assert held is not None
        self.addCleanup(held.release)
        self.refused("another chatd uses it")
        self.assertEqual(accounts(self.path), [])

    def test_missing(self) -> None:
        """A database that is not there is not made."""
        self.refused("is not there")
        self.assertEqual(self.names(), [])

    def test_not_stored(self) -> None:
        """What cannot be stored is told."""
        self.made()
        self.execute(
            "create trigger no before insert on record begin select raise(abort, 'no'); end"
        )
        self.refused("it may be stored or not")
        self.assertEqual(accounts(self.path), [])


class DaemonTests(AskingCase):
    """A daemon runs: somebody who answers at the socket."""

    def answer(self, *answers: object, raw: bytes = b"") -> list[bytes]:
        """Answer one request with lines; returns where the request will be."""
        asked: list[bytes] = []
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(socket_path(self.made()))
        listening.listen()

        def run() -> None:
            talk, _ = listening.accept()
            with talk, talk.makefile("rb") as lines:
                asked.append(lines.readline())
                talk.sendall(raw + b"".join(json.dumps(each).encode() + b"\n" for each in answers))

        thread = Thread(target=run, daemon=True)
        thread.start()
        self.addCleanup(listening.close)
        self.addCleanup(thread.join, 10)
        return asked

    def test_done(self) -> None:
        """It is asked in one line, and its answer is told; nothing is written here."""
        asked = self.answer({"progress": [1, 2]}, {"done": {"nick": "Ann"}})
        self.assertEqual(self.ask(ADD), {"nick": "Ann"})
        self.assertEqual(json.loads(asked[0]), ADD)
        self.assertEqual(self.steps, [(1, 2)])
        self.assertNotIn("chatd.sqlite3.lock", self.names())

    def test_refused(self) -> None:
        """What it refuses is told."""
        self.answer({"refused": "no"})
        self.refused("no")

    def test_ended(self) -> None:
        """That it ends without an answer is told."""
        self.answer({"progress": [1, 2]})
        self.refused("ended before it answered")

    def test_nonsense(self) -> None:
        """So is an answer that is none."""
        self.answer(raw=b"{\n")
        self.refused("chatd did not answer")

    def test_silent(self) -> None:
        """So is one that does not come in time."""
        self.patch(asking, "_SILENT_S", 0.05)
        listening = socket.socket(socket.AF_UNIX)
        self.addCleanup(listening.close)
        listening.bind(socket_path(self.made()))
        listening.listen()
        self.refused("chatd did not answer: timed out")

    def test_stale(self) -> None:
        """A socket at which nobody listens is that of nobody."""
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(socket_path(self.made()))
        self.assertEqual(self.ask(ADD)["nick"], "Ann")

    def test_not_for_us(self) -> None:
        """A socket that is no socket of ours is told, and nothing is written."""
        self.made()
        path = socket_path(self.path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.bind(path)
            self.refused(repr(path))
        self.assertEqual(accounts(self.path), [])


class ReachableTests(LogCase):
    def test_missing(self) -> None:
        """A long path that is not there is an error."""
        with self.assertRaises(FileNotFoundError), reachable("/" + "x" * 150, os.O_PATH):
            raise AssertionError
