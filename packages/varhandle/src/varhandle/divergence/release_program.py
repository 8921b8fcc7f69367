"""Convert a model, or call a file, in the environment of another release.

Nothing of this package is installed there, and its Python may be an old one: this module uses the
release alone, and the kernel's lock, whose file it is told. A copy of it is run in a folder with
``request.json``, and leaves ``made.tflite`` or ``answers.npz`` there; where it fails,
``failure.json``.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

REQUEST, FAILURE = "request.json", "failure.json"
CALLS, FILE, ANSWERS = "calls.npz", "made.tflite", "answers.npz"


def main(folder: str) -> None:
    """Do what the request says."""
    os.chdir(folder)
    request = json.loads(Path(REQUEST).read_text(encoding="utf-8"))
    with np.load(CALLS) as held:
        arrays = {name: held[name] for name in held}
    calls = [
        {name: arrays[f"{number}.{name}"] for name in names}
        for number, names in enumerate(request["calls"])
    ]
    try:
        if request["lock"]:
            _lock(request["lock"], [*request["reads"], *sys.path], folder)
        if "code" in request:
            Path(FILE).write_bytes(_converted(request, calls))
        else:
            np.savez(ANSWERS, **_answers(request["file"], request["signature"], calls))
    except Exception as error:
        told = json.dumps([type(error).__name__, str(error)])
        Path(FAILURE).write_text(told, encoding="utf-8")


def _lock(path: str, reads: list[str], folder: str) -> None:
    spec = importlib.util.spec_from_file_location("lock", path)
    assert spec is not None and spec.loader is not None
    lock = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(lock)
    lock.lock_this_process(reads, [folder], largest_file=2**31, kept=-1)


def _converted(request: dict[str, Any], calls: list[dict[str, Any]]) -> bytes:
    import tensorflow as tf

    names: dict[str, Any] = {"tf": tf, "source": request["source"]}
    exec(request["code"], names)
    converter, settings = names["converter"], request["settings"]
    spec = converter.target_spec
    spec.supported_ops = [getattr(tf.lite.OpsSet, name) for name in settings["supported_ops"]]
    spec.supported_types = [tf.as_dtype(name) for name in settings["supported_types"]]
    converter.optimizations = [getattr(tf.lite.Optimize, n) for n in settings["optimizations"]]
    converter.inference_input_type = tf.as_dtype(settings["inference_input_type"])
    converter.inference_output_type = tf.as_dtype(settings["inference_output_type"])
    if calls:
        converter.representative_dataset = lambda: (list(call.values()) for call in calls)
    content: bytes = converter.convert()
    return content


def _answers(path: str, signature: str | None, calls: list[dict[str, Any]]) -> dict[str, Any]:
    """Call a file with real values; return them by call and output, and the step of each output."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(path)
    found = {}
    for number, call in enumerate(calls):
        if signature is None:
            outputs = _called_main(interpreter, call)
        else:
            runner = interpreter.get_signature_runner(signature)
            taken, given = runner.get_input_details(), runner.get_output_details()
            answer = runner(**{name: _fed(value, taken[name]) for name, value in call.items()})
            outputs = {name: (value, given[name]) for name, value in answer.items()}
        for name, (value, details) in outputs.items():
            scale, zero = _steps(value, details)
            real = (value.astype(np.float32) - zero) * np.float32(scale) if scale else value
            found[f"{number}.{name}"] = real
            found[f"step.{name}"] = np.float64(scale)
    return found


def _called_main(interpreter: Any, call: dict[str, Any]) -> dict[str, Any]:
    taken = interpreter.get_input_details()
    by_name = {one["name"]: one for one in taken}
    named = {name: by_name.get(name) or taken[place] for place, name in enumerate(call)}
    for name, value in call.items():
        interpreter.resize_tensor_input(named[name]["index"], value.shape)
    interpreter.allocate_tensors()
    for name, value in call.items():
        interpreter.set_tensor(named[name]["index"], _fed(value, named[name]))
    interpreter.invoke()
    given = interpreter.get_output_details()
    return {one["name"]: (interpreter.get_tensor(one["index"]), one) for one in given}


def _fed(value: Any, details: dict[str, Any]) -> Any:
    dtype, (scale, zero) = np.dtype(details["dtype"]), _scale_and_zero(details)
    if scale and value.dtype.kind == "f" and dtype.kind in "iu":
        limits = np.iinfo(dtype)
        value = np.clip(np.round(value / scale) + zero, limits.min, limits.max)
    return value.astype(dtype)


def _steps(value: Any, details: dict[str, Any]) -> tuple[float, int]:
    return _scale_and_zero(details) if value.dtype.kind in "iu" else (0.0, 0)


def _scale_and_zero(details: dict[str, Any]) -> tuple[float, int]:
    held = details["quantization_parameters"]
    if len(held["scales"]) != 1:
        return 0.0, 0
    return float(held["scales"][0]), int(held["zero_points"][0])


if __name__ == "__main__":
    main(sys.argv[1])
