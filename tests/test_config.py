"""Settings from flags, environment, file and defaults."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from chatd.config import TABLE, Config, load
from chatd.errors import ConfigError


class ConfigCase(SynchronousTestCase):
    def file(self, text: str | bytes) -> str:
        """Write a TOML file; returns its path."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = Path(folder.name, "chatd.toml")
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return str(path)

    def refused(
        self,
        *words: str,
        flags: dict[str, object] | None = None,
        environment: dict[str, str] | None = None,
        file: str | None = None,
    ) -> None:
        """Check that it is refused in one line that has these words."""
        error = self.assertRaises(ConfigError, load, flags or {}, environment or {}, file)
        self.assertTrue(str(error).isprintable(), repr(str(error)))
        for word in words:
            self.assertIn(word, str(error))


class PrecedenceTests(ConfigCase):
    def test_nothing(self) -> None:
        """With nothing said all are at their defaults."""
        self.assertEqual(load({}, {}), Config())

    def test_order(self) -> None:
        """A flag wins over the environment, that over the file, that over the default."""
        file = self.file("[plain]\ngreeting = 'file'\n")
        variable = {"CHATD_PLAIN_GREETING": "variable"}
        self.assertEqual(load({}, {}, file).greeting, "file")
        self.assertEqual(load({}, variable, file).greeting, "variable")
        self.assertEqual(load({"greeting": "flag"}, variable, file).greeting, "flag")

    def test_apart(self) -> None:
        """Each key is decided alone."""
        file = self.file("[plain]\ngreeting = 'file'\necho = false\n[limits]\nfragments = 7\n")
        chosen = load({"greeter": True}, {"CHATD_PLAIN_GREETING": ""}, file)
        self.assertEqual(
            (chosen.greeting, chosen.echo, chosen.fragments, chosen.greeter), ("", False, 7, True)
        )

    def test_lists_replace(self) -> None:
        """A list from a stronger place replaces the other, it does not add to it."""
        file = self.file("[listen]\nws = ['tcp:1', 'tcp:2']\n")
        self.assertEqual(load({}, {}, file).ws, ("tcp:1", "tcp:2"))
        self.assertEqual(load({}, {"CHATD_LISTEN_WS": "tcp:3 tcp:4"}, file).ws, ("tcp:3", "tcp:4"))
        self.assertEqual(load({"ws": ("tcp:5",)}, {}, file).ws, ("tcp:5",))

    def test_overruled_nonsense(self) -> None:
        """A bad value that a stronger place replaces is not looked at."""
        environment = {"CHATD_LIMITS_FRAGMENTS": "many"}
        self.assertEqual(load({"fragments": 3}, environment).fragments, 3)

    def test_every_variable(self) -> None:
        """Each row can be set in the environment, by its default's own text."""
        for row in TABLE:
            default = row.default
            text = " ".join(default) if isinstance(default, tuple) else str(default)
            self.assertEqual(load({}, {row.variable: text}), Config(), row.name)

    def test_every_key(self) -> None:
        """Each row can be set in the file."""
        lines = []
        for row in TABLE:
            default = row.default
            if isinstance(default, bool):
                shown = str(default).lower()
            else:
                shown = repr(list(default) if isinstance(default, tuple) else default)
            lines.append(f"{row.section}.{row.key} = {shown}")
        self.assertEqual(load({}, {}, self.file("\n".join(lines))), Config())

    def test_frozen(self) -> None:
        """What was chosen never changes."""
        with self.assertRaises(dataclasses.FrozenInstanceError):
            load({}, {}).greeting = ""  # type: ignore[misc]


