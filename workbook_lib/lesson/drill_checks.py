"""What judges a drill's program, in the child process that has run it."""

from __future__ import annotations

import inspect
import linecache
import os
import re
import tempfile
from collections.abc import Sequence
from typing import Any

from workbook_lib.lesson.submissions import Wrong, describe, learner_frame, same

Array = Any

# The converter's messages name the lines of TensorFlow that made an op, at any length.
_PLACES = re.compile(r"(?:/[^\s:]+\.py:\d+:\d+|<unknown>:0): |loc\((?:callsite|fused).*\): (?=')")
_REFUSED = re.compile(r"'(tf\.\w+)' op is neither")


def judge(program: str, path: str, check_source: str) -> tuple[str, str]:
    """Run a program in a folder of its own, then its check; return the status and the advice."""
    os.chdir(tempfile.mkdtemp())
    linecache.cache[path] = (len(program), None, program.splitlines(True), path)
    made: dict[str, Any] = {"__name__": "__main__", "__file__": path}
    try:
        exec(compile(program, path, "exec", dont_inherit=True), made)
    except SyntaxError as error:
        return "raised", f"Line {error.lineno} is no Python: {error.msg}."
    except (Exception, SystemExit) as error:
        return "raised", _described(error)
    check = _check(check_source)
    try:
        wanted = inspect.signature(check).parameters
        for name in wanted:
            if made.get(name) is None:
                raise Wrong(f"Your program ends without a `{name}`, which is what is looked at.")
        return "right", check(*(made[name] for name in wanted))
    except Wrong as verdict:
        return "wrong", str(verdict)
    except Exception as error:
        step = learner_frame(error)
        status = "check failed" if step is None else "raised"
        return status, describe(error, step)


def _described(error: BaseException) -> str:
    if type(error).__name__ != "ConverterError":
        return describe(error, learner_frame(error))
    named = list(dict.fromkeys(_REFUSED.findall(str(error))))
    error.args = (" ".join(_PLACES.sub(" ", str(error)).splitlines()[0].split()),)
    others = f"\nThe message names {', '.join(named)}." if len(named) > 1 else ""
    return describe(error, learner_frame(error)) + others


def _check(source: str) -> Any:
    import numpy as np
    import tensorflow as tf

    names = {**globals(), "np": np, "tf": tf, "__name__": "drill_check"}
    exec(compile(source, "<check>", "exec", dont_inherit=True), names)
    return names["check"]


def answers(file: Any, calls: Sequence[Any]) -> list[Array]:
    """Call a .tflite file of one input several times in a row; return its first outputs.

    Raises ``Wrong``: it is none, no interpreter takes it, or its input is of another kind.
    """
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter

    if not isinstance(file, (bytes, bytearray)):
        raise Wrong(f"`file` is to be the bytes of a .tflite file, and is of `{type(file)}`.")
    found = []
    try:
        interpreter = Interpreter(model_content=bytes(file))
        interpreter.allocate_tensors()
        for call in map(np.asarray, calls):
            inputs = interpreter.get_input_details()
            if len(inputs) != 1:
                raise Wrong(f"`file` takes {len(inputs)} inputs, and is called with one.")
            (taken,) = inputs
            if taken["dtype"] != call.dtype:
                dtype = np.dtype(taken["dtype"])
                raise Wrong(f"`file` takes {dtype}, and is called with {call.dtype}.")
            if list(taken["shape"]) != list(call.shape):
                interpreter.resize_tensor_input(taken["index"], call.shape)
                interpreter.allocate_tensors()
            interpreter.set_tensor(taken["index"], call)
            interpreter.invoke()
            found.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))
    except (ValueError, RuntimeError) as error:
        message = next(iter(str(error).strip().splitlines()), type(error).__name__)
        message = message.replace("Node number", " Node number").strip()
        raise Wrong(f"A plain interpreter does not run `file`: {message}") from error
    return found


