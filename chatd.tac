"""chatd for `twistd -y`, which takes no options of ours; they come from the environment.

CHATD_OPTIONS="--ws tcp:1919" twistd -ny chatd.tac
"""

import os
import sys

from twisted.application.service import Application

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # twistd does not add it
from chatd.tap import from_environment

application = Application("chatd")
from_environment(os.environ.get("CHATD_OPTIONS", "")).setServiceParent(application)
