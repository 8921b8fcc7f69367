"""Try recipes on the digits classifier, and see what each gives and costs, trial by trial.

:func:`recipe_chooser` draws controls; :func:`try_recipe` and :func:`compare_trials` are the plain
calls that do the same.
"""

from __future__ import annotations

import html
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from varhandle.display import Rich, panel_html, table_html, table_text
from workbook_lib.controls.work import SlowWork, Steps, can_be_used
from workbook_lib.lesson.control_box import at_home
from workbook_lib.locations import data_path

if TYPE_CHECKING:
    from varhandle.conversion.quantization import Quantized
    from varhandle.tflite.tensor_ranges import TensorRange

# What quantizes is imported where it is used: a notebook that does not needs none of it.
SIZES = (1, 10, 100, 500)
_BASE = "float32"  # the recipe that the others are measured by
_RECIPE, _SIZE = "int8", 100
_RUNS = 1000  # timed inferences of each file


@dataclass(frozen=True, repr=False, eq=False)
class Trial(Rich):
    """What one recipe made of the digits classifier."""

    quantized: Quantized  # the file, and how it was made
    right: int  # how many held-out digits it names rightly
    total: int  # how many there are
    # the widest range in the file; ``None`` if no activation is quantized
    widest: TensorRange | None
    # how many times as long as the float32 file one inference takes, on this machine; ``None`` if
    # it was not timed
    times_float32: float | None = None

    def __repr__(self) -> str:
        return f"Trial({self.title}: {self.right} of {self.total} digits right)"

    @property
    def title(self) -> str:
        """The choice, in words; two trials of the same choice have the same title."""
        calls = self.quantized.calls
        return self.quantized.recipe.name + (f", calibrated with {_digits(calls)}" if calls else "")

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return len(self.quantized.content)

    @property
    def range_words(self) -> str:
        """The widest calibrated range, in words."""
        if self.widest is None:
            return "none: activations stay float32"
        return (
            f"{self.widest.smallest:.1f} to {self.widest.largest:.1f}, "
            f"in steps of {self.widest.scale:.3g}"
        )

    def _rows(self) -> list[tuple[str, str]]:
        timed = () if self.times_float32 is None else (f"{self.times_float32:.2f} of float32's",)
        return [
            ("what it does", self.quantized.recipe.what),
            ("size", f"{self.size:,} bytes"),
            ("held-out digits named rightly", f"{self.right} of {self.total}"),
            ("widest calibrated range", self.range_words),
            *(("time of one inference", words) for words in timed),
        ]

    def text(self) -> str:
        """Return what came of it, a line a fact."""
        return f"{self.title}\n{table_text(('', 'measured'), self._rows())}"

    def html(self) -> str:
        """Return the same as a table in a frame."""
        table = table_html(("", "measured"), self._rows(), "On the digits classifier")
        return panel_html("neutral", self.title, table)


@dataclass(frozen=True, repr=False, eq=False)
class Trials(Rich):
    """Trials beside each other, in the order they were made."""

    # the trials; shares and times refer to the float32 file, whether or not it is here
    trials: tuple[Trial, ...]
    float32_size: int  # bytes of the float32 file

    def __repr__(self) -> str:
        return f"Trials({'; '.join(trial.title for trial in self.trials)})"

    def with_trial(self, trial: Trial) -> Trials:
        """Return these trials and one more; a choice that was tried before is measured anew."""
        others = tuple(one for one in self.trials if one.title != trial.title)
        return replace(self, trials=(*others, trial))

    def _table(self) -> tuple[tuple[str, ...], list[tuple[object, ...]]]:
        timed = any(trial.times_float32 is not None for trial in self.trials)
        total = self.trials[0].total if self.trials else 0
        headers = ("", "recipe", "calibrated with", "bytes", "share", f"right of {total}")
        rows = [
            (
                number,
                trial.quantized.recipe.name,
                _digits(trial.quantized.calls) if trial.quantized.calls else "nothing",
                trial.size,
                f"{trial.size / self.float32_size:.2f}",
                trial.right,
                *((_ratio(trial.times_float32),) if timed else ()),
                trial.range_words,
            )
            for number, trial in enumerate(self.trials, start=1)
        ]
        time = ("times float32",) if timed else ()
        return (*headers, *time, "widest calibrated range"), rows

    def text(self) -> str:
        """Return a line for each trial."""
        return table_text(*self._table())

    def html(self) -> str:
        """Return the same as a table, and a picture of size against accuracy."""
        headers, rows = self._table()
        table = table_html(headers, rows, "Your trials on the digits classifier")
        return f"{table}{_scatter(self.trials)}"


def _digits(count: int) -> str:
    return f"{count} digit{'' if count == 1 else 's'}"


def _ratio(times: float | None) -> str:
    return "not timed" if times is None else f"{times:.2f}"


