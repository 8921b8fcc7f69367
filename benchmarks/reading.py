"""The static diagnosis beside ``saved_model_cli``, and how it grows with the model."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.figures import Chapter, Figure
from benchmarks.graphs import FORMS, Form, saved_model
from benchmarks.models import exported
from varhandle.evaluate.latency import compare_latency
from workbook_lib.locations import data_path

COMMAND = "python -m benchmarks reading"
RUNS = 5
NODES = (1_000, 10_000, 100_000)
_PROGRAMS = Path(sys.executable).parent
# Timed inside the process, because its start costs more than a small graph.
_TIMED = """
import sys, time
from varhandle.diagnosis import diagnose
diagnose(sys.argv[2], static=True)
started = time.perf_counter()
found = diagnose(sys.argv[1], static=True)
print(time.perf_counter() - started, sum(len(f.nodes) for f in found.graph.functions))
"""


def measure() -> Chapter:
    """Time the static diagnosis and the import, as whole processes, and its growth."""
    with tempfile.TemporaryDirectory() as folder:
        small, large = data_path("half_reader"), exported("MobileNetV2 224", Path(folder))
        figures = [
            *_commands({"bundled SavedModel": small, "MobileNetV2 224": large}),
            *_imports(),
            *(figure for form in FORMS for figure in _growth(form, Path(folder))),
        ]
    return Chapter(
        "Reading without TensorFlow",
        f"Whole processes, {RUNS} runs each after one that fills the caches; the growth is timed "
        "inside a fresh process for each run, on graphs in which every tenth node is a variable.",
        COMMAND,
        tuple(figures),
    )


def _commands(models: Mapping[str, Path]) -> list[Figure]:
    figures = []
    for name, path in models.items():
        calls = {
            "ours": _process([_PROGRAMS / "workbook", "diagnose", "--static", path], (0, 1)),
            "bare": _process([sys.executable, "-c", ""]),
            "theirs": _process([_PROGRAMS / "saved_model_cli", "show", "--all", "--dir", path]),
        }
        table = compare_latency(calls, runs=RUNS, warm_up=1)
        ours = table["ours"].median
        what = f"{name}: `workbook diagnose --static`"
        theirs = table["theirs"].median
        figures += [
            Figure(what, ours, "`saved_model_cli show --all`", theirs, "ratio < 0.1"),
            Figure(
                what, ours, "a new Python that imports nothing", table["bare"].median, "< 600 ms"
            ),
        ]
    return figures


def _imports() -> list[Figure]:
    names = ("import workbook_lib", "from workbook_lib import diagnose, explain, read_graph")
    calls = {code: _process([sys.executable, "-c", code]) for code in (*names, "import numpy")}
    table = compare_latency(calls, runs=4 * RUNS, warm_up=1)
    return [
        Figure(f"`{name}`", table[name].median, "`import numpy`", table["import numpy"].median, aim)
        for name, aim in zip(names, ("ratio < 1.3", ""), strict=True)
    ]


def _process(command: Sequence[str | Path], accepted: Sequence[int] = (0,)) -> Callable[[], None]:
    """Return a call that runs a program to its end, and insists that it did what it is for."""

    def run() -> None:
        done = subprocess.run([str(part) for part in command], capture_output=True, check=False)
        if done.returncode not in accepted:
            raise RuntimeError(f"{command[0]}: {done.stderr.decode(errors='replace')[-500:]}")

    return run


def _growth(form: Form, folder: Path) -> list[Figure]:
    models = [saved_model(form, nodes, folder) for nodes in NODES]
    costs: list[list[float]] = [[] for _ in NODES]
    for _ in range(RUNS):
        for model, times in zip(models, costs, strict=True):
            times.append(_milliseconds_for_a_thousand_nodes(model, models[0]))
    medians = [statistics.median(times) for times in costs]
    said = [f"{form}, {nodes:,} nodes: a thousand of them" for nodes in NODES]
    return [
        Figure(said[larger], medians[larger], said[0], medians[0], "ratio < 2")
        for larger in range(1, len(NODES))
    ]


def _milliseconds_for_a_thousand_nodes(model: Path, warm_up: Path) -> float:
    command = [sys.executable, "-c", _TIMED, str(model), str(warm_up)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{model.name}: {done.stderr[-500:]}")
    seconds, nodes = done.stdout.split()
    return 1000 * float(seconds) / (int(nodes) / 1000)
