"""Checks of lesson 24."""

from __future__ import annotations

import tempfile
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from varhandle.conversion.converter import inspect_conversion
from varhandle.evaluate.parity import check_parity
from workbook_lib.lesson.exercises import exercise
from workbook_lib.lesson.submissions import Wrong, attempt

_UNTRACKED = "untracked"  # TensorFlow's word for what a function captures and its owner lacks


@exercise("weights_that_vanish/owner")
def owner_of(function: Any) -> str:
    """Return an object that owns what the functions of a Keras model read.

    1. A `tf.Module` owns each `tf.Variable` that it finds in its attributes, in a list as well.
    2. `model.variables` lists the variables of Keras. Where does each keep its `tf.Variable`?
    3. It is in `.value`. The module is to hold a list of these, one for each variable.
    """
    model, twin = _model(), _model()
    twin.set_weights(model.get_weights())  # the learner's function may change the model
    spec = tf.TensorSpec([1, 8, 8, 1], name="image")
    concrete_function = tf.function(model, autograph=False).get_concrete_function(spec)
    owner = attempt(function, model)
    try:
        converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete_function], owner)
        content = converter.convert()
    except Exception as error:
        raise Wrong(
            f"With this owner, of type `{type(owner).__name__}`, the converter stops: "
            f"{type(error).__name__}. What did the notebook hand to it?"
        ) from error
    found = inspect_conversion(content)
    if found.uninitialized:
        raise Wrong(
            f"The file reads {len(found.uninitialized)} variables that nothing initializes: the "
            "owner does not see a `tf.Variable`. Where does a variable of Keras keep one?"
        )
    if not found.signatures:
        raise Wrong(f"The file has no signature. {_why_not_saved(owner, concrete_function, model)}")
    calls = list(np.random.default_rng(3).random((3, 1, 8, 8, 1), np.float32))
    if not check_parity(twin, content, calls).passed:
        raise Wrong(
            "It converts, and answers something else than the model did before your function was "
            "called. An owner holds the variables as they are."
        )
    return "The owner holds the variables that the graph reads, so saving finds their values."


def _why_not_saved(owner: Any, concrete_function: Any, model: Any) -> str:
    """Say why the converter could not save an owner, and froze the function: it does not tell."""
    what = f"An object of type `{type(owner).__name__}`"
    if hasattr(owner, "get_concrete_function") or hasattr(owner, "captured_inputs"):
        return f"{what} is a function, and no owner, so the converter froze yours."
    try:
        with tempfile.TemporaryDirectory() as folder:
            tf.saved_model.save(owner, folder, signatures=concrete_function)
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [""]
        if _UNTRACKED in str(error):
            return (
                f"Of the {len(model.variables)} variables of the check's model your object owns "
                f"{_owned(owner, model)}. It could not be saved, so the converter froze the "
                "function. Which variables are left out, or copied? Those that are not trained "
                "count as well."
            )
        if not isinstance(owner, tf.__internal__.tracking.AutoTrackable):
            return f"{what} cannot be saved, so the converter froze the function. What can own?"
        reason = lines[-1] if lines[0] == "in user code:" else lines[0]
        return (
            "Your object could not be saved, so the converter froze the function. What belongs to "
            f"it is saved with it, and that stopped at {type(error).__name__}: {reason[:200]}"
        )
    return f"{what} can be saved, and the converter froze the function all the same."


def _owned(owner: Any, model: Any) -> int:
    listed = getattr(owner, "variables", ())
    owned = set(map(id, listed)) if isinstance(listed, (list, tuple)) else set()
    return sum(id(variable.value) in owned for variable in model.variables)


def _model() -> Any:
    """Return a model of images: two variables are not trained, and two layers have a kernel."""
    image = keras.Input([8, 8, 1], name="image")
    normalize = keras.layers.BatchNormalization(name="normalize")
    hidden = keras.layers.Dense(3, name="dense")(keras.layers.Flatten()(image))
    answer = keras.layers.Dense(2, name="answer")(normalize(hidden))
    model = keras.Model(image, answer, name="check")
    normalize.moving_mean.assign([1.0, 2.0, 3.0])
    normalize.moving_variance.assign([4.0, 1.0, 0.25])
    return model