def try_recipe(
    recipe: str = _RECIPE, calibration_size: int = _SIZE, *, float32: Trial | None = None
) -> Trial:
    """Quantize the digits classifier with one recipe, and classify the held-out digits.

    ``float32`` is the trial of the float32 recipe if the file is to be timed against it; both take
    turns, with the default delegates. Raises ``ValueError``: there is no such recipe, or there are
    not so many training digits. Raises ``QuantizationError``: the converter refuses, crashes, or is
    cancelled.
    """
    from varhandle.conversion.quantization import quantize
    from varhandle.facts.recipes import find_recipe
    from workbook_lib.samples import load_digits

    find_recipe(recipe)
    digits = load_digits()
    most = len(digits.train_images)
    if isinstance(calibration_size, bool) or not isinstance(calibration_size, int):
        raise ValueError(f"calibration_size is a whole number, and not {calibration_size!r}")
    if not 1 <= calibration_size <= most:
        raise ValueError(f"calibration_size goes from 1 to {most}, and is not {calibration_size}")
    samples = list(digits.train_images[:calibration_size, None])
    trial = _judged(quantize(data_path("digits_classifier.keras"), recipe, samples))
    return trial if float32 is None else _timed(trial, float32)


def _judged(made: Quantized) -> Trial:
    """Let a file name the held-out digits."""
    from varhandle.evaluate.recipe_comparison import count_right
    from workbook_lib.samples import load_digits

    digits = load_digits()
    right = count_right(made.content, digits.test_images, digits.test_labels)
    widest = max(made.ranges.tensors, key=lambda one: one.largest - one.smallest, default=None)
    return Trial(made, right, len(digits.test_labels), widest)


def _timed(trial: Trial, base: Trial) -> Trial:
    """Time one inference of a file beside the float32 file."""
    from varhandle.evaluate.latency import compare_latency
    from varhandle.evaluate.session import Session

    files = {"float32": base.quantized.content, "this": trial.quantized.content}
    calls = {name: Session(content).interpreter.invoke for name, content in files.items()}
    return replace(trial, times_float32=compare_latency(calls, runs=_RUNS).ratio("this"))


def compare_trials(choices: Iterable[tuple[str, int]] = ((_RECIPE, _SIZE),)) -> Trials:
    """Try several choices, and set them beside the float32 file. Nothing is timed.

    Raises ``ValueError``: as :func:`try_recipe` does. Raises ``QuantizationError``: as
    :func:`try_recipe` does.
    """
    base = try_recipe(_BASE)
    trials = Trials((base,), base.size)
    for recipe, size in choices:
        trials = trials.with_trial(try_recipe(recipe, size))
    return trials


def recipe_chooser() -> Any:
    """Show controls to choose a recipe and a calibration size; each trial joins a table.

    Where nobody can use controls: float32 beside the default choice.
    """
    return _Chooser().box if can_be_used() else compare_trials()


class _Chooser:
    """The controls, and the trials made with them."""

    def __init__(self) -> None:
        from ipywidgets import HTML, Button, Dropdown, Layout, VBox

        from varhandle.facts.recipes import RECIPES

        how: dict[str, Any] = {"style": {"description_width": "10em"}}
        how["layout"] = Layout(width="26em")
        tip = "the quantization recipe"
        self.recipe = Dropdown(
            options=list(RECIPES), value=_RECIPE, description="Recipe:", tooltip=tip, **how
        )
        tip = "how many training digits the calibration gets"
        self.size = Dropdown(
            options=SIZES, value=_SIZE, description="Calibration digits:", tooltip=tip, **how
        )
        self.base: Trial | None = None
        self.trials: Trials | None = None
        self.work = SlowWork(
            "Quantize", self._try, hint="Choose, then press Quantize. Every trial joins a table."
        )
        self.forget = Button(
            description="Remove all trials", tooltip="empty the table", disabled=True
        )
        self.shown = HTML()
        self.recipe.observe(self._follow, names="value")
        self.forget.on_click(self._forget)
        self.box = VBox([self.recipe, self.size, self.work.box, self.shown, self.forget])
        self.box.add_class("workbook-recipes")
        at_home(self.box)

    def _follow(self, _: Any) -> None:
        from varhandle.facts.recipes import RECIPES

        self.size.disabled = not RECIPES[self.recipe.value].calibrated

    def _try(self, steps: Steps) -> Rich:
        """Make one trial. A cancelled one leaves the table as it is."""
        recipe, size = self.recipe.value, self.size.value  # the learner may choose on meanwhile
        if self.base is None:
            steps("float32, to compare with")
            self.base = try_recipe(_BASE)
        steps(f"{recipe}, then 360 digits and {_RUNS:,} timed inferences")
        trial = try_recipe(recipe, size, float32=self.base)
        steps("the table")
        trials = self.trials or Trials((replace(self.base, times_float32=1.0),), self.base.size)
        self._show(trials.with_trial(trial))
        return _Verdict(trial, self.base)

    def _show(self, trials: Trials | None) -> None:
        self.trials = trials
        self.shown.value = "" if trials is None else trials.html()
        self.forget.disabled = trials is None

    def _forget(self, _: Any) -> None:
        if not self.work.running:
            self.recipe.focus()  # a disabled button would take the focus with it
            self._show(None)


