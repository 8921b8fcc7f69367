"""Checks of lesson 12."""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Collection
from typing import Any

import numpy as np
import tensorflow as tf

from varhandle.evaluate.parity import check_parity
from workbook_lib.lesson.checks.isolated_conversion import converted
from workbook_lib.lesson.exercises import exercise
from workbook_lib.lesson.submissions import NotAttempted, Wrong, attempt, is_stub

# Fractions and negatives, no two alike, and more of them than the window holds.
_CALLS = np.array([[1.5], [-2.25], [3], [10.75], [-0.125], [7]], np.float32)
_WINDOWS = np.array(
    [np.pad(_CALLS[:end, 0], (4, 0))[-4:] for end in range(1, 1 + len(_CALLS))], np.float16
)


@exercise("three_fixes/mend-the-update")
def mend_the_update(module_class: object) -> str:
    """Write a LastFour that converts with the converter's defaults, and answers in float16.

    1. The slices are in the way. Compute the whole new window first, and assign it at once.
    2. The last three numbers and the new one make the new window: `tf.concat([a, b], axis=0)` joins
       two tensors.
    3. Leave the variable in float32, and cast where the answer is returned.
    """
    if is_stub(module_class):
        raise NotAttempted
    if not isinstance(module_class, type):
        raise Wrong("Pass the class itself: `check.mend_the_update(MyLastFour)`.")
    try:
        inspect.signature(module_class.__init__).bind(None)  # type: ignore[misc]
    except TypeError as error:
        raise Wrong("The check makes it with no arguments: `MyLastFour()`.") from error
    if is_stub(getattr(module_class, "__call__", ...)):  # noqa: B004 - a tf.function, unwrapped
        raise NotAttempted
    module, asked = attempt(module_class), attempt(module_class)
    if not isinstance(module, tf.Module) or not module.variables:
        raise Wrong("The class is to be a `tf.Module` that keeps its numbers in a `tf.Variable`.")
    signature = _one_tensor_to_one(module)
    _judge_windows([np.array(attempt(asked, call)) for call in _CALLS])
    with tempfile.TemporaryDirectory() as folder:
        try:
            tf.saved_model.save(module, folder, signatures=signature)
        except Exception as error:
            raise Wrong(f"It cannot be saved: {str(error).partition('. ')[0]}.") from error
        content = converted(folder, _why_refused)
    parity = check_parity(list(_WINDOWS), content, list(_CALLS), tolerance=1e-2)
    if not parity.passed:
        raise Wrong("It converts, but the file answers otherwise: " + parity.runs[0].verdict + ".")
    return "The whole value is assigned, in a dtype that the builtin ops take; the cast comes last."


def _one_tensor_to_one(module: Any) -> Any:
    """Trace a module's ``__call__``: one float32 [1] tensor in, one float16 tensor out."""
    function: Any = getattr(module, "__call__", None)  # noqa: B004 - its attributes are wanted
    specs = getattr(function, "input_signature", None)
    if not hasattr(function, "get_concrete_function") or specs is None:
        raise Wrong("`__call__` is to stay a `tf.function` with an input signature.")
    if [(spec.shape, spec.dtype) for spec in tf.nest.flatten(specs)] != [([1], tf.float32)]:
        raise Wrong("Keep LastFour's input signature: one float32 tensor with one number.")
    signature = attempt(function.get_concrete_function)
    answered = signature.structured_outputs
    if answered is None:
        raise Wrong("`__call__` returned `None`. Does it end in a `return`?")
    if not tf.is_tensor(answered):
        raise Wrong(f"It answers with a `{type(answered).__name__}`. Return one tensor.")
    if answered.dtype != tf.float16:
        raise Wrong(
            f"It answers in {answered.dtype.name}. The callers of this model expect float16."
        )
    return signature


def _judge_windows(answers: list[Any]) -> None:
    for number, (answer, window) in enumerate(zip(answers, _WINDOWS, strict=True)):
        if np.array_equal(answer, window):
            continue
        if answer.shape != window.shape:
            raise Wrong(f"It answers with the shape {list(answer.shape)}. The window is [4].")
        if np.array_equal(answer, window[::-1]):
            raise Wrong("The newest number comes first. In LastFour it comes last.")
        before = np.zeros(4) if number == 0 else _WINDOWS[number - 1]
        if np.array_equal(answer, before):
            raise Wrong("It answers with the window as it was before the call.")
        if np.array_equal(answer, [0, 0, 0, window[-1]]):
            raise Wrong("It has forgotten the earlier numbers. Is the new window assigned?")
        calls = _CALLS[: number + 1, 0].tolist()
        raise Wrong(
            f"In TensorFlow itself: after the calls {calls} the window is {window.tolist()}, and "
            f"it answers {answer.tolist()}."
        )


def _why_refused(ops: Collection[str]) -> str:
    if any("Resource" in op for op in ops):
        return "A part is still assigned."
    if "tf.VarHandleOp" in ops:
        return "The whole window is assigned, in a dtype that the builtin ops do not take."
    return "The answers are right."
