"""Every kind of message, every call and every way to come in, by both SDKs.

The errors that need a day or a stranger's address are elsewhere: the end of the 24 hours in which
one may edit (422) in tests/test_changes.py, where a clock passes them, and what a banned address
is refused in tests/test_moderation.py and tests/test_websocket.py, since nobody is banned from
this machine.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.support.client import Client, request, upgrade_headers
from tests.support.daemon import Daemon, running, until
from tests.support.lives import FAST
from tests.support.sdk import JsonClient, RefusedError
from tests.support.sdks import Sdk
from tests.support.talk import Person, chatd, come, jwt, link_code, login, view

SECRET = secrets.token_hex(32).encode()
PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    """A daemon for guests, and moderators who come by a link."""
    with running(env={**FAST, "CHATD_LIMITS_GRACE_S": "1"}) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def moderator_token(daemon: Daemon) -> str:
    """What a one-time link brings."""
    printed = chatd(daemon.folder, "token", "--moderator", "--nick", "mod")
    return login(daemon.web, code=link_code(printed)).token


@dataclass(frozen=True, slots=True)
class Here:
    """Where a case takes place: a room in which nobody was, and who may come."""

    sdk: Sdk
    daemon: Daemon
    room: str
    request: pytest.FixtureRequest

    def come(self, name: str, **about: object) -> Person:
        """Have a guest come in, by a name that is theirs in this case alone."""
        return come(self.sdk, self.daemon.ws, f"{name}-{self.room}", **about)

    def moderator(self) -> Person:
        """Have a moderator come in."""
        token = self.request.getfixturevalue("moderator_token")
        return come(self.sdk, self.daemon.ws, token=token)

    def both(self) -> tuple[Person, Person]:
        """Have two guests come in and into the room."""
        ann, bob = self.come("ann"), self.come("bob")
        for each in (ann, bob):
            each.peer.subscribe(self.room)
        return ann, bob


@pytest.fixture
def here(daemon: Daemon, sdk: Sdk, room: str, request: pytest.FixtureRequest) -> Here:
    """Where a case takes place, for each SDK."""
    return Here(sdk, daemon, room, request)


def told(person: Person, kind: str, **fields: object) -> None:
    """Wait for what is told to one user's clients.

    The SDK for Python has no event for it and passes it over; it must go on all the same.
    """
    if person.peer.sdk.name == "javascript":
        wanted = {"type": kind, **fields}
        until(lambda: wanted in [each["data"] for each in person.peer.events("message")], kind)
    else:
        assert person.peer.rpc("unread") is not None


# 4: what a message is


def test_message(here: Here) -> None:
    """A message has a text, and may be an answer to an earlier one."""
    ann, bob = here.both()
    first = ann.say(here.room, "hello")
    answer = bob.publish(here.room, "message", text="x" * 8000, reply_to=first)
    assert ann.hears(here.room, 2)["data"] == answer
    assert ann.hears(here.room, 2)["info"]["user"] == bob.user
    assert ann.refused(here.room, "message", text="to nothing", reply_to=9) == 423
    assert ann.refused(here.room, "message", text="x" * 8001) == 420
    for wrong in ({"text": ""}, {"text": 1}, {}, {"text": "a", "reply_to": 0}):
        assert ann.refused(here.room, "message", **wrong) == 107
    assert ann.refused(here.room, "message", id="a b", text="a") == 107
    assert ann.head(here.room) == 2


def test_edit(here: Here) -> None:
    """One's own message gets another text; the edit has a place of its own."""
    ann, bob = here.both()
    first = ann.say(here.room, "helo")
    edit = ann.publish(here.room, "edit", ref=first, text="hello")
    assert bob.hears(here.room, 2)["data"] == edit
    assert view(bob.heard(here.room)).texts == {1: "hello"}
    ann.peer.call("publish", room=here.room, data=edit)  # a repetition is answered alike
    assert ann.head(here.room) == 2
    assert bob.refused(here.room, "edit", ref=first, text="mine") == 421
    assert ann.refused(here.room, "edit", ref=2, text="an edit is no message") == 423
    assert ann.refused(here.room, "edit", ref=99, text="nothing") == 423
    assert ann.refused(here.room, "edit", ref=first, text="x" * 8001) == 420
    for wrong in ({"ref": 0}, {"ref": "1"}, {"ref": first, "text": ""}, {}):
        assert ann.refused(here.room, "edit", **{"text": "a", **wrong}) == 107
    assert ann.head(here.room) == 2


