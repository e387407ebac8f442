"""`chatd user`, `token`, `audit` and `reindex`, in this process."""

from __future__ import annotations

import getpass
import io
import json
import os
import sys
from contextlib import redirect_stderr, redirect_stdout

from chatd import operator, passwords, secret
from chatd.brokers.lookup import Deed, accounts
from chatd.operator import COMMANDS
from chatd.tokens import Signer
from tests.support.databases import DatabaseCase

PASSWORD = "correct horse"


class Terminal(io.StringIO):
    """A stream that somebody types into."""

    def isatty(self) -> bool:
        """Yes."""
        return True


class OperatorCase(DatabaseCase):
    def setUp(self) -> None:
        super().setUp()
        kept = {name: value for name, value in os.environ.items() if name[:6] != "CHATD_"}
        self.patch(os, "environ", kept)
        os.environ["CHATD_STORAGE_DATABASE"] = self.path
        os.environ["CHATD_AUTH_USERS"] = "yes"
        self.patch(passwords, "_LOG_N", 4)

    def run_command(self, *words: str, typed: str = "") -> tuple[object, str, str]:
        """Run a command; returns its status, standard output and standard error."""
        self.patch(sys, "stdin", io.StringIO(typed))
        with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
            try:
                COMMANDS[words[0]](words[1:])
            except SystemExit as end:
                return end.code, out.getvalue(), err.getvalue()
            return 0, out.getvalue(), err.getvalue()

    def done(self, *words: str, typed: str = f"{PASSWORD}\n") -> str:
        """What a command says that is done without a complaint."""
        status, out, err = self.run_command(*words, typed=typed)
        self.assertEqual((status, err), (0, ""))
        return out

    def refused(self, status: int, line: str, *words: str, typed: str = f"{PASSWORD}\n") -> None:
        """Check that it ends with this status and one line that has these words."""
        found, out, err = self.run_command(*words, typed=typed)
        self.assertEqual((found, out), (status, ""), err)
        self.assertIn(line, err)
        self.assertEqual(err.count("\n"), 1, err)
        self.assertTrue(err[:-1].isprintable(), err)


class UserTests(OperatorCase):
    def test_all(self) -> None:
        """Accounts are made, listed, changed and removed."""
        self.made()
        self.assertEqual(self.done("user", "add", "Zoe"), "add: Zoe\n")
        self.assertEqual(self.done("user", "add", "--moderator", "ann"), "add: ann\n")
        self.assertEqual(self.done("user", "list"), "ann moderator\nZoe\n")
        before = accounts(self.path)[1]
        self.assertTrue(passwords.matches(PASSWORD, before.password))
        self.assertEqual(self.done("user", "passwd", "ZOE", typed="another one"), "passwd: Zoe\n")
        self.assertTrue(passwords.matches("another one", accounts(self.path)[1].password))
        self.assertEqual(self.done("user", "remove", "zoe"), "remove: Zoe\n")
        self.assertEqual(self.done("user", "list"), "ann moderator\n")

    def test_refused(self) -> None:
        """What cannot be done is one line."""
        self.refused(1, "is not there; chatd serve makes it", "user", "add", "ann")
        self.refused(1, "is not there; chatd serve makes it", "user", "list")
        self.made()
        self.refused(1, "there is no account of that name", "user", "remove", "ann")
        self.refused(1, "'a\\nb': a name is 1 to 32", "user", "add", "a\nb")
        self.refused(1, "in memory", "user", "list", "--database", ":memory:")
        self.done("user", "add", "ann")
        self.refused(1, "there is an account of that name", "user", "add", "Ann")

    def test_passwords(self) -> None:
        """A password that is too short, too long or no text is refused before it is asked for."""
        self.made()
        for typed, words in (
            ("short", "8 to 1024"),
            ("", "8 to 1024"),
            ("x" * 1025, "8 to 1024"),
            ("tab\tis nothing", "control"),
            ("half \udcff of one", "UTF-8"),
        ):
            self.refused(1, words, "user", "add", "ann", typed=typed)
        self.done("user", "add", "ann", typed="x" * 1024 + "\nmore\n")
        self.assertTrue(passwords.matches("x" * 1024, accounts(self.path)[0].password))

    def typed(self, *lines: str) -> None:
        """Type these lines at the prompts, and then nothing more."""
        rest = iter(lines)
        self.prompts: list[str] = []

        def ask(prompt: str) -> str:
            self.prompts.append(prompt)
            try:
                return next(rest)
            except StopIteration:
                raise EOFError from None

        self.patch(getpass, "getpass", ask)

    def test_terminal(self) -> None:
        """On a terminal it is typed twice, the same."""
        self.made()
        for lines, status, words in (
            ((PASSWORD, PASSWORD), 0, ""),
            ((PASSWORD, PASSWORD + "x"), 1, "two different"),
            (("short",), 1, "8 to 1024"),
            ((PASSWORD,), 1, "one line"),
        ):
            self.typed(*lines)
            self.patch(sys, "stdin", Terminal())
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()) as err:
                try:
                    COMMANDS["user"](["add" if status == 0 else "passwd", "ann"])
                    found: object = 0
                except SystemExit as end:
                    found = end.code
            self.assertEqual(found, status, lines)
            self.assertIn(words, err.getvalue())
        self.assertEqual(self.prompts[0], "Password: ")

    def test_off(self) -> None:
        """Where accounts are of no use yet that is said."""
        self.made()
        del os.environ["CHATD_AUTH_USERS"]
        status, out, err = self.run_command("user", "add", "ann", typed=PASSWORD)
        self.assertEqual((status, out), (0, "add: ann\n"))
        self.assertIn("auth.users is not set here", err)
        self.assertIn("CHATD_AUTH_USERS=yes", err)

    def test_usage(self) -> None:
        """What makes no sense is status 2."""
        for words in (
            (),
            ("ad", "ann"),
            ("add",),
            ("add", "a", "b"),
            ("list", "a"),
            ("passwd", "--moderator", "a"),
            ("--colour",),
        ):
            self.refused(2, "see chatd user --help", "user", *words)
        self.assertIn("Examples:", self.done("user", "--help"))


