"""What notebook 07 asks."""

from workbook_lib.lesson.content import Question, QuizQuestion, nearest


def amount(lost: float) -> str:
    """Say how much of the known digits is lost: a share of them, 0 to 1."""
    if lost > 0.5:
        return "most"
    return "few" if lost > 0.1 else "none"


PREDICTIONS = (
    Question(
        "keep/reset-all-variables",
        "Eight rows are read, reset_all_variables() is called, one more row is read. The count?",
        {1: "1", 9: "9", None: "the interpreter refuses"},
        why="reset_all_variables is for tensors that the file itself marks as variable. What a "
        "VAR_HANDLE leads to stays as it is, so the count goes on to 9.",
    ),
    Question(
        "keep/called-twice",
        "The lifted step is called twice with the same row and the same state. The two answers?",
        {True: "equal", False: "the second goes on from the first"},
        why="The lifted file keeps nothing from call to call. What it answers depends on the row "
        "and the state that you hand in, and both were the same.",
    ),
    Question(
        "keep/int8-count",
        "Calibrated with 40 rows, the int8 file now reads 100. What does it count?",
        {40: "about 40", 100: "about 100", 255: "about 255"},
        why="Calibration met counts up to 40, so the range of the count ends there, and whatever "
        "goes beyond it is cut off.",
        key_of=nearest(40, 100, 255),
    ),
    Question(
        "keep/forgetting",
        "It learns from the new digits alone. What becomes of the others, known so well before?",
        {"none": "they stay known", "most": "more than half are lost", "few": "a few are lost"},
        why="Every step moves all weights towards the new digits. No image of an old digit says "
        "what must stay, so what the network knew of them is written over.",
        key_of=amount,
    ),
)

QUIZ = (
    QuizQuestion(
        "keep/quiz-reset",
        "The state is in the file. How does a device begin a new digit?",
        {
            "With reset_all_variables.": "It left both variables of this file as they were.",
            "With a row of zeros.": "That is one more row, and the memory goes on from it.",
            "With a signature that assigns the first value.": "Signatures of one file share the "
            "variable. A new interpreter would do as well.",
        },
        "With a signature that assigns the first value.",
    ),
    QuizQuestion(
        "keep/quiz-lift",
        "What does lift_state make of a variable?",
        {
            "A constant.": "A constant could not change from call to call.",
            "An input and an output of the same name.": "What is read first comes in, what is "
            "assigned goes out, and you carry it from one call to the next.",
            "A second file, which the interpreter reads.": "The initial values come back to you, "
            "and you hand them in with the first call.",
        },
        "An input and an output of the same name.",
    ),
    QuizQuestion(
        "keep/quiz-relu-grad",
        "The converter refuses a training step because of ReluGrad. Why does train convert?",
        {
            "Its gradients are written in builtin ops.": "For ReLU that is a comparison and a "
            "cast: the file has no op that is not a builtin.",
            "It is converted for a runtime with Flex.": "The interpreter here has no Flex, and "
            "runs it.",
            "The base model was trained before.": "Training changes the numbers, and not the ops.",
        },
        "Its gradients are written in builtin ops.",
    ),
)