def test_delete(here: Here) -> None:
    """A deleted message keeps its place and loses its text, for everybody who reads it later."""
    ann, bob = here.both()
    first = ann.say(here.room, "oh no")
    ann.publish(here.room, "edit", ref=first, text="oh no no")
    assert bob.refused(here.room, "delete", ref=first) == 421
    gone = ann.publish(here.room, "delete", ref=first)
    assert bob.hears(here.room, 3)["data"] == gone
    assert [each["data"] for each in bob.history(here.room)] == [
        {"type": "deleted"},
        {"type": "deleted"},
        gone,
    ]
    ann.peer.call("publish", room=here.room, data=gone)
    assert ann.refused(here.room, "delete", ref=first) == 423
    assert ann.refused(here.room, "edit", ref=first, text="back") == 423
    assert ann.refused(here.room, "delete", ref=99) == 423
    assert ann.refused(here.room, "delete", ref="1") == 107
    assert view(bob.heard(here.room)) == view(bob.history(here.room))


def test_delete_by_moderator(here: Here) -> None:
    """A moderator deletes what others said in a public room."""
    ann, bob = here.both()
    rude = bob.say(here.room, "something rude")
    here.moderator().publish(here.room, "delete", ref=rude)
    ann.hears(here.room, 2)
    assert view(ann.heard(here.room)).texts == {}
    assert ann.history(here.room)[0]["data"] == {"type": "deleted"}


def test_reaction(here: Here) -> None:
    """A reaction holds until it is taken back, for each user and emoji by itself."""
    ann, bob = here.both()
    first = ann.say(here.room, "cake?")
    for person, emoji in ((bob, "🎂"), (bob, "+1"), (ann, "🎂")):
        person.publish(here.room, "reaction", ref=first, emoji=emoji, on=True)
    bob.publish(here.room, "reaction", ref=first, emoji="🎂", on=False)
    ann.hears(here.room, 5)
    assert view(ann.heard(here.room)).reactions == {(bob.user, 1, "+1"), (ann.user, 1, "🎂")}
    assert bob.refused(here.room, "reaction", ref=99, emoji="+1", on=True) == 423
    assert bob.refused(here.room, "reaction", ref=2, emoji="+1", on=True) == 423
    for wrong in ({"emoji": ""}, {"emoji": "a b"}, {"emoji": "x" * 33}, {"on": 1}, {"ref": 0}):
        said = {"ref": first, "emoji": "+1", "on": True, **wrong}
        assert bob.refused(here.room, "reaction", **said) == 107
    ann.publish(here.room, "delete", ref=first)
    assert bob.refused(here.room, "reaction", ref=first, emoji="+1", on=True) == 423


def test_typing(here: Here) -> None:
    """That somebody types, and does no longer, is told without a place."""
    ann, bob = here.both()
    for on in (True, False):
        ann.peer.call("publish", room=here.room, data={"type": "typing", "on": on})
    wanted = [{"type": "typing", "on": on} for on in (True, False)]
    assert [bob.peer.event("passing", n)["data"] for n in (1, 2)] == wanted
    wrong = {"type": "typing", "on": 1}
    assert ann.peer.refused("publish", room=here.room, data=wrong) == 107
    assert ann.head(here.room) == 0


@pytest.mark.parametrize("kind", ["deleted", "nick", "read", "topic"])
def test_of_the_server(here: Here, kind: str) -> None:
    """What only the server says is not taken from a client."""
    ann = here.come("ann")
    assert ann.peer.refused("publish", room=here.room, data={"type": kind, "text": "x"}) == 108


# 5: calls


def test_nick(here: Here) -> None:
    """A guest chooses a nick, unless it is somebody's, reserved or no nick."""
    ann, bob = here.both()
    renamed = f"eve-{here.room}"
    assert ann.peer.rpc("nick", nick=renamed) == {"nick": renamed}
    change = {"type": "nick", "user": ann.user, "from": ann.nick, "to": renamed}
    assert bob.peer.event("passing")["data"] == change
    assert ann.peer.rpc_refused("nick", nick=bob.nick.upper()) == 410
    for invalid in ("admin", "a b", "", "x" * 33):
        assert ann.peer.rpc_refused("nick", nick=invalid) == 411
    assert ann.peer.rpc_refused("nick", nick=1) == 107
    assert here.moderator().peer.rpc_refused("nick", nick="boss") == 103


def test_topic(here: Here) -> None:
    """A topic is a stored message, and stands in the list and in each answer to subscribe."""
    ann, bob = here.both()
    assert ann.peer.rpc("topic", room=here.room, topic="cakes") == {}
    heard = bob.hears(here.room, 1)
    assert heard["data"] == {"type": "topic", "text": "cakes"}
    assert heard["info"]["user"] == ann.user
    assert here.come("eve").peer.subscribe(here.room)["data"]["topic"] == "cakes"
    (row,) = (each for each in ann.peer.rpc("rooms") if each["room"] == here.room)
    assert row["topic"] == "cakes"
    for wrong in ("x" * 501, "two\nlines", 1):
        assert ann.peer.rpc_refused("topic", room=here.room, topic=wrong) == 107
    assert ann.peer.rpc_refused("topic", room="no room", topic="") == 412
    ann.peer.rpc("topic", room=here.room, topic="")
    assert "topic" not in here.come("kim").peer.subscribe(here.room)["data"]


