"""`twistd chatd` is found, once, and costs the other plugins nothing."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins
from twisted.trial.unittest import SynchronousTestCase

from chatd import tap

ROOT = Path(__file__).resolve().parents[1]
PLUGIN = ROOT / "twisted" / "plugins" / "chatd_plugin.py"

_LOADED = """
import runpy, sys
runpy.run_path(sys.argv[1])
print(*(m for m in sys.modules if m.split(".")[0] == "chatd" or m == "twisted.internet.reactor"))
"""


def loaded_by(plugin: Path) -> list[str]:
    """Name the modules of chatd, and the reactor, that a fresh Python loads with a plugin file."""
    done = subprocess.run(
        [sys.executable, "-c", _LOADED, str(plugin)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.split()


class PluginTests(SynchronousTestCase):
    def test_no_package_markers(self) -> None:
        """Twisted's folder and its plugins folder hold no `__init__.py`.

        In the first it would hide Twisted, in the second our plugin.
        """
        found = [
            path
            for path in ("twisted", "twisted/plugins")
            if (ROOT / path / "__init__.py").exists()
        ]
        self.assertEqual(found, [])

    def test_found_once(self) -> None:
        """Exactly one plugin is called chatd, and it offers the options of `chatd.tap`."""
        makers = [maker for maker in getPlugins(IServiceMaker) if maker.tapname == "chatd"]
        self.assertEqual(len(makers), 1)
        self.assertIs(makers[0].options, tap.Options)

    def test_makes_our_service(self) -> None:
        """The plugin makes its service with `chatd.tap.makeService`."""
        (maker,) = (maker for maker in getPlugins(IServiceMaker) if maker.tapname == "chatd")
        self.assertIs(maker.makeService, tap.makeService)

    def test_imports_nothing(self) -> None:
        """Loading the plugin file loads nothing of chatd, and no reactor."""
        self.assertEqual(loaded_by(PLUGIN), [])

    def test_sees_imports(self) -> None:
        """A plugin file that imports chatd or the reactor would be noticed."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        bad = Path(folder.name, "plugin.py")
        bad.write_text("import chatd.errors\nfrom twisted.internet import reactor\n")
        self.assertLessEqual(
            {"chatd", "chatd.errors", "twisted.internet.reactor"}, set(loaded_by(bad))
        )
