"""What somebody outside can see of a failure."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from chatd import errors
from chatd.errors import ChatError, Close, ConfigError

# RFC 6455 7.4.1 and its registry: what an endpoint may send and a server has reason to.
# 1010 is a client's; 1005, 1006 and 1015 are never in a frame.
LEGAL = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011, 1012, 1013, 1014, *range(3000, 5000)}

CLOSES = {name: each for name, each in vars(errors).items() if isinstance(each, Close)}
REFUSALS = {name: each for name, each in vars(errors).items() if isinstance(each, ChatError)}

# The numbers of docs/protocol.md. They are a contract with programs of others.
NUMBERS = {
    "INTERNAL": 100,
    "BAD_REQUEST": 107,
    "TOO_MANY_REQUESTS": 111,
    "UNAVAILABLE": 400,
    "NICK_INVALID": 411,
    "ROOM_INVALID": 412,
}


class CloseTests(SynchronousTestCase):
    def test_legal(self) -> None:
        """Each code may be sent by a server; 1006 alone says that no Close is sent at all."""
        for name, close in CLOSES.items():
            if close.code != 1006:
                self.assertIn(close.code, LEGAL, name)
        for name, error in REFUSALS.items():
            self.assertIn(error.close.code, LEGAL, name)

    def test_reasons_fit(self) -> None:
        """Each reason fits in a Close frame: 123 bytes of UTF-8 (RFC 6455 5.5)."""
        for close in (*CLOSES.values(), *(error.close for error in REFUSALS.values())):
            self.assertLessEqual(len(close.reason.encode()), 123)

    def test_values(self) -> None:
        """Closes are compared by what they say."""
        self.assertEqual(Close(1001, "bye"), Close(1001, "bye"))
        self.assertNotEqual(Close(1001, "bye"), Close(1001, "no"))


class ChatErrorTests(SynchronousTestCase):
    def test_numbers(self) -> None:
        """Each refusal has the number that is documented, and no other has it."""
        self.assertEqual({name: error.code for name, error in REFUSALS.items()}, NUMBERS)
        self.assertEqual(len(set(NUMBERS.values())), len(NUMBERS))

    def test_temporary(self) -> None:
        """What may succeed later says so."""
        self.assertEqual(
            {name for name, error in REFUSALS.items() if error.temporary},
            {"INTERNAL", "TOO_MANY_REQUESTS", "UNAVAILABLE"},
        )

    def test_words(self) -> None:
        """Each says what it is in one line without what it was about."""
        for error in REFUSALS.values():
            self.assertTrue(error.words)
            self.assertTrue(error.words.isascii() and error.words.isprintable())
            self.assertNotIn("{", error.words)
            self.assertEqual(str(error), error.words)

    def test_codes_of_closes(self) -> None:
        """What a peer did is 1008, what happens here is 1013, a bug of ours is 1011."""
        for name, error in REFUSALS.items():
            expected = {"INTERNAL": 1011, "UNAVAILABLE": 1013}.get(name, 1008)
            self.assertEqual(error.close.code, expected, name)


class NamesTests(SynchronousTestCase):
    def test_exported(self) -> None:
        """All of them are exported, and nothing else."""
        self.assertCountEqual(
            errors.__all__, [*CLOSES, *REFUSALS, "ChatError", "Close", "ConfigError"]
        )


class ConfigErrorTests(SynchronousTestCase):
    def test_text(self) -> None:
        """Its text is the line for the operator."""
        self.assertEqual(str(ConfigError("what is wrong")), "what is wrong")
