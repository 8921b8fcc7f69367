"""Choose a recipe and a calibration size, and see what comes of the digits classifier.

:func:`recipe_chooser` draws controls; :func:`try_recipe` is the plain call that does the same.
"""

from __future__ import annotations

import html
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbook_lib.lesson import progress
from workbook_lib.locations import data_path
from workbook_lib.rendering import Rich, panel_html, table_html, table_text

if TYPE_CHECKING:
    from workbook_lib.device.quantize import Quantized, TensorRange

# What quantizes is imported where it is used: a notebook that does not needs none of it.
SIZES = (1, 10, 100, 500)
_TICK = 0.5  # seconds between two words on how long it has taken
_RECIPE, _SIZE = "int8", 100


@dataclass(frozen=True, repr=False, eq=False)
class Trial(Rich):
    """What one recipe made of the digits classifier.

    Attributes:
        quantized: The file, and how it was made.
        right: How many held-out digits it names rightly.
        total: How many there are.
        widest: The widest range in the file; ``None`` if no activation is quantized.
    """

    quantized: Quantized
    right: int
    total: int
    widest: TensorRange | None

    def __repr__(self) -> str:
        return f"Trial({self._title()}: {self.right} of {self.total} digits right)"

    def _title(self) -> str:
        calls = self.quantized.calls
        return self.quantized.recipe.name + (f", calibrated with {calls} digits" if calls else "")

    def _rows(self) -> list[tuple[str, str]]:
        widest = "none: activations stay float32"
        if self.widest is not None:
            widest = (
                f"{self.widest.smallest:.1f} to {self.widest.largest:.1f}, "
                f"in steps of {self.widest.scale:.3g}"
            )
        return [
            ("what it does", self.quantized.recipe.what),
            ("size", f"{len(self.quantized.content):,} bytes"),
            ("held-out digits named rightly", f"{self.right} of {self.total}"),
            ("widest calibrated range", widest),
        ]

    def text(self) -> str:
        """Return what came of it, a line a fact."""
        return f"{self._title()}\n{table_text(('', 'measured'), self._rows())}"

    def html(self) -> str:
        """Return the same as a table in a frame."""
        table = table_html(("", "measured"), self._rows(), "On the digits classifier")
        return panel_html("neutral", self._title(), table)


def try_recipe(recipe: str = _RECIPE, calibration_size: int = _SIZE) -> Trial:
    """Quantize the digits classifier with one recipe, and classify the held-out digits.

    Args:
        recipe: A name in ``workbook_lib.device.quantize.RECIPES``.
        calibration_size: How many training digits a recipe that is calibrated gets.

    Returns:
        What came of it.

    Raises:
        ValueError: There is no such recipe, or there are not so many training digits.
    """
    from workbook_lib.device.quantize import RECIPES, count_right, quantize
    from workbook_lib.samples import load_digits

    if recipe not in RECIPES:
        raise ValueError(f"no recipe {recipe!r}; there are: {', '.join(RECIPES)}")
    digits = load_digits()
    most = len(digits.train_images)
    if isinstance(calibration_size, bool) or not isinstance(calibration_size, int):
        raise ValueError(f"calibration_size is a whole number, and not {calibration_size!r}")
    if not 1 <= calibration_size <= most:
        raise ValueError(f"calibration_size goes from 1 to {most}, and is not {calibration_size}")
    samples = list(digits.train_images[:calibration_size, None])
    made = quantize(data_path("digits_classifier.keras"), recipe, samples)
    right = count_right(made.content, digits.test_images, digits.test_labels)
    widest = max(made.ranges.tensors, key=lambda one: one.largest - one.smallest, default=None)
    return Trial(made, right, len(digits.test_labels), widest)


def recipe_chooser() -> Any:
    """Show controls to choose a recipe and a calibration size.

    Returns:
        The controls, for a notebook to show as the last line of a cell. Where nobody can use
        them, the trial of the default choice: int8, calibrated with 100 digits.
    """
    controls = _controls()
    return try_recipe() if controls is None else controls


def _controls() -> Any:
    from IPython import get_ipython

    from workbook_lib.device.quantize import RECIPES

    if progress.is_off() or not hasattr(get_ipython(), "kernel"):
        return None
    try:
        from ipywidgets import HTML, Button, Dropdown, Layout, VBox
    except ImportError:
        return None
    style = {"description_width": "10em"}
    wide = Layout(width="26em")
    recipe = Dropdown(
        options=list(RECIPES),
        value=_RECIPE,
        description="Recipe:",
        tooltip="the quantization recipe",
        style=style,
        layout=wide,
    )
    size = Dropdown(
        options=list(SIZES),
        value=_SIZE,
        description="Calibration digits:",
        tooltip="how many training digits the calibration gets",
        style=style,
        layout=wide,
    )
    button = Button(description="Quantize", tooltip="quantize with this choice, and measure")
    answer = HTML('<div role="status">Choose, then press Quantize.</div>')

    def follow(_: Any) -> None:
        size.disabled = not RECIPES[recipe.value].calibrated

    def run(_: Any) -> None:
        button.disabled = True
        try:
            answer.value = _waited_for(answer, recipe.value, size.value)
        finally:
            button.disabled = False

    recipe.observe(follow, names="value")
    button.on_click(run)
    box = VBox([recipe, size, button, answer])
    box.add_class("workbook-recipes")
    return box


def _waited_for(answer: Any, recipe: str, size: int) -> str:
    """Return what a trial shows; meanwhile the control says how long it has taken."""
    started, over = time.monotonic(), threading.Event()
    answer.value = _status(f"Quantizing: {recipe} …")

    def tick() -> None:
        while not over.wait(_TICK):
            seconds = time.monotonic() - started
            answer.value = f"<div>Quantizing: {html.escape(recipe)}, {seconds:.0f} s</div>"

    clock = threading.Thread(target=tick, daemon=True)
    clock.start()
    try:
        trial = try_recipe(recipe, size)
        return f'<div role="status">{trial.html()}</div>'
    except Exception as error:
        return _status(f"{type(error).__name__}: {error}")
    finally:
        over.set()
        clock.join()


def _status(words: str) -> str:
    return f'<div role="status">{html.escape(words)}</div>'
