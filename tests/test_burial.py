"""What is left of a room goes for good."""

from __future__ import annotations

from collections.abc import Mapping

from twisted.trial.unittest import SynchronousTestCase

from chatd.core.burial import bury
from chatd.errors import FULL, UNAVAILABLE, Refusal
from tests.support.memory import MemoryRecords
from tests.support.people import PeopleCase, to


class Trims:
    """A broker that does nothing but trim, as it is told to.

    Args:
        outcomes: of the trims.

    Attributes:
        asked: up to where it was to be trimmed.
    """

    def __init__(self, *outcomes: int | Refusal) -> None:
        self.outcomes = list(outcomes)
        self.asked: list[tuple[str, int]] = []

    def trim(self, room: str, upto: int, done: object) -> None:
        """See `Broker.trim`."""
        self.asked.append((room, upto))
        done(self.outcomes.pop(0))  # type: ignore[operator]


class NotingRecords(MemoryRecords):
    """Records that note what is in the den after each write.

    Attributes:
        steps: the fields of it, each time.
        refused: the number of the write that is refused; -1: none.
    """

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[set[str]] = []
        self.refused = -1

    def write(self, subject: str, changes: Mapping[str, str | None], done: object) -> None:
        """Note it."""
        if len(self.steps) == self.refused:
            done(FULL)  # type: ignore[operator]
            return
        super().write(subject, changes, lambda told: None)
        self.steps.append(set(self.stored[subject]))
        done(None)  # type: ignore[operator]


class BuryTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.records = NotingRecords()
        members = {f"member:{number}": "1" for number in range(120)}
        self.records.stored["room:den"] = {"gone": "1", "private": "1", "owner": "ann", **members}
        self.told: list[Refusal | None] = []

    def bury(self, broker: Trims, head: int = 700) -> None:
        """Bury the den."""
        bury(broker, self.records, "den", lambda: head, self.told.append)  # type: ignore[arg-type]

    def test_order(self) -> None:
        """All that was said goes first, then what was laid down, and last that it is gone."""
        broker = Trims(500, 700)
        self.bury(broker)
        self.assertEqual(broker.asked, [("den", 700)] * 2)
        self.assertEqual(self.told, [None])
        self.assertEqual(self.records.stored["room:den"], {})
        for left in self.records.steps[:-1]:
            self.assertIn("gone", left)
        self.assertEqual(self.records.steps[-2], {"gone"})

    def test_nothing_said(self) -> None:
        """Where nothing was ever said nothing is trimmed."""
        broker = Trims()
        self.bury(broker, 0)
        self.assertEqual((broker.asked, self.told), ([], [None]))

    def test_trim_refused(self) -> None:
        """When it cannot be trimmed, or that leads nowhere, its record stays what it is."""
        for outcomes in ((500, UNAVAILABLE), (500, 500), (-1,)):
            self.told.clear()
            self.bury(Trims(*outcomes))
            self.assertEqual(self.told, [UNAVAILABLE])
            self.assertEqual(self.records.steps, [])

    def test_record_refused(self) -> None:
        """Wherever the record cannot be changed it still says that it is gone; then it goes on."""
        for refused in range(4):
            self.setUp()
            self.records.refused = refused
            self.bury(Trims(700))
            self.assertEqual(self.told, [FULL])
            self.assertIn("gone", self.records.stored["room:den"])
            self.records.refused = -1
            self.bury(Trims(700))
            self.assertEqual((self.told, self.records.stored["room:den"]), ([FULL, None], {}))

    def test_unreadable(self) -> None:
        """When the record cannot be read it stays what it is."""
        self.records.refusal = UNAVAILABLE
        self.bury(Trims(700))
        self.assertEqual((self.told, self.records.steps), ([UNAVAILABLE], []))

    def test_later(self) -> None:
        """What is said meanwhile goes as well."""
        heads = [700, 700, 701, 701, 701]
        broker = Trims(700, 701)
        bury(broker, self.records, "den", lambda: heads.pop(0), self.told.append)  # type: ignore[arg-type]
        self.assertEqual(broker.asked[-1], ("den", 701))
        self.assertEqual(self.told, [None])


class OpenedTests(PeopleCase):
    def test_ended(self) -> None:
        """A room that is found half destroyed is blank when it is open."""
        self.say(200, "den")
        told: list[Refusal | None] = []
        self.node.records.write("room:den", {"gone": "1", "private": "1"}, told.append)
        self.settle()
        person = self.guest("Ann", "den")
        self.assertTrue(self.room("den").charter.is_blank)
        self.assertEqual((self.room("den").head, self.room("den").tail), (200, []))
        self.assertEqual(person.offsets("den"), [])

    def test_not_now(self) -> None:
        """As long as that cannot be ended the room cannot be opened."""
        self.say(200, "den")
        self.node.records.write("room:den", {"gone": "1"}, lambda told: None)
        self.settle()
        person = self.guest("Ann")
        self.patch(self.broker, "trim", lambda room, upto, done: done(UNAVAILABLE))
        number = 9
        for _ in range(2):
            number += 1
            self.assertEqual(person.refusal(to("den", number=number)), 400)
        self.patch(self.broker, "rooms", lambda done, names: done(UNAVAILABLE))
        self.assertEqual(person.refusal(to("den", number=20)), 400)
