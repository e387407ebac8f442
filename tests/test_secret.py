"""The key with which chatd signs."""

from __future__ import annotations

import os
import resource
import stat
import tempfile
from pathlib import Path

from twisted.logger import LogLevel

from chatd.errors import ConfigError
from chatd.secret import LENGTH, load, read
from tests.support.databases import powerless
from tests.support.logs import LogCase


class SecretTests(LogCase):
    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(os.path.realpath(folder.name))
        self.database = str(self.folder / "chatd.sqlite3")
        self.file = self.folder / "chatd.sqlite3.secret"

    def refused(self, *words: str) -> None:
        """Check that it is refused in one line with these words, which says nothing of it."""
        readable = os.access(self.file, os.R_OK, effective_ids=True) and self.file.is_file()
        secret = self.file.read_bytes() if readable else b""
        error = str(self.assertRaises(ConfigError, load, self.database, is_new=True))
        self.assertTrue(error.isprintable(), repr(error))
        for word in (repr(str(self.file)), *words):
            self.assertIn(word, error)
        if secret:
            self.assertNotIn(secret.hex(), error)
            self.assertNotIn(repr(secret), error)

    def test_read(self) -> None:
        """Another process reads the same one, and never makes it."""
        error = str(self.assertRaises(ConfigError, read, self.database))
        self.assertIn("is not there", error)
        self.assertFalse(self.file.exists())
        secret = load(self.database, is_new=True)
        self.assertEqual(read(self.database), secret)
        self.file.chmod(0o640)
        self.assertIn("chmod 600", str(self.assertRaises(ConfigError, read, self.database)))
        with powerless(self.folder):
            self.file.chmod(0)
            error = str(self.assertRaises(ConfigError, read, self.database))
        self.assertIn("Permission denied", error)

    def test_made(self) -> None:
        """It is made at the first start, for its user alone, and stays the same."""
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        secret = load(self.database, is_new=True)
        self.assertEqual(len(secret), LENGTH)
        self.assertEqual(load(self.database, is_new=True), secret)
        self.assertEqual(os.listdir(self.folder), ["chatd.sqlite3.secret"])
        self.assertEqual(stat.S_IMODE(os.stat(self.file).st_mode), 0o600)
        self.assertEqual(self.lines, [])

    def test_lost(self) -> None:
        """One that is missing beside a database of before is made anew, and that is told."""
        load(self.database, is_new=False)
        (line,) = self.lines
        self.assertTrue(line.startswith(f"{self.file} was missing and is made anew"), line)
        self.assertIn("guests of before begin as somebody new", line)
        self.assertEqual(self.events[0]["log_level"], LogLevel.warn)
        load(self.database, is_new=False)
        load(":memory:", is_new=False)
        self.assertEqual(len(self.lines), 1)

    def test_chance(self) -> None:
        """No two are the same."""
        other = str(self.folder / "other.sqlite3")
        self.assertEqual(
            len(
                {
                    load(self.database, is_new=True),
                    load(other, is_new=True),
                    load(":memory:", is_new=True),
                }
            ),
            3,
        )

    def test_memory(self) -> None:
        """For a database in memory it is in no file."""
        self.assertEqual(len(load(":memory:", is_new=True)), LENGTH)
        self.assertNotEqual(load(":memory:", is_new=True), load(":memory:", is_new=True))

    def test_link(self) -> None:
        """It lies beside the database, not beside a link to it."""
        link = self.folder / "link"
        link.symlink_to(self.database)
        self.assertEqual(load(str(link), is_new=True), load(self.database, is_new=True))
        self.assertTrue(self.file.exists())

    def test_leftover(self) -> None:
        """What a crash left of the making of one is not used and no hindrance."""
        new = self.folder / "chatd.sqlite3.secret.new"
        new.write_bytes(b"short")
        new.chmod(0o644)
        self.assertEqual(len(load(self.database, is_new=True)), LENGTH)
        self.assertFalse(new.exists())

    def test_readable_by_others(self) -> None:
        """One that group or others may read or write is refused."""
        load(self.database, is_new=True)
        for mode in (0o640, 0o604, 0o620, 0o602, 0o777):
            self.file.chmod(mode)
            self.refused("chmod 600")
        self.file.chmod(0o400)
        load(self.database, is_new=True)

    def test_length(self) -> None:
        """One that is too short or too long is refused, and kept."""
        for length in (0, 1, LENGTH - 1, LENGTH + 1):
            self.file.write_bytes(b"s" * length)
            self.file.chmod(0o600)
            self.refused("is not of 32 bytes")
            self.assertEqual(self.file.read_bytes(), b"s" * length)

    def test_no_file(self) -> None:
        """A folder or a pipe is refused at once."""
        self.file.mkdir()
        self.refused("is no file")
        self.file.rmdir()
        os.mkfifo(self.file, 0o600)
        self.refused("is no file")

    def test_no_rights(self) -> None:
        """One that cannot be read, or a place where none can be made, is told."""
        load(self.database, is_new=True)
        with powerless(self.folder):
            self.file.chmod(0)
            self.refused("Permission denied")
            self.file.unlink()
            self.folder.chmod(0o500)
            self.refused("Permission denied")
            self.folder.chmod(0o700)

    def test_nothing_half_made(self) -> None:
        """When the disk takes no more, nothing is left of it."""
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_FSIZE, before)
        resource.setrlimit(resource.RLIMIT_FSIZE, (LENGTH - 1, before[1]))
        self.refused("File too large")
        self.assertEqual(os.listdir(self.folder), [])

    def test_link_to_nothing(self) -> None:
        """A link to a secret that is gone is no reason to make another."""
        os.symlink(self.folder / "nowhere", self.file)
        self.refused("No such file")
