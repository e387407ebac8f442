"""The versions of everything that takes part."""

from __future__ import annotations

import json
import platform
import sqlite3
import ssl
import subprocess
from collections.abc import Iterable, Sequence
from importlib import metadata

from benchmarks import servers
from benchmarks.checkouts import Checkout

__all__ = ["used"]

_PYTHON = ("twisted", "autobahn", "websockets")
_NPM = ("ws", "socket.io")


def used(checkouts: Sequence[Checkout]) -> dict[str, str]:
    """Name what is installed and its version; what is not there is left out.

    Args:
        checkouts: of chatd; with several, each has its label.
    """
    found = {}
    for each in checkouts:
        name = f"chatd@{each.label}" if len(checkouts) > 1 else "chatd"
        found[name] = each.version()
    found["Python"] = platform.python_version()
    found["SQLite"] = sqlite3.sqlite_version
    found["OpenSSL"] = ssl.OPENSSL_VERSION.split(" ")[1]
    for name in _PYTHON:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    found |= dict(_programs())
    for name in _NPM:
        package = servers.FOLDER / "node_modules" / name / "package.json"
        if package.is_file():
            found[name] = str(json.loads(package.read_text())["version"])
    return found


def _programs() -> Iterable[tuple[str, str]]:
    for name, path in (("Node", servers.node()), ("Bun", servers.bun())):
        if path is not None:
            done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20)
            yield name, done.stdout.strip().removeprefix("v")
