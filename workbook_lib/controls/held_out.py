"""The held-out digits in a control: which one, by its number, and how it looks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Image = npt.NDArray[np.float32]


def held_out_images(example: int) -> Image:
    """Read the held-out digits, if the one that is asked for is among them.

    Returns float32 [360, 8, 8, 1] in 0..1. Raises ``ValueError``: there is no such digit.
    """
    from workbook_lib.samples import load_digits

    images = load_digits().test_images
    if not 0 <= example < len(images):
        raise ValueError(f"example goes from 0 to {len(images) - 1}, and is not {example}")
    return images


def digit_number(example: int, count: int, tooltip: str) -> Any:
    """Make the field in which a held-out digit is chosen, a ``BoundedIntText``."""
    from ipywidgets import BoundedIntText, Layout

    return BoundedIntText(
        value=example,
        min=0,
        max=count - 1,
        description="Held-out digit:",
        tooltip=tooltip,
        style={"description_width": "auto"},
        layout=Layout(width="13em"),
    )


def digit_html(
    image: Image, label: str, caption: str, *, rows_read: int = 8, line: str = ""
) -> str:
    """Draw float32 [8, 8] in 0..1, dark ink on white paper; rows that are not read yet are pale."""
    squares = "".join(
        f'<rect x="{x}" y="{y}" width="1" height="1" fill="rgb({g},{g},{g})"'
        f"{'' if y < rows_read else ' opacity=' + chr(34) + '0.3' + chr(34)}/>"
        for y, row in enumerate(image)
        for x, value in enumerate(row)
        for g in [round(255 * (1 - float(value)))]
    )
    return (
        f'<figure style="margin: 0"><svg role="img" aria-label="{label}" width="120" height="120" '
        'viewBox="-0.1 -0.1 8.2 8.2" shape-rendering="crispEdges"><rect x="-0.1" y="-0.1" '
        f'width="8.2" height="8.2" fill="#767676"/><rect width="8" height="8" fill="#fff"/>'
        f"{squares}{line}</svg><figcaption>{caption}</figcaption></figure>"
    )