class FileTests(ConfigCase):
    def test_from_environment(self) -> None:
        """`CHATD_CONFIG` names the file when no flag does; empty it names none."""
        one = self.file("[plain]\ngreeting = 'one'\n")
        two = self.file("[plain]\ngreeting = 'two'\n")
        self.assertEqual(load({}, {"CHATD_CONFIG": one}).greeting, "one")
        self.assertEqual(load({}, {"CHATD_CONFIG": one}, two).greeting, "two")
        self.assertEqual(load({}, {"CHATD_CONFIG": ""}), Config())

    def test_empty(self) -> None:
        """An empty file says nothing."""
        self.assertEqual(load({}, {}, self.file("")), Config())

    def test_unreadable(self) -> None:
        """A file that is not there, or is a folder, is named."""
        self.refused("cannot read", "/no/such.toml", "No such file", file="/no/such.toml")
        self.refused("cannot read", "Is a directory", file=tempfile.gettempdir())

    def test_forbidden(self) -> None:
        """A file that may not be read is named; a strange name stays one line."""
        file = self.file("")
        odd = os.path.join(os.path.dirname(file), "a\nb")
        self.refused("cannot read", r"a\nb", file=odd)

    def test_not_toml(self) -> None:
        """A file that is not TOML is named, and the place in it."""
        file = self.file("[plain\n")
        self.refused(file, "is not TOML", "line 1", file=file)

    def test_not_utf_8(self) -> None:
        """Nor is one that is not UTF-8."""
        file = self.file(b"[plain]\ngreeting = '\xff'\n")
        self.refused(file, "is not TOML", file=file)

    def test_endless_number(self) -> None:
        """Nor is one with a number that nothing can hold."""
        file = self.file(f"[limits]\nfragments = {'9' * 5000}\n")
        self.refused(file, "is not TOML", file=file)

    def test_bottomless(self) -> None:
        """Nor is one whose lists go on for ever."""
        file = self.file("a=" + "[" * 100_000)
        self.refused(file, "is not TOML", file=file)

    def test_pong_before_ping(self) -> None:
        """A peer must have time to answer a ping before the next one."""
        environment = {"CHATD_LIMITS_PONG_TIMEOUT_S": "25"}
        self.refused(
            "CHATD_LIMITS_PONG_TIMEOUT_S (25) must be less than limits.ping_interval_s "
            "(25, the default)",
            environment=environment,
        )
        environment = {"CHATD_LIMITS_PING_INTERVAL_S": "20"}
        self.refused(
            "limits.pong_timeout_s (20, the default) must be less than "
            "CHATD_LIMITS_PING_INTERVAL_S (20)",
            environment=environment,
        )
        environment |= {"CHATD_LIMITS_PONG_TIMEOUT_S": "19"}
        self.assertEqual(load({}, environment).ping_interval_s, 20)
        environment |= {"CHATD_LIMITS_SDK_PONG_TIMEOUT_S": "20"}
        self.refused("CHATD_LIMITS_SDK_PONG_TIMEOUT_S (20) must be less", environment=environment)

    def test_where(self) -> None:
        """Each value says where it came from: its flag, variable or file; or its key."""
        file = self.file("[plain]\ngreeting = 'x'\n")
        config = load({"ws": ("tcp:1",)}, {"CHATD_LISTEN_WEB": "tcp:2"}, file)
        self.assertEqual(config.where("ws"), "--ws")
        self.assertEqual(config.where("web"), "CHATD_LISTEN_WEB")
        self.assertEqual(config.where("greeting"), f"{file!r}: plain.greeting")
        self.assertEqual(config.where("page"), "page.folder")

    def test_unknown(self) -> None:
        """An unknown section or key is named, with the file."""
        for text, words in (
            ("[plan]\ngreeting = 'x'\n", "section 'plan'"),
            ("[plan]\n", "section 'plan'"),
            ("[plain]\ngreetings = 'x'\n", "plain.greetings"),
            ("greeting = 'x'\n", "'greeting' outside a section"),
            ("[[plain]]\ngreeting = 'x'\n", "'plain' outside a section"),
            ('[plain]\n"gree\\nting" = 1\n', r"plain.gree\nting"),
        ):
            file = self.file(text)
            self.refused(file, "unknown", words, file=file)

    def test_wrong_type(self) -> None:
        """A value of another type is told with its file, key and what it must be."""
        for text, key, words in (
            ("[plain]\ngreeting = 7\n", "plain.greeting", "must be text, not 7"),
            ("[plain]\necho = 'maybe'\n", "plain.echo", "true or false, not 'maybe'"),
            ("[plain]\necho = 1\n", "plain.echo", "true or false"),
            ("[limits]\nfragments = '7.5'\n", "limits.fragments", "a whole number"),
            ("[limits]\nfragments = true\n", "limits.fragments", "from 1 to 65536, not True"),
            ("[listen]\nws = 1919\n", "listen.ws", "a list of texts, not 1919"),
            ("[listen.ws]\nport = 1919\n", "listen.ws", "a list of texts"),
            ("[plain]\ngreeting = 1979-05-27\n", "plain.greeting", "must be text"),
        ):
            file = self.file(text)
            self.refused(f"{file!r}: {key}: ", words, file=file)


class EnvironmentTests(ConfigCase):
    def test_wrong(self) -> None:
        """A bad value is told with its variable."""
        self.refused(
            "CHATD_LIMITS_FRAGMENTS: must be a whole number from 1 to 65536, not '0'",
            environment={"CHATD_LIMITS_FRAGMENTS": "0"},
        )

    def test_not_utf_8(self) -> None:
        """A value that is not UTF-8 is told in words and in one line."""
        self.refused(
            "CHATD_PLAIN_GREETING: must be text in UTF-8",
            environment={"CHATD_PLAIN_GREETING": "\udcff"},
        )

    def test_unknown(self) -> None:
        """A variable that begins like ours and is none is named."""
        for name in ("CHATD_PLAIN_GREETINGS", "CHATD_LIMITS_", "CHATD_LISTEN_WS_1"):
            self.refused("unknown variable", name, environment={name: "x"})

    def test_of_others(self) -> None:
        """Variables that somebody else makes are left alone, those of Kubernetes too."""
        others = {
            "CHATD_SERVICE_HOST": "10.0.0.1",
            "CHATD_PORT": "tcp://10.0.0.1:1919",
            "CHATD_PORT_1919_TCP": "tcp://10.0.0.1:1919",
            "PATH": "/bin",
            "chatd_plain_greeting": "lower case",
        }
        self.assertEqual(load({}, others), Config())


class FlagTests(ConfigCase):
    def test_wrong(self) -> None:
        """A bad value is told with its flag."""
        self.refused("--public-url: must be", "'ftp://a'", flags={"public_url": "ftp://a"})
        self.refused("--allow-origin: must be", flags={"allow_origin": ("http://a/b",)})
        self.refused("--database: must be the path of a file", "'x/'", flags={"database": "x/"})


class ListenTests(ConfigCase):
    def test_one_closed(self) -> None:
        """Either listener may be closed by an empty endpoint."""
        self.assertEqual(load({"ws": ("",)}, {}).ws, ())
        self.assertEqual(load({}, {"CHATD_LISTEN_WEB": ""}).web, ())
        self.assertEqual(load({}, {}, self.file("[listen]\nweb = []\n")).web, ())

    def test_both_closed(self) -> None:
        """With both there would be nothing to do; it says which flags."""
        self.refused(
            "nothing to listen on",
            "--ws",
            "--web",
            flags={"ws": ("",)},
            environment={"CHATD_LISTEN_WEB": ""},
        )
