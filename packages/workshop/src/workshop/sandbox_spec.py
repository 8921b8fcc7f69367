"""``python -m workshop.sandbox_spec PLAN COMMAND…``: leave root behind, and be the command.

Started as root by the hub, for each participant's server. What it does, in this order: join the
control groups, so that whatever comes counts there; take a view of the file system in which
``/tmp``, ``/dev/shm`` and the list of processes are its own; give up all rights but those of one
user number; become the command. It imports only what it needs: a room waits for it. A server that
is forked (``template``) does the same but for the last.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from workshop.mount_view import CLONE_NEWIPC, CLONE_NEWNS

_SHARED = ("/tmp", "/var/tmp", "/dev/shm")  # where anybody may write
_MS_NOSUID, _MS_NODEV, _MS_BIND, _MS_REC, _MS_PRIVATE = 2, 4, 4096, 16384, 1 << 18  # mount(2)
_PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 4, 38  # prctl(2)


@dataclass(frozen=True)
class Plan:
    """As whom, and in what, a command is to run.

    Attributes:
        number: Its user number, and that of its group.
        folder: Its working directory.
        groups: ``cgroup.procs`` files to be entered in.
        own_view: Whether it gets a view of the file system of its own.
        covered: Folders that are to look empty.
        kept: Folders that are to stay visible below covered ones.
    """

    number: int
    folder: str
    groups: Sequence[str] = ()
    own_view: bool = True
    covered: Sequence[str] = ()
    kept: Sequence[str] = ()

    def command(self, command: Sequence[str]) -> list[str]:
        """Return the command line that carries it out.

        Args:
            command: What to become.

        Returns:
            The command line, to be run as root.
        """
        return [sys.executable, "-m", __name__, json.dumps(asdict(self)), *command]


def enter(plan: Plan) -> None:
    """Carry out a plan in this process.

    Args:
        plan: The plan.

    Raises:
        OSError: Something is refused; nothing must be run then.
    """
    for group in plan.groups:
        Path(group).write_text(str(os.getpid()), encoding="ascii")
    if plan.own_view:
        _take_own_view(plan.covered, plan.kept)
    os.setgroups([])
    os.setresgid(plan.number, plan.number, plan.number)
    os.setresuid(plan.number, plan.number, plan.number)
    # No program that belongs to root gives rights back (execve(2)).
    _called("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    # What stands in /proc about this process is the user's, as it is after the next program starts.
    _called("prctl", _PR_SET_DUMPABLE, 1, 0, 0, 0)
    os.umask(0o077)
    os.chdir(plan.folder)


def _take_own_view(covered: Iterable[str], kept: Iterable[str]) -> None:
    """Cover folders, the outer ones first, and put back what is to stay below them."""
    os.umask(0o022)
    covers = {*_SHARED, *covered}
    covers = {folder for folder in covers if Path(folder).is_dir()}
    below = [
        folder for folder in kept if any(Path(cover) in Path(folder).parents for cover in covers)
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
            mode = "1777" if folder in _SHARED else "755"
            _mount("tmpfs", folder, "tmpfs", _MS_NOSUID | _MS_NODEV, f"mode={mode}")
    for number in held.values():
        os.close(number)
    # Others' processes do not even show. In a user namespace it is refused; their memory and
    # their environment are then still closed, because they belong to another user number.
    with contextlib.suppress(OSError):
        _mount("proc", "/proc", "proc", _MS_NOSUID | _MS_NODEV, "hidepid=2")


def _mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    texts = [text.encode() for text in (source, target, kind)]
    _called("mount", *texts, ctypes.c_ulong(flags), data.encode())


def _called(name: str, *arguments: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def main(arguments: Sequence[str]) -> None:
    """Carry out a plan, and become a command.

    Args:
        arguments: The plan as JSON, then the command.
    """
    plan, *command = arguments
    try:
        enter(Plan(**json.loads(plan)))
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f"workbook hub: this place cannot be entered: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
