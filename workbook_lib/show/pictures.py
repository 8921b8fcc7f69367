"""A plot as a picture with words: what a screen reader, a terminal and a reader all get."""

from __future__ import annotations

import base64
import html
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from varhandle.display import Rich

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DOTS_PER_INCH = 96  # of a browser: letters of 10 points are as large as those of the page
_SHARPNESS = 2  # dots for each of those, for the screens of today's laptops
# A sheet of white paper: a plot's colors are chosen for it. A dark page that knows the class of the
# image exchanges light and dark.
_SHEET = "max-width: 100%; border: 1px solid #c8c8c8; border-radius: 6px; background: #ffffff"


@dataclass(frozen=True, repr=False)
class Picture(Rich):
    """A drawn plot."""

    png: bytes  # the picture, as a PNG file, with twice the dots that it is shown with
    alt: str  # what it shows, in words: the whole of it for somebody who does not see it
    caption: str = ""  # A line below it; empty for none

    def __repr__(self) -> str:
        return f"Picture({self.alt})"

    def text(self) -> str:
        return f"picture: {self.alt}" + (f"\n{self.caption}" if self.caption else "")

    def html(self) -> str:
        encoded = base64.b64encode(self.png).decode("ascii")
        width = int.from_bytes(self.png[16:20], "big") // _SHARPNESS  # of the file's header
        image = (
            f'<img class="workbook-picture" alt="{html.escape(self.alt)}" width="{width}" '
            f'style="{_SHEET}" src="data:image/png;base64,{encoded}">'
        )
        caption = f"<figcaption>{html.escape(self.caption)}</figcaption>" if self.caption else ""
        return f'<figure style="margin: 0.3em 0">{image}{caption}</figure>'


def picture(figure: Figure, alt: str, caption: str = "") -> Picture:
    """Turn a Matplotlib figure into a picture with words.

    The figure is closed, so that no second copy of it appears below the cell. Raises
    ``ValueError``: ``alt`` says nothing.
    """
    if not alt.strip():
        raise ValueError("a picture needs alternative text: say what it shows")
    from matplotlib import pyplot

    buffer = io.BytesIO()
    for axes in figure.axes:
        if axes.name == "rectilinear" and not axes.images:  # two sides frame a plot well enough
            axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(
        buffer,
        format="png",
        dpi=_SHARPNESS * _DOTS_PER_INCH,
        bbox_inches="tight",
        pad_inches=0.15,
        facecolor="white",
    )
    pyplot.close(figure)
    return Picture(buffer.getvalue(), " ".join(alt.split()), caption)
