"""What a participant may use at most: a control group of the kernel for each (cgroups(7)).

There are two forms: version 2, one tree with all limits, and version 1, a tree for each.
"""

from __future__ import annotations

import contextlib
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

    parents: Mapping[str, str]  # the folder for memory, cpu and pids; one and the same in version 2
    version: int  # 1 or 2

    @classmethod
    def find(cls, name: str, root: Path = ROOT) -> Limits:
        """Make a hub's groups; ``NoLimitsError`` if there are none, or they cannot be written."""
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
        """Make a participant's groups, or set them anew; return their ``cgroup.procs`` files.

        ``memory`` is in bytes; 0 ``cpus`` are as many as there are.
        """
        quota = int(cpus * _PERIOD)
        values: dict[str, dict[str, int | str]] = {"pids": {"pids.max": PROCESSES}}
        if self.version == 2:
            values["memory"] = {"memory.max": memory, "memory.swap.max": 0}
            values["cpu"] = {"cpu.max": f"{quota or 'max'} {_PERIOD}"}
        else:
            names = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes")
            values["memory"] = dict.fromkeys(names, memory)
            values["cpu"] = {"cpu.cfs_period_us": _PERIOD, "cpu.cfs_quota_us": quota or -1}
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
        """Take the hub's groups away, when nobody is in them any more."""
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
