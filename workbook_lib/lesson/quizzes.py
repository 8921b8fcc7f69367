"""The quiz at the end of a lesson: three questions, and the reason for each option once chosen."""

from __future__ import annotations

import html
from string import ascii_lowercase
from typing import Any

from varhandle.display import panel_html
from workbook_lib.lesson import progress
from workbook_lib.lesson.content import QuizQuestion, quiz_questions
from workbook_lib.lesson.control_box import Control, as_control, choice_box
from workbook_lib.lesson.panels import Panel, inline_code_html, paragraphs_html


class Quiz(Control):
    """The questions on a lesson; a notebook shows them with buttons.

    Raises ``ValueError``: there is no lesson of this name.
    """

    def __init__(self, lesson: str) -> None:
        self.lesson = lesson
        self.questions = quiz_questions(lesson)

    def __repr__(self) -> str:
        return f"Quiz({self.lesson}: {len(self.questions)} questions)"

    def answer(self, number: int, choice: str) -> Panel:
        """Answer a question, counted from 1, with the letter of an option.

        Raises ``ValueError``: there is no such question or option.
        """
        if not 1 <= number <= len(self.questions):
            raise ValueError(f"there are questions 1 to {len(self.questions)}")
        question = self.questions[number - 1]
        letters = dict(zip(ascii_lowercase, question.options, strict=False))
        if choice not in letters:
            raise ValueError(f"{choice!r} is none of the letters {', '.join(letters)}")
        return _choose(question, letters[choice])

    def text(self) -> str:
        """Return the questions and their lettered options."""
        lines = ["Quiz on this lesson"]
        for number, question in enumerate(self.questions, start=1):
            lines += [f"{number}. {question.text}", *(f"   {line}" for line in _lines(question))]
        how = f'lesson.quiz("{self.lesson}").answer(1, "a")'
        return "\n".join(
            [*lines, f"Choose in the running notebook, or call `{how}` in a new cell."]
        )

    def html(self) -> str:
        """Return the same, a frame for each question."""
        *_, how = self.text().splitlines()
        return self.questions_html() + paragraphs_html(how)

    def questions_html(self) -> str:
        """Return the frames without how to answer, for a slide."""
        return "".join(
            _asked_html(number, question, "".join(map(_line_html, _lines(question))))
            for number, question in enumerate(self.questions, start=1)
        )

    def control(self) -> Any:
        """Return radio buttons for each question, with a place for the reason."""
        from ipywidgets import VBox

        boxes = [_choices(*each) for each in enumerate(self.questions, start=1)]
        return as_control(VBox(boxes), "workbook-quiz")


def _choices(number: int, question: QuizQuestion) -> Any:
    known = progress.read().quizzes.get(question.id)
    before = known.answer if known and known.answer in question.options else None
    return choice_box(
        _asked_html(number, question),
        question.text,
        list(zip(_lines(question), question.options, strict=True)),
        chosen=before,
        said_html=_outcome(question, before).html() if before else "",
        choose=lambda chosen: _choose(question, chosen).html(),
    )


def _lines(question: QuizQuestion) -> list[str]:
    options = zip(ascii_lowercase, question.options, strict=False)
    return [f"{letter}) {option}" for letter, option in options]


def _line_html(line: str) -> str:
    return f"<div>{html.escape(line)}</div>"


def _asked_html(number: int, question: QuizQuestion, body_html: str = "") -> str:
    return inline_code_html(panel_html("waiting", f"{number}. {question.text}", body_html))


def _choose(question: QuizQuestion, option: str) -> Panel:
    correct = option == question.right
    warning = progress.record("quiz", id=question.id, answer=option, correct=correct)
    return _outcome(question, option, warning)


def _outcome(question: QuizQuestion, option: str, warning: str = "") -> Panel:
    """Say why an option is wrong; to the right one, the reasons of the others as well."""
    body = [question.options[option]]
    if option != question.right:
        return Panel("wrong", "Not this one", "\n".join([*body, warning]))
    lines = zip(_lines(question), question.options.items(), strict=True)
    body += [f"Not {line} {reason}" for line, (other, reason) in lines if other != option]
    return Panel("right", "Right", "\n".join([*body, warning]))
