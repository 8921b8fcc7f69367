"""Predictions: commit to an answer, run the code, compare, and say why.

No right answer is stored. What is right is what the code shows.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from string import ascii_lowercase
from typing import Any

from varhandle.display import Rich, panel_html
from workbook_lib.lesson import progress
from workbook_lib.lesson.content import Question, prediction_question
from workbook_lib.lesson.control_box import (
    Extended,
    as_control,
    choice_box,
    is_interactive,
    live_region,
)
from workbook_lib.lesson.observations import OBSERVED, QUESTION
from workbook_lib.lesson.panels import Panel, inline_code_html, paragraphs_html

_HOW = (
    'Choose it in the running notebook, or call `lesson.predict("{}").answer("a")` in a new cell.'
)
_WHY = "Can you say why, in one sentence?"

# The predictions that this process has shown, by id: each is told what was observed.
_shown: dict[str, Prediction] = {}


def predict(prediction_id: str) -> Prediction:
    """Ask a question of ``lesson.content``. Raises ``ValueError``: there is none of this id."""
    _shown[prediction_id] = Prediction(prediction_question(prediction_id))
    return _shown[prediction_id]


def observe(prediction_id: str, seen: object) -> Comparison:
    """Put the prediction beside what the run shows: the key of an option, or what tells it.

    Raises ``ValueError``: there is no such prediction, or the run shows none of its options.
    """
    known = _shown.get(prediction_id) or Prediction(prediction_question(prediction_id))
    return known.compare(seen)


@dataclass(frozen=True, repr=False)
class Comparison(Panel, Extended):
    """A prediction beside what was observed; a notebook asks below it why it is so."""

    correct: bool | None = None  # whether both are the same; ``None`` without a prediction
    ask: str = ""  # what the learner is to think about
    question: Question | None = None

    def text(self) -> str:
        """Return the title and the body, a line each."""
        return "\n".join(part for part in (super().text(), self.ask) if part)

    def html(self) -> str:
        """Return the message in its frame."""
        return panel_html(self.tone, self.title, paragraphs_html(f"{self.body}\n{self.ask}"))

    def control(self) -> tuple[Rich, Any, str] | None:
        """Return the frame, and a box for the learner's sentence; the model answer comes after."""
        if self.question is None:
            return None
        from ipywidgets import HTML, Button, HBox, Label, Layout, Textarea, VBox

        asked = self.question
        own = progress.read().reasons.get(asked.id, "")
        ask = self.ask or _WHY
        # Sent when the box is left, as one change: ipywidgets holds a second one back until the
        # kernel has answered the first, but not the click on the button.
        sentence = Textarea(
            value=own,
            tooltip=ask,
            rows=2,
            continuous_update=False,
            layout=Layout(width="40em"),
        )
        show = Button(
            description="Compare with a model answer" if not own else "Compare again",
            tooltip="keeps your sentence, and shows a model answer",
            layout=Layout(width="auto"),
        )
        answer = HTML(live_region(_side_by_side(own, asked.why) if own else ""))

        def compare(_: Any) -> None:
            written = " ".join(sentence.value.split())
            if not written:
                answer.value = live_region("Write a sentence of your own first.")
                sentence.focus()
                return
            warning = progress.record("reason", id=asked.id, sentence=written)
            answer.value = live_region(_side_by_side(written, f"{asked.why}\n{warning}"))

        show.on_click(compare)
        box = VBox([Label(ask), sentence, HBox([show]), answer])
        return Panel(self.tone, self.title, self.body), as_control(box, "workbook-why"), ask


def _side_by_side(own: str, model_answer: str) -> str:
    return panel_html("neutral", "Your sentence", paragraphs_html(own)) + panel_html(
        "neutral", "A model answer", paragraphs_html(model_answer)
    )


class Prediction(Rich):
    """A question with options, and the learner's answer to it; a notebook shows it with buttons.

    Raises ``ValueError``: the options are too few, too many or not distinct.
    """

    def __init__(self, question: Question) -> None:
        self.question = question
        self.id = question.id
        self.options = tuple(question.options.values())
        if not 2 <= len(set(self.options)) == len(self.options) <= len(ascii_lowercase):
            raise ValueError(f"{self.id}: give 2 to 26 options, all of them different")
        self._letters = dict(zip(ascii_lowercase, self.options, strict=False))
        self._lines = [f"{letter}) {option}" for letter, option in self._letters.items()]
        known = progress.read().predictions.get(self.id)
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

    def compare(self, seen: object) -> Comparison:
        """Put the prediction beside what the code showed.

        Raises ``ValueError``: it is none of the options: a fault of the notebook.
        """
        observed = self.question.observed(seen)
        told = f"{OBSERVED}{observed}."
        if self.answered is None:
            guess = (
                "A guess before the run, right or not, makes the answer easier to keep. Try it "
                "with the next one."
            )
            body = f"{told}\n{guess}"
            return Comparison("waiting", "Not predicted yet", body, question=self.question)
        correct = self.answered == observed
        warning = progress.record("comparison", id=self.id, correct=correct)
        if correct:
            tone, title, body, ask = "right", "As you predicted", told, _WHY
        else:
            tone, title = "wrong", "Otherwise than you predicted"
            body = f"You expected: {self.answered}.\n{told}"
            ask = "Which of your assumptions was wrong?"
        body = f"{body}\n{warning}".strip()
        self._outcome = Comparison(tone, title, body, correct, ask, self.question)
        if self._display is not None:
            # Buttons do not outlive their kernel: what stays is the plain form with the outcome.
            self._display.update(self._repr_mimebundle_(), raw=True)
        return self._outcome

    def text(self) -> str:
        """Return the question and its lettered options."""
        options = (f"  {line}" for line in self._lines)
        return "\n".join([f"{QUESTION}{self.question.text}", *options, self._status()])

    def html(self) -> str:
        """Return the same in a frame."""
        options = "".join(f"<div>{html.escape(line)}</div>" for line in self._lines)
        return self._panel(options + paragraphs_html(self._status()))

    def _panel(self, body_html: str = "") -> str:
        tone = self._outcome.tone if self._outcome else "waiting"
        return inline_code_html(panel_html(tone, f"{QUESTION}{self.question.text}", body_html))

    def _noted(self) -> str:
        return f"Noted: {self.answered}. Run on to find out."

    def _status(self) -> str:
        if self.answered is None:
            return _HOW.format(self.id)
        if self._outcome is None:
            return f"Your answer: {self.answered}."
        verdict = "As observed." if self._outcome.correct else "Observed otherwise, below."
        return f"Your answer: {self.answered}. {verdict}"

    def _ipython_display_(self) -> None:
        from IPython.display import display

        bundle: dict[str, Any] = self._repr_mimebundle_()
        if is_interactive():
            bundle = self._buttons()._repr_mimebundle_() | bundle
        self._display = display(bundle, raw=True, display_id=True)

    def _buttons(self) -> Any:
        box = choice_box(
            self._panel(),
            self.question.text,
            list(zip(self._lines, self.options, strict=True)),
            chosen=self.answered,
            said_html="" if self.answered is None else html.escape(self._noted()),
            choose=lambda chosen: paragraphs_html(self.answer(chosen).text()),
        )
        return as_control(box, "workbook-prediction")
