"""What SQLite leaves behind in a database file when it moves rows from page to page.

With `secure_delete` it overwrites what is deleted. But a page that it lays out anew, to make room
for a row in the middle of a table, keeps parts of rows that went to another page, in the gap
between the list of its rows and the rows. Nothing reads them, and nothing overwrites them when
such a row is erased later, where it is then. So they are overwritten here, in the file itself.

That is harmless under these conditions, which `clear` sees to: the log is empty and nobody writes,
so that what the file says holds; only bytes of gaps change, which SQLite never looks at, so that
no reader and no crash can meet a half of anything; and the writer's memory of pages is let go
before, or it would write the old gap again. The descriptor stays open for as long as SQLite has
the file open: to close it drops all locks that the process has on the file.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from sqlite3 import Connection
from struct import Struct

from chatd.brokers.faults import ReplacedError

__all__ = ["STEP_BYTES", "Cleared", "clear", "empty_log"]

STEP_BYTES = 4 << 20
"""So much of a file is looked at in one step."""

_MAGIC = b"SQLite format 3\0"
_AUTO_VACUUM = slice(52, 56)
_FIRST_HEADER = 100  # bytes of the first page
_HEADER = Struct(">BHHH")  # kind of page, first free block, rows, where rows begin
_INNER, _LEAVES = (0x02, 0x05), (0x0A, 0x0D)
# The first byte of other pages is that of the number of a page: below these for so long.
_MOST_PAGES = 0x02 << 24


@dataclass(frozen=True, slots=True)
class Cleared:
    """What one step did.

    Args:
        upto: so many bytes of the file are done; where the next step begins.
        is_end: whether that is all.
        pages: so many had something left in their gaps.
    """

    upto: int
    is_end: bool
    pages: int


def empty_log(connection: Connection) -> bool:
    """Take the log into the file and cut it to nothing; not for a database in memory.

    Returns:
        False: somebody reads what it would change, and nothing waited for them.
    """
    ((patience,),) = connection.execute("pragma busy_timeout")
    connection.execute("pragma busy_timeout = 0")
    try:
        ((busy, _, _),) = connection.execute("pragma wal_checkpoint(truncate)")
    finally:
        connection.execute(f"pragma busy_timeout = {patience}")
    return not busy


def clear(connection: Connection, path: str, descriptor: int, start: int) -> Cleared | None:
    """Overwrite what is left in the gaps of some pages.

    Args:
        connection: the one that writes, in no transaction.
        path: of the file.
        descriptor: of the file, to read and write.
        start: 0, or what the step before was done with.

    Returns:
        None: the log could not be emptied; try again.

    Raises:
        OSError: the file cannot be read or written.
        ReplacedError: the descriptor is of another file than the path, such as one put there since.
    """
    if not empty_log(connection):
        return None
    connection.execute("pragma shrink_memory")
    connection.execute("begin immediate")
    try:
        if os.stat(f"{path}-wal").st_size:
            return None
        if not os.path.samestat(os.fstat(descriptor), os.stat(path)):
            raise ReplacedError
        return _clear(descriptor, start)
    finally:
        connection.execute("rollback")


def _clear(descriptor: int, start: int) -> Cleared:
    size = os.fstat(descriptor).st_size
    header = os.pread(descriptor, _FIRST_HEADER, 0)
    page_bytes = int.from_bytes(header[16:18], "big")
    page_bytes = 65536 if page_bytes == 1 else page_bytes
    # With auto_vacuum, which no database of ours has, some pages are lists that look like trees.
    is_plain = header.startswith(_MAGIC) and not any(header[_AUTO_VACUUM])
    if not is_plain or size // page_bytes >= _MOST_PAGES:
        return Cleared(size, True, 0)
    pages = 0
    part = os.pread(descriptor, STEP_BYTES, start)
    for page in range(0, len(part) - page_bytes + 1, page_bytes):
        first, last = _gap(part, page, page_bytes, is_first=start + page == 0)
        if part.count(0, first, last) < last - first:
            pages += 1
            os.pwrite(descriptor, bytes(last - first), start + first)
    upto = start + len(part)
    is_end = upto >= size or not part
    if is_end:
        os.fdatasync(descriptor)
    return Cleared(upto, is_end, pages)


def _gap(part: bytes, page: int, page_bytes: int, *, is_first: bool) -> tuple[int, int]:
    """Where the gap of a page begins and ends in a part of the file; of no tree: an empty one."""
    at = page + (_FIRST_HEADER if is_first else 0)
    kind, _, rows, content = _HEADER.unpack_from(part, at)
    content = content or 65536
    first = at + (12 if kind in _INNER else 8) + 2 * rows
    last = page + content
    if kind not in (*_INNER, *_LEAVES) or content > page_bytes or first > last:
        return page, page
    return first, last
