"""What is kept about users."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from twisted.trial.unittest import SynchronousTestCase

from chatd.core.profiles import Profile, Profiles, user_subject
from chatd.errors import UNAVAILABLE, Refusal
from tests.support.memory import MemoryRecords


class SlowRecords(MemoryRecords):
    """Records that answer when they are let to.

    Attributes:
        late: what is to be told, in the order in which it was asked.
    """

    def __init__(self) -> None:
        super().__init__()
        self.late: list[Callable[[], None]] = []

    def read(self, subject: str, done: Callable[[Mapping[str, str] | Refusal], None]) -> None:
        """Read now, tell later."""
        super().read(subject, lambda told: self.late.append(lambda: done(told)))

    def write(
        self,
        subject: str,
        changes: Mapping[str, str | None],
        done: Callable[[Refusal | None], None],
    ) -> None:
        """Write now, tell later."""
        super().write(subject, changes, lambda told: self.late.append(lambda: done(told)))


class ProfileTests(SynchronousTestCase):
    def test_record(self) -> None:
        """A record is taken as it is stored; the rooms stay in their order."""
        profile = Profile(
            {"nick": "Ann", "read:den": "7", "room:b": "1", "room:@a:b": "1", "x": "y"}
        )
        self.assertEqual((profile.nick, profile.marks), ("Ann", {"den": 7}))
        self.assertEqual(list(profile.rooms), ["b", "@a:b"])

    def test_taken_back(self) -> None:
        """What is gone is as if it had never been."""
        record = {"nick": "Ann", "read:den": "7", "room:b": "1"}
        profile = Profile(record)
        profile.apply(dict.fromkeys((*record, "read:x", "room:x")))
        self.assertEqual((profile.nick, profile.marks, profile.rooms), ("", {}, {}))

    def test_marks(self) -> None:
        """A mark does not go back."""
        profile = Profile({"read:den": "7"})
        profile.apply({"read:den": "5"})
        self.assertEqual(profile.marks, {"den": 7})


class ProfilesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.records = SlowRecords()
        self.profiles = Profiles(self.records)
        self.told: list[object] = []

    def go(self) -> None:
        """Have everything told that waits."""
        while self.records.late:
            self.records.late.pop(0)()

    def come(self, user: str = "ann") -> Profile:
        """Have a user come."""
        found: list[Profile | Refusal] = []
        self.profiles.load(user, found.append)
        self.go()
        (profile,) = found
        assert isinstance(profile, Profile)
        self.profiles.keep(user, profile)
        return profile

    def change(self, changes: Mapping[str, str | None], *, is_here: bool) -> None:
        """Change what is kept about ann."""
        self.profiles.change("ann", changes, is_here=is_here, done=self.told.append)

    def test_nothing(self) -> None:
        """Of whom nothing was ever kept nothing is kept here."""
        self.come()
        self.assertIsNone(self.profiles.find("ann"))
        self.assertEqual(len(self.profiles), 0)

    def test_came_with_nothing(self) -> None:
        """What was kept since they asked is not replaced by nothing."""
        self.change({"nick": "Ann"}, is_here=True)
        self.go()
        self.profiles.keep("ann", Profile())
        self.assertEqual(self.profiles.find("ann").nick, "Ann")  # type: ignore[union-attr]

    def test_kept(self) -> None:
        """It is kept while they are here, one for all who ask."""
        self.records.stored[user_subject("ann")] = {"nick": "Ann"}
        profile = self.come()
        self.assertIs(self.profiles.find("ann"), profile)
        self.profiles.load("ann", self.told.append)
        self.assertEqual(self.told, [profile])
        self.profiles.keep("ann", Profile({"nick": "Other"}))
        self.assertIs(self.profiles.find("ann"), profile)
        self.profiles.drop("ann")
        self.assertEqual((self.profiles.find("ann"), len(self.profiles)), (None, 0))

    def test_refused(self) -> None:
        """What cannot be read or written is told; nothing changes."""
        self.records.refusal = UNAVAILABLE
        self.profiles.load("ann", self.told.append)
        self.change({"nick": "Ann"}, is_here=True)
        self.go()
        self.assertEqual(self.told, [UNAVAILABLE, UNAVAILABLE])
        self.assertIsNone(self.profiles.find("ann"))

    def test_changed(self) -> None:
        """A change is there once it is stored, and only here if they are."""
        self.change({"nick": "Ann"}, is_here=True)
        self.assertIsNone(self.profiles.find("ann"))
        self.go()
        self.assertEqual(self.told, [None])
        self.assertEqual(self.profiles.find("ann").nick, "Ann")  # type: ignore[union-attr]
        self.profiles.drop("ann")
        self.change({"room:den": "1"}, is_here=False)
        self.go()
        self.assertIsNone(self.profiles.find("ann"))
        self.assertEqual(self.records.stored["user:ann"], {"nick": "Ann", "room:den": "1"})

    def test_gone_meanwhile(self) -> None:
        """Who goes while something is stored is forgotten after it."""
        self.change({"nick": "Ann"}, is_here=True)
        self.change({"room:den": "1"}, is_here=True)
        self.profiles.drop("ann")
        self.records.late.pop(0)()
        self.assertIsNotNone(self.profiles.find("ann"))
        self.go()
        self.assertEqual((self.profiles.find("ann"), len(self.profiles)), (None, 0))

    def test_back_meanwhile(self) -> None:
        """Who is back before it is stored has it."""
        self.change({"nick": "Ann"}, is_here=True)
        self.profiles.drop("ann")
        self.profiles.keep("ann", Profile({"nick": "Before"}))
        self.go()
        self.assertEqual(self.profiles.find("ann").nick, "Ann")  # type: ignore[union-attr]

    def test_written_while_read(self) -> None:
        """What is stored after the record was read, and told before it, is not lost."""
        self.records.stored["user:ann"] = {"room:old": "1"}
        found: list[Profile | Refusal] = []
        self.profiles.load("ann", found.append)
        self.profiles.load("ann", found.append)
        read = [self.records.late.pop(0) for _ in range(2)]
        self.change({"room:den": "1", "room:old": None}, is_here=False)
        self.go()
        for each in read:
            each()
            assert isinstance(found[-1], Profile)
            self.assertEqual(list(found[-1].rooms), ["den"])
        self.assertEqual(self.profiles._loading, {})

    def test_written_while_coming(self) -> None:
        """What is stored when they have come, and began before, is not lost either."""
        found: list[Profile | Refusal] = []
        self.profiles.load("ann", found.append)
        read = self.records.late.pop(0)
        self.change({"room:den": "1"}, is_here=False)
        read()
        assert isinstance(found[0], Profile)
        self.profiles.keep("ann", found[0])
        self.go()
        self.assertEqual(list(self.profiles.find("ann").rooms), ["den"])  # type: ignore[union-attr]
        self.profiles.drop("ann")
        self.change({"room:more": "1"}, is_here=False)
        self.go()
        self.assertEqual(len(self.profiles), 0)

    def test_marked(self) -> None:
        """A mark is stored; of two under way the further one is, whichever came first."""
        for offset in (7, 5):
            self.profiles.mark("ann", "den", offset, self.told.append)
        self.go()
        self.assertEqual(self.told, [None, None])
        self.assertEqual(self.records.stored["user:ann"], {"read:den": "7"})
        self.profiles.mark("ann", "den", 9, self.told.append)
        self.go()
        self.assertEqual(self.records.stored["user:ann"], {"read:den": "9"})