def test_rooms(here: Here) -> None:
    """Rooms are listed with their members, their last offset and its time, the latest first."""
    ann, _ = here.both()
    before_ms = time.time_ns() // 1_000_000
    ann.say(f"{here.room}-old")
    ann.say(here.room)
    ann.say(here.room)
    listed = ann.peer.rpc("rooms")
    names = [each["room"] for each in listed]
    assert names.index(here.room) < names.index(f"{here.room}-old")
    row = listed[names.index(here.room)]
    assert abs(row.pop("time") - before_ms) < 60_000
    assert row == {"room": here.room, "members": 2, "offset": 2}


def test_read(here: Here) -> None:
    """What was read is told to the user's other clients, and kept."""
    ann, bob = here.both()
    other = come(here.sdk, here.daemon.web, resume=ann.about["resume"])
    assert other.user == ann.user
    for _ in range(3):
        bob.say(here.room)
    assert ann.peer.rpc("read", room=here.room, offset=2) == {}
    told(other, "read", room=here.room, offset=2)
    assert other.peer.subscribe(here.room)["data"]["read"] == 2
    ann.peer.rpc("read", room=here.room, offset=1)  # marks only move forward
    assert ann.peer.rpc("unread")[here.room]["read"] == 2
    ann.peer.rpc("read", room=here.room, offset=99)  # and not beyond the end
    assert ann.peer.rpc("unread")[here.room]["read"] == 3
    for wrong in (-1, "1", None, True):
        assert ann.peer.rpc_refused("read", room=here.room, offset=wrong) == 107
    assert ann.peer.rpc_refused("read", room="no room", offset=1) == 412


def test_unread(here: Here) -> None:
    """What others said since the mark is counted, and how often they named one."""
    ann, bob = here.both()
    first = bob.say(here.room, "read already")
    ann.peer.rpc("read", room=here.room, offset=first)
    ann.say(here.room, "one's own do not count")
    bob.say(here.room, f"hello @{ann.nick}!")
    gone = bob.say(here.room, f"@{ann.nick} again")
    bob.publish(here.room, "edit", ref=bob.say(here.room, "nothing"), text=f"oh @{ann.nick}")
    counts = ann.peer.rpc("unread")[here.room]
    assert counts == {"read": 1, "offset": 6, "unread": 3, "mentions": 3}
    bob.publish(here.room, "delete", ref=gone)
    counts = ann.peer.rpc("unread")[here.room]
    assert counts == {"read": 1, "offset": 7, "unread": 2, "mentions": 2}
    ann.peer.rpc("read", room=here.room, offset=7)
    counts = ann.peer.rpc("unread")[here.room]
    assert (counts["read"], counts.get("unread", 0), counts.get("mentions", 0)) == (7, 0, 0)


def test_search(here: Here) -> None:
    """Words are found in messages as they are now, narrowed and in pages."""
    ann, bob = here.both()
    word = f"rare{here.room.replace('-', '')}"
    for text in (f"{word} one", "nothing", f"two {word}", f"{word}less"):
        ann.say(here.room, text)
    bob.say(here.room, f"three {word}")
    ann.publish(here.room, "edit", ref=2, text=f"now {word} too")
    ann.publish(here.room, "delete", ref=1)

    def found(**words: object) -> list[int]:
        answer = ann.peer.rpc("search", room=here.room, text=word, **words)
        assert set(answer) == {"found", "more"}
        return [each["offset"] for each in answer["found"]]

    until(lambda: found() == [5, 4, 3, 2], "the index to have caught up")
    page = ann.peer.rpc("search", room=here.room, text=word, limit=2)
    assert (len(page["found"]), page["more"]) == (2, True)
    hit = page["found"][0]
    assert (hit["data"]["text"], hit["info"]["user"]) == (f"three {word}", bob.user)
    (edited,) = ann.peer.rpc("search", room=here.room, text=f"now {word}")["found"]
    assert (edited["offset"], edited["data"]["type"]) == (2, "edit")
    assert found(before=4) == [3, 2]
    assert found(user=bob.user) == [5]
    assert found(since=hit["time"] + 1) == []
    assert found(until=hit["time"] + 1) == [5, 4, 3, 2]
    assert sorted(found(rank=True)) == [2, 3, 4, 5]
    assert len(found(rank=True, skip=1)) == 3
    assert ann.peer.rpc("search", room=here.room, text=f'"two {word}"')["found"][0]["offset"] == 3
    for wrong in ({"text": ""}, {"text": "x" * 201}, {"limit": 0}, {"limit": 51}, {"text": "!?"}):
        said = {"room": here.room, "text": word, **wrong}
        assert ann.peer.rpc_refused("search", **said) == 107


