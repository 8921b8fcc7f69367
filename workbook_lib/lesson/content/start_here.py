"""What notebook 00 asks."""

from workbook_lib.lesson.content import Question, QuizQuestion


def what_it_holds(size: int) -> str:
    """Say what a file of so many bytes has room for, beside 4,000 bytes of weights."""
    if size < 4000:
        return "no weights"
    return "weights" if size <= 8000 else "code as well"


PREDICTIONS = (
    Question(
        "start_here/first-prediction",
        "A model has 1,000 float32 weights. How large is its .tflite file?",
        {
            "no weights": "under 4 kB: it holds the graph alone",
            "weights": "4 to 8 kB: it holds the weights as well",
            "code as well": "over 8 kB: it brings the code of the ops along",
        },
        why="A float32 takes 4 bytes, so 1,000 weights take 4,000. They are in the file, with the "
        "graph. The code of the ops is in the runtime on the device, and not in the file.",
        key_of=what_it_holds,
    ),
)

QUIZ: tuple[QuizQuestion, ...] = ()
