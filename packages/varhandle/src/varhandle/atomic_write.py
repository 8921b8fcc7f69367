"""Files that are written whole or not at all, and places where nothing may be written.

A full disk, a kill or a power cut must leave the file that was there before, and not half of the
new one. So each is written beside its place first, under a hidden name, and then put there.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Mapping
from pathlib import Path

from varhandle.errors import PlaceError


def write_all(files: Mapping[Path, bytes]) -> None:
    """Write files, all or none. A file takes the place of another one, and of nothing else.

    Raises:
        OSError: One of them cannot be written; it names the place.
    """
    for path in files:
        check_replaceable(path)
    with contextlib.ExitStack() as leftovers:
        ready = {}
        for path, content in files.items():
            ready[path] = path.with_name(f".{path.name}.{os.getpid()}")
            leftovers.callback(ready[path].unlink, missing_ok=True)
            try:
                ready[path].unlink(missing_ok=True)
                with ready[path].open("xb") as file:  # not through a link that lies there
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())  # before it takes its place: a power cut may follow
            except OSError as error:
                raise OSError(error.errno, error.strerror, str(path)) from error
        for path, written in ready.items():
            written.replace(path)


def check_replaceable(path: Path) -> None:
    """Raise ``OSError`` for a folder, a device or a pipe, which no file may take the place of."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.exists() and not path.is_file():
        fault = "it is a device or a pipe, and no file: name a new file"
        raise PlaceError(errno.EEXIST, fault, str(path))


def check_takes_folder(path: Path) -> None:
    """Raise ``OSError`` where something is there that is no folder."""
    if os.path.lexists(path) and not path.is_dir():
        fault = "it is a file, a pipe or a link to nothing, and no folder: name a new one"
        raise PlaceError(errno.ENOTDIR, fault, str(path))


def make_inner_folder(path: Path) -> None:
    """Make a folder inside a folder of results, which may be somebody else's: through no link."""
    if path.is_symlink():
        fault = "it is a link, which is not followed: remove it"
        raise PlaceError(errno.ELOOP, fault, str(path))
    check_takes_folder(path)
    path.mkdir(parents=True, exist_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file.

    Raises:
        OSError: It cannot be written; it names the place.
    """
    write_all({path: text.encode(errors="backslashreplace")})
