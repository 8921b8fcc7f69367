"""Lesson 92: what each release of TensorFlow did."""

from __future__ import annotations

from collections.abc import Iterable

from workbook_lib.lesson.content import Card, Question, QuizQuestion

FAMILIES = {"constant-folding-failed": "matrix-why", "not-immutable": "matrix-why"}


def where_right(outcomes: Iterable[str]) -> str:
    """Say on which releases, from the oldest to the newest, a program worked, in a word."""
    works = [outcome == "works" for outcome in outcomes]
    if not any(works):
        return "none"
    return "older" if works == sorted(works, reverse=True) else "newer"


PREDICTIONS = (
    Question(
        "releases/older-helps",
        "A tf.Module has a Keras layer in it. TensorFlow 2.21 makes a file of it that answers "
        "garbage. On which of the measured releases is the file right?",
        {"older": "on the older ones", "newer": "on some of the newer ones", "none": "on none"},
        why="Up to 2.15 a layer was one of Keras 2, and its file was right. Since 2.16 it is one "
        "of Keras 3, and no release since then has made a right file of such a module.",
        key_of=where_right,
        debrief="A newer release is a tempting answer, because faults get mended. Ask what else an "
        "older one would bring back, and what becomes of the program in a year.",
    ),
)

QUIZ = (
    QuizQuestion(
        "releases/quiz-select",
        "Advice from the days of 2.12: take SELECT_TF_OPS for a float16 variable. And on 2.21?",
        {
            "It holds.": "It worked from 2.9 to 2.19, and is refused since 2.20.",
            "The interpreter refuses the file.": "Refused means that the program still converts, "
            "so the fault shows one step later than with the converter.",
            "The converter refuses the program.": "That was so up to 2.8.",
        },
        "The interpreter refuses the file.",
    ),
    QuizQuestion(
        "releases/quiz-garbage",
        "The grid says garbage for your program and your release. What do you notice?",
        {
            "Nothing, until you compare answers.": "It converts and runs. Only a comparison with "
            "the model shows that the answer is wrong.",
            "An error, at the latest from the converter.": "That is the mark of an error, and you "
            "would know at once.",
            "The process dies.": "That is a crash, as with a Keras layer in a tf.Module on 2.16.",
        },
        "Nothing, until you compare answers.",
    ),
    QuizQuestion(
        "releases/quiz-float16",
        "On which release does an assigned float16 variable convert with the defaults?",
        {
            "On an older one, with Keras 2.": "Keras 2 helps a Keras layer in a tf.Module. Here "
            "the old columns have an error as well.",
            "On the newest one.": "On 2.21 it is an error, in the grid and when it was run anew.",
            "On none of them.": "The whole row is of errors, so no change of the release helps. "
            "Change the program.",
        },
        "On none of them.",
    ),
)

CARD = Card(
    symptom="A program converts rightly on one release of TensorFlow. On another it is refused, or "
    "its file answers garbage.",
    cause="The converter's defaults changed, and so did the Keras that comes along: 2.9 keeps an "
    "assigned float32 variable, 2.16 brings Keras 3.",
    cure="print(tf.__version__, tf.keras.__version__)  # on each release that you use\nrun = "
    "Interpreter(model_content=content).get_signature_runner()\n"
    "np.testing.assert_allclose(*run(x=x).values(), model(x), atol=1e-5)",
    pages=("versions", "keras-export"),
)
