"""What keeps participants apart on this machine, and whether it is to be had.

Each participant's processes run under a user number of their own, out of a block that nobody on
the machine uses, and without an entry in ``/etc/passwd``. That takes root: the machine's, a
container's, or that of a user namespace, which an ordinary user may have where ``newuidmap`` gives
a range of numbers (``/etc/subuid``).
"""

from __future__ import annotations

import ctypes
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

BLOCK = 1000
"""User numbers a room has: the first for the proxy and the culler, the others for participants."""

CLONE_NEWNS = 0x00020000  # unshare(2)
CLONE_NEWIPC = 0x08000000
_LOWEST = 20_000  # above what distributions give to people and services
_HIGHEST = 2**31 - BLOCK
_INSIDE = "WORKBOOK_HUB_NAMESPACE"


class SeparationError(RuntimeError):
    """Participants cannot be kept apart here; the message says what to do."""


def first_number(uid_map: str, taken: Iterable[int] = ()) -> int:
    """Choose a block of user numbers.

    Args:
        uid_map: What ``/proc/self/uid_map`` says (user_namespaces(7)): the first number inside,
            the first outside, how many; one extent a line.
        taken: Numbers that are in use on the machine.

    Returns:
        The first number of a block of ``BLOCK`` in one extent, high up and by chance, so that two
        rooms of a machine do not share one.

    Raises:
        SeparationError: There are not as many.
    """
    extents = []
    for line in uid_map.splitlines():
        start, _, count = map(int, line.split())
        low = max(start, _LOWEST)
        high = min(start + count - BLOCK, _HIGHEST)
        if high >= low:
            extents.append((high - low, low, high))
    if not extents:
        raise SeparationError(
            f"there are no {BLOCK} user numbers for participants: "
            f"give this account a range of 65536 in /etc/subuid and /etc/subgid"
        )
    _, low, high = max(extents)
    used = set(taken)
    for _ in range(1000):
        first = low + secrets.randbelow(high - low + 1)
        if not any(number in used for number in range(first, first + BLOCK)):
            return first
    raise SeparationError("all user numbers are in use")


def needs_namespace() -> bool:
    """Whether this process must enter a user namespace before it can keep people apart."""
    return os.geteuid() != 0


def enter_namespace(command: Sequence[str]) -> None:
    """Become the same command in a user namespace of this user's, as root there.

    Args:
        command: The command line of this process.

    Raises:
        SeparationError: This machine has none for this user. Nothing has been started.
    """
    unshare = shutil.which("unshare")
    into = [str(unshare), "--user", "--map-root-user", "--map-auto", "--mount"]
    able = not os.environ.get(_INSIDE) and unshare and shutil.which("newuidmap")
    if not able or subprocess.run([*into, "true"], capture_output=True, check=False).returncode:
        raise SeparationError(
            "participants can be kept apart only by root, or in a user namespace, and this user "
            "has neither: run it as root, or install uidmap and give this account a range in "
            "/etc/subuid and /etc/subgid"
        )
    os.environ[_INSIDE] = "1"
    os.execv(into[0], [*into, *command])


def can_have_own_view() -> bool:
    """Whether a process can be given its own ``/tmp``.

    That takes a mount namespace, which some containers refuse even to root.
    """
    pid = os.fork()
    if pid == 0:
        refused = ctypes.CDLL(None).unshare(CLONE_NEWNS | CLONE_NEWIPC)
        os._exit(1 if refused else 0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def needed_folders(checkout: Path) -> list[Path]:
    """Return what a participant's process reads outside of its home.

    Args:
        checkout: The workbook's folder.

    Returns:
        Folders, without links on the way: this Python, its packages, and the checkout.
    """
    found = {Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).resolve().parent.parent}
    found |= {
        checkout,
        *(Path(part) for part in os.environ.get("PYTHONPATH", "").split(":") if part),
    }
    return sorted({folder.resolve() for folder in found} | {Path(sys.prefix)})


def closed_above(folder: Path) -> list[Path]:
    """Return the folders above a folder that other users cannot pass, as ``/root`` often is.

    Args:
        folder: The folder.

    Returns:
        Them, the outermost first.
    """
    return [parent for parent in reversed(folder.parents) if not parent.stat().st_mode & 0o001]
