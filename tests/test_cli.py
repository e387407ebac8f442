"""The `chatd` command."""

from __future__ import annotations

import io
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from chatd import __version__
from chatd.cli import main

ROOT = Path(__file__).resolve().parents[1]


class MainTests(SynchronousTestCase):
    """In this process. What would run for long is asked for its help, which ends it."""

    def setUp(self) -> None:
        self.patch(sys, "argv", ["chatd"])

    def run_main(self, *words: str) -> tuple[object, str, str]:
        """Run a command; returns its status, standard output and standard error."""
        with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
            try:
                main(words)
            except SystemExit as end:
                return end.code or 0, out.getvalue(), err.getvalue()
            return 0, out.getvalue(), err.getvalue()

    def test_help(self) -> None:
        """It tells its commands and ends well."""
        for word in ("--help", "-h"):
            status, out, err = self.run_main(word)
            self.assertEqual((status, err), (0, ""))
            self.assertTrue(out.startswith("Usage: chatd "))
            self.assertIn("serve", out)

    def test_version(self) -> None:
        """It tells its version in one line."""
        self.assertEqual(self.run_main("--version"), (0, f"chatd {__version__}\n", ""))

    def test_unknown(self) -> None:
        """An unknown command is status 2 and one line that names it, on standard error."""
        status, out, err = self.run_main("sreve", "--ws", "tcp:1")
        self.assertEqual((status, out), (2, ""))
        self.assertEqual(err, "chatd: unknown command 'sreve'; see chatd --help\n")

    def test_unknown_hostile(self) -> None:
        """The line stays one line, whatever the command."""
        _, _, err = self.run_main("a\nb\x1b[31m")
        self.assertEqual(err.count("\n"), 1)
        self.assertNotIn("\x1b", err)

    def test_serve(self) -> None:
        """`serve` is twistd in the foreground without a pid file, with the words for chatd."""
        status, out, _ = self.run_main("serve", "--ws", "tcp:1", "--help")
        self.assertEqual(status, 0)
        self.assertIn("--allow-origin", out)
        self.assertEqual(
            sys.argv,
            ["chatd", "--nodaemon", "--pidfile=", "chatd", "--ws", "tcp:1", "--help"],
        )

    def test_serve_understood(self) -> None:
        """The command is serve when there are only options."""
        status, _, _ = self.run_main("--greeter", "--help")
        self.assertEqual(status, 0)
        self.assertEqual(sys.argv[3:], ["chatd", "--greeter", "--help"])

    def test_logger(self) -> None:
        """`--logger`, wherever it stands and however, goes to twistd, whose option it is."""
        name = "chatd.logs.json_lines"
        for words in (["--logger", name], [f"--logger={name}"]):
            status, _, _ = self.run_main("serve", "--ws", "tcp:1", *words, "--help")
            self.assertEqual(status, 0)
            self.assertEqual(
                sys.argv[1:],
                [
                    *("--nodaemon", "--pidfile=", f"--logger={name}"),
                    *("chatd", "--ws", "tcp:1", "--help"),
                ],
            )

    def test_no_logger(self) -> None:
        """`--logger` without a name, or with one of nothing, is status 2 and one line."""
        for words, said in (
            (["--logger"], "give it a name, e.g. chatd.logs.json_lines"),
            (["--logger="], "give it a name"),
            (["--logger", "nonsense"], "'nonsense' cannot be had"),
            (["--logger=chatd.logs.nonsense"], "'chatd.logs.nonsense' cannot be had"),
            (["--logger=chatd.logs"], "'chatd.logs' makes no observer"),
            (["--logger=a\nb"], "cannot be had"),
        ):
            status, out, err = self.run_main("serve", *words)
            self.assertEqual((status, out), (2, ""))
            self.assertIn("chatd serve: --logger: ", err)
            self.assertIn(said, err)
            self.assertEqual(err.count("\n"), 1)

    def test_wrong_option(self) -> None:
        """An option that is none is status 2, as of other commands; bad settings are 1."""
        for word, status, said in (
            ("--bogus", 2, "option --bogus not recognized; see chatd serve --help"),
            ("extra", 2, "unexpected argument 'extra'; see chatd serve --help"),
            ("--public-url=ftp://a", 1, "--public-url: must be"),
        ):
            found, out, err = self.run_main("serve", word)
            self.assertEqual((found, out, err.count("\n")), (status, "", 1))
            self.assertIn(said, err)

    def test_short_help(self) -> None:
        """`serve -h` lists the options, as `--help` does."""
        self.assertEqual(self.run_main("serve", "-h"), self.run_main("serve", "--help"))

    def test_database(self) -> None:
        """`backup` and `verify` are commands of their own, with their own help."""
        for name in ("backup", "verify"):
            status, out, err = self.run_main(name, "--help")
            self.assertEqual((status, err), (0, ""))
            self.assertTrue(out.startswith(f"Usage: chatd {name} "), out)
            self.assertIn("Examples:", out)
            self.assertIn(f"  {name}  ", self.run_main("--help")[1])

    def test_argv(self) -> None:
        """Without words it takes those of the process."""
        sys.argv = ["chatd", "--version"]
        with redirect_stdout(io.StringIO()) as out:
            main()
        self.assertEqual(out.getvalue(), f"chatd {__version__}\n")


class ProcessTests(SynchronousTestCase):
    """As people start it: `python -m chatd`."""

    def run_process(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        return subprocess.run(
            [sys.executable, "-m", "chatd", *words],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def test_help(self) -> None:
        """It tells its commands."""
        done = self.run_process("--help")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("chatd serve", done.stdout)

    def test_unknown(self) -> None:
        """An unknown command is status 2 and one line on standard error."""
        done = self.run_process("sreve")
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertEqual(len(done.stderr.splitlines()), 1)

    def test_database(self) -> None:
        """A command that fails says one line on standard error, with its status."""
        done = self.run_process("verify", "/no/such.sqlite3")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertEqual(
            done.stderr, "chatd verify: '/no/such.sqlite3' is not there, or is no file\n"
        )

    def test_wrong_option(self) -> None:
        """An option that makes no sense ends `serve` at once; the last line says what."""
        done = self.run_process("serve", "--public-url", "ftp://a")
        self.assertEqual(done.returncode, 1)
        self.assertIn("--public-url: must be", (done.stdout + done.stderr).splitlines()[-1])
