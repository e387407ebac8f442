"""The shape of the package: who imports whom, names, sizes, one test file for each module.

The rules are read off the sources with `ast`: imports inside functions and below `TYPE_CHECKING`
count like any other. Each rule is also fed a source that breaks it.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parents[1]

# A module's name, and its text.
Sources = Mapping[str, str]
T = TypeVar("T")

# Who may import what of chatd; the nearest name around a module holds for it. Bare "chatd" is what
# the package itself defines, its version.
OPEN_TO_ALL = ("chatd.config", "chatd.errors", "chatd.settings", "chatd.values")
VALUES = ("chatd.core.commands", "chatd.core.events", "chatd.core.replies")
RULES = ("chatd", *OPEN_TO_ALL, "chatd.core")
EDGES: tuple[str, ...] = (*RULES, "chatd.wire", "chatd.brokers", "chatd.doors", "chatd.logs")
EDGES += ("chatd.process", "chatd.listeners", "chatd.secret", "chatd.tokens", "chatd.passwords")
MAY_IMPORT: Mapping[str, tuple[str, ...]] = {
    "chatd": (),
    "chatd.errors": (),
    "chatd.values": (),
    "chatd.rows": (),
    "chatd.settings": ("chatd.rows", "chatd.values"),
    "chatd.config": ("chatd.errors", "chatd.settings", "chatd.values"),
    "chatd.core": (*OPEN_TO_ALL, "chatd.core"),
    "chatd.wire": (*VALUES, "chatd.errors", "chatd.wire"),
    "chatd.brokers": (*RULES, "chatd.wire", "chatd.brokers"),
    "chatd.doors": (*RULES, "chatd.wire", "chatd.doors"),
    "chatd.listeners": RULES,
    "chatd.logs": RULES,
    "chatd.process": RULES,
    "chatd.secret": RULES,
    "chatd.keys": RULES,
    "chatd.tokens": (*RULES, "chatd.wire.strict", "chatd.keys"),
    "chatd.passwords": (),
    "chatd.commands": EDGES,
    "chatd.asking": EDGES,
    "chatd.operator": (*EDGES, "chatd.asking", "chatd.commands"),
    "chatd.signing": EDGES,
    "chatd.opening": EDGES,
    "chatd.service": (*EDGES, "chatd.opening", "chatd.signing"),
    "chatd.tap": (*EDGES, "chatd.service"),
    "chatd.cli": (*EDGES, "chatd.commands", "chatd.operator", "chatd.service", "chatd.tap"),
    "chatd.__main__": ("chatd.cli",),
    "chatd.tac": (*EDGES, "chatd.service", "chatd.tap"),
}

# What the rules and the dialects may use beside the standard library ...
FOREIGN: Mapping[str, tuple[str, ...]] = {
    "chatd.core": ("orjson", "twisted.internet.defer", "twisted.logger", "twisted.python.failure"),
    "chatd.wire": ("orjson",),
}
# ... and what of that library they may not: time, chance and the outside come in from elsewhere.
OUTSIDE: tuple[str, ...] = (
    "asyncio",
    "os",
    "random",
    "secrets",
    "select",
    "selectors",
    "socket",
    "sqlite3",
    "ssl",
)
OUTSIDE += ("subprocess", "threading", "time", "urllib", "uuid")

# Autobahn and its parts are the WebSocket door's business alone.
_AUTOBAHN = ("websocket", "guards", "handshake", "inflate", "lean", "reading")
WEBSOCKET = tuple(f"chatd.doors.{name}" for name in _AUTOBAHN)
ONLY_IN = {"autobahn": WEBSOCKET, "txaio": WEBSOCKET}

# Names that say only that something is done, or that something is there.
EMPTY_WORDS = {
    *("data", "engine", "handler", "helper", "info", "item", "manager", "processor", "util")
}

LONGEST_MODULE = 400

_LOADS = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
    if "twisted.internet.reactor" in sys.modules:
        sys.exit(f"{name} loads the reactor")
"""


