"""Checks of lesson 11."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from workbook_lib.lesson.checks.isolated_conversion import judge_file
from workbook_lib.lesson.exercises import exercise
from workbook_lib.lesson.submissions import NotAttempted, Wrong, attempt
from workbook_lib.lesson.submitted_modules import make_module, trace_one_to_one

# Fractions and negatives that float16 holds exactly, and their sums as well.
_CALLS = np.array([[1.5, -2, 0.25, 3], [0.25, 8, -1.5, 0.5], [-4, 0.125, 2, 1]], np.float16)
_TOTALS = np.cumsum(_CALLS, axis=0, dtype=np.float16)


@exercise("the_error/keep-the-total")
def keep_the_total(module_class: Any) -> str:
    """Keep the total of HalfTotal in a variable that the converter takes.

    1. One `add` of the three conversions went through. In which dtype was its variable?
    2. `add` casts what it gets to the dtype of the variable, and casts the total to float16. So
       only the line with the dots is to be written.
    3. `tf.Variable(tf.zeros([4], dtype), name="total")` starts at four zeros, in the dtype that
       you choose.
    """
    module, asked = make_module(module_class, "add"), make_module(module_class, "add")
    if getattr(module, "total", None) is ...:
        raise NotAttempted
    if not module.variables:
        raise Wrong("The total is to be a `tf.Variable`: nothing else can be assigned.")
    signature = trace_one_to_one(module, "add", tf.TensorSpec([4], tf.float16), tf.float16)
    for number, (call, total) in enumerate(zip(_CALLS, _TOTALS, strict=True), start=1):
        _judge_total(number, np.array(attempt(asked.add, call)), total)
    why_refused = partial(_why_refused, module)
    judge_file(module, signature, list(_CALLS), list(_TOTALS), why_refused)
    return "The state is kept in a dtype that the builtin ops take, and the callers see float16."


def _judge_total(number: int, answer: Any, total: Any) -> None:
    if np.array_equal(answer, total):
        return
    told = f"After call {number} the total is {total.tolist()}, and it answers {answer.tolist()}."
    if answer.shape != total.shape:
        raise Wrong(f"It answers with the shape {list(answer.shape)}. The total is [4].")
    if np.array_equal(answer, np.trunc(total)):
        raise Wrong(f"{told} Where did the fractions go?")
    raise Wrong(f"{told} At which numbers does it start, and what is assigned?")


def _why_refused(module: Any, ops: Collection[str]) -> str:
    dtypes = ", ".join(sorted({variable.dtype.name for variable in module.variables}))
    if "tf.VarHandleOp" in ops:
        return f"No builtin op for variables takes {dtypes}."
    return f"A variable may be {dtypes}, but no builtin op adds in it."
