"""An evening in a chat: two people, a moderator and a troll, by both SDKs, with one crash."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial

from tests.support.client import Client
from tests.support.daemon import until
from tests.support.jsonline import RefusedError
from tests.support.link import Link
from tests.support.lives import Lives, lives
from tests.support.sdks import Peer, Sdk
from tests.support.talk import Person, chatd, come, link_code, login, view

ACTIONS = ("slow", "slow", "mute", "delete", "mute", "kick", "ban", "ban", "destroy")

TAVERN, CELLAR, LAIR = "tavern", "cellar", "lair"

LIMITS = {
    "CHATD_LIMITS_PUBLISH_PER_S": "10",
    "CHATD_LIMITS_PUBLISH_BURST": "30",
    "CHATD_LIMITS_GRACE_S": "5",
}


def test_evening(started: Callable[[str], Sdk]) -> None:
    """Whatever happens, everybody ends with the same view as the log, and the book tells it."""
    javascript, python = started("javascript"), started("python")
    with lives(LIMITS) as server, a_line(server) as link:
        ann = come(javascript, server.ws, "ann")
        bob = come(python, link.port, "bob")
        tim = come(python, server.web, "tim")
        printed = chatd(server.folder, "token", "--moderator", "--nick", "mod")
        mod = come(javascript, server.web, token=login(server.web, code=link_code(printed)).token)
        everybody = (ann, bob, tim, mod)
        for each in everybody:
            each.peer.subscribe(TAVERN)

        greeting = talk(ann, bob)
        rooms_of_their_own(ann, bob, tim, server)
        away(ann, bob, link)
        crash(server, link, everybody)
        found(bob)
        troll(tim, ann, mod, greeting)
        removed(tim, ann, mod)
        the_end(ann, bob, tim, mod, server)


@contextmanager
def a_line(server: Lives) -> Iterator[Link]:
    """A line to the server that can be cut."""
    link = Link(server.ws, 10_000_000)
    try:
        yield link
    finally:
        link.end()


def talk(ann: Person, bob: Person) -> int:
    """They greet, answer, mend, react, take back, type, and say what it is about."""
    greeting = ann.say(TAVERN, "good evning")
    bob.publish(TAVERN, "message", text="and to you", reply_to=greeting)
    ann.publish(TAVERN, "edit", ref=greeting, text="good evening")
    bob.publish(TAVERN, "reaction", ref=greeting, emoji="🍺", on=True)
    bob.publish(TAVERN, "reaction", ref=greeting, emoji="👋", on=True)
    bob.publish(TAVERN, "reaction", ref=greeting, emoji="👋", on=False)
    regretted = bob.say(TAVERN, "I have never liked ale")
    bob.publish(TAVERN, "delete", ref=regretted)
    bob.peer.call("publish", room=TAVERN, data={"type": "typing", "on": True})
    assert ann.peer.event("passing")["data"] == {"type": "typing", "on": True}
    ann.peer.rpc("topic", room=TAVERN, topic="ale and pies")
    bob.hears(TAVERN, ann.head(TAVERN))
    seen = view(bob.heard(TAVERN))
    assert list(seen.texts.values()) == ["good evening", "and to you"]
    assert seen.reactions == {(bob.user, greeting, "🍺")}
    assert seen.topic == "ale and pies"
    return greeting


def rooms_of_their_own(ann: Person, bob: Person, tim: Person, server: Lives) -> None:
    """A private room by invite, and one of two; somebody else gets into neither, by no door."""
    ann.peer.rpc("private", room=CELLAR)
    ann.peer.subscribe(CELLAR)
    bob.peer.rpc("join", invite=ann.peer.rpc("invite", room=CELLAR)["invite"])
    bob.peer.subscribe(CELLAR)
    ann.say(CELLAR, "the treasure lies under the third barrel")
    direct = ann.peer.rpc("direct", user=bob.user)["room"]
    for each in (ann, bob):
        each.peer.subscribe(direct)
    bob.say(direct, "which one is the third?")
    ann.hears(direct, 1)
    bob.hears(CELLAR, 1)
    for room in (CELLAR, direct):
        assert tim.peer.kept_out(room) == 413
        assert tim.peer.refused("history", room=room, limit=10) == 413
        assert room not in [row["room"] for row in tim.peer.rpc("rooms")]
    plain = Client(server.ws, f"/?room={CELLAR}")
    with closing(plain.socket):
        assert plain.read_close() == (1008, "room is private")


def away(ann: Person, bob: Person, link: Link) -> None:
    """Who was away comes back to what they missed, and it is counted."""
    bob.peer.rpc("read", room=TAVERN, offset=bob.head(TAVERN))
    link.down()
    bob.peer.event("connecting", 2)
    ann.say(TAVERN, "is @bob asleep?")
    slip = ann.say(TAVERN, "@bob owes me a pie")
    other = ann.say(TAVERN, "somebody owes me a pie")
    ann.publish(TAVERN, "edit", ref=other, text="@BOB owes me two pies")
    ann.publish(TAVERN, "delete", ref=slip)
    link.up()
    bob.peer.event("connected", 2)
    bob.hears(TAVERN, ann.head(TAVERN))
    counts = bob.peer.rpc("unread")[TAVERN]
    assert (counts["unread"], counts["mentions"]) == (2, 2)
    bob.peer.rpc("read", room=TAVERN, offset=counts["offset"])
    counts = bob.peer.rpc("unread")[TAVERN]
    assert (counts["unread"], counts["mentions"]) == (0, 0)


def crash(server: Lives, link: Link, everybody: tuple[Person, ...]) -> None:
    """The daemon is killed; everybody is back by themselves, with everything."""
    before = {each.user: len(each.peer.events("connected")) for each in everybody}
    link.down()
    server.restart(Lives.kill)
    link.up()
    for each in everybody:
        about = each.peer.event("connected", before[each.user] + 1)["data"]
        assert (about["user"], about["nick"]) == (each.user, each.nick)
    for each in everybody:
        until(partial(is_in, each, TAVERN), f"{each.nick} is back in the room")


def is_in(person: Person, room: str) -> bool:
    """Whether somebody is in a room now."""
    present = [each["user"] for each in person.peer.call("presence", room=room)]
    return person.user in present


def found(bob: Person) -> None:
    """What was said before is found, where one may read."""

    def offsets(room: str, text: str) -> list[int]:
        hits = bob.peer.rpc("search", room=room, text=text)["found"]
        return [each["offset"] for each in hits]

    until(lambda: offsets(CELLAR, "treasure barrel"), "the treasure")
    until(lambda: len(offsets(TAVERN, "pies")) == 1, "the pies, as last edited")
    assert offsets(TAVERN, "liked") == []


def troll(tim: Person, ann: Person, mod: Person, greeting: int) -> None:
    """Somebody floods, and is slowed down, told off and muted; nothing of others' is theirs."""
    assert tim.refused(TAVERN, "edit", ref=greeting, text="good riddance") == 421
    assert tim.refused(TAVERN, "delete", ref=greeting) == 421
    refused = flood(tim.peer, 100)
    assert 111 in refused, refused
    until(lambda: is_in(tim, TAVERN), "tim is back")
    assert tim.peer.events("connecting")[-1]["code"] == 3013
    assert tim.peer.rpc_refused("slow", room=TAVERN, seconds=60) == 103
    mod.peer.rpc("slow", room=TAVERN, seconds=60)
    tim.publish(TAVERN, "message", text="one")
    assert tim.refused(TAVERN, "message", text="two") == 432
    mod.peer.rpc("slow", room=TAVERN, seconds=0)
    mod.peer.rpc("mute", room=TAVERN, user=tim.user, seconds=3600)
    assert tim.refused(TAVERN, "message", text="you cannot") == 430
    mod.publish(TAVERN, "delete", ref=tim.head(TAVERN))
    ann.say(TAVERN, "peace at last")


