"""The log as one JSON object a line.

In the foreground: `twistd -n --logger=chatd.logs.json_lines chatd`, to standard output. As a
daemon, which has none: `twistd --logger=chatd.logs.json_file chatd`, to chatd.log.json.

Each line has `time` (RFC 3339, UTC), `level`, `system` and `text`, and the event's own fields
that are texts, numbers or booleans; `failure` is a traceback where there is one. A line never
holds a raw newline or control character, whoever's text is in it.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from math import isfinite
from typing import Protocol

from twisted.logger import ILogObserver, LogEvent, formatEvent
from twisted.python.logfile import LogFile
from zope.interface import implementer

__all__ = ["JsonLines", "json_file", "json_lines"]

FILE = "chatd.log.json"
FILE_BYTES = 10_000_000
FILES = 10
"""How many full files of `FILE_BYTES` are kept beside the one that is written."""


class Stream(Protocol):
    """Where lines go."""

    def write(self, line: str, /) -> object:
        """Take a line."""

    def flush(self) -> object:
        """Let others see it."""


@implementer(ILogObserver)
class JsonLines:
    """Writes events to a stream.

    Args:
        stream: where to; each line is flushed.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def __call__(self, event: LogEvent) -> None:
        """Write one event."""
        level = event.get("log_level")
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(event["log_time"], UTC).isoformat(),
            "level": level.name if level is not None else "info",
            "system": event.get("log_namespace", "-"),
            "text": formatEvent(event),
        }
        for key, value in event.items():
            if not key.startswith(("log_", "_")) and isinstance(value, str | int | float | bool):
                finite = not isinstance(value, float) or isfinite(value)
                line.setdefault(key, value if finite else repr(value))
        failure = event.get("log_failure")
        if failure is not None:
            line["failure"] = failure.getTraceback()
        self._stream.write(json.dumps(line, allow_nan=False, default=repr) + "\n")
        self._stream.flush()


def json_lines() -> JsonLines:
    """An observer that writes to standard output."""
    return JsonLines(sys.stdout)


def json_file() -> JsonLines:
    """An observer that writes to `FILE` in the working directory; full files are put aside."""
    return JsonLines(LogFile(FILE, ".", rotateLength=FILE_BYTES, maxRotatedFiles=FILES))
