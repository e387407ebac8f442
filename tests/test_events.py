"""What members of a room are told, as values."""

from __future__ import annotations

import dataclasses
import json
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatd.core.events import (
    Joined,
    Left,
    Message,
    Notice,
    RoomEvent,
    Sender,
    Signal,
    Unsubscribed,
    compact,
    payload,
)
from tests.support import strategies
from tests.support.values import fields_of, is_frozen

_floats = st.floats(allow_nan=False, allow_infinity=False)
_json: st.SearchStrategy[object] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), _floats, strategies.texts()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(strategies.texts(), inner, max_size=3)
    ),
    max_leaves=8,
)


class CompactTests(SynchronousTestCase):
    @given(_json)
    def test_round_trip(self, value: object) -> None:
        """Any JSON value comes out as it went in."""
        self.assertEqual(json.loads(compact(value)), value)

    @given(_json)
    def test_one_line(self, value: object) -> None:
        """There is no raw control character in it, so a newline can end it."""
        self.assertFalse([byte for byte in compact(value) if byte < 0x20])

    def test_form(self) -> None:
        """There is no space between its parts, and text is UTF-8, not escaped."""
        self.assertEqual(compact({"a": [1, "ż"], "b": None}), '{"a":[1,"ż"],"b":null}'.encode())

    def test_large(self) -> None:
        """It may be of any length."""
        for size in (0, 1000, 5000, 100_000):
            self.assertEqual(compact("x" * size), b'"' + b"x" * size + b'"')

    def test_whole_numbers(self) -> None:
        """Whole numbers of any length keep each digit."""
        for number in (2**64, -(2**70), 10**99):
            self.assertEqual(compact([number]), f"[{number}]".encode())

    def test_half_pair(self) -> None:
        """Half a surrogate pair cannot be written."""
        self.assertRaises(UnicodeEncodeError, compact, {"a": "\ud800"})

    def test_payload(self) -> None:
        """A text is stored as a message with an id."""
        self.assertEqual(
            payload("m1", 'za"żółć'), '{"type":"message","id":"m1","text":"za\\"żółć"}'.encode()
        )


class SenderTests(SynchronousTestCase):
    def test_encoded(self) -> None:
        """It has the form in which it is stored and told."""
        self.assertEqual(
            Sender("u", "s", "n").encoded, b'{"user":"u","client":"s","conn_info":{"nick":"n"}}'
        )

    @given(strategies.nicks(), strategies.nicks(), strategies.nicks())
    def test_round_trip(self, user: str, session: str, nick: str) -> None:
        """That form is enough to make it again."""
        sender = Sender(user, session, nick)
        found = Sender.decode(sender.encoded)
        self.assertEqual(found, sender)
        self.assertEqual(found.encoded, sender.encoded)

    def test_shared(self) -> None:
        """The many messages of one sender share one object."""
        encoded = Sender("u", "s", "n").encoded
        self.assertIs(Sender.decode(encoded), Sender.decode(bytes(bytearray(encoded))))

    def test_equal(self) -> None:
        """It is the user, the session and the nick, all of them."""
        sender = Sender("u", "s", "n")
        self.assertEqual(sender, Sender("u", "s", "n"))
        for other in (Sender("x", "s", "n"), Sender("u", "x", "n"), Sender("u", "s", "x")):
            self.assertNotEqual(sender, other)

    def test_quiet(self) -> None:
        """Its name in the log has each part once."""
        self.assertEqual(repr(Sender("u", "s", "n")), "Sender(user='u', session='s', nick='n')")


class ValueTests(SynchronousTestCase):
    def test_frozen(self) -> None:
        """They never change: one object is shared by all who are told it."""
        for kind in (*get_args(RoomEvent), Sender, Notice, Unsubscribed):
            self.assertTrue(is_frozen(kind), kind)
        with self.assertRaises(dataclasses.FrozenInstanceError):
            Notice("a").text = "b"  # type: ignore[misc]

    def test_addressed(self) -> None:
        """Each event of a room says which room and by whom."""
        for kind in get_args(RoomEvent):
            self.assertLessEqual({"room", "sender"}, fields_of(kind), kind)

    def test_kinds(self) -> None:
        """Events of different kinds are never equal, whatever they say."""
        sender = Sender("u", "s", "n")
        events: list[RoomEvent] = [
            Joined("r", sender),
            Left("r", sender),
            Signal("r", sender, b""),
            Message("r", sender, b"", 1, 0),
        ]
        self.assertEqual(len(set(events)), 4)

    def test_erases(self) -> None:
        """A message erases nothing unless it says so."""
        self.assertEqual(Message("r", Sender("u", "s", "n"), b"1", 1, 0).erases, ())
