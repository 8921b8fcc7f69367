"""``python -m benchmarks [NAME…]``: measure, print, and keep what was measured on the page.

``--against DIR`` measures another checkout beside this one: its folder has a ``.venv`` of its own.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from benchmarks import browser, inference, kernels, notebooks, reading, sweeping, workshop
from benchmarks.field import measuring as field
from benchmarks.frame import Chapter, Checkout, chapters_of, page, run_program
from benchmarks.locate import measuring as locate

#: Each benchmark, in the order of the page, with the minutes that it takes on two quiet processors.
BENCHMARKS: dict[str, tuple[Callable[..., Chapter], float]] = {
    "overhead": (inference.measure_overhead, 1.5),
    "runtimes": (inference.measure_runtimes, 1.5),
    "reading": (reading.measure, 2.5),
    "memory": (reading.measure_memory, 0.5),
    "page": (browser.measure, 1),
    "kernels": (kernels.measure_start, 1),
    "kernel-memory": (kernels.measure_memory, 1.5),
    "notebooks": (notebooks.measure, 5),
    "workshop": (workshop.measure, 6),
    "sweep": (sweeping.measure, 4),
    "field": (field.measure, 25),
    "locate": (locate.measure, 25),
}
#: Those that can measure another checkout as well.
COMPARABLE = ("reading", "kernels", "kernel-memory", "sweep")

PAGE = Path(__file__).parent / "results.md"


def main() -> int:
    """Run the benchmarks that the command line names, or all of them."""
    listed = ", ".join(f"{name} ({minutes:g} min)" for name, (_, minutes) in BENCHMARKS.items())
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {listed}")
    parser.add_argument("--keep", action="store_true", help="put them on the page as well")
    parser.add_argument("--against", type=Path, metavar="DIR", help="another checkout")
    parser.add_argument("--only", default="", metavar="REGEX", help="of field and locate: by name")
    options = parser.parse_args()
    # What is measured keeps its bytecode, as it does for whoever uses it.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    every = COMPARABLE if options.against else tuple(BENCHMARKS)
    if unknown := sorted(set(options.names) - set(every)):
        parser.error(f"no benchmark {', '.join(unknown)}; there are: {', '.join(every)}")
    names = options.names or every
    if options.only and (list(names) not in (["field"], ["locate"]) or options.keep):
        parser.error("--only is for a look at some models: of field or locate, without --keep")
    measured = {}
    if len(names) == 1:
        against = (Checkout(options.against.absolute()),) if options.against else ()
        some = (options.only,) if options.only else ()
        measured[names[0]] = BENCHMARKS[names[0]][0](*against, *some).markdown(names[0])
    else:
        more = ["--against", options.against] if options.against else []
        for name in names:
            try:
                measured[name] = _in_a_process_of_its_own(name, more)
            except RuntimeError as error:  # the others are worth measuring
                print(f"; failed: {error}", file=sys.stderr)
    print(page(measured.values(), machine()))
    if options.keep or (names == every and not options.against):
        kept = chapters_of(PAGE.read_text(encoding="utf-8")) if PAGE.exists() else {}
        now = {**kept, **measured}
        text = page([now[name] for name in BENCHMARKS if name in now], machine())
        PAGE.write_text(text, encoding="utf-8")
    return 0 if len(measured) == len(names) else 1


def _in_a_process_of_its_own(name: str, options: list[str | Path]) -> str:
    """Measure where nothing has run before: kernels, for one, are forked from what has."""
    print(f"{name}: some {BENCHMARKS[name][1]:g} min", end="", file=sys.stderr, flush=True)
    started = time.monotonic()
    printed = run_program([sys.executable, "-m", "benchmarks", name, *options])
    print(f"; took {(time.monotonic() - started) / 60:.1f}", file=sys.stderr)
    return chapters_of(printed)[name]


def machine() -> str:
    """Return what was measured on: processor kind, cores, system, and versions."""
    names = ("tensorflow", "keras", "ai-edge-litert", "onnxruntime")
    packages = ", ".join(f"{name} {version(name)}" for name in names)
    return (
        f"{platform.system()} {platform.machine()} with {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, {packages}"
    )


if __name__ == "__main__":
    sys.exit(main())
