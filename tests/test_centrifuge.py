"""Centrifuge JSON: replies and events to text."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatd import errors
from chatd.core.commands import Publish, Say
from chatd.core.events import (
    Joined,
    Left,
    Message,
    Notice,
    Relay,
    Sender,
    Signal,
    Unsubscribed,
    Whisper,
    compact,
    payload,
)
from chatd.core.replies import (
    Answered,
    Connected,
    Counted,
    Done,
    Found,
    Listed,
    Present,
    Refreshed,
    Refused,
    Reply,
    Subscribed,
    Told,
)
from chatd.errors import Refusal
from chatd.wire import centrifuge, lines, plain
from chatd.wire.centrifuge import LISTED_BYTES, PING, PRESENT_BYTES, Centrifuge, Channel, decode
from tests.support import strategies
from tests.support.jsons import values
from tests.support.peers import messages_in

ANN = Sender("u1", "s1", "Ann")
INFO = {"user": "u1", "client": "s1", "conn_info": {"nick": "Ann"}}
DIALECT = Centrifuge("chatd 9", "n1", "abc")
LOBBY = Channel("Lobby", join_leave=True)
QUIET = Channel("Lobby", join_leave=False)
FRAME = 512 * 1024


def message(said: bytes, offset: int = 3) -> Message:
    """A message of Ann's."""
    return Message("lobby", ANN, said, offset, 1700000000123)


def publication(data: object, offset: int = 3) -> object:
    """How it looks."""
    time = 1700000000123
    return {
        "data": data,
        "info": INFO,
        "offset": offset,
        "time": time,
        "tags": {"time": str(time)},
    }


