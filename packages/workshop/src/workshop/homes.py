"""A participant's home: their own copy of the notebooks, and what they did there."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from workbook_lib.lesson.learner_copy import update_copy
from workshop.hub_folder import HubFolder
from workshop.presence import LARGEST_PRESENCE, PRESENCE, Presence, read_presence, seconds_since

PROGRESS = Path(".workbook", "progress.jsonl")
LARGEST_PROGRESS = 20_000_000  # bytes; a learner of this workbook writes some ten thousand


def make_home(home: Path, number: int) -> None:
    """Make a home with a learner's copy of the lessons; in one that is there nothing is touched.

    It is made beside its place and moved there, so that a start that was cut short leaves none
    that is half full; and it is given away once, before anybody can work in it.
    """
    if home.exists():
        return
    fresh = home.with_name(f".{home.name}.fresh")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    update_copy(fresh)
    for path in (fresh, *fresh.rglob("*")):
        os.chown(path, number, number)
    fresh.rename(home)


def make_scratch(folder: Path, number: int) -> None:
    """Make a folder that nobody but one participant can enter; ``OSError`` if it is another's."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        os.chown(folder, number, number)
    about = folder.lstat()
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != number or about.st_mode & 0o077:
        raise PermissionError(errno.EPERM, "somebody else has made this folder", str(folder))


@dataclass(frozen=True)
class HomeRecord:
    """What a home holds about the work done in it."""

    progress: bytes  # the progress file; empty where there is none
    presence: Presence


def collect_records(hub: HubFolder, first: int) -> dict[str, HomeRecord]:
    """Read what every participant's home holds about their work.

    Participants' user numbers are counted from ``first``.
    Root reads here what a participant has written, so nothing is followed that may lead elsewhere:
    no link on the way, no file that is not the participant's own, none but a regular one.
    """
    return {name: _read_home(hub, name, first) for name in hub.participants()}


def _read_home(hub: HubFolder, name: str, first: int) -> HomeRecord:
    number = hub.known_number(name, first)
    if number is None:  # has signed in, and no more
        return HomeRecord(b"", Presence())
    home = hub.homes / name
    progress, _ = _own_file(home, PROGRESS, number, LARGEST_PROGRESS)
    note, modified = _own_file(home, PRESENCE, number, LARGEST_PRESENCE)
    return HomeRecord(progress, read_presence(note, seconds_since(modified)))


def _own_file(home: Path, name: Path, number: int, most: int) -> tuple[bytes, float]:
    """Read a file, and when it was modified; nothing, and 0, where there is none to be trusted."""
    with contextlib.ExitStack() as open_files, contextlib.suppress(OSError):
        here = os.open(home, os.O_PATH | os.O_NOFOLLOW | os.O_DIRECTORY)
        open_files.callback(os.close, here)
        for part in name.parent.parts:
            here = os.open(part, os.O_PATH | os.O_NOFOLLOW | os.O_DIRECTORY, dir_fd=here)
            open_files.callback(os.close, here)
        # A pipe would have us wait.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        with os.fdopen(os.open(name.name, flags, dir_fd=here), "rb") as file:
            about = os.fstat(file.fileno())
            if stat.S_ISREG(about.st_mode) and about.st_uid == number:
                return file.read(most), about.st_mtime
    return b"", 0.0
