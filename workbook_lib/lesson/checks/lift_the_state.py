"""Checks of lesson 32."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from varhandle.tflite.externalize_state import lift_state
from workbook_lib.lesson.exercises import exercise
from workbook_lib.lesson.submissions import LearnerRaised, Wrong, attempt, expect, same

_ROWS = 8


class _Watched:
    """A signature runner that remembers what it was given and what it answered."""

    def __init__(self, runner: Any) -> None:
        self._runner = runner
        self.fault = ""
        self.calls: list[tuple[dict[str, Any], dict[str, Any]]] = []

    def __repr__(self) -> str:
        return "runner"  # as Python calls it where it cannot call it

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


@exercise("lift_the_state/read-image")
def read_image(function: Any) -> str:
    """Read an image row by row with a lifted signature, and carry its state.

    1. The loop over rows above carries a state. What has to be in the next call that was in the
       outputs of this one?
    2. Pick from `outputs` those that have a state's name, whatever the names are: what does
       `for name in state` give?
    3. A new dictionary leaves the caller's alone: `{name: ... for name in state}`.
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
    """Return a lifted file whose two states have names of their own, and what they begin with.

    Its answer stands between them, so that nobody finds the states by their place.
    """

    class Sums(tf.Module):
        def __init__(self) -> None:
            self.ink = tf.Variable([[0.5] * 8], name="ink")
            self.fading = tf.Variable([2.0], name="fading")

        @tf.function(input_signature=[tf.TensorSpec([1, 8], name="row")])
        def step(self, row: Any) -> dict[str, Any]:
            self.ink.assign(self.ink + row)
            self.fading.assign(0.5 * self.fading + tf.reduce_sum(row))
            return {"guess": tf.reduce_sum(self.ink) + self.fading}

    owner = Sums()
    functions = [owner.step.get_concrete_function()]
    converter = tf.lite.TFLiteConverter.from_concrete_functions(functions, owner)
    lifted = lift_state(converter.convert())
    return lifted.content, lifted.start()
