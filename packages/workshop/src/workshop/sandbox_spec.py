"""``python -m workshop.sandbox_spec SPEC COMMAND…``: leave root behind, and be the command.

The hub starts it as root, for each participant's server. What it does, in this order: join the
control groups, so that whatever comes counts there; take a mount view in which ``/tmp``,
``/dev/shm`` and the list of processes are its own; give up all rights but those of one user
number; become the command. It imports only what it needs: a class full of people waits for it. A
server that is forked (``spawner``) does the same but for the last.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

CLONE_NEWNS, CLONE_NEWIPC = 0x00020000, 0x08000000  # unshare(2)
_SHARED = ("/tmp", "/var/tmp", "/dev/shm")  # where anybody may write
_MS_NOSUID, _MS_NODEV, _MS_BIND, _MS_REC, _MS_PRIVATE = 2, 4, 4096, 16384, 1 << 18  # mount(2)
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38  # prctl(2)


@dataclass(frozen=True)
class MountView:
    """What a process sees of the file system."""

    covered: Sequence[str]  # folders that look empty
    kept: Sequence[str]  # folders that stay visible below covered ones
    scratch: int = 0  # bytes that each of _SHARED holds, which are memory; 0: the kernel's default


@dataclass(frozen=True)
class SandboxSpec:
    """As whom, and in what, a command is to run."""

    number: int  # its user number, and that of its group
    folder: str  # its working directory
    groups: Sequence[str] = ()  # cgroup.procs files to be entered in
    view: MountView | None = None  # its own view of the file system
    parent: int | None = None  # the process that starts it, if it is to end with that

    def command(self, command: Sequence[str]) -> list[str]:
        """Return the command line that does this, to be run as root."""
        return [sys.executable, "-m", __name__, json.dumps(asdict(self)), *command]


def enter_sandbox(spec: SandboxSpec) -> None:
    """Make this process what a spec says; after an ``OSError`` nothing must be run in it."""
    for group in spec.groups:
        Path(group).write_text(str(os.getpid()), encoding="ascii")
    if spec.view is not None:
        _take(spec.view)
    os.setgroups([])
    os.setresgid(spec.number, spec.number, spec.number)
    os.setresuid(spec.number, spec.number, spec.number)
    # No program that belongs to root gives rights back (execve(2)).
    _called("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    # What stands in /proc about this process is the user's, as it is after the next program starts.
    _called("prctl", _PR_SET_DUMPABLE, 1, 0, 0, 0)
    if spec.parent is not None:
        die_with_parent(spec.parent)
    os.umask(0o077)
    os.chdir(spec.folder)


def _take(view: MountView) -> None:
    """Cover folders, the outer ones first, and put back what is to stay below them."""
    os.umask(0o022)
    covers = {folder for folder in (*_SHARED, *view.covered) if Path(folder).is_dir()}
    below = [
        folder for folder in view.kept if covers & {str(parent) for parent in Path(folder).parents}
    ]
    _called("unshare", CLONE_NEWNS | CLONE_NEWIPC)
    _mount("none", "/", "", _MS_REC | _MS_PRIVATE)
    # Held from here on, because a cover hides the way to them.
    held = {folder: os.open(folder, os.O_PATH) for folder in below}
    for folder in sorted({*covers, *held}, key=lambda name: len(Path(name).parts)):
        if folder in held:
            if Path(folder).is_symlink():  # in one that was kept before; so is what it names
                continue
            Path(folder).mkdir(parents=True, exist_ok=True, mode=0o755)
            _mount(f"/proc/self/fd/{held[folder]}", folder, "", _MS_BIND | _MS_REC)
        elif Path(folder).is_dir():  # not where an outer cover has hidden it
            mode = f"mode=1777,size={view.scratch}" if folder in _SHARED else "mode=755"
            _mount("tmpfs", folder, "tmpfs", _MS_NOSUID | _MS_NODEV, mode)
    for number in held.values():
        os.close(number)
    # Others' processes do not even show. In a user namespace it is refused; their memory and
    # their environment are then still closed, because they belong to another user number.
    with contextlib.suppress(OSError):
        _mount("proc", "/proc", "proc", _MS_NOSUID | _MS_NODEV, "hidepid=2")


def die_with_parent(parent: int) -> None:
    """Have the system end this process when its parent's thread that started it is gone.

    A change of the user number undoes it (prctl(2)).
    """
    _called("prctl", _PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it was gone before
        os._exit(1)


def _mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    texts = [text.encode() for text in (source, target, kind)]
    _called("mount", *texts, ctypes.c_ulong(flags), data.encode())


def _called(name: str, *arguments: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def run_server(arguments: Sequence[str]) -> None:
    """Be a participant's server until it is ended, in a process that has been forked for it."""
    from jupyterhub.singleuser import main

    sys.argv[:] = ["jupyterhub-singleuser", *arguments]
    main()


def main(arguments: Sequence[str]) -> None:
    """Enter the sandbox that the first argument describes (JSON), and become the command."""
    described, *command = arguments
    try:
        spec = json.loads(described)
        view = spec["view"] and MountView(**spec["view"])
        enter_sandbox(SandboxSpec(**{**spec, "view": view}))
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f"workbook hub: this place cannot be entered: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
