"""The browser client's files: what they may say, what they may weigh, and their own tests."""

from __future__ import annotations

import gzip
import re
import shutil
import subprocess
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.support.external import external

ROOT = Path(__file__).resolve().parent.parent
WEB = ROOT / "web"
JS_TESTS = ROOT / "tests" / "js"

INDEX = (WEB / "index.html").read_text("utf-8")
LOGIN = (WEB / "login.html").read_text("utf-8")
PAGES = (INDEX, LOGIN)
FILES = sorted(path for path in WEB.rglob("*") if path.is_file())
SCRIPTS = [path for path in FILES if path.suffix == ".js"]
SHEETS = [path for path in FILES if path.suffix == ".css"]

# Each of these turns text into markup, script or style.
SINKS = re.compile(
    r"""innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|parseFromString
    |srcdoc|setHTML|\beval\b|new\s+Function|\bFunction\(|import\(|cssText|javascript:
    |set(?:Timeout|Interval)\(\s*["'`]|setAttribute\(\s*["'`](?:style|on)""",
    re.VERBOSE,
)
# Names of XML dialects, which nothing fetches.
NAMESPACES = {"http://www.w3.org/2000/svg"}
NODE_TIMEOUT_S = 60


def named(path: Path) -> str:
    """Give the name of a file of the page as the page itself writes it."""
    return path.relative_to(WEB).as_posix()


def imports(script: Path) -> list[str]:
    """List what a script imports, as it is written there."""
    return re.findall(
        r"""^(?:import|export)\b[^;]*?["']([^"']+)["'];""", script.read_text("utf-8"), re.M
    )


def packed(paths: list[Path]) -> int:
    """Sum up the sizes of files as they travel."""
    return sum(len(gzip.compress(path.read_bytes(), mtime=0)) for path in paths)


class SafetyTests(SynchronousTestCase):
    """What the page never does."""

    def test_no_text_is_parsed_as_markup_or_script(self) -> None:
        """No script uses a way to turn text into something else."""
        for script in SCRIPTS:
            # Types in comments may be written with import().
            code = re.sub(r"/\*.*?\*/", "", script.read_text("utf-8"), flags=re.DOTALL)
            found = SINKS.search(code)
            self.assertIsNone(found, f"{named(script)}: {found and found[0]}")

    def test_pages_hold_no_script_and_no_style(self) -> None:
        """Script and style are files of their own, as the content security policy demands."""
        for page in PAGES:
            self.assertNotRegex(page, r"(?i)<style|\sstyle\s*=|\son[a-z]+\s*=|javascript:")
            for attributes, content in re.findall(r"(?s)<script\b([^>]*)>(.*?)</script>", page):
                self.assertIn("src=", attributes)
                self.assertEqual(content.strip(), "")

    def test_no_foreign_host_is_named(self) -> None:
        """No file of the page names another host: it works without internet."""
        for path in FILES:
            urls = set(
                re.findall(r"""(?:https?:)?//[\w.-]+\.\w[^\s"'<>)]*""", path.read_text("utf-8"))
            )
            self.assertEqual(urls - NAMESPACES, set(), named(path))

    def test_style_sheets_fetch_nothing(self) -> None:
        """No style sheet imports or loads anything."""
        for sheet in SHEETS:
            self.assertNotRegex(sheet.read_text("utf-8"), r"@import|url\(|@font-face", named(sheet))


class LayoutTests(SynchronousTestCase):
    """How the files hang together."""

    def test_files_named_in_the_pages_exist(self) -> None:
        """Every address in a page is a file below the digest, or one of the pages."""
        for page in PAGES:
            for address in re.findall(r"""(?:href|src)="([^"]*)\"""", page):
                if not address.startswith("#") and address not in ("./", "login"):
                    self.assertTrue(address.startswith("v/{{v}}/"), address)
                    self.assertTrue((WEB / address.removeprefix("v/{{v}}/")).is_file(), address)

    def test_every_file_is_used(self) -> None:
        """Every module is preloaded, every sheet linked, and nothing else lies around."""
        pages = INDEX + LOGIN
        preloaded = set(re.findall(r'rel="modulepreload" href="v/{{v}}/([^"]+)"', pages))
        self.assertEqual(preloaded, {named(path) for path in SCRIPTS} - {"js/old.js"})
        linked = set(re.findall(r'rel="stylesheet" href="v/{{v}}/([^"]+)"', pages))
        self.assertEqual(linked, {named(path) for path in SHEETS})
        others = {named(path) for path in FILES} - preloaded - linked
        others -= {"index.html", "login.html"}
        for name in others:
            self.assertIn(f'="v/{{{{v}}}}/{name}"', INDEX)

    def test_every_module_is_imported(self) -> None:
        """Starting from what the pages load one comes to every module."""
        reached: set[Path] = set()
        ahead = [WEB / "js" / "main.js", WEB / "js" / "login.js"]
        while ahead:
            script = ahead.pop()
            if script not in reached:
                reached.add(script)
                ahead += [(script.parent / name).resolve() for name in imports(script)]
        self.assertEqual(reached, set(SCRIPTS) - {WEB / "js" / "old.js"})

    def test_imports_are_relative(self) -> None:
        """A browser finds every import without a map: the path is relative and complete."""
        for script in SCRIPTS:
            for name in imports(script):
                self.assertRegex(name, r"^\.\.?/.*\.js$", named(script))
                self.assertTrue((script.parent / name).is_file(), f"{named(script)}: {name}")

    def test_net_knows_nothing_of_the_page(self) -> None:
        """`net/` imports nothing of `ui/` and touches no document, so it runs anywhere."""
        for script in (WEB / "js" / "net").iterdir():
            for name in imports(script):
                self.assertNotIn("ui/", name)
            self.assertNotRegex(script.read_text("utf-8"), r"\b(?:document|window|location)\.")

    def test_no_python_lies_among_the_files(self) -> None:
        """A module below `web` would break an editable install."""
        self.assertEqual([path for path in FILES if path.suffix in {".py", ".pyc"}], [])


class BudgetTests(SynchronousTestCase):
    """What a first visit may cost."""

    def test_weights(self) -> None:
        """Scripts, sheets and the index stay within their bytes, compressed as they travel."""
        self.assertLessEqual(packed(SCRIPTS), 22_000)
        self.assertLessEqual(packed(SHEETS), 6_000)
        self.assertLessEqual(packed([WEB / "index.html"]), 3_000)

    def test_number_of_files(self) -> None:
        """A first visit asks for at most twenty files."""
        self.assertLessEqual(len(FILES), 20)


class ScriptTests(SynchronousTestCase):
    """The modules' own tests."""

    def test_modules_pass_their_own_tests(self) -> None:
        """`node --test` is content with tests/js."""
        node = external("node")
        # Older Nodes take .js for modules only where a package.json says so, which has no place
        # beside the page.
        there = Path(self.mktemp())
        shutil.copytree(ROOT / "web" / "js", there / "web" / "js")
        (there / "package.json").write_text('{"type": "module"}')
        (there / "tests" / "js").mkdir(parents=True)
        for path in JS_TESTS.glob("*.js"):
            shutil.copy(path, there / "tests" / "js")
        files = sorted(f"tests/js/{path.name}" for path in JS_TESTS.glob("*.test.js"))
        self.assertNotEqual(files, [])
        done = subprocess.run(
            [node, "--test", *files],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=NODE_TIMEOUT_S,
            cwd=there,
            check=False,
        )
        self.assertEqual(done.returncode, 0, f"\n{done.stdout}")
        self.assertRegex(done.stdout, r"(?m)^.{1,2}pass [1-9]")
