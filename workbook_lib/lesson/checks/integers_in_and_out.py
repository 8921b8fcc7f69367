"""Check of appendix 98. It imports no TensorFlow: the notebook's kernel has none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from workbook_lib.lesson.checks.hand_made_files import chain_file, open_plainly, tensor
from workbook_lib.lesson.exercises import exercise
from workbook_lib.lesson.submissions import Wrong, attempt, expect, same

Array = npt.NDArray[Any]

_VALUES = np.array([[0.3, -1.2, 5.1, 100.0, -100.0]], np.float32)
_UNTOUCHED = np.full([1, 5], 7, np.int8)  # what the input holds before the learner sets it
_STEP_IN, _ZERO_IN = 0.5, 3
_STEP_OUT, _ZERO_OUT = 0.25, -10


@exercise("integers_in_and_out/run-quantized")
def run_quantized(function: Callable[..., Any]) -> str:
    """Run an int8 interpreter on real values, and return real values.

    1. To the integers: divide by the scale, `np.round`, add the zero point. What then lies outside
       -128 to 127?
    2. `np.clip(steps, -128, 127)` keeps to both ends, and `astype(np.int8)` comes last.
    3. Back: subtract the zero point of the output, and multiply by its scale. Make the integers
       float32 first, because a difference of two int8 may not fit into an int8.
    """
    interpreter = open_plainly(_requantizing_file())
    source = interpreter.get_input_details()[0]["index"]
    target = interpreter.get_output_details()[0]["index"]
    interpreter.set_tensor(source, _UNTOUCHED)
    interpreter.invoke()
    old = interpreter.get_tensor(target)
    values = _VALUES.copy()
    answer = attempt(function, interpreter, values)
    _judge_input(interpreter.get_tensor(source))
    new = interpreter.get_tensor(target)
    if np.array_equal(new, old):
        raise Wrong("The input is right, and the model has not run. Does yours call `invoke`?")
    expect(answer, np.ndarray, "an array of real values")
    _judge_output(answer, new)
    if not np.array_equal(values, _VALUES):
        raise Wrong("It changes the array that it was given. Work on a new one.")
    return (
        "The check's model hands on what it gets, yet 0.3 came back as 0.5: the step of its input "
        "is 0.5. And 100.0 came back as 34.25, the largest value that its output can hold."
    )


def _int8(steps: Array) -> Array:
    return np.clip(steps, -128, 127).astype(np.int8)


def _judge_input(fed: Array) -> None:
    """Compare the integers that reached the interpreter with those of the usual mistakes."""
    steps = _VALUES / _STEP_IN
    unclipped = np.round(steps) + _ZERO_IN
    expected = _int8(unclipped)
    if np.array_equal(fed, expected):
        return
    if same(fed, _UNTOUCHED):
        raise Wrong("Nothing has reached the interpreter's input. Does yours call `set_tensor`?")
    if same(fed, unclipped.astype(np.int64).astype(np.int8)):
        raise Wrong(
            "The check gives 100.0, which is step 203. An int8 cannot hold that, and wraps around "
            "to a negative number. Clip at both ends, before the cast."
        )
    if same(fed, _int8(np.round(steps))):
        raise Wrong("The zero point of the input is missing: 0.0 must become 3 in this model.")
    if same(fed, _int8(np.round(steps) - _ZERO_IN)):
        raise Wrong("On the way in the zero point is added. It comes off on the way back.")
    if same(fed, _int8(np.round(_VALUES * _STEP_IN) + _ZERO_IN)):
        raise Wrong("Multiplying by the scale is the way back. How many steps of 0.5 are in 5.1?")
    # A cast before the zero point is added cuts off as well as one after it.
    casts = (np.trunc(steps + _ZERO_IN), np.trunc(steps) + _ZERO_IN)
    if any(same(fed, cast.astype(np.int64).astype(np.int8)) for cast in casts):
        raise Wrong(
            "A cast alone cuts the fraction off, and wraps around what an int8 cannot hold. Round "
            "and clip before it."
        )
    if any(same(fed, _int8(cast)) for cast in casts):
        raise Wrong("A cast cuts the fraction off: 0.3 is nearer to step 1 than to step 0. Round.")
    if same(fed, _int8(_VALUES)):
        raise Wrong("These are the real values, cast. A cast does not divide by the scale.")
    if np.array_equal(fed[..., :-1], expected[..., :-1]):
        raise Wrong(
            "The check gives -100.0, which is step -197. The smallest int8 is -128: clip at the "
            f"lower end as well. {fed.ravel()[-1]} reached the interpreter."
        )
    raise Wrong(
        f"The input that reached the interpreter is {fed.ravel().tolist()}; "
        f"{expected.ravel().tolist()} was expected. Its scale is {_STEP_IN} and its zero point "
        f"{_ZERO_IN}. Do you read both from the details?"
    )


def _judge_output(answer: Array, integers: Array) -> None:
    """Compare the real values of the output with those of the usual mistakes."""
    reals = integers.astype(np.float32)
    if same(answer, (reals - _ZERO_OUT) * _STEP_OUT, tolerance=1e-6):
        return
    if same(answer, integers):
        raise Wrong("These are the integers of the output. What real value does each stand for?")
    if same(answer, reals * _STEP_OUT, tolerance=1e-6):
        raise Wrong("The zero point of the output is missing: it comes off before the scale.")
    if same(answer, (integers - np.int8(_ZERO_OUT)) * np.float32(_STEP_OUT), tolerance=1e-6):
        raise Wrong(
            "The subtraction overflowed: 127 + 10 does not fit into an int8. Cast to float32 first."
        )
    if same(answer, (reals - _ZERO_IN) * _STEP_IN, tolerance=1e-6):
        raise Wrong("These are scale and zero point of the input. The output has its own.")
    raise Wrong(
        f"The input is right. The output's integers are {integers.ravel().tolist()}, its scale is "
        f"{_STEP_OUT} and its zero point {_ZERO_OUT}; your answer does not follow from them."
    )


def _requantizing_file() -> bytes:
    """Return a file of one QUANTIZE: int8 in, the same real values out on another scale."""
    source, target = (_STEP_IN, _ZERO_IN), (_STEP_OUT, _ZERO_OUT)
    return chain_file("QUANTIZE", 2, tensor("x", [1, 5], source), tensor("y", [1, 5], target))
