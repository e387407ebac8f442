"""Feed: whoever is behind is brought to the head."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from chatd.core.broker import BLOCK
from chatd.core.events import Sender
from chatd.core.outbox import PIECE_BYTES, State
from chatd.core.room import Member, Room
from chatd.errors import UNAVAILABLE
from tests.support.peers import RecordingPeer
from tests.support.scene import HERALD, Scene, lines
from tests.support.scripted import Lines

ERASED_LINE = 'lobby %d {"type":"deleted"}'
ROW_BYTES = 501  # what a row of an empty payload costs more than


class FeedCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.begin()

    def begin(self, head: int = 0, *, cached_bytes: int = 1 << 30) -> None:
        """A lobby in which much was said before it was opened here."""
        self.scene = Scene(cached_bytes=cached_bytes)
        self.broker = self.scene.broker
        self.feed = self.scene.feed
        self.room = self.old("lobby", head)

    def old(self, name: str, head: int, size: int = 0) -> Room:
        """A room in which much was said before it was opened here."""
        first = self.scene.room(name)
        if head:
            self.scene.say(name, head, size=size)
        self.scene.hub.release(first)
        return self.scene.room(name)

    def enter(
        self, after: int, *, room: Room | None = None, pause_after: int | None = None
    ) -> tuple[RecordingPeer, Member]:
        """Let a new peer into a room, the lobby if none is named."""
        peer = self.scene.peer(pause_after)
        return peer, self.scene.enter(peer, room or self.room, after)

    def assertLive(self, member: Member) -> None:
        """The member is live in its room, and its peer is behind nowhere."""
        self.assertIn(member, [each for _, found in member.room.audiences() for each in found])
        self.assertTrue(member.outbox.is_idle)
        self.assertFalse(member.outbox.awaits_block)


class TailTests(FeedCase):
    def test_from_memory(self) -> None:
        """What the tail has is not read; then the member is live."""
        self.scene.say("lobby", 5)
        peer, member = self.enter(2)
        self.assertEqual(peer.lines, lines("lobby", 3, 5))
        self.assertEqual(self.broker.asked, [])
        self.assertLive(member)
        self.scene.say("lobby")
        self.assertEqual(peer.lines, lines("lobby", 3, 6))

    def test_after_lagging(self) -> None:
        """Who has drained gets what it missed, and no signal of that time."""
        peer, member = self.enter(0)
        peer.pause()
        self.scene.say("lobby", 3)
        self.assertEqual((peer.writes, member.outbox.behind), ([], {member: 0}))
        peer.drain()
        self.assertEqual(peer.lines, lines("lobby", 1, 3))
        self.assertLive(member)

    def test_future(self) -> None:
        """Who claims to have got what was not said yet has lost its place."""
        for head in (0, 5, BLOCK):
            self.begin(head)
            for after in (head + 1, head + BLOCK):
                _, member = self.enter(after)
                self.assertIn(member, self.scene.lost)
                self.assertEqual((member.outbox.behind, self.broker.asked), ({}, []))

    def test_trimmed(self) -> None:
        """Of a tail that was trimmed when the room opened the rest is there."""
        self.begin(5)
        self.broker.forget("lobby", 3)
        self.scene.hub.release(self.room)
        self.room = self.scene.room()
        peer, member = self.enter(3)
        self.assertEqual(peer.lines, lines("lobby", 4, 5))
        self.assertLive(member)
        _, other = self.enter(2)
        self.assertEqual(self.scene.lost, [other])

    def test_all_trimmed(self) -> None:
        """When all of the tail was trimmed, a place in it is lost; what comes is whole.

        No block is made of what is not one yet.
        """
        self.begin(5)
        self.broker.forget("lobby", 5)
        self.scene.hub.release(self.room)
        self.room = self.scene.room()
        _, member = self.enter(3)
        self.assertEqual((self.scene.lost, self.broker.asked), ([member], []))
        self.scene.say("lobby", 2 * BLOCK)
        peer, member = self.enter(5)
        self.assertEqual(peer.lines, lines("lobby", 6, 2 * BLOCK + 5))
        self.assertLive(member)

    def test_no_echo(self) -> None:
        """A member without echo is not shown what it said itself."""
        self.scene.say("lobby", 2, by=Sender("u", "me", "n"))
        self.scene.say("lobby", 1)
        peer = self.scene.peer()
        member = self.scene.enter(peer, self.room, 0, sender=Sender("u", "me", "n"), echo=False)
        self.assertEqual(peer.lines, lines("lobby", 3, 3))
        self.assertLive(member)

    def test_nothing_to_show(self) -> None:
        """When all that was missed was said by itself, nothing is written."""
        self.scene.say("lobby", 2, by=HERALD)
        peer = self.scene.peer()
        member = self.scene.enter(peer, self.room, 0, sender=HERALD, echo=False)
        self.assertEqual(peer.writes, [])
        self.assertLive(member)

    def test_unspeakable(self) -> None:
        """What cannot be encoded is logged and left out."""
        self.scene.say("lobby", 3)
        peer = self.scene.peer()
        dialect = Lines(unspeakable=frozenset({2}))
        member = self.scene.enter(peer, self.room, 0, dialect=dialect)
        self.assertEqual(peer.lines, lines("lobby", 1, 1) + lines("lobby", 3, 3))
        self.assertLive(member)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class BlockTests(FeedCase):
    def test_boundaries(self) -> None:
        """From everywhere near a boundary everything comes, wherever the head was at opening."""
        places = (0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK - 1, 2 * BLOCK, 2 * BLOCK + 1)
        for head in places:
            self.begin(head)
            for more in (0, 1, 2, BLOCK - 1, BLOCK, 1):
                if more:
                    self.scene.say("lobby", more)
                self.assertEqual(len(self.room.tail), self.room.head % BLOCK)
                for after in (at for at in places if at <= self.room.head):
                    peer, member = self.enter(after)
                    self.broker.settle()
                    self.assertEqual(peer.lines, lines("lobby", after + 1, self.room.head))
                    self.assertLive(member)
        self.assertEqual(self.scene.lost, [])

    def test_shared(self) -> None:
        """A block is read once for all who want it, and each message encoded once a dialect."""
        self.begin(BLOCK)
        dialect = Lines()
        peers = [self.scene.peer() for _ in range(5)]
        for after, peer in enumerate(peers):
            self.scene.enter(peer, self.room, after, dialect=dialect)
        self.broker.settle()
        late = self.scene.peer()
        self.scene.enter(late, self.room, 0, dialect=dialect)
        self.assertEqual(self.broker.pages, [("lobby", 1, BLOCK)])
        self.assertEqual(len(dialect.encoded), BLOCK)
        self.assertEqual(peers[4].lines, lines("lobby", 5, BLOCK))
        self.assertEqual(late.lines, lines("lobby", 1, BLOCK))

    def test_whole(self) -> None:
        """Only whole blocks are read, in as many pages as it takes."""
        self.begin(3 * BLOCK + 5)
        self.broker.longest_page = 100
        peer, member = self.enter(BLOCK + 120)
        self.broker.settle()
        self.assertEqual(
            self.broker.pages,
            [
                ("lobby", BLOCK + 1, 2 * BLOCK),
                ("lobby", BLOCK + 101, 2 * BLOCK),
                ("lobby", 2 * BLOCK + 1, 3 * BLOCK),
                ("lobby", 2 * BLOCK + 101, 3 * BLOCK),
            ],
        )
        self.assertEqual(peer.lines, lines("lobby", BLOCK + 121, 3 * BLOCK + 5))
        self.assertLive(member)

    def test_filled(self) -> None:
        """A block that filled while the room was open is not read."""
        self.scene.say("lobby", BLOCK + 3)
        peer, member = self.enter(0)
        self.assertEqual(peer.lines, lines("lobby", 1, BLOCK + 3))
        self.assertEqual(self.broker.pages, [])
        self.assertLive(member)

    def test_said_meanwhile(self) -> None:
        """What is said while a block is read comes after it, from the tail."""
        self.begin(BLOCK)
        peer, member = self.enter(0)
        self.scene.say("lobby", 2)
        self.assertEqual(peer.writes, [])
        self.broker.answer(early=True)
        self.assertEqual(peer.lines, lines("lobby", 1, BLOCK + 2))
        self.assertLive(member)


class CacheTests(FeedCase):
    def test_bound(self) -> None:
        """Beyond the bound the block that was not used for longest goes; one always stays."""
        block = BLOCK * ROW_BYTES
        for cached_bytes, kept in ((1, 1), (3 * block, 2), (4 * block, 3)):
            self.begin(4 * BLOCK, cached_bytes=cached_bytes)
            self.enter(0)
            self.broker.settle()
            self.assertLessEqual(len(self.feed), max(cached_bytes, 2 * block))
            self.assertEqual(len(self.broker.pages), 4)
            self.enter((4 - kept) * BLOCK)  # these are there: nothing is asked
            self.assertEqual(self.broker.asked, [])
            self.enter((4 - kept - 1) * BLOCK)
            self.assertEqual(len(self.broker.asked), 1)

    def test_used(self) -> None:
        """To be used makes a block stay."""
        for used, stays in ((0, 0), (BLOCK, BLOCK)):
            self.begin(2 * BLOCK, cached_bytes=3 * BLOCK * ROW_BYTES)
            self.enter(0)
            self.broker.settle()
            peer = self.scene.peer(0)  # it takes a piece at a time
            peer.pause_after = None if used else 0
            self.scene.enter(peer, self.room, used)
            self.scene.say("lobby", BLOCK)  # the third block: one of the others goes
            self.enter(stays, pause_after=0)
            self.assertEqual(self.broker.asked, [])
            self.enter(BLOCK - stays, pause_after=0)
            self.assertEqual(len(self.broker.asked), 1)

    def test_emptied(self) -> None:
        """What is forgotten is not counted any more."""
        self.scene.say("lobby", BLOCK)
        self.assertGreater(len(self.feed), BLOCK * ROW_BYTES)
        self.feed.forget(self.room, BLOCK)
        self.assertEqual(len(self.feed), 0)
        self.feed.forget(self.room, BLOCK)
        self.assertEqual(len(self.feed), 0)

    def test_emptied_by_last(self) -> None:
        """Nothing is left counted of a block whose last message erased another of it."""
        self.scene.say("lobby", BLOCK - 1, size=100)
        self.scene.publish("lobby", "gone", erases=[5])
        self.broker.commit()
        self.assertEqual(len(self.feed), 0)


class ErasedTests(FeedCase):
    def test_in_tail(self) -> None:
        """What was erased is not shown to who comes later."""
        self.scene.say("lobby", 3)
        self.scene.publish("lobby", "4", erases=[2])
        self.broker.commit()
        peer, _ = self.enter(1)
        wanted = [ERASED_LINE % 2, *lines("lobby", 3, 4)]
        self.assertEqual(peer.lines, wanted)

    def test_in_block(self) -> None:
        """A block in which something was erased is read anew."""
        self.begin(BLOCK)
        self.enter(0)
        self.broker.settle()
        self.scene.publish("lobby", str(BLOCK + 1), erases=[2])
        self.broker.commit()
        peer, _ = self.enter(1)
        self.broker.settle()
        self.assertEqual(peer.lines[0], ERASED_LINE % 2)
        self.assertEqual(peer.lines[1:], lines("lobby", 3, BLOCK + 1))

    def test_while_read(self) -> None:
        """What was erased while its block was read is not shown, though the page still has it."""
        self.begin(BLOCK)
        peer, member = self.enter(0)
        self.scene.publish("lobby", str(BLOCK + 1), erases=[2])
        self.broker.commit()
        self.broker.answer(early=True)
        self.assertEqual(peer.lines[1], ERASED_LINE % 2)
        self.assertEqual(peer.lines[2:], lines("lobby", 3, BLOCK + 1))
        self.assertLive(member)

    def test_while_closed(self) -> None:
        """What was erased while the room was closed here is not shown from memory."""
        self.begin(BLOCK)
        _, member = self.enter(0)
        self.broker.settle()
        self.scene.publish("lobby", str(BLOCK + 1), erases=[2])
        self.scene.leave(member)
        self.scene.hub.release(self.room)
        self.broker.commit()
        self.room = self.scene.room()
        peer, _ = self.enter(0)
        self.broker.settle()
        self.assertEqual(peer.lines[1], ERASED_LINE % 2)


class ClosedTests(FeedCase):
    def test_dropped(self) -> None:
        """Of a room that is closed nothing is kept; of others it is."""
        self.begin(3 * BLOCK)
        other = self.scene.room("den")
        self.scene.say("den", BLOCK)
        kept = len(self.feed)
        _, member = self.enter(0)
        self.broker.settle()
        self.assertGreater(len(self.feed), kept)
        self.scene.leave(member)
        self.scene.hub.release(self.room)
        self.assertEqual(self.feed._numbers, {other: {0}})
        self.assertEqual({room for room, _ in self.feed._blocks}, {other})
        self.scene.hub.release(other)
        self.assertEqual((len(self.feed), self.feed._numbers), (0, {}))


class GoneTests(FeedCase):
    def test_refused(self) -> None:
        """When a page is refused, all who wait for it have lost their place; others go on."""
        self.begin(BLOCK)
        (ann, a), (_, b) = self.enter(0), self.enter(5)
        _, left = self.enter(7)
        self.scene.leave(left)
        self.broker.answer(refusal=UNAVAILABLE)
        self.assertEqual(self.scene.lost, [a, b])
        self.assertEqual((ann.writes, a.outbox.behind, a.outbox.awaits_block), ([], {}, False))
        peer, _ = self.enter(0)
        self.broker.settle()
        self.assertEqual(peer.lines, lines("lobby", 1, BLOCK))

    def test_refused_elsewhere(self) -> None:
        """Who has lost its place in one room is fed in the next."""
        self.begin(BLOCK)
        den = self.old("den", 3)
        peer, _ = self.enter(0)
        self.scene.enter(peer, den, 0)
        self.assertEqual(peer.writes, [])
        self.broker.answer(refusal=UNAVAILABLE)
        self.assertEqual(peer.lines, lines("den", 1, 3))

    def test_trimmed(self) -> None:
        """Who wants what was trimmed has lost its place; who wants the rest gets it."""
        self.begin(BLOCK)
        self.broker.forget("lobby", 50)
        (ann, a), (bob, b) = self.enter(49), self.enter(50)
        self.broker.settle()
        self.assertEqual((ann.writes, self.scene.lost), ([], [a]))
        self.assertEqual(bob.lines, lines("lobby", 51, BLOCK))
        self.assertLive(b)

    def test_trimmed_whole(self) -> None:
        """Of a block that was trimmed as a whole nothing comes, once and for all."""
        self.begin(2 * BLOCK)
        self.broker.forget("lobby", BLOCK)
        for _ in range(2):
            _, member = self.enter(5)
            self.broker.settle()
            self.assertIn(member, self.scene.lost)
        self.assertEqual(len(self.broker.pages), 1)

    def test_trimmed_between_pages(self) -> None:
        """Between two pages of a block no hole opens: what was before it is gone with it."""
        self.begin(BLOCK)
        self.broker.longest_page = 50
        (ann, a), (bob, _) = self.enter(0), self.enter(80)
        self.broker.answer()
        self.broker.forget("lobby", 80)
        self.broker.settle()
        self.assertEqual((ann.writes, self.scene.lost), ([], [a]))
        self.assertEqual(bob.lines, lines("lobby", 81, BLOCK))

    def test_trimmed_before_last_page(self) -> None:
        """When the rest of a block was trimmed, its beginning is not kept as if it were all."""
        self.begin(BLOCK)
        self.broker.longest_page = 50
        peer, member = self.enter(0)
        self.broker.answer()
        self.broker.forget("lobby", BLOCK)
        self.broker.settle()
        self.assertEqual((peer.writes, self.scene.lost), ([], [member]))


class LateTests(FeedCase):
    def setUp(self) -> None:
        self.begin(2 * BLOCK)

    def test_left(self) -> None:
        """Who left while a block was read gets none of it."""
        peer, member = self.enter(0)
        self.scene.leave(member)
        self.broker.settle()
        self.assertEqual((peer.writes, self.scene.lost), ([], []))
        self.assertFalse(member.outbox.awaits_block)

    def test_nobody_left(self) -> None:
        """When all have left, what is left of a block is not asked for: the room may be closed."""
        self.broker.longest_page = 50
        _, member = self.enter(0)
        self.scene.leave(member)
        self.scene.hub.release(self.room)
        self.assertEqual(self.broker.open_rooms, set())
        self.broker.settle()
        self.assertEqual(len(self.broker.pages), 1)

    def test_entered_elsewhere(self) -> None:
        """Who left and entered at another place gets what follows that place."""
        for after in (10, BLOCK - 1, BLOCK, BLOCK + 10, 2 * BLOCK):
            peer, member = self.enter(5)
            self.scene.leave(member)
            member = self.scene.enter(peer, self.room, after)
            self.broker.settle()
            self.assertEqual(peer.lines, lines("lobby", after + 1, 2 * BLOCK))
            self.assertLive(member)
            self.begin(2 * BLOCK)

    def test_entered_another_room(self) -> None:
        """Who went to another room is fed there, once the read has come back."""
        den = self.old("den", 3)
        peer, member = self.enter(0)
        self.scene.leave(member)
        member = self.scene.enter(peer, den, 1)
        self.broker.settle()
        self.assertEqual(peer.lines, lines("den", 2, 3))
        self.assertLive(member)

    def test_reopened(self) -> None:
        """A page for an earlier opening of the room is not used in a later one."""
        _, member = self.enter(0)
        self.scene.leave(member)
        self.scene.hub.release(self.room)
        self.room = self.scene.room()
        peer, member = self.enter(0)
        self.assertEqual(len(self.broker.asked), 2)
        self.broker.settle()
        self.assertEqual(peer.lines, lines("lobby", 1, 2 * BLOCK))
        self.assertLive(member)

    def test_gone(self) -> None:
        """For a peer that is gone a read changes nothing."""
        for refusal in (None, UNAVAILABLE):
            peer, member = self.enter(0)
            member.outbox.lost()
            self.broker.answer(refusal=refusal)
            self.broker.settle()
            self.assertEqual((peer.writes, self.scene.lost), ([], []))

    def test_lagging(self) -> None:
        """Above high water nothing of a block is written; it follows when the peer has drained."""
        peer, member = self.enter(0)
        peer.pause()
        self.broker.settle()
        self.assertEqual((peer.writes, member.outbox.behind), ([], {member: 0}))
        peer.drain()
        self.broker.settle()
        self.assertEqual(peer.lines, lines("lobby", 1, 2 * BLOCK))
        self.assertLive(member)

    def test_others(self) -> None:
        """One read at a time is under way for a peer, and others do not wait for it."""
        peer, _ = self.enter(0)
        den = self.old("den", BLOCK)
        self.scene.enter(peer, den, 0)
        other, _ = self.enter(0, room=den)
        self.assertEqual([each.room for each in self.broker.asked], ["lobby", "den"])
        self.broker.answer(self.broker.asked[1])
        self.assertEqual(other.lines, lines("den", 1, BLOCK))
        self.assertEqual(peer.writes, [])
        self.broker.settle()
        self.assertCountEqual(peer.lines, lines("lobby", 1, 2 * BLOCK) + lines("den", 1, BLOCK))


class PaceTests(FeedCase):
    def test_pieces(self) -> None:
        """A peer holds no more than high water and one piece, and is not written to above it."""
        large = self.old("large", 60, size=9000)
        peer, member = self.enter(0, room=large, pause_after=PIECE_BYTES)
        self.broker.settle()
        while member.outbox.state is not State.LIVE:
            peer.take(50_000)
        self.assertEqual(peer.lines, lines("large", 1, 60, 9000))
        self.assertEqual(peer.overruns, 0)
        self.assertLessEqual(peer.most_untaken, 2 * PIECE_BYTES)
        self.assertLessEqual(max(map(len, peer.writes)), PIECE_BYTES)
        self.assertLive(member)

    def test_large(self) -> None:
        """A message larger than a piece goes alone."""
        large = self.old("large", 3, size=PIECE_BYTES)
        peer, member = self.enter(0, room=large)
        self.assertEqual([write.count(b"\n") for write in peer.writes], [1, 1, 1])
        self.assertLive(member)

    def test_turns(self) -> None:
        """Rooms have turns: a long way to go in one keeps none of another waiting."""
        one, two = (self.old(name, 9, size=30_000) for name in ("one", "two"))
        peer = self.scene.peer(0)
        for room in (one, two):
            peer.pause()
            self.scene.enter(peer, room, 0)
        while peer.is_full:
            peer.drain()
        rooms = [write[:3] for write in peer.writes]
        self.assertEqual(rooms[:4], [b"one", b"two", b"one", b"two"])
        self.assertEqual(len(peer.lines), 18)