class TokenTests(OperatorCase):
    def setUp(self) -> None:
        super().setUp()
        self.made()
        self.key = secret.load(self.path, is_new=True)

    def link(self, *words: str) -> str:
        """The one line that is printed."""
        out = self.done("token", "--moderator", *words)
        self.assertEqual(out.count("\n"), 1)
        return out[:-1]

    def test_link(self) -> None:
        """It is a link of the page, with a code that is good for a day, and another each time."""
        self.patch(operator, "_now_s", lambda: 1000.0)
        address, _, code = self.link("--nick", "Mo").partition("#")
        self.assertEqual(address, "http://localhost:1920/login")
        read = Signer(self.key).redeem(code, 1000)
        self.assertEqual((read.nick, read.until_s), ("Mo", 1000 + 86400))
        self.assertNotEqual(self.link("--nick", "Mo"), f"{address}#{code}")
        self.assertEqual(Signer(self.key).redeem(self.link().partition("#")[2], 1000).nick, "")

    def test_address(self) -> None:
        """The address is the public one, or that of the first port of the site that has one."""
        for endpoint, address in (
            ("tcp:8080", "http://localhost:8080"),
            ("tcp:port=8080:interface=127.0.0.1", "http://localhost:8080"),
            ("tcp6:8080:interface=\\:\\:", "http://localhost:8080"),
            ("tcp6:8080:interface=fd00\\:\\:1", "http://[fd00::1]:8080"),
            ("tcp:8080:interface=10.0.0.1", "http://10.0.0.1:8080"),
            ("ssl:8443:privateKey=key.pem", "https://localhost:8443"),
        ):
            file = self.folder / "chatd.toml"
            file.write_text(f"[listen]\nweb = ['unix:/x', '{endpoint}']\n")
            link = self.link("--config", str(file))
            self.assertEqual(link.partition("/login")[0], address, endpoint)
        self.assertTrue(
            self.link("--public-url", "https://chat.example").startswith(
                "https://chat.example/login#"
            )
        )
        file.write_text("[listen]\nweb = 'unix:/x'\n")
        self.refused(1, "give --public-url", "token", "--moderator", "--config", str(file))

    def test_refused(self) -> None:
        """What cannot be made is one line."""
        self.refused(1, "--nick: nick invalid", "token", "--moderator", "--nick", "admin")
        self.refused(1, "in memory", "token", "--moderator", "--database", ":memory:")
        os.unlink(f"{self.path}.secret")
        self.refused(1, "secret' is not there", "token", "--moderator")
        os.unlink(self.path)
        self.refused(1, "is not there; chatd serve", "token", "--moderator")
        self.assertNotIn("chatd.sqlite3.secret", self.names())

    def test_usage(self) -> None:
        """What makes no sense is status 2."""
        self.refused(2, "say --moderator", "token")
        self.refused(2, "unexpected argument 'x'", "token", "--moderator", "x")
        self.assertIn("Examples:", self.done("token", "--help"))


