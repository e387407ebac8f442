"""`chatd backup` and `chatd verify`, in this process."""

from __future__ import annotations

import io
import os
import signal
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from chatd import commands
from chatd.brokers import verify as verifying
from chatd.brokers.backup import backup
from chatd.brokers.schema import MIGRATIONS
from chatd.commands import COMMANDS, Meter
from tests.support.databases import DatabaseCase, flip


class Terminal(io.StringIO):
    """A stream that somebody looks at."""

    def isatty(self) -> bool:
        """Yes."""
        return True


class CommandCase(DatabaseCase):
    def setUp(self) -> None:
        super().setUp()
        kept = {name: value for name, value in os.environ.items() if name[:6] != "CHATD_"}
        self.patch(os, "environ", kept)

    def run_command(self, *words: str) -> tuple[object, str, str]:
        """Run a command; returns its status, standard output and standard error."""
        with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
            try:
                COMMANDS[words[0]](words[1:])
            except SystemExit as end:
                return end.code, out.getvalue(), err.getvalue()
            return 0, out.getvalue(), err.getvalue()

    def refused(self, status: int, line: str, *words: str) -> None:
        """Check that it ends with this status and one line on standard error that has these words.

        Args:
            status: expected.
            line: what the one line must hold.
            words: the command.
        """
        found, out, err = self.run_command(*words)
        self.assertEqual((found, out), (status, ""), err)
        self.assertIn(line, err)
        self.assertEqual(err.count("\n"), 1, err)
        self.assertTrue(err[:-1].isprintable())


