"""What every archive promises, and one in memory over a scripted broker."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock

from chatd.core.archive import COUNTED, MOST_FOUND, Archive, Query, Target, Unread
from chatd.core.broker import ERASED, Broker
from chatd.core.events import MESSAGE, OTHER, About, Kind, Message, Sender, compact, payload
from chatd.errors import BAD_REQUEST, Refusal
from tests.support.brokers import settle
from tests.support.scripted import ScriptedBroker

if TYPE_CHECKING:
    from twisted.trial.unittest import SynchronousTestCase as Case
else:
    # A mixin that is no case itself, or both runners would run it alone.
    Case = object

__all__ = ["ANN", "BOB", "ArchiveContract", "ScriptedArchive"]

ANN = Sender("ann", "session-1", "Ann")
BOB = Sender("bob", "session-2", "Bob")

_NAMES = ("ann", "bob", "cid", "dan")

_steps = st.tuples(
    st.sampled_from(
        ("say", "say", "other", "edit", "edit", "delete", "react", "trim", "turn", "restart")
    ),
    st.sampled_from((ANN, BOB)),
    st.integers(1, 8),
    st.lists(st.sampled_from(_NAMES), max_size=3, unique=True),
)


class ScriptedArchive:
    """`core.archive.Archive` over the messages of a scripted broker, which answers for it.

    What is asked is in `ScriptedBroker.asked`, as `target`, `unread` and `search`. It searches for
    a plain piece of text, in any case, and by rank as by time.
    """

    def __init__(self, broker: ScriptedBroker) -> None:
        self._broker = broker

    def target(
        self, room: str, offset: int, done: Callable[[Target | Refusal | None], None]
    ) -> None:
        """See `Archive.target`."""

        def find() -> Target | None:
            if not self._broker.gone(room) < offset <= self._broker.head(room):
                return None
            message, about = self._stored(room)[offset]
            edits = tuple(self._edits(room, offset))
            is_erased = message.payload == ERASED
            return Target(message.sender.user, message.time_ms, about.kind, is_erased, edits)

        self._broker.ask("target", find, done)

    def unread(
        self,
        room: str,
        after: int,
        user: str,
        names: Sequence[str],
        done: Callable[[Unread | Refusal], None],
    ) -> None:
        """See `Archive.unread`."""

        def find() -> Unread:
            stored, first = self._stored(room), max(after, self._broker.gone(room))
            latest = [offset for offset in stored if offset > first][-COUNTED:]
            messages = sum(
                about.kind is Kind.MESSAGE
                and message.sender.user != user
                and message.payload != ERASED
                for message, about in map(stored.__getitem__, latest)
            )
            naming: set[int] = set()
            for name in names:
                found = [at for at, named in self._mentions(room).items() if name in named]
                naming.update([at for at in sorted(found) if at > first][-COUNTED:])
            mentions = sum(stored[offset][0].sender.user != user for offset in naming)
            return Unread(messages, min(mentions, COUNTED))

        self._broker.ask("unread", find, done)

    def search(self, query: Query, done: Callable[[Sequence[Message] | Refusal], None]) -> None:
        """See `Archive.search`."""

        def find() -> Sequence[Message] | Refusal:
            wanted = query.text.casefold().strip('" ')
            if not any(map(str.isalnum, wanted)):
                return BAD_REQUEST
            found = [each for each in self._latest(query.room) if self._is_found(query, each)]
            found = [each for each in found if wanted in _text(each).casefold()][::-1]
            return found[query.skip :][: min(query.limit, MOST_FOUND)]

        self._broker.ask("search", find, done)

    def erasing(self, offset: int) -> tuple[int, ...]:
        """What goes with a message of the lobby: its edits, too."""
        return (offset, *self._edits("lobby", offset))

    def _stored(self, room: str) -> Mapping[int, tuple[Message, About]]:
        history = zip(self._broker.history(room), self._broker.abouts(room), strict=True)
        return dict(enumerate(history, 1))

    def _edits(self, room: str, offset: int) -> list[int]:
        return [
            each
            for each, (message, about) in self._stored(room).items()
            if about.kind is Kind.EDIT and about.ref == offset < each and message.payload != ERASED
        ]

    def _mentions(self, room: str) -> Mapping[int, Sequence[str]]:
        mentions: dict[int, Sequence[str]] = {}
        stored = self._stored(room)
        for offset, (_, about) in stored.items():
            is_edit = about.kind is Kind.EDIT
            if not is_edit or 0 < about.ref < offset:
                mentions[about.ref if is_edit else offset] = about.mentions
        return {at: mentions[at] for at in mentions if stored[at][0].payload != ERASED}

    def _latest(self, room: str) -> list[Message]:
        """Messages that are not erased, with the payload of their last edit."""
        stored, found = self._stored(room), []
        for offset, (message, about) in stored.items():
            is_left = offset > self._broker.gone(room) and message.payload != ERASED
            if is_left and about.kind is Kind.MESSAGE:
                last = [offset, *self._edits(room, offset)][-1]
                found.append(message._replace(payload=stored[last][0].payload))
        return found

    @staticmethod
    def _is_found(query: Query, message: Message) -> bool:
        return (
            query.user in ("", message.sender.user)
            and message.time_ms >= query.since_ms
            and (not query.until_ms or message.time_ms < query.until_ms)
            and (not query.before or message.offset < query.before)
        )


def _text(message: Message) -> str:
    value = json.loads(message.payload)
    return str(value["text"])


class ArchiveContract(Case):
    """The promise of `core.archive.Archive`.

    A case with it as its first base makes archives, each over a broker that keeps apart from
    others, and lets time go by for them.
    """

    broker: Broker
    archive: Archive

    def make(self) -> tuple[Broker, Archive]:
        """Make a broker and an archive of what it stores."""
        raise NotImplementedError

    def turn(self) -> None:
        """Wait until all that was asked is done, and what was said can be found."""
        raise NotImplementedError

    def restart(self) -> None:
        """Make both anew over what is stored, if it is kept, with the lobby open."""

    def step_clock(self, seconds: float) -> None:
        """Have the wall clock step."""
        raise NotImplementedError

    def begin(self, *rooms: str) -> None:
        """Make them, with the broker started and rooms open."""
        self.broker, self.archive = self.make()
        self.broker.start(lambda events: None)
        for room in rooms or ("lobby",):
            self.broker.open(room, lambda opened: None)
        self.turn()
        self.count = 0

    def publish(
        self, text: str, about: About = MESSAGE, by: Sender = BOB, room: str = "lobby"
    ) -> None:
        """Have something said; what has no kind is said in other words."""
        self.count += 1
        named = f"m{self.count}"
        said = compact({"text": text}) if about.kind is Kind.OTHER else payload(named, text)
        self.broker.publish(room, by, named, said, lambda told: None, about)

    def say(self, *texts: str, by: Sender = BOB, room: str = "lobby", names: str = "") -> None:
        """Have messages said that mention somebody."""
        for text in texts:
            self.publish(text, About(Kind.MESSAGE, mentions=tuple(names.split())), by, room)
        self.turn()

    def edit(self, ref: int, text: str, by: Sender = BOB, names: str = "") -> None:
        """Have a message edited."""
        self.publish(text, About(Kind.EDIT, ref, mentions=tuple(names.split())), by)
        self.turn()

    def delete(self, *offsets: int) -> None:
        """Have messages erased, the first as the one that is deleted."""
        self.publish("", About(Kind.DELETE, offsets[0], offsets))
        self.turn()

    def trim(self, upto: int) -> None:
        """Have one step of a trim done."""
        self.broker.trim("lobby", upto, lambda gone: None)
        self.turn()

    def target(self, offset: int, room: str = "lobby") -> Target | None:
        """Look a message up."""
        told: list[Target | Refusal | None] = []
        self.archive.target(room, offset, told.append)
        self.turn()
        (found,) = told
        assert not isinstance(found, Refusal), found
        return found

    def unread(self, after: int = 0, *names: str, user: str = "ann", room: str = "lobby") -> Unread:
        """Count what somebody has not read."""
        told: list[Unread | Refusal] = []
        self.archive.unread(room, after, user, names, told.append)
        self.turn()
        (found,) = told
        assert not isinstance(found, Refusal), found
        return found

    def ask(self, query: Query) -> Sequence[Message] | Refusal:
        """Search."""
        told: list[Sequence[Message] | Refusal] = []
        self.archive.search(query, told.append)
        self.turn()
        (found,) = told
        return found

    def search(self, query: Query) -> list[tuple[int, str]]:
        """Search; offset and text of what is found."""
        found = self.ask(query)
        assert not isinstance(found, Refusal), found
        return [(message.offset, _text(message)) for message in found]

    def test_nothing_from_within(self) -> None:
        """No answer comes from within the call that asks."""
        self.begin()
        told: list[object] = []
        for offset in (1, -1):
            self.archive.target("lobby", offset, told.append)
        self.archive.unread("lobby", 0, "ann", (), told.append)
        self.archive.search(Query("lobby", "word"), told.append)
        self.archive.search(Query("lobby", "!"), told.append)
        self.assertEqual(told, [])
        self.turn()
        self.assertEqual(len(told), 5)

    def test_target(self) -> None:
        """A message is told with who said it, when, and what it is."""
        self.begin()
        self.say("one", by=ANN)
        self.step_clock(1)
        self.publish("two", About(Kind.REACTION, 1))
        self.turn()
        one, two = self.target(1), self.target(2)
        assert one is not None and two is not None
        self.assertEqual(one[:1] + one[2:], ("ann", Kind.MESSAGE, False, ()))
        self.assertEqual(two[:1] + two[2:], ("bob", Kind.REACTION, False, ()))
        self.assertIs(one.kind, Kind.MESSAGE)
        self.assertEqual(two.time_ms - one.time_ms, 1000)

    def test_target_nowhere(self) -> None:
        """There is no message beyond the head, below 1, in another room, or trimmed."""
        self.begin("lobby", "other")
        self.say(*(f"m{number}" for number in range(700)))
        self.say("one", room="other")
        beyond = (-1, 0, 701, 1 << 39, 1 << 40, (1 << 40) + 1, (1 << 41) + 1, 1 << 63, 1 << 70)
        self.assertEqual([self.target(each) for each in beyond], [None] * len(beyond))
        self.assertIsNone(self.target(1, "nowhere"))
        self.assertIsNone(self.target(2, "other"))
        self.trim(650)
        self.assertEqual([self.target(each) for each in (1, 600, 650)], [None] * 3)
        self.assertIsNotNone(self.target(651))

    def test_target_edited(self) -> None:
        """Its edits are told in order, and what else refers to it is not."""
        self.begin()
        self.say("one", "two")
        self.edit(1, "three")
        self.publish("four", About(Kind.REACTION, 1))
        self.edit(2, "five")
        self.edit(1, "six")
        self.edit(99, "seven")
        found = [self.target(each) for each in (1, 2, 3)]
        self.assertEqual([each and each.edits for each in found], [(3, 6), (5,), ()])

    def test_target_erased(self) -> None:
        """An erased message says so; an edit that is erased is none of its edits."""
        self.begin()
        self.say("one", "two")
        self.edit(1, "three")
        self.edit(1, "four")
        self.delete(1, 3)
        found = [self.target(each) for each in (1, 2, 3, 4)]
        self.assertEqual([each and each.is_erased for each in found], [True, False, True, False])
        self.assertEqual([each and each.edits for each in found], [(4,), (), (), ()])
        self.assertEqual([each and each.kind for each in found], [1, 1, 2, 2])

    def test_closed_room(self) -> None:
        """A room that is not open answers too; one that is not there has nothing."""
        self.begin()
        self.say("word", names="ann")
        self.broker.close("lobby")
        self.turn()
        self.assertIsNotNone(self.target(1))
        self.assertEqual(self.unread(0, "ann"), Unread(1, 1))
        self.assertEqual(self.search(Query("lobby", "word")), [(1, "word")])
        self.assertEqual(self.unread(0, "ann", room="nowhere"), Unread(0, 0))
        self.assertEqual(self.search(Query("nowhere", "word")), [])

    def test_unread(self) -> None:
        """Messages of others count that came after; what is no message or erased does not."""
        self.begin("lobby", "other")
        self.say("one", "two", "three")
        self.say("mine", by=ANN)
        self.say("elsewhere", room="other")
        self.edit(1, "four")
        self.publish("five", About(Kind.REACTION, 1))
        self.publish("six", OTHER)
        self.publish("seven", About(Kind.TOPIC))
        self.turn()
        counts = [self.unread(after).messages for after in (-1, 0, 1, 2, 3, 8, 1 << 40, 1 << 63)]
        self.assertEqual(counts, [3, 3, 2, 1, 0, 0, 0, 0])
        self.assertEqual(self.unread(0, user="bob"), Unread(1, 0))
        self.assertEqual(self.unread(0, user="cid"), Unread(4, 0))
        self.delete(2)
        self.assertEqual(self.unread(0), Unread(2, 0))

    def test_unread_lengths(self) -> None:
        """A message counts that is as long as what is left of an erased one."""
        self.begin()
        said = b'{"type":"message"}'
        self.assertEqual(len(said), len(ERASED))
        self.broker.publish("lobby", BOB, "x", said, lambda told: None, MESSAGE)
        self.turn()
        self.assertEqual(self.unread(), Unread(1, 0))

    def test_unread_bounded(self) -> None:
        """The newest events are looked through, for mentions older ones too."""
        self.begin()
        self.say("first", names="ann")
        for first in range(0, COUNTED + 5, 100):
            texts = [f"m{number}" for number in range(first, min(first + 100, COUNTED + 5))]
            self.say(*texts, names="dan")
        self.publish("more", OTHER)
        self.turn()
        self.assertEqual(self.unread(0, "ann"), Unread(COUNTED - 1, 1))
        self.assertEqual(self.unread(0, "dan"), Unread(COUNTED - 1, COUNTED))
        self.assertEqual(self.unread(0, "dan", "ann"), Unread(COUNTED - 1, COUNTED))

    def test_mentions(self) -> None:
        """Who is named by any of their nicks is mentioned, once a message, not by themselves."""
        self.begin("lobby", "other")
        self.say("one", names="ann cid")
        self.say("two", names="dan")
        self.say("mine", by=ANN, names="ann")
        self.say("elsewhere", room="other", names="ann")
        self.assertEqual(self.unread(0).mentions, 0)
        self.assertEqual(self.unread(0, "ann").mentions, 1)
        self.assertEqual(self.unread(0, "ann", "cid").mentions, 1)
        self.assertEqual(self.unread(0, "ann", "x", "y", "dan").mentions, 2)
        self.assertEqual(self.unread(1, "ann", "dan").mentions, 1)
        self.assertEqual(self.unread(0, "ann", user="bob").mentions, 1)

    def test_mentions_edited(self) -> None:
        """An edit takes mentions away and adds some, at the place of what it changes."""
        self.begin()
        self.say("one", "two", names="ann")
        self.edit(1, "three", names="dan")
        self.assertEqual(self.unread(0, "ann").mentions, 1)
        self.assertEqual(self.unread(0, "dan").mentions, 1)
        self.assertEqual(self.unread(1, "dan").mentions, 0)
        self.edit(1, "four", names="ann dan")
        self.edit(2, "five")
        self.assertEqual(self.unread(0, "ann").mentions, 1)

    def test_mentions_erased(self) -> None:
        """With what is erased or trimmed its mentions are gone."""
        self.begin()
        self.say("one", "two", "three", names="ann")
        self.edit(2, "four", names="ann")
        self.delete(2, 4)
        self.assertEqual(self.unread(0, "ann"), Unread(2, 2))
        self.trim(1)
        self.assertEqual(self.unread(0, "ann"), Unread(1, 1))

    def test_trimmed_at_once(self) -> None:
        """After the first step of a trim nothing of it counts or is found."""
        self.begin()
        self.say(*(f"word{number}" for number in range(700)), names="ann")
        self.trim(650)
        self.assertEqual(self.unread(0, "ann"), Unread(50, 50))
        self.assertEqual(self.search(Query("lobby", "word640")), [])
        self.assertEqual(self.search(Query("lobby", "word650")), [(651, "word650")])

    def test_acknowledged(self) -> None:
        """What was acknowledged before somebody asks is counted."""
        self.begin()
        told: list[Unread | Refusal] = []
        self.broker.publish(
            "lobby",
            BOB,
            "m1",
            payload("m1", "x"),
            lambda ack: self.archive.unread("lobby", 0, "ann", ("ann",), told.append),
            About(Kind.MESSAGE, mentions=("ann",)),
        )
        self.turn()
        self.assertEqual(told, [Unread(1, 1)])

    def test_search(self) -> None:
        """Messages are found by a word, the newest first, as they are after their last edit."""
        self.begin("lobby", "other")
        self.say("a word", "nothing", "Word again")
        self.say("a word elsewhere", room="other")
        self.publish("word", OTHER)
        self.publish("word", About(Kind.TOPIC))
        self.turn()
        self.assertEqual(self.search(Query("lobby", "word")), [(3, "Word again"), (1, "a word")])
        self.edit(1, "something else")
        self.edit(2, "a word now")
        self.assertEqual(
            self.search(Query("lobby", "word")), [(3, "Word again"), (2, "a word now")]
        )
        self.assertEqual(self.search(Query("lobby", "else")), [(1, "something else")])
        self.delete(2, 7)
        self.assertEqual(self.search(Query("lobby", "word")), [(3, "Word again")])

    def test_search_as_stored(self) -> None:
        """What is found has its own offset, time and sender."""
        self.begin()
        self.say("word", by=ANN)
        self.step_clock(9)
        self.edit(1, "another word", by=ANN)
        found = self.ask(Query("lobby", "another"))
        target = self.target(1)
        assert target is not None
        expected = Message("lobby", ANN, payload("m2", "another word"), 1, target.time_ms)
        self.assertEqual(found, [expected])

    def test_search_part(self) -> None:
        """A search can be of one author, of a time, before an offset, of so many."""
        self.begin()
        self.say("word", by=ANN)
        self.step_clock(10)
        self.say("word", "word")
        self.step_clock(10)
        self.say("word", by=ANN)
        target = self.target(2)
        assert target is not None
        middle = target.time_ms

        def found(**more: object) -> list[int]:
            query = Query("lobby", "word")._replace(**more)  # type: ignore[arg-type]
            return [offset for offset, _ in self.search(query)]

        self.assertEqual(found(), [4, 3, 2, 1])
        self.assertEqual(found(user="ann"), [4, 1])
        self.assertEqual(found(since_ms=middle), [4, 3, 2])
        self.assertEqual(found(until_ms=middle), [1])
        self.assertEqual(found(since_ms=middle, until_ms=middle + 1), [3, 2])
        self.assertEqual(found(before=3), [2, 1])
        self.assertEqual(found(limit=2), [4, 3])
        self.assertEqual(found(limit=2, skip=1), [3, 2])

    def test_search_nothing(self) -> None:
        """Without a word there is nothing to search for."""
        self.begin()
        for text in ("!", '""', " "):
            self.assertEqual(self.ask(Query("lobby", text)), BAD_REQUEST)

    @settings(
        suppress_health_check=[HealthCheck.differing_executors], deadline=None, max_examples=40
    )
    @given(st.lists(_steps, max_size=30))
    def test_anything(self, plan: list[tuple[str, Sender, int, list[str]]]) -> None:
        """Whatever was done, it tells the same as one in memory."""
        self.begin()
        clock = Clock()
        model = ScriptedBroker(clock)
        expected = ScriptedArchive(model)
        model.start(lambda events: None)
        model.open("lobby", lambda opened: None)
        settle(clock)
        head = 0
        for number, (what, by, value, names) in enumerate(plan):
            settle(clock)
            if what in ("trim", "turn", "restart"):
                self.turn()
                if what == "restart":
                    self.restart()
                upto = min(value, model.head("lobby"))
                if what == "trim":
                    for each in (self.broker, model):
                        each.trim("lobby", upto, lambda gone: None)
                self.turn()
                settle(clock)
                continue
            about = {
                "say": About(Kind.MESSAGE, mentions=tuple(names)),
                "other": OTHER,
                "edit": About(Kind.EDIT, value, mentions=tuple(names)),
                "delete": About(Kind.DELETE, value, expected.erasing(value)),
                "react": About(Kind.REACTION, value),
            }[what]
            said = payload(f"m{number}", f"word{number}")
            for each in (self.broker, model):
                each.publish("lobby", by, f"m{number}", said, lambda told: None, about)
            head += 1
        self.turn()
        settle(clock)

        def told(archive: Archive) -> list[object]:
            answers: list[object] = []
            for offset in range(head + 2):
                archive.target("lobby", offset, answers.append)
                for user, names in (("ann", _NAMES[:1]), ("bob", _NAMES), ("cid", _NAMES[2:3])):
                    archive.unread("lobby", offset, user, names, answers.append)
                self.turn()
                settle(clock)
            for text in ("word1", "word2"):  # and what begins so
                archive.search(Query("lobby", text), answers.append)
                self.turn()
                settle(clock)
            for number, each in enumerate(answers):
                if isinstance(each, Target):
                    answers[number] = each._replace(time_ms=0)
                elif isinstance(each, list | tuple) and not isinstance(each, Unread):
                    answers[number] = [message._replace(time_ms=0) for message in each]
            return answers

        self.assertEqual(told(self.archive), told(expected))
