"""The documents are true."""

from __future__ import annotations

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import chatd
from chatd import errors
from chatd.config import load
from chatd.core.names import _RESERVED
from tests.support.docs import configuration

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    *(f"docs/{p.name}" for p in ROOT.glob("docs/*.md")),
]


class DocsTests(SynchronousTestCase):
    """What people read."""

    def read(self, page: str) -> str:
        """The text of a page."""
        return (ROOT / page).read_text()

    def test_links(self) -> None:
        """Every link to a file of the project leads somewhere."""
        for page in PAGES:
            for target in re.findall(r"\]\(([^)#]+)\)", self.read(page)):
                if not target.startswith("http"):
                    self.assertTrue((ROOT / page).parent.joinpath(target).exists(), target)

    def test_names_of_files(self) -> None:
        """Every file that is named in backquotes or in the map is there."""
        for page in PAGES:
            for name in re.findall(
                r"`((?:chatd|core|doors|wire|brokers|tests|docs)/[\w./]+)`", self.read(page)
            ):
                places = [ROOT / name, ROOT / "chatd" / name]
                self.assertTrue(any(place.exists() for place in places), f"{page}: {name}")

    def test_readme_is_short(self) -> None:
        """The README has at most 150 lines."""
        self.assertLessEqual(len(self.read("README.md").splitlines()), 150)

    def test_configuration(self) -> None:
        """docs/configuration.md is what the table of settings says."""
        self.assertEqual(self.read("docs/configuration.md"), configuration())

    def test_configuration_example(self) -> None:
        """The example file of docs/configuration.md is accepted as it is."""
        text = self.read("docs/configuration.md")
        example = text.partition("# chatd.toml\n")[2].partition("\nThe same")[0]
        file = Path(self.mktemp())
        file.write_text(re.sub(r"^    ", "", example, flags=re.M))
        config = load({}, {}, str(file))
        self.assertEqual((config.publish_per_s, config.web), (50, ("tcp:1920",)))

    def test_closes(self) -> None:
        """docs/protocol.md lists every close that chatd says, with its words."""
        text = self.read("docs/protocol.md")
        closes = [value for value in vars(errors).values() if isinstance(value, errors.Close)]
        closes += [
            value.close for value in vars(errors).values() if isinstance(value, errors.ChatError)
        ]
        for close in closes:
            words = close.reason.partition(":")[0] if "invalid" in close.reason else close.reason
            if close.code not in (1000, 1006):
                self.assertRegex(text, rf"\| {close.code} \| `{re.escape(words)}")

    def test_names(self) -> None:
        """docs/protocol.md lists every nick that nobody can have."""
        text = self.read("docs/protocol.md")
        for nick in _RESERVED:
            self.assertIn(f"`{nick}`", text)

    def test_changelog(self) -> None:
        """The changelog begins with this version and says what changed of the three."""
        first = self.read("CHANGELOG.md").split("\n## ")[1]
        self.assertIn(chatd.__version__, first)
        for word in ("**Wire:**", "**Database:**", "**Configuration:**"):
            self.assertIn(word, first)
