"""The UCI handwritten digits, as they ship in ``data/digits.npz`` (provenance: data/README.md)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workbook_lib.locations import data_path


@dataclass(frozen=True, repr=False)
class Digits:
    """Real 8x8 images of digits, split into a part to train on and a part held out."""

    train_images: npt.NDArray[np.float32]  # float32 [1437, 8, 8, 1], in 0..1
    train_labels: npt.NDArray[np.int64]  # int64 [1437], in 0..9
    test_images: npt.NDArray[np.float32]  # float32 [360, 8, 8, 1], in 0..1
    test_labels: npt.NDArray[np.int64]  # int64 [360], in 0..9

    def __repr__(self) -> str:
        return f"Digits({len(self.train_labels)} to train on, {len(self.test_labels)} held out)"


def load_digits() -> Digits:
    """Read the digits.

    The counts of ink (0..16) are scaled to 0..1; 36 images of each digit are held out.
    """
    with np.load(data_path("digits.npz"), allow_pickle=False) as file:
        images = file["images"].astype(np.float32)[..., np.newaxis] / 16
        labels = file["labels"].astype(np.int64)
        held_out = file["held_out"]
    return Digits(images[~held_out], labels[~held_out], images[held_out], labels[held_out])
