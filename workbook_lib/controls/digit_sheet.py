"""Draw a digit, and let several files of the digits classifier answer beside each other.

Nothing here needs TensorFlow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from varhandle.display import Rich, panel_html, printable, table_html, table_text
from workbook_lib.controls.slow_work import is_interactive, live_text
from workbook_lib.lesson.control_box import as_control
from workbook_lib.show.layout import Cell

if TYPE_CHECKING:
    import numpy.typing as npt

    from varhandle.evaluate.session import Session

    Ink = npt.NDArray[np.float32]

_SIDE = 32  # dots of the bitmap that a digit was scanned to, along each side
_BLOCK = 4  # dots of a block, along each side, whose black ones are counted
_PEN = 5.0  # width of a line in dots; see ``ink_of_strokes``


def held_out_images(example: int) -> Ink:
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


def digit_html(image: Ink, label: str, caption: str, *, rows_read: int = 8, line: str = "") -> str:
    """Draw float32 [8, 8] in 0..1, dark ink on white paper; rows that are not read yet are pale."""
    grays = np.round(255 * (1 - image)).astype(int)
    squares = "".join(
        f'<rect x="{x}" y="{y}" width="1" height="1" fill="rgb({gray},{gray},{gray})"{pale}/>'
        for (y, x), gray in np.ndenumerate(grays)
        for pale in ["" if y < rows_read else ' opacity="0.3"']
    )
    return (
        f'<figure style="margin: 0"><svg role="img" aria-label="{label}" width="120" height="120" '
        'viewBox="-0.1 -0.1 8.2 8.2" shape-rendering="crispEdges"><rect x="-0.1" y="-0.1" '
        f'width="8.2" height="8.2" fill="#767676"/><rect width="8" height="8" fill="#fff"/>'
        f"{squares}{line}</svg><figcaption>{caption}</figcaption></figure>"
    )


@dataclass(frozen=True, repr=False, eq=False)
class DigitAnswers(Rich):
    """What several files say of one drawing."""

    ink: Ink  # float32 [8, 8] in 0..1: what the files were given
    shares: Mapping[str, npt.NDArray[np.float64]]  # file -> [10]: its share for each digit

    def __repr__(self) -> str:
        return f"DigitAnswers({self.verdict})"

    @property
    def labels(self) -> dict[str, int]:
        """Name of a file to the digit that it gives most to."""
        return {name: int(shares.argmax()) for name, shares in self.shares.items()}

    @property
    def verdict(self) -> str:
        """What each file says, and how far they are apart, in one line."""
        answers = ", ".join(f"{name} says {digit}" for name, digit in self.labels.items())
        apart = np.ptp(list(self.shares.values()), axis=0).max()
        return f"{answers}; at most {100 * apart:.0f} points apart"

    def _table(self) -> tuple[list[str], list[list[object]]]:
        columns = zip(*self.shares.values(), strict=True)
        rows = [[digit, *map(_bar, shares)] for digit, shares in enumerate(columns)]
        return ["digit", *self.shares], rows

    def text(self) -> str:
        """Return the answers, and the drawing as the files get it: counts of ink from 0 to 16."""
        counts = np.round(self.ink * 16).astype(int)
        ink = "\n".join(" ".join(f"{count:2d}" for count in line) for line in counts)
        return "\n".join([self.verdict, table_text(*self._table()), "ink, 0 to 16:", ink])

    def html(self) -> str:
        """Return the drawing, and bars: always ten rows, so that nothing jumps."""
        table = table_html(*self._table(), "How much each file gives to a digit")
        label = "the drawing in 8 by 8 squares, as the files get it"
        tone = "neutral" if len(set(self.labels.values())) == 1 else "wrong"
        body = (
            '<div style="display: flex; flex-wrap: wrap; gap: 1.5em; align-items: flex-start">'
            f"{digit_html(self.ink, label, 'what the files get')}<div>{table}</div></div>"
        )
        return panel_html(tone, self.verdict, body)


def _bar(share: float) -> Cell:
    """Draw a share as a bar with its number beside it."""
    bar = (
        '<span style="display: inline-block; width: min(6em, 15vw); vertical-align: middle" '
        'aria-hidden="true"><span style="display: block; height: 0.7em; background: #0277bd; '
        f'width: {100 * share:.0f}%"></span></span>'
    )
    return Cell(f"{share:.0%}", f"{bar} {share:.0%}")


def classify_ink(sessions: Mapping[str, Session], ink: Ink) -> DigitAnswers:
    """Let files of the digits classifier answer for one image, float32 [8, 8] in 0..1.

    Each has one input [1, 8, 8, 1] and one output [1, 10], integers at the ends or not.
    """
    shares = {}
    for name, session in sessions.items():
        ((_, output),) = session({next(iter(session.inputs)): ink.reshape(1, 8, 8, 1)}).items()
        shares[name] = np.asarray(output, np.float64).reshape(10)
    return DigitAnswers(ink.reshape(8, 8), shares)


def ink_of_strokes(strokes: Sequence[Sequence[Sequence[float]]]) -> Ink:
    """Turn pen strokes into what the digits in ``data/digits.npz`` are made of.

    These were scanned to bitmaps of 32x32 dots that the digit fills, and of each block of 4x4 the
    black dots were counted (Alpaydin and Kaynak, 1998). So the strokes are moved and scaled until
    they fill the bitmap, their shape kept, whatever their size on the sheet. The pen is 5 dots
    wide, because then drawn digits have the ink of scanned ones: half of the squares hold some.
    Points are (x to the right, y down). Returns float32 [8, 8] in 0..1, all zeros without strokes.
    """
    points = [np.asarray(stroke, np.float64).reshape(-1, 2) for stroke in strokes if len(stroke)]
    if not points:
        return np.zeros((8, 8), np.float32)
    every = np.concatenate(points)
    low, high = every.min(axis=0), every.max(axis=0)
    middle, size = (low + high) / 2, float((high - low).max())
    scale = (_SIDE - _PEN) / size if size > 1e-6 else 0.0  # a dot stays a dot
    row, column = np.mgrid[0:_SIDE, 0:_SIDE] + 0.5
    dots = np.stack([column, row], axis=-1)
    black = np.zeros((_SIDE, _SIDE), bool)
    for stroke in points:
        path = (stroke - middle) * scale + _SIDE / 2
        for start, end in pairwise(path if len(path) > 1 else path.repeat(2, axis=0)):
            along = end - start
            squared_length = max(float(along @ along), 1e-12)  # that of a dot is 0
            nearest = np.clip(((dots - start) @ along) / squared_length, 0, 1)  # share of the way
            gap = dots - (start + nearest[..., None] * along)
            black |= (gap**2).sum(axis=-1) <= (_PEN / 2) ** 2
    counts = black.reshape(8, _BLOCK, 8, _BLOCK).sum(axis=(1, 3))
    return (counts / _BLOCK**2).astype(np.float32)


def digit_pad(files: Mapping[str, bytes], *, example: int = 0) -> Any:
    """Show a sheet to draw a digit on, and what each file answers.

    ``example`` is the number of a held-out digit, 0 to 359. Where nobody can use controls, the
    answers for it. Raises ``ValueError``: there is no such example.
    """
    from varhandle.evaluate.session import Session

    images = held_out_images(example)
    sessions = {printable(name): Session(content) for name, content in files.items()}
    if not is_interactive():
        return classify_ink(sessions, images[example])
    import anywidget
    import traitlets
    from ipywidgets import HTML, HBox, Layout, VBox

    class DigitPad(anywidget.AnyWidget):
        """A sheet; ``strokes`` is what has been drawn on it."""

        _esm = Path(__file__).with_suffix(".js")
        strokes = traitlets.List(traitlets.List()).tag(sync=True)

    pad = DigitPad()
    number = digit_number(example, len(images), "a real digit to begin with, by its number")
    answer = HTML(layout=Layout(flex="1 1 26em"))

    def show(ink: Ink) -> None:
        answers = classify_ink(sessions, ink)
        answer.value = live_text(answers.verdict) + answers.html()

    def take_example(_: Any = None) -> None:
        pad.strokes = []
        show(images[number.value])

    def take_drawing(_: Any) -> None:
        if pad.strokes:
            show(ink_of_strokes(pad.strokes))

    pad.observe(take_drawing, names="strokes")
    number.observe(take_example, names="value")
    take_example()
    hint = HTML(
        '<div style="line-height: 1.4">Draw a digit with the mouse, with a finger, or with the '
        "arrow keys and the space bar. Or take a scanned one by its number.</div>"
    )
    left = VBox([hint, pad, number], layout=Layout(width="20em", flex="0 0 auto"))
    layout = Layout(flex_flow="row wrap", grid_gap="1.5em")
    return as_control(HBox([left, answer], layout=layout), "workbook-digits")
