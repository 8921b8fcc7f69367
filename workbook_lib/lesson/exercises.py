"""Exercises: a check that looks at the learner's own object and answers with advice.

A check is a function with ``@exercise`` over it. Its docstring is the task, and then the hints::

    @exercise("what_a_handle_is/variable-names")
    def variable_names(answer: object) -> str:
        '''Name every variable of the SavedModel.

        1. Where do handles live?
        2. Try `graph.variables`.
        '''
        if not same(answer, {"counter", "kernel"}):
            raise Wrong("Compare with the table of variables above.")
        return "Each name is the one that its handle carries."

A notebook calls it with whatever the learner made: ``check.variable_names(my_names)``.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from varhandle.display import Rich, code_html, panel_html
from workbook_lib.lesson import progress
from workbook_lib.lesson.control_box import Extended
from workbook_lib.lesson.panels import Panel, paragraphs_html
from workbook_lib.lesson.solutions import find_solution
from workbook_lib.lesson.submissions import (
    LearnerRaised,
    NotAttempted,
    Wrong,
    describe,
    is_stub,
    learner_frame,
)

__all__ = ["Exercise", "Outcome", "Wrong", "exercise"]

_NUMBERED = re.compile(r"^\d\. ", re.MULTILINE)
# status -> (tone, title)
STATUS_STYLES = {
    "not attempted": ("waiting", "Not attempted yet"),
    "wrong": ("wrong", "Not right yet"),
    "raised": ("raised", "Your code raised an error"),
    "right": ("right", "Right"),
    "check failed": ("neutral", "The check itself failed"),
}


@dataclass(frozen=True, repr=False)
class Outcome(Panel, Extended):
    """What a check says to an answer: what to do next, or why it is right.

    A notebook shows buttons for a hint and the solution below it, and plain text the call.
    """

    status: str = "not attempted"  # a key of ``LOOKS``
    exercise: Exercise | None = None  # whose hints and solution are offered

    @property
    def advice(self) -> str:
        """The text below the title."""
        return self.body

    def text(self) -> str:
        """Return the title, the advice, and how to ask for a hint."""
        return f"{super().text()}{self._offer_hint()}"

    def html(self) -> str:
        """Return the same in its frame."""
        body = paragraphs_html(f"{self.body}{self._offer_hint()}")
        return panel_html(self.tone, self.title, body)

    def control(self) -> tuple[Rich, Any, str] | None:
        """Return the frame without that call, and the buttons."""
        if self.exercise is None:
            return None
        from workbook_lib.lesson.help_buttons import help_box

        box = help_box(self.exercise, solved=self.status == "right")
        return Panel(self.tone, self.title, self.body), box, self._offer_hint().strip()

    def _offer_hint(self) -> str:
        if self.status == "right" or self.exercise is None or not self.exercise.hints:
            return ""
        return f"\nFor a hint, run `check.{self.exercise.name}.hint()`."


@dataclass(frozen=True, repr=False)
class Solution(Panel):
    """The solution of an exercise, and what to do with it."""

    code: str = ""

    def text(self) -> str:
        """Return the code between the title and the advice."""
        return "\n".join(part for part in (self.title, self.code, self.body) if part)

    def html(self) -> str:
        """Return the same in its frame."""
        code = code_html(self.code) if self.code else ""
        return panel_html(self.tone, self.title, code + paragraphs_html(self.body))


class Exercise:
    """One exercise: call it with an answer; ask it for hints, or for the solution."""

    def __init__(self, exercise_id: str, check: Callable[..., str]) -> None:
        task, *hints = _NUMBERED.split(inspect.getdoc(check) or "")
        self.id = exercise_id
        self.name = check.__name__
        self.task = task.partition("\n")[0]
        self.hints = tuple(" ".join(hint.split()) for hint in hints)
        self._check = check

    def __repr__(self) -> str:
        return f"Exercise: {self.task}\n{self._how_to_call()}"

    def __call__(self, *answers: object, **named_answers: object) -> Outcome:
        """Check an answer."""
        try:
            given = inspect.signature(self._check).bind(*answers, **named_answers)
        except TypeError:
            return Outcome(*STATUS_STYLES["not attempted"], self._how_to_call())
        try:
            if any(is_stub(answer) for answer in given.arguments.values()):
                raise NotAttempted
            status, advice = "right", self._check(*given.args, **given.kwargs)
        except NotAttempted:
            do = "Write your answer in the cell above, run it, then run this one again."
            return self._outcome("not attempted", f"{self.task}\n{do}".strip())
        except Wrong as verdict:
            status, advice = "wrong", str(verdict)
        except LearnerRaised as error:
            status, advice = "raised", str(error)
        except Exception as error:
            step = learner_frame(error)
            if step is None:
                return self._check_failed(error, given.arguments.values())
            status, advice = "raised", describe(error, step)
        warning = progress.record("exercise", id=self.id, status=status)
        return self._outcome(status, f"{advice}\n{warning}".strip())

    def hint(self, number: int | None = None) -> Panel:
        """Give the hint of a number, or the next one that was not seen yet."""
        count = len(self.hints)
        following = progress.read().exercise(self.id).hints + 1
        ask = f"`check.{self.name}.solution()` shows the solution."
        if not count:
            return Panel("neutral", "This exercise has no hints", ask)
        if number is None and following > count:
            again = f"`check.{self.name}.hint(1)` shows the first again."
            return Panel("neutral", "You have seen every hint", f"{again} {ask}")
        number = following if number is None else number
        if not 1 <= number <= count:
            return Panel("neutral", "There is no such hint", f"The hints go from 1 to {count}.")
        warning = progress.record("hint", id=self.id, number=number)
        hint = self.hints[number - 1]
        return Panel("waiting", f"Hint {number} of {count}", f"{hint}\n{warning}".strip())

    def solution(self) -> Solution:
        """Show the solution, and note in the progress that it was asked for."""
        warning = progress.record("solution", id=self.id)
        code = find_solution(self.id)
        where = "" if code else "It is in the folded cell below this exercise.\n"
        advice = "Read it next to your own attempt, and write yours again from memory."
        return Solution("neutral", "Solution", f"{where}{advice}\n{warning}".strip(), code or "")

    def _how_to_call(self) -> str:
        parameters = ", ".join(inspect.signature(self._check).parameters)
        return f"Check your answer with `check.{self.name}({parameters})`."

    def _outcome(self, status: str, advice: str) -> Outcome:
        return Outcome(*STATUS_STYLES[status], advice, status, self)

    def _check_failed(self, error: Exception, answers: Iterable[object]) -> Outcome:
        kinds = ", ".join(f"`{type(answer).__name__}`" for answer in answers)
        return Outcome(
            *STATUS_STYLES["check failed"],
            f"This is a fault in our check `{self.id}`, not in your answer; you can go on.\n"
            f"Please report it with this line: {describe(error, None)} (given {kinds})",
            "check failed",
        )


def exercise(exercise_id: str) -> Callable[[Callable[..., str]], Exercise]:
    """Make an exercise of a check.

    The function under the decorator takes the learner's objects, raises ``Wrong`` with advice, or
    returns in one sentence why the answer is right.
    """
    return partial(Exercise, exercise_id)
