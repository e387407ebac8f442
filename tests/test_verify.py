"""Looking through a whole database."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from chatd.brokers import verify as module
from chatd.brokers.backup import backup
from chatd.brokers.database import check
from chatd.brokers.schema import MIGRATIONS
from chatd.brokers.sqlite_file import connect
from chatd.brokers.verify import MOST_PROBLEMS, Report, verify
from chatd.errors import ConfigError
from tests.support.databases import DatabaseCase, flip, powerless


def quiet(_done: int, _total: int) -> None:
    """Tell nobody."""


class VerifyCase(DatabaseCase):
    def look(self) -> Report:
        """Look through the database."""
        return verify(self.path, quiet)

    def found(self, *statements: str) -> list[str]:
        """Change the database; returns what problems it has then."""
        self.execute(*statements)
        return self.look().problems


class SoundTests(VerifyCase):
    def test_counts(self) -> None:
        """A sound one has no problem and is counted."""
        self.filled(10)
        self.execute(
            "insert into room (name) values ('empty')",
            "insert into record values ('user:a', 'nick', 'Ann')",
            "insert into opening values (2, 'two')",
        )
        self.assertEqual(
            self.look(),
            Report(
                version=len(MIGRATIONS), looked=True, rooms=2, messages=10, records=1, openings=2
            ),
        )

    def test_trimmed(self) -> None:
        """Trimmed messages, and rooms trimmed to nothing, are no problem."""
        self.filled(10)
        for floor, left in ((4, 6), (10, 0)):
            self.execute(
                f"update room set floor = {floor}, top = 10, floor_opening = 1",
                f"delete from message where key & 0xffffff <= {floor}",
            )
            report = self.look()
            self.assertEqual((report.problems, report.messages), ([], left))

    def test_erased(self) -> None:
        """An erased message, as it is stored, is no problem."""
        self.filled(10)
        body = '{"type":"deleted"}'
        self.assertEqual(
            self.found(
                "insert into message values "
                f"((1 << 40) + 11, 1, 11, {2 + len(body)}, 3, null, 'u', 'x', '[]', '{body}')"
            ),
            [],
        )

    def test_while_written(self) -> None:
        """Others may write meanwhile, and have a transaction open."""
        self.filled(10)
        with closing(connect(self.path, write=True)) as writing:
            writing.execute("begin immediate")
            writing.execute("delete from message where key & 0xffffff = 5")
            self.assertEqual(self.look().problems, [])
            writing.execute("rollback")

    def test_of_one_moment(self) -> None:
        """What is written while it looks is not seen at all."""
        self.filled(10)

        def lacks(_connection: sqlite3.Connection, _migrations: object) -> list[str]:
            self.execute("delete from message where key & 0xffffff = 5")
            return []

        self.patch(module, "lacks", lacks)
        self.assertEqual(self.look().problems, [])

    def test_backup(self) -> None:
        """A backup is looked through in place, even where nothing can be written."""
        self.filled(10)
        (self.folder / "away").mkdir()
        copy = str(self.folder / "away" / "copy")
        backup(self.path, copy, quiet)
        with powerless(self.folder):
            os.chmod(self.folder / "away", 0o500)
            self.assertEqual(verify(copy, quiet).problems, [])
        self.assertEqual(os.listdir(self.folder / "away"), ["copy"])

    def test_progress(self) -> None:
        """It tells how many messages it has seen, to the end."""
        self.filled(2500)
        told: list[tuple[int, int]] = []
        verify(self.path, lambda *step: told.append(step))
        self.assertEqual(told, [(0, 2500), (1000, 2500), (2000, 2500), (2500, 2500)])

    def test_strange_texts(self) -> None:
        """Any JSON is JSON: signs of all kinds, and numbers that Python would refuse."""
        self.filled(1)
        for offset, body in enumerate(
            ('"ż€😀\\u0000"', "9" * 5000, "1e999", "[" * 90 + "]" * 90), 2
        ):
            self.execute(
                "insert into message values "
                f"((1 << 40) + {offset}, 1, 9, {2 + len(body.encode())}, 0, null, 'u', 'x', '[]',"
                f" '{body}')"
            )
        self.assertEqual(self.look().problems, [])


class RowTests(VerifyCase):
    """What one row, or its neighbour, can have wrong."""

    def setUp(self) -> None:
        super().setUp()
        self.filled(10)

    def test_hole(self) -> None:
        """A missing message is told once, by the one after it."""
        self.assertEqual(
            self.found("delete from message where key & 0xffffff in (4, 5)"),
            ["room 'lobby', 6: should be 4"],
        )

    def test_floor(self) -> None:
        """So is a missing first one."""
        self.execute("update room set floor = 3, floor_opening = 1, top = 3")
        self.assertEqual(
            self.found("delete from message where key & 0xffffff <= 4"),
            ["room 'lobby', 5: should be 4"],
        )

    def test_left(self) -> None:
        """Some that were trimmed may be left, up to the floor, of any opening."""
        self.execute(
            "insert into opening values (2, 'two')",
            "update room set floor = 6, floor_opening = 2, top = 10",
            "update message set opening = 2 where key & 0xffffff > 4",
        )
        for first in (0, 3, 6):
            found = self.found(f"delete from message where key & 0xffffff <= {first}")
            self.assertEqual(found, [], first)
        self.assertEqual(self.found("update room set floor = 8"), [])
        self.assertEqual(
            self.found("delete from message where key & 0xffffff = 8"),
            ["room 'lobby', 9: should be 8"],
        )

    def test_latest(self) -> None:
        """The last message is not older than the one that a trim has seen."""
        self.assertEqual(self.found("update room set time = 10"), [])
        words = "room 'lobby': its last message is older than it was when trimmed"
        self.assertEqual(self.found("update room set time = 11"), [words])
        emptied = "update room set floor = 10, top = 10, floor_opening = 1"
        self.assertEqual(self.found(emptied, "delete from message"), [])

    def test_top(self) -> None:
        """A lost end is told when the room says that there was more."""
        self.assertEqual(
            self.found("update room set top = 12"), ["room 'lobby': 11 to 12 are missing"]
        )
        self.assertEqual(self.found("delete from message"), ["room 'lobby': 1 to 12 are missing"])

    def test_floor_above_top(self) -> None:
        """A room cannot be trimmed beyond its end, nor below its beginning."""
        self.assertEqual(
            self.found(
                "delete from message",
                "update room set floor = 12, floor_opening = 1, top = 10",
            ),
            ["room 'lobby' was trimmed to 12 and ends at 10"],
        )

    def test_floor_opening(self) -> None:
        """What was trimmed was written in an opening that exists."""
        self.assertEqual(
            self.found(
                "delete from message where key & 0xffffff <= 3",
                "update room set floor = 3, floor_opening = 7, top = 3",
            )[0],
            "room 'lobby' was trimmed in opening 7, which is none",
        )

    def test_time(self) -> None:
        """Times may stand still and never fall."""
        self.assertEqual(self.found("update message set time = 4 where key & 0xffffff = 5"), [])
        self.assertEqual(
            self.found("update message set time = 3 where key & 0xffffff = 5"),
            ["room 'lobby', 5: its time is before that of the message before it"],
        )

    def test_opening(self) -> None:
        """Openings never fall, and exist."""
        self.assertEqual(
            self.found(
                "insert into opening values (2, 'two')",
                "update message set opening = 2 where key & 0xffffff >= 9",
            ),
            [],
        )
        self.assertEqual(
            self.found("update message set opening = 1 where key & 0xffffff = 10"),
            ["room 'lobby', 10: its opening is before that of the message before it"],
        )
        self.assertEqual(
            self.found("update message set opening = 3 where key & 0xffffff = 10"),
            ["room 'lobby', 10: its opening 3 does not exist"],
        )

    def test_size(self) -> None:
        """The size is the bytes of sender and body."""
        self.assertEqual(
            self.found("update message set size = 7 where key & 0xffffff = 2"),
            ["room 'lobby', 2: its size is 24, not 7"],
        )

    def test_json(self) -> None:
        """Sender and body are JSON, which has no NaN, in UTF-8."""
        for body in ("x", "", "NaN", "[1", "1 2", "[" * 100_000):
            self.assertEqual(
                self.found(
                    f"update message set body = '{body}', size = {2 + len(body)}"
                    " where key & 0xffffff = 2"
                ),
                ["room 'lobby', 2: its body is not JSON"],
                body[:10],
            )
        self.assertEqual(
            self.found(
                "update message set body = cast(x'22ff22' as text), size = 4, sender = '?x' "
                "where key & 0xffffff = 2"
            ),
            [
                "room 'lobby', 2: its size is 5, not 4",
                "room 'lobby', 2: its sender is not JSON",
                "room 'lobby', 2: its body is not JSON",
            ],
        )

    def test_names(self) -> None:
        """User and id are UTF-8."""
        self.assertEqual(
            self.found(
                "update message set user = cast(x'ff' as text), id = cast(x'ff' as text) "
                "where key & 0xffffff = 2"
            ),
            ["room 'lobby', 2: its user is not UTF-8", "room 'lobby', 2: its id is not UTF-8"],
        )

    def test_kind(self) -> None:
        """Kinds are those that there are."""
        for kind in (0, 5):
            self.assertEqual(self.found(f"update message set kind = {kind}"), [])
        self.assertEqual(
            self.found("update message set kind = 6 where key & 0xffffff = 2"),
            ["room 'lobby', 2: its kind 6 does not exist"],
        )

    def test_ref(self) -> None:
        """Only a message before in the same room can be changed."""
        self.assertEqual(
            self.found("update message set ref = key - 1 where key & 0xffffff = 3"), []
        )
        for ref in (0, 2, 3, 1 << 40, -1):
            self.assertEqual(
                self.found(f"update message set ref = (1 << 40) + {ref} where key & 0xffffff = 2"),
                [
                    f"room 'lobby', 2: it changes {ref % (1 << 40)}, which is not before it in its"
                    " room"
                ],
            )

    def test_mentions(self) -> None:
        """Mentions are in messages that are there, and not erased."""
        self.assertEqual(self.found("insert into mention select 'ann', key from message"), [])
        self.assertEqual(
            self.found("insert into mention values ('ann', 7), ('bob', 7)"),
            ["there are 2 mentions in messages that are not there"],
        )
        body = '{"type":"deleted"}'
        self.assertEqual(
            self.found(
                "delete from mention where key = 7",
                f"update message set body = '{body}', size = {2 + len(body)}"
                " where key & 0xffffff = 3",
            ),
            ["there are 1 mentions in messages that are erased"],
        )

    def test_words(self) -> None:
        """The words that are known are those of messages that are there."""
        self.execute(
            "insert into words (rowid, text) values ((1 << 40) + 2, 'word')",
            "update room set indexed = 12",
        )
        problems = self.found("update room set indexed = 12")
        self.assertEqual(len(problems), 2, problems)
        self.assertIn("words up to 12 are known", problems[0])
        self.assertIn("has not forgotten 1 messages", problems[1])

    def test_no_room(self) -> None:
        """Messages of a room that does not exist are told once."""
        self.assertEqual(
            self.found("update message set key = key + (6 << 40) where key & 0xffffff > 5"),
            ["there are messages of room 7, which does not exist"],
        )

    def test_two_rooms(self) -> None:
        """Each room is looked at by itself."""
        self.assertEqual(
            self.found(
                "insert into room (n, name) values (2, 'other')",
                "insert into message select key + (1 << 40), 1, 1, size, kind, null, user, id, "
                "sender, body from message where key & 0xffffff < 4",
            ),
            [],
        )

    def test_many(self) -> None:
        """The first problems are told, the others counted."""
        report = self.look()
        self.assertEqual((len(report.problems), report.more), (0, 0))
        self.execute("update message set size = 0, sender = 'x', body = 'x'")
        report = self.look()
        self.assertEqual((len(report.problems), report.more), (MOST_PROBLEMS, 10))

    def test_one_line(self) -> None:
        """A problem that is not one line is shown as one."""
        report = Report()
        report.add("table a\nb")
        self.assertEqual(report.problems, [r"'table a\nb'"])

    def test_strange_name(self) -> None:
        """A problem is one line, whatever the room is called."""
        problems = self.found(
            "update room set top = 12, name = 'a' || char(10) || char(27) || cast(x'ff' as text)"
        )
        self.assertEqual(problems, ["room 'a\\n\\x1b�': 11 to 12 are missing"])


class FileTests(VerifyCase):
    def test_missing(self) -> None:
        """A file that is missing, or none, is no answer but an error."""
        for path in (self.path, str(self.folder)):
            error = self.assertRaises(ConfigError, verify, path, quiet)
            self.assertIn(repr(path), str(error))

    def test_forbidden(self) -> None:
        """So is one that this user may not read."""
        self.filled(10)
        with powerless(self.folder):
            os.chmod(self.path, 0)
            error = self.assertRaises(ConfigError, verify, self.path, quiet)
        self.assertIn("may this user read", str(error))

    def test_no_database(self) -> None:
        """A file that is no database is told as a problem."""
        Path(self.path).write_text("hello " * 1000)
        (problem,) = self.look().problems
        self.assertIn("the file is damaged, or no database", problem)

    def test_empty(self) -> None:
        """An empty file is no sound database, nor is another program's."""
        Path(self.path).touch()
        self.assertEqual(self.look().problems, ["nothing is in it"])
        with closing(sqlite3.connect(self.path)) as connection:
            connection.execute("create table a (b)")
        self.assertEqual(self.look().problems, ["it is another program's database"])

    def test_versions(self) -> None:
        """Of another version only the file is looked at; a newer one is a problem."""
        self.filled(10)
        later = (*MIGRATIONS, "create table later (a)")
        self.patch(module, "MIGRATIONS", later)
        self.execute("update message set size = 0")
        self.assertEqual(self.look(), Report(version=len(MIGRATIONS)))
        check(self.path, migrations=(*later, "create table latest (a)"), now=0)
        report = self.look()
        self.assertEqual(
            report.problems,
            [f"it is of version {len(MIGRATIONS) + 2}, and this chatd knows {len(MIGRATIONS) + 1}"],
        )
        self.assertFalse(report.looked)

    def test_table_missing(self) -> None:
        """A table that is missing is named."""
        self.made()
        self.assertIn("record is missing", self.found("drop table record"))

    def test_flipped(self) -> None:
        """Wherever bytes are others, that is told and nothing is raised."""
        self.filled(2000, 100)
        size = os.path.getsize(self.path)
        sound = Path(self.path).read_bytes()
        for start in (0, 100, size // 3, size // 2, size - 3000):
            Path(self.path).write_bytes(sound)
            flip(self.path, start, 2000)
            report = self.look()
            self.assertNotEqual(report.problems, [], start)
            for problem in report.problems:
                self.assertTrue(problem.isprintable(), problem)
        Path(self.path).write_bytes(sound)
        self.assertEqual(self.look().problems, [])

    def test_cut(self) -> None:
        """A file that lost its end is told."""
        self.filled(2000, 100)
        os.truncate(self.path, os.path.getsize(self.path) // 2)
        self.assertNotEqual(self.look().problems, [])
