"""The held-out digits in a control: which one, by its number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


def held_out_images(example: int) -> npt.NDArray[np.float32]:
    """Read the held-out digits, if the one that is asked for is among them.

    Args:
        example: Its number, from 0.

    Returns:
        float32 [360, 8, 8, 1] in 0..1.

    Raises:
        ValueError: There is no such digit.
    """
    from workbook_lib.samples import load_digits

    images = load_digits().test_images
    if not 0 <= example < len(images):
        raise ValueError(f"example goes from 0 to {len(images) - 1}, and is not {example}")
    return images


def digit_number(example: int, count: int, hint: str) -> Any:
    """Make the field in which a held-out digit is chosen.

    Args:
        example: The number that stands there to begin with.
        count: How many digits there are.
        hint: What the choice does, for a pointer that rests on it.

    Returns:
        The field, a ``BoundedIntText``.
    """
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