def ours() -> dict[str, str]:
    """Read every module of the package, packages under the name of their folder."""
    sources = {}
    for path in sorted((ROOT / "chatd").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        sources[name] = path.read_text("utf-8")
    return sources


def within(name: str, places: Iterable[str]) -> bool:
    """Say whether a name is one of some places or below one; bare "chatd" has no below."""
    return any(
        name == place or (place != "chatd" and name.startswith(f"{place}.")) for place in places
    )


def nearest(name: str, table: Mapping[str, T]) -> T | None:
    """Look a name up, or else the nearest name around it; bare "chatd" is around nothing."""
    while name:
        if name in table:
            return table[name]
        name = name.rpartition(".")[0]
        if name == "chatd":
            break
    return None


def imports(text: str, modules: Iterable[str]) -> Iterator[str]:
    """Name what a source imports.

    Args:
        text: the source.
        modules: the names of our modules, which tell `from chatd import config`, a module, from
            `from chatd import __version__`.

    Yields:
        Dotted names as far as they are written; `.` for a relative import.
    """
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield "."
                continue
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield "chatd" if node.module == "chatd" and name not in modules else name


def trespasses(sources: Sources) -> list[str]:
    """Say which imports the rules do not allow."""
    found = []
    for module, text in sources.items():
        may = nearest(module, MAY_IMPORT)
        foreign = nearest(module, FOREIGN)
        if may is None:
            found.append(f"{module} has no rule")
            continue
        for name in imports(text, sources):
            top = name.split(".")[0]
            if top == "chatd":
                good = within(name, may)
            elif top == "":
                good = False
            elif foreign is not None and top not in sys.stdlib_module_names:
                good = within(name, foreign)
            elif foreign is not None:
                good = not within(name, OUTSIDE)
            else:
                good = top not in ONLY_IN or module in ONLY_IN[top]
            if not good:
                found.append(f"{module} imports {name}")
    return sorted(found)


def empty_names(sources: Sources) -> list[str]:
    """Name the modules, classes and functions whose last word is an empty one.

    A function in camelCase is Twisted's or Autobahn's name for what they call.
    """
    found = []
    for module, text in sources.items():
        names = {module.rpartition(".")[2]: module}
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ClassDef) or (
                isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.islower()
            ):
                names[node.name] = f"{module}.{node.name}"
        for name, where in names.items():
            words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name) or [""]
            if words[-1].lower().removesuffix("s") in EMPTY_WORDS:
                found.append(where)
    return sorted(found)


def long_modules(sources: Sources) -> list[str]:
    """Name the modules that ask to be two."""
    return sorted(m for m, text in sources.items() if len(text.splitlines()) > LONGEST_MODULE)


def without_tests(sources: Sources, test_files: Iterable[str]) -> list[str]:
    """Name the modules that have no test file of their own.

    Of two modules with the same last name the second one's is called after its folder too:
    `test_core_records.py`.

    Args:
        sources: all modules; those whose name others begin with are packages and need none.
        test_files: the names of the files in tests/.
    """
    present = set(test_files)
    packages = {m.rpartition(".")[0] for m in sources} | {"chatd"}
    claimed = set()
    found = []
    for module in sorted(sources):
        if module in packages or module == "chatd.__main__":
            continue
        *_, folder, name = module.split(".")
        wanted = f"test_{name}.py"
        if wanted in claimed:
            wanted = f"test_{folder}_{name}.py"
        if wanted not in present:
            found.append(module)
        claimed.add(wanted)
    return found


