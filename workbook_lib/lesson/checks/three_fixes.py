"""Checks of lesson 12."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import tensorflow as tf

from workbook_lib.lesson.checks.isolated_conversion import judge_file
from workbook_lib.lesson.exercises import exercise
from workbook_lib.lesson.submissions import Wrong, attempt
from workbook_lib.lesson.submitted_modules import make_module, trace_one_to_one

# Fractions and negatives, no two alike, and more of them than the window holds.
_CALLS = np.array([[1.5], [-2.25], [3], [10.75], [-0.125], [7]], np.float32)
_WINDOWS = np.array(
    [np.pad(_CALLS[:end, 0], (4, 0))[-4:] for end in range(1, 1 + len(_CALLS))], np.float32
)


@exercise("three_fixes/mend-the-update")
def mend_the_update(module_class: Any) -> str:
    """Write a LastFour that converts with the converter's defaults.

    1. The slices that are assigned are in the way. Reading a slice is not: `self.window[1:]`.
    2. The last three numbers and the new one make the new window.
    3. `tf.concat([a, b], axis=0)` joins two tensors.
    """
    module, asked = make_module(module_class, "__call__"), make_module(module_class, "__call__")
    if not module.variables:
        raise Wrong("The numbers are to be kept in a `tf.Variable`: nothing else can be assigned.")
    signature = trace_one_to_one(module, "__call__", tf.TensorSpec([1]), tf.float32)
    _judge_windows([np.array(attempt(asked, call)) for call in _CALLS])
    judge_file(module, signature, list(_CALLS), list(_WINDOWS), _why_refused)
    return "The whole value is assigned, and for that there is a builtin op."


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
            raise Wrong(
                "It has forgotten the earlier numbers. Which three of the old window does the new "
                "one begin with, and is it assigned?"
            )
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
