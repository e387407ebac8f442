"""All come back at once, while others go on speaking.

`CHATD_TEST_STORM=400` in the environment makes it the large one; `CHATD_TEST_TIMES=1` makes the
time count.
"""

from __future__ import annotations

import os
import sys
import time

from tests.support.crowd import Crowd
from tests.support.daemon import running
from tests.support.lives import FAST
from tests.support.sdk import JsonClient, chat, read_all

READERS = int(os.environ.get("CHATD_TEST_STORM", "100"))
TIMES = os.environ.get("CHATD_TEST_TIMES") == "1"

MISSED = 1_000
RATE = 1_000
"""Messages a second that are said meanwhile."""

AFTER_S = 1.0
AT_HEAD_S = 2.0
DEADLINE_S = 120.0

ROOM = "storm"

# nobody has time for pings in here
ENV = {**FAST, "CHATD_LIMITS_PING_INTERVAL_S": "600"}


def test_storm() -> None:
    """Each gets what was missed and what comes meanwhile, once and in order, up to the last."""
    with running(env=ENV) as daemon, JsonClient(daemon.ws) as other:
        other.connect()
        other.publish(ROOM, chat("seen", "the last that all have seen"))
        epoch = other.history(ROOM)["epoch"]
        with Crowd((daemon.ws, daemon.web), ROOM, (epoch, 1), READERS) as crowd:
            missed = [chat(f"m{number}", f"{number} ".ljust(60, ".")) for number in range(MISSED)]
            assert len(list(other.publish_all(ROOM, missed))) == MISSED
            begun, at_head = 1 + MISSED, set[int]()
            late: list[float] = []

            def all_were_at_head(now_s: float) -> bool:
                """Whether each has been at the head once, which all the time moves on."""
                head = begun + crowd.speaker.stored
                for number, each in enumerate(crowd.readers):
                    if number not in at_head and each.last >= head:
                        at_head.add(number)
                        late.append(time.monotonic() - resumed)
                return len(at_head) == READERS

            crowd.run(RATE, lambda now_s: now_s >= AFTER_S, DEADLINE_S)
            resumed = time.monotonic()
            crowd.resume()
            crowd.run(RATE, all_were_at_head, DEADLINE_S)
            crowd.run(RATE, lambda now_s: now_s >= AFTER_S, DEADLINE_S)

            def all_is_there(now_s: float) -> bool:
                speaker = crowd.speaker
                return speaker.stored == speaker.said and all(
                    each.last == begun + speaker.said for each in crowd.readers
                )

            crowd.run(0, all_is_there, DEADLINE_S)
            last = begun + crowd.speaker.said
        history = read_all(other, ROOM)
    assert len(history) == last
    sys.stdout.write(f"\n{READERS} at the head after {late[0]:.2f} to {late[-1]:.2f} s\n")
    assert not TIMES or late[-1] <= AT_HEAD_S, f"{late[-1]:.2f} s"
