"""What notebook 00 asks."""

from workbook_lib.lesson.content import Question, QuizQuestion

PREDICTIONS = (
    Question(
        "start_here/first-prediction",
        "The cell below has two models that assign a variable, one in float32 and one in float16. "
        "Which does the converter take?",
        {
            0: "neither: both have a VarHandleOp",
            1: "only the one in float32",
            2: "both: there is no SavedModel in between",
        },
        why="Both models assign a variable, and they differ in its dtype alone: the float32 one "
        "converts, and the float16 one is refused. So having a variable does not decide, but "
        "what is done with it, and in which dtype.",
    ),
)

QUIZ: tuple[QuizQuestion, ...] = ()
