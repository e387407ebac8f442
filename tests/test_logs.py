"""The log as JSON lines."""

from __future__ import annotations

import io
import json
import os
import sys
from contextlib import redirect_stdout
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given
from twisted.logger import ILogObserver, Logger, LogLevel
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from chatd.logs import FILE, JsonLines, json_file, json_lines
from tests.support import strategies


class JsonLinesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Start an empty log."""
        self.stream = io.StringIO()
        self.log = Logger(namespace="chatd.test", observer=JsonLines(self.stream))

    def line(self) -> dict[str, Any]:
        """The only line of the log; each character of it is printable ASCII."""
        written = self.stream.getvalue()
        self.assertTrue(written.endswith("\n"))
        line = written[:-1]
        self.assertTrue(line.isascii() and line.isprintable(), repr(line))
        value = json.loads(line)
        assert isinstance(value, dict)
        return value

    def test_interface(self) -> None:
        """It is an observer as `twistd --logger` wants one."""
        verifyObject(ILogObserver, JsonLines(self.stream))

    def test_parts(self) -> None:
        """A line has time, level, system, text, and the event's own fields."""
        self.log.warn("opened {peer}", peer="127.0.0.1:5", count=3, share=0.5, slow=True)
        line = self.line()
        time = datetime.fromisoformat(line.pop("time"))
        self.assertEqual(time.utcoffset(), timedelta(0))
        self.assertEqual(
            line,
            {
                "level": "warn",
                "system": "chatd.test",
                "text": "opened 127.0.0.1:5",
                "peer": "127.0.0.1:5",
                "count": 3,
                "share": 0.5,
                "slow": True,
            },
        )

    def test_no_number(self) -> None:
        """A number that JSON has no word for becomes a text, and the line is not lost."""
        self.log.info("x", share=float("nan"), rate=float("inf"))
        line = self.line()
        self.assertEqual((line["share"], line["rate"]), ("nan", "inf"))

    def test_levels(self) -> None:
        """Each level has its name, and each event its own line."""
        for level in LogLevel.iterconstants():
            self.log.emit(level, "x")
        lines = [json.loads(line) for line in self.stream.getvalue().splitlines()]
        self.assertEqual(
            [line["level"] for line in lines], ["debug", "info", "warn", "error", "critical"]
        )

    def test_bare(self) -> None:
        """An event without level and namespace, as old code makes, is a line too."""
        JsonLines(self.stream)({"log_time": 0.0, "log_format": "x"})
        self.assertEqual(
            self.line(),
            {"time": "1970-01-01T00:00:00+00:00", "level": "info", "system": "-", "text": "x"},
        )

    @given(strategies.texts())
    def test_any_text(self, text: str) -> None:
        """Whatever is in a user's text, the event is one line and the text comes out of it."""
        self.begin()
        self.log.info("said {words}", words=text)
        line = self.line()
        self.assertEqual(line["words"], text)
        self.assertEqual(line["text"], f"said {text}")

    def test_hostile(self) -> None:
        """Newlines, escape sequences, direction marks and braces end no line and format nothing."""
        for text in ("a\nb", "\x1b[31m", "\u202egnp.exe", "{peer}{log_time}{", "\x9b", "\x7f\r"):
            self.begin()
            self.log.info("said {words}", words=text)
            self.assertEqual(self.line()["text"], f"said {text}")

    def test_half_characters(self) -> None:
        """Half a surrogate pair, which UTF-8 cannot carry, does not stop the log."""
        self.log.info("said {words}", words="\ud800")
        self.assertEqual(self.line()["words"], "\ud800")

    def test_unformattable(self) -> None:
        """An event whose words make no sense is a line that says so."""
        self.log.info("said {nothing.such}", words="x")
        self.assertIn("Unable to format", self.line()["text"])

    def test_own_parts_win(self) -> None:
        """A field cannot pass for the time, the level, the system or the text."""
        JsonLines(self.stream)(
            {
                **{"log_time": 0.0, "log_format": "x", "log_level": LogLevel.info},
                **{"log_namespace": "chatd.test", "time": "never", "level": "none"},
                **{"system": "other", "text": "forged"},
            }
        )
        line = self.line()
        self.assertEqual((line["level"], line["system"], line["text"]), ("info", "chatd.test", "x"))
        self.assertNotEqual(line["time"], "never")

    def test_left_out(self) -> None:
        """Objects, private fields and Twisted's own are left out."""
        self.log.info("x", thing=object(), some=["a"], _secret="x", nothing=None)
        self.assertEqual(self.line().keys(), {"time", "level", "system", "text"})

    def test_failure(self) -> None:
        """A failure is its traceback, in the same line, without the values of variables."""
        secret = "what somebody" + " said"
        try:
            secret.index("x")
        except ValueError:
            self.log.failure("cannot go on", failure=Failure(captureVars=False))
        line = self.line()
        self.assertEqual((line["level"], line["text"]), ("critical", "cannot go on"))
        self.assertIn("Traceback", line["failure"])
        self.assertIn("ValueError", line["failure"])
        self.assertNotIn(secret, self.stream.getvalue())

    def test_flushed(self) -> None:
        """Each line is out at once, whatever happens next."""
        flushed = []

        class Stream(io.StringIO):
            def flush(self) -> None:
                flushed.append(self.getvalue())

        JsonLines(Stream())({"log_time": 0.0, "log_format": "x"})
        self.assertTrue(flushed and flushed[-1].endswith("\n"))


class FileTests(SynchronousTestCase):
    def test_json_file(self) -> None:
        """`json_file` writes to a file of the working directory, which others may read at once."""
        before = os.getcwd()
        folder = self.mktemp()
        os.mkdir(folder)
        self.addCleanup(os.chdir, before)
        os.chdir(folder)
        observer = json_file()
        Logger(namespace="chatd.test", observer=observer).info("zażółć {what}", what="x")
        self.addCleanup(observer._stream.close)  # type: ignore[attr-defined]
        with open(FILE, encoding="utf-8") as file:
            self.assertEqual(json.loads(file.read())["text"], "zażółć x")


class StandardOutputTests(SynchronousTestCase):
    def test_json_lines(self) -> None:
        """The observer that twistd asks for writes to standard output."""
        with redirect_stdout(io.StringIO()) as stream:
            json_lines()({"log_time": 0.0, "log_format": "x"})
            self.assertIs(sys.stdout, stream)
        self.assertEqual(json.loads(stream.getvalue())["text"], "x")
