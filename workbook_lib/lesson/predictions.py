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


@dataclass(frozen=True, repr=False)
class Comparison(Panel):
    """A prediction beside what was observed."""

    correct: bool | None = None  # whether both are the same; ``None`` without a prediction


class Prediction(Rich):
    """A question with options, and the learner's answer to it; a notebook shows it with buttons.

    Raises ``ValueError``: the options are too few, too many or not distinct.
    """

    def __init__(self, prediction_id: str, question: str, options: Sequence[object]) -> None:
        self.id = prediction_id
        self.question = question
        self.options = tuple(str(option) for option in options)
        if not 2 <= len(set(self.options)) == len(self.options) <= len(ascii_lowercase):
            raise ValueError(f"{prediction_id}: give 2 to 26 options, all of them different")
        self._letters = dict(zip(ascii_lowercase, self.options, strict=False))
        self._lines = [f"{letter}) {option}" for letter, option in self._letters.items()]
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
        wanted = str(choice).strip()
        chosen = wanted if wanted in self.options else self._letters.get(wanted.lower())
        if chosen is None:
            raise ValueError(f"{choice!r} is not among the options: {'; '.join(self._lines)}")
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
        seen = f"Observed: {observed}."
        if self.answered is None:
            guess = (
                "A guess before the run, right or not, makes the answer easier to keep. Try it "
                "with the next one."
            )
            return Comparison("waiting", "Not predicted yet", f"{seen}\n{guess}")
        correct = self.answered == str(observed)
        warning = progress.record("comparison", id=self.id, correct=correct)
        if correct:
            tone, title = "right", "As you predicted"
            body = f"{seen}\nCan you say why, in one sentence?"
        else:
            tone, title = "wrong", "Otherwise than you predicted"
            body = f"You expected: {self.answered}.\n{seen}\nWhich of your assumptions was wrong?"
        self._outcome = Comparison(tone, title, f"{body}\n{warning}".strip(), correct)
        if self._display is not None:
            # Buttons do not outlive their kernel: what stays is the plain form with the outcome.
            self._display.update(self._repr_mimebundle_(), raw=True)
        return self._outcome

    def text(self) -> str:
        """Return the question and its lettered options."""
        options = (f"  {line}" for line in self._lines)
        return "\n".join([f"Predict: {self.question}", *options, self._status()])

    def html(self) -> str:
        """Return the same in a frame."""
        options = "".join(f"<div>{html.escape(line)}</div>" for line in self._lines)
        return self._panel(options + paragraphs_html(self._status()))

    def _panel(self, body_html: str = "") -> str:
        tone = self._outcome.tone if self._outcome else "waiting"
        return inline_code_html(panel_html(tone, f"Predict: {self.question}", body_html))

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
            bundle = buttons._repr_mimebundle_() | bundle
        self._display = display(bundle, raw=True, display_id=True)

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
            options=list(zip(self._lines, self.options, strict=True)),
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
