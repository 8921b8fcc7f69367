"""What a participant may use at most: a control group of the kernel for each (cgroups(7)).

There are two forms: version 2, one tree with all limits, and version 1, a tree for each.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from workshop.hub_folder import WorkshopError

ROOT = Path("/sys/fs/cgroup")
PROCESSES = 1000
"""Processes and threads a participant may have: TensorFlow has some dozens a kernel."""

_PERIOD = 100_000  # microseconds over which a share of the processors is counted


class NoLimitsError(WorkshopError):
    """Limits cannot be enforced here; the message says why."""


@dataclass(frozen=True)
class Limits:
    """Where a hub's limits stand."""

    folders: Mapping[str, str]  # one for each controller in version 1; one for ``all`` in version 2

    @classmethod
    def find(cls, name: str, root: Path = ROOT) -> Limits:
        """Make a hub's groups; ``NoLimitsError`` if there are none, or they cannot be written."""
        controllers = root / "cgroup.controllers"
        try:
            if controllers.exists() and "memory" in controllers.read_text("ascii").split():
                (root / name).mkdir(exist_ok=True)
                for folder in (root, root / name):
                    wanted = "+memory +cpu +pids"
                    (folder / "cgroup.subtree_control").write_text(wanted, encoding="ascii")
                return cls({"all": str(root / name)})
            trees = {one: root / one for one in ("memory", "cpu", "pids")}
            found = {one: tree for one, tree in trees.items() if (tree / "cgroup.procs").exists()}
            if "memory" not in found:
                raise NoLimitsError(f"{root} has no control groups for memory")
            for tree in found.values():
                (tree / name).mkdir(exist_ok=True)
            return cls({one: str(tree / name) for one, tree in found.items()})
        except OSError as error:
            raise NoLimitsError(f"{error.filename}: {error.strerror}") from error

    def make(self, name: str, memory: int, cpus: float) -> list[str]:
        """Make a participant's groups, or set them anew; return their ``cgroup.procs`` files.

        ``memory`` is in bytes; 0 ``cpus`` are as many as there are.
        """
        quota = int(cpus * _PERIOD)
        values: dict[str, dict[str, int | str]] = {
            "all": {
                "memory.max": memory,
                "memory.swap.max": 0,
                "cpu.max": f"{quota or 'max'} {_PERIOD}",
                "pids.max": PROCESSES,
            },
            "memory": {
                "memory.limit_in_bytes": memory,
                "memory.memsw.limit_in_bytes": memory,
            },
            "cpu": {"cpu.cfs_period_us": _PERIOD, "cpu.cfs_quota_us": quota or -1},
            "pids": {"pids.max": PROCESSES},
        }
        groups = {controller: Path(folder, name) for controller, folder in self.folders.items()}
        for controller, group in groups.items():
            with contextlib.suppress(OSError):
                group.rmdir()  # an old one may have other limits, which refuse new ones
            group.mkdir(exist_ok=True)
            for file, value in values[controller].items():
                try:
                    (group / file).write_text(str(value), encoding="ascii")
                except OSError:
                    if not re.search("swap|memsw", file):  # there may be no swap to limit
                        raise
        return [str(group / "cgroup.procs") for group in groups.values()]

    def remove(self) -> None:
        """Take the hub's groups away, when nobody is in them any more."""
        for parent in map(Path, self.folders.values()):
            for folder in (*parent.glob("*/"), parent):
                for _ in range(20):  # a process that has just ended still counts for a moment
                    with contextlib.suppress(OSError):
                        folder.rmdir()
                        break
                    time.sleep(0.05)