def test_private(here: Here) -> None:
    """A private room is closed, by every command, to whoever is not a member."""
    ann, bob, eve = here.come("ann"), here.come("bob"), here.come("eve")
    assert ann.peer.rpc("private", room=here.room) == {}
    assert ann.peer.rpc("private", room=here.room) == {}  # done already
    ann.peer.subscribe(here.room)
    said = ann.say(here.room, "among us")
    assert bob.peer.kept_out(here.room) == 413
    assert bob.refused(here.room, "message", text="hello?") == 413
    assert bob.refused(here.room, "reaction", ref=said, emoji="+1", on=True) == 413
    typing = {"type": "typing", "on": True}
    assert bob.peer.refused("publish", room=here.room, data=typing) == 413
    for make in ("presence", "presence_stats"):
        assert bob.peer.refused(make, room=here.room) == 413
    assert bob.peer.refused("history", room=here.room, limit=1) == 413
    for method, more in (
        ("topic", {"topic": "ours"}),
        ("read", {"offset": 1}),
        ("search", {"text": "among"}),
        ("invite", {}),
        ("members", {}),
        ("private", {}),
        ("destroy", {}),
        ("kick", {"user": ann.user}),
        ("mute", {"user": ann.user, "seconds": 5}),
        ("slow", {"seconds": 5}),
    ):
        assert bob.peer.rpc_refused(method, room=here.room, **more) == 413, method
    # A moderator may act there, and does not read along uninvited.
    moderator = here.moderator()
    assert moderator.peer.kept_out(here.room) == 103
    for each in (eve, moderator):
        assert here.room not in [row["room"] for row in each.peer.rpc("rooms")]
        assert here.room not in each.peer.rpc("unread")
    (row,) = (each for each in ann.peer.rpc("rooms") if each["room"] == here.room)
    assert row["private"] is True
    until(lambda: ann.peer.rpc("search", room=here.room, text="among")["found"], "it is found")


def test_not_to_be_made_private(here: Here) -> None:
    """A room in which something was said is made private by a moderator, and by nobody else."""
    ann, bob = here.both()
    ann.say(here.room)
    assert ann.peer.rpc_refused("private", room=here.room) == 103
    moderator = here.moderator()
    moderator.peer.rpc("private", room=here.room)
    bob.say(here.room)  # whoever was in it is a member
    users = {each["user"] for each in moderator.peer.rpc("members", room=here.room)}
    assert users == {ann.user, bob.user, moderator.user}


def test_invite_and_join(here: Here) -> None:
    """An invite lets its holder in; members are listed, and may go."""
    ann, bob, eve = here.come("ann"), here.come("bob"), here.come("eve")
    ann.peer.rpc("private", room=here.room)
    invite = ann.peer.rpc("invite", room=here.room)
    assert invite["invite"] in invite["link"]
    assert bob.peer.rpc("join", invite=invite["invite"]) == {"room": here.room}
    bob.peer.subscribe(here.room)
    named = bob.peer.rpc("invite", room=here.room, user=eve.user)["invite"]
    assert here.come("kim").peer.rpc_refused("join", invite=named) == 413
    eve.peer.rpc("join", invite=named)
    listed = ann.peer.rpc("members", room=here.room)
    members = {each["user"]: each.get("owner", False) for each in listed}
    assert members == {ann.user: True, bob.user: False, eve.user: False}
    assert bob.peer.rpc("leave", room=here.room) == {}
    assert bob.peer.event("unsubscribed")["code"] == 2000
    assert ann.peer.rpc_refused("leave", room=here.room) == 103  # it is hers
    assert bob.refused(here.room, "message", text="still here?") == 413
    for wrong in ("", "nothing", invite["invite"].replace(".", ".A", 1)):
        assert bob.peer.rpc_refused("join", invite=wrong) == 107
    # Who was removed makes the invites void.
    ann.peer.rpc("kick", room=here.room, user=eve.user, seconds=1)
    assert here.come("zoe").peer.rpc_refused("join", invite=invite["invite"]) == 413
    for method in ("invite", "members"):
        assert ann.peer.rpc_refused(method, room=f"{here.room}-public") == 108


