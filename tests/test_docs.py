"""The documents are true."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

import chatd
from chatd import errors
from chatd.config import load
from chatd.core.names import _RESERVED
from tests.support.docs import configuration
from tests.support.doors import World

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    *(f"docs/{p.name}" for p in ROOT.glob("docs/*.md")),
]


def refusals() -> list[errors.Refusal]:
    """Every refusal there is."""
    return [value for value in vars(errors).values() if isinstance(value, errors.Refusal)]


def alike(pattern: Any, answer: Any) -> Any:
    """A pattern with what an answer has in the places where it says that it differs each time.

    `…` stands for any text or number.
    """
    if pattern == "…":
        return answer if isinstance(answer, str | int) and str(answer) else pattern
    if isinstance(pattern, list) and isinstance(answer, list):
        return [alike(*each) for each in zip(pattern, answer, strict=False)] + pattern[
            len(answer) :
        ]
    if isinstance(pattern, dict) and isinstance(answer, dict):
        return {key: alike(value, answer.get(key)) for key, value in pattern.items()}
    return pattern


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
        only_sdk = (errors.STALE, errors.INVALID_TOKEN)
        closes = [value for value in vars(errors).values() if isinstance(value, errors.Close)]
        closes = [close for close in closes if close not in only_sdk]
        closes += [value.close for value in refusals() if value.close.code != 1008]
        for close in closes:
            words = close.reason.partition(":")[0] if "invalid" in close.reason else close.reason
            if close.code not in (1000, 1006):
                self.assertRegex(text, rf"\| {close.code} \| `{re.escape(words)}")

    def test_sdk_closes(self) -> None:
        """docs/protocol.md lists every code that clients of the Centrifuge door are closed with."""
        text = self.read("docs/protocol.md").partition("### Close codes")[2]
        for close in vars(errors).values():
            if isinstance(close, errors.Close) and close.sdk_code not in (1000, 1006):
                self.assertRegex(text, rf"\| {close.sdk_code} \|", close)

    def test_errors(self) -> None:
        """docs/protocol.md lists every error, with its words."""
        text = self.read("docs/protocol.md")
        for refusal in refusals():
            temporary = " (temporary)" if refusal.temporary else ""
            self.assertIn(f"| {refusal.code} | {refusal.words}{temporary} |", text)

    def test_dialogues(self) -> None:
        """What docs/protocol.md shows of the Centrifuge door is what is answered, word for word."""
        shown = re.findall(r"```chat\n(.*?)```", self.read("docs/protocol.md"), re.S)
        self.assertGreaterEqual(len(shown), 5)
        for dialogue in shown:
            self.play(dialogue)

    def play(self, dialogue: str) -> None:
        """Say one side of a dialogue and compare the other."""
        world = World()
        client = world.open("/connection/websocket")
        epoch, heard = "", 0
        for line in dialogue.strip().splitlines():
            if line.startswith("> "):
                client.say(line[2:].replace("$EPOCH", epoch))
                world.turn()
                continue
            told = client.texts
            self.assertGreater(len(told), heard, line)
            answer = json.loads(told[heard])
            heard += 1
            self.assertEqual(alike(json.loads(line[2:]), answer), answer, line)
            for result in answer.values():
                epoch = result.get("epoch", epoch) if isinstance(result, dict) else epoch
        self.assertEqual(client.texts[heard:], [])

    def test_python(self) -> None:
        """Every example in Python can be compiled."""
        for page in PAGES:
            for example in re.findall(r"```python\n(.*?)```", self.read(page), re.S):
                compile(example, page, "exec")

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
