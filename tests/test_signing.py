"""`chatd.signing`: accounts, the page and the socket, put together."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from twisted.internet.testing import MemoryReactorClock

from chatd import passwords
from chatd.core.events import Message
from chatd.core.identity import Identity, Role
from chatd.core.room import Room
from chatd.core.signing_in import SignedIn, Turned, Why
from chatd.doors.assets import load, web_root
from chatd.errors import EXPIRED, KICKED, UNAVAILABLE, ChatError, Close, Refusal
from chatd.signing import Signing
from chatd.tokens import Signer
from tests.support.brokers import ClockWorker
from tests.support.doors import World
from tests.support.logs import LogCase

KEY = bytes(range(32))


class Somebody:
    """A session, as far as it matters."""

    def __init__(self, made: str) -> None:
        self.whoever = Identity("ann", "Ann", Role.USER, made=made)
        self.outbox = self
        self.closes: list[Close] = []

    def close(self, close: Close) -> None:
        """Note why."""
        self.closes.append(close)


class SigningCase(LogCase):
    def setUp(self) -> None:
        super().setUp()
        self.patch(passwords, "_LOG_N", 4)
        self.begin()

    def begin(self, database: str = ":memory:") -> None:
        """Put it together."""
        self.world = World(users=True, database=database)
        self.worker = ClockWorker(self.world.clock)
        self.reactor = MemoryReactorClock()
        self.signing = Signing(
            self.world.node,
            KEY,
            self.worker,
            lambda host: host,
            reindex=lambda progress, done: done(None),
            reactor=self.reactor,
        )
        self.world.turn()

    def add(self, name: str = "Ann", password: str = "correct horse") -> None:
        """Make an account."""
        kept = passwords.hashed(password)
        self.signing.accounts.add(name, kept, is_moderator=False, done=lambda outcome: None)
        self.world.turn()

    def sign_in(self, password: str) -> SignedIn | Turned:
        """Sign Ann in; returns what is told."""
        told: list[SignedIn | Turned] = []
        self.signing.signing_in.with_password("ann", password, "", told.append)
        self.world.turn()
        return told[0]

    def audited(self) -> list[Mapping[str, object]]:
        """What is in the audit log."""
        found: list[Mapping[str, object]] = []

        def came(page: Sequence[Message] | Refusal) -> None:
            assert not isinstance(page, Refusal)
            found.extend(json.loads(each.payload) for each in page)

        def opened(room: Room | Refusal) -> None:
            self.world.broker.page("!audit", 0, 100, came)

        self.world.hub.open("!audit", opened)
        self.world.turn()
        return found


class PasswordTests(SigningCase):
    def test_compared(self) -> None:
        """A password is compared by the worker, and a token is given that is taken here."""
        self.add()
        before = self.worker.jobs
        signed_in = self.sign_in("correct horse")
        assert isinstance(signed_in, SignedIn)
        self.assertEqual(self.worker.jobs, before + 1)
        self.assertEqual(signed_in.expires_s, 30 * 86400)
        self.assertEqual(self.sign_in("wrong horse"), Turned(Why.WRONG))

    def test_fails(self) -> None:
        """What goes wrong there is logged, but not that it was stopped; both are told."""
        self.add()
        self.worker.failures = [RuntimeError("broken"), ChatError(UNAVAILABLE)]
        for _ in range(2):
            self.assertEqual(self.sign_in("correct horse"), Turned(Why.UNAVAILABLE))
        self.assertEqual([line for line in self.lines if "compared" in line], self.lines[-1:])


class ChangeTests(SigningCase):
    def test_ended(self) -> None:
        """Who was signed in with an account that is no more is signed out, also a moment later."""
        for ends, why in ((self.remove, KICKED), (self.set_password, EXPIRED)):
            self.begin()
            self.add()
            sessions: dict[str, Any] = {"1": Somebody("old"), "2": Somebody("")}
            self.world.node.sessions["ann"] = sessions
            ends()
            sessions["3"] = Somebody("old")
            self.world.advance(12)
            closes = [each.closes for each in sessions.values()]
            self.assertEqual([closes[0][:1], closes[1], closes[2]], [[why], [], [why]])
            self.world.node.sessions.clear()

    def remove(self) -> None:
        """Remove Ann's account."""
        self.signing.accounts.remove("ann", lambda outcome: None)
        self.world.turn()

    def set_password(self) -> None:
        """Give Ann another password."""
        self.signing.accounts.set_password("ann", "other", lambda outcome: None)
        self.world.turn()

    def test_audited(self) -> None:
        """What is done to accounts is in the audit log, and who used a link."""
        self.add()
        self.set_password()
        self.remove()
        code = Signer(KEY).code("Mo", nonce="n", now_s=0, ttl_s=60)
        told: list[Any] = []
        self.signing.signing_in.with_code(code, "", told.append)
        self.world.turn()
        found = [(each["action"], each["nick"], each.get("user")) for each in self.audited()]
        self.assertEqual(
            found,
            [
                ("user add", "chatd", "ann"),
                ("user passwd", "chatd", "ann"),
                ("user remove", "chatd", "ann"),
                ("link", "Mo", None),
            ],
        )
        self.assertEqual(self.audited()[-1]["by"], told[0].user)


class RouteTests(SigningCase):
    def test_routes(self) -> None:
        """Beside somebody else's page the files of ours are there that /login needs."""
        own = load(web_root(), own=True)
        self.assertEqual(set(self.signing.routes(own, own)), {b"/login"})
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "index.html").write_text("theirs")
            theirs = load(Path(folder), own=False)
        routes = self.signing.routes(own, theirs)
        self.assertIn(b"/v/%s/js/login.js" % own.digest.encode(), routes)
        self.assertNotIn(b"/", routes)


class SocketTests(SigningCase):
    def test_memory(self) -> None:
        """For a database in memory there is no socket."""
        self.assertEqual(self.signing.close(), [])
        self.assertEqual(self.stopped(), [True])

    def test_file(self) -> None:
        """For one in a file there is, until it is closed."""
        with tempfile.TemporaryDirectory() as folder:
            self.begin(database=f"{folder}/chatd.sqlite3")
            self.assertEqual(os.listdir(folder), ["chatd.sqlite3.sock"])
            assert self.signing._control is not None
            self.assertIn("reindex", self.signing._control.operations)
            (closed,) = self.signing.close()
            self.reactor.advance(0)
            self.successResultOf(closed)
            self.assertEqual(os.listdir(folder), [])
            self.assertEqual(self.stopped(), [True])

    def stopped(self) -> list[bool]:
        """Whether it stops."""
        told: list[bool] = []
        self.signing.stop(lambda: told.append(True))
        self.world.turn()
        return told
