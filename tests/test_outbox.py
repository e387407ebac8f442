"""One peer's unsent bytes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatd.core.outbox import State
from chatd.core.wheel import TICK_S, Wheel
from chatd.errors import NORMAL, POLICY, STALLED
from tests.support import strategies  # noqa: F401  # loads the profile
from tests.support.peers import connect

HELD_BYTES = 100
STALL_TIMEOUT_S = 10


class OutboxTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.wheel = Wheel(self.clock.seconds)
        self.peer, self.outbox = connect(
            self.wheel,
            pause_after=10,
            held_bytes=HELD_BYTES,
            stall_timeout_s=STALL_TIMEOUT_S,
        )

    def advance(self, seconds: float) -> None:
        """Let time go by, with a tick each `TICK_S`."""
        for _ in range(round(seconds / TICK_S)):
            self.clock.advance(TICK_S)
            self.wheel.tick()

    def test_live(self) -> None:
        """What is put goes straight to a peer that takes it, piece by piece."""
        self.outbox.put([b"one", b"two"])
        self.assertEqual(self.peer.writes, [b"one", b"two"])
        self.assertTrue(self.outbox.is_live)
        self.assertEqual(self.peer.holds, [])

    def test_lagging(self) -> None:
        """Above high water nothing more is written and nothing is read."""
        self.peer.pause()
        self.outbox.put([b"one"])
        self.assertEqual(self.peer.writes, [])
        self.assertFalse(self.outbox.is_live)
        self.assertEqual(self.peer.holds, [True])

    def test_paused_twice(self) -> None:
        """To be told again that it is above high water changes nothing."""
        self.peer.pause()
        self.peer.pause()
        self.assertEqual(self.peer.holds, [True])

    def test_paused_from_within(self) -> None:
        """A peer may say so from within `write`; the other pieces are held."""
        self.outbox.put([b"x" * 11, b"two", b"three"])
        self.assertEqual(self.peer.writes, [b"x" * 11])
        self.assertIs(self.outbox.state, State.LAGGING)

    def test_drained(self) -> None:
        """What was held follows in order, then the peer is read again."""
        self.peer.pause()
        self.outbox.put([b"one", b"two"])
        self.outbox.put([b"last"])
        self.assertTrue(self.peer.drain())
        self.assertEqual(self.peer.writes, [b"one", b"two", b"last"])
        self.assertEqual(self.peer.holds, [True, False])
        self.assertTrue(self.outbox.is_live)

    def test_drained_in_steps(self) -> None:
        """A peer that fills up again while the held follows gets the rest the next time."""
        self.peer.pause()
        self.outbox.put([b"x" * 11, b"y" * 11])
        self.assertFalse(self.peer.drain())
        self.assertEqual(self.peer.writes, [b"x" * 11])
        self.assertNotIn(False, self.peer.holds)
        self.assertFalse(self.peer.drain())
        self.assertTrue(self.peer.drain())
        self.assertEqual(self.peer.writes, [b"x" * 11, b"y" * 11])
        self.assertEqual(self.peer.overruns, 0)

    def test_drained_live(self) -> None:
        """A peer that was not above high water has nothing to tell."""
        self.assertFalse(self.peer.drain())
        self.assertEqual(self.peer.holds, [])

    def test_gone_while_draining(self) -> None:
        """When the peer is lost by a write, what is still held is dropped."""
        peer, outbox = self.peer, self.outbox
        peer.pause()
        outbox.put([b"one", b"two"])
        write = peer.write

        def lose(data: bytes) -> None:
            write(data)
            outbox.lost()

        peer.write = lose  # type: ignore[method-assign]
        self.assertFalse(peer.drain())
        self.assertEqual(peer.writes, [b"one"])
        self.assertIs(outbox.state, State.GONE)

    def test_held_most(self) -> None:
        """Exactly `held_bytes` are held; one byte more closes the peer as stalled."""
        self.peer.pause()
        self.outbox.put([b"x" * HELD_BYTES])
        self.assertEqual(self.peer.closes, [])
        self.outbox.put([b"y", b"z"])
        self.assertEqual(self.peer.closes, [STALLED])
        self.assertIs(self.outbox.state, State.GONE)

    def test_held_again(self) -> None:
        """What has followed makes room for as much again."""
        for _ in range(3):
            self.peer.pause()
            self.outbox.put([b"x" * HELD_BYTES])
            self.peer.drain()
            while not self.outbox.is_live:
                self.peer.drain()
        self.assertEqual(self.peer.closes, [])

    def test_close(self) -> None:
        """After the goodbye nothing is written and no second goodbye is said."""
        self.outbox.close(POLICY)
        self.outbox.put([b"late"])
        self.outbox.close(NORMAL)
        self.assertEqual(self.peer.closes, [POLICY])
        self.assertEqual(self.peer.writes, [])

    def test_close_lagging(self) -> None:
        """A lagging peer is read again when it is told goodbye, or its answer never comes."""
        self.peer.pause()
        self.outbox.put([b"held"])
        self.outbox.close(NORMAL)
        self.assertEqual(self.peer.holds, [True, False])
        self.assertFalse(self.peer.drain())
        self.assertEqual(self.peer.writes, [])

    def test_lost(self) -> None:
        """A peer that is no more is told nothing, not even goodbye."""
        self.outbox.lost()
        self.outbox.put([b"late"])
        self.outbox.close(NORMAL)
        self.peer.pause()
        self.assertEqual((self.peer.writes, self.peer.closes, self.peer.holds), ([], [], []))

    def test_stalled(self) -> None:
        """A lagging peer that takes nothing for `stall_timeout_s` is closed as stalled."""
        self.peer.pause()
        self.advance(STALL_TIMEOUT_S - TICK_S)
        self.assertEqual(self.peer.closes, [])
        self.advance(3 * TICK_S)
        self.assertEqual(self.peer.closes, [STALLED])

    def test_progress(self) -> None:
        """A lagging peer that takes a byte now and then is not stalled; once it stops, it is."""
        self.outbox.put([b"x" * 11])
        for _ in range(5):
            self.advance(STALL_TIMEOUT_S - 1)
            self.peer.untaken -= 1
        self.assertEqual(self.peer.closes, [])
        self.advance(2 * STALL_TIMEOUT_S + 2)
        self.assertEqual(self.peer.closes, [STALLED])

    def test_not_stalled_live(self) -> None:
        """A peer that has drained has no deadline, whatever it takes later."""
        self.outbox.put([b"x" * 11])
        self.advance(STALL_TIMEOUT_S / 2)
        self.assertTrue(self.peer.drain())
        self.outbox.put([b"y"])
        self.advance(3 * STALL_TIMEOUT_S)
        self.assertEqual(self.peer.closes, [])

    def test_stall_begins_again(self) -> None:
        """A peer that drained in part has `stall_timeout_s` from then on."""
        self.peer.pause()
        self.outbox.put([b"x" * 11])
        self.advance(STALL_TIMEOUT_S - 1)
        self.peer.drain()
        self.advance(STALL_TIMEOUT_S - 1)
        self.assertEqual(self.peer.closes, [])
        self.advance(2)
        self.assertEqual(self.peer.closes, [STALLED])

    def test_not_stalled_gone(self) -> None:
        """A peer that was lost while lagging leaves no deadline behind."""
        self.peer.pause()
        self.outbox.lost()
        self.advance(2 * STALL_TIMEOUT_S)
        self.assertEqual(self.peer.closes, [])

    @given(
        st.integers(0, 120),
        st.integers(0, 200),
        st.lists(
            st.one_of(
                st.lists(st.integers(1, 60), max_size=5),  # put pieces of these sizes
                st.sampled_from(("pause", "drain", "drain", "stall", "close", "lost")),
            ),
            max_size=40,
        ),
    )
    def test_anything(self, pause_after: int, held_bytes: int, plan: list[list[int] | str]) -> None:
        """Whatever happens in whatever order.

        The peer gets a beginning of what was put, in order; nothing while it is above high
        water; no more than `held_bytes` are held; a peer that is gone is written nothing more
        and has been told goodbye at most once.
        """
        clock = Clock()
        wheel = Wheel(clock.seconds)
        peer, outbox = connect(
            wheel, pause_after=pause_after, held_bytes=held_bytes, stall_timeout_s=1
        )
        put: list[bytes] = []
        written_when_gone: bytes | None = None
        for step in plan:
            if isinstance(step, list):
                pieces = [bytes([len(put) + at & 0xFF]) * size for at, size in enumerate(step)]
                outbox.put(pieces)
                put += pieces
            elif step == "pause":
                peer.pause()
            elif step == "drain":
                peer.drain()
            elif step == "stall":
                clock.advance(2)
                wheel.tick()
            elif step == "close":
                outbox.close(NORMAL)
            else:
                outbox.lost()
            all_put = b"".join(put)
            self.assertTrue(all_put.startswith(peer.received))
            self.assertEqual(peer.writes, put[: len(peer.writes)])
            self.assertEqual(peer.overruns, 0)
            self.assertLessEqual(len(peer.closes), 1)
            if outbox.state is State.GONE:
                if written_when_gone is None:
                    written_when_gone = peer.received
                self.assertEqual(peer.received, written_when_gone)
                self.assertFalse(peer.holds and peer.holds[-1])
            else:
                self.assertLessEqual(len(all_put) - len(peer.received), held_bytes)
                self.assertEqual(peer.closes, [])
                self.assertEqual(bool(peer.holds and peer.holds[-1]), not outbox.is_live)
            if outbox.is_live:
                self.assertEqual(peer.received, all_put)
