"""``python -m benchmarks [NAME…]``: measure, print, and keep what was measured on the page."""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from pathlib import Path

from benchmarks import (
    kernels,
    memory,
    notebooks,
    overhead,
    reading,
    room,
    runtimes,
    sweeping,
)
from benchmarks.figures import chapters_of, page

BENCHMARKS = {
    "overhead": overhead.measure,
    "runtimes": runtimes.measure,
    "reading": reading.measure,
    "memory": memory.measure,
    "kernels": kernels.measure_start,
    "kernel-memory": kernels.measure_memory,
    "notebooks": notebooks.measure,
    "room": room.measure,
    "room-forks": room.measure_forks,
    "sweep": sweeping.measure,
    "sweep-memory": sweeping.measure_memory,
}
"""In the order of the page."""

PAGE = Path(__file__).parent / "results.md"


def main() -> int:
    """Run the benchmarks that the command line names, or all of them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(BENCHMARKS)}")
    parser.add_argument("--keep", action="store_true", help="put them on the page as well")
    options = parser.parse_args()
    unknown = set(options.names) - set(BENCHMARKS)
    if unknown:
        known = ", ".join(BENCHMARKS)
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are: {known}")
    names = options.names or list(BENCHMARKS)
    if len(names) == 1:
        measured = {names[0]: BENCHMARKS[names[0]]().markdown()}
    else:
        measured = {name: _in_a_process_of_its_own(name) for name in names}
    print(page(list(measured.values()), machine()))
    if options.keep or not options.names:
        kept = chapters_of(PAGE.read_text(encoding="utf-8")) if PAGE.exists() else {}
        now = {**kept, **measured}
        text = page([now[name] for name in BENCHMARKS if name in now], machine())
        PAGE.write_text(text, encoding="utf-8")
    return 0


def _in_a_process_of_its_own(name: str) -> str:
    """Measure where nothing has run before: kernels, for one, are forked from what has."""
    print(f"measuring: {name}", file=sys.stderr)
    command = [sys.executable, "-m", "benchmarks", name]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return chapters_of(done.stdout)[name]


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
