"""What makes the notebooks a lesson: predictions, exercises with hints, and your progress.

A notebook needs ``from workbook_lib import lesson`` and the checks of its own exercises,
``from workbook_lib.lesson.checks import the_error as check``. Nothing here imports
TensorFlow, IPython, ipywidgets or matplotlib before it has to draw something; a notebook's checks
import TensorFlow where that notebook has it imported.
"""

from workbook_lib.lesson.cards import LessonCard as card  # noqa: N813 - a notebook reads: card
from workbook_lib.lesson.drill_panel import drills
from workbook_lib.lesson.exercises import Wrong, exercise
from workbook_lib.lesson.overview import board, map_of_notebooks, reset
from workbook_lib.lesson.predictions import observe, predict
from workbook_lib.lesson.quizzes import Quiz as quiz  # noqa: N813 - a notebook reads: quiz

__all__ = [
    "Wrong",
    "board",
    "card",
    "drills",
    "exercise",
    "map_of_notebooks",
    "observe",
    "predict",
    "quiz",
    "reset",
]
