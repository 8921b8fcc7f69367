"""What a participant may use at most: a control group of the kernel for each (cgroups(7)).

Both of its forms are spoken: version 2, one tree with all limits, and version 1, a tree for each.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
PROCESSES = 1000
"""Processes and threads a participant may have: TensorFlow has some dozens a kernel."""

_PERIOD = 100_000  # microseconds over which a share of the processors is counted


class NoLimitsError(RuntimeError):
    """Limits cannot be enforced here; the message says why."""


@dataclass(frozen=True)
class Limits:
    """Where a room's limits stand.

    Attributes:
        parents: The room's folder for each controller, ``memory``, ``cpu`` and ``pids``; in
            version 2 they are one and the same.
        version: 1 or 2.
    """

    parents: Mapping[str, str]
    version: int

    @classmethod
    def find(cls, name: str, root: Path = ROOT) -> Limits:
        """Make a room's groups.

        Args:
            name: What to call them.
            root: Where the kernel shows its control groups.

        Returns:
            Them.

        Raises:
            NoLimitsError: There are none, or they cannot be written.
        """
        controllers = root / "cgroup.controllers"
        try:
            if controllers.exists() and "memory" in controllers.read_text("ascii").split():
                return cls(dict.fromkeys(("memory", "cpu", "pids"), str(_tree(root, name))), 2)
            trees = {one: root / one for one in ("memory", "cpu", "pids")}
            found = {one: tree for one, tree in trees.items() if (tree / "cgroup.procs").exists()}
            if "memory" not in found:
                raise NoLimitsError(f"{root} has no control groups for memory")
            for tree in found.values():
                (tree / name).mkdir(exist_ok=True)
            return cls({one: str(tree / name) for one, tree in found.items()}, 1)
        except OSError as error:
            raise NoLimitsError(f"{error.filename}: {error.strerror}") from error

    def make(self, name: str, memory: int, cpus: float) -> list[str]:
        """Make a participant's groups, or set those they have anew.

        Args:
            name: The participant's.
            memory: Bytes.
            cpus: Processors, in parts if need be; 0 for as many as there are.

        Returns:
            The ``cgroup.procs`` files to be entered in.

        Raises:
            OSError: They cannot be written.
        """
        quota = int(cpus * _PERIOD)
        values: dict[str, dict[str, int | str]]
        if self.version == 2:
            values = {
                "memory": {"memory.max": memory, "memory.swap.max": 0},
                "cpu": {"cpu.max": f"{quota or 'max'} {_PERIOD}"},
                "pids": {"pids.max": PROCESSES},
            }
        else:
            values = {
                "memory": {
                    "memory.limit_in_bytes": memory,
                    "memory.memsw.limit_in_bytes": memory,
                },
                "cpu": {"cpu.cfs_period_us": _PERIOD, "cpu.cfs_quota_us": quota or -1},
                "pids": {"pids.max": PROCESSES},
            }
        entries = []
        for controller, parent in self.parents.items():
            group = Path(parent, name)
            with contextlib.suppress(OSError):
                group.rmdir()  # an old one may have other limits, which refuse new ones
            group.mkdir(exist_ok=True)
            for file, value in values[controller].items():
                _set(group / file, value)
            entries.append(str(group / "cgroup.procs"))
        return list(dict.fromkeys(entries))

    def remove(self) -> None:
        """Take the room's groups away, when nobody is in them any more."""
        for parent in {*self.parents.values()}:
            for folder in (*Path(parent).glob("*/"), Path(parent)):
                for _ in range(20):  # a process that has just ended still counts for a moment
                    with contextlib.suppress(OSError):
                        folder.rmdir()
                        break
                    time.sleep(0.05)


def _tree(root: Path, name: str) -> Path:
    tree = root / name
    tree.mkdir(exist_ok=True)
    for folder in (root, tree):
        (folder / "cgroup.subtree_control").write_text("+memory +cpu +pids", encoding="ascii")
    return tree


def _set(file: Path, value: int | str) -> None:
    """Write a limit; one on swap may be missing where there is no swap."""
    optional = "swap" in file.name or "memsw" in file.name
    try:
        file.write_text(str(value), encoding="ascii")
    except OSError:
        if not optional:
            raise
