"""What every session of this process shares."""

from __future__ import annotations

import dataclasses

from chatd.core.commands import Connect
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
