"""How far a learner is in a lesson: one count for the board, the certificate and the class page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from workbook_lib.lesson.outline import NotebookOutline
from workbook_lib.lesson.progress import Progress


@dataclass(frozen=True)
class LessonStanding:
    """What is done of a lesson; how much there is to do stands in its outline."""

    notebook: NotebookOutline
    predictions: int  # made, whether or not the code then showed the same
    exercises: int  # right
    quiz: int  # questions whose last answer is right
    last: datetime | None  # when something of it was last done; ``None`` where nothing was

    @property
    def done(self) -> int:
        """How many of its tasks are done."""
        return self.predictions + self.exercises + self.quiz

    @property
    def whole(self) -> int:
        """How many tasks it has."""
        asks = self.notebook
        return len(asks.predictions) + len(asks.exercises) + len(asks.quiz)


def standing_in(notebook: NotebookOutline, known: Progress) -> LessonStanding:
    """Count what is done of a lesson."""
    every = (*notebook.predictions, *notebook.exercises, *notebook.quiz)
    return LessonStanding(
        notebook,
        predictions=sum(id in known.predictions for id in notebook.predictions),
        exercises=sum(known.exercise(id).best == "right" for id in notebook.exercises),
        quiz=sum(id in known.quizzes and known.quizzes[id].correct for id in notebook.quiz),
        last=max((known.times[id] for id in every if id in known.times), default=None),
    )
