"""Lesson 94: one model in three formats."""

from __future__ import annotations

from collections.abc import Iterable

from workbook_lib.lesson.content import Card, Question, QuizQuestion


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Name each once, in alphabetical order."""
    return tuple(sorted(set(names)))


PREDICTIONS = (
    Question(
        "formats_side_by_side/left-in-the-file",
        "Which of the three are still variables in the .tflite file?",
        {
            (): "none",
            ("total",): "total",
            ("calls", "total"): "total and calls",
            ("calls", "gain", "total"): "all three",
        },
        why="What decides is whether a signature that you convert assigns the variable. step "
        "assigns total and calls, so both stay; gain is only read, so it becomes a constant.",
        key_of=in_order,
        debrief="It is tempting to leave calls out, because nothing in the program reads it. Ask "
        "what an assign_add has to know before it can add.",
    ),
)

QUIZ = (
    QuizQuestion(
        "formats_side_by_side/quiz-second-signature",
        "You convert a second signature beside step, and it assigns gain. What is gain in the "
        "file?",
        {
            "A constant: step only reads it.": "One signature is enough to make it change, and "
            "step has to see that.",
            "A variable.": "What decides is whether any signature that you convert assigns it.",
            "A constant for step, a variable beside it.": "Then step would go on with the old "
            "value.",
        },
        "A variable.",
    ),
    QuizQuestion(
        "formats_side_by_side/quiz-two-reads",
        "The program names total in one line, and the file reads it twice. Why?",
        {
            "To add, and for the answer.": "A call runs READ_VARIABLE, ADD, ASSIGN_VARIABLE, and "
            "reads once more what it has assigned.",
            "Once for each of the two calls.": "The table counts the ops of the file, and it was "
            "drawn before the first call.",
            "Once in CALL_ONCE, for the first value.": "That subgraph has VAR_HANDLE and "
            "ASSIGN_VARIABLE, and reads nothing.",
        },
        "To add, and for the answer.",
    ),
    QuizQuestion(
        "formats_side_by_side/quiz-first-value",
        "You send the .tflite file alone. With what does total begin on the device?",
        {
            "With zeros: the checkpoint is missing.": "The first answer was 12, which is 10 and "
            "twice 1.",
            "With the total of your last call.": "An interpreter writes nothing into the file.",
            "With its value when you saved.": "An initializer in the file assigns it, once before "
            "the first call.",
        },
        "With its value when you saved.",
    ),
)

CARD = Card(
    symptom="You look in a .tflite file for a variable of the model and do not find it, or a "
    "variable begins with another value than you want.",
    cause="A variable that no signature assigns is a constant. Another begins with the value that "
    "it had when the model was saved.",
    cure="module.total.assign([10.0, 20.0, 30.0, 40.0])  # the first value in the file\n"
    'tf.saved_model.save(module, folder, signatures={"step": module.step})\n'
    "content = tf.lite.TFLiteConverter.from_saved_model(folder).convert()",
    pages=("saved-model", "variables"),
)
