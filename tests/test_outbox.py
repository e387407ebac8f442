"""One peer's unsent bytes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatd.core.events import Sender
from chatd.core.outbox import MOST_TOLD, Outbox, State
from chatd.core.room import Member
from chatd.core.wheel import TICK_S, Wheel
from chatd.errors import NORMAL, POLICY, STALLED
from tests.support.peers import connect
from tests.support.scene import lone_room
from tests.support.scripted import Lines

STALL_TIMEOUT_S = 10


class ListFeeder:
    """A `Feeder` with a list of pieces to bring."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.calls = 0

    def catch_up(self, outbox: Outbox) -> None:
        """See `Feeder.catch_up`."""
        self.calls += 1
        while self.pieces and outbox.state is State.LIVE:
            outbox.put(self.pieces.pop(0))


class OutboxCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.wheel = Wheel(self.clock.seconds)
        self.feeder = ListFeeder()
        self.peer, self.outbox = connect(
            self.wheel, feeder=self.feeder, pause_after=10, stall_timeout_s=STALL_TIMEOUT_S
        )

    def advance(self, seconds: float) -> None:
        """Let time go by, with a tick each `TICK_S`."""
        for _ in range(round(seconds / TICK_S)):
            self.clock.advance(TICK_S)
            self.wheel.tick()

    def be_behind(self) -> None:
        """Let it be behind in a room."""
        room = lone_room(head=5)
        member = Member(room, Sender("u", "s", "n"), Lines(), self.outbox, True, self.fail)
        room.join(member, 3)


class WritingTests(OutboxCase):
    def test_live(self) -> None:
        """What is put goes straight to a peer that takes it."""
        self.outbox.put(b"one")
        self.outbox.put(b"two")
        self.assertEqual(self.peer.writes, [b"one", b"two"])
        self.assertIs(self.outbox.state, State.LIVE)
        self.assertEqual(self.peer.holds, [])

    def test_shared(self) -> None:
        """Bytes are handed on as they are, not copied."""
        frames = b"one for all"
        self.outbox.put(frames)
        self.assertIs(self.peer.writes[0], frames)

    def test_paused_from_within(self) -> None:
        """A peer may say that it is above high water from within `write`; it is read no more."""
        self.outbox.put(b"x" * 11)
        self.assertIs(self.outbox.state, State.LAGGING)
        self.assertEqual(self.peer.holds, [True])

    def test_paused_twice(self) -> None:
        """To be told again that it is above high water changes nothing."""
        self.peer.pause()
        self.advance(STALL_TIMEOUT_S - TICK_S)
        self.peer.pause()
        self.assertEqual(self.peer.holds, [True])
        self.advance(3 * TICK_S)
        self.assertEqual(self.peer.closes, [STALLED])

    def test_drained(self) -> None:
        """What the peer has missed follows, then it is read again."""
        self.peer.pause()
        self.feeder.pieces = [b"one", b"two"]
        self.assertTrue(self.peer.drain())
        self.assertEqual(self.peer.writes, [b"one", b"two"])
        self.assertEqual(self.peer.holds, [True, False])
        self.assertIs(self.outbox.state, State.LIVE)

    def test_drained_in_steps(self) -> None:
        """A peer that fills up again gets the rest the next time, and is not read before."""
        self.peer.pause()
        self.feeder.pieces = [b"x" * 11, b"y" * 11]
        self.assertFalse(self.peer.drain())
        self.assertEqual(self.peer.writes, [b"x" * 11])
        self.assertEqual(self.peer.holds, [True])
        self.assertFalse(self.peer.drain())
        self.assertTrue(self.peer.drain())
        self.assertEqual(self.peer.writes, [b"x" * 11, b"y" * 11])
        self.assertEqual(self.peer.overruns, 0)

    def test_drained_live(self) -> None:
        """A peer that was not above high water has nothing to tell."""
        self.assertFalse(self.peer.drain())
        self.assertEqual((self.peer.holds, self.feeder.calls), ([], 0))

    def test_idle(self) -> None:
        """Idle is who takes more and is behind nowhere."""
        self.assertTrue(self.outbox.is_idle)
        self.be_behind()
        self.assertFalse(self.outbox.is_idle)
        self.outbox.behind.clear()
        self.peer.pause()
        self.assertFalse(self.outbox.is_idle)


