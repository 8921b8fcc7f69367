"""What notebook 03 asks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from workbook_lib.lesson.content import Question, QuizQuestion

if TYPE_CHECKING:
    from varhandle.evaluate.parity import Parity


def direction(change: int) -> int:
    """Say whether a number falls (-1), stays (0) or grows (1)."""
    return (change > 0) - (change < 0)


def answers_right(parity: Parity | None) -> bool | None:
    """Say whether a file answers right; ``None`` where the converter gave no file to ask."""
    return None if parity is None else parity.passed


def each_right(parities: Iterable[Parity | None]) -> tuple[bool | None, ...]:
    """Say the same of one file beside several references."""
    return tuple(map(answers_right, parities))


PREDICTIONS = (
    Question(
        "freeze/node-count",
        "The variables leave the graph. What happens to its number of nodes?",
        {-1: "it falls", 0: "it stays the same", 1: "it grows"},
        why="Freezing exchanges nodes one for one: each handle becomes a constant, and each read "
        "becomes an Identity that hands the constant on.",
        key_of=direction,
    ),
    Question(
        "freeze/weights-to-zero",
        "The model's weights are set to zero, after the freezing. Whose answers change?",
        {  # (the traced function's, the frozen function's)
            (True, False): "the traced function's",
            (False, True): "the frozen function's",
            (True, True): "both",
            (False, False): "neither",
        },
        why="The traced function reads the model's variables at every call. The frozen function "
        "has a copy of the numbers in its graph, from the moment when it was frozen.",
    ),
    Question(
        "freeze/without-set-weights",
        "Leave the set_weights line out. What does the converter do?",
        {
            None: "it refuses",
            False: "it converts, with wrong answers",
            True: "it converts, with right answers",
        },
        why="set_weights only writes numbers into a variable that stays. With or without it the "
        "function reads its variables and assigns none, and that is why the converter can turn "
        "them into constants.",
        key_of=answers_right,
    ),
    Question(
        "freeze/training-dropped",
        "A model has training=True built in. What does from_keras_model make of it?",
        {  # whether it answers (as model(x), as model(x, training=False)); None: there is no file
            (None, None): "the converter refuses",
            (True, False): "a file that answers as model(x)",
            (False, True): "a file that answers as model(x, training=False)",
        },
        why="from_keras_model exports the model with training=False, and that argument overrules "
        "the one that was built in.",
        key_of=each_right,
    ),
)

QUIZ = (
    QuizQuestion(
        "freeze/quiz-resource",
        'Freezing stops with "incompatible with expected resource". What is in the function?',
        {
            "A variable of a dtype that TensorFlow Lite lacks.": "The count of section 3 was "
            "float32, which TensorFlow Lite has.",
            "A node that needs the handle, nearly always to assign.": "Freezing had put a number "
            "in the place of the handle, and a number cannot be written to.",
            "A variable that was never trained.": "Freezing copies whatever numbers a variable "
            "has.",
        },
        "A node that needs the handle, nearly always to assign.",
    ),
    QuizQuestion(
        "freeze/quiz-afterwards",
        "You freeze a function, and then train on. With which weights does it answer?",
        {
            "With the new ones.": "Setting all weights to zero changed nothing in its answers.",
            "With none, until it is frozen again.": "It goes on answering, without the model.",
            "With those of the moment when it was frozen.": "Its graph holds a copy. So freeze "
            "last, when training is over.",
        },
        "With those of the moment when it was frozen.",
    ),
    QuizQuestion(
        "freeze/quiz-owner",
        "The function assigns a variable, and the assignment is the point. What do you do?",
        {
            "Hand the converter the owner of the variable as well.": "Then the object is saved "
            "with its variables, and the one that is assigned stays one in the file.",
            "Freeze it, and assign in the app.": "A function that assigns cannot be frozen, and a "
            "constant cannot be assigned by anybody.",
            "Hand the converter an empty tf.Module as well.": "It does not hold the variable, and "
            "the same error comes back.",
        },
        "Hand the converter the owner of the variable as well.",
    ),
)