class CentrifugeTests(SynchronousTestCase):
    def told(self, event: Told) -> object:
        """What one frame with an event says."""
        (text,) = messages_in(DIALECT.encode(event))
        assert isinstance(text, str)
        self.assertNotIn("\n", text)
        return json.loads(text)

    def reply(self, answer: object) -> object:
        """What the reply to command 7 says, but for its number."""
        told = self.told(Reply(7, answer))  # type: ignore[arg-type]
        assert isinstance(told, dict)
        self.assertEqual(told.pop("id"), 7)
        return told

    def test_connected(self) -> None:
        """Who comes in is told who it is, how often it is pinged and that a pong is wanted."""
        self.assertEqual(
            self.reply(Connected(ANN, "r", 25, {"text": 8000})),
            {
                "connect": {
                    "client": "s1",
                    "version": "chatd 9",
                    "ping": 25,
                    "pong": True,
                    "session": "s1",
                    "node": "n1",
                    "data": {
                        "user": "u1",
                        "nick": "Ann",
                        "resume": "r",
                        "limits": {"text": 8000},
                        "web": "abc",
                    },
                }
            },
        )

    def test_signed_in(self) -> None:
        """Who signed in is told when to show a newer token, and a moderator that they are one."""
        told: Any = self.reply(Connected(ANN, "", 25, {}, True, 90))
        told = told["connect"]
        self.assertEqual((told["expires"], told["ttl"]), (True, 90))
        self.assertEqual((told["data"]["moderator"], told["data"]["resume"]), (True, ""))

    def test_refreshed(self) -> None:
        """Who showed a newer token is told when to show the next."""
        self.assertEqual(self.reply(Refreshed(90)), {"refresh": {"expires": True, "ttl": 90}})

    def test_subscribed(self) -> None:
        """A new member is told the position; what is false or zero is left out."""
        always = {"recoverable": True, "positioned": True, "epoch": "e"}
        for answer, more in (
            (Subscribed("e", 0, False, False, 0), {"data": {"members": 0}}),
            (Subscribed("e", 5, False, False, 2), {"offset": 5, "data": {"members": 2}}),
            (
                Subscribed("e", 5, True, False, 1),
                {"offset": 5, "was_recovering": True, "data": {"members": 1}},
            ),
            (
                Subscribed("e", 5, True, True, 1),
                {"offset": 5, "was_recovering": True, "recovered": True, "data": {"members": 1}},
            ),
        ):
            self.assertEqual(self.reply(answer), {"subscribe": always | more})

    def test_listed(self) -> None:
        """History is publications in the order given and the position, zero and empty too."""
        several = [message(b'{"a":1}', 9), message(b"null", 8)]
        self.assertEqual(
            self.reply(Listed(several, "e", 9)),
            {
                "history": {
                    "publications": [publication({"a": 1}, 9), publication(None, 8)],
                    "epoch": "e",
                    "offset": 9,
                }
            },
        )
        self.assertEqual(
            self.reply(Listed([], "e", 0)),
            {"history": {"publications": [], "epoch": "e", "offset": 0}},
        )

    def test_long_history(self) -> None:
        """A page ends where it would be too long; one message is always in it."""
        one = len(compact(publication("x" * 1000)))
        fits = LISTED_BYTES // one
        several = [message(compact("x" * 1000))] * (fits + 1)
        for given_, shown in ((several[1:], fits), (several, fits)):
            told = self.reply(Listed(given_, "e", 9))
            assert isinstance(told, dict)
            self.assertEqual(len(told["history"]["publications"]), shown)
        huge = [message(compact("x" * 65534))] * 2
        told = self.reply(Listed(huge, "e", 9))
        assert isinstance(told, dict)
        self.assertEqual(told["history"]["publications"], [publication("x" * 65534)])

    def test_present(self) -> None:
        """Presence is by session; nobody is an empty object."""
        bob = Sender("u2", "s2", "Bob")
        self.assertEqual(
            self.reply(Present([ANN, bob])),
            {
                "presence": {
                    "presence": {
                        "s1": INFO,
                        "s2": {"user": "u2", "client": "s2", "conn_info": {"nick": "Bob"}},
                    }
                }
            },
        )
        self.assertEqual(self.reply(Present([])), {"presence": {"presence": {}}})

    def test_many_present(self) -> None:
        """A thousand with long names are told whole; with absurd ones as many as fit a frame."""
        for length, shown in ((64, 1000), (1000, None)):
            senders = [Sender("u" * length, f"{n:0>{length}}", "ü" * 32) for n in range(1000)]
            frame = DIALECT.encode(Reply(2**32 - 1, Present(senders)))
            self.assertLess(len(frame), FRAME)
            (text,) = messages_in(frame)
            told = json.loads(text)["presence"]["presence"]
            if shown is not None:
                self.assertEqual(len(told), shown)
            else:
                self.assertGreater(len(frame), PRESENT_BYTES - 4000)
                self.assertEqual(list(told), [sender.session for sender in senders[: len(told)]])

    def test_counted(self) -> None:
        """Counts are told, zero too: the JavaScript SDK has no other way to know it."""
        self.assertEqual(
            self.reply(Counted(3, 2)), {"presence_stats": {"num_clients": 3, "num_users": 2}}
        )
        self.assertEqual(
            self.reply(Counted(0, 0)), {"presence_stats": {"num_clients": 0, "num_users": 0}}
        )

    @given(values())
    def test_answered(self, value: object) -> None:
        """The answer to a call is any JSON value."""
        told = self.reply(Answered(value))
        self.assertEqual(repr(told), repr({"rpc": {"data": value}}))

    def test_done(self) -> None:
        """What has nothing to tell is told by an empty object under its name."""
        for command in ("publish", "unsubscribe", "ping", "refresh"):
            self.assertEqual(self.reply(Done(command)), {command: {}})

    def test_refused(self) -> None:
        """A refusal is its number and words, and whether it may succeed later if so."""
        refusals = [each for each in vars(errors).values() if isinstance(each, Refusal)]
        self.assertIn(True, {refusal.temporary for refusal in refusals})
        for refusal in refusals:
            error = {"code": refusal.code, "message": refusal.words}
            more = {"temporary": True} if refusal.temporary else {}
            self.assertEqual(self.reply(Refused(refusal)), {"error": error | more})

    def test_found(self) -> None:
        """What was found is publications as of history; what does not fit is told to be more."""
        told = self.reply(Found([message(b'{"a":1}')], False))
        listed = self.reply(Listed([message(b'{"a":1}')], "e", 1))
        assert isinstance(told, dict)
        assert isinstance(listed, dict)
        publications = listed["history"]["publications"]
        self.assertEqual(told, {"rpc": {"data": {"found": publications, "more": False}}})
        self.assertEqual(
            self.reply(Found([], True)), {"rpc": {"data": {"found": [], "more": True}}}
        )
        large = message(b'"%b"' % (b"x" * 40_000))
        told = self.reply(Found([large, large], False))
        assert isinstance(told, dict)
        data = told["rpc"]["data"]
        self.assertEqual((len(data["found"]), data["more"]), (1, True))

    def test_whisper(self) -> None:
        """What a user's sessions are told comes as a message of no room."""
        self.assertEqual(
            self.told(Whisper(b'{"type":"read"}')),
            {"push": {"message": {"data": {"type": "read"}}}},
        )

    def test_not_shown(self) -> None:
        """What rooms are told, and words, are not for it."""
        for event in (
            message(b"1"),
            Signal("lobby", ANN, b"1"),
            Joined("lobby", ANN),
            Left("lobby", ANN),
            Relay("lobby", ANN, b"x", False),
            Notice("hello"),
            Unsubscribed("lobby", 2000, ""),
        ):
            self.assertEqual(DIALECT.encode(event), b"")

    def test_ping(self) -> None:
        """A ping is an empty object."""
        self.assertEqual(messages_in(PING), ["{}"])

    def test_value(self) -> None:
        """It has replies, and is a value like any dialect."""
        self.assertTrue(Centrifuge.has_replies and Channel.has_replies)
        self.assertEqual(len({DIALECT, Centrifuge("chatd 9", "n1", "abc")}), 1)

    def test_both_ways(self) -> None:
        """What a door needs for this protocol is in one place."""
        self.assertIs(decode, lines.decode)
        self.assertIs(centrifuge.frame_bytes, lines.frame_bytes)


