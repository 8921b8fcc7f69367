"""Opening a file that somebody else made: only a regular one, and never more of it than there is.

A named pipe would wait for a writer for ever, and a device has no end. The check is made on the
open file, so that nothing can be put in its place in between.
"""

from __future__ import annotations

import errno
import os
import select
import shlex
import stat
from io import FileIO
from pathlib import Path
from typing import IO

from varhandle.errors import PlaceError

LARGEST_MESSAGE = 2**31 - 1
"""Bytes of the largest protocol buffer message there can be."""

LARGEST_TEXT = 2**28
_UNTIL_A_WRITER = 5000  # milliseconds

_OPENED_FILES = ("saved_model.pb", "saved_model.pbtxt", "fingerprint.pb", "keras_metadata.pb")
_OPENED_FOLDERS = ("variables", "assets", "assets.extra")
NO_FILE = "neither a file nor a folder: write what comes from it into a file, and give that"
_KINDS = {
    0: "a link to nothing", stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device", stat.S_IFBLK: "a device",
}  # fmt: skip


def check_folder(folder: Path) -> list[Path]:
    """Check what TensorFlow may open of a SavedModel; return the files of it that lie elsewhere.

    Raises ``OSError`` for what is no regular file, and for a link that leads out of the folder: it
    could name anything. Only a cache of downloads is known to keep files elsewhere, in ``blobs``.
    """
    root = folder.resolve()
    caches = {above / "blobs" for above in root.parents[:3]}
    elsewhere = []
    opened = [folder / name for name in (*_OPENED_FILES, *_OPENED_FOLDERS)]
    for below in _OPENED_FOLDERS:
        opened.extend((folder / below).rglob("*"))
    for path in opened:
        if not os.path.lexists(path):
            continue
        real, name = Path(os.path.realpath(path)), path.relative_to(folder)
        kind = _KINDS.get(stat.S_IFMT(real.stat().st_mode) if real.exists() else 0)
        if kind is not None:
            fault = f"{name} is {kind}, and no file: put the model's own file there"
            raise PlaceError(errno.EINVAL, fault)
        if not real.is_relative_to(root):
            if not caches & {real, real.parent}:
                fault = f"{name} is a link out of the folder"
                copy = f"cp -rL {shlex.quote(str(folder))} copy"
                fault = f"{fault}: copy the model ({copy}), and name the copy"
                raise PlaceError(errno.ELOOP, fault)
            elsewhere.append(real)
    return elsewhere


def open_regular(path: Path) -> FileIO:
    """Open a regular file, or raise ``OSError``; without buffer, without waiting for anybody."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags)
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(mode):
            raise PlaceError(errno.EINVAL, NO_FILE)
        return FileIO(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_stretch(path: Path, start: int, size: int) -> bytes:
    """Read some bytes of a regular file, or raise ``OSError`` where it ends before they do."""
    with open_regular(path) as file:
        file.seek(start)
        found = file.read(size)
    if len(found) < size:
        raise PlaceError(errno.EIO, "it was cut short while it was read: copy all of it again")
    return found


def read_regular(path: Path, most: int = LARGEST_MESSAGE) -> bytes:
    """Read what a regular file held when it was opened; less if it was cut short meanwhile.

    One of more than ``most`` bytes is refused unread, with ``OSError``.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            fault = f"larger than any such file can be ({size:,} bytes): give the model's own file"
            raise PlaceError(errno.EFBIG, fault)
        content = bytearray(size)
        view, filled = memoryview(content), 0
        while filled < size and (count := file.readinto(view[filled:])):
            filled += count
    return bytes(view[:filled])


def read_text(path: Path) -> bytes:
    """Read a text that a user names: a file, or a pipe that somebody writes into.

    ``OSError`` for one of more than ``LARGEST_TEXT`` bytes, and for a pipe without a writer.
    """
    with FileIO(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as file:
        first = b""
        if stat.S_ISFIFO(os.fstat(file.fileno()).st_mode):
            waiting = select.poll()
            waiting.register(file, select.POLLIN)
            if not waiting.poll(_UNTIL_A_WRITER):
                first = file.read(1)  # ``None``, and no end, where a writer has nothing to say yet
                if first == b"":
                    fault = "a named pipe that nobody writes into: name a file"
                    raise PlaceError(errno.EPIPE, fault)
        os.set_blocking(file.fileno(), True)
        return (first or b"") + read_stream(file)


def read_stream(file: IO[bytes] | FileIO) -> bytes:
    """Read an open file to its end; ``OSError`` where that does not come in ``LARGEST_TEXT``."""
    parts, read = [], 0
    while part := file.read(1 << 20):
        parts.append(part)
        read += len(part)
        if read > LARGEST_TEXT:
            fault = f"it has more than {LARGEST_TEXT:,} bytes: cut out the part that matters"
            raise PlaceError(errno.EFBIG, fault)
    return b"".join(parts)
