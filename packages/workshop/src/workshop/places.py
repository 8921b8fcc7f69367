"""A participant's place: a home with their own copy of the notebooks, and what they did there."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from pathlib import Path

from workshop.hub_folder import INSTRUCTOR, Room

COPIED = ("notebooks", "data")
PROGRESS = Path(".workbook", "progress.jsonl")
_LARGEST = 20_000_000  # bytes of a progress file; a learner writes some ten thousand


def make_home(home: Path, number: int, checkout: Path) -> None:
    """Make a home with a copy of the notebooks, or complete the one that is there.

    A home is made beside its place and moved there, so that a start that was cut short leaves
    none that is half full; and it is given away once, before anybody can work in it. In a home
    that is there nothing is touched: ``fill`` completes it, with the participant's own rights.

    Args:
        home: Where.
        number: The participant's user number.
        checkout: Where the notebooks are.

    Raises:
        OSError: It cannot be made.
    """
    if home.exists():
        return
    fresh = home.with_name(f".{home.name}.fresh")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    for name in COPIED:
        _copy_tree(checkout / name, fresh / name)
    (fresh / PROGRESS.parent).mkdir()
    for folder, _, files in os.walk(fresh):
        os.chown(folder, number, number)
        for file in files:
            os.chown(Path(folder, file), number, number)
    fresh.rename(home)


def _copy_tree(source: Path, target: Path) -> None:
    shutil.copytree(
        source,
        target,
        copy_function=shutil.copyfile,  # not the modes: a participant may write their copy
        ignore=shutil.ignore_patterns(".*", "__pycache__"),
    )


def scratch_of(number: int) -> Path:
    """Return where a participant's temporary files are, if ``/tmp`` is everybody's.

    Args:
        number: The participant's user number.

    Returns:
        A short path: that of a socket in it may have a hundred characters.
    """
    return Path(f"/tmp/workbook-{number}")


def make_scratch(folder: Path, number: int) -> None:
    """Make a folder that nobody but one participant can enter.

    Args:
        folder: Where, in a folder that everybody may write to.
        number: The participant's user number.

    Raises:
        OSError: It cannot be made, or somebody else has made it before.
    """
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        os.chown(folder, number, number)
    about = folder.lstat()
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != number or about.st_mode & 0o077:
        raise PermissionError(errno.EPERM, "somebody else has made this folder", str(folder))


def fresh_notebook(notebook: Path, checkout: Path) -> Path | None:
    """Put a fresh copy of a notebook in its place, and keep what was there beside it.

    Args:
        notebook: The notebook, whether or not it is still there.
        checkout: Where the notebooks are copied from.

    Returns:
        What the old one is called now; ``None`` if there was none.

    Raises:
        FileNotFoundError: The workbook has no notebook of this name.
        OSError: It cannot be written.
    """
    source = checkout / "notebooks" / notebook.name
    if notebook.suffix != ".ipynb" or not source.is_file():
        raise FileNotFoundError(f"{notebook.name}: the workbook has no such notebook")
    if not notebook.exists():
        shutil.copyfile(source, notebook)
        return None
    if notebook.samefile(source):
        raise FileExistsError(f"{notebook.name}: this is the notebook that copies are made of")
    taken = 1
    while (kept := notebook.with_name(f"{notebook.stem}-mine-{taken}.ipynb")).exists():
        taken += 1
    notebook.rename(kept)
    shutil.copyfile(source, notebook)
    return kept


def collect_progress(room: Room, first_number: int, into: Path) -> list[str]:
    """Copy every participant's progress file, each under their name.

    Root reads here what a participant has written, so nothing is followed that may lead elsewhere:
    no link on the way, no file that is not the participant's own, none but a regular one.

    Args:
        room: The room.
        first_number: The first of its user numbers.
        into: An empty folder.

    Returns:
        The names of those who have a place, and have recorded nothing.
    """
    untouched = []
    for name, order in sorted(room.participants()):
        if name == INSTRUCTOR:
            continue
        content = _own_file(room.home(name), PROGRESS, first_number + order)
        if content:
            (into / f"{name}.jsonl").write_bytes(content)
        else:
            untouched.append(name)
    return untouched


def _own_file(home: Path, path: Path, number: int) -> bytes:
    """Read a file of a participant; nothing if there is none that may be read."""
    with contextlib.ExitStack() as open_files, contextlib.suppress(OSError):
        here = os.open(home, os.O_PATH | os.O_NOFOLLOW | os.O_DIRECTORY)
        open_files.callback(os.close, here)
        for part in path.parent.parts:
            here = os.open(part, os.O_PATH | os.O_NOFOLLOW | os.O_DIRECTORY, dir_fd=here)
            open_files.callback(os.close, here)
        # A pipe would have us wait.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        with os.fdopen(os.open(path.name, flags, dir_fd=here), "rb") as file:
            about = os.fstat(file.fileno())
            if stat.S_ISREG(about.st_mode) and about.st_uid == number:
                return file.read(_LARGEST)
    return b""
