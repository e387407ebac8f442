"""Whatever happens on the way, every client ends with the same view of a room as its log gives.

`CHATD_TEST_VIEWS=1000` in the environment makes it the long run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatd.core.broker import ERASED
from chatd.core.commands import Since
from chatd.core.events import Message, RoomEvent
from tests.support.people import Json, Person, past, said, to, value
from tests.support.watched import ArchiveCase

EXAMPLES = int(os.environ.get("CHATD_TEST_VIEWS", "100"))

USERS = 3
CLIENTS = 4

Log = dict[int, tuple[str, Any]]
"""By offset, who said it and what."""


def view(log: Mapping[int, tuple[str, Any]]) -> object:
    """What a client shows of a room, by the rule in docs/protocol.md."""
    texts: dict[int, list[object]] = {}
    reactions: dict[int, dict[tuple[str, str], bool]] = {}
    deleted: set[int] = set()
    for offset in sorted(log):
        user, told = log[offset]
        kind = told["type"]
        if kind == "message":
            texts[offset] = [user, told["text"], told.get("reply_to")]
        elif kind == "edit" and told["ref"] in texts:
            texts[told["ref"]][1] = told["text"]
        elif kind == "delete":
            deleted.add(told["ref"])
        elif kind == "reaction":
            reactions.setdefault(told["ref"], {})[user, told["emoji"]] = told["on"]
    shown = {
        offset: (text, sorted(key for key, on in reactions.get(offset, {}).items() if on))
        for offset, text in texts.items()
        if offset not in deleted
    }
    return shown, deleted


class ViewTests(ArchiveCase):
    """The rule itself."""

    def test_rule(self) -> None:
        """The last edit and the last of each reaction count; a deletion takes all away."""
        log: Log = {
            1: ("ann", {"type": "message", "text": "a"}),
            2: ("bob", {"type": "message", "text": "b"}),
            3: ("ann", {"type": "edit", "ref": 1, "text": "c"}),
            4: ("ann", {"type": "edit", "ref": 1, "text": "d"}),
            5: ("bob", {"type": "reaction", "ref": 1, "emoji": "+", "on": True}),
            6: ("ann", {"type": "reaction", "ref": 1, "emoji": "+", "on": True}),
            7: ("ann", {"type": "reaction", "ref": 1, "emoji": "+", "on": False}),
            8: ("bob", {"type": "delete", "ref": 2}),
        }
        self.assertEqual(view(log), ({1: (["ann", "d", None], [("bob", "+")])}, {2}))
        self.assertEqual(view({**log, 2: ("bob", {"type": "deleted"})}), view(log))


class Client:
    """Somebody who keeps what they were told of the lobby.

    Args:
        case: with the node.
        person: of the user.
    """

    def __init__(self, case: ConvergenceTests, person: Person) -> None:
        self.person = person
        self.log: Log = {}
        self._case = case
        self._seen = 0
        self._since: Since | None = None
        self._number = 1000

    def number(self) -> int:
        """The next command's."""
        self._number += 1
        return self._number

    def hear(self) -> None:
        """Take over what came."""
        for told in self.person.told[self._seen :]:
            if "subscribe" in told:
                result = told["subscribe"]
                self._since = Since(result["epoch"], result.get("offset", 0))
            elif "push" in told and "pub" in told["push"]:
                pub = told["push"]["pub"]
                self._take(pub)
                assert self._since is not None
                assert pub["offset"] == self._since.offset + 1, told
                self._since = Since(self._since.epoch, pub["offset"])
        self._seen = len(self.person.told)

    def come_back(self) -> None:
        """Be lost, and go on where it was."""
        self.hear()
        self._again()
        since = self._since
        self.person.begin(to("lobby", number=self.number(), since=since))

    def start_anew(self, *, reverse: bool) -> None:
        """Be lost and forget everything; read it from the history, while others go on."""
        self._again()
        self.log = {}
        self.person.begin(to("lobby", number=self.number()))
        self._case.go_on()
        self.hear()
        assert self._since is not None
        epoch, upto = self._since.epoch, self._since.offset
        at = upto + 1 if reverse else 0
        while at > 1 if reverse else at < upto:
            number = self.number()
            since = Since(epoch, at) if at <= upto else None
            command = past(3, number=number, since=since, reverse=reverse)
            self.person.begin(command)
            self._case.go_on()
            result = self.person.replies[number]["history"]
            for pub in result["publications"]:
                self._take(pub)
                at = pub["offset"]
        self.hear()

    def _again(self) -> None:
        token = self._case.resume(self.person)
        self.person.session.lost()
        self._case.go_on()
        self.person = self._case.guest(None, resume=token)
        self._case.people.append(self.person)
        self._seen = 0

    def _take(self, pub: Any) -> None:
        known = self.log.get(pub["offset"])
        if known is None or known[1] != {"type": "deleted"}:
            self.log[pub["offset"]] = (pub["info"]["user"], pub["data"])