def test_direct(here: Here) -> None:
    """Two users have a room of their own, which nobody else sees."""
    ann, bob, eve = here.come("ann"), here.come("bob"), here.come("eve")
    name = "@{}:{}".format(*sorted((ann.user, bob.user)))
    assert ann.peer.rpc("direct", user=bob.user) == {"room": name}
    told(bob, "direct", room=name, user=ann.user, nick=ann.nick)
    for each in (ann, bob):
        each.peer.subscribe(name)
    ann.say(name, "between us")
    assert bob.hears(name, 1)["data"]["text"] == "between us"
    assert bob.peer.rpc("unread")[name]["unread"] == 1
    assert name in [row["room"] for row in bob.peer.rpc("rooms")]
    for each in (eve, here.moderator()):
        assert each.peer.kept_out(name) == 413
        assert each.refused(name, "message", text="me too") == 413
        assert each.peer.refused("history", room=name, limit=1) == 413
        assert name not in [row["room"] for row in each.peer.rpc("rooms")]
    for method, more in (
        ("invite", {}),
        ("members", {}),
        ("destroy", {}),
        ("private", {}),
        ("kick", {"user": bob.user}),
    ):
        assert ann.peer.rpc_refused(method, room=name, **more) == 108, method
    assert ann.peer.rpc_refused("direct", user="nobody-at-all") == 424
    assert ann.peer.rpc_refused("direct", user="a b") == 107
    assert ann.peer.rpc_refused("direct", user=ann.user) == 107


def test_destroy(here: Here) -> None:
    """A destroyed room puts everybody out, and what was said in it is gone."""
    ann, bob = here.both()
    ann.say(here.room, "soon gone")
    ann.peer.rpc("topic", room=here.room, topic="the end")
    assert ann.peer.rpc_refused("destroy", room=here.room) == 103
    assert here.moderator().peer.rpc("destroy", room=here.room) == {}
    for each in (ann, bob):
        assert each.peer.event("unsubscribed")["code"] == 2000
    again = bob.peer.subscribe(here.room)
    assert "topic" not in again["data"]
    assert bob.history(here.room) == []
    own = f"{here.room}-own"
    ann.peer.rpc("private", room=own)
    assert bob.peer.rpc_refused("destroy", room=own) == 413
    assert ann.peer.rpc("destroy", room=own) == {}
    bob.say(own, "it is anybody's now")


def test_kick(here: Here) -> None:
    """Who is kicked from a room is out at once, and may come back when it is over."""
    ann, bob = here.both()
    moderator = here.moderator()
    assert ann.peer.rpc_refused("kick", room=here.room, user=bob.user) == 103
    assert moderator.peer.rpc("kick", room=here.room, user=bob.user, seconds=2) == {}
    ended = bob.peer.event("unsubscribed")
    assert (ended["code"], ended["reason"]) == (2000, "removed")
    ann.say(here.room, "not for bob")
    assert bob.peer.kept_out(here.room) == 431
    assert bob.refused(here.room, "message", text="hello?") == 431
    assert bob.heard(here.room) == []
    assert moderator.peer.rpc_refused("kick", room=here.room, user=moderator.user) == 107
    assert moderator.peer.rpc_refused("kick", room=here.room, user="not-there") == 424
    for wrong in ({"seconds": -1}, {"seconds": "1"}, {"user": "a b"}):
        said = {"room": here.room, "user": ann.user, **wrong}
        assert moderator.peer.rpc_refused("kick", **said) == 107

    def is_back() -> bool:
        try:
            bob.peer.call("history", room=here.room, limit=0)
        except RefusedError:
            return False
        return True

    until(is_back, "the end of the kick")
    bob.peer.subscribe(here.room)


def test_kick_from_the_server(here: Here) -> None:
    """Who is kicked from the server is closed with 3503, and its SDK does not come back."""
    ann, bob = here.both()
    assert ann.peer.rpc_refused("kick", user=bob.user) == 103
    here.moderator().peer.rpc("kick", user=bob.user)
    assert bob.peer.event("disconnected")["code"] == 3503
    assert len(bob.peer.events("connected")) == 1


