"""Tests of chatd: one file a module, and folders for what needs a real process or browser."""

import hypothesis

# Here and not in conftest.py, which trial does not load. A deadline would measure the machine's
# load, not our code; examples of earlier runs would make two runs different.
hypothesis.settings.register_profile("chatd", deadline=None, database=None)
hypothesis.settings.load_profile("chatd")