class BackupTests(CommandCase):
    def setUp(self) -> None:
        super().setUp()
        self.target = str(self.folder / "copy")

    def test_copy(self) -> None:
        """It copies the database it is told and says how large the copy is."""
        self.filled(10)
        said = self.run_command("backup", "--database", self.path, self.target)
        size = os.path.getsize(self.target)
        self.assertEqual(said, (0, f"copied to {self.target!r}: {size // 1024} KiB\n", ""))
        self.assertEqual(self.rows("select count(*) from message", self.target), [(10,)])

    def test_configured(self) -> None:
        """Without one it takes the daemon's: from variable or file."""
        self.filled(10)
        file = self.folder / "chatd.toml"
        file.write_text(f"[storage]\ndatabase = {self.path!r}\n")
        said = self.run_command("backup", self.target, "--config", str(file))
        self.assertEqual(said[0], 0, said)
        os.environ["CHATD_STORAGE_DATABASE"] = self.path
        said = self.run_command("backup", "--force", self.target)
        self.assertEqual(said[0], 0, said)

    def test_force(self) -> None:
        """It overwrites only with `--force`, wherever that stands."""
        self.filled(10)
        Path(self.target).write_text("precious")
        words = ("backup", "--database", self.path, self.target)
        self.refused(1, "is there already; see --force", *words)
        self.assertEqual(Path(self.target).read_text(), "precious")
        self.assertEqual(self.run_command(*words, "--force")[0], 0)

    def test_large(self) -> None:
        """Above a MiB the size is told in these."""
        self.patch(commands, "backup", lambda *_, **__: (1 << 20) * 3 // 2)
        _, out, _ = self.run_command("backup", "--database", self.path, self.target)
        self.assertEqual(out, f"copied to {self.target!r}: 1.5 MiB\n")

    def test_no_folder(self) -> None:
        """A folder that is not there is named."""
        self.filled(10)
        words = ("backup", "--database", self.path, "/nowhere/x")
        self.refused(1, "'/nowhere/x': there is no folder '/nowhere'", *words)

    def test_memory(self) -> None:
        """A database in memory cannot be copied by another process; who chose it is told."""
        self.refused(
            1, "--database: a database in memory", "backup", "--database", ":memory:", self.target
        )

    def test_settings(self) -> None:
        """Settings that make no sense are one line."""
        self.refused(1, "cannot read '/no.toml'", "backup", "--config", "/no.toml", self.target)
        self.refused(1, "--database: must be", "backup", "--database", "", self.target)

    def test_usage(self) -> None:
        """A wrong option, or not one file, is status 2; the line stays one line."""
        for words in ((), ("a", "b")):
            self.refused(2, "give one FILE to copy to; see chatd backup --help", "backup", *words)
        self.refused(2, "option --forse not recognized", "backup", "--forse", "a")
        self.refused(2, "requires argument", "backup", "--database")
        self.refused(2, r"\n", "backup", "--a\nb\x1b", "a")

    def test_help(self) -> None:
        """`--help` and `-h` tell all, whatever else is said."""
        for word in ("--help", "-h"):
            status, out, err = self.run_command("backup", word, "a", "b")
            self.assertEqual((status, err), (0, ""))
            for part in ("--force", "--database PATH", "--config FILE", "Examples:", "Status:"):
                self.assertIn(part, out)

    def ended(self, number: signal.Signals) -> object:
        """Send this process a signal in the middle of a backup; returns the status."""
        self.filled(10)
        before = signal.getsignal(number)

        def slow(source: str, target: str, _progress: Meter, *, overwrite: bool) -> int:
            def progress(_done: int, _total: int) -> None:
                os.kill(os.getpid(), number)

            return backup(source, target, progress, overwrite=overwrite)

        self.patch(commands, "backup", slow)
        status, out, err = self.run_command("backup", "--database", self.path, self.target)
        self.assertEqual((out, err), ("", ""))
        self.assertNotIn("copy", self.names())
        self.assertNotIn("copy.part", self.names())
        self.assertIs(signal.getsignal(number), before)
        return status

    def test_ctrl_c(self) -> None:
        """Ctrl-C ends it without a word and leaves nothing."""
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        self.addCleanup(signal.signal, signal.SIGINT, before)
        self.assertEqual(self.ended(signal.SIGINT), 130)

    def test_terminated(self) -> None:
        """So do SIGTERM, and SIGHUP of a terminal that goes away."""
        self.assertEqual(self.ended(signal.SIGTERM), 143)

    def test_hung_up(self) -> None:
        """With their own status."""
        self.assertEqual(self.ended(signal.SIGHUP), 129)


class VerifyTests(CommandCase):
    def test_sound(self) -> None:
        """A sound one is counted; without a file it is the daemon's."""
        self.filled(10)
        text = f"{self.path!r}: rooms 1, messages 10, records 0, openings 1\nin order\n"
        before = signal.getsignal(signal.SIGINT)
        self.assertEqual(self.run_command("verify", self.path), (0, text, ""))
        self.assertEqual(self.run_command("verify", "--database", self.path), (0, text, ""))
        os.environ["CHATD_STORAGE_DATABASE"] = self.path
        self.assertEqual(self.run_command("verify"), (0, text, ""))
        self.assertIs(signal.getsignal(signal.SIGINT), before)

    def test_problems(self) -> None:
        """Problems are told, twenty of them, and the status is 1."""
        self.filled(10)
        self.execute("delete from message where key & 0xffffff = 5")
        status, out, err = self.run_command("verify", self.path)
        self.assertEqual((status, err), (1, ""))
        self.assertEqual(out.splitlines()[0], f"{self.path!r}: room 'lobby', 6: should be 5")
        self.assertEqual(out.splitlines()[-1], "not in order")
        self.execute("update message set size = 0, sender = 'x', body = 'x'")
        _, out, _ = self.run_command("verify", self.path)
        self.assertEqual(out.splitlines()[20], f"{self.path!r}: and 8 more problems")

    def test_damage(self) -> None:
        """A damaged file is a problem like any other, no traceback."""
        self.filled(1000)
        flip(self.path, os.path.getsize(self.path) // 2, 4000)
        status, out, err = self.run_command("verify", self.path)
        self.assertEqual((status, err), (1, ""))
        self.assertEqual(out.splitlines()[-1], "not in order")

    def test_older(self) -> None:
        """Of an older version it says what it did not look at."""
        self.filled(10)
        self.patch(verifying, "MIGRATIONS", (*MIGRATIONS, "create table later (a)"))
        status, out, _ = self.run_command("verify", self.path)
        self.assertEqual(status, 0)
        self.assertIn(f"is of the older version {len(MIGRATIONS)}: only the file", out)

    def test_cannot(self) -> None:
        """One that cannot be read is one line and status 1."""
        self.refused(1, "is not there", "verify", self.path)

    def test_usage(self) -> None:
        """A wrong option, or too many files, is status 2."""
        self.refused(2, "give one FILE at most", "verify", "a", "b")
        self.refused(2, "not both", "verify", "a", "--database", "b")
        self.refused(2, "option --force not recognized", "verify", "--force")


class AnswerTests(CommandCase):
    def test_reader_gone(self) -> None:
        """A command of which nobody reads the answer ends as by a signal, without a traceback."""
        self.filled(1)
        for words in (("verify", self.path), ("verify", "--help")):
            reading, writing = os.pipe()
            os.close(reading)
            # Closed at the end, which writes what is left.
            with os.fdopen(writing, "w") as out, redirect_stdout(out):
                end = self.assertRaises(SystemExit, COMMANDS["verify"], words[1:])
            self.assertEqual(end.code, 128 + signal.SIGPIPE)


class MeterTests(SynchronousTestCase):
    def show(self, stream: io.StringIO, *times: float) -> str:
        """What is shown when it is told one percent more at each of these times."""
        clock = iter((0.0, *times))
        meter = Meter("copying", stream, lambda: next(clock))
        for done, _ in enumerate(times, 1):
            meter(done, 100)
        meter.clear()
        return stream.getvalue()

    def test_short(self) -> None:
        """What takes less than a second shows nothing."""
        self.assertEqual(self.show(Terminal(), 0.1, 0.9), "")

    def test_long(self) -> None:
        """What takes longer is shown, a few times a second, and wiped away."""
        self.assertEqual(
            self.show(Terminal(), 0.9, 1.0, 1.1, 1.3),
            "\rcopying: 2 %\rcopying: 4 %\r\x1b[K",
        )

    def test_no_terminal(self) -> None:
        """Where nobody looks nothing is shown."""
        self.assertEqual(self.show(io.StringIO(), 5.0), "")

    def test_nothing(self) -> None:
        """Nothing of nothing is no error."""
        clock = iter((0.0, 5.0))
        stream = Terminal()
        Meter("looking", stream, lambda: next(clock))(0, 0)
        self.assertEqual(stream.getvalue(), "\rlooking: 0 %")
