"""Checks of lesson 13."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import tensorflow as tf

from workbook_lib.lesson.exercises import exercise
from workbook_lib.lesson.submissions import Wrong, attempt

_IMAGES = list(np.array([[1, -2, 3, 0.5], [-4, 2, 0.25, 8], [0, 1, -1, 2]], np.float32))


@exercise("compare_the_answers/same-answers")
def same_answers(function: Any) -> str:
    """Tell whether a file answers as a function does: all numbers, all inputs, to 0.0001.

    1. `answer` and `expected` are arrays. A difference can be positive or negative, one number of
       ten can be wrong, and NaN is neither small nor large.
    2. `np.allclose(a, b, atol=…)` compares all numbers of two arrays, and NaN is close to nothing.
       It allows a hundred-thousandth of the number more, unless it gets `rtol=0`.
    """
    line, shift = _file("line"), np.zeros(4, np.float32)
    _judge(function, line, _tripled(shift), True, "a file whose answers are exactly right")
    near = np.full(4, 5e-5, np.float32)
    _judge(function, line, _tripled(near), True, "answers that are 0.00005 off: that is close")
    far = np.full(4, 1e-3, np.float32)
    _judge(function, line, _tripled(far), False, "answers that are all 0.001 too small")
    _judge(function, line, _tripled(-far), False, "answers that are all 0.001 too large")
    one = np.array([0, 0, 0, 1], np.float32)
    _judge(function, line, _tripled(one), False, "answers of which the last number is off by 1")
    mixed = np.array([1, -1, 0, 0], np.float32)
    _judge(function, line, _tripled(mixed), False, "numbers that are off by 1 and by -1")
    _judge(function, line, _tripled(one * 3e-4), False, "one number of four that is off by 0.0003")
    for number, which in ((0, "first"), (1, "second"), (2, "last")):
        told = f"a file whose answer to the {which} of three inputs is wrong"
        _judge(function, line, _tripled(one, _IMAGES[number]), False, told)
    told = "an answer of NaN, where TensorFlow has a number"
    _judge(function, _file("nan"), _ones, False, told)
    _judge(function, _file("total"), _total(), True, "a file that adds up what it is given")
    return "NaN, one wrong number, one wrong input: your function finds them all."


def _judge(function: Any, content: bytes, reference: Any, expected: bool, what: str) -> None:
    given = [image.copy() for image in _IMAGES]
    answer = attempt(function, reference, content, given)
    if not isinstance(answer, (bool, np.bool_)):
        raise Wrong(f"Return `True` or `False`. This is of type `{type(answer).__name__}`.")
    if bool(answer) != expected:
        more = ""
        if "adds up" in what:
            more = " It keeps a state, so all inputs must go through one interpreter, once each."
        raise Wrong(f"The check tried {what}. Your function says {answer}.{more}")


def _tripled(shift: Any, only: Any = None) -> Callable[[Any], Any]:
    """Answer as the file ``line`` does, but for a shift: everywhere, or at one input."""

    def function(image: Any) -> Any:
        shifted = only is None or np.array_equal(image, only)
        return tf.constant(3 * np.asarray(image) - 1 + (shift if shifted else 0), tf.float32)

    return function


def _ones(_: Any) -> Any:
    return tf.ones(4)


def _total() -> Callable[[Any], Any]:
    total = np.zeros(4, np.float32)

    def function(image: Any) -> Any:
        total[:] += np.asarray(image)
        return tf.constant(total.copy())

    return function


@cache
def _file(name: str) -> bytes:
    """Convert a small model with one signature, from ``image`` to an answer of its shape."""
    module = tf.Module()
    module.total = tf.Variable(tf.zeros(4))
    answers: dict[str, Callable[[Any], Any]] = {
        "line": lambda x: 3.0 * x - 1.0,
        "nan": lambda x: tf.sqrt(-1.0 - x * x),
        "total": module.total.assign_add,
    }

    @tf.function(input_signature=[tf.TensorSpec([4], tf.float32, name="image")])
    def step(image: Any) -> Any:
        return answers[name](image)

    module.step = step
    concrete = step.get_concrete_function()
    content: bytes = tf.lite.TFLiteConverter.from_concrete_functions([concrete], module).convert()
    return content
