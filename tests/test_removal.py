"""Taking somebody out: of a room, or off the server."""

from __future__ import annotations

from chatd.core.commands import Enter, Ping, Presence, Publish, Since
from chatd.core.events import compact
from chatd.core.removal import clear, disconnect, end, expel, remove
from chatd.core.wheel import TICK_S
from chatd.errors import BANNED, KICKED
from chatd.wire.plain import Plain
from tests.support.people import PeopleCase, Person, past, said, to

GONE = {"code": 2000, "reason": "removed"}


class RemovalCase(PeopleCase):
    def remove(self, person: Person, room: str = "lobby") -> None:
        """Take somebody out of a room, to come back no more."""
        self.room(room).charter.apply({f"out:{person.user}": "99999999"})
        remove(self.node, person.user, room, KICKED)

    def assertNoMore(self, person: Person, *rooms: str) -> None:
        """Nothing that is said in some rooms reaches somebody, however long they wait."""
        before = len(person.peer.writes)
        for room in rooms or ("lobby",):
            self.say(3, room)
        person.drain()
        self.advance(1)
        self.assertEqual(person.peer.writes[before:], [])


class ExpelTests(RemovalCase):
    """Out of a room."""

    def test_live(self) -> None:
        """Who is live is told that it is for good, and gets not one more frame of the room."""
        ann = self.guest("ann", "lobby", "other")
        self.remove(ann)
        self.settle()
        self.assertEqual(ann.pushes("unsubscribe"), [GONE])
        self.assertNoMore(ann)
        self.say(1, "other")
        self.assertEqual(ann.offsets("other"), [1])
        self.assertLive(ann)

    def test_spelling(self) -> None:
        """They are told the room's name as they spelled it."""
        ann = self.guest("ann", "LobbY")
        self.remove(ann)
        self.assertEqual(ann.pushes("unsubscribe", "LobbY"), [GONE])

    def test_all_sessions(self) -> None:
        """All sessions of the user are taken out, on both doors, and nobody else's."""
        ann, bob = self.guest("ann", "lobby"), self.guest("bob", "lobby")
        twins = [self.guest(None, "lobby", resume=self.resume(ann)) for _ in range(4)]
        self.remove(ann)
        self.settle()
        for each in (ann, *twins):
            self.assertEqual(each.pushes("unsubscribe"), [GONE])
            self.assertNoMore(each)
        self.assertEqual(bob.pushes("unsubscribe"), [])
        self.assertEqual(self.present(), ["bob"])

    def test_plain(self) -> None:
        """A plain connection, whose room is all there is, is closed."""
        ann, bob = self.plain(nick="ann"), self.plain(nick="bob")
        self.remove(ann)
        self.settle()
        self.assertEqual(ann.close, KICKED)
        self.assertEqual(ann.close and ann.close.code, 1008)
        self.assertIsNone(bob.close)
        self.assertEqual(self.present(), ["bob"])
        self.assertNoMore(ann)
        ann.lost()  # as its door says then, once more

    def test_plain_entering(self) -> None:
        """So is one that is about to enter, and one in another room is not."""
        elsewhere = self.plain("other", "bob")
        ann = self.arrive(Plain(False))
        ann.begin(Enter(None, "ann"))
        expel(ann.session, "lobby", KICKED)
        expel(elsewhere.session, "lobby", KICKED)
        self.settle()
        self.assertEqual(ann.close, KICKED)
        self.assertEqual(ann.heard, [])
        self.assertIsNone(elsewhere.close)

    def test_not_there(self) -> None:
        """Who is not in it is told nothing; a room that nobody needs is no matter."""
        ann = self.guest("ann", "other")
        remove(self.node, ann.user, "lobby", KICKED)
        remove(self.node, "nobody", "other", KICKED)
        self.settle()
        self.assertEqual(ann.pushes("unsubscribe", "other"), [])
        self.assertEqual(self.present("other"), ["ann"])

    def test_lagging(self) -> None:
        """Who lags is told when they read again, and what they missed does not follow."""
        ann = self.guest("ann", "lobby")
        ann.peer.pause()
        self.say(300)
        self.assertTrue(ann.outbox.behind)
        self.remove(ann)
        self.say(10)
        ann.drain()
        self.settle()
        self.assertEqual(ann.offsets(), [])
        self.assertEqual(ann.pushes("unsubscribe"), [GONE])
        self.assertNoMore(ann)

    def test_fed(self) -> None:
        """Who is being fed from the log gets not one more frame after they are told."""
        self.say(600, size=400)
        ann = self.guest("ann", pause_after=60_000)
        epoch = ann.ask(to("lobby"))["epoch"]
        self.assertIsNotNone(epoch)
        bob = self.guest("bob", pause_after=60_000)
        bob.begin(to("lobby", since=Since(epoch, 0)))
        self.settle()
        bob.drain()
        self.settle()
        self.assertTrue(bob.outbox.behind)
        self.assertTrue(0 < len(bob.offsets()) < 600)
        bob.drain()  # asks for the next block ...
        self.remove(bob)  # ... which is not there yet
        for _ in range(20):
            self.settle()
            bob.drain()
        self.assertIn("unsubscribe", bob.told[-1]["push"])
        self.assertLess(len(bob.offsets()), 600)
        self.assertNoMore(bob)
        self.assertFalse(bob.outbox.behind)

    def test_awaited(self) -> None:
        """Who is only awaited is present no longer, at once."""
        ann, bob = self.guest("ann", "lobby"), self.guest("bob", "lobby", join_leave=True)
        user = ann.user
        ann.lost()
        self.assertEqual(self.present(), ["ann", "bob"])
        remove(self.node, user, "lobby", KICKED)
        self.settle()
        self.assertEqual(self.present(), ["bob"])
        self.assertEqual(len(bob.pushes("leave")), 1)

    def test_page(self) -> None:
        """A page that is being read for them is not shown."""
        self.say(20)
        ann = self.guest("ann", "lobby")
        ann.begin(past(10))
        self.assertNotIn(6, ann.replies)
        self.remove(ann)
        self.settle()
        self.assertEqual(ann.replies[6]["error"]["code"], BANNED.code)

    def test_list(self) -> None:
        """Nor is who is there."""
        ann = self.guest("ann", "lobby")
        ann.begin(Presence(6, "lobby"))
        self.remove(ann)
        self.settle()
        self.assertEqual(ann.replies[6]["error"]["code"], BANNED.code)

    def test_place(self) -> None:
        """Nor do they come in from a place that is being looked for."""
        bob = self.guest("bob", "lobby")
        ann = self.guest("ann")
        ann.begin(to("lobby", since=Since(self.room().epoch, 0)))
        self.room().charter.apply({f"out:{ann.user}": "99999999"})
        remove(self.node, ann.user, "lobby", KICKED)
        self.settle()
        self.assertEqual(ann.replies[5]["error"]["code"], BANNED.code)
        self.assertEqual(self.present(), ["bob"])
        self.assertLive(bob)

    def test_everybody(self) -> None:
        """A room is cleared of all, and other rooms are not."""
        ann, bob = self.guest("ann", "lobby", "other"), self.plain(nick="bob")
        clear(self.node, self.room(), KICKED)
        self.settle()
        self.assertEqual(ann.pushes("unsubscribe"), [GONE])
        self.assertEqual(bob.close, KICKED)
        self.assertEqual(self.present("other"), ["ann"])
        self.assertIsNone(self.hub.find("lobby"))


