"""A temporary folder that a stranger's process may write into."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def temporary_folder(prefix: str) -> Iterator[str]:
    """Make a folder, and remove it with all that is in it when the block ends.

    ``shutil.rmtree`` calls itself for each level, and one of a thousand ends the program.
    """
    folder = tempfile.mkdtemp(prefix=prefix)
    try:
        yield folder
    finally:
        with contextlib.suppress(OSError):  # of a file that is open on Windows
            _remove(folder)


def _remove(folder: str) -> None:
    """Empty one folder after another; those further down are moved up, where paths are short."""
    found = [folder]
    for current in found:
        with os.scandir(current) as entries:
            inside = list(entries)
        for entry in inside:
            if not entry.is_dir(follow_symlinks=False):
                Path(entry.path).unlink()
                continue
            Path(entry.path).chmod(stat.S_IRWXU)
            place = entry.path if current == folder else str(Path(folder, uuid.uuid4().hex))
            if place != entry.path:
                Path(entry.path).rename(place)
            found.append(place)
    for current in reversed(found):
        Path(current).rmdir()
