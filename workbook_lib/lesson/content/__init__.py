"""What a lesson has besides its cells: predictions, the quiz, the card, the failures it is about.

The notebook ``NN_name.ipynb`` has one module here, ``name.py``, and the ids of its questions and
exercises begin with ``name/``. The module has ``PREDICTIONS`` and ``QUIZ`` and, where there is
something to say, ``CARD`` and ``FAMILIES``. Nothing here imports TensorFlow, so that a board, a
page or a test can read it all.

No right answer to a prediction is stored. What is right is what the learner's run shows.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Question:
    """A prediction: what is asked, and how the run answers it."""

    id: str  # such as ``the_error/which-fails``
    text: str
    options: Mapping[Hashable, str]  # what a run can show, as a short key -> what the learner reads
    why: str  # the model answer to "Why?": shown beside the learner's own, once there is one
    key_of: Callable[[Any], Hashable] | None = None  # what makes a key of what the run left behind
    debrief: str = (
        ""  # for whoever teaches: which wrong answer tempts and why, and what to ask then
    )

    def observed(self, seen: Any) -> str:
        """Return the option that a run shows.

        Raises ``ValueError``: it shows none of the options: a fault of the notebook.
        """
        key = self.key_of(seen) if self.key_of else seen
        if key not in self.options:
            keys = ", ".join(map(repr, self.options))
            raise ValueError(f"{self.id}: observed {key!r}, and the options are {keys}")
        return self.options[key]


@dataclass(frozen=True)
class QuizQuestion:
    """A question of the quiz at the end of a lesson."""

    id: str  # such as ``the_error/quiz-look``
    text: str
    options: Mapping[str, str]  # what the learner reads -> why it is right or not
    right: str  # which of them is right


@dataclass(frozen=True)
class Card:
    """What to keep of a lesson."""

    symptom: str  # what the reader sees
    cause: str
    cure: str  # at most three lines of plain TensorFlow, LiteRT or shell
    pages: tuple[str, ...]  # keys of ``lesson.links.OFFICIAL_PAGES``


def card_of(lesson: str) -> Card | None:
    """Return the card of a lesson. Raises ``ValueError``: there is no such lesson."""
    found: Card | None = getattr(_lesson(lesson), "CARD", None)
    return found


def families_of(lesson: str) -> dict[str, str]:
    """Map the failure families that a lesson brings about to the ids of the cells that begin them.

    Raises ``ValueError``: there is no such lesson.
    """
    return dict(getattr(_lesson(lesson), "FAMILIES", {}))


def prediction_question(question_id: str) -> Question:
    """Find the question of a prediction. Raises ``ValueError``: there is none of this id."""
    known = prediction_questions(question_id.partition("/")[0])
    for question in known:
        if question.id == question_id:
            return question
    names = ", ".join(question.id for question in known)
    raise ValueError(f"no prediction {question_id!r}; there are {names}")


def prediction_questions(lesson: str) -> tuple[Question, ...]:
    """Return what a lesson lets predict. Raises ``ValueError``: there is no such lesson."""
    return tuple(getattr(_lesson(lesson), "PREDICTIONS", ()))


def quiz_questions(lesson: str) -> tuple[QuizQuestion, ...]:
    """Return the questions of a lesson's quiz. Raises ``ValueError``: there is no such lesson."""
    return tuple(getattr(_lesson(lesson), "QUIZ", ()))


def lessons() -> tuple[str, ...]:
    """Name every lesson that has a module here, in alphabetical order."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def _lesson(name: str) -> Any:
    if name not in lessons():
        raise ValueError(f"no lesson {name!r}; there are {', '.join(lessons())}")
    return importlib.import_module(f"{__name__}.{name}")


def nearest(*marks: float) -> Callable[[float], float]:
    """Return a function that says which of some numbers another one is nearest to."""
    return lambda number: min(marks, key=lambda mark: abs(mark - number))
