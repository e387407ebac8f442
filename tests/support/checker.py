"""Checks what many clients saw against what a room's history says in the end.

Clients note what they asked for and what they were told, with ticks of one clock that all share.
`check` then says where that cannot have come from one room that stores each message once, in one
order, and shows it to all. It knows nothing of how the notes were taken.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import pairwise

__all__ = ["Anomaly", "Fault", "Outcome", "Publish", "Read", "Stored", "View", "check"]


class Outcome(Enum):
    """How a publish ended."""

    OK = auto()
    """It was acknowledged: it is stored."""
    REFUSED = auto()
    """It is certainly not stored."""
    UNKNOWN = auto()
    """Nobody knows: the answer never came."""


class Fault(Enum):
    """What can be wrong."""

    LOST = auto()
    """Acknowledged, and not in history."""
    DOUBLED = auto()
    """Twice in history, or shown twice to a reader."""
    REORDERED = auto()
    """In another order than it was said in, or shown in another order than history's."""
    PHANTOM = auto()
    """In history though nobody said it or it was refused, or shown and not in history."""
    HOLE = auto()
    """An offset that is missing, in history or in what was shown to a reader."""
    STALE = auto()
    """A reader was told a head that was older than what was acknowledged before it asked."""


@dataclass(frozen=True, slots=True)
class Anomaly:
    """Something that must not be.

    Args:
        fault: its kind.
        words: where.
    """

    fault: Fault
    words: str


@dataclass(frozen=True, slots=True)
class Stored:
    """A message, as history or a push shows it.

    Args:
        offset: its place.
        user: who said it.
        message_id: that user's own.
        text: of it.
    """

    offset: int
    user: str
    message_id: str
    text: str


@dataclass(slots=True)
class Publish:
    """A message that somebody wanted to be stored, tried maybe several times.

    Args:
        user: who.
        message_id: theirs; never used for two messages.
        text: of it.
        begun: the tick before it was first sent.
        ended: the tick after the answer came.
        outcome: of it.
        is_in_line: whether it must come after what the same user wanted earlier, in the list
            given to `check`; not so for one that was refused and tried again later.
    """

    user: str
    message_id: str
    text: str
    begun: int
    ended: int = 0
    outcome: Outcome = Outcome.UNKNOWN
    is_in_line: bool = True


@dataclass(frozen=True, slots=True)
class Read:
    """Somebody asked where the head is.

    Args:
        begun: the tick before.
        ended: the tick after.
        head: the answer.
    """

    begun: int
    ended: int
    head: int


@dataclass(slots=True)
class View:
    """What one reader was shown, all together or a page.

    Args:
        reader: who; for words.
        after: the first that had to come is the one after this offset.
        upto: the last that had to come; None: nobody knows how far it should have come.
        shown: in the order in which it was shown.
    """

    reader: str
    after: int = 0
    upto: int | None = None
    shown: list[Stored] = field(default_factory=list)

    @property
    def last(self) -> int:
        """The offset up to which it was shown everything."""
        return self.shown[-1].offset if self.shown else self.after


Key = tuple[str, str]


def check(
    history: Sequence[Stored],
    publishes: Iterable[Publish],
    reads: Iterable[Read] = (),
    views: Iterable[View] = (),
) -> list[Anomaly]:
    """Look for everything that must not be.

    Args:
        history: of the room from its first message, read when all was over.
        publishes: all that were tried, each user's in the order in which they were.
        reads: of the head.
        views: of readers.

    Returns:
        what was found; nothing if all is well.
    """
    wanted = list(publishes)
    places: dict[Key, int] = {}
    for each in history:
        places.setdefault((each.user, each.message_id), each.offset)
    found = _history(history, wanted)
    found += _outcomes(wanted, places)
    found += _orders(wanted, places)
    found += _reads(wanted, places, reads, len(history))
    stored = {each.offset: each for each in history}
    for view in views:
        found += _view(view, stored)
    return found


