"""``python -m benchmarks [NAME…]``: measure, print, and keep the page if all were measured."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from pathlib import Path

from benchmarks import kernels, memory, notebooks, overhead, reading, room, runtimes, sweeping
from benchmarks.figures import page

BENCHMARKS = {
    "overhead": overhead.measure,
    "runtimes": runtimes.measure,
    "reading": reading.measure,
    "memory": memory.measure,
}
# Asked for by name, each alone: kernels are forked from a process that has run nothing before, and
# a sweep takes an hour.
ALONE = {
    "kernels": kernels.measure_start,
    "kernel-memory": kernels.measure_memory,
    "notebooks": notebooks.measure,
    "sweep": sweeping.measure,
    "room": room.measure,
}
PAGE = Path(__file__).parent / "results.md"


def main() -> int:
    """Run the benchmarks that the command line names, or all of them.

    Returns:
        0.
    """
    known = {**BENCHMARKS, **ALONE}
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(known)}")
    names = parser.parse_args().names
    unknown = set(names) - set(known)
    if unknown:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are: {', '.join(known)}")
    text = page([known[name]() for name in names or BENCHMARKS], machine())
    print(text)
    if not names:
        PAGE.write_text(text, encoding="utf-8")
    return 0


def machine() -> str:
    """Return what was measured on: processor kind, cores, system, and versions."""
    from importlib.metadata import version

    packages = ", ".join(
        f"{name} {version(name)}"
        for name in ("tensorflow", "keras", "ai-edge-litert", "onnxruntime")
    )
    return (
        f"{platform.system()} {platform.machine()} with {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, {packages}"
    )


if __name__ == "__main__":
    sys.exit(main())