class AuditTests(OperatorCase):
    def audit(self, *words: str) -> list[str]:
        """The lines of the log."""
        return self.done("audit", *words).splitlines()

    def tell(self, *said: dict[str, object]) -> None:
        """Have these in the log, a minute after each other."""
        self.found = [Deed(60_000 * number, dict(each)) for number, each in enumerate(said, 1)]
        self.asked: list[tuple[int, int]] = []

        def deeds(path: str, *, since_ms: int, most: int) -> list[Deed]:
            self.asked.append((since_ms, most))
            return self.found

        self.patch(operator, "deeds", deeds)

    def test_real(self) -> None:
        """What the commands did is told, the newest last."""
        self.made()
        self.assertEqual(self.audit(), [])
        self.done("user", "add", "ann")
        self.done("user", "remove", "ann")
        lines = self.audit()
        self.assertRegex(lines[0], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ chatd: user add user=ann$")
        self.assertEqual(
            [line.split(" ", 1)[1] for line in self.audit("-n", "1")],
            ["chatd: user remove user=ann"],
        )

    def test_words(self) -> None:
        """A line says when, who, what and to whom; nothing in it is obeyed by a terminal."""
        self.tell(
            {
                "type": "audit",
                "action": "kick",
                "by": "u1",
                "nick": "Mo",
                "room": "a",
                "seconds": 6,
            },
            {"action": "a b", "by": "Mo", "nick": "Mo", "user": "\x1b[2J\n", "x y": ""},
            {"action": 1, "note": [1, "\u202e"]},
        )
        self.assertEqual(
            self.audit(),
            [
                "1970-01-01T00:01:00Z Mo (u1): kick room=a seconds=6",
                '1970-01-01T00:02:00Z Mo: a b user="\\u001b[2J\\n" "x y"=""',
                '1970-01-01T00:03:00Z ?: 1 note="[1, \\"\\\\u202e\\"]"',
            ],
        )

    def test_json(self) -> None:
        """As JSON it is an object a line, in ASCII."""
        self.tell({"action": "kick", "user": "\x1b\u202e"})
        (line,) = self.audit("--json")
        self.assertTrue(line.isascii() and line.isprintable())
        said = {"time": "1970-01-01T00:01:00Z", "action": "kick", "user": "\x1b\u202e"}
        self.assertEqual(json.loads(line), said)

    def test_since(self) -> None:
        """A time is a day, a time of a day, one with a zone, or an age."""
        self.tell()
        self.patch(operator, "_now_s", lambda: 1_000_000.0)
        for when, since_ms in (
            ("1970-01-02", 86_400_000),
            ("1970-01-01T00:01:30", 90_000),
            ("1970-01-01T01:00+01:00", 0),
            ("90m", 1_000_000_000 - 5_400_000),
            ("7d", 1_000_000_000 - 604_800_000),
        ):
            self.audit("--since", when)
            self.assertEqual(self.asked[-1], (since_ms, -1), when)
        self.audit("-n", "5")
        self.assertEqual(self.asked[-1], (0, 5))

    def test_refused(self) -> None:
        """What cannot be read is one line; what makes no sense is status 2."""
        self.refused(1, "is not there", "audit")
        self.refused(2, "'yesterday' is no time", "audit", "--since", "yesterday")
        self.refused(2, "is no number", "audit", "-n", "-1")
        self.refused(2, "unexpected argument", "audit", "x")
        self.assertIn("Examples:", self.done("audit", "--help"))


class ReindexTests(OperatorCase):
    def test_done(self) -> None:
        """The index is made anew."""
        self.filled(10)
        self.assertEqual(self.done("reindex"), "indexed\n")

    def test_refused(self) -> None:
        """What cannot be is one line."""
        self.refused(1, "is not there", "reindex")
        self.refused(2, "unexpected argument", "reindex", "x")
        self.assertIn("Examples:", self.done("reindex", "--help"))
