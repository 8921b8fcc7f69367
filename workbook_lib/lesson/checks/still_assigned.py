"""Checks of lesson 22."""

from __future__ import annotations

import re
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from varhandle.conversion.freezing import FrozenButAssignedError, FrozenGraph, freeze
from workbook_lib.lesson.exercises import exercise
from workbook_lib.lesson.submissions import Wrong, attempt


@exercise("still_assigned/serving-function")
def serving_function(function: Any) -> str:
    """Write a function of the model that can be frozen, and answers as on a device.

    1. The layers ask one argument of the call in which mode they are. The lesson tried what each of
       its values does.
    2. What you give `get_concrete_function` besides the spec goes to the call of the model. A
       function of your own can hand it on as well.
    3. `tf.TensorSpec([None, 4])` leaves the batch open. Which `training` is to stand beside it?
    """
    open_mode = _model()
    _judge_serving(function, open_mode)
    built_in = _model(training=True)  # a Dropout too: an untrainable one still drops
    try:
        _judge_serving(function, built_in)
    except Wrong as error:
        raise Wrong(
            "For the first model it is right: outside `fit`, inference is the default. In the "
            f"second, two layers were built with `training=True`. {error}"
        ) from error
    return (
        "In inference mode nothing is assigned: the moving averages are read as weights are, and "
        "the second layer that assigns, a Dropout with its random generator, is gone."
    )


def _judge_serving(function: Any, model: Any) -> None:
    x = tf.constant(np.random.default_rng(7).random((3, 4), np.float32))
    expected = model(x, training=False).numpy()  # before the learner's function can change it
    given = attempt(function, model)
    if isinstance(given, FrozenGraph):
        raise Wrong("Return the concrete function as it is before freezing: the check freezes it.")
    if not hasattr(given, "graph") or not hasattr(given, "captured_inputs"):
        raise Wrong(
            f"Return a concrete function. This is of type `{type(given).__name__}`; what does "
            "`get_concrete_function` of a `tf.function` need?"
        )
    try:
        frozen = freeze(given)
    except FrozenButAssignedError as error:
        places = {re.sub(r"(_\d+)+$", "", (name.split("/")[-2:])[0]) for name, _ in error.nodes}
        nodes = "1 node" if len(error.nodes) == 1 else f"{len(error.nodes)} nodes"
        raise Wrong(
            f"It still assigns at {nodes}, in {' and '.join(sorted(places))}. In which mode does "
            "your function call the model?"
        ) from error
    shapes = [str(tensor.shape) for tensor in given.inputs if tensor.dtype != tf.resource]
    if shapes != ["(None, 4)"]:
        raise Wrong(
            f"It freezes, but takes inputs of the shape {' and '.join(shapes) or 'none'}. The "
            "task asks for one of `[None, 4]`, so that a batch of any size fits."
        )
    answers = tf.nest.flatten(frozen.function(x))[0]
    if answers.shape != expected.shape or not np.allclose(answers, expected, atol=1e-5):
        raise Wrong(
            "It freezes, and answers something else than the model does in inference. Does it "
            "call the whole model that it is given?"
        )


def _model(training: bool | None = None) -> Any:
    """Return a model with a normalization and a Dropout, both of a mode or of none."""
    x, normalize = keras.Input([4], name="x"), keras.layers.BatchNormalization(name="normalize")
    hidden = normalize(keras.layers.Dense(3, name="dense")(x), training=training)
    answer = keras.layers.Dropout(0.5, seed=1, name="drop")(hidden, training=training)
    normalize.moving_mean.assign([1.0, 2.0, 3.0])
    normalize.moving_variance.assign([4.0, 1.0, 0.25])
    return keras.Model(x, answer, name="check")