class AnswerTests(OutboxCase):
    def test_before(self) -> None:
        """Answers leave in front of the next frames, in one write."""
        self.outbox.answer(b"1")
        self.outbox.answer(b"2")
        self.assertEqual(self.peer.writes, [])
        self.outbox.put(b"three")
        self.outbox.put(b"four")
        self.assertEqual(self.peer.writes, [b"12three", b"four"])

    def test_flush(self) -> None:
        """With no frames to come, a flush sends them, once."""
        self.outbox.answer(b"1")
        self.outbox.answer(b"2")
        self.outbox.flush()
        self.outbox.flush()
        self.assertEqual(self.peer.writes, [b"12"])

    def test_lagging(self) -> None:
        """Above high water they wait; then they come before what was missed."""
        self.peer.pause()
        self.outbox.answer(b"1")
        self.outbox.flush()
        self.assertEqual(self.peer.writes, [])
        self.feeder.pieces = [b"two"]
        self.assertTrue(self.peer.drain())
        self.assertEqual(self.peer.writes, [b"1", b"two"])

    def test_pausing(self) -> None:
        """When they alone bring the peer above high water, what was missed waits."""
        self.peer.pause()
        self.outbox.answer(b"x" * 11)
        self.feeder.pieces = [b"two"]
        self.assertFalse(self.peer.drain())
        self.assertEqual(self.peer.writes, [b"x" * 11])
        self.assertTrue(self.peer.drain())
        self.assertEqual(self.peer.overruns, 0)

    def test_told(self) -> None:
        """What a peer did not ask for leaves at once, or waits as answers do."""
        self.outbox.tell(b"1")
        self.peer.pause()
        self.outbox.tell(b"2")
        self.assertEqual(self.peer.writes, [b"1"])
        self.assertTrue(self.peer.drain())
        self.assertEqual(self.peer.writes, [b"1", b"2"])

    def test_told_too_much(self) -> None:
        """A peer that lags by too much of it is closed as stalled."""
        self.peer.pause()
        for _ in range(MOST_TOLD):
            self.outbox.tell(b"1")
        self.assertEqual(self.peer.closes, [])
        self.outbox.tell(b"1")
        self.assertEqual((self.peer.closes, self.outbox.state), ([STALLED], State.GONE))

    def test_gone(self) -> None:
        """For a peer that is gone none is kept."""
        self.outbox.answer(b"1")
        self.outbox.lost()
        self.outbox.answer(b"2")
        self.outbox.flush()
        self.assertEqual(self.peer.writes, [])


class HoldTests(OutboxCase):
    def test_busy(self) -> None:
        """While a command is under way nothing is read from the peer."""
        self.outbox.busy(True)
        self.outbox.busy(True)
        self.assertEqual(self.peer.holds, [True])
        self.outbox.busy(False)
        self.assertEqual(self.peer.holds, [True, False])

    def test_busy_and_lagging(self) -> None:
        """It is read again when neither a command nor high water is in the way."""
        self.outbox.busy(True)
        self.peer.pause()
        self.outbox.busy(False)
        self.assertTrue(self.peer.is_held)
        self.outbox.busy(True)
        self.assertTrue(self.peer.drain())
        self.assertTrue(self.peer.is_held)
        self.outbox.busy(False)
        self.assertEqual(self.peer.holds, [True, False])

    def test_gone(self) -> None:
        """One that is told goodbye is read, or its answer to our Close would never come."""
        self.outbox.busy(True)
        self.outbox.close(NORMAL)
        self.outbox.busy(True)
        self.assertEqual(self.peer.holds, [True, False])


class GoneTests(OutboxCase):
    def test_close(self) -> None:
        """After its answers comes the goodbye, once."""
        self.outbox.answer(b"last")
        self.outbox.close(POLICY)
        self.outbox.close(NORMAL)
        self.assertEqual(self.peer.closes, [POLICY])
        self.assertEqual(self.peer.writes, [b"last"])
        self.assertIs(self.outbox.state, State.GONE)

    def test_close_lagging(self) -> None:
        """A lagging peer is told goodbye without what waits, and is read again."""
        self.peer.pause()
        self.outbox.answer(b"last")
        self.be_behind()
        self.outbox.close(NORMAL)
        self.assertEqual(self.peer.holds, [True, False])
        self.assertFalse(self.peer.drain())
        self.assertEqual((self.peer.writes, self.outbox.behind), ([], {}))

    def test_close_pausing(self) -> None:
        """Answers that bring it above high water leave no deadline behind a goodbye."""
        self.outbox.answer(b"x" * 11)
        self.outbox.close(NORMAL)
        self.advance(3 * STALL_TIMEOUT_S)
        self.assertEqual(self.peer.closes, [NORMAL])
        self.assertFalse(self.peer.is_held)

    def test_lost(self) -> None:
        """A peer that is no more is told nothing, not even goodbye, and is behind nowhere."""
        self.be_behind()
        self.outbox.lost()
        self.outbox.close(NORMAL)
        self.peer.pause()
        self.assertEqual((self.peer.writes, self.peer.closes, self.peer.holds), ([], [], []))
        self.assertEqual(self.outbox.behind, {})
        self.assertFalse(self.peer.drain())
        self.assertEqual(self.feeder.calls, 0)

    def test_lost_while_fed(self) -> None:
        """When the peer is lost by a write, nothing more follows."""
        peer, outbox = self.peer, self.outbox
        peer.pause()
        self.feeder.pieces = [b"one", b"two"]
        write = peer.write

        def lose(data: bytes) -> None:
            write(data)
            outbox.lost()

        peer.write = lose  # type: ignore[method-assign]
        self.assertFalse(peer.drain())
        self.assertEqual(peer.writes, [b"one"])
        self.assertIs(outbox.state, State.GONE)