def expect_answers(
    file: Any, calls: Sequence[Any], expected: Sequence[Any], tolerance: float = 1e-4
) -> None:
    """Raise ``Wrong`` unless a .tflite file answers successive calls as it should.

    Shapes that hold the same values in the same order are the same.
    """
    import numpy as np

    for number, (call, answer, wanted) in enumerate(
        zip(calls, answers(file, calls), expected, strict=True), start=1
    ):
        got, right = np.ravel(answer), np.ravel(wanted)
        if not same(got, right, tolerance=tolerance):
            raise Wrong(
                f"Call {number}, with {shown(call)}: `file` answers {shown(got)}, and should "
                f"answer {shown(right)}."
            )


def shown(values: Any) -> str:
    """Write values for a sentence: rounded, the first few."""
    import numpy as np

    flat = np.ravel(values)
    rounded = [f"{value:.4g}" for value in flat[:6].tolist()]
    return f"[{', '.join(rounded)}{', …' if len(flat) > 6 else ''}]"


def ops(file: bytes) -> set[str]:
    """Return the names of all ops of a .tflite file."""
    from varhandle.tflite.flatbuffer import op_name, unpack

    model = unpack(bytes(file))
    return {op_name(model, operator) for graph in model.subgraphs for operator in graph.operators}


def expect_no_variable(file: bytes, reader: str) -> None:
    """Raise ``Wrong`` where a .tflite file keeps a variable, which ``reader`` does not take."""
    from varhandle.facts.targets import VARIABLE_OPS

    kept = sorted(ops(file).intersection(VARIABLE_OPS))
    if kept:
        raise Wrong(f"`file` still has {', '.join(kept)}, and {reader} has no such ops.")


def call_signature(file: bytes, **inputs: Array) -> dict[str, Array]:
    """Call the signature of a .tflite file; ``Wrong`` if its inputs or outputs have other names."""
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_content=bytes(file)).get_signature_runner()
    if set(runner.get_input_details()) != set(inputs):
        raise Wrong(f"The signature takes {_names(runner.get_input_details())}.")
    if not set(runner.get_output_details()) <= set(inputs):
        raise Wrong(f"The signature answers {_names(runner.get_output_details())}.")
    answered: dict[str, Array] = runner(**inputs)
    return answered


def call_int8(file: bytes, value: Array) -> Array:
    """Call a .tflite file that takes and gives int8 with a float value; return its float answer."""
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=bytes(file))
    interpreter.allocate_tensors()
    (taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()
    if not taken["dtype"] == given["dtype"] == np.int8:
        dtypes = f"{np.dtype(taken['dtype'])}, and gives {np.dtype(given['dtype'])}"
        raise Wrong(f"`file` takes {dtypes}: both are to be int8.")
    scale, zero = _scale_and_zero(taken)
    interpreter.set_tensor(
        taken["index"], np.clip(np.round(value / scale + zero), -128, 127).astype(np.int8)
    )
    interpreter.invoke()
    scale, zero = _scale_and_zero(given)
    return (interpreter.get_tensor(given["index"]).astype(np.float32) - zero) * scale


def _scale_and_zero(details: Any) -> tuple[float, int]:
    held = details["quantization_parameters"]
    if len(held["scales"]) != 1:
        raise Wrong("`file` takes or gives an int8 that has no scale: was it quantized?")
    return float(held["scales"][0]), int(held["zero_points"][0])


def working_bytes(file: bytes) -> int:
    """Return how many bytes the tensors of a .tflite file have that are no constants."""
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter

    from varhandle.tflite.flatbuffer import has_data, unpack

    model = unpack(bytes(file))
    computed = {
        number
        for number, tensor in enumerate(model.subgraphs[0].tensors)
        if not has_data(model.buffers[tensor.buffer])
    }
    details = Interpreter(model_content=bytes(file)).get_tensor_details()
    return sum(
        int(np.prod(detail["shape"])) * np.dtype(detail["dtype"]).itemsize
        for detail in details
        if detail["index"] in computed
    )


def _names(names: Any) -> str:
    return ", ".join(f"`{name}`" for name in names) or "nothing"