class ChannelTests(SynchronousTestCase):
    def pushed(self, event: Told, channel: Channel = QUIET) -> object:
        """What one frame tells a member."""
        (text,) = messages_in(channel.encode(event))
        assert isinstance(text, str)
        self.assertNotIn("\n", text)
        return json.loads(text)["push"]

    def test_message(self) -> None:
        """A message is a publication with who, when and where in the room."""
        self.assertEqual(
            self.pushed(message(payload("m1", "hi"))),
            {
                "channel": "Lobby",
                "pub": publication({"type": "message", "id": "m1", "text": "hi"}),
            },
        )

    def test_signal(self) -> None:
        """What is not stored is a publication without a place and time."""
        self.assertEqual(
            self.pushed(Signal("lobby", ANN, b'{"type":"typing","on":true}')),
            {
                "channel": "Lobby",
                "pub": {"data": {"type": "typing", "on": True}, "info": INFO},
            },
        )

    def test_join_leave(self) -> None:
        """Who wants it is told who comes and goes, who does not is not."""
        for event, kind in ((Joined("lobby", ANN), "join"), (Left("lobby", ANN), "leave")):
            self.assertEqual(self.pushed(event, LOBBY), {"channel": "Lobby", kind: {"info": INFO}})
            self.assertEqual(QUIET.encode(event), b"")

    def test_not_shown(self) -> None:
        """What plain connections pass on and what one peer alone is told are not for a room."""
        for event in (
            Relay("lobby", ANN, b"x", False),
            Relay("lobby", ANN, b"x", True),
            Notice("x"),
            Reply(1, Done("ping")),
            Whisper(b"1"),
        ):
            self.assertEqual(LOBBY.encode(event), b"")

    def test_unsubscribed(self) -> None:
        """Who was taken out is told from where, under the name it knows, and why."""
        (text,) = messages_in(LOBBY.encode(Unsubscribed("lobby", 2500, "place lost")))
        assert isinstance(text, str)
        self.assertEqual(
            json.loads(text),
            {
                "push": {
                    "channel": LOBBY.name,
                    "unsubscribe": {"code": 2500, "reason": "place lost"},
                }
            },
        )

    @given(st.text(), st.booleans())
    def test_names(self, name: str, join_leave: bool) -> None:
        """A room is told under any name; equal dialects are one, others are not."""
        channel = Channel(name, join_leave)
        told = self.pushed(message(b"1"), channel)
        assert isinstance(told, dict)
        self.assertEqual(told["channel"], name)
        others = {
            Channel(name, join_leave),
            Channel(name, not join_leave),
            Channel(f"#{name}", join_leave),
        }
        self.assertEqual(len({channel} | others), 3)

    @given(values())
    def test_equal(self, value: object) -> None:
        """Any JSON that is published comes out equal, live and in history."""
        command = {"id": 1, "publish": {"channel": "Lobby", "data": value}}
        (read,) = decode(json.dumps(command).encode(), False)
        assert isinstance(read, Publish)
        told = self.pushed(message(read.payload))
        self.assertEqual(repr(told), repr({"channel": "Lobby", "pub": publication(value)}))
        (text,) = messages_in(DIALECT.encode(Reply(1, Listed([message(read.payload)], "e", 3))))
        (listed,) = json.loads(text)["history"]["publications"]
        self.assertEqual(repr(listed), repr(publication(value)))

    @given(strategies.texts().filter(bool))
    def test_plain(self, text: str) -> None:
        """A text of the plain door is a message's text here, and the other way round."""
        (said,) = plain.decode(text.encode(), binary=False)
        assert isinstance(said, Say)
        told = self.pushed(message(payload("m1", said.text)))
        assert isinstance(told, dict)
        data = told["pub"]["data"]
        self.assertEqual(data, {"type": "message", "id": "m1", "text": text})
        command = {"id": 1, "publish": {"channel": "Lobby", "data": data}}
        (read,) = decode(json.dumps(command).encode(), False)
        assert isinstance(read, Publish)
        self.assertEqual(messages_in(plain.Plain().encode(message(read.payload))), [text])

    def test_shared(self) -> None:
        """Members who spell a room alike have one dialect object, not one each."""
        one = DIALECT.of_room("Lobby", join_leave=False)
        self.assertIs(one, DIALECT.of_room("Lobby", join_leave=False))
        self.assertIsNot(one, DIALECT.of_room("Lobby", join_leave=True))
        self.assertIs(one, LOBBY.of_room("Lobby", join_leave=False))
