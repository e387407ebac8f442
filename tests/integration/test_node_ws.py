"""The npm package `ws`, with which the original demo was written, talks to chatd."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from unittest import SkipTest

from tests.support.daemon import ROOT, running
from tests.support.external import external

FOLDER = ROOT / "tests" / "js"
DEADLINE_S = 30
BURST = 100


def node_with_ws() -> str:
    """Where Node is.

    Raises:
        SkipTest: Node, npm or the package is missing.
        AssertionError: one is, with `CI=true`.
    """
    node = external("node")
    external("npm")
    if not Path(FOLDER, "node_modules", "ws").is_dir():
        words = "the npm package ws is not in tests/js; to run this test: make .venv/.node"
        if os.environ.get("CI") == "true":
            raise AssertionError(words)
        raise SkipTest(words)
    return node


def test_ws() -> None:
    """It is greeted, hears text and bytes as they were said, is stopped when it says too much."""
    node = node_with_ws()
    with running(env={"CHATD_LIMITS_PUBLISH_PER_S": "1"}) as daemon:
        done = subprocess.run(
            [node, "ws_client.mjs", f"ws://localhost:{daemon.ws}/", str(BURST)],
            cwd=FOLDER,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    said = [{"text": "zażółć"}, {"binary": "00ff0a"}, {"text": ""}, {"binary": ""}]
    assert told == {
        "greetings": [{"text": "connected to WebSocket server"}] * 2,
        "heard": {"one": said, "two": said},
        "order": [str(number) for number in range(BURST - 4)],
        "refused": {"code": 1008, "reason": "too many messages, slow down"},
        "left": {"code": 4001, "reason": "enough"},
    }
