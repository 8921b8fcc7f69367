"""Try recipes on the fragile classifier, and see what each gives and costs, trial by trial.

:func:`recipe_chooser` draws controls; :func:`compare_trials` is the plain call that does the same.
What quantizes is imported where it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from varhandle.display import RichTable, Table, panel_html
from workbook_lib.controls.slow_work import SlowWork, dropdown, is_interactive
from workbook_lib.lesson.control_box import as_control
from workbook_lib.locations import data_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from varhandle.conversion.quantization import Quantized
    from varhandle.tflite.tensor_ranges import TensorRange

SIZES = (1, 10, 100, 500)
_BASE = "float32"  # the recipe that the others are measured by
_RECIPE, _SIZE = "int8", 100
_RUNS = 1000  # timed inferences of each file


@dataclass(frozen=True, eq=False)
class Trial:
    """What one recipe made of the fragile classifier."""

    quantized: Quantized
    right: int  # how many held-out digits it names rightly
    total: int
    widest: TensorRange | None  # the widest range in the file, if an activation is quantized
    times_float32: float | None = None  # one inference, in those of the float32 file; if timed

    @property
    def title(self) -> str:
        """The choice, in words; two trials of the same choice have the same title."""
        calls = self.quantized.calls
        return self.quantized.recipe.name + (f", calibrated with {_digits(calls)}" if calls else "")

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return len(self.quantized.content)

    def compared(self, base: Trial) -> str:
        """Say in one line how it stands beside the float32 file."""
        more = self.right - base.right
        moved = f"{abs(more)} {'more' if more > 0 else 'fewer'} than float32"
        timed = "" if self.times_float32 is None else f"; {self.times_float32:.2f} of its time"
        return (
            f"{self.title}: {self.size:,} bytes, {self.size / base.size:.2f} of float32; "
            f"{self.right} of {self.total} digits right, "
            f"{moved if more else 'as many as float32'}{timed}"
        )


@dataclass(frozen=True, repr=False, eq=False)
class Trials(RichTable):
    """Trials beside each other, that of float32 among them, in the order they were made."""

    trials: tuple[Trial, ...]

    def __repr__(self) -> str:
        return f"Trials({'; '.join(trial.title for trial in self.trials)})"

    def with_trial(self, trial: Trial) -> Trials:
        """Return these trials and one more; a choice that was tried before is measured anew."""
        others = tuple(one for one in self.trials if one.title != trial.title)
        return replace(self, trials=(*others, trial))

    def _table(self) -> Table:
        timed = any(trial.times_float32 is not None for trial in self.trials)
        total = self.trials[0].total
        headers = ["", "recipe", "calibrated with", "bytes", "share", f"right of {total}"]
        headers += [*(["times float32"] if timed else []), "widest calibrated range"]
        float32 = next(trial for trial in self.trials if trial.title == _BASE)
        rows = []
        for number, trial in enumerate(self.trials, start=1):
            calls, times, widest = trial.quantized.calls, trial.times_float32, trial.widest
            row: list[object] = [number, trial.quantized.recipe.name]
            row += [_digits(calls) if calls else "nothing", trial.size]
            row += [f"{trial.size / float32.size:.2f}", trial.right]
            if timed:
                row.append("not timed" if times is None else f"{times:.2f}")
            if widest is None:
                row.append("none: activations stay float32")
            else:
                span = f"{widest.smallest:.1f} to {widest.largest:.1f}"
                row.append(f"{span}, in steps of {widest.scale:.3g}")
            rows.append(row)
        return headers, rows, "Your trials on the fragile classifier"

    def html(self) -> str:
        from workbook_lib.show.pictures import picture

        listed = "; ".join(
            f"{number}, {trial.title}: {trial.size:,} bytes, {trial.right} right"
            for number, trial in enumerate(self.trials, start=1)
        )
        drawn = picture(
            self.figure(),
            f"Size against accuracy of each trial. {listed}.",
            "Size against accuracy; the numbers are those of the table. Best is at the top left.",
        )
        return super().html() + drawn.html()

    def figure(self) -> Figure:
        """Draw size against accuracy; trials that fall on one spot share a mark."""
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator

        figure = Figure(figsize=(5, 2.8))
        axes = figure.subplots()
        largest = max(trial.size for trial in self.trials)
        spots: dict[tuple[int, int], list[str]] = {}
        for number, trial in enumerate(self.trials, start=1):
            near = (
                (size, right)
                for size, right in spots
                if right == trial.right and abs(size - trial.size) < largest / 25
            )
            spots.setdefault(next(near, (trial.size, trial.right)), []).append(str(number))
        for (size, right), numbers in spots.items():
            axes.plot(size, right, "o", color="#0277bd", clip_on=False)  # it may lie on the edge
            axes.text(size, right, f"{', '.join(numbers)}  ", ha="right", va="center")
        axes.set_xlim(0, 1.08 * largest)
        total, rights = self.trials[0].total, [trial.right for trial in self.trials]
        room = max(1.0, 0.25 * (max(rights) - min(rights)))
        axes.set_ylim(max(0, min(rights) - room), min(total, max(rights) + room))
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        axes.set_xlabel("bytes of the file")
        axes.set_ylabel(f"right of {total}")
        return figure


def _digits(count: int) -> str:
    return f"{count} digit{'' if count == 1 else 's'}"


def try_recipe(recipe: str, calibration_size: int, *, float32: Trial | None = None) -> Trial:
    """Quantize the fragile classifier with one recipe, and classify the held-out digits.

    ``float32`` is the trial of the float32 recipe if the file is to be timed against it; both take
    turns, with the default delegates. Raises ``ValueError``: there is no such recipe, or there are
    not so many training digits; ``QuantizationError``: the converter refuses, crashes, or is
    cancelled.
    """
    from varhandle.conversion.quantization import quantize
    from varhandle.evaluate.latency import compare_latency
    from varhandle.evaluate.recipe_comparison import count_right
    from varhandle.evaluate.session import Session
    from varhandle.facts.recipes import find_recipe
    from workbook_lib.samples import load_digits

    find_recipe(recipe)
    digits = load_digits()
    most = len(digits.train_images)
    if not 1 <= calibration_size <= most:
        raise ValueError(f"calibration_size goes from 1 to {most}, and is not {calibration_size}")
    samples = list(digits.train_images[:calibration_size, None])
    made = quantize(data_path("fragile_classifier.keras"), recipe, samples)
    right = count_right(made.content, digits.test_images, digits.test_labels)
    widest = max(made.ranges.tensors, key=lambda one: one.largest - one.smallest, default=None)
    times = None
    if float32 is not None:
        files = {"float32": float32.quantized.content, "this": made.content}
        calls = {name: Session(content).interpreter.invoke for name, content in files.items()}
        times = compare_latency(calls, runs=_RUNS).ratio("this")
    return Trial(made, right, len(digits.test_labels), widest, times)


def compare_trials(choices: Iterable[tuple[str, int]] = ((_RECIPE, _SIZE),)) -> Trials:
    """Try several choices as :func:`try_recipe` does, and set them beside the float32 file.

    Nothing is timed.
    """
    trials = Trials((try_recipe(_BASE, _SIZE),))
    for recipe, size in choices:
        trials = trials.with_trial(try_recipe(recipe, size))
    return trials


def recipe_chooser() -> Any:
    """Show controls to choose a recipe and a calibration size; each trial joins a table.

    Where nobody can use controls: float32 beside the default choice.
    """
    return _Chooser().box if is_interactive() else compare_trials()


class _Chooser:
    """The controls, and the trials made with them."""

    def __init__(self) -> None:
        from ipywidgets import HTML, Button, VBox

        from varhandle.facts.recipes import RECIPES

        self.recipes = RECIPES
        self.recipe = dropdown("Recipe:", "the quantization recipe", RECIPES, _RECIPE)
        self.size = dropdown(
            "Calibration digits:", "how many training digits it gets", SIZES, _SIZE
        )
        self.base: Trial | None = None
        self.trials: Trials | None = None
        hint = "Choose, then press Quantize. Every trial joins a table."
        self.work = SlowWork("Quantize", self._try, hint=hint)
        self.forget = Button(
            description="Remove all trials", tooltip="empty the table", disabled=True
        )
        self.shown = HTML()
        self.recipe.observe(self._follow, names="value")
        self.forget.on_click(self._forget)
        children = [self.recipe, self.size, self.work.box, self.shown, self.forget]
        self.box = as_control(VBox(children), "workbook-recipes")

    def _follow(self, _: Any) -> None:
        self.size.disabled = not self.recipes[self.recipe.value].calibrated

    def _try(self, report: Callable[[str], None]) -> str:
        """Make one trial. A cancelled one leaves the table as it is."""
        recipe, size = self.recipe.value, self.size.value  # the learner may choose on meanwhile
        if self.base is None:
            report(f"float32, to compare {recipe} with")
            self.base = try_recipe(_BASE, _SIZE)
        report(f"{recipe}, then 360 digits and {_RUNS:,} timed inferences")
        trial = try_recipe(recipe, size, float32=self.base)
        report("the table")
        trials = self.trials or Trials((replace(self.base, times_float32=1.0),))
        self._show(trials.with_trial(trial))
        # Read out; the table has the rest.
        return panel_html("neutral", trial.compared(self.base))

    def _show(self, trials: Trials | None) -> None:
        self.trials = trials
        self.shown.value = "" if trials is None else trials.html()
        self.forget.disabled = trials is None

    def _forget(self, _: Any) -> None:
        if not self.work.running:
            self.recipe.focus()  # a disabled button would take the focus with it
            self._show(None)
