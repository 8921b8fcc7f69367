"""What a locked process adds to the disk, seen from outside.

The kernel limits each file of a process (``lock``), and not all of them together.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import stat
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

_SECONDS = 0.3
_SMALLEST = 2**16
"""Bytes that an entry of a folder counts at least: many empty ones take long to be removed."""


class DiskWatch:
    """Watches the folders that a process may change; what is there now does not count."""

    def __init__(self, folders: Sequence[str]) -> None:
        self._folders, self._next = folders, 0.0
        self._before = _bytes_in(folders)

    def shows_more_than(self, limit: int, pid: int) -> bool:
        """Look again, if the last look is a while ago."""
        if not self._folders or time.monotonic() < self._next:
            return False
        added = _bytes_in(self._folders) + _bytes_removed(pid) - self._before
        self._next = time.monotonic() + _SECONDS
        return added > limit or self._has_mapped_a_removed_file(pid)

    def _has_mapped_a_removed_file(self, pid: int) -> bool:
        """Tell whether it maps a file that it has removed.

        Such a file takes room, and nobody but root can see how much. No library does that.
        """
        with contextlib.suppress(OSError):
            lines = os.fsdecode(Path(f"/proc/{pid}/maps").read_bytes()).splitlines()
            removed = [line for line in lines if line.endswith(" (deleted)")]
            return any(f" {folder}/" in line for line in removed for folder in self._folders)
        return False


def _bytes_in(folders: Iterable[str]) -> float:
    return sum(size for folder in folders for size in _sizes(folder))


def _sizes(folder: str) -> Iterator[float]:
    waiting = [folder]
    while waiting:
        with contextlib.suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                try:
                    yield _bytes_of(entry.stat(follow_symlinks=False))
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                except OSError as error:
                    if error.errno == errno.ENAMETOOLONG:  # so deep that nobody can look
                        yield math.inf
                    # Otherwise it is gone by now.


def _bytes_removed(pid: int) -> int:
    """Return the bytes of the files that a process has open, and that have no name any more."""
    found = []
    with contextlib.suppress(OSError):
        for one in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                found.append(one.stat())
    return sum(_bytes_of(one) for one in found if stat.S_ISREG(one.st_mode) and not one.st_nlink)


def _bytes_of(found: os.stat_result) -> int:
    return max(_SMALLEST, getattr(found, "st_blocks", 0) * 512)