def test_mute(here: Here) -> None:
    """Who is muted reads and says nothing; 0 seconds end it."""
    ann, bob = here.both()
    said = bob.say(here.room)
    moderator = here.moderator()
    assert ann.peer.rpc_refused("mute", room=here.room, user=bob.user, seconds=60) == 103
    assert moderator.peer.rpc("mute", room=here.room, user=bob.user, seconds=60) == {}
    assert bob.refused(here.room, "message", text="mpf") == 430
    assert bob.refused(here.room, "edit", ref=said, text="mpf") == 430
    assert bob.refused(here.room, "reaction", ref=said, emoji="+1", on=True) == 430
    typing = {"type": "typing", "on": True}
    assert bob.peer.refused("publish", room=here.room, data=typing) == 430
    assert bob.peer.refused("publish", room=here.room, data="any value") == 430
    assert bob.peer.rpc_refused("topic", room=here.room, topic="mpf") == 430
    ann.say(here.room, "quiet")
    assert bob.hears(here.room, 2)["data"]["text"] == "quiet"
    bob.say(f"{here.room}-elsewhere")
    moderator.peer.rpc("mute", room=here.room, user=bob.user, seconds=0)
    bob.say(here.room, "at last")
    for wrong in ({"seconds": -1}, {"seconds": None}, {"user": ""}):
        data = {"room": here.room, "user": bob.user, "seconds": 1, **wrong}
        assert moderator.peer.rpc_refused("mute", **data) == 107


def test_slow(here: Here) -> None:
    """In a slow room each user says one message in so many seconds; a moderator any number."""
    ann, bob = here.both()
    moderator = here.moderator()
    assert ann.peer.rpc_refused("slow", room=here.room, seconds=60) == 103
    assert moderator.peer.rpc("slow", room=here.room, seconds=60) == {}
    ann.say(here.room, "one")
    assert ann.refused(here.room, "message", text="two") == 432
    bob.say(here.room, "mine")
    for _ in range(2):
        moderator.say(here.room, "slowly")
    moderator.peer.rpc("slow", room=here.room, seconds=0)
    ann.say(here.room, "two")
    assert moderator.peer.rpc_refused("slow", room=here.room, seconds=-1) == 107


def test_ban(here: Here) -> None:
    """Who is banned is closed with 3503 and not let in again, until it is over."""
    ann, bob = here.both()
    moderator = here.moderator()
    for method, more in (("ban", {"seconds": 60}), ("unban", {}), ("whois", {})):
        assert ann.peer.rpc_refused(method, user=bob.user, **more) == 103
    assert moderator.peer.rpc("ban", user=bob.user, seconds=60) == {}
    assert bob.peer.event("disconnected")["code"] == 3503
    assert bob.peer.turned_away() == 431
    with JsonClient(here.daemon.ws) as other, pytest.raises(RefusedError) as refused:
        other.connect(resume=bob.about["resume"])
    assert refused.value.code == 431
    assert moderator.peer.rpc("unban", user=bob.user) == {}
    bob.peer.connect()
    for wrong in ({"seconds": 0}, {"seconds": "1"}, {"seconds": 400_000_000}, {"user": "a b"}):
        said = {"user": bob.user, "seconds": 1, **wrong}
        assert moderator.peer.rpc_refused("ban", **said) == 107
    assert moderator.peer.rpc_refused("ban", user=moderator.user, seconds=1) == 107


def test_ban_address(here: Here) -> None:
    """An address or a network is banned, but not this machine's."""
    moderator = here.moderator()
    for address in ("203.0.113.7", "2001:db8::/48"):
        assert moderator.peer.rpc("ban", address=address, seconds=60) == {}
        assert moderator.peer.rpc("unban", address=address) == {}
    for address in ("127.0.0.1", "::1", "127.0.0.0/8", "0.0.0.0/0", "no address", ""):
        assert moderator.peer.rpc_refused("ban", address=address, seconds=60) == 107, address


def test_whois(here: Here) -> None:
    """A moderator sees by which connections somebody is here, and where."""
    ann, _ = here.both()
    answer = here.moderator().peer.rpc("whois", user=ann.user)
    (session,) = answer.pop("sessions")
    assert answer == {"user": ann.user, "nick": ann.nick}
    assert session == {
        "client": ann.peer.events("connected")[0]["id"],
        "address": "127.0.0.1",
        "rooms": [here.room],
    }
    assert here.moderator().peer.rpc_refused("whois", user="nobody-at-all") == 424


def test_audit(here: Here) -> None:
    """What a moderator did is told by `chatd audit`, and to nobody over the wire."""
    ann, bob = here.both()
    moderator = here.moderator()
    moderator.peer.rpc("mute", room=here.room, user=bob.user, seconds=60)
    told = [line for line in chatd(here.daemon.folder, "audit").splitlines() if here.room in line]
    (line,) = told
    for word in ("mute", bob.user, "mod"):
        assert word in line
    for each in (ann, moderator):
        assert each.peer.refused("history", room="!audit", limit=1) == 412


# 6: people


def test_guests(here: Here) -> None:
    """A guest is given an id, the nick asked for if it is free, and a token to come back with."""
    ann = here.come("ann")
    assert ann.nick == f"ann-{here.room}"
    assert "moderator" not in ann.about
    assert here.come("ann").nick == f"ann-{here.room}-2"
    again = come(here.sdk, here.daemon.web, "another", resume=ann.about["resume"])
    assert (again.user, again.nick) == (ann.user, ann.nick)
    strange = come(here.sdk, here.daemon.web, resume="not.one.of-ours")
    assert strange.user != ann.user
    invalid = here.sdk.peer(here.daemon.ws, nick="admin")
    assert invalid.turned_away() == 411


