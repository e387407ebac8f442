"""`chatd.tap`: flags, help, and the service they make."""

from __future__ import annotations

import io
import os
import resource
import signal
import sys
import tempfile
import time
from contextlib import redirect_stdout
from pathlib import Path

from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase

from chatd import __version__
from chatd.config import TABLE, Config
from chatd.service import ChatService
from chatd.tap import Options, from_environment

FREE = ["--ws", "tcp:0:interface=127.0.0.1", "--web", "tcp:0:interface=127.0.0.1"]


class OptionsCase(SynchronousTestCase):
    """A test in an environment that says nothing of chatd."""

    def setUp(self) -> None:
        before = dict(os.environ)
        self.addCleanup(os.environ.update, before)
        for name in [name for name in os.environ if name.startswith("CHATD_")]:
            del os.environ[name]


class OptionsTests(OptionsCase):
    """The command line."""

    def parse(self, *words: str) -> Config:
        """What a command line chooses."""
        options = Options()
        options.parseOptions([*FREE, *words])
        assert options.chosen is not None
        return options.chosen

    def refuse(self, *words: str) -> str:
        """The words about a command line that is refused."""
        return str(self.assertRaises(usage.UsageError, Options().parseOptions, list(words)))

    def test_defaults(self) -> None:
        """What is not said is as the table has it."""
        config = self.parse()
        self.assertEqual(config.greeting, "connected to WebSocket server")
        self.assertTrue(config.echo)

    def test_each_kind(self) -> None:
        """Switches switch, values are set, and what may be repeated is gathered."""
        config = self.parse(
            "--no-echo",
            "--greeter",
            "--greeting=hi there",
            "--allow-origin=null",
            "--allow-origin=http://a.example",
            "--public-url=https://chat.example/",
            "--web=tcp:0",
        )
        self.assertFalse(config.echo)
        self.assertTrue(config.greeter)
        self.assertEqual(config.greeting, "hi there")
        self.assertEqual(config.allow_origin, ("null", "http://a.example"))
        self.assertEqual(config.public_url, "https://chat.example")
        self.assertEqual(config.web, ("tcp:0:interface=127.0.0.1", "tcp:0"))

    def test_closed_listener(self) -> None:
        """An empty endpoint closes a listener."""
        options = Options()
        options.parseOptions(["--ws=", "--web=tcp:0"])
        assert options.chosen is not None
        self.assertEqual(options.chosen.ws, ())

    def test_file_and_environment(self) -> None:
        """A flag wins over a variable, which wins over the file."""
        file = Path(tempfile.mkdtemp(), "chatd.toml")
        file.write_text("[plain]\ngreeting = 'file'\ngreeter = true\n[page]\nfolder = 'file'\n")
        os.environ["CHATD_PLAIN_GREETING"] = "variable"
        os.environ["CHATD_PAGE_FOLDER"] = "variable"
        self.addCleanup(os.environ.pop, "CHATD_PLAIN_GREETING")
        self.addCleanup(os.environ.pop, "CHATD_PAGE_FOLDER")
        config = self.parse("--config", str(file), "--greeting", "flag")
        self.assertEqual((config.greeting, config.page, config.greeter), ("flag", "variable", True))

    def test_refused(self) -> None:
        """Each mistake is refused in one line that names it."""
        for words, named in (
            (["--bogus"], "bogus"),
            (["extra"], "'extra'"),
            (["--allow-origin=a b"], "--allow-origin"),
            (["--config=/nonexistent.toml"], "/nonexistent.toml"),
            (["--database=x/"], "--database"),
            (["--ws=", "--web="], "nothing to listen on"),
        ):
            refusal = self.refuse(*words)
            self.assertIn(named, refusal)
            self.assertNotIn("\n", refusal)

    def test_version(self) -> None:
        """--version prints ours, not Twisted's, and ends well."""
        out = io.StringIO()
        with redirect_stdout(out):
            end = self.assertRaises(SystemExit, Options().parseOptions, ["--version"])
        self.assertEqual((out.getvalue(), end.code), (f"chatd {__version__}\n", 0))

    def test_help(self) -> None:
        """The help lists every flag and has examples."""
        words = Options().getUsage()
        for row in TABLE:
            if row.flag:
                self.assertIn(f"--{row.flag}", words)
        self.assertIn("\n  twistd chatd --config /etc/chatd.toml ", words)

    def test_help_of_values(self) -> None:
        """It says what an option takes, in a column of its own; a switch takes nothing."""
        words = Options().getUsage(100)
        for shown in ("--ws=ENDPOINT", "--allow-origin=ORIGIN", "--config=FILE", "--no-echo"):
            self.assertRegex(words, rf"\n +{shown}  +[A-Z]")
        self.assertRegex(words, r"\n +-h, --help  +")
        self.assertLess(max(map(len, words.partition("Examples:")[0].splitlines())), 101)

    def test_help_of_logger(self) -> None:
        """`--logger` is listed where it may be given: after `chatd serve`, not twistd's chatd."""
        self.patch(sys, "argv", ["/usr/bin/chatd"])
        self.assertIn("--logger=NAME", Options().getUsage())
        sys.argv = ["twistd"]
        self.assertNotIn("--logger=NAME", Options().getUsage())

    def test_short_help(self) -> None:
        """`-h` is `--help`."""
        out = io.StringIO()
        with redirect_stdout(out):
            end = self.assertRaises(SystemExit, Options().parseOptions, ["-h"])
        self.assertIn("--allow-origin", out.getvalue())
        self.assertFalse(end.code)

    def test_synopsis(self) -> None:
        """The help says how it was called."""
        before = sys.argv
        self.addCleanup(setattr, sys, "argv", before)
        sys.argv = ["/usr/bin/chatd"]
        self.assertEqual(Options().getSynopsis(), "Usage: chatd serve [options]")
        sys.argv = ["twistd"]
        self.assertEqual(Options().getSynopsis(), "[options]")  # twistd puts its own before it


class MakeServiceTests(OptionsCase):
    """The service."""

    def setUp(self) -> None:
        super().setUp()
        from twisted.internet import reactor

        seconds = reactor.seconds
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)
        handler = signal.getsignal(signal.SIGHUP)
        self.addCleanup(setattr, reactor, "seconds", seconds)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, limit)
        self.addCleanup(signal.signal, signal.SIGHUP, handler)

    def test_makes(self) -> None:
        """It is chatd, in a process that was made fit for it."""
        from twisted.internet import reactor

        chatd = from_environment(" ".join([*FREE, "--database=:memory:"]))
        assert isinstance(chatd, ChatService)
        self.assertEqual(len(chatd.ports), 2)
        chatd._listeners.abandon()  # nobody here turns the reactor, which a stop would need
        self.assertIs(reactor.seconds, time.monotonic)

    def test_cannot_be_made(self) -> None:
        """What cannot be made ends in one line, of options and of pages."""
        for words, named in (
            ("--bogus", "bogus"),
            ("--page=/nonexistent", "/nonexistent"),
            ("--ws=nonsense", "--ws: 'nonsense' is no endpoint"),
            ("--greeting 'half", "quotation"),
            ("--database=/nonexistent/chat", "there is no folder '/nonexistent'"),
        ):
            error = self.assertRaises(SystemExit, from_environment, " ".join([*FREE, words]))
            self.assertTrue(str(error).startswith("chatd: "), error)
            self.assertIn(named, str(error))
            self.assertNotIn("\n", str(error))
