"""What parity, the isolated child and the inference helper add to the bare calls they wrap."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figures import Chapter, Figure
from benchmarks.models import files, keras_model
from varhandle.evaluate.latency import compare_latency
from varhandle.evaluate.parity import check_parity
from varhandle.sandbox import run_isolated

MODEL = "MobileNetV2 96"  # about a millisecond with one thread
CALLS = 20  # calls of one parity check
COMMAND = "python -m benchmarks overhead"


def measure() -> Chapter:
    """Time each helper beside the bare calls that it wraps."""
    with tempfile.TemporaryDirectory() as folder:
        tflite, _ = files(MODEL, Path(folder))
        figures = (*_child(), _inference(tflite), _parity(tflite))
    return Chapter(
        "What the helpers add",
        f"The helpers beside the bare calls that they wrap, on a MobileNetV2 of 96x96 pixels, "
        f"width 0.75; the parity check makes {CALLS} calls.",
        COMMAND,
        figures,
    )


def _child() -> tuple[Figure, Figure]:
    """Time a warm child beside what one would start instead."""
    run_isolated(int)  # the fork server has TensorFlow then
    fresh = [sys.executable, "-c", "import tensorflow"]
    calls: dict[str, Callable[[], Any]] = {
        "warm": lambda: run_isolated(int),
        "fresh": lambda: subprocess.run(fresh, check=True, capture_output=True),
        "bare": lambda: subprocess.run([sys.executable, "-c", ""], check=True),
    }
    table = compare_latency(calls, runs=10, warm_up=1)
    warm = table["warm"].median
    what = "a call in a warm isolated child, TensorFlow imported"
    return (
        Figure(
            what, warm, "a new process that imports TensorFlow", table["fresh"].median, "< 300 ms"
        ),
        Figure(what, warm, "a new Python that imports nothing", table["bare"].median),
    )


def _inference(tflite: Path) -> Figure:
    record = run_isolated(_session_and_runner, str(tflite), tensorflow=False)
    if not record.ok:
        raise RuntimeError(record.message)
    ours, bare = record.value
    return Figure(
        "`Session`, one inference", ours, "the bare signature runner", bare, "ratio < 1.05"
    )


def _session_and_runner(tflite: str) -> tuple[float, float]:
    """Return the median milliseconds of the helper and of the bare calls."""
    from ai_edge_litert.interpreter import Interpreter

    from varhandle.evaluate.session import Session

    image = _image()
    session = Session(tflite, threads=1)
    runner = Interpreter(tflite, num_threads=1).get_signature_runner()
    name = next(iter(runner.get_input_details()))
    table = compare_latency(
        {"bare": lambda: runner(**{name: image}), "session": lambda: session(image)}, runs=1000
    )
    return table["session"].median, table["bare"].median


def _parity(tflite: Path) -> Figure:
    """Time a parity check beside the calls that it makes: the reference, and the file twice."""
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    model = keras_model(MODEL)
    function = tf.function(lambda x: model(x, training=False))
    images = [_image()] * CALLS
    content = tflite.read_bytes()

    def bare() -> None:
        for image in images:
            function(image).numpy()
        for kernels in (OpResolverType.AUTO, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES):
            runner = Interpreter(
                model_content=content, experimental_op_resolver_type=kernels
            ).get_signature_runner()
            name = next(iter(runner.get_input_details()))
            for image in images:
                runner(**{name: image})

    def checked() -> None:
        if not check_parity(function, content, images).passed:
            raise RuntimeError("the file does not answer as its model does")

    table = compare_latency({"bare": bare, "checked": checked}, runs=10, warm_up=1)
    return Figure(
        "`check_parity`, in two isolated children",
        table["checked"].median,
        "the same calls, bare and in the kernel",
        table["bare"].median,
    )


def _image() -> Any:
    return np.random.default_rng(7).random((1, 96, 96, 3)).astype(np.float32)
