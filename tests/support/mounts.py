"""Mounts that nobody else sees: small disks, which are full soon, without being root."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self
from unittest import SkipTest

__all__ = ["Mounts", "ballast", "free"]

_END_S = 10.0


class Mounts:
    """A mount namespace, with a process that keeps it.

    Raises:
        SkipTest: the system gives us none.
    """

    def __init__(self) -> None:
        words = ["unshare", "-rm", "sh", "-c", "echo ready; exec cat"]
        try:
            self._keeper = subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        except FileNotFoundError:
            raise SkipTest("needs unshare, of util-linux") from None
        assert self._keeper.stdout is not None
        if self._keeper.stdout.readline() != b"ready\n":
            _, words_of_it = self._keeper.communicate(timeout=_END_S)
            raise SkipTest(f"needs a mount namespace: {words_of_it.decode()}")
        self.words = (
            *("nsenter", "--target", str(self._keeper.pid), "--user", "--mount"),
            *("--preserve-credentials", "--"),
        )

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command in there, to its end."""
        return subprocess.run(
            [*self.words, *words], capture_output=True, text=True, timeout=60, check=False
        )

    def mount(self, *words: str) -> None:
        """Mount something."""
        done = self.run("mount", *words)
        assert done.returncode == 0, done.stderr

    def disk(self, folder: Path, size: int) -> Path:
        """Mount a disk of its own over a folder.

        Args:
            folder: which one.
            size: of the disk in bytes.

        Returns:
            where what is in the folder is seen from outside.
        """
        self.mount("-t", "tmpfs", "-o", f"size={size}", "none", str(folder))
        return Path(f"/proc/{self._keeper.pid}/root{folder}")

    def end(self) -> None:
        """Be gone, with what was mounted once nobody uses it."""
        self._keeper.communicate(timeout=_END_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()


def free(folder: Path) -> int:
    """How many bytes are free on a disk."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


def ballast(path: Path, left: int) -> None:
    """Fill a disk with a file, but for so many bytes."""
    with path.open("ab") as file:
        while (more := free(path.parent) - left) > 0:
            file.write(bytes(min(more, 1 << 20)))
            file.flush()
