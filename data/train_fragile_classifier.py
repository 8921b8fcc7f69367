"""Train a classifier of digits that int8 harms, for the lesson on quantization that loses.

``python data/train_fragile_classifier.py`` stores it as ``data/fragile_classifier.keras``. Run it
on Python 3.10, as ``train_classifier.py`` says.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from workbook_lib.locations import data_path
from workbook_lib.samples import load_digits

SEED = 20
EPOCHS = 40
FACTORS = np.random.default_rng(2).permutation(np.geomspace(1, 1000, 8))
"""What each channel of the first layer is multiplied by once the training is done."""


def train_fragile_classifier() -> Any:
    """Train it from a fixed seed, then stretch the channels of its first layer.

    In float the stretched model gives the same answers: relu lets a positive factor through, and
    the next layer's weights are divided by it. Folding batch normalization into a convolution
    leaves such a spread in real models, of all sizes; this one has it on purpose, and much of it.
    """
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(SEED)
    tf.config.experimental.enable_op_determinism()
    digits = load_digits()
    convolution = {"padding": "same", "activation": "relu"}
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1), name="image"),
            keras.layers.Conv2D(len(FACTORS), 3, name="edges", **convolution),
            keras.layers.Conv2D(32, 3, strides=2, name="strokes", **convolution),
            keras.layers.Flatten(name="flatten"),
            keras.layers.Dense(64, activation="relu", name="parts"),
            keras.layers.Dense(10, activation="softmax", name="digit"),
        ],
        name="fragile_classifier",
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(digits.train_images, digits.train_labels, batch_size=32, epochs=EPOCHS, verbose=0)
    stretch_channels(model)
    bare = keras.Sequential.from_config(model.get_config())
    bare.set_weights(model.get_weights())
    return bare


def stretch_channels(model: Any) -> None:
    """Multiply each channel of ``edges`` by its factor, and divide what ``strokes`` makes of it."""
    kernel, bias = model.get_layer("edges").get_weights()
    model.get_layer("edges").set_weights([kernel * FACTORS, bias * FACTORS])
    kernel, bias = model.get_layer("strokes").get_weights()
    model.get_layer("strokes").set_weights([kernel / FACTORS[:, np.newaxis], bias])


def main(path: Path | None = None) -> None:
    """Train the classifier, store it, and print its accuracy."""
    model, digits = train_fragile_classifier(), load_digits()
    model.save(path or data_path("fragile_classifier.keras"))
    right = model(digits.test_images).numpy().argmax(axis=-1) == digits.test_labels
    print(f"{right.mean():.1%} of the held-out digits")


if __name__ == "__main__":
    main()