def test_room_names(here: Here) -> None:
    """A room's name is the same in upper and lower case; the server's own are nobody's."""
    ann = here.come("ann")
    ann.say(here.room.upper())
    assert ann.head(here.room) == 1
    for invalid in ("", "a b", "x" * 101, "@ann", "@b:a", "!audit"):
        assert ann.refused(invalid, "message", text="hello") == 412, invalid
    others = "@{}:{}".format(*sorted(("0" * 16, "1" * 16)))
    assert ann.refused(others, "message", text="hello") == 413


@pytest.mark.parametrize("token", ["not.a.token", "x", jwt(SECRET, sub="ann")])
def test_invalid_token(here: Here, token: str) -> None:
    """A token that nobody vouches for ends the client for good."""
    assert here.sdk.peer(here.daemon.ws, token=token).turned_away() == 3500


def test_one_time_link(here: Here) -> None:
    """The link of `chatd token --moderator` makes one moderator, once."""
    printed = chatd(here.daemon.folder, "token", "--moderator", "--nick", f"boss-{here.room}")
    code = link_code(printed)
    signed = login(here.daemon.web, code=code)
    assert signed.body["expires_in"] == 30 * 24 * 3600
    boss = come(here.sdk, here.daemon.ws, token=signed.token)
    assert (boss.nick, boss.about["moderator"]) == (f"boss-{here.room}", True)
    assert login(here.daemon.web, code=code).status == 401
    assert login(here.daemon.web, code=code[:-1]).status == 401


# 6: with [auth]


