"""Who somebody was found to be."""

from __future__ import annotations

import dataclasses

from twisted.trial.unittest import SynchronousTestCase

from chatd.core.identity import Identity, Role


class IdentityTests(SynchronousTestCase):
    def test_guest(self) -> None:
        """Of whom no more is known than who they are is a guest, for ever, in all rooms."""
        ann = Identity("ann")
        self.assertEqual(
            (ann.role, ann.rooms, ann.expires_s, ann.nick), (Role.GUEST,) + (None,) * 3
        )

    def test_moderator(self) -> None:
        """Of the roles one moderates."""
        found = [role for role in Role if Identity("ann", role=role).is_moderator]
        self.assertEqual(found, [Role.MODERATOR])

    def test_value(self) -> None:
        """It does not change."""
        with self.assertRaises(dataclasses.FrozenInstanceError):
            Identity("ann").user = "bob"  # type: ignore[misc]
        self.assertEqual(Identity("ann"), Identity("ann"))
