"""The UCI handwritten digits, as they ship in ``data/digits.npz`` (provenance: data/README.md)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workbook_lib.locations import data_path


@dataclass(frozen=True, repr=False)
class Digits:
    """Real 8x8 images of digits, split into a part to train on and a part held out.

    Attributes:
        train_images: float32 [1437, 8, 8, 1], in 0..1.
        train_labels: int64 [1437], in 0..9.
        test_images: float32 [360, 8, 8, 1], in 0..1.
        test_labels: int64 [360], in 0..9.
    """

    train_images: npt.NDArray[np.float32]
    train_labels: npt.NDArray[np.int64]
    test_images: npt.NDArray[np.float32]
    test_labels: npt.NDArray[np.int64]

    def __repr__(self) -> str:
        return f"Digits({len(self.train_labels)} to train on, {len(self.test_labels)} held out)"


def load_digits() -> Digits:
    """Read the digits.

    Returns:
        The 1,797 images with their labels; the counts of ink (0..16) are scaled to 0..1. The
        file marks 36 images of each digit as held out.
    """
    with np.load(data_path("digits.npz"), allow_pickle=False) as file:
        images = file["images"].astype(np.float32)[..., np.newaxis] / 16
        labels = file["labels"].astype(np.int64)
        held_out = file["held_out"]
    return Digits(images[~held_out], labels[~held_out], images[held_out], labels[held_out])
