"""The database of a daemon that starts: checked or made, and said which it is."""

from __future__ import annotations

import os
import time

from twisted.logger import Logger

from chatd import secret
from chatd.brokers import database

__all__ = ["opened"]

log = Logger()


def opened(path: str, durability: str) -> bytes:
    """Check or make a database that is locked, and say which it is.

    Args:
        path: of the database.
        durability: as the configuration has it.

    Returns:
        Its secret.

    Raises:
        ConfigError: it or its secret cannot be used.
    """
    is_new = not os.path.exists(path) or os.path.getsize(path) == 0
    database.check(path, now=time.time())  # noqa: TID251  # for the name of a file
    key = secret.load(path, is_new=is_new)
    if path == database.MEMORY:
        log.info("the database is in memory: nothing is kept")
        return key
    log.info("the database is {path}", path=os.path.realpath(path))
    if durability != "full":
        log.info(
            "durability is {durability}: a power cut may take the last messages",
            durability=durability,
        )
    return key
