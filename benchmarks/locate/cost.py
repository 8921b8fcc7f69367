"""What ``locate`` costs beside the two runs that it compares, each in a process of its own.

And what ``diff`` costs beside reading both models whole.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.field.judge import ROOT, Run, run
from benchmarks.frame import Row, in_child
from benchmarks.locate.measuring import Opened, open_model, plant_in

TURNS = 3
CHAINS = (100, 400, 1600)
HALF_GIGABYTE = 500_000_000

BY_HAND = """
import sys
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
path, file, inputs = sys.argv[1:]
if path.endswith(".keras"):
    model = tf.keras.models.load_model(path)
    ask = lambda x: model(x, training=False)
else:
    model = tf.saved_model.load(path)
    ask = lambda x: next(iter(model.signatures["serving_default"](tf.constant(x)).values()))
runner = Interpreter(file).get_signature_runner()
(name,) = runner.get_input_details()
for x in next(iter(np.load(inputs).values())):
    (answer,) = runner(**{name: x}).values()
    assert np.allclose(answer, ask(x), atol=1e-2)
"""
"""Loads a model and its file, makes the same calls of both, and compares the answers."""

DIFF_BY_HAND = """
import sys
import numpy as np
from ai_edge_litert.tools import flatbuffer_utils
def values_of(path):
    if path.endswith(".tflite"):
        stored = [one.data for one in flatbuffer_utils.read_model(path).buffers]
        large = [one for one in stored if one is not None and len(one) > 10_000]
        return [[one.view(np.float32)] for one in large]
    import tensorflow as tf
    reader = tf.train.load_checkpoint(f"{path}/variables/variables")
    named = reader.get_variable_to_shape_map().items()
    values = [reader.get_tensor(name) for name, shape in named if len(shape) == 2]
    return [[value.ravel(), value.T.ravel()] for value in values]
mine, theirs = map(values_of, sys.argv[1:])
assert len(mine) == len(theirs) > 0
for turns in mine:
    pairs = [(one, other[0]) for one in turns for other in theirs]
    assert any(a[1] == b[1] and np.array_equal(a, b) for a, b in pairs if a.size == b.size)
