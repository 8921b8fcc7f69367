"""What each participant sees of the file system: nobody else's home, and their own ``/tmp``."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

from workbook_lib.locations import project_root
from workshop.hub_folder import HubConfig, HubFolder
from workshop.sandbox_spec import CLONE_NEWIPC, CLONE_NEWNS, MountView, SandboxSpec

_SCRATCH_SHARE = 8  # of the memory for each of /tmp, /var/tmp and /dev/shm


def can_have_own_view() -> bool:
    """Whether a process can be given its own ``/tmp``.

    That takes a mount namespace, which some containers refuse even to root.
    """
    pid = os.fork()
    if pid == 0:
        refused = ctypes.CDLL(None).unshare(CLONE_NEWNS | CLONE_NEWIPC)
        os._exit(1 if refused else 0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def unreadable_ancestors(folder: Path) -> list[Path]:
    """Return the folders above one that other users cannot pass, as ``/root`` often is."""
    return [parent for parent in reversed(folder.parents) if not parent.stat().st_mode & 0o001]


def mount_view_of(hub: HubFolder, home: Path | None = None, memory: int = 0) -> MountView:
    """Return the view of a participant with this home, or of a process that sees nobody's.

    What lies in ``/tmp`` counts as memory, of which the participant may have ``memory`` bytes: a
    full one must not leave too little for the server, which the kernel would end, again and again.

    Homes are covered, so that nobody learns who else is here. What a participant's process reads
    outside of its home stays: Python and its packages, and the checkout.
    """
    read = {Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).resolve().parent.parent}
    read |= {Path(part) for part in os.environ.get("PYTHONPATH", "").split(":") if part}
    read.add(project_root())
    kept = sorted({folder.resolve() for folder in read} | {Path(sys.prefix)})
    covered = {one for folder in (*kept, hub.homes) for one in unreadable_ancestors(folder)}
    return MountView(
        covered=sorted(str(folder) for folder in {*covered, hub.folder}),
        kept=[str(folder) for folder in (*kept, home) if folder],
        scratch=memory // _SCRATCH_SHARE,
    )


def service_sandbox(hub: HubFolder, config: HubConfig, number: int) -> SandboxSpec:
    """Return the sandbox of a process that serves this one, ends with it, and sees no home."""
    memory = config.settings.memory_bytes
    view = mount_view_of(hub, memory=memory) if config.own_view else None
    return SandboxSpec(config.first_number + number, "/", view=view, parent=os.getpid())
