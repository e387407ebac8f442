"""What is looked at on the disk before a commit: that the file is still there, and room for it."""

from __future__ import annotations

import os
from collections.abc import Callable

from chatd.brokers.faults import ReplacedError
from chatd.errors import FULL, ChatError

__all__ = ["Disk"]

_LOOK_MS = 1000

_File = tuple[int, int] | None


class Disk:
    """Where a database lies. Used on the writer's thread, for it asks the file system.

    Args:
        path: of the database's file.
        free_bytes: to be left free on its disk; 5 % of the disk are enough.
        statvfs: see `os.statvfs`.
    """

    def __init__(
        self,
        path: str,
        free_bytes: int,
        statvfs: Callable[[str], os.statvfs_result] = os.statvfs,
    ) -> None:
        self._path = path
        # The newest commits are in the log beside it; SQLite writes on into a deleted one.
        self._log_path = f"{path}-wal"
        self._free_bytes = free_bytes
        self._statvfs = statvfs
        self._files: tuple[_File, _File] = (None, None)
        self._is_log_ours = True
        self._is_low = False
        self._looked_ms: int | None = None

    def remember(self) -> None:
        """Take the files as they are now for ours."""
        self._files = _look(self._path), _look(self._log_path)

    def check(self, now_ms: int, *, stores: bool) -> None:
        """See whether to commit.

        Args:
            now_ms: the wall clock; log and space are looked at once a second, for each look may
                wait for the interpreter's lock.
            stores: whether the commit takes space.

        Raises:
            ChatError: a file is not ours, or too little is free.
        """
        file, log = self._files
        if file is None or _look(self._path) != file:
            raise ReplacedError
        # A clock that steps back must not put the next look off.
        if self._looked_ms is None or abs(now_ms - self._looked_ms) >= _LOOK_MS:
            self._looked_ms = now_ms
            self._is_log_ours = _look(self._log_path) == log
            disk = self._statvfs(self._path)
            least = min(self._free_bytes, disk.f_blocks * disk.f_frsize // 20)
            self._is_low = disk.f_bavail * disk.f_frsize < least
        if not self._is_log_ours:
            raise ReplacedError
        if stores and self._is_low:
            raise ChatError(FULL)


def _look(path: str) -> _File:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
