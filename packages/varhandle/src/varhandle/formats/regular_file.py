"""Opening a file that somebody else made: only a regular one, and never more of it than there is.

A named pipe would wait for a writer for ever, and a device has no end. The check is made on the
open file, so that nothing can be put in its place in between.
"""

from __future__ import annotations

import errno
import os
import stat
from io import FileIO
from pathlib import Path

LARGEST_MESSAGE = 2**31 - 1
"""Bytes of the largest protocol buffer message there can be."""


def open_regular(path: Path) -> FileIO:
    """Open a regular file, or raise ``OSError``; without buffer, without waiting for anybody."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags)
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(mode):
            raise OSError("neither a file nor a folder")
        return FileIO(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_regular(path: Path, most: int = LARGEST_MESSAGE) -> bytes:
    """Read what a regular file held when it was opened; less if it was cut short meanwhile.

    One of more than ``most`` bytes is refused unread, with ``OSError``.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise OSError(f"larger than any such file can be ({size:,} bytes)")
        content = bytearray(size)
        view, filled = memoryview(content), 0
        while filled < size and (count := file.readinto(view[filled:])):
            filled += count
    return bytes(view[:filled])
