"""Checks of lesson 34."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from tensorflow.lite.python.convert_phase import ConverterError

from workbook_lib.lesson.exercises import exercise
from workbook_lib.lesson.submissions import (
    LearnerRaised,
    NotAttempted,
    Wrong,
    attempt,
    describe,
    is_stub,
    learner_frame,
)

_X = np.array([[-3.0, -0.5, 0.25, 1.0], [3.0, 5.5, 6.5, 20.0], [7.0, 0.75, -8.0, 5.75]], np.float32)
_UPSTREAM = np.array(
    [[0.5, -2.0, 3.0, -1.0], [0.25, 4.0, -0.5, 1.5], [2.0, -3.0, 1.0, -0.75]], np.float32
)


@exercise("train_on_the_device/relu6")
def relu6(function: Any) -> str:
    """Write relu6 with a gradient that the converter takes.

    1. Draw `relu6`. Where is it flat? There, no change of `x` changes the loss.
    2. `x > 0` is true where ReLU lets through, number by number. `relu6` stops at a second place as
       well.
    3. Two comparisons of tensors are joined with `&`, each in brackets, or with `tf.logical_and`.
       Python's `and` and `0 < x < 6` ask for one answer to all numbers.
    """
    answer = attempt(function, tf.constant(_X))
    _judge_forward(answer)
    _judge_slopes(np.asarray(_gradient(function)))
    _judge_conversion(function)
    return (
        "The gradient is made of builtin ops, so a step that uses it converts, and the file works "
        "out the same numbers as TensorFlow."
    )


def _judge_forward(answer: Any) -> None:
    if not hasattr(answer, "shape") or tuple(answer.shape) != _X.shape:
        kind = f"the shape {answer.shape}" if hasattr(answer, "shape") else type(answer).__name__
        raise Wrong(f"Return a tensor of the shape of `x`. This is {kind}.")
    wrong = ~np.isclose(answer, np.clip(_X, 0, 6))
    if wrong.any():
        x, given = _X[wrong][0], np.asarray(answer)[wrong][0]
        raise Wrong(f"For {x:g} `relu6` is {np.clip(x, 0, 6):g}, and yours is {given:g}.")


def _gradient(function: Any) -> Any:
    x = tf.constant(_X)
    try:
        with tf.GradientTape() as tape:
            tape.watch(x)
            answer = tf.convert_to_tensor(function(x))
        slopes = tape.gradient(answer, x, output_gradients=tf.constant(_UPSTREAM))
    except Exception as error:
        if _gradient_is_a_stub(function):
            raise NotAttempted from error
        step = learner_frame(error, getattr(function, "__globals__", None))
        raise LearnerRaised(f"The gradient raised {describe(error, step)}") from error
    if slopes is None:
        if _gradient_is_a_stub(function):
            raise NotAttempted
        raise Wrong("No gradient comes out. What does the inner function return?")
    return slopes


def _gradient_is_a_stub(function: Any) -> bool:
    """Tell whether the function inside the learner's is not written yet."""
    written = getattr(function, "__wrapped__", function)
    try:
        return is_stub(written(tf.constant(_X))[1])
    except Exception:
        return False


def _judge_slopes(slopes: Any) -> None:
    if slopes.dtype == bool:
        raise Wrong(
            "The gradient is of booleans, and `upstream` is lost: so multiplies TensorFlow by a "
            "comparison. What makes numbers of `x > 0`?"
        )
    lets_through = (_X > 0) & (_X < 6)
    if slopes.shape == _X.shape and np.allclose(slopes, _UPSTREAM * lets_through):
        return
    for mistaken, told in (
        (lets_through, "This is the slope of `relu6` alone. The chain rule goes one step on: "
         "what is `upstream` for?"),
        (_UPSTREAM * (_X > 0), "This is the gradient of ReLU. How much does `relu6` change where "
         "`x` is 20?"),
        (_UPSTREAM * (_X < 6), "This lets negative numbers through. How much does `relu6` change "
         "where `x` is -3?"),
        (_UPSTREAM * np.clip(_X, 0, 6), "This multiplies by what `relu6` gives. The chain rule "
         "takes how much that *changes* when `x` changes a little."),
        (-_UPSTREAM * lets_through, "The sign is turned round. Where `relu6` lets through, it "
         "grows as `x` does."),
        (_UPSTREAM, "This lets everything through. Where is `relu6` flat?"),
    ):  # fmt: skip
        if slopes.shape == _X.shape and np.allclose(slopes, mistaken):
            raise Wrong(told)
    if slopes.shape != _X.shape:
        raise Wrong(f"The gradient has the shape {slopes.shape}, and `x` has {_X.shape}.")
    row, column = np.argwhere(~np.isclose(slopes, _UPSTREAM * lets_through))[0]
    raise Wrong(
        f"Where `x` is {_X[row, column]:g} and `upstream` {_UPSTREAM[row, column]:g}, the gradient "
        f"is {slopes[row, column]:g}. How much does `relu6` change there?"
    )


def _judge_conversion(function: Any) -> None:
    """Convert a step that uses the gradient, and run it without TensorFlow."""
    owner = tf.Module()
    owner.x = tf.Variable(_X, name="x")

    @tf.function(input_signature=[tf.TensorSpec(_X.shape, name="upstream")], autograph=False)
    def step(upstream: Any) -> Any:
        with tf.GradientTape() as tape:
            answer = function(owner.x)
        return {"slopes": tape.gradient(answer, owner.x, output_gradients=upstream)}

    owner.step = step
    try:
        concrete = step.get_concrete_function()
    except Exception as error:
        where = learner_frame(error, getattr(function, "__globals__", None))
        raise Wrong(
            "Called with numbers it is right, but it cannot be traced for the converter: "
            f"{describe(error, where)}"
        ) from error
    try:
        content = tf.lite.TFLiteConverter.from_concrete_functions([concrete], owner).convert()
    except ConverterError as error:
        ops = sorted({op.operator.name for op in error.errors if op.operator.name})
        raise Wrong(
            f"The numbers are right, but the converter has no builtin for {', '.join(ops)}. Where "
            "does that op come from, and what does it compute?"
        ) from error
    (slopes,) = (
        Interpreter(model_content=content).get_signature_runner()(upstream=_UPSTREAM).values()
    )
    try:
        _judge_slopes(slopes)
    except Wrong as error:
        raise Wrong(
            "Called with numbers it is right; traced and converted, it gives another gradient. "
            "Does it read values in Python, outside TensorFlow's ops?"
        ) from error