_ids = st.integers(0, 5)
_refs = st.sampled_from((0, 0, 0, 1, 1, 2, 3, 5, 6, 7, 8, 12))  # 0: what they said at first
_clients = st.integers(0, CLIENTS - 1)
_steps = st.one_of(
    st.tuples(st.just("say"), _clients, _ids),
    st.tuples(st.just("edit"), _clients, _refs),
    st.tuples(st.just("edit"), _clients, _refs),
    st.tuples(st.just("delete"), _clients, _refs),
    st.tuples(st.just("say and go on"), _clients, _ids),
    st.tuples(st.just("edit and go on"), _clients, _refs),
    st.tuples(st.just("edit and go on"), _clients, _refs),
    st.tuples(st.just("delete and go on"), _clients, _refs),
    st.tuples(st.just("repeat and go on"), _clients, st.integers(1, 3)),
    st.tuples(st.just("react"), _clients, _refs),
    st.tuples(st.just("repeat"), _clients, st.integers(1, 3)),
    st.tuples(st.just("come back"), _clients, st.just(0)),
    st.tuples(st.just("start anew"), _clients, st.integers(0, 1)),
    st.tuples(st.just("lag"), _clients, st.just(0)),
    st.tuples(st.just("drain"), _clients, st.just(0)),
    st.tuples(st.just("hold"), st.just(0), st.just(0)),
    st.tuples(st.just("go on"), st.just(0), st.just(0)),
    st.tuples(st.just("go on"), st.just(0), st.just(0)),
)


