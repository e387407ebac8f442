"""Programs that the tests use and the project cannot bring: Chromium, Node, a C compiler, strace.

A missing one is skipped loudly on somebody's own machine and is a failure with `CI=true`.
"""

from __future__ import annotations

import os
import shutil
from unittest import SkipTest

APT_LINE = "sudo apt install chromium gcc libc6-dev nodejs npm strace"

_NAMES = {
    "cc": ("cc", "gcc", "clang"),
    "chromium": ("chromium", "chromium-browser", "google-chrome"),
    "node": ("node", "nodejs"),
    "npm": ("npm",),
    "strace": ("strace",),
}


def external(program: str) -> str:
    """Say where a program is.

    Args:
        program: `cc`, `chromium`, `node`, `npm` or `strace`.

    Returns:
        Its path.

    Raises:
        SkipTest: it is not installed.
        AssertionError: it is not installed and `CI` is `true`, where a skip is a failure.
    """
    for name in _NAMES[program]:
        path = shutil.which(name)
        if path is not None:
            return path
    words = f"{program} is not installed; to run this test: {APT_LINE}"
    if os.environ.get("CI") == "true":
        raise AssertionError(words)
    raise SkipTest(words)
