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
from chatd.core.calls import _CALLS as CALLS
from chatd.core.charter import RoomKind
from chatd.core.names import _RESERVED
from chatd.core.permissions import ROOM, SERVER, Standing
from chatd.wire.lines import _METHODS as COMMANDS
from tests.support.dialogues import Dialogue
from tests.support.docs import configuration

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


def commands(dialogues: list[str]) -> list[dict[str, Any]]:
    """Every command that the dialogues show."""
    said = [line.partition("> ")[2] for text in dialogues for line in text.splitlines()]
    return [json.loads(words) for words in said if words.startswith("{")]


def table(text: str, title: str) -> dict[str, list[str]]:
    """Rows of the table below a title, by the name in backquotes that each begins with."""
    rows = re.findall(r"^\| `(\w+)`: [^|]*\|(.*)\|$", text.partition(title)[2], re.M)
    return {name: [cell.strip() for cell in cells.split("|")] for name, cells in rows}


WHO = {
    RoomKind.PUBLIC: {
        frozenset({Standing.MEMBER, Standing.MODERATOR}): "everybody",
        frozenset({Standing.MODERATOR}): "moderators",
    },
    RoomKind.PRIVATE: {
        frozenset({Standing.OWNER, Standing.MEMBER}): "owner, members",
        frozenset({Standing.OWNER, Standing.MODERATOR}): "owner, moderators",
    },
    RoomKind.DIRECT: {frozenset({Standing.MEMBER}): "the two"},
}


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
        only_sdk = (errors.STALE, errors.INVALID_TOKEN, errors.EXPIRED)
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

    def dialogues(self) -> list[str]:
        """Every dialogue that docs/protocol.md shows."""
        return re.findall(r"```chat\n(.*?)```", self.read("docs/protocol.md"), re.S)

    def test_dialogues(self) -> None:
        """What docs/protocol.md shows of the doors is what is answered, word for word."""
        shown = self.dialogues()
        self.assertGreaterEqual(len(shown), 12)
        for dialogue in shown:
            Dialogue(dialogue)

    def test_every_command(self) -> None:
        """docs/protocol.md shows each command and each call in a dialogue."""
        said = commands(self.dialogues())
        names = {key for each in said for key in each}

        self.assertEqual(set(COMMANDS) - names, set())
        called = {each["rpc"]["method"] for each in said if "rpc" in each}
        self.assertEqual(set(CALLS) - called, set())

    def test_every_event(self) -> None:
        """docs/protocol.md shows each push and each kind of chat in a dialogue."""
        shown = "\n".join(self.dialogues())
        told = "\n".join(line for line in shown.splitlines() if "< " in line)
        for kind in ("pub", "join", "leave", "unsubscribe", "message"):
            self.assertRegex(told, rf'"push":\{{("channel":"[^"]*",)?"{kind}":')
        for kind in ("message", "typing", "deleted", "nick", "topic", "direct", "read"):
            self.assertIn(f'"type":"{kind}"', told)
        for kind in ("edit", "delete", "reaction"):
            self.assertIn(f'"type":"{kind}"', shown)

    def test_permissions(self) -> None:
        """docs/protocol.md tells who may do what as the table of permissions has it."""
        rows = table(self.read("docs/protocol.md"), "### Who may do what")
        for permission, kinds in ROOM.items():
            words = [WHO[kind].get(who, "nobody") for kind, who in kinds.items()]
            self.assertEqual(rows.pop(permission.name.lower()), words, permission)
        for office, roles in SERVER.items():
            (role,) = roles
            self.assertEqual(rows.pop(office.name.lower()), [f"{role.name.lower()}s"], office)
        self.assertEqual(rows, {})

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
