"""Train the small digits classifier that the lessons freeze, convert and quantize.

``python data/train_classifier.py`` stores it as ``data/digits_classifier.keras``. Run it on Python
3.10: the lock has Keras 3.12 there, a later one elsewhere, and a Keras reads the files of its
forerunners, but not those of its successors.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workbook_lib.locations import data_path
from workbook_lib.samples import load_digits

SEED = 20
EPOCHS = 30


def train_classifier() -> Any:
    """Train the classifier from a fixed seed, and leave its optimizer behind.

    The same machine gives the same weights each time; another processor rounds differently, so
    compare accuracies and not weights.
    """
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(SEED)
    tf.config.experimental.enable_op_determinism()
    digits = load_digits()
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1), name="image"),
            keras.layers.Conv2D(8, 3, activation="relu", padding="same", name="edges"),
            keras.layers.MaxPooling2D(name="shrink"),
            keras.layers.Conv2D(16, 3, activation="relu", padding="same", name="strokes"),
            keras.layers.Flatten(name="flatten"),
            keras.layers.Dense(10, activation="softmax", name="digit"),
        ],
        name="digits_classifier",
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(digits.train_images, digits.train_labels, batch_size=32, epochs=EPOCHS, verbose=0)
    bare = keras.Sequential.from_config(model.get_config())
    bare.set_weights(model.get_weights())
    return bare


def accuracy(model: Any) -> float:
    """Measure a classifier."""
    digits = load_digits()
    answers = model(digits.test_images).numpy().argmax(axis=-1)
    return float((answers == digits.test_labels).mean())


def main(path: Path | None = None) -> None:
    """Train the classifier, store it, and print its accuracy."""
    model = train_classifier()
    model.save(path or data_path("digits_classifier.keras"))
    print(f"{accuracy(model):.1%} of the held-out digits")


if __name__ == "__main__":
    main()
