"""LiteRT beside what one would otherwise use: ``tf.function``, Keras ``predict``, onnxruntime."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from benchmarks.figures import Chapter, Figure
from benchmarks.models import MODELS, files, keras_model
from varhandle.sandbox import run_isolated

RUNS = 200
COMMAND = "python -m benchmarks runtimes"


def measure() -> Chapter:
    """Time one inference, batch 1, in each runtime, one thread each."""
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in MODELS:
            tflite, onnx = files(name, Path(folder))
            record = run_isolated(_medians, name, str(tflite), str(onnx), timeout=900)
            if not record.ok:
                raise RuntimeError(f"{name}: {record.message}")
            ours = record.value.pop("LiteRT")
            figures += [
                Figure(f"{name}: {other}", median, "LiteRT", ours)
                for other, median in record.value.items()
            ]
    return Chapter(
        "Other runtimes beside LiteRT",
        f"One float32 image, one thread for each runtime, taking turns, {RUNS} runs each; every "
        "answer was first compared with that of Keras.",
        COMMAND,
        tuple(figures),
    )


def _medians(name: str, tflite: str, onnx: str) -> dict[str, float]:
    """Return the median milliseconds of each runtime. Runs in a child with TensorFlow."""
    import onnxruntime
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter

    from varhandle.evaluate.latency import compare_latency

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    model = keras_model(name)
    image = np.random.default_rng(7).random((1, *model.input_shape[1:])).astype(np.float32)

    runner = Interpreter(tflite, num_threads=1).get_signature_runner()
    input_name, output_name = next(iter(runner.get_input_details())), "output_0"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
    onnx_input = session.get_inputs()[0].name
    function = tf.function(lambda x: model(x, training=False))
    tensor = tf.constant(image)
    calls = {
        "LiteRT": lambda: runner(**{input_name: image})[output_name],
        "`tf.function`": lambda: function(tensor).numpy(),
        "Keras `predict`": lambda: model.predict(image, verbose=0),
        "onnxruntime": lambda: session.run(None, {onnx_input: image})[0],
    }
    expected = model(image).numpy()
    for runtime, call in calls.items():
        if not np.allclose(call(), expected, atol=1e-4):
            raise RuntimeError(f"{runtime} answers otherwise than Keras")
    table = compare_latency(calls, runs=RUNS, warm_up=10)
    return {runtime: one.median for runtime, one in table.latencies.items()}
