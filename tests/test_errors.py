"""What somebody outside can see of a failure."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from chatd import errors
from chatd.errors import BAD_REQUEST, ChatError, Close, ConfigError, Refusal

# RFC 6455 7.4.1 and its registry: what an endpoint may send and a server has reason to.
# 1010 is a client's; 1005, 1006 and 1015 are never in a frame.
LEGAL = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011, 1012, 1013, 1014, *range(3000, 5000)}

CLOSES = {name: each for name, each in vars(errors).items() if isinstance(each, Close)}
PUBLIC_CLOSES = {name: each for name, each in CLOSES.items() if not name.startswith("_")}
REFUSALS = {name: each for name, each in vars(errors).items() if isinstance(each, Refusal)}

# The numbers of docs/protocol.md. They are a contract with programs of others.
NUMBERS = {
    "INTERNAL": 100,
    "UNAUTHORIZED": 101,
    "UNKNOWN_ROOM": 102,
    "FORBIDDEN": 103,
    "NO_SUCH_COMMAND": 104,
    "ALREADY_SUBSCRIBED": 105,
    "LIMIT_EXCEEDED": 106,
    "BAD_REQUEST": 107,
    "NOT_AVAILABLE": 108,
    "TOKEN_EXPIRED": 109,
    "TOO_MANY_REQUESTS": 111,
    "UNRECOVERABLE": 112,
    "UNAVAILABLE": 400,
    "UNKNOWN_OUTCOME": 401,
    "FULL": 402,
    "NICK_TAKEN": 410,
    "NICK_INVALID": 411,
    "ROOM_INVALID": 412,
    "PRIVATE_ROOM": 413,
    "TEXT_TOO_LONG": 420,
    "NOT_YOURS": 421,
    "TOO_LATE": 422,
    "NO_SUCH_MESSAGE": 423,
    "NO_SUCH_USER": 424,
    "MUTED": 430,
    "BANNED": 431,
    "TOO_SOON": 432,
    "SIGN_IN": 440,
}
SDK_CODES = {
    "NORMAL": 1000,
    "SHUTDOWN": 3001,
    "LOST": 1006,
    "POLICY": 1008,
    "STALLED": 3008,
    "NO_PONG": 3012,
    "STALE": 3502,
    "UNINTELLIGIBLE": 3501,
    "INVALID_TOKEN": 3500,
    "EXPIRED": 3005,
    "KICKED": 3503,
}


def every_close() -> list[Close]:
    """Those that stand alone and those of refusals."""
    return [*CLOSES.values(), *(refusal.close for refusal in REFUSALS.values())]


class CloseTests(SynchronousTestCase):
    def test_legal(self) -> None:
        """Each code may be sent by a server; 1006 alone says that no Close is sent at all."""
        for close in every_close():
            self.assertIn(close.code, LEGAL | {1006}, close)
            self.assertIn(close.sdk_code, LEGAL | {1006}, close)

    def test_sdk_codes(self) -> None:
        """Clients of the Centrifuge door know each close by the code that is documented."""
        self.assertEqual({name: close.sdk_code for name, close in PUBLIC_CLOSES.items()}, SDK_CODES)

    def test_reasons_fit(self) -> None:
        """Each reason fits in a Close frame: 123 bytes of UTF-8 (RFC 6455 5.5)."""
        for close in every_close():
            self.assertLessEqual(len(close.reason.encode()), 123)

    def test_values(self) -> None:
        """Closes are compared by what they say."""
        self.assertEqual(Close(1001, "bye", 3001), Close(1001, "bye", 3001))
        self.assertNotEqual(Close(1001, "bye", 3001), Close(1001, "no", 3001))


class RefusalTests(SynchronousTestCase):
    def test_numbers(self) -> None:
        """Each refusal has the number that is documented, and no other has it."""
        self.assertEqual({name: refusal.code for name, refusal in REFUSALS.items()}, NUMBERS)
        self.assertEqual(len(set(NUMBERS.values())), len(NUMBERS))

    def test_temporary(self) -> None:
        """What may succeed later says so."""
        self.assertEqual(
            {name for name, refusal in REFUSALS.items() if refusal.temporary},
            {"INTERNAL", "TOO_MANY_REQUESTS", "UNAVAILABLE", "UNKNOWN_OUTCOME", "FULL"}
            | {"TOO_SOON"},
        )

    def test_words(self) -> None:
        """Each says what it is in one line without what it was about."""
        for refusal in REFUSALS.values():
            self.assertTrue(refusal.words)
            self.assertTrue(refusal.words.isascii() and refusal.words.isprintable())
            self.assertNotIn("{", refusal.words)

    def test_codes_of_closes(self) -> None:
        """What a peer did is 1008, what happens here is 1013, a bug of ours is 1011."""
        ours = {"INTERNAL": 1011, "UNAVAILABLE": 1013, "UNKNOWN_OUTCOME": 1013, "FULL": 1013}
        for name, refusal in REFUSALS.items():
            self.assertEqual(refusal.close.code, ours.get(name, 1008), name)


class ChatErrorTests(SynchronousTestCase):
    def test_refusal(self) -> None:
        """It carries what is to be answered, and is a new object each time."""
        error = ChatError(BAD_REQUEST)
        self.assertIs(error.refusal, BAD_REQUEST)
        self.assertEqual(str(error), BAD_REQUEST.words)


class NamesTests(SynchronousTestCase):
    def test_exported(self) -> None:
        """All of them are exported, and nothing else."""
        self.assertCountEqual(
            errors.__all__,
            [*PUBLIC_CLOSES, *REFUSALS, "ChatError", "Close", "ConfigError", "Refusal"],
        )


class ConfigErrorTests(SynchronousTestCase):
    def test_text(self) -> None:
        """Its text is the line for the operator."""
        self.assertEqual(str(ConfigError("what is wrong")), "what is wrong")
