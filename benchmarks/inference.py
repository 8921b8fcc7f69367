"""One inference: what the helpers add to it, and what it takes in other runtimes."""

from __future__ import annotations

import functools
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.frame import Chapter, Row, in_child, in_turns, run_program
from varhandle.evaluate.parity import check_parity
from varhandle.sandbox import run_isolated

MODELS = ("digits classifier", "MobileNetV2 224")
SMALL = "MobileNetV2 96"  # about a millisecond with one thread
CALLS = 20  # calls of one parity check
RUNS = 10


def keras_model(name: str) -> Any:
    """Make one of the timed models."""
    import keras

    from workbook_lib.samples import load_classifier

    keras.utils.set_random_seed(7)
    if name == "digits classifier":
        return load_classifier()
    if name == SMALL:
        return keras.applications.MobileNetV2((96, 96, 3), alpha=0.75, weights=None)
    return keras.applications.MobileNetV2(weights=None)


def _image(shape: Sequence[int]) -> Any:
    return np.random.default_rng(7).random((1, *shape[1:])).astype(np.float32)


def _to_tflite(name: str) -> bytes:
    import tensorflow as tf

    content: bytes = tf.lite.TFLiteConverter.from_keras_model(keras_model(name)).convert()
    return content


def measure_overhead() -> Chapter:
    """Time each helper beside the bare calls that it wraps."""
    run_isolated(int)  # the fork server has TensorFlow then
    commands = {"bare": "", "fresh": "import tensorflow"}
    calls = {
        name: functools.partial(run_program, [sys.executable, "-c", code])
        for name, code in commands.items()
    }
    child = in_turns({"warm": lambda: run_isolated(int), **calls}, 5)
    content = in_child(_to_tflite, SMALL)
    session, runner = in_child(_session_and_runner, content)
    parity = in_turns(_checked_and_bare(content), RUNS)
    what = "a call in a warm isolated child, TensorFlow imported"
    return Chapter(
        "What the helpers add",
        "The helpers beside the bare calls that they wrap, on a MobileNetV2 of 96x96 pixels, "
        f"width 0.75; the parity check makes {CALLS} calls.",
        (
            Row(
                what,
                child["warm"],
                "a new process that imports TensorFlow",
                child["fresh"],
                "< 300 ms",
            ),
            Row(what, child["warm"], "a new Python that imports nothing", child["bare"]),
            Row(
                "`Session`, one inference",
                session,
                "the bare signature runner",
                runner,
                "ratio < 1.05",
            ),
            Row(
                "`check_parity`, in two isolated children",
                parity["checked"],
                "the same calls, bare and in the kernel",
                parity["bare"],
            ),
        ),
    )


def _session_and_runner(content: bytes) -> tuple[list[float], list[float]]:
    """Time one inference by the helper, and by the bare calls."""
    from ai_edge_litert.interpreter import Interpreter

    from varhandle.evaluate.session import Session

    session = Session(content)
    runner = Interpreter(model_content=content, num_threads=1).get_signature_runner()
    ((name, details),) = runner.get_input_details().items()
    image = _image(details["shape"])
    calls = {"bare": lambda: runner(**{name: image}), "session": lambda: session(image)}
    times = in_turns(calls, 10 * RUNS, calls_a_run=10)
    return times["session"], times["bare"]


def _checked_and_bare(content: bytes) -> dict[str, Callable[[], object]]:
    """Return a parity check, and the calls that it makes: the reference, and the file twice."""
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    model = keras_model(SMALL)
    function = tf.function(lambda x: model(x, training=False))
    images = [_image(model.input_shape)] * CALLS

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

    return {"bare": bare, "checked": checked}


def measure_runtimes() -> Chapter:
    """Time one inference, batch 1, in each runtime, one thread each."""
    rows: list[Row] = []
    for name in MODELS:
        times = in_child(_times_in_runtimes, name, in_child(_to_tflite, name))
        litert = times.pop("LiteRT")
        rows += [
            Row(f"{name}: {other}", theirs, "LiteRT", litert) for other, theirs in times.items()
        ]
    return Chapter(
        "Other runtimes beside LiteRT",
        f"One float32 image, one thread for each runtime, taking turns, {4 * RUNS} runs of 5 calls "
        "each; every answer was first compared with that of Keras.",
        rows,
    )


def _times_in_runtimes(name: str, content: bytes) -> dict[str, list[float]]:
    """Return the milliseconds of each runtime. Runs in a child with TensorFlow."""
    import onnxruntime
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter
    from tf2onnx.convert import from_tflite

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    model = keras_model(name)
    image = _image(model.input_shape)
    runner = Interpreter(model_content=content, num_threads=1).get_signature_runner()
    input_name = next(iter(runner.get_input_details()))
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "model.tflite"), Path(folder, "model.onnx")
        source.write_bytes(content)
        # tf2onnx reads the .tflite: it does not know the functions that Keras 3 makes.
        from_tflite(str(source), output_path=str(target))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(
            target.read_bytes(), options, providers=["CPUExecutionProvider"]
        )
    onnx_input = session.get_inputs()[0].name
    function = tf.function(lambda x: model(x, training=False))
    tensor = tf.constant(image)
    calls: dict[str, Callable[[], Any]] = {
        "LiteRT": lambda: runner(**{input_name: image})["output_0"],
        "`tf.function`": lambda: function(tensor).numpy(),
        "Keras `predict`": lambda: model.predict(image, verbose=0),
        "onnxruntime": lambda: session.run(None, {onnx_input: image})[0],
    }
    expected = model(image).numpy()
    for runtime, call in calls.items():
        if not np.allclose(call(), expected, atol=1e-4):
            raise RuntimeError(f"{runtime} answers otherwise than Keras")
    return in_turns(calls, 4 * RUNS, calls_a_run=5)
