"""Checks of lesson 33."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from tensorflow.lite.python.convert_phase import ConverterError

from varhandle.formats import read_graph
from workbook_lib.lesson.exercises import exercise
from workbook_lib.lesson.submissions import NotAttempted, Wrong
from workbook_lib.lesson.submitted_modules import make_module, trace_methods

_CALIBRATED, _READ = 40, 1000


@exercise("state_in_int8/count")
def count(module_class: Any) -> str:
    """Count rows in a way that int8 leaves alone.

    1. Which tensors did calibration give a scale to? Look at the dtype of a count that is none of
       them.
    2. `tf.ones_like` gives a 1 of the variable's own dtype, so only the first value decides.
    3. `tf.Variable([0.0])` is of dtype float32. What is `tf.Variable([0])`?
    """
    module = make_module(module_class, "step")
    if getattr(module, "count", None) is ...:
        raise NotAttempted
    content = _int8(module)
    random = np.random.default_rng(3)
    rows = random.random((_READ, 1, 8), np.float32)
    counts = _counts(content, rows)
    wrong = [n for n, counted in enumerate(counts, start=1) if counted != n]
    if wrong:
        assigned = any(variable.assigns for variable in read_graph(content).variables)
        raise Wrong(_what_is_wrong(counts, wrong[0], assigned))
    if _counts(content, rows[:1]) != [1]:
        raise Wrong("A new interpreter does not begin with 1. Where does your count live?")
    return (
        "An integer is computed as it is, so no calibration can cut it off. An int32 costs four "
        "bytes, and counts to two thousand million."
    )


def _what_is_wrong(counts: list[float], first: int, assigned: bool) -> str:
    answer, last = counts[first - 1], counts[-1]
    if len(set(counts)) == 1 and assigned:
        return (
            f"It answers {answer:g} at every call, and a variable of the file is assigned all the "
            "same. Does a float stand anywhere on the way of the sum?"
        )
    if len(set(counts)) == 1:
        return (
            f"It answers {answer:g} at every call: nothing is kept. A value stays where it is "
            "*assigned* to a variable, and outside `step` the variable is made once."
        )
    if counts[0] == 0 and counts[1] == 1:
        return "The first answer is 0, and one row has been read then. What comes first?"
    if len(set(counts[-100:])) == 1:
        far = next(n for n, counted in enumerate(counts, start=1) if round(counted) != n)
        return (
            f"Rounded, it is right for {far - 1} rows, and after {_READ} it says {last:g}: the sum "
            "has the range that calibration saw. In which dtype would it have none?"
        )
    return f"After row {first} it says {answer:g}, and after row {_READ} it says {last:g}."


def _int8(module: Any) -> bytes:
    (function,) = trace_methods(module, "step")
    outputs = function.structured_outputs
    if not isinstance(outputs, dict) or set(outputs) != {"ink", "rows"}:
        raise Wrong('`step` is to return `{"ink": …, "rows": …}`.')
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], module)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    rows = np.random.default_rng(4).random((_CALIBRATED, 1, 8), np.float32)
    converter.representative_dataset = lambda: ([row] for row in rows)
    try:
        return bytes(converter.convert())
    except ConverterError as error:
        ops = sorted({op.operator.name for op in error.errors if op.operator.name})
        dtypes = sorted({variable.dtype.name for variable in module.variables})
        ask = "Which dtypes does a variable of the file take?"
        if "tf.VarHandleOp" not in ops:
            ask = "A variable may be of that dtype, but which dtypes of whole numbers can be added?"
        raise Wrong(
            f"With a state in {', '.join(dtypes) or 'no variable'} the converter stops at "
            f"{', '.join(ops)}. {ask}"
        ) from error


def _counts(content: bytes, rows: Any) -> list[float]:
    """Return what is counted at each row, by the plain kernels."""
    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(model_content=content, experimental_op_resolver_type=plain)
    step = interpreter.get_signature_runner()
    counts = []
    for row in rows:
        answer = step(row=row)
        if np.size(answer["rows"]) != 1:
            raise Wrong(f"`rows` is to be one number, and has the shape {answer['rows'].shape}.")
        if not np.allclose(answer["ink"], row.sum(), atol=1.0):  # int8 may cut off a dark row
            raise Wrong("`ink` is to be the sum of the row, as the stub has it.")
        counts.append(float(np.squeeze(answer["rows"])))
    return counts
