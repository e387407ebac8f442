"""What a door talks to, as a seam."""

from __future__ import annotations

import inspect

from twisted.trial.unittest import SynchronousTestCase

from chatd.core.conversation import Conversation
from chatd.core.greeter import Greeter
from chatd.core.session import Session


class SeamTests(SynchronousTestCase):
    def test_complete(self) -> None:
        """Both kinds of conversation have all that a door asks for, under the same names."""
        asked = [name for name in vars(Conversation) if not name.startswith("_")]
        self.assertEqual(asked, ["title", "is_connecting", "receive", "drained", "lost"])
        for kind in (Session, Greeter):
            for name in asked:
                ours, seam = getattr(kind, name), getattr(Conversation, name)
                if callable(seam):
                    names = list(inspect.signature(seam).parameters)
                    self.assertEqual(list(inspect.signature(ours).parameters), names, name)

    def test_only_seam(self) -> None:
        """It cannot be made: it promises, and does nothing."""
        self.assertRaises(TypeError, Conversation)
