"""What every session of this process shares."""

from __future__ import annotations

import dataclasses

from chatd.core.commands import Connect
from chatd.core.outbox import MOST_TOLD
from chatd.errors import STALLED
from tests.support.people import PeopleCase


class NodeTests(PeopleCase):
    def test_sessions(self) -> None:
        """It knows who is there, by user and session, in the order in which they came."""
        self.assertEqual(self.node.sessions, {})
        one = self.guest("Ann")
        two, three = (self.guest(resume=self.resume(one)) for _ in range(2))
        other = self.plain(None, "Bob")
        self.assertEqual(set(self.node.sessions), {one.user, other.user})
        self.assertEqual(
            list(self.node.sessions[one.user].items()),
            [(each.session.id, each.session) for each in (one, two, three)],
        )

    def test_gone(self) -> None:
        """It forgets a session that is lost, and a user with the last one, at once."""
        one = self.guest("Ann")
        user = one.user
        two = self.guest(resume=self.resume(one))
        one.lost()
        self.assertEqual(list(self.node.sessions[user]), [two.session.id])
        two.lost()
        self.assertEqual(self.node.sessions, {})

    def test_gone_twice(self) -> None:
        """A session that is told twice to be gone is forgotten once, with one hold of its nick."""
        one = self.guest("Ann")
        two = self.guest(resume=self.resume(one))
        self.assertFalse(self.node.forget("nobody", "x"))
        self.assertFalse(self.node.forget(one.user, "x"))
        one.lost()
        one.lost()
        self.assertEqual(list(self.node.sessions[one.user]), [two.session.id])
        self.assertEqual(len(self.nicks), 1)

    def test_whisper(self) -> None:
        """What is told to a user is told to all of their sessions but one, and to nobody else."""
        one, other, plain = self.guest("Ann"), self.guest("Bob"), self.plain()
        two = self.guest(resume=self.resume(one))
        before = [len(each.peer.writes) for each in (one, other, plain)]
        self.node.whisper(one.user, b'{"a":1}', but=one.session)
        self.node.whisper(plain.user, b'{"a":1}')
        self.node.whisper("nobody", b'{"a":1}')
        self.assertEqual(two.told[-1], {"push": {"message": {"data": {"a": 1}}}})
        self.assertEqual([len(each.peer.writes) for each in (one, other, plain)], before)

    def test_whispers_wait(self) -> None:
        """A session that does not read is told so much and no more: it is closed."""
        one = self.guest("Ann")
        two = self.guest(resume=self.resume(one))
        two.peer.pause()
        for _ in range(MOST_TOLD + 1):
            self.node.whisper(one.user, b"1")
        self.assertEqual((one.peer.closes, two.peer.closes), ([], [STALLED]))

    def test_connecting(self) -> None:
        """It does not know who has not said yet who they are."""
        person = self.arrive()
        self.assertEqual(self.node.sessions, {})
        person.begin(Connect(1, "", None, None))
        self.assertEqual(list(self.node.sessions), [person.user])

    def test_own(self) -> None:
        """Each node has its own sessions, and keeps its parts."""
        other = dataclasses.replace(self.node, sessions={})
        self.guest()
        self.assertEqual(other.sessions, {})
        self.assertNotEqual(other, self.node)
        with self.assertRaises(dataclasses.FrozenInstanceError):
            self.node.hub = self.hub  # type: ignore[misc]
