"""Predictions: commit to an answer, run the code, compare.

No right answer is stored. What is right is what the code shows.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_lowercase
from typing import Any

from varhandle.display import Rich, panel_html
from workbook_lib.lesson import progress
from workbook_lib.lesson.control_box import as_control
from workbook_lib.lesson.panels import Panel, inline_code_html, paragraphs_html

_HOW = 'Choose it in the running notebook, or call `.answer("a")` on this prediction in a new cell.'

# ipywidgets gives each option the height of one line, so that options that wrap overlap.
_OPTIONS_THAT_WRAP = """<style>
.workbook-prediction .widget-radio-box label { display: flex; height: auto; line-height: 1.5 }
.workbook-prediction .widget-radio-box input { order: -1; flex: none; height: 1.5em }
</style>"""


def predict(prediction_id: str, question: str, options: Sequence[object]) -> Prediction:
    """Ask for a prediction; the notebook shows it with buttons.

    Raises ``ValueError``: the options are too few, too many or not distinct.
    """
    return Prediction(prediction_id, question, options)


@dataclass(frozen=True, repr=False)
class Comparison(Rich):
    """A prediction beside what was observed."""

    prediction: str  # id of the prediction
    expected: str | None  # the option chosen, ``None`` if none was
    observed: str  # what the code showed
    note: str = ""  # why progress is not kept, if it is not

    @property
    def correct(self) -> bool | None:
        """Whether both are the same; ``None`` without a prediction."""
        return None if self.expected is None else self.expected == self.observed

    def __repr__(self) -> str:
        verdict = {None: "not predicted", True: "as predicted", False: "otherwise than predicted"}
        return f"Comparison({self.prediction}: {verdict[self.correct]})"

    def text(self) -> str:
        """Return the comparison in words."""
        _, title, body = self._words()
        return f"{title}\n{body}"

    def html(self) -> str:
        """Return the same in a frame."""
        tone, title, body = self._words()
        return panel_html(tone, title, paragraphs_html(body))

    def _words(self) -> tuple[str, str, str]:
        observed = f"Observed: {self.observed}."
        if self.correct is None:
            tone, title = "waiting", "Not predicted yet"
            body = (
                f"{observed}\nA guess before the run, right or not, makes the answer easier to "
                "keep. Try it with the next one."
            )
        elif self.correct:
            tone, title = "right", "As you predicted"
            body = f"{observed}\nCan you say why, in one sentence?"
        else:
            tone, title = "wrong", "Otherwise than you predicted"
            body = (
                f"You expected: {self.expected}.\n{observed}\nWhich of your assumptions was wrong?"
            )
        return tone, title, f"{body}\n{self.note}".strip()


class Prediction(Rich):
    """A question with options, and the learner's answer to it."""

    def __init__(self, prediction_id: str, question: str, options: Sequence[object]) -> None:
        self.id = prediction_id
        self.question = question
        self.options = tuple(str(option) for option in options)
        if not 2 <= len(set(self.options)) == len(self.options) <= len(ascii_lowercase):
            raise ValueError(f"{prediction_id}: give 2 to 26 options, all of them different")
        known = progress.read().predictions.get(prediction_id)
        self.answered = known.answer if known and known.answer in self.options else None
        self._outcome: Comparison | None = None
        self._display: Any = None

    def __repr__(self) -> str:
        return f"Prediction({self.id}: {self.answered or 'no answer yet'})"

    def answer(self, choice: str) -> Panel:
        """Commit to an answer.

        Raises ``ValueError``: it is neither; the message names the options.
        """
        letters = dict(zip(ascii_lowercase, self.options, strict=False))
        wanted = str(choice).strip()
        chosen = wanted if wanted in self.options else letters.get(wanted.lower())
        if chosen is None:
            offered = "; ".join(f"{letter}) {option}" for letter, option in letters.items())
            raise ValueError(f"{choice!r} is not among the options: {offered}")
        self.answered, self._outcome = chosen, None
        warning = progress.record("prediction", id=self.id, answer=chosen)
        return Panel("neutral", self._noted(), warning)

    def compare(self, observed: object) -> Comparison:
        """Put the prediction beside what the code showed.

        Raises ``ValueError``: it is none of the options: a fault of the notebook.
        """
        if str(observed) not in self.options:
            raise ValueError(
                f"{self.id}: observed {observed!r}, which is none of the options: "
                + "; ".join(self.options)
            )
        comparison = Comparison(self.id, self.answered, str(observed))
        if self.answered is None:
            return comparison
        note = progress.record("comparison", id=self.id, correct=comparison.correct)
        self._outcome = Comparison(self.id, self.answered, str(observed), note)
        self._put_buttons_away()
        return self._outcome

    def text(self) -> str:
        """Return the question and its lettered options."""
        options = (f"  {line}" for line in self._lettered())
        return "\n".join([f"Predict: {self.question}", *options, self._status()])

    def html(self) -> str:
        """Return the same in a frame."""
        options = "".join(f"<div>{html.escape(line)}</div>" for line in self._lettered())
        return self._panel(options + paragraphs_html(self._status()))

    def _panel(self, body_html: str = "") -> str:
        tones = {None: "waiting", True: "right", False: "wrong"}
        tone = tones[self._outcome.correct if self._outcome else None]
        return inline_code_html(panel_html(tone, f"Predict: {self.question}", body_html))

    def _lettered(self) -> list[str]:
        return [
            f"{letter}) {option}"
            for letter, option in zip(ascii_lowercase, self.options, strict=False)
        ]

    def _noted(self) -> str:
        return f"Noted: {self.answered}. Run on to find out."

    def _status(self) -> str:
        if self.answered is None:
            return _HOW
        if self._outcome is None:
            return f"Your answer: {self.answered}."
        verdict = "As observed." if self._outcome.correct else "Observed otherwise, below."
        return f"Your answer: {self.answered}. {verdict}"

    def _ipython_display_(self) -> None:
        from IPython.display import display

        bundle: dict[str, Any] = self._repr_mimebundle_()
        buttons = self._buttons()
        if buttons is not None:
            bundle |= {
                mime: view
                for mime, view in buttons._repr_mimebundle_().items()
                if mime not in bundle
            }
        self._display = display(bundle, raw=True, display_id=True)

    def _put_buttons_away(self) -> None:
        """Leave the plain form with the outcome: buttons do not outlive their kernel."""
        if self._display is not None:
            self._display.update(self._repr_mimebundle_(), raw=True)

    def _buttons(self) -> Any:
        """Return the radio buttons, or ``None`` where nobody can click them."""
        from IPython import get_ipython

        if progress.is_off() or not hasattr(get_ipython(), "kernel"):
            return None
        try:
            from ipywidgets import HTML, Layout, RadioButtons, VBox
        except ImportError:
            return None
        buttons = RadioButtons(
            options=[
                (line, option) for line, option in zip(self._lettered(), self.options, strict=True)
            ],
            index=None if self.answered is None else self.options.index(self.answered),
            description="Answer:",
            tooltip=self.question,
            layout=Layout(width="auto"),
        )
        feedback = HTML("" if self.answered is None else html.escape(self._noted()))

        def note(change: Any) -> None:
            noted = paragraphs_html(self.answer(change["new"]).text())
            feedback.value = f'<div role="status">{noted}</div>'

        buttons.observe(note, names="value")
        title = HTML(_OPTIONS_THAT_WRAP + self._panel())
        return as_control(VBox([title, buttons, feedback]), "workbook-prediction")
