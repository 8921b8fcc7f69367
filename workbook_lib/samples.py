"""The digits and the models that the lessons share, as they ship in ``data/``.

``data/README.md`` says where each comes from. What is slow to import is imported where it is used.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from workbook_lib.locations import data_path

Array = npt.NDArray[np.float32]


@dataclass(frozen=True, repr=False)
class Digits:
    """Real 8x8 images of digits, split into a part to train on and a part held out."""

    train_images: Array  # float32 [1437, 8, 8, 1], in 0..1
    train_labels: npt.NDArray[np.int64]  # int64 [1437], in 0..9
    test_images: Array  # float32 [360, 8, 8, 1], in 0..1
    test_labels: npt.NDArray[np.int64]  # int64 [360], in 0..9

    def __repr__(self) -> str:
        return f"Digits({len(self.train_labels)} to train on, {len(self.test_labels)} held out)"


def load_digits() -> Digits:
    """Read UCI's handwritten digits, ink scaled from 0..16 to 0..1; 36 of each are held out."""
    with np.load(data_path("digits.npz"), allow_pickle=False) as file:
        images = file["images"].astype(np.float32)[..., np.newaxis] / 16
        labels = file["labels"].astype(np.int64)
        held_out = file["held_out"]
    return Digits(images[~held_out], labels[~held_out], images[held_out], labels[held_out])


def load_classifier() -> Any:
    """Load the digits classifier: a ``keras.Model``, float32 [batch, 8, 8, 1] to [batch, 10]."""
    import keras

    return keras.models.load_model(data_path("digits_classifier.keras"))


def load_fragile_classifier() -> Any:
    """Load a classifier of the same form that int8 harms; ``data/README.md`` says why."""
    import keras

    return keras.models.load_model(data_path("fragile_classifier.keras"))


def load_row_reader() -> dict[str, Array]:
    """Load the weights of a small recurrent model that reads a digit row by row; all float32.

    ``row_kernel`` [8, 24], ``memory_kernel`` [24, 24] and ``memory_bias`` [24] make the new memory
    of a row and the old memory; ``digit_kernel`` [24, 10] and ``digit_bias`` [10] make logits of a
    memory; ``first_memory`` [1, 24] is the memory before the first row. They are plain arrays,
    because lesson 31 builds the model of them in the open, and because any NumPy reads them.
    """
    with np.load(data_path("row_reader.npz"), allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def make_row_reader() -> Any:
    """Make the row reader of lesson 31, a ``tf.Module``, for the lessons that begin with it.

    ``step`` takes ``row`` float32 [1, 8] and gives ``digit`` [1, 10] and ``rows`` [1]; ``reset``
    begins a new digit, and gives the memory it begins with, ``start`` [1, 24]. The variables are
    ``memory`` and ``count``.
    """
    import tensorflow as tf

    weights = load_row_reader()

    class RowReader(tf.Module):
        def __init__(self) -> None:
            self.memory = tf.Variable(weights["first_memory"], name="memory")
            self.count = tf.Variable([0.0], name="count")

        @tf.function(input_signature=[tf.TensorSpec([1, 8], name="row")])
        def step(self, row: Any) -> dict[str, Any]:
            seen = row @ weights["row_kernel"] + self.memory @ weights["memory_kernel"]
            self.memory.assign(tf.tanh(seen + weights["memory_bias"]))
            logits = self.memory @ weights["digit_kernel"] + weights["digit_bias"]
            return {"digit": tf.nn.softmax(logits), "rows": self.count.assign_add([1.0])}

        @tf.function(input_signature=[])
        def reset(self) -> dict[str, Any]:
            return {"start": self.memory.assign(weights["first_memory"])}

    return RowReader()


def half_reader_rows(digit: int = 0) -> dict[str, Array]:
    """Return the calls that a device would make of the half-precision reader, for a held-out digit.

    ``row`` float32 [8, 1, 8]: eight successive calls, the rows of one image from top to bottom.
    """
    return {"row": load_digits().test_images[digit].reshape(8, 1, 8)}


def article_claims() -> list[dict[str, Any]]:
    """Return the claims of the article that started this workbook.

    Each has ``id``, ``claim``, ``verdict`` (``"holds"``, ``"holds in part"`` or ``"does not
    hold"``), ``since``, the first measured TensorFlow of which the verdict is true, ``proof``
    (``notebook`` and ``cell``) and ``note``.
    """
    claims: list[dict[str, Any]] = json.loads(
        data_path("article_claims.json").read_text(encoding="utf-8")
    )
    return claims