def _history(history: Sequence[Stored], wanted: Sequence[Publish]) -> list[Anomaly]:
    found = []
    for expected, each in enumerate(history, 1):
        if each.offset != expected:
            words = f"history has {each.offset} where {expected} should be"
            found.append(Anomaly(Fault.HOLE, words))
            break
    for key, times in Counter((each.user, each.message_id) for each in history).items():
        if times > 1:
            found.append(Anomaly(Fault.DOUBLED, f"{key} is {times} times in history"))
    said = {(each.user, each.message_id): each.text for each in wanted}
    for each in history:
        if said.get((each.user, each.message_id)) != each.text:
            found.append(Anomaly(Fault.PHANTOM, f"nobody said {each}"))
    return found


def _outcomes(wanted: Sequence[Publish], places: Mapping[Key, int]) -> list[Anomaly]:
    found = []
    for each in wanted:
        is_there = (each.user, each.message_id) in places
        if each.outcome is Outcome.OK and not is_there:
            found.append(Anomaly(Fault.LOST, f"acknowledged: {each}"))
        if each.outcome is Outcome.REFUSED and is_there:
            found.append(Anomaly(Fault.PHANTOM, f"refused and stored: {each}"))
    return found


def _orders(wanted: Sequence[Publish], places: Mapping[Key, int]) -> list[Anomaly]:
    found = []
    there = [
        (places[key], each) for each in wanted if (key := (each.user, each.message_id)) in places
    ]
    lines: defaultdict[str, list[tuple[int, Publish]]] = defaultdict(list)
    for offset, each in there:
        if each.is_in_line:
            lines[each.user].append((offset, each))
    for line in lines.values():
        for (one, earlier), (two, later) in pairwise(line):
            if one > two:
                words = f"one user's: {earlier} is {one}, {later} is {two}"
                found.append(Anomaly(Fault.REORDERED, words))
    latest: tuple[int, Publish] | None = None
    for offset, each in sorted(there, key=lambda pair: pair[0]):
        is_ok = each.outcome is Outcome.OK
        if is_ok and latest is not None and latest[1].begun > each.ended:
            words = f"{latest[1]} is {latest[0]}, but was said after {each}, which is {offset}"
            found.append(Anomaly(Fault.REORDERED, words))
        if latest is None or each.begun > latest[1].begun:
            latest = (offset, each)
    return found


def _reads(
    wanted: Sequence[Publish], places: Mapping[Key, int], reads: Iterable[Read], head: int
) -> list[Anomaly]:
    found = []
    acknowledged = sorted(
        (each.ended, places[key])
        for each in wanted
        if each.outcome is Outcome.OK and (key := (each.user, each.message_id)) in places
    )
    index = known = 0
    for read in sorted(reads, key=lambda each: each.begun):
        while index < len(acknowledged) and acknowledged[index][0] < read.begun:
            known = max(known, acknowledged[index][1])
            index += 1
        if read.head < known:
            words = f"{read}, when {known} was acknowledged"
            found.append(Anomaly(Fault.STALE, words))
        if read.head > head:
            found.append(Anomaly(Fault.PHANTOM, f"{read}, but the last is {head}"))
    return found


def _view(view: View, stored: Mapping[int, Stored]) -> list[Anomaly]:
    found = []
    last, seen = view.after, set[int]()
    for each in view.shown:
        where = f"to {view.reader} {each.offset} was shown after {last}"
        if stored.get(each.offset) != each:
            words = f"{where}, as {each}; history: {stored.get(each.offset)}"
            found.append(Anomaly(Fault.PHANTOM, words))
        if each.offset in seen:
            found.append(Anomaly(Fault.DOUBLED, where))
        elif each.offset < last:
            found.append(Anomaly(Fault.REORDERED, where))
        elif each.offset != last + 1:
            found.append(Anomaly(Fault.HOLE, where))
        seen.add(each.offset)
        last = max(last, each.offset)
    if view.upto is not None and last < view.upto:
        words = f"to {view.reader} nothing was shown between {last} and {view.upto}"
        found.append(Anomaly(Fault.HOLE, words))
    return found
