"""The programs that docs/protocol.md shows do what it says, against a daemon of one's own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.integration.test_node_ws import FOLDER, node_with_ws
from tests.support.daemon import ROOT, Daemon, running

DEADLINE_S = 30
DEFAULT = "localhost:1919"


def snippets(language: str, daemon: Daemon) -> list[str]:
    """The programs in a language, which is what begins with imports, for another port."""
    document = (ROOT / "docs" / "protocol.md").read_text("utf-8")
    found = re.findall(rf"^```{language}\n(import .*?)^```$", document, re.DOTALL | re.MULTILINE)
    assert all(each.count(DEFAULT) == 1 for each in found), found
    return [each.replace(DEFAULT, f"localhost:{daemon.ws}") for each in found]


def run(*words: str, folder: Path) -> str:
    """What a program prints until it ends by itself."""
    done = subprocess.run(
        words, cwd=folder, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_python(tmp_path: Path) -> None:
    """Those in Python say hello and hear it, by either door."""
    with running() as daemon:
        plain, sdk = snippets("python", daemon)
        said = run(sys.executable, "-c", plain, folder=tmp_path)
        assert said.splitlines() == ["connected to WebSocket server", "hello"]
        said = run(sys.executable, "-c", sdk, folder=tmp_path)
        assert said == "2 {'type': 'message', 'id': 'first-3', 'text': 'hello'}\n"


def test_node(tmp_path: Path) -> None:
    """The one in Node says hello and hears it."""
    node = node_with_ws()
    with running() as daemon:
        (program,) = snippets("js", daemon)
        (tmp_path / "node_modules").symlink_to(FOLDER / "node_modules")
        (tmp_path / "program.mjs").write_text(program)
        said = run(node, "program.mjs", folder=tmp_path)
    assert said == "1 { type: 'message', id: 'first-1', text: 'hello' }\n"
