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
from dataclasses import dataclass
from pathlib import Path

from workbook_lib.locations import project_root
from workshop.hub_folder import HubFolder, WorkshopError

BLOCK = 1000
"""User numbers a hub has: the first for the proxy and the culler, the others for participants."""

CLONE_NEWNS = 0x00020000  # unshare(2)
CLONE_NEWIPC = 0x08000000
_LOWEST = 20_000  # above what distributions give to people and services
_HIGHEST = 2**31 - BLOCK
_INSIDE = "WORKBOOK_HUB_NAMESPACE"


def first_number(uid_map: str, taken: Iterable[int] = ()) -> int:
    """Choose a block of user numbers, high up and by chance, so that two hubs do not share one.

    ``uid_map`` is what ``/proc/self/uid_map`` says (user_namespaces(7)): the first number inside,
    the first outside, how many; one extent a line. ``taken`` are numbers in use on the machine.
    """
    extents = []
    for line in uid_map.splitlines():
        start, _, count = map(int, line.split())
        low = max(start, _LOWEST)
        high = min(start + count - BLOCK, _HIGHEST)
        if high >= low:
            extents.append((high - low, low, high))
    if not extents:
        raise WorkshopError(
            f"there are no {BLOCK} user numbers for participants: "
            f"give this account a range of 65536 in /etc/subuid and /etc/subgid"
        )
    _, low, high = max(extents)
    used = set(taken)
    for _ in range(1000):
        first = low + secrets.randbelow(high - low + 1)
        if not any(number in used for number in range(first, first + BLOCK)):
            return first
    raise WorkshopError("all user numbers are in use")


def needs_namespace() -> bool:
    """Whether this process must enter a user namespace before it can keep people apart."""
    return os.geteuid() != 0


def enter_namespace(command: Sequence[str]) -> None:
    """Become the same command in a user namespace of this user's, as root there."""
    unshare = shutil.which("unshare")
    into = [str(unshare), "--user", "--map-root-user", "--map-auto", "--mount"]
    able = not os.environ.get(_INSIDE) and unshare and shutil.which("newuidmap")
    if not able or subprocess.run([*into, "true"], capture_output=True, check=False).returncode:
        raise WorkshopError(
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
    """Return what a participant's process reads outside of its home."""
    found = {Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).resolve().parent.parent}
    found |= {
        checkout,
        *(Path(part) for part in os.environ.get("PYTHONPATH", "").split(":") if part),
    }
    return sorted({folder.resolve() for folder in found} | {Path(sys.prefix)})


def unreadable_ancestors(folder: Path) -> list[Path]:
    """Return the folders above one that other users cannot pass, as ``/root`` often is."""
    return [parent for parent in reversed(folder.parents) if not parent.stat().st_mode & 0o001]


@dataclass(frozen=True)
class MountView:
    """What a process sees of the file system."""

    covered: Sequence[str]  # folders that look empty
    kept: Sequence[str]  # folders that stay visible below covered ones


def mount_view_of(hub: HubFolder, home: Path | None = None) -> MountView:
    """Return the view of a participant with this home, or of a process that sees nobody's.

    Homes are covered, so that nobody learns who else is here.
    """
    kept = needed_folders(project_root())
    covered = {str(one) for folder in (*kept, hub.homes) for one in unreadable_ancestors(folder)}
    homes = [home] if home else []
    return MountView(
        covered=sorted({*covered, str(hub.folder)}),
        kept=[os.fspath(folder) for folder in (*kept, *homes)],
    )
