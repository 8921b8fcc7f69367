"""The held-out digits in a control: which one, by its number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


def held_out_images(example: int) -> npt.NDArray[np.float32]:
    """Read the held-out digits, if the one that is asked for is among them.

    Returns float32 [360, 8, 8, 1] in 0..1. Raises ``ValueError``: there is no such digit.
    """
    from workbook_lib.samples import load_digits

    images = load_digits().test_images
    if not 0 <= example < len(images):
        raise ValueError(f"example goes from 0 to {len(images) - 1}, and is not {example}")
    return images


def digit_number(example: int, count: int, hint: str) -> Any:
    """Make the field in which a held-out digit is chosen."""
    from ipywidgets import BoundedIntText, Layout

    return BoundedIntText(
        value=example,
        min=0,
        max=count - 1,
        description="Held-out digit:",
        tooltip=hint,
        style={"description_width": "auto"},
        layout=Layout(width="13em"),
    )
