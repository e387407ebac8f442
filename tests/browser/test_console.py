"""Somebody with a browser console, as docs/protocol.md tells them: a page of their own, the SDK."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from unittest import SkipTest

import pytest
from playwright.sync_api import ConsoleMessage, Page

from tests.browser.windows import TIMEOUT_MS, Windows
from tests.support.daemon import ROOT, Daemon, running
from tests.support.sdk import JsonClient

SDK = ROOT / "tests" / "js" / "node_modules" / "centrifuge" / "dist" / "centrifuge.js"
INDEX = """\
<!doctype html><meta charset="utf-8"><title>mine</title>
<link rel="icon" href="data:,">
<script src="centrifuge.js"></script>
"""

SECTION = "In a browser console"
PORT = "ws://localhost:1919/"
SAID = {"type": "message", "id": "first-2", "text": "hello"}


def snippet() -> str:
    """What the document says is to be typed."""
    document = (ROOT / "docs" / "protocol.md").read_text("utf-8")
    found = re.search(rf"^{SECTION}.*?^```js\n(.*?)^```$", document, re.DOTALL | re.MULTILINE)
    assert found is not None, f"docs/protocol.md lacks {SECTION!r}"
    assert found[1].count(PORT) == 1, found[1]
    return found[1]


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """A daemon that serves somebody's page with the SDK in it."""
    if not SDK.is_file():
        words = "the npm package centrifuge is not in tests/js; to have it: make .venv/.node"
        if os.environ.get("CI") == "true":
            raise AssertionError(words)
        raise SkipTest(words)
    folder = tmp_path / "mine"
    folder.mkdir()
    shutil.copy(SDK, folder)
    (folder / "index.html").write_text(INDEX)
    with running("--page", str(folder)) as daemon:
        yield daemon


def console(page: Page, code: str) -> None:
    """Type something into the console: its names are of the window."""
    page.evaluate("code => { (0, eval)(code); }", code)


def test_console(windows: Windows, daemon: Daemon) -> None:
    """What the document says is to be typed connects, says hello and shows it."""
    page = windows.open(f"http://localhost:{daemon.web}/")
    with page.expect_console_message(
        lambda message: message.type == "log", timeout=TIMEOUT_MS
    ) as shown:
        console(page, snippet().replace(PORT, f"ws://localhost:{daemon.ws}/"))
    message: ConsoleMessage = shown.value
    assert [each.json_value() for each in message.args] == [SAID]
    states = page.evaluate("[client.state, room.state]")
    assert states == ["connected", "subscribed"]
    with JsonClient(daemon.ws) as other:
        other.connect()
        other.subscribe("lobby")
        assert [each["data"] for each in other.history("lobby", 9)["publications"]] == [SAID]
        with page.expect_console_message(timeout=TIMEOUT_MS) as shown:
            other.publish("lobby", "to the console")
        assert shown.value.text == "to the console"