class StallTests(OutboxCase):
    def test_stalled(self) -> None:
        """A lagging peer that takes nothing for `stall_timeout_s` is closed as stalled."""
        self.peer.pause()
        self.advance(STALL_TIMEOUT_S - TICK_S)
        self.assertEqual(self.peer.closes, [])
        self.advance(3 * TICK_S)
        self.assertEqual(self.peer.closes, [STALLED])
        self.assertIs(self.outbox.state, State.GONE)

    def test_progress(self) -> None:
        """One that takes a byte now and then is not stalled; once it stops, it is."""
        self.outbox.put(b"x" * 11)
        for _ in range(5):
            self.advance(STALL_TIMEOUT_S - 1)
            self.peer.take(1)
        self.assertEqual(self.peer.closes, [])
        self.advance(2 * STALL_TIMEOUT_S + 2)
        self.assertEqual(self.peer.closes, [STALLED])

    def test_live(self) -> None:
        """A peer that has drained has no deadline, whatever it takes later."""
        self.outbox.put(b"x" * 11)
        self.advance(STALL_TIMEOUT_S / 2)
        self.assertTrue(self.peer.drain())
        self.outbox.put(b"y")
        self.advance(3 * STALL_TIMEOUT_S)
        self.assertEqual(self.peer.closes, [])

    def test_begins_again(self) -> None:
        """A peer that drained and filled up again has `stall_timeout_s` from then on."""
        self.peer.pause()
        self.feeder.pieces = [b"x" * 11]
        self.advance(STALL_TIMEOUT_S - 1)
        self.peer.drain()
        self.advance(STALL_TIMEOUT_S - 1)
        self.assertEqual(self.peer.closes, [])
        self.advance(2)
        self.assertEqual(self.peer.closes, [STALLED])

    def test_gone(self) -> None:
        """A peer that was lost while lagging leaves no deadline behind."""
        self.peer.pause()
        self.outbox.lost()
        self.advance(2 * STALL_TIMEOUT_S)
        self.assertEqual(self.peer.closes, [])


STEPS = st.one_of(
    st.integers(0, 60),  # so many bytes are put, if it is live, or else missed
    st.sampled_from(
        ("answer", "flush", "busy", "idle", "pause", "take", "drain", "stall", "close", "lost")
    ),
)


class AnythingTests(SynchronousTestCase):
    @given(st.integers(0, 120), st.lists(STEPS, max_size=40))
    def test_anything(self, pause_after: int, plan: list[int | str]) -> None:
        """Whatever happens in whatever order.

        What comes is what was put and missed, in order, with every answer no later than the next
        of it; nothing while the peer is above high water, or gone; it is told goodbye at most
        once, and read unless it lags or is busy.
        """
        clock = Clock()
        wheel = Wheel(clock.seconds)
        feeder = ListFeeder()
        peer, outbox = connect(wheel, feeder=feeder, pause_after=pause_after, stall_timeout_s=1)
        wanted = b""
        answers = b""
        is_busy = False
        final: bytes | None = None
        for number, step in enumerate(plan):
            mark = bytes([number])
            if isinstance(step, int):
                if outbox.state is State.LIVE:
                    outbox.put(mark * step)
                    wanted, answers = wanted + answers + mark * step, b""
                elif outbox.state is State.LAGGING:
                    feeder.pieces.append(mark * step)
            elif step == "answer":
                outbox.answer(mark)
                answers += mark
            elif step == "flush":
                outbox.flush()
            elif step in ("busy", "idle"):
                is_busy = step == "busy"
                outbox.busy(is_busy)
            elif step == "pause":
                peer.pause()
            elif step in ("take", "drain"):
                missed = list(feeder.pieces)
                peer.take(50) if step == "take" else peer.drain()
                if len(feeder.pieces) < len(missed):
                    fed = missed[: len(missed) - len(feeder.pieces)]
                    wanted, answers = wanted + answers + b"".join(fed), b""
            elif step == "stall":
                clock.advance(2)
                wheel.tick()
            elif step == "close":
                outbox.close(NORMAL)
            else:
                outbox.lost()
            if peer.received == wanted + answers:
                wanted, answers = wanted + answers, b""
            self.assertEqual(peer.received, wanted)
            self.assertEqual(peer.overruns, 0)
            self.assertLessEqual(len(peer.closes), 1)
            lagging = outbox.state is State.LAGGING
            live = outbox.state is State.LIVE
            self.assertEqual(peer.is_held, lagging or (is_busy and live))
            if outbox.state is State.GONE:
                final = peer.received if final is None else final
                self.assertEqual(peer.received, final)
            else:
                self.assertEqual((peer.closes, peer.is_full), ([], lagging))