class ConvergenceTests(ArchiveCase):
    def begin(self) -> None:
        """Begin anew, with some messages and some clients, of whom two are one user."""
        self.start(publish_burst=10_000, commands_burst=10_000, cached_bytes=2_000, grace_s=1)
        self.people: list[Person] = []
        self.gone: list[tuple[str, dict[int, int]]] = []
        self._published: list[tuple[str, object]] = []
        commits = self.broker._commits
        deliver = commits._deliver

        def delivered(batch: Sequence[RoomEvent]) -> None:
            before = self.stored_texts(batch)
            deliver(batch)
            written = {number: len(each.peer.writes) for number, each in enumerate(self.people)}
            self.gone += [(text, written) for text in before]

        commits._deliver = delivered
        self._texts: dict[int, str] = {}
        people = [self.guest(f"n{number}", "lobby") for number in range(USERS)]
        people.append(self.guest(None, "lobby", resume=self.resume(people[0])))
        self.people += people
        self.clients = [Client(self, each) for each in people]
        for number, person in enumerate(people):
            person.begin(said(100 + number, f"<begin {number}>"))
        self.go_on()

    def stored_texts(self, batch: Sequence[RoomEvent]) -> list[str]:
        """Learn what is said; the texts that are erased with it."""
        erased = []
        for event in batch:
            if isinstance(event, Message):
                self._texts[event.offset] = json.loads(event.payload).get("text", "")
                erased += [self._texts[offset] for offset in event.erases]
        return [text for text in erased if text]

    def go_on(self) -> None:
        """Let everything happen that was asked for."""
        self.worker.release()
        self.settle()

    def step(self, what: str, who: int, number: int) -> None:
        """Do one thing."""
        what, _, more = what.partition(" and ")
        client = self.clients[who]
        person, key = client.person, client.number()
        if what in ("edit", "delete", "react"):
            number = number or who + 1
        own_id = f"{who}-{key}"
        if what == "say":
            told: Json = {"type": "message", "id": own_id, "text": f"<say {own_id}>"}
            self.publish(client, {**told, "reply_to": number} if number else told)
        elif what == "edit":
            text = f"<edit {own_id}>"
            self.publish(client, {"type": "edit", "id": own_id, "ref": number, "text": text})
        elif what == "delete":
            self.publish(client, {"type": "delete", "id": own_id, "ref": number})
        elif what == "react":
            told = {"type": "reaction", "id": own_id, "ref": number}
            self.publish(client, {**told, "emoji": "+" * (key % 2 + 1), "on": key % 3 > 0})
        elif what == "repeat":
            mine = [told for user, told in self._published if user == person.user]
            if len(mine) >= number:
                self.publish(client, mine[-number])
        elif what == "come back":
            client.come_back()
        elif what == "start anew":
            client.start_anew(reverse=number == 1)
        elif what == "lag":
            person.peer.pause()
        elif what == "drain":
            person.drain()
        elif what == "hold":
            self.worker.is_held = True
        if "go on" in (what, more):
            self.go_on()

    def publish(self, client: Client, told: object) -> None:
        """Say something, and do not wait."""
        command = value(told, number=client.number())
        self._published.append((client.person.user, told))
        client.person.begin(command)

    def end(self) -> Log:
        """Let everything happen, and everybody take everything; returns the log."""
        self.go_on()
        for client in self.clients:
            client.person.drain()
        self.go_on()
        for client in self.clients:
            client.hear()
        return {each.offset: (each.sender.user, json.loads(each.payload)) for each in self.log()}

    def check(self, log: Log) -> None:
        """What every run promises."""
        seen = view(log)
        for client in self.clients:
            self.assertEqual(sorted(client.log), sorted(log))
            self.assertEqual(view(client.log), seen)
        # of a deleted message no edit is left, be it of before or after; edits are the author's
        deleted: set[int] = set()
        edited: set[int] = set()
        for offset, (user, told) in sorted(log.items()):
            if told["type"] == "delete":
                self.assertNotIn(told["ref"], deleted | edited)
                deleted.add(told["ref"])
                self.assertEqual(log[told["ref"]], (user, {"type": "deleted"}))
            elif told["type"] == "edit":
                self.assertNotIn(told["ref"], deleted)
                edited.add(told["ref"])
                self.assertEqual(log[told["ref"]][0], user)
                self.assertEqual(log[told["ref"]][1]["type"], "message")
            elif told["type"] == "message":
                self.assertLess(told.get("reply_to", 0), offset)
        self.assertEqual(len(self.room().turns), 0)
        self.check_gone()

    def check_gone(self) -> None:
        """No text that was erased is kept, nor was it sent after that."""
        kept = [row.message.payload for row in self.room().tail]
        kept += [row.message.payload for rows in self.feed._blocks.values() for row in rows]
        for number, person in enumerate(self.people):
            for text, written in self.gone:
                sent = b"".join(person.peer.writes[written.get(number, 0) :])
                self.assertNotIn(text.encode(), sent)
        for text, _ in self.gone:
            self.assertNotIn(text.encode(), b"".join(kept))

    @settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.differing_executors])
    @given(st.lists(_steps, max_size=30))
    def test_same_view(self, steps: list[tuple[str, int, int]]) -> None:
        """Any interleaving of events, drops, resumes and lagging ends in the view of the log."""
        self.begin()
        for step in steps:
            self.step(*step)
        self.check(self.end())

    def test_blocks(self) -> None:
        """What is erased is gone from the blocks that lagging members are fed from too."""
        self.begin()
        slow = self.clients[1]
        for _ in range(3):
            slow.person.peer.pause()
            for _ in range(100):
                self.step("say", 0, 0)
            self.go_on()
            slow.person.drain()
            self.go_on()
        self.assertTrue(self.feed._blocks)
        texts = [each.payload for each in self.log()]
        for offset in (10, 130, 250):
            self.step("delete", 0, offset)
            self.go_on()
        self.clients[2].start_anew(reverse=False)
        log = self.end()
        self.assertEqual(log[10][1], json.loads(ERASED))
        self.assertNotIn(ERASED, texts)
        self.assertEqual(len(self.gone), 3)
        self.check(log)