def flood(peer: Peer, count: int) -> list[int]:
    """Have somebody say much at once; returns the codes of what was refused."""
    numbers = [
        peer.sdk.put(
            "publish",
            peer.name,
            {"room": TAVERN, "data": {"type": "message", "id": f"flood-{number}", "text": "ha"}},
        )
        for number in range(count)
    ]
    codes = []
    for number in numbers:
        try:
            peer.sdk.answer(number)
        except RefusedError as error:
            codes.append(error.code)
    return codes


def removed(tim: Person, ann: Person, mod: Person) -> None:
    """They are kicked, come back, are banned, and what was theirs is gone."""
    mod.peer.rpc("mute", room=TAVERN, user=tim.user, seconds=0)
    tim.say(LAIR, "a room of mine")
    number = len(tim.peer.events("unsubscribed")) + 1
    mod.peer.rpc("kick", room=TAVERN, user=tim.user, seconds=1)
    assert tim.peer.event("unsubscribed", number)["code"] == 2000
    assert tim.refused(TAVERN, "message", text="let me in") == 431
    until(lambda: not is_kept_out(tim), "the end of the kick")
    tim.peer.subscribe(TAVERN)
    tim.say(TAVERN, "back again")
    mod.peer.rpc("ban", user=tim.user, seconds=3600)
    assert tim.peer.event("disconnected")["code"] == 3503
    assert tim.peer.turned_away() == 431
    # This machine's own address cannot be banned: everybody is here.
    assert mod.peer.rpc_refused("ban", address="127.0.0.1", seconds=3600) == 107
    mod.peer.rpc("ban", address="203.0.113.7", seconds=3600)
    mod.peer.rpc("destroy", room=LAIR)
    assert ann.history(LAIR) == []


def is_kept_out(person: Person) -> bool:
    """Whether somebody may not enter the tavern."""
    try:
        person.peer.call("history", room=TAVERN, limit=0)
    except RefusedError as error:
        assert error.code == 431
        return True
    return False


def the_end(ann: Person, bob: Person, tim: Person, mod: Person, server: Lives) -> None:
    """All see the same, the counts are right, and it is known who did what."""
    head = ann.head(TAVERN)
    for each in (ann, bob, mod):
        each.hears(TAVERN, head)
    log = view(ann.history(TAVERN))
    assert "back again" in log.texts.values() and "good evening" in log.texts.values()
    for each in (ann, bob, mod):
        assert view(each.heard(TAVERN)) == log, each.nick
    for each in (ann, bob):
        assert view(each.heard(CELLAR)) == view(each.history(CELLAR))
    assert ann.peer.call("presence_stats", room=TAVERN)["users"] == 3
    for each in (ann, bob):
        each.peer.rpc("read", room=TAVERN, offset=head - 1)
        counts = each.peer.rpc("unread")[TAVERN]
        assert (counts["read"], counts["offset"], counts["unread"]) == (head - 1, head, 1)
    told = [json.loads(line) for line in chatd(server.folder, "audit", "--json").splitlines()]
    done = [each["action"] for each in told if each["nick"] == mod.nick]
    assert [each for each in done if each in ACTIONS] == list(ACTIONS), told
    ban = next(each for each in told if each["action"] == "ban")
    assert (ban["by"], ban["user"], ban["seconds"]) == (mod.user, tim.user, 3600)
