"""Lesson 13: a file that converts, runs, and answers garbage; comparison finds it."""

from __future__ import annotations

from workbook_lib.lesson.content import Card, Question, QuizQuestion


def right_or_wrong(agreeing: int) -> str:
    """Tell whether all five answers agree: one or two may by chance, whatever the memory holds."""
    return "right" if agreeing == 5 else "wrong"


PREDICTIONS = (
    Question(
        "compare_the_answers/silent",
        "The converter wrote the file. What does the file do with the five images?",
        {
            "right": "it answers as TensorFlow does",
            "wrong": "it answers otherwise, without an error",
            "error": "it raises an error",
        },
        why="The file reads six variables, and nothing in it gives them a value. The interpreter "
        "reads memory that nobody set, and raises no error.",
        key_of=right_or_wrong,
        debrief="“As TensorFlow does” is tempting, because the converter raised no error. Ask how "
        "the class would have found out in their own project, and when: before or after the app "
        "was released?",
    ),
)

QUIZ = (
    QuizQuestion(
        "compare_the_answers/quiz-proof",
        "A file converts and runs. What proves it right?",
        {
            "It ran without an error.": "So did the classifier of this lesson, and its answers "
            "were wrong.",
            "No variable is left in the file.": "That is no fault and no proof: a file may hold "
            "the wrong constants.",
            "It answers as TensorFlow does.": "That is what proves it, and a few lines are enough "
            "for it.",
        },
        "It answers as TensorFlow does.",
    ),
    QuizQuestion(
        "compare_the_answers/quiz-twice",
        "A file gives the same answer twice. What does that prove?",
        {
            "Nothing: garbage can repeat itself.": "The five answers may well be alike, since the "
            "same memory is read. Compare with TensorFlow, not with the file itself.",
            "That its variables were set.": "A variable that was never set can show the same "
            "leftovers again and again.",
            "That the default delegate is not to blame.": "The delegate reads the same memory both "
            "times.",
        },
        "Nothing: garbage can repeat itself.",
    ),
    QuizQuestion(
        "compare_the_answers/quiz-plain",
        "What does “variable != nullptr was not true” mean, with the plain kernels?",
        {
            "The file is damaged.": "It loads, and the delegate runs it. Its bytes are in order.",
            "A variable has no value.": "The kernel of the read looks for the variable's value, "
            "and there is none.",
            "This runtime has no variables.": "Then it would miss an op. Its kernel for the read "
            "is there: it looked, and found nothing.",
        },
        "A variable has no value.",
    ),
)

CARD = Card(
    symptom="The model converts and runs without an error, and its answers are wrong, or NaN.",
    cause="Something was lost on the way, such as the values of variables. No error is raised for "
    "that; a comparison with TensorFlow shows it.",
    cure="runner = Interpreter(model_content=tflite_model).get_signature_runner()\n[answer] = "
    "runner(image=image).values()\nnp.testing.assert_allclose(answer, service(image), atol=1e-4)  "
    "# for several images",
    pages=("convert", "inference"),
)
