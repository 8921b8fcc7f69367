"""Checks of lesson 91."""

from __future__ import annotations

import tempfile

import numpy as np
import tensorflow as tf

from workbook_lib.lesson.checks.isolated_conversion import converted
from workbook_lib.lesson.exercises import exercise
from workbook_lib.lesson.submissions import Wrong, attempt


@exercise("the_article/other-mend")
def other_mend(build_model: object) -> str:
    """Keep the article's [10, 128] constant, and change the added layer so that it fits.

    1. The layer's kernel has one row for each feature that comes in and one column for each unit.
       Which of the two can you still choose?
    2. Ten features come in. A [10, 128] kernel has 128 columns.
    3. Change the number of units of the added layer, and leave the constant alone.
    """
    if isinstance(build_model, tf.keras.Model):  # callable as well
        raise Wrong("Pass the function itself: `check.other_mend(build_model)`.")
    model = attempt(build_model)
    if not isinstance(model, tf.keras.Model):
        raise Wrong(
            "Return the Keras model itself: the last line of the function is `return model`."
        )
    if not model.built:
        raise Wrong("The model is not built yet. Start it with `tf.keras.Input([10])`.")
    dense = [layer for layer in model.layers if isinstance(layer, tf.keras.layers.Dense)]
    if len(dense) < 3:
        raise Wrong("The model has lost a layer. The article's third layer is to be added as well.")
    kernel = dense[-1].kernel
    if tuple(kernel.shape) == (10, 10):
        raise Wrong(
            "This mends it by changing the constant, as the cell above did. Leave the constant at "
            "[10, 128]; what else decides the shape of the kernel?"
        )
    if tuple(kernel.shape) != (10, 128):
        raise Wrong(f"The last kernel has the shape {list(kernel.shape)}, the constant [10, 128].")
    starts_from = dense[-1].kernel_initializer
    # tf.random.normal spreads by 1; Glorot's default for this shape by about 0.12.
    spread = float(np.std(kernel.numpy()))
    if not isinstance(starts_from, tf.keras.initializers.Constant) or not 0.8 < spread < 1.2:
        raise Wrong("The last kernel does not hold the random constant. Is the initializer there?")
    with tempfile.TemporaryDirectory() as folder:
        model.export(folder, verbose=False)
        converted(folder)
    return "The kernel is [features, units]: with 128 units it is [10, 128], and it converts."
