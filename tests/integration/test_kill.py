"""What was acknowledged is there after `kill -9`, once, and where it was.

`CHATD_TEST_ROUNDS=50` in the environment makes it the long run: 100 000 acknowledgements or more.
"""

from __future__ import annotations

import hashlib
import os
import random
import statistics
import threading
from collections.abc import Iterator

import pytest

from tests.support.client import GoneError
from tests.support.daemon import until
from tests.support.lives import Lives, lives
from tests.support.sdk import Json, JsonClient, chat, read_all

ROUNDS = int(os.environ.get("CHATD_TEST_ROUNDS", "5"))
SEED = int(os.environ.get("CHATD_TEST_SEED", "0")) or random.SystemRandom().randrange(1 << 32)

PUBLISHERS = 4
WINDOW = 64
LEAST, MOST = (2_000, 3_000) if ROUNDS >= 50 else (300, 900)
"""A round is killed when so many more were acknowledged."""

ROUND_S = 60.0
RESTART_S = 2.0
ROOM = "killed"


class Publisher:
    """Publishes as one user, life after life, and notes what was acknowledged.

    Args:
        name: its nick, with which its message ids begin.
        random_: for the lengths of texts.
    """

    def __init__(self, name: str, random_: random.Random) -> None:
        self.name = name
        self.acked: dict[str, str] = {}
        self.unacked: dict[str, str] = {}
        self.user = ""
        self.error: BaseException | None = None
        self._resume: str | None = None
        self._random = random_
        self._last = 0
        self._client: JsonClient | None = None

    def connect(self, port: int) -> None:
        """Come in, as who one was before."""
        client = self._client = JsonClient(port)
        client.connect(self.name, self._resume)
        assert self.user in ("", client.user), "another user than before"
        self.user, self._resume = client.user, client.resume

    def retry(self) -> None:
        """Publish again what was not acknowledged, with the same ids."""
        again = list(self.unacked.items())
        self._publish(iter([chat(*each) for each in again]))
        assert not self.unacked, f"{len(self.unacked)} of {len(again)} not acknowledged"

    def publish_until_killed(self) -> None:
        """Publish until the connection ends; what else happens is in `error`."""
        try:
            self._publish(self._new())
        except (GoneError, OSError):
            pass
        except BaseException as error:
            self.error = error
        finally:
            self.close()

    def close(self) -> None:
        """Let go of the connection."""
        if self._client is not None:
            self._client.socket.socket.close()
            self._client = None

    def _publish(self, contents: Iterator[Json]) -> None:
        assert self._client is not None
        for message_id in self._client.publish_all(ROOM, contents, window=WINDOW):
            self.acked[message_id] = self.unacked.pop(message_id)

    def _new(self) -> Iterator[Json]:
        while True:
            self._last += 1
            message_id = f"{self.name}-{self._last}"
            length = self._random.choice((1, 40, 40, 200, 3_000))
            text = hashlib.sha256(message_id.encode()).hexdigest().ljust(length, "·")
            self.unacked[message_id] = text
            yield chat(message_id, text)


def one_round(some: Lives, publishers: list[Publisher], acks: int) -> None:
    """Have all publish, and kill the daemon after so many acknowledgements."""
    begun = sum(len(each.acked) for each in publishers)
    threads = [
        threading.Thread(target=each.publish_until_killed, name=each.name) for each in publishers
    ]
    for thread in threads:
        thread.start()

    def enough() -> bool:
        for each in publishers:
            assert each.error is None, f"{each.name}: {each.error!r}"
        return sum(len(each.acked) for each in publishers) - begun >= acks

    try:
        until(enough, f"{acks} acknowledgements", ROUND_S)
    finally:
        some.kill()
        for thread in threads:
            thread.join(ROUND_S)
    assert not any(thread.is_alive() for thread in threads)


@pytest.mark.parametrize("durability", ["full", "normal"])
def test_kill(durability: str) -> None:
    """Nothing acknowledged is missing, nothing is there twice, and no place is empty."""
    random_ = random.Random(SEED)
    publishers = [Publisher(f"p{n}", random.Random(random_.random())) for n in range(PUBLISHERS)]
    history: list[Json] = []
    seen: dict[tuple[str, str], int] = {}
    with lives({"CHATD_STORAGE_DURABILITY": durability}) as some:
        for each in publishers:
            each.connect(some.ws)
        for number in range(ROUNDS):
            where = f"seed {SEED}, round {number}"
            one_round(some, publishers, random_.randrange(LEAST, MOST))
            some.start()
            for each in publishers:
                each.connect(some.ws)
                each.retry()
            with JsonClient(some.ws) as reader:
                reader.connect()
                history += read_all(reader, ROOM, len(history))
            for pub in history[len(seen) :]:
                key = (pub["info"]["user"], pub["data"]["id"])
                assert key not in seen, f"{where}: {key} is at {seen[key]} and {pub['offset']}"
                seen[key] = pub["offset"]
            acked = sum(len(each.acked) for each in publishers)
            assert len(seen) == acked, f"{where}: {len(seen)} stored, {acked} acknowledged"
        with JsonClient(some.web) as reader:
            reader.connect()
            again = read_all(reader, ROOM)
        for each in publishers:
            each.close()
        restarts_s = some.restarts_s[1:]
    assert again == history, f"seed {SEED}: what is stored has changed"
    assert [pub["offset"] for pub in history] == list(range(1, len(history) + 1))
    texts = {(pub["info"]["user"], pub["data"]["id"]): pub["data"]["text"] for pub in history}
    for each in publishers:
        said = {(each.user, message_id): text for message_id, text in each.acked.items()}
        missing = [key for key in said if key not in texts]
        assert not missing, f"seed {SEED}: {len(missing)} missing, such as {missing[:3]}"
        assert all(texts[key] == text for key, text in said.items()), f"seed {SEED}"
        # each user's own come in the order in which they were said
        own = [int(key[1].partition("-")[2]) for key in seen if key[0] == each.user]
        assert own == sorted(own), f"seed {SEED}: {each.name}"
    assert ROUNDS < 50 or len(history) >= 100_000, len(history)
    # of several, so that one moment in which the machine was busy is no failure
    assert statistics.median(restarts_s) < RESTART_S, restarts_s