class DisconnectTests(RemovalCase):
    """Off the server."""

    def test_all_sessions(self) -> None:
        """All sessions end with the code that lets no SDK come back; nothing is left of them."""
        ann = self.guest("ann", "lobby", "other")
        twin = self.guest(None, "lobby", resume=self.resume(ann))
        bob = self.guest("bob", "lobby", join_leave=True)
        self.assertTrue(disconnect(self.node, ann.user, BANNED.close))
        self.settle()
        for each in (ann, twin):
            self.assertEqual(each.close and each.close.sdk_code, 3503)
            self.assertNoMore(each, "lobby", "other")
        self.assertEqual(list(self.node.sessions), [bob.user])
        self.assertEqual(self.present(), ["bob"])
        self.assertEqual(len(bob.pushes("leave")), 1)
        self.assertEqual(self.guest("ann").nick, "ann")
        ann.lost()
        twin.lost()
        self.assertEqual(len(self.nicks), 2)

    def test_one_session(self) -> None:
        """One session can be ended alone; if it was the last one, nobody is awaited."""
        ann = self.guest("ann", "lobby")
        twin = self.guest(None, "lobby", resume=self.resume(ann))
        end(ann.session, KICKED)
        self.settle()
        self.assertEqual((ann.close, twin.close), (KICKED, None))
        self.assertEqual(self.present(), ["ann"])
        end(twin.session, KICKED)
        self.settle()
        self.assertNobody()

    def test_title(self) -> None:
        """The line of the log that says that they are gone still says who it was."""
        ann = self.guest("ann")
        disconnect(self.node, ann.user, KICKED)
        self.assertEqual(ann.session.title, "'ann'")

    def test_awaited(self) -> None:
        """Who is only awaited is present no longer, and their nick is free, at once."""
        ann, bob = self.guest("ann", "lobby", "other"), self.guest("bob", "lobby", "other")
        user = ann.user
        ann.lost()
        self.advance(TICK_S)
        self.assertTrue(disconnect(self.node, user, KICKED))
        self.settle()
        self.assertEqual((self.present(), self.present("other")), (["bob"], ["bob"]))
        self.assertEqual(self.guest("ann").nick, "ann")
        self.assertLive(bob)

    def test_nobody(self) -> None:
        """Of who is not here that is said."""
        self.assertFalse(disconnect(self.node, "nobody", KICKED))

    def test_nick_only(self) -> None:
        """Who was in no room is awaited by their nick."""
        ann = self.guest("ann")
        user = ann.user
        ann.lost()
        self.assertTrue(disconnect(self.node, user, KICKED))
        self.assertNobody()

    def test_under_way(self) -> None:
        """What was accepted before is stored and told to others; what comes later is not."""
        ann, bob = self.guest("ann", "lobby"), self.guest("bob", "lobby")
        ann.begin(said(11, "before"))
        disconnect(self.node, ann.user, KICKED)
        ann.begin(said(12, "after"))
        self.settle()
        self.assertEqual([each["data"]["text"] for each in bob.pushes("pub")], ["before"])
        self.assertNotIn(11, ann.replies)

    def test_edit_under_way(self) -> None:
        """An edit whose message is being looked up is not made."""
        ann, bob = self.guest("ann", "lobby"), self.guest("bob", "lobby")
        ann.ask(said(11, "before"))
        edit = {"type": "edit", "id": "e", "ref": 1, "text": "after"}
        ann.begin(Publish(12, "lobby", edit, compact(edit)))
        disconnect(self.node, ann.user, KICKED)
        self.settle()
        self.assertEqual(bob.offsets(), [1])

    def test_room_being_opened(self) -> None:
        """A command that waits for its room is not obeyed, and the room is not kept."""
        ann = self.guest("ann")
        ann.begin(Publish(11, "new", 1, compact(1)), Ping(12))
        disconnect(self.node, ann.user, KICKED)
        self.settle()
        self.assertNotIn(11, ann.replies)
        self.assertNobody()

    def test_subscribing(self) -> None:
        """Who is coming into a room does not."""
        ann = self.guest("ann")
        ann.begin(to("lobby"))
        disconnect(self.node, ann.user, KICKED)
        self.settle()
        self.assertNobody()

    def test_lagging(self) -> None:
        """A peer that does not read is told goodbye and gets nothing of what it missed."""
        ann = self.guest("ann", "lobby")
        ann.peer.pause()
        self.say(300)
        disconnect(self.node, ann.user, KICKED)
        self.assertEqual(ann.close, KICKED)
        self.assertNoMore(ann)
        self.assertNobody()
