"""Tests of chatd: one file a module, and folders for what needs a real process or browser."""

import os

import hypothesis

# `make test` has just had pytest try them all: with trial it is whether they run there.
_MOST = 25 if os.environ.get("CHATD_TEST_AGAIN") == "1" else None

# Here and not in conftest.py, which trial does not load. A deadline would measure the machine's
# load, not our code; examples of earlier runs would make two runs different.
hypothesis.settings.register_profile("chatd", deadline=None, database=None)
if _MOST is not None:
    hypothesis.settings.register_profile(
        "chatd", hypothesis.settings.get_profile("chatd"), max_examples=_MOST
    )
hypothesis.settings.load_profile("chatd")


def examples(count: int) -> int:
    """How many examples a test that wants its own number of them is to try."""
    return count if _MOST is None else min(count, _MOST)
