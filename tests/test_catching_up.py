"""A model of all that brings messages to members: hub, fan-out, feed, rooms and outboxes.

Peers of all kinds come, lag, leave, come back behind and are cut off, while messages are stored or
refused, pages come late and in any order, and rooms are trimmed. What each membership gets is
compared, byte by byte as it is written, with its room's history from the place it entered at.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import count

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from twisted.trial.unittest import SynchronousTestCase

from chatd.core.broker import BLOCK, ERASED, Ack
from chatd.core.events import (
    MESSAGE,
    About,
    Kind,
    Message,
    RoomEvent,
    Sender,
    Signal,
    compact,
)
from chatd.core.feed import Feed
from chatd.core.hub import Hub
from chatd.core.outbox import PIECE_BYTES, State
from chatd.core.room import Member, Room
from chatd.core.wheel import Wheel
from chatd.errors import UNAVAILABLE, Refusal
from tests import examples
from tests.support.memory import MemoryRecords
from tests.support.peers import connect
from tests.support.scripted import Lines, ScriptedBroker

ROOMS = ("ann", "bob")
PEERS = 3
LARGE = 20_000
SEQUENCES = 500


class Stay:
    """One membership, as it has to be.

    Args:
        member: it.
        at: the offset up to which it has got everything.
    """

    def __init__(self, member: Member, at: int) -> None:
        self.member = member
        self.at = at


class Connection:
    """One peer from coming in to being cut off, which checks each byte it is sent.

    Args:
        world: where.
        sender: as whom.
        capacity: the high water of its network in bytes; None: it takes everything.
        echo: see `Member`.
        join_leave: likewise for its dialect.
    """

    def __init__(
        self, world: Deliveries, sender: Sender, capacity: int | None, echo: bool, join_leave: bool
    ) -> None:
        self.world = world
        self.sender = sender
        self.echo = echo
        self.dialect = Lines(join_leave=join_leave)
        self.peer, self.outbox = connect(world.wheel, feeder=world.feed, pause_after=capacity)
        self.stays: dict[str, Stay] = {}
        self.answers: list[bytes] = []
        self.write = self.peer.write
        self.peer.write = self.check  # type: ignore[method-assign]

    def answer(self, line: bytes) -> None:
        """Give it an answer, which has to come before what is told next."""
        if self.outbox.state is not State.GONE:
            self.outbox.answer(line)
            self.answers.append(line)
            self.world.hub.answers(self.outbox)

    def check(self, data: bytes) -> None:
        """Take what is written, and see that it is what has to come."""
        assert self.outbox.state is State.LIVE and not self.peer.is_full
        rows = data.splitlines(keepends=True)
        waiting, self.answers = self.answers, []
        assert rows[: len(waiting)] == waiting
        frames = rows[len(waiting) :]
        assert len(frames) == 1 or sum(map(len, frames)) <= PIECE_BYTES
        for frame in frames:
            room, place, said = frame.rstrip(b"\n").split(b" ", 2)
            if place == b"~":
                self.check_passing(room.decode(), said)
            else:
                self.check_message(room.decode(), int(place), said)
        self.write(data)

    def check_message(self, name: str, offset: int, said: bytes) -> None:
        """A message of a room has to be the one that follows."""
        stay = self.stays[name]
        self.skip_own(stay, offset - 1)
        assert offset == stay.at + 1, (name, offset, stay.at)
        message = self.world.broker.history(name)[offset - 1]
        if said != message.payload:  # it may come before the same commit's word that it is erased
            assert message.payload == ERASED and self.world.is_delivering
            assert said == self.world.said[name, offset]
        assert self.echo or message.sender != self.sender
        stay.at = offset

    def check_passing(self, name: str, said: bytes) -> None:
        """Something that is not stored has to keep its place among what is."""
        stay = self.stays[name]
        place = self.world.places[said]
        self.skip_own(stay, place)
        assert stay.at == place, (name, said, stay.at)

    def skip_own(self, stay: Stay, upto: int) -> None:
        """Without echo, what it said itself is not missing."""
        stored = self.world.broker.history(stay.member.room.name)
        while not self.echo and stay.at < upto and stored[stay.at].sender == self.sender:
            stay.at += 1


class Deliveries(RuleBasedStateMachine):
    """Peers of a hub, whose every way to get at a message is open at the same time."""

    def __init__(self) -> None:
        super().__init__()
        self.broker = ScriptedBroker()
        self.wheel = Wheel(lambda: 0.0)
        self.feed = Feed(self.broker, cached_bytes=100_000)
        self.hub = Hub(self.broker, self.feed, MemoryRecords(), self.wheel, grace_s=0, idle_rooms=0)
        self.broker.start(self.deliver)
        self.numbers = count()
        self.connections: list[Connection] = []
        self.places: dict[bytes, int] = {}
        self.said: dict[tuple[str, int], bytes] = {}
        self.refused = ""
        self.is_delivering = False

    def deliver(self, batch: Sequence[RoomEvent]) -> None:
        """Note what is said where, then let the hub deliver."""
        heads = {name: self.broker.head(name) for name in ROOMS}
        for event in reversed(batch):
            if isinstance(event, Message):
                self.said[event.room, event.offset] = event.payload
                heads[event.room] -= 1
            elif isinstance(event, Signal):
                self.places[event.payload] = heads[event.room]
        self.is_delivering = True
        self.hub.deliver(batch)
        self.is_delivering = False

    @initialize(
        kinds=st.lists(
            st.tuples(
                st.sampled_from((0, 40, 1000, 2 * LARGE, PIECE_BYTES, None)),
                st.booleans(),
                st.booleans(),
            ),
            min_size=PEERS,
            max_size=PEERS,
        ),
        longest_page=st.sampled_from((500, 100, 7)),
        begun=st.sampled_from((0, BLOCK - 1, BLOCK, 2 * BLOCK + 1, 3 * BLOCK)),
        back=st.sampled_from((0, 1, BLOCK + 1, 3 * BLOCK)),
    )
    def begin(
        self,
        kinds: list[tuple[int | None, bool, bool]],
        longest_page: int,
        begun: int,
        back: int,
    ) -> None:
        """The rooms have a history already; then the peers come."""
        self.broker.longest_page = longest_page
        for kind in kinds:
            self.connect(*kind)
        for name in ROOMS:
            self.say(name, begun, 1, 0)
            self.broker.settle()
        for number in range(PEERS):
            for name in ROOMS:
                self.enter(name, number, back)
                self.answer_open(late=False)

    def connect(self, capacity: int | None, echo: bool, join_leave: bool) -> None:
        """A peer comes."""
        number = str(next(self.numbers))
        sender = Sender(number, number, number)
        self.connections.append(Connection(self, sender, capacity, echo, join_leave))

    def answer_open(self, *, late: bool) -> None:
        """Answer what asks for a room, unless that is to come late."""
        for asked in list(self.broker.asked):
            if asked.what == "open" and not late:
                self.broker.answer(asked)

    def say(self, name: str, count: int, size: int, speaker: int, erases: int = 0) -> None:
        """Have something said in a room, which is open only for that if nobody is in it."""
        connection = self.connections[speaker]
        about = About(Kind.DELETE, erases, (erases,)) if erases else MESSAGE

        def opened(room: Room | Refusal) -> None:
            if isinstance(room, Refusal):
                return
            for _ in range(count):
                number = next(self.numbers)
                said = compact(str(number).ljust(size, "."))

                done = partial(self.done, connection, number)
                sender = connection.sender
                self.broker.publish(name, sender, str(number), said, done, about)
            self.hub.release(room)

        self.hub.open(name, opened)

    def done(self, connection: Connection, number: int, outcome: Ack | Refusal) -> None:
        """What was said is stored or refused: its speaker is answered."""
        connection.answer(f"= {number} {type(outcome).__name__}\n".encode())

    rooms = st.sampled_from(ROOMS)
    peers = st.integers(0, PEERS - 1)

    @rule(
        names=st.sampled_from((ROOMS, ROOMS[:1], ROOMS[1:])),
        speaker=peers,
        amount=st.sampled_from(((1, 1), (1, 1), (5, 1), (5, LARGE), (BLOCK, 1), (150, 1))),
        late=st.sampled_from((False, False, True)),
    )
    def publish(
        self, names: Sequence[str], speaker: int, amount: tuple[int, int], late: bool
    ) -> None:
        """Somebody says something, or much, in one room or in both, which is stored now or late."""
        for name in names:
            self.say(name, *amount, speaker)
        self.answer_open(late=late)
        if not late:
            self.broker.commit()

    @rule(name=rooms, speaker=peers, back=st.sampled_from((0, 1, 5, 127, 128, 200)))
    def erase(self, name: str, speaker: int, back: int) -> None:
        """Something that was said is erased."""
        offset = self.broker.head(name) - back
        if offset > 0:
            self.say(name, 1, 1, speaker, erases=offset)

    @rule(name=rooms, speaker=peers)
    def signal(self, name: str, speaker: int) -> None:
        """Somebody lets something be known that is not stored."""
        event = Signal(name, self.connections[speaker].sender, compact(next(self.numbers)))
        self.broker.ephemeral(event, lambda outcome: None)

    @rule(refused=st.sampled_from((False, False, False, True)), part=st.booleans())
    def commit(self, refused: bool, part: bool) -> None:
        """What was said is stored, or refused; all of it, or the first half."""
        size = (len(self.broker.pending) + 1) // 2 if part else None
        self.broker.commit(size, refusal=UNAVAILABLE if refused else None)

    @precondition(lambda self: self.broker.asked)
    @rule(choice=st.integers(0, 99), early=st.booleans())
    def answer(self, choice: int, early: bool) -> None:
        """Something the broker was asked is answered, as it was then or as it is now."""
        self.broker.answer(self.broker.asked[choice % len(self.broker.asked)], early=early)

    @precondition(lambda self: self.broker.asked)
    @rule(choice=st.integers(0, 99))
    def refuse(self, choice: int) -> None:
        """Something the broker was asked is refused."""
        asked = self.broker.asked[choice % len(self.broker.asked)]
        self.refused = asked.room if asked.what == "page" else ""
        self.broker.answer(asked, refusal=UNAVAILABLE)
        self.refused = ""

    @rule(
        name=rooms,
        number=peers,
        back=st.sampled_from((0, 0, 1, 2, 5, 127, 128, 129, 200, 400)),
        late=st.sampled_from((False, False, True)),
    )
    def come(self, name: str, number: int, back: int, late: bool) -> None:
        """A peer enters a room, or leaves and enters it anew, maybe behind."""
        self.enter(name, number, back)
        self.answer_open(late=late)

    def enter(self, name: str, number: int, back: int) -> None:
        """Let a peer into a room, so far behind the head or to the first that is there."""
        self.leave(name, number)
        connection = self.connections[number]

        def opened(room: Room | Refusal) -> None:
            if isinstance(room, Refusal):
                return
            if name in connection.stays or connection.outbox.state is State.GONE:
                self.hub.release(room)
                return
            after = max(room.head - back, self.broker.gone(name))
            member = Member(
                room,
                connection.sender,
                connection.dialect,
                connection.outbox,
                connection.echo,
                lambda member: self.lost(connection, member),
            )
            connection.stays[name] = Stay(member, after)
            room.join(member, after)
            self.feed.catch_up(connection.outbox)

        self.hub.open(name, opened)

    @rule(name=rooms, number=peers)
    def leave(self, name: str, number: int) -> None:
        """A peer leaves a room."""
        stay = self.connections[number].stays.pop(name, None)
        if stay is not None:
            stay.member.room.leave(stay.member)
            self.hub.release(stay.member.room)

    def reading(self) -> list[tuple[str, int]]:
        """Which peers wait for a page, by room and number."""
        return [
            (member.room.name, number)
            for number, connection in enumerate(self.connections)
            for member in connection.outbox.behind
            if connection.outbox.awaits_block
        ]

    @precondition(lambda self: bool(self.reading()))
    @rule(choice=st.integers(0, 99), back=st.sampled_from((0, 1, 60, 128, 129, 200, 300)))
    def enter_while_reading(self, choice: int, back: int) -> None:
        """A peer enters anew, elsewhere, while a page for its earlier membership is on its way."""
        reading = self.reading()
        self.enter(*reading[choice % len(reading)], back)
        self.answer_open(late=False)

    @precondition(lambda self: bool(self.reading()))
    @rule(choice=st.integers(0, BLOCK - 1))
    def trim_while_reading(self, choice: int) -> None:
        """Some of a block goes while it is read."""
        name, first, _ = self.broker.pages[-1]
        self.broker.forget(name, min(first + choice, self.broker.head(name)))

    @precondition(lambda self: bool(self.reading()))
    @rule(speaker=peers, choice=st.integers(0, BLOCK - 1))
    def erase_while_reading(self, speaker: int, choice: int) -> None:
        """Something is erased while its block is read."""
        name, first, last = self.broker.pages[-1]
        self.say(name, 1, 1, speaker, erases=min(first + choice, last))
        self.broker.commit()

    @rule(number=peers)
    def cut(self, number: int) -> None:
        """A peer's connection breaks; it comes back and goes on where it was."""
        old = self.connections[number]
        old.outbox.lost()
        new = Connection(self, old.sender, old.peer.pause_after, old.echo, old.dialect.join_leave)
        self.connections[number] = new
        for name, stay in old.stays.items():
            stay.member.room.leave(stay.member)
            if stay.at < self.broker.gone(name):
                self.hub.release(stay.member.room)
                continue
            member = Member(
                stay.member.room,
                new.sender,
                new.dialect,
                new.outbox,
                new.echo,
                lambda member: self.lost(new, member),
            )
            new.stays[name] = Stay(member, stay.at)
            member.room.join(member, stay.at)
            self.feed.catch_up(new.outbox)

    @rule(number=peers, size=st.sampled_from((10, 1000, 70_000)))
    def take(self, number: int, size: int) -> None:
        """A peer takes some of what was written."""
        self.connections[number].peer.take(size)

    @rule(number=peers)
    def drain(self, number: int) -> None:
        """A peer takes everything."""
        self.connections[number].peer.drain()

    @rule(number=peers)
    def pause(self, number: int) -> None:
        """A peer is above high water for a reason of its own."""
        self.connections[number].peer.pause()

    @rule(name=rooms, keep=st.sampled_from((0, 1, 60, 130, 250)))
    def trim(self, name: str, keep: int) -> None:
        """A room's oldest messages go."""
        self.broker.forget(name, max(0, self.broker.head(name) - keep))

    def lost(self, connection: Connection, member: Member) -> None:
        """What a member missed is gone: this must be true, or a page was refused."""
        name = member.room.name
        stay = connection.stays[name]
        assert stay.member is member
        assert stay.at < self.broker.gone(name) or self.refused == name
        self.leave(name, self.connections.index(connection))

    @invariant()
    def bounded(self) -> None:
        """No peer is written to above high water, and who takes more is live or waits for us."""
        for connection in self.connections:
            peer, outbox = connection.peer, connection.outbox
            assert peer.overruns == 0
            if outbox.state is State.LIVE and outbox.behind:
                assert outbox.awaits_block
            assert set(outbox.behind) <= {stay.member for stay in connection.stays.values()}
            assert peer.is_held == (outbox.state is State.LAGGING)

    def teardown(self) -> None:
        """When nothing waits and all have drained, everybody is live and has got everything."""
        for _ in range(10_000):
            self.broker.settle()
            full = [each for each in self.connections if each.peer.is_full]
            if not full:
                break
            for connection in full:
                connection.peer.drain()
        self.hub.flush()
        for connection in self.connections:
            connection.peer.drain()
            assert connection.outbox.is_idle and not connection.outbox.awaits_block
            assert not connection.answers
            for name, stay in connection.stays.items():
                head = self.broker.head(name)
                assert stay.member.room.head == head
                connection.skip_own(stay, head)
                assert stay.at == head
                audiences = dict(stay.member.room.audiences())
                assert stay.member in audiences[connection.dialect]
        assert self.broker.open_rooms == {n for each in self.connections for n in each.stays}


class DeliveriesTests(SynchronousTestCase):
    def test_anything(self) -> None:
        """Whatever happens, nobody gets a hole, a double or a stranger's message."""
        run_state_machine_as_test(
            Deliveries, settings=settings(max_examples=examples(SEQUENCES), stateful_step_count=50)
        )