@dataclass(frozen=True, repr=False, eq=False)
class _Verdict(Rich):
    """What is read out when a trial is over; the table below has the rest."""

    trial: Trial
    base: Trial

    def text(self) -> str:
        trial, moved = self.trial, self.trial.right - self.base.right
        digits = f"{abs(moved)} {'more' if moved > 0 else 'fewer'}"
        compared = f"{digits} than float32" if moved else "as many as float32"
        timed = "" if trial.times_float32 is None else f"; {trial.times_float32:.2f} of its time"
        return (
            f"{trial.title}: {trial.size:,} bytes, {trial.size / self.base.size:.2f} of float32; "
            f"{trial.right} of {trial.total} digits right, {compared}{timed}"
        )

    def html(self) -> str:
        return f"<div>{html.escape(self.text())}</div>"


# -- the picture: drawn here, because it has to be there at once and grow with every trial ---------

_WIDE, _HIGH = 430, 210  # of the plot's field, in CSS pixels
_LEFT, _TOP, _BELOW = 60, 14, 46  # room for the scales around it


def _scatter(trials: tuple[Trial, ...]) -> str:
    """Draw size against accuracy, a numbered mark for each trial, as SVG on a white sheet."""
    if not trials:
        return ""
    most = max(trial.size for trial in trials) * 1.08
    least = min(trial.right for trial in trials)
    total = trials[0].total
    low = max(0, least - max(2, (total - least) // 4))

    def place(size: float, right: float) -> tuple[float, float]:
        high = _TOP + _HIGH * (total - right) / (total - low or 1)
        return round(_LEFT + _WIDE * size / most, 1), round(high, 1)

    parts = [*_scales(most, low, total, place), *_marks(trials, place)]
    return (
        f'<figure style="margin: 0.5em 0"><svg role="img" '
        f'aria-label="{html.escape(_words(trials))}" '
        f'width="{_LEFT + _WIDE + 20}" height="{_TOP + _HIGH + _BELOW}" '
        'style="background: #fff; max-width: 100%; font: 12px sans-serif">'
        f"{''.join(parts)}</svg><figcaption>Size against accuracy; the numbers are those of the "
        "table. Best is at the top left.</figcaption></figure>"
    )


def _scales(most: float, low: int, total: int, place: Any) -> list[str]:
    ticks = []
    step = next(one for one in (1, 2, 5, 10, 20, 50, 100, 400) if (total - low) / one <= 6)
    for right in range(total, low - 1, -step):
        x, y = place(0, right)
        ticks.append(f'<path d="M{x} {y}h{_WIDE}" stroke="#d0d0d0"/>{_word(x - 6, y + 4, right)}')
    for size in range(0, int(most) + 1, 5000):
        x, y = place(size, low)
        ticks.append(_word(x, y + 18, f"{size:,}", "middle"))
    x, y = place(0, low)
    ticks.append(f'<path d="M{x} {_TOP}V{y}h{_WIDE}" fill="none" stroke="#555"/>')
    ticks.append(_word(x + _WIDE / 2, y + 38, "bytes of the file", "middle"))
    ticks.append(
        f'<text transform="translate(14 {_TOP + _HIGH / 2}) rotate(-90)" text-anchor="middle" '
        f'fill="#222">right of {total}</text>'
    )
    return ticks


def _marks(trials: tuple[Trial, ...], place: Any) -> list[str]:
    """Draw the marks; trials that fall on one spot share a mark, which has all their numbers."""
    spots: dict[tuple[float, float], list[int]] = {}
    for number, trial in enumerate(trials, start=1):
        x, y = place(trial.size, trial.right)
        near = (one for one in spots if abs(one[0] - x) < 16 and abs(one[1] - y) < 12)
        spots.setdefault(next(near, (x, y)), []).append(number)
    return [
        f'<circle cx="{x}" cy="{y}" r="5" fill="#0277bd" stroke="#fff"/>'
        + _word(x - 9, y + 4, ", ".join(map(str, numbers)))
        for (x, y), numbers in spots.items()
    ]


def _word(x: float, y: float, words: object, anchor: str = "end") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="#222">{words}</text>'


def _words(trials: tuple[Trial, ...]) -> str:
    listed = "; ".join(
        f"{number}, {trial.title}: {trial.size:,} bytes, {trial.right} right"
        for number, trial in enumerate(trials, start=1)
    )
    return f"Size against accuracy of each trial. {listed}."