def loads_reactor(root: Path, modules: Iterable[str]) -> str:
    """Import modules one after the other in a fresh Python.

    Args:
        root: the folder their package lies in.
        modules: their names.

    Returns:
        Which one was the first to load the global reactor; nothing if none was.
    """
    done = subprocess.run(
        [sys.executable, "-c", _LOADS, *modules],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stderr.strip()


class PackageTests(SynchronousTestCase):
    def test_imports(self) -> None:
        """No module imports what lies above or beside it."""
        self.assertEqual(trespasses(ours()), [])

    def test_application_file(self) -> None:
        """The application file imports only what an entry may."""
        tac = {"chatd.tac": (ROOT / "chatd.tac").read_text("utf-8")}
        self.assertEqual(trespasses({**dict.fromkeys(ours(), ""), **tac}), [])

    def test_reactor(self) -> None:
        """Importing chatd loads no reactor, so that `-r` still has a choice."""
        self.assertEqual(loads_reactor(ROOT, ours()), "")

    def test_names(self) -> None:
        """Every module, class and function has a name that says something."""
        self.assertEqual(empty_names(ours()), [])

    def test_lengths(self) -> None:
        """No module is longer than 400 lines."""
        self.assertEqual(long_modules(ours()), [])

    def test_test_files(self) -> None:
        """Every module has one test file, called after it."""
        files = [path.name for path in (ROOT / "tests").glob("test_*.py")]
        self.assertEqual(without_tests(ours(), files), [])


class ImportRuleTests(SynchronousTestCase):
    """The import rules can fail, and let through what is allowed."""

    def check(self, module: str, text: str) -> list[str]:
        service = {"chatd.service": ""}  # so that it is known to be a module
        return trespasses({**service, module: text})

    def assertRefused(self, module: str, text: str, name: str) -> None:
        self.assertEqual(self.check(module, text), [f"{module} imports {name}"])

    def test_reads_every_spelling(self) -> None:
        """An import is seen at the top, in a function, for types only, and under another name."""
        for text in (
            "import chatd.service",
            "import chatd.service as s",
            "def f():\n    import chatd.service",
            "if TYPE_CHECKING:\n    import chatd.service",
        ):
            self.assertRefused("chatd.core.hub", text, "chatd.service")
        self.assertRefused("chatd.core.hub", "from chatd import service", "chatd.service")
        self.assertRefused("chatd.core.hub", "from chatd.service import a", "chatd.service.a")

    def test_core(self) -> None:
        """The rules know no bytes, no doors, no brokers and no assembly."""
        for name in ("chatd.wire.plain", "chatd.doors.site", "chatd.brokers.memory", "chatd.tap"):
            self.assertRefused("chatd.core.hub", f"import {name}", name)
        self.assertEqual(self.check("chatd.core.hub", "import chatd.core.room, chatd.errors"), [])

    def test_core_of_twisted(self) -> None:
        """Of Twisted the rules use Deferreds, the logger and failures."""
        for name in ("twisted.internet.task", "twisted.internet.reactor", "twisted.python.log"):
            self.assertRefused("chatd.core.hub", f"import {name}", name)
        self.assertEqual(
            self.check(
                "chatd.core.hub",
                "from twisted.internet.defer import Deferred\nfrom twisted.python import failure\n",
            ),
            [],
        )

    def test_pure(self) -> None:
        """Rules and dialects bring neither time nor chance nor the outside in by themselves."""
        for module in ("chatd.core.hub", "chatd.wire.plain"):
            self.assertRefused(module, "from time import monotonic", "time.monotonic")
            self.assertRefused(module, "import socket", "socket")
            self.assertEqual(self.check(module, "import json, collections.abc"), [])

    def test_wire(self) -> None:
        """A dialect knows events and errors, and nothing foreign."""
        self.assertRefused("chatd.wire.plain", "import chatd.core.hub", "chatd.core.hub")
        self.assertRefused("chatd.wire.plain", "import twisted.logger", "twisted.logger")
        self.assertEqual(
            self.check("chatd.wire.plain", "from chatd.core.events import A\nimport chatd.errors"),
            [],
        )

    def test_edges(self) -> None:
        """Doors and brokers do not know each other, nor the assembly."""
        self.assertRefused(
            "chatd.doors.site", "import chatd.brokers.memory", "chatd.brokers.memory"
        )
        self.assertRefused("chatd.brokers.memory", "import chatd.doors.site", "chatd.doors.site")
        for module in ("chatd.doors.site", "chatd.brokers.memory"):
            self.assertRefused(module, "import chatd.service", "chatd.service")
            self.assertEqual(
                self.check(module, "from chatd import __version__\nimport chatd.wire.plain"), []
            )

    def test_assembly(self) -> None:
        """Only the entries know the service, which knows everything but them."""
        for module in ("chatd.logs", "chatd.process", "chatd.config", "chatd.errors", "chatd"):
            self.assertRefused(module, "import chatd.service", "chatd.service")
        self.assertRefused("chatd.service", "import chatd.tap", "chatd.tap")
        for module in ("chatd.tap", "chatd.cli", "chatd.tac"):
            self.assertEqual(self.check(module, "import chatd.service"), [])
        self.assertEqual(self.check("chatd.service", "import chatd.doors.site, chatd.config"), [])

    def test_open_to_all(self) -> None:
        """Settings and errors import nothing of ours but what settings are made of."""
        self.assertRefused("chatd.config", "import chatd.core.names", "chatd.core.names")
        self.assertRefused("chatd.errors", "import chatd.config", "chatd.config")
        self.assertEqual(self.check("chatd.config", "import chatd.errors, chatd.values"), [])

    def test_autobahn(self) -> None:
        """Only the WebSocket door imports Autobahn."""
        text = "from autobahn.twisted import websocket"
        self.assertRefused("chatd.service", text, "autobahn.twisted.websocket")
        for module in WEBSOCKET:
            self.assertEqual(self.check(module, text), [])

    def test_relative(self) -> None:
        """A relative import is refused: the rules read whole names."""
        self.assertRefused("chatd.core.hub", "from . import room", ".")

    def test_unknown_module(self) -> None:
        """A module in a new place needs a rule first."""
        self.assertEqual(self.check("chatd.more.thing", ""), ["chatd.more.thing has no rule"])


class OtherRuleTests(SynchronousTestCase):
    """The other rules can fail."""

    def test_reactor(self) -> None:
        """A module that loads the reactor, itself or through another, is found out."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        root = Path(folder.name)
        (root / "good.py").write_text("import twisted.internet.defer\n")
        (root / "bad.py").write_text("import worse\n")
        (root / "worse.py").write_text("from twisted.internet import reactor\n")
        self.assertEqual(loads_reactor(root, ["good", "bad"]), "bad loads the reactor")

    def test_reactor_unimportable(self) -> None:
        """A module that cannot be imported does not pass for one without a reactor."""
        self.assertIn("nothing_such", loads_reactor(ROOT, ["nothing_such"]))

    def test_names(self) -> None:
        """Empty last words are found in classes, functions and modules, in any case and number."""
        sources = {
            "chatd.utils": "",
            "chatd.core.hub": "class RoomManager: pass\n"
            "class Data_Room:\n    async def get_infos(self): pass\n"
            "def processData(): pass\n",
        }
        self.assertEqual(
            empty_names(sources),
            ["chatd.core.hub.RoomManager", "chatd.core.hub.get_infos", "chatd.utils"],
        )

    def test_lengths(self) -> None:
        """The four hundred and first line is one too many."""
        self.assertEqual(long_modules({"a": "\n" * 400, "b": "\n" * 401}), ["b"])

    def test_test_files(self) -> None:
        """A missing test file is found, and one file does not stand for two modules."""
        names = ("chatd", "chatd.core", "chatd.core.hub", "chatd.core.room", "chatd.doors.hub")
        self.assertEqual(
            without_tests(dict.fromkeys((*names, "chatd.__main__"), ""), ["test_hub.py"]),
            ["chatd.core.room", "chatd.doors.hub"],
        )
        files = ["test_hub.py", "test_room.py", "test_doors_hub.py"]
        self.assertEqual(without_tests(dict.fromkeys(names, ""), files), [])
