"""Indexer: takes what was committed into the index of words, a moment later, in small steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from sqlite3 import Connection

from twisted.logger import Logger

from chatd.brokers import reindex, renewal
from chatd.brokers.connections import Connections
from chatd.brokers.faults import Condition
from chatd.brokers.reindex import TOLD_EACH, Progress
from chatd.brokers.retention import Timer
from chatd.brokers.words import MOST_EVENTS, Behind, behind, take_in_each
from chatd.errors import UNAVAILABLE, Refusal

__all__ = ["MOST_ROOMS", "Indexer"]

MOST_ROOMS = 10_000
"""So many rooms it knows to have grown; beyond, it looks through all of them once more."""

_FIRST_S = 1.0
_WAIT_S = 0.5  # after the first commit, so that the next ones go along
_PAUSE_S = 0.01  # between steps, for commits
_SHARE = 25  # of the time, while others commit, one part: or whoever talks would pay for it
_FAILED_S = (1.0, 60.0)  # twice as long each time
_EACH = 64  # rooms, in one step

_log = Logger()


class Indexer:
    """Catches up when it starts, then learns from commits. One step is under way at a time.

    While something is committed it takes one part in 25 of the writer's time, so it falls behind
    when more than some 1 500 messages a second are said for long, and catches up afterwards; but
    for an index that is made anew because somebody asked for it, it takes what it can get.

    Args:
        connections: to read and write by.
        later: calls something after so many seconds.
        caught_up: called when it had been behind and is no more. Edits that were taken in late
            have left words in the index that a `Scrub` did not know of.
        seconds: a clock that never steps, for any thread.
    """

    def __init__(
        self,
        connections: Connections,
        *,
        later: Callable[[float, Callable[[], None]], Timer],
        seconds: Callable[[], float],
        caught_up: Callable[[], None] = lambda: None,
    ) -> None:
        self._connections = connections
        self._seconds = seconds
        self._is_pressed = False  # something was committed since the last step
        self._later = later
        self._caught_up = caught_up
        self._grown: dict[int, None] = {}  # the first ones first
        self._owed: set[int] = set()  # of these, what is to be taken in before it has caught up
        self._is_late = False
        self._has_taken = False
        self._looks_after: int | None = None  # rooms with greater numbers are still to be looked at
        self._looks = 0
        self._steps = 0
        self._timer: Timer | None = None
        self._is_busy = False
        self._is_stopped = False
        self._failed_s = _FAILED_S[0]
        self._condition = Condition("indexing words")
        self._rebuilding: tuple[Callable[[int, int], None], Callable[[Refusal | None], None]] | None
        self._rebuilding = None
        self._is_to_empty = False

    @property
    def is_idle(self) -> bool:
        """Whether all that it was told of is taken in."""
        return not self._grown and self._looks_after is None and not self._is_busy

    def start(self) -> None:
        """Begin by looking for what is not taken in."""
        self._look_anew()
        self._wait(_FIRST_S)

    def grew(self, rooms: Iterable[int]) -> None:
        """Learn that something was committed; once for a commit.

        Args:
            rooms: numbers of those in which.
        """
        self._is_pressed = True
        self._grown.update(dict.fromkeys(rooms))
        if len(self._grown) > MOST_ROOMS:
            self._grown.clear()
            self._owed.clear()
            self._look_anew()
        if self._timer is None and not self._is_busy:
            self._wait(_WAIT_S)

    def rebuild(
        self, progress: Callable[[int, int], None], done: Callable[[Refusal | None], None]
    ) -> None:
        """Make the index anew; meanwhile less is found.

        Args:
            progress: told how many events are taken in, of how many.
            done: told when all are, or why it was not begun: another one is under way, the index
                could not be emptied, or it was stopped. What is left then, the next start does.
        """
        if self._rebuilding is not None or self._is_stopped:
            self._later(0, lambda: done(UNAVAILABLE))
            return
        self._rebuilding = progress, done
        self._is_to_empty = True
        if not self._is_busy:
            self._cancel()
            self._wait(0)

    def stop(self) -> None:
        """Begin nothing more."""
        self._is_stopped = True
        self._cancel()
        self._rebuilt(UNAVAILABLE)

    def _cancel(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _wait(self, seconds: float) -> None:
        if not self._is_stopped:
            self._timer = self._later(seconds, self._step)

    def _step(self) -> None:
        self._timer = None
        if self._is_to_empty:
            self._empty()
        elif self._looks_after is not None and self._may_look:
            self._look(self._looks_after)
        elif self._grown:
            self._take_in()
        else:
            self._look_done()

    @property
    def _may_look(self) -> bool:
        # In turn with what has just come, of which there may be always some more.
        return not self._grown or (self._has_taken and len(self._grown) < MOST_ROOMS // 2)

    def _look_done(self) -> None:
        """Tell it, when what was behind is taken in; what comes meanwhile is no matter."""
        if self._looks_after is not None or self._owed or self._is_to_empty:
            return
        if self._is_late:
            self._is_late = False
            self._caught_up()
        self._rebuilt(None)

    def _empty(self) -> None:
        def empty(connection: Connection) -> None:
            reindex.empty(connection)
            renewal.was_emptied(connection)  # as was asked for

        def emptied(outcome: Exception | None) -> None:
            self._is_busy = False
            if outcome is not None:
                self._rebuilt(self._condition.failed(outcome))
            else:
                self._look_anew()
            self._wait(_PAUSE_S)

        self._is_busy, self._is_to_empty, self._steps = True, False, 0
        self._connections.write(empty, emptied)

    def _look_anew(self) -> None:
        self._looks_after = 0
        self._looks += 1
        self._is_late = True

    def _look(self, after_n: int) -> None:
        def looked(outcome: Behind | Refusal) -> None:
            self._is_busy = False
            if isinstance(outcome, Refusal):
                self._wait_failed()
                return
            self._grown.update(dict.fromkeys(outcome.rooms))
            self._owed.update(outcome.rooms)
            if looks == self._looks:
                self._looks_after = outcome.n or None
            self._wait(_PAUSE_S)

        self._is_busy, self._has_taken, looks = True, False, self._looks
        if not self._connections.read(lambda each: behind(each, after_n), looked):
            self._is_busy = False
            self._wait_failed()

    def _take_in(self) -> None:
        rooms = tuple(self._grown)[:_EACH]
        for n in rooms:
            del self._grown[n]
        self._steps += 1
        is_told = self._rebuilding is not None and not self._steps % TOLD_EACH

        was_emptied, spent_s = False, 0.0

        def take_in(connection: Connection) -> tuple[Sequence[int], Progress | None]:
            nonlocal was_emptied, spent_s
            begun = self._seconds()
            try:
                left = take_in_each(connection, rooms, MOST_EVENTS)
            finally:
                was_emptied = renewal.was_emptied(connection)
                spent_s = self._seconds() - begun
            return left, reindex.progress(connection) if is_told else None

        def took(outcome: tuple[Sequence[int], Progress | None] | Exception) -> None:
            self._is_busy = False
            if was_emptied:
                _log.error("the index of words was damaged: it is made anew")
                self._look_anew()
            if isinstance(outcome, Exception):
                self._grown.update(dict.fromkeys(rooms))
                if not self._is_stopped:
                    self._condition.failed(outcome)
                self._wait_failed()
                return
            self._condition.succeeded()
            was_behind, self._failed_s = self._failed_s > _FAILED_S[0], _FAILED_S[0]
            left, progress = outcome
            has_new = bool(self._grown)
            self._grown.update(dict.fromkeys(left))
            self._owed.difference_update(rooms)
            self._owed.update(left)
            self._is_late = self._is_late or bool(left)
            if progress is not None and self._rebuilding is not None:
                self._rebuilding[0](*progress)
            # What is behind is taken in at once; what has just come, with what comes soon.
            is_behind = (
                was_behind or left or self._looks_after is not None or self._rebuilding is not None
            )
            self._look_done()
            is_pressed, self._is_pressed = self._is_pressed and self._rebuilding is None, False
            if is_behind:
                self._wait(max(_PAUSE_S, _SHARE * spent_s) if is_pressed else _PAUSE_S)
            elif has_new:
                self._wait(_WAIT_S)

        self._is_busy = self._has_taken = True
        self._connections.write(take_in, took)

    def _wait_failed(self) -> None:
        self._is_late = True
        self._wait(self._failed_s)
        self._failed_s = min(2 * self._failed_s, _FAILED_S[1])

    def _rebuilt(self, outcome: Refusal | None) -> None:
        rebuilding, self._rebuilding = self._rebuilding, None
        self._is_to_empty = False
        if rebuilding is not None:
            rebuilding[1](outcome)
