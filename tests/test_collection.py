"""Both runners see every test: trial and pytest find the same cases."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parents[1]

# Trial passes plain functions over without a word, so they live where only pytest is promised.
PYTEST_ONLY = ("tests/integration/", "tests/browser/")

_PYTEST = """
import sys, unittest
import pytest

class Listing:
    def pytest_collection_modifyitems(self, items):
        for item in items:
            owner = getattr(item, "cls", None)
            if isinstance(owner, type) and issubclass(owner, unittest.TestCase):
                print("CASE", f"{owner.__module__}.{owner.__qualname__}.{item.name}")
            else:
                print("PLAIN", item.nodeid)

options = ["--collect-only", "-qq", "-p", "no:randomly", "-p", "no:cacheprovider"]
sys.exit(pytest.main([*options, sys.argv[1]], plugins=[Listing()]))
"""

_TRIAL = """
import sys
from twisted.trial.runner import TestLoader
from twisted.trial.unittest import TestSuite

def walk(test):
    if isinstance(test, TestSuite):
        for inner in test:
            walk(inner)
    else:
        print("CASE", test.id())

sys.path.insert(0, "")
walk(TestLoader().loadByName(sys.argv[1], recurse=True))
"""


class Collected:
    """What one runner found below a package.

    Attributes:
        cases: dotted names of the tests of `TestCase` classes.
        plain: pytest's names of all other tests.
    """

    def __init__(self, listing: str) -> None:
        words = [line.split(" ", 1) for line in listing.splitlines() if " " in line]
        self.cases = {name for kind, name in words if kind == "CASE"}
        self.plain = {name for kind, name in words if kind == "PLAIN"}


def collect(root: Path, package: str) -> tuple[Collected, Collected]:
    """Let both runners list the tests of a package, each in a fresh process.

    Args:
        root: the folder that holds the package.
        package: its name.

    Returns:
        What trial found and what pytest found.

    Raises:
        AssertionError: a runner failed; its output is the text.
    """
    # nothing from the runner we are in: its options, its coverage
    env = {
        k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "COVERAGE_", "COV_"))
    }
    children = [
        subprocess.Popen(
            [sys.executable, "-c", script, package],
            cwd=root,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for script in (_TRIAL, _PYTEST)
    ]
    listings = []
    for child in children:
        listing, _ = child.communicate(timeout=120)
        if child.returncode:
            raise AssertionError(listing)
        listings.append(Collected(listing))
    return listings[0], listings[1]


def differences(trial: Collected, pytest: Collected) -> list[str]:
    """Say which cases one of the runners does not find."""
    return [
        *(f"trial does not find {name}" for name in sorted(pytest.cases - trial.cases)),
        *(f"pytest does not find {name}" for name in sorted(trial.cases - pytest.cases)),
    ]


def misplaced(pytest: Collected) -> list[str]:
    """Name the plain tests that lie where trial is promised to run everything."""
    return sorted(name for name in pytest.plain if not name.startswith(PYTEST_ONLY))


class CollectionTests(SynchronousTestCase):
    def test_ours(self) -> None:
        """Trial and pytest find the same cases, and plain tests live where only pytest runs."""
        trial, pytest = collect(ROOT, "tests")
        self.assertIn(self.id(), trial.cases)
        self.assertEqual(differences(trial, pytest), [])
        self.assertEqual(misplaced(pytest), [])


class SeesTroubleTests(SynchronousTestCase):
    """The comparison can fail."""

    def collect(self, files: dict[str, str]) -> tuple[Collected, Collected]:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        root = Path(folder.name).resolve()
        for name, text in files.items():
            path = root / "tests" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return collect(root, "tests")

    def test_differences(self) -> None:
        """Trial loses cases in a folder that is no package, pytest those marked as no tests."""
        case = "from unittest import TestCase\nclass A(TestCase):\n    def test_it(self): pass\n"
        trial, pytest = self.collect(
            {
                "__init__.py": "",
                "test_seen.py": case,
                "test_hidden.py": case + "A.__test__ = False\n",
                "folder/test_lost.py": case,
            }
        )
        self.assertEqual(
            differences(trial, pytest),
            [
                "trial does not find test_lost.A.test_it",
                "pytest does not find tests.test_hidden.A.test_it",
            ],
        )

    def test_broken_module(self) -> None:
        """A test module that cannot be imported is an error, not an empty one."""
        self.assertRaises(
            AssertionError,
            self.collect,
            {"__init__.py": "", "test_broken.py": "import nothing_such\n"},
        )

    def test_plain(self) -> None:
        """A plain test function is misplaced, unless it is an integration or a browser test."""
        plain = "def test_it(): pass\n"
        _, pytest = self.collect(
            {
                "__init__.py": "",
                "test_plain.py": plain,
                "integration/__init__.py": "",
                "integration/test_real.py": plain,
                "browser/__init__.py": "",
                "browser/test_page.py": plain,
            }
        )
        self.assertEqual(misplaced(pytest), ["tests/test_plain.py::test_it"])