@contextmanager
def signing_in(**env: str) -> Iterator[Daemon]:
    """A daemon into which one signs in."""
    with running(
        "--greeter",
        env={
            **FAST,
            "CHATD_LIMITS_GRACE_S": "1",
            "CHATD_AUTH_USERS": "yes",
            "CHATD_AUTH_PLAIN_ROOMS": "square",
            **env,
        },
    ) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon with keys, accounts and a plain room."""
    key = tmp_path_factory.mktemp("keys") / "hs.key"
    key.write_bytes(SECRET)
    key.chmod(0o600)
    with signing_in(CHATD_AUTH_KEYS=f"HS256:{key}") as daemon:
        yield daemon


def test_signed_in(signed: Daemon, sdk: Sdk, room: str) -> None:
    """A token says who somebody is, what they are called and whether they moderate."""
    ann = come(sdk, signed.ws, token=jwt(SECRET, sub=f"ann@{room}", info={"nick": f"ann-{room}"}))
    assert (ann.user, ann.nick) == (f"ann@{room}", f"ann-{room}")
    assert "moderator" not in ann.about
    mod = come(sdk, signed.ws, token=jwt(SECRET, sub=f"mod-{room}", moderator=True))
    assert (mod.about["moderator"], mod.nick) == (True, f"mod-{room}")
    ann.peer.subscribe(room)
    ann.say(room, "hello")
    assert ann.hears(room, 1)["info"]["user"] == f"ann@{room}"
    mod.peer.rpc("kick", room=room, user=ann.user)
    assert ann.peer.event("unsubscribed")["code"] == 2000
    assert ann.peer.rpc_refused("nick", nick="somebody") == 103


def test_rooms_claim(signed: Daemon, sdk: Sdk, room: str) -> None:
    """The claim `rooms` names the only rooms somebody may use, private ones too."""
    den, other = f"{room}-den", f"{room}-other"
    ann = come(sdk, signed.ws, token=jwt(SECRET, sub=f"ann-{room}"))
    ann.peer.rpc("private", room=den)
    bob = come(sdk, signed.ws, token=jwt(SECRET, sub=f"bob-{room}", rooms=[den.upper()]))
    bob.peer.subscribe(den)
    ann.say(den, "come in")
    assert bob.hears(den, 1)["data"]["text"] == "come in"
    assert bob.peer.kept_out(other) == 413
    assert bob.refused(other, "message", text="hello") == 413
    name = bob.peer.rpc("direct", user=ann.user)["room"]
    bob.say(name, "of one's own, always")


def test_sign_in_first(signed: Daemon, sdk: Sdk) -> None:
    """Without a token there is error 440, a bad one closes with 3500; neither is tried again."""
    assert sdk.peer(signed.ws, nick="ann").turned_away() == 440
    assert sdk.peer(signed.ws, token=jwt(b"x" * 32, sub="ann")).turned_away() == 3500
    unsigned = jwt(SECRET, sub="ann").rpartition(".")[0] + "."
    assert sdk.peer(signed.ws, token=unsigned).turned_away() == 3500


def test_expired(signed: Daemon, sdk: Sdk, room: str) -> None:
    """An expired token is error 109: an SDK that can get another one does."""
    old = jwt(SECRET, -60, sub=f"ann-{room}")
    fresh = jwt(SECRET, sub=f"ann-{room}")
    ann = come(sdk, signed.ws, token=old, tokens=[fresh])
    assert ann.user == f"ann-{room}"
    bob = sdk.peer(signed.ws, token=old)
    assert bob.turned_away() == 1  # the SDK's own: it has no other token


def test_refresh(signed: Daemon, sdk: Sdk, room: str) -> None:
    """An SDK shows a newer token in time and stays; with an old one it is closed with 3005."""
    tokens = [jwt(SECRET, ttl_s, sub=f"ann-{room}") for ttl_s in (1, 3600)]
    ann = come(sdk, signed.ws, token=tokens[0], tokens=tokens[1:])
    tokens = [jwt(SECRET, ttl_s, sub=f"bob-{room}") for ttl_s in (1, -60, 3600)]
    bob = come(sdk, signed.ws, token=tokens[0], tokens=tokens[1:])
    assert bob.peer.event("connecting", 2)["code"] == 3005
    bob.peer.event("connected", 2)  # it came back and got another one
    ann.say(room, "still here")
    assert len(ann.peer.events("connected")) == 1


def test_refresh_of_another(signed: Daemon) -> None:
    """A token of somebody else is no refresh: error 101. How long one is good is told."""
    with JsonClient(signed.ws) as client:
        result = client.connect(token=jwt(SECRET, sub="kim"))
        assert (result["expires"], 0 < result["ttl"] <= 3600) == (True, True)
        answer = client.call("refresh", {"token": jwt(SECRET, 60, sub="kim")})
        assert (answer["expires"], 0 < answer["ttl"] <= 60) == (True, True)
        with pytest.raises(RefusedError) as refused:
            client.call("refresh", {"token": jwt(SECRET, sub="zoe")})
        assert refused.value.code == 101


def test_accounts(signed: Daemon, sdk: Sdk, room: str) -> None:
    """An account is made, signed in with, given another password and removed, while chatd runs."""
    name = f"Ann-{room}"
    chatd(signed.folder, "user", "add", name, stdin=f"{PASSWORD}\n")
    assert login(signed.web, user=name, password="wrong").status == 401
    assert login(signed.web, user=f"nobody-{room}", password=PASSWORD).status == 401
    first = login(signed.web, user=name, password=PASSWORD)
    ann = come(sdk, signed.ws, token=first.token)
    assert (ann.user, ann.nick) == (name.lower(), name)
    ann.say(room, "signed in")
    chatd(signed.folder, "user", "passwd", name, stdin=f"{PASSWORD}!\n")
    assert login(signed.web, user=name, password=PASSWORD).status == 401
    again = login(signed.web, user=name, password=f"{PASSWORD}!")
    assert come(sdk, signed.ws, token=again.token).user == ann.user
    chatd(signed.folder, "user", "remove", name)
    assert login(signed.web, user=name, password=f"{PASSWORD}!").status == 401
    audit = chatd(signed.folder, "audit")
    for action in ("user add", "user passwd", "user remove"):
        assert any(action in line and name.lower() in line for line in audit.splitlines()), audit


def test_login_throttle(signed: Daemon) -> None:
    """Who tries too many passwords waits, and is told how long."""
    answers = [login(signed.web, user="guess", password=f"no {n}") for n in range(11)]
    assert answers[-1].status == 429
    assert 0 < int(answers[-1].headers["retry-after"]) <= 60


def test_plain_rooms(signed: Daemon, sdk: Sdk) -> None:
    """The plain door leads only to the rooms for it, the greeter nowhere; there one is a guest."""
    upgrade = upgrade_headers("localhost")
    for path in ("/", "/plain", "/?room=elsewhere", "/greeter"):
        assert request(signed.ws, path, upgrade).status == 403, path
    ann = come(sdk, signed.ws, token=jwt(SECRET, sub="plain-ann"))
    ann.peer.subscribe("square")
    plain = Client(signed.ws, "/?room=square&nick=bob")
    try:
        assert plain.read_text() == "connected to WebSocket server"
        before = ann.head("square")
        plain.say("hello")
        heard = ann.hears("square", before + 1)
    finally:
        plain.socket.close()
    assert (heard["data"]["text"], heard["info"]["info"]["nick"]) == ("hello", "guest-bob")
