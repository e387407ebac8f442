"""What a peer is answered, as values."""

from __future__ import annotations

import dataclasses
from typing import get_args

from twisted.trial.unittest import SynchronousTestCase

from chatd.core import replies
from chatd.core.events import Notice, RoomEvent, Unsubscribed, Whisper
from chatd.core.replies import Answer, Done, Refused, Reply, Subscribed, Told
from chatd.errors import BAD_REQUEST, INTERNAL
from tests.support.values import is_frozen


class ReplyTests(SynchronousTestCase):
    def test_all(self) -> None:
        """`Answer` is every answer there is."""
        classes = {getattr(replies, name) for name in replies.__all__} - {Answer, Reply, Told}
        self.assertEqual(classes, set(get_args(Answer)))

    def test_told(self) -> None:
        """What a dialect encodes is an event, a notice, an unsubscription, a whisper, a reply."""
        kinds = {*get_args(RoomEvent), Notice, Unsubscribed, Whisper, Reply}
        self.assertEqual(set(get_args(Told)), kinds)

    def test_frozen(self) -> None:
        """They never change."""
        for kind in (*get_args(Answer), Reply):
            self.assertTrue(is_frozen(kind), kind)
        with self.assertRaises(dataclasses.FrozenInstanceError):
            Done("ping").command = "pong"  # type: ignore[misc]

    def test_equal(self) -> None:
        """They are compared by what they say: the number and all of the answer."""
        self.assertEqual(Reply(1, Done("ping")), Reply(1, Done("ping")))
        self.assertNotEqual(Reply(1, Done("ping")), Reply(2, Done("ping")))
        self.assertNotEqual(Reply(1, Refused(BAD_REQUEST)), Reply(1, Refused(INTERNAL)))
        self.assertNotEqual(
            Subscribed("e", 1, True, True, members=1), Subscribed("e", 1, True, False, members=1)
        )
