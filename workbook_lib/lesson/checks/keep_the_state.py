"""Checks of notebook 07."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from tensorflow.lite.python.convert_phase import ConverterError

from varhandle.tflite.externalize_state import lift_state
from workbook_lib.lesson.exercises import exercise
from workbook_lib.lesson.submissions import (
    LearnerRaised,
    Wrong,
    attempt,
    describe,
    expect,
    learner_frame,
    same,
)

_ROWS = 8


class _Watched:
    """A signature runner that remembers what it was given and what it answered."""

    def __init__(self, runner: Any) -> None:
        self._runner = runner
        self.fault = ""
        self.calls: list[tuple[dict[str, Any], dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runner, name)

    def __call__(self, *unnamed: Any, **inputs: Any) -> dict[str, Any]:
        self.fault = ""
        wanted, shape = self._runner.get_input_details(), list(np.shape(inputs.get("row", ())))
        if unnamed:
            self.fault = "The runner takes its inputs by name: `row=` the row, and `**state`."
        elif set(inputs) != set(wanted):
            self.fault = (
                f"The runner takes {', '.join(sorted(wanted))}. It was given "
                f"{', '.join(sorted(inputs)) or 'nothing'}. Which names has the state that your "
                "function gets?"
            )
        elif shape != [1, _ROWS]:
            self.fault = (
                f"A row goes in as `[1, 8]`. Yours has the shape `{shape}`: what does "
                "`row[np.newaxis]` do to a row?"
            )
        if self.fault:
            raise ValueError(self.fault)
        given = {name: np.array(value) for name, value in inputs.items()}
        outputs: dict[str, Any] = self._runner(**given)
        self.calls.append((given, {name: np.array(value) for name, value in outputs.items()}))
        return outputs


@exercise("keep/read-image")
def read_image(function: Any) -> str:
    """Read an image row by row with a lifted signature, and carry its state.

    1. The loop of fifty steps above carries a state. What has to be in the next call that was in
       the outputs of this one?
    2. Hand the state on as `**state`. After a call, pick from the outputs those that have a state's
       name; a new dictionary leaves the caller's alone.
    3. In the loop: `outputs = runner(row=row[np.newaxis], **state)`, then `state = {name:
       outputs[name] for name in state}`. Return `outputs` after it.
    """
    content, begin = _lifted_sums()
    images = np.random.default_rng(5).random((2, _ROWS, 8), np.float32)
    state = {name: value.copy() for name, value in begin.items()}
    for image in images:
        runner = _Watched(Interpreter(model_content=content).get_signature_runner())
        try:
            answer = attempt(function, runner, image, state)
        except LearnerRaised as error:
            raise (Wrong(runner.fault) if runner.fault else error) from error
        _judge_calls(runner.calls, image, begin)
        last = runner.calls[-1][1]
        expect(answer, dict, "the outputs of the last call, the whole dictionary")
        if set(answer) != set(last):
            raise Wrong(
                f"The outputs are {', '.join(sorted(last))}. Yours has "
                f"{', '.join(sorted(map(str, answer)))}."
            )
        if not same(answer, last):
            raise Wrong("These are not the outputs of the last call. Which call do they come from?")
        if not same(state, begin):
            raise Wrong(
                "The caller's `state` has changed, and the next image would begin with what this "
                "one left. Which line of yours writes into the dictionary that it was given?"
            )
    return (
        "The state is a value in your hands: keep two of them, and one file reads two images in "
        "turns; store one, and the device goes on after a restart."
    )


def _judge_calls(calls: list[Any], image: Any, begin: dict[str, Any]) -> None:
    """Judge what a runner was given, call by call, and what it answered."""
    if len(calls) != _ROWS:
        raise Wrong(f"The image has 8 rows. The runner was called {len(calls)} times.")
    first = calls[0][0]
    if not same({name: first[name] for name in begin}, begin):
        raise Wrong(
            "The first call does not begin with the state that your function gets. It need not be "
            "zero, and it is the same for each image."
        )
    if not same([given["row"][0] for given, _ in calls], image):
        raise Wrong("The rows do not go in as they stand in the image, from the first to the last.")
    stale = {
        name
        for name in begin
        for (_, before), (after, _) in pairwise(calls)
        if not np.array_equal(before[name], after[name])
    }
    if stale == set(begin):
        raise Wrong(
            "Every call is to take the state that the call before it gave. Yours takes another."
        )
    if stale:
        raise Wrong(f"One state is not carried from call to call: {', '.join(sorted(stale))}.")


@cache
def _lifted_sums() -> tuple[bytes, dict[str, Any]]:
    """Return a lifted file whose two states have names of their own, and what they begin with."""

    class Sums(tf.Module):
        def __init__(self) -> None:
            self.ink = tf.Variable([[0.5] * 8], name="ink")
            self.fading = tf.Variable([2.0], name="fading")

        @tf.function(input_signature=[tf.TensorSpec([1, 8], name="row")])
        def step(self, row: Any) -> dict[str, Any]:
            self.ink.assign(self.ink + row)
            self.fading.assign(0.5 * self.fading + tf.reduce_sum(row))
            return {"answer": tf.reduce_sum(self.ink) + self.fading}

    owner = Sums()
    functions = [owner.step.get_concrete_function()]
    converter = tf.lite.TFLiteConverter.from_concrete_functions(functions, owner)
    lifted = lift_state(converter.convert())
    return lifted.content, lifted.start()


_TOTALS = np.array(
    [[-3.0, -0.5, 0.25, 1.0], [3.0, 5.5, 6.5, 20.0], [7.0, 0.75, -8.0, 5.75]], np.float32
)
_BY_HIDDEN = np.array(
    [[0.5, -2.0, 3.0, -1.0], [0.25, 4.0, -0.5, 1.5], [2.0, -3.0, 1.0, -0.75]], np.float32
)


@exercise("keep/slope-by-sum")
def slope_by_sum(function: Any) -> str:
    """Write the gradient of `relu6` with builtin ops.

    1. Draw `relu6`. Where is it flat? There, no change of `total` changes the loss.
    2. In `train`, `tf.cast(hidden > 0, tf.float32)` is 1 where ReLU lets through and 0 where it
       stops. `relu6` stops at a second place as well.
    3. Multiply `by_hidden` by `tf.cast(total > 0, tf.float32)` and by `tf.cast(total < 6,
       tf.float32)`.
    """
    total, by_hidden = tf.constant(_TOTALS), tf.constant(_BY_HIDDEN)
    answer = attempt(function, total, by_hidden)
    if not hasattr(answer, "shape") or tuple(answer.shape) != _TOTALS.shape:
        shape = list(answer.shape) if hasattr(answer, "shape") else type(answer).__name__
        raise Wrong(
            f"Return one number for each of `total`, a tensor of `[3, 4]`. This is {shape}."
        )
    answer = np.asarray(answer)
    if answer.dtype != np.float32:
        raise Wrong(
            f"The slopes are to be float32, and these are {answer.dtype}. What does `train` do to "
            "a comparison before it multiplies by it?"
        )
    _judge_slopes(answer)
    _judge_conversion(function)
    return (
        "`tf.raw_ops.Relu6Grad` gives the same numbers, and has no builtin. Two comparisons, two "
        "casts and two products have one each."
    )


def _judge_slopes(answer: Any) -> None:
    lets_through = (_TOTALS > 0) & (_TOTALS < 6)
    if np.allclose(answer, _BY_HIDDEN * lets_through):
        return
    if np.allclose(answer, lets_through):
        raise Wrong(
            "This is how the hidden numbers change with `total`. The chain rule goes one step on: "
            "what is `by_hidden` for?"
        )
    if np.allclose(answer, _BY_HIDDEN * (_TOTALS > 0)):
        raise Wrong("This is the gradient of ReLU. What does `relu6` do with a total of 20?")
    if np.allclose(answer, _BY_HIDDEN * (_TOTALS < 6)):
        raise Wrong("This lets negative totals through. What does `relu6` make of -3?")
    if np.allclose(answer, _BY_HIDDEN * np.clip(_TOTALS, 0, 6)):
        raise Wrong(
            "This multiplies by what comes out of `relu6`. The chain rule takes how much that "
            "*changes* when `total` changes a little."
        )
    if np.allclose(answer, -_BY_HIDDEN * lets_through):
        raise Wrong("The sign is turned round: `train` subtracts the gradient by itself.")
    row, column = np.argwhere(~np.isclose(answer, _BY_HIDDEN * lets_through))[0]
    raise Wrong(
        f"Where `total` is {_TOTALS[row, column]:g} and `by_hidden` {_BY_HIDDEN[row, column]:g}, "
        f"yours is {answer[row, column]:g}. How much does `relu6` change there?"
    )


def _judge_conversion(function: Any) -> None:
    """Convert what the learner wrote, and run it without TensorFlow's own kernels."""
    spec = tf.TensorSpec(_TOTALS.shape)

    @tf.function
    def traced(total: Any, by_hidden: Any) -> Any:  # the learner's parameters may have other names
        return function(total, by_hidden)

    try:
        concrete = traced.get_concrete_function(spec, spec)
    except Exception as error:
        step = learner_frame(error, getattr(function, "__globals__", None))
        raise Wrong(
            "Called with numbers it is right, but it cannot be traced for the converter: "
            f"{describe(error, step)}"
        ) from error
    owner = tf.Module()
    owner.traced = traced
    try:
        content = tf.lite.TFLiteConverter.from_concrete_functions([concrete], owner).convert()
    except ConverterError as error:
        ops = sorted({op.operator.name for op in error.errors if op.operator.name})
        raise Wrong(
            f"The numbers are right, but the converter has no builtin for {', '.join(ops)}. Write "
            "what that op does with comparisons and products."
        ) from error
    runner = Interpreter(model_content=content).get_signature_runner()
    (answer,) = runner(total=_TOTALS, by_hidden=_BY_HIDDEN).values()
    try:
        _judge_slopes(answer)
    except Wrong as error:
        raise Wrong(
            "Called with numbers it is right; traced and converted, it answers something else. "
            "Does it read values in Python, outside TensorFlow's ops?"
        ) from error
