"""What a warm kernel costs beside an ordinary one: time until it is ready, and memory."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from benchmarks.frame import Chapter, Checkout, Row, run_program
from benchmarks.kernel_probe import COLD, WARM

RUNS = 5
MORE = 4  # kernels beyond the first one


def _probed(what: str, times: int, python: str | Path = sys.executable) -> dict[str, list[float]]:
    command = [python, Path(__file__).with_name("kernel_probe.py"), what, str(times)]
    # Elsewhere than in a checkout, whose packages would come before the installed ones.
    printed = run_program(command, cwd=Path("/"))
    figures: dict[str, list[float]] = json.loads(printed.splitlines()[-1])
    return figures


def measure_start(against: Checkout | None = None) -> Chapter:
    """Time kernels from the request to the answer of the cell that imports TensorFlow."""
    taken = _probed("start", RUNS)
    what, ordinary = "a warm kernel has TensorFlow imported", "an ordinary kernel that does"
    rows = [
        Row(what, taken[WARM], ordinary, taken[COLD], "ratio < 0.1"),
        Row("the first one, with its parent", taken["first"], ordinary, taken[COLD]),
    ]
    if against:
        old = _probed("start", RUNS, against.python)
        rows.append(Row(what, taken[WARM], f"the same, {against.name}", old[WARM]))
    return Chapter(
        "Warm kernels",
        "From the request for a kernel to the answer of `import tensorflow as tf`, "
        f"{RUNS} times in turns. The first one waits for the parent; JupyterLab starts that before "
        "anybody opens a notebook.",
        rows,
    )


def measure_memory(against: Checkout | None = None) -> Chapter:
    """Compare what one kernel more holds in memory."""
    added = _probed("memory", MORE)
    old = _probed("memory", MORE, against.python) if against else {}
    rows = []
    for what, name in (
        ("TensorFlow imported", "import"),
        ("a Keras model trained and converted", "convert"),
    ):
        said = f"{what}: memory of a warm kernel"
        warm, cold = added[f"{WARM} {name}"], added[f"{COLD} {name}"]
        rows.append(Row(said, warm, "memory of an ordinary one", cold, "ratio < 0.5"))
        if against:
            rows.append(Row(said, warm, f"the same, {against.name}", old[f"{WARM} {name}"]))
    return Chapter(
        "Memory of kernels",
        f"What each of {MORE} kernels beyond the first adds to the proportional set size of all "
        "processes, the warm parent and the kernels' own fork servers included.",
        rows,
        unit="MB",
    )
