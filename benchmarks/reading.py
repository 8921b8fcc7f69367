"""Reading a model without TensorFlow: how long it takes, how that grows, and its memory."""

from __future__ import annotations

import functools
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.frame import Chapter, Checkout, Row, in_child, in_turns, run_program
from benchmarks.graphs import FORMS, Form, grown_tflite, saved_model
from benchmarks.inference import keras_model
from workbook_lib.locations import data_path

RUNS = 5
NODES = (1_000, 10_000, 100_000)
LARGE = "MobileNetV2 224"
HUGE = 10**9  # bytes
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
# The peak since the program began; ``ru_maxrss`` would count what forked it, before it began.
_PEAK = """
import re, sys
{work}
print(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])
"""
_DIAGNOSE = """
from varhandle.diagnosis import diagnose
found = diagnose(sys.argv[1], static=True)
assert [variable.name for variable in found.variables] == ["total"], found
"""
_READ = "content = open(sys.argv[1], 'rb').read()"


def measure(against: Checkout | None = None) -> Chapter:
    """Time the static diagnosis and the import, as whole processes, and how the first grows."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        in_child(_export, str(folder / "large"))
        rows = [
            *_diagnoses("bundled SavedModel", data_path("half_reader"), against),
            *_diagnoses(LARGE, folder / "large", against),
            *_imports(against),
            *(row for form in FORMS for row in _growth(form, folder)),
        ]
    return Chapter(
        "Reading without TensorFlow",
        f"Whole processes, {RUNS} runs each after one that fills the caches; the growth is timed "
        "inside a fresh process for each run, on graphs in which every tenth node is a variable.",
        rows,
    )


def _export(target: str) -> None:
    keras_model(LARGE).export(target, verbose=False)


def _diagnoses(name: str, model: Path, against: Checkout | None) -> list[Row]:
    static: list[str | Path] = ["diagnose", "--static", model]
    calls = {
        "ours": lambda: run_program([_PROGRAMS / "varhandle", *static], (0, 1)),
        "theirs": lambda: run_program(
            [_PROGRAMS / "saved_model_cli", "show", "--all", "--dir", model]
        ),
        "bare": lambda: run_program([sys.executable, "-c", ""]),
    }
    if against:
        old = [against.python, "-m", "workbook_lib.cli", *static]
        calls["old"] = lambda: run_program(old, (0, 1), cwd=against.folder)
    times = in_turns(calls, RUNS)
    what = f"{name}: `varhandle diagnose --static`"
    rows = [
        Row(what, times["ours"], "`saved_model_cli show --all`", times["theirs"], "ratio < 0.1"),
        Row(what, times["ours"], "a new Python that imports nothing", times["bare"], "< 600 ms"),
    ]
    if against:
        rows.append(Row(what, times["ours"], f"`workbook diagnose`, {against.name}", times["old"]))
    return rows


def _imports(against: Checkout | None) -> list[Row]:
    rows = []
    for code, old_code, aim in (
        ("import varhandle", "import workbook_lib", "ratio < 1.3"),
        (
            "from varhandle import diagnose, explain, read_graph",
            "from workbook_lib import diagnose, explain, read_graph",
            "",
        ),
    ):
        commands: dict[str, list[str | Path]] = {
            code: [sys.executable, "-c", code],
            "import numpy": [sys.executable, "-c", "import numpy"],
        }
        if against:
            commands["old"] = [against.python, "-c", old_code]
        calls = {
            # Elsewhere than in a checkout, whose packages would come before the installed ones.
            name: functools.partial(run_program, command, cwd=Path("/"))
            for name, command in commands.items()
        }
        times = in_turns(calls, 4 * RUNS)
        rows.append(Row(f"`{code}`", times[code], "`import numpy`", times["import numpy"], aim))
        if against:
            rows.append(
                Row(f"`{code}`", times[code], f"`{old_code}`, {against.name}", times["old"])
            )
    return rows


def _growth(form: Form, folder: Path) -> list[Row]:
    models = [saved_model(form, nodes, folder) for nodes in NODES]
    costs: list[list[float]] = [[] for _ in NODES]
    for _ in range(RUNS):
        for model, times in zip(models, costs, strict=True):
            printed = run_program([sys.executable, "-c", _TIMED, model, models[0]])
            seconds, nodes = printed.split()
            times.append(1000 * float(seconds) / (int(nodes) / 1000))
    said = [f"{form}, {nodes:,} nodes: a thousand of them" for nodes in NODES]
    return [
        Row(said[larger], costs[larger], said[0], costs[0], "ratio < 2")
        for larger in range(1, len(NODES))
    ]


def measure_memory() -> Chapter:
    """Compare the resident memory of the static diagnosis with that of reading the file."""
    with tempfile.TemporaryDirectory() as folder:
        path = grown_tflite(in_child(running_total), HUGE, Path(folder, "huge.tflite"))
        ours, reading, bare = (_peak(work, path) for work in (_DIAGNOSE, _READ, ""))
    what = "a .tflite of 1 GB: static diagnosis"
    return Chapter(
        "Memory",
        "The most that was resident at any time, once each, in a fresh process; the file has one "
        "constant of random bytes that makes up nearly all of it.",
        (
            Row(what, ours, "reading the file", reading, "< 300 MB"),
            Row(what, ours, "a new Python that imports nothing", bare),
        ),
        unit="MB",
    )


def _peak(work: str, path: Path) -> Sequence[float]:
    printed = run_program([sys.executable, "-c", _PEAK.format(work=work), path])
    return (int(printed) * 1024 / 1e6,)


def running_total() -> bytes:
    """Make a .tflite file with a variable."""
    import tensorflow as tf

    module = tf.Module()
    module.total = tf.Variable(tf.zeros([4]), name="total")
    add = tf.function(module.total.assign_add, input_signature=[tf.TensorSpec([4])])
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [add.get_concrete_function()], module
    )
    content: bytes = converter.convert()
    return content