"""
"""Reads the weights of two models, and finds those of one in the other, transposed as well."""


def measure(cache: Path) -> list[Row]:
    """Measure MobileNetV2, chains of more and more ops, and a file of 500 MB."""
    opened = open_model("mobile-net-v2", "", cache)
    folder = cache / "mobile-net-v2"
    (name,) = opened.calls[0]
    calls: dict[str, Any] = {name: np.stack([call[name] for call in opened.calls])}
    np.savez(folder / "cost.npz", **calls)
    runs = _in_turns(opened.path, folder / "file .tflite", folder / "cost.npz", TURNS)
    rows = [_row("MobileNetV2", *runs, "ratio < 3"), _reduce_row(opened, folder, runs[1])]
    shortest: Sequence[Run] = ()
    for count in CHAINS:
        folder = cache / f"chain-{count}"
        in_child(make_chain, str(folder), count)
        ours, theirs = _in_turns(*_files(folder), 1)
        rows.append(_row(f"a chain of {count} ops", ours, theirs, ""))
        shortest = shortest or ours
    longest, times = CHAINS[-1] / CHAINS[0], ours[0].seconds / shortest[0].seconds
    rows.append(Row(f"seconds of {CHAINS[-1]} ops, of {CHAINS[0]} = 1", [times], "ops", [longest],
                    "ratio < 1"))  # fmt: skip
    folder = cache / "half-a-gigabyte"
    in_child(make_large, str(folder))
    ours, theirs = _in_turns(*_files(folder), 1)
    rows.append(_row("a file of 500 MB", ours, theirs, ""))
    megabytes = [[one.megabytes for one in side] for side in (ours, theirs)]
    rows.append(Row("a file of 500 MB (MB, largest process)", megabytes[0], "by hand",
                    megabytes[1], "ratio < 2"))  # fmt: skip
    model, file, _ = _files(folder)
    return [*rows, *_diff_rows("a SavedModel of 500 MB and its file", model, file, "ratio < 2"),
            *_diff_rows("two files of 500 MB", file, file, "")]  # fmt: skip


def _reduce_row(opened: Opened, folder: Path, by_hand: Sequence[Run]) -> Row:
    """Reduce MobileNetV2 with a planted fault, and look whether the reduced file is there."""
    (fault,) = plant_in(opened, 1, np.random.default_rng(0))
    (folder / "faulty.tflite").write_bytes(fault.content)
    varhandle, ours = str(Path(sys.executable).with_name("varhandle")), []
    for turn in range(TURNS):
        out = folder / f"reduced-{turn}"
        shutil.rmtree(out, ignore_errors=True)
        command = [varhandle, "locate", str(opened.path), str(folder / "faulty.tflite")]
        command += ["--inputs", str(folder / "cost.npz"), "--reduce", str(out)]
        ours.append(_ran(command, exit_code=1))
        assert (out / "reduced.tflite").stat().st_size < 4000
    seconds = [[one.seconds for one in side] for side in (ours, by_hand)]
    what = "`varhandle locate --reduce`, MobileNetV2 with a fault (ms)"
    return Row(what, [1000 * one for one in seconds[0]], "both runs by hand",
               [1000 * one for one in seconds[1]], "< 60000 ms")  # fmt: skip


def _diff_rows(what: str, a: Path, b: Path, aim: str) -> list[Row]:
    varhandle = str(Path(sys.executable).with_name("varhandle"))
    ours, theirs = [], []
    for _ in range(TURNS):
        ours.append(_ran([varhandle, "diff", str(a), str(b)]))
        theirs.append(_ran([sys.executable, "-c", DIFF_BY_HAND, str(a), str(b)]))
    seconds, megabytes = (
        [[getattr(one, figure) for one in side] for side in (ours, theirs)]
        for figure in ("seconds", "megabytes")
    )
    by_hand = "both read whole by hand"
    return [
        Row(f"`varhandle diff`, {what} (s)", seconds[0], by_hand, seconds[1], aim),
        Row(f"`varhandle diff`, {what} (MB)", megabytes[0], by_hand, megabytes[1], "ratio < 0.5"),
    ]


def _row(what: str, ours: Sequence[Run], theirs: Sequence[Run], aim: str) -> Row:
    seconds = [[one.seconds for one in side] for side in (ours, theirs)]
    return Row(f"`varhandle locate`, {what} (s)", seconds[0], "both runs by hand", seconds[1], aim)


def _files(folder: Path) -> tuple[Path, Path, Path]:
    return folder / "model", folder / "file.tflite", folder / "calls.npz"


def _in_turns(model: Path, file: Path, calls: Path, turns: int) -> tuple[list[Run], list[Run]]:
    varhandle = str(Path(sys.executable).with_name("varhandle"))
    ours, theirs = [], []
    for _ in range(turns):
        command = [varhandle, "locate", str(model), str(file), "--inputs", str(calls)]
        ours.append(_ran(command))
        by_hand = [sys.executable, "-c", BY_HAND, str(model), str(file), str(calls)]
        theirs.append(_ran(by_hand))
    return ours, theirs


def _ran(command: Sequence[str], exit_code: int = 0) -> Run:
    done = run(command, ROOT)
    if done.exit_code != exit_code:
        raise RuntimeError(f"{command[:3]}: {(done.printed + done.warned)[-500:]}")
    return done


def make_chain(folder: str, count: int) -> None:
    """Make a model of one op after the other, in a child process."""
    import tensorflow as tf

    factors = np.random.default_rng(count).uniform(0.5, 1.5, (count, 16)).astype("float32")

    def chain(x: Any) -> Any:
        for number, factor in enumerate(factors):
            x = x * factor if number % 2 else tf.sin(x)
        return {"y": x}

    _keep(Path(folder), chain, 16)


def make_large(folder: str) -> None:
    """Make a model whose weights are 500 MB, in a child process."""
    import tensorflow as tf

    rng = np.random.default_rng(5)
    width = 2000
    scale = np.float32(width**-0.5)
    weights = [
        tf.Variable(rng.standard_normal((width, width), np.float32) * scale)
        for _ in range(HALF_GIGABYTE // (4 * width * width))
    ]

    def layers(x: Any) -> Any:
        for weight in weights:
            x = tf.tanh(x @ weight)
        return {"y": x}

    _keep(Path(folder), layers, width, weights)


def _keep(folder: Path, function: Any, width: int, held: Any = None) -> None:
    import tensorflow as tf

    if (folder / "calls.npz").exists():
        return
    module = tf.Module()
    module.held = held
    spec = tf.TensorSpec([1, width], tf.float32, "x")
    module.f = tf.function(function, input_signature=[spec])
    tf.saved_model.save(module, str(folder / "model"), signatures=module.f)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder / "model"))
    (folder / "file.tflite").write_bytes(converter.convert())
    rng = np.random.default_rng(1)
    np.savez(folder / "calls.npz", x=rng.normal(size=(3, 1, width)).astype("float32"))
