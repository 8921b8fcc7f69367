"""The models that the lessons share, as they ship in ``data/``; README.md there says how made.

TensorFlow is imported where it is needed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from workbook_lib.locations import data_path
from workbook_lib.samples.digits import load_digits

Array = npt.NDArray[np.float32]


def load_classifier() -> Any:
    """Load the digits classifier, a ``keras.Model``.

    It takes float32 [batch, 8, 8, 1] in 0..1 to [batch, 10].
    """
    import keras

    return keras.models.load_model(data_path("digits_classifier.keras"))


def load_row_reader() -> dict[str, Array]:
    """Load the weights of a small recurrent model that reads a digit row by row; all float32.

    ``row_kernel`` [8, 24], ``memory_kernel`` [24, 24] and ``memory_bias`` [24] make the new memory
    of a row and the old memory; ``digit_kernel`` [24, 10] and ``digit_bias`` [10] make logits of a
    memory; ``first_memory`` [1, 24] is the memory before the first row. They are plain arrays,
    because notebook 07 builds the model of them in the open, and because any NumPy reads them.
    """
    with np.load(data_path("row_reader.npz"), allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def half_reader_rows(digit: int = 0) -> dict[str, Array]:
    """Return the calls that a device would make of the half-precision reader, for a held-out digit.

    ``row`` float32 [8, 1, 8]: eight successive calls, the rows of one image from top to bottom.
    """
    image = load_digits().test_images[digit]
    return {"row": image.reshape(8, 1, 8).astype(np.float32)}
