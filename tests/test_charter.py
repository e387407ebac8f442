"""What is laid down about a room."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatd.core.charter import Charter, RoomKind, room_subject

FIELDS = st.sampled_from(
    (
        "topic",
        "owner",
        "private",
        "gone",
        "member:a",
        "member:b",
        "mute:a",
        "out:a",
        "slow",
        "invites",
    )
)
CHANGES = st.dictionaries(FIELDS, st.one_of(st.none(), st.integers(0, 9).map(str)))


def shown(charter: Charter) -> dict[str, object]:
    """All that a charter says but that it says anything."""
    return {name: getattr(charter, name) for name in Charter.__slots__ if name != "is_blank"}


class CharterTests(SynchronousTestCase):
    def test_listed(self) -> None:
        """A direct room needs a closer look until it is listed, whatever else is laid down."""
        charter = Charter("@a:b", {"topic": "x"})
        self.assertTrue(charter.restrains)
        charter.list_for_both(True)
        self.assertFalse(charter.restrains)
        charter.apply({"topic": "y"})
        self.assertFalse(charter.restrains)
        charter.list_for_both(False)
        self.assertTrue(charter.restrains)
        self.assertTrue(Charter("den").is_listed)

    def test_blank(self) -> None:
        """Of a room without a record nothing is laid down; its name says whether it is direct."""
        charter = Charter("den")
        self.assertTrue(charter.is_blank)
        self.assertIs(charter.kind, RoomKind.PUBLIC)
        self.assertFalse(charter.restrains or charter.is_gone or charter.topic or charter.owner)
        self.assertIs(Charter("@a:b").kind, RoomKind.DIRECT)
        self.assertFalse(Charter("den", {"x": ""}).is_blank)
        self.assertEqual(room_subject("den"), "room:den")

    def test_record(self) -> None:
        """A record is taken as it is stored."""
        record = {
            "topic": "t",
            "private": "1",
            "owner": "ann",
            "member:bob:x": "1",
            "mute:cid": "7",
            "out:dan": "8",
            "slow": "9",
            "invites": "10",
            "gone": "1",
        }
        charter = Charter("den", record)
        self.assertEqual(
            (charter.topic, charter.owner, charter.kind), ("t", "ann", RoomKind.PRIVATE)
        )
        self.assertEqual((charter.members, charter.mutes), ({"bob:x"}, {"cid": 7}))
        self.assertEqual((charter.kicked, charter.slow_s), ({"dan": 8}, 9))
        self.assertEqual((charter.generation, charter.is_gone), (10, True))

    def test_taken_back(self) -> None:
        """What is gone is as if it had never been."""
        record = {"topic": "t", "private": "1", "owner": "ann", "member:bob": "1", "mute:cid": "7"}
        record |= {"out:dan": "8", "slow": "9", "invites": "10", "gone": "1"}
        charter = Charter("den", record)
        charter.apply(dict.fromkeys((*record, "member:x", "mute:x", "out:x")))
        self.assertEqual(shown(charter), shown(Charter("den")))

    @given(st.lists(CHANGES))
    def test_any_order(self, changes: list[dict[str, str | None]]) -> None:
        """Change by change it becomes what the record says in the end."""
        charter, record = Charter("den"), dict[str, str | None]()
        for each in changes:
            charter.apply(each)
            record |= each
        stored = {field: text for field, text in record.items() if text is not None}
        self.assertEqual(shown(charter), shown(Charter("den", stored)))

    def test_restrains(self) -> None:
        """It restrains while somebody is muted, it is slow, or it is going."""
        for field in ("mute:a", "slow", "gone"):
            charter = Charter("den", {field: "1"})
            self.assertTrue(charter.restrains, field)
            charter.apply({field: None})
            self.assertFalse(charter.restrains, field)
        self.assertFalse(Charter("den", {"out:a": "1", "private": "1"}).restrains)

    def test_until(self) -> None:
        """Who is muted or kept out is so until then; afterwards they lapse."""
        charter = Charter("den", {"mute:a": "10", "out:b": "20"})
        self.assertEqual([charter.is_muted(user, 9) for user in "ab"], [True, False])
        self.assertEqual([charter.is_kept_out(user, 19) for user in "ab"], [False, True])
        self.assertFalse(charter.is_muted("a", 10) or charter.is_kept_out("b", 20))
        self.assertEqual(charter.lapsed(9), {})
        self.assertEqual(charter.lapsed(10), {"mute:a": None})
        self.assertEqual(charter.lapsed(20), {"mute:a": None, "out:b": None})
