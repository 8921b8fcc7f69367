"""Lesson 31: a state in the file, equal step by step, and what begins it anew."""

from __future__ import annotations

from workbook_lib.lesson.content import Card, Question, QuizQuestion

FAMILIES = {"shared-or-dynamic-state": "resets"}

PREDICTIONS = (
    Question(
        "keep_a_state/reset-all-variables",
        "reset_all_variables() is called, and one more row is read. What is the count?",
        {1: "1", 9: "9", None: "the interpreter refuses"},
        why="reset_all_variables is for tensors that the file itself marks as variable. What a "
        "VAR_HANDLE leads to stays as it is, so the count goes on to 9.",
        debrief="1 is a tempting answer, because the name promises it. Ask how one would notice in "
        "an app: the second digit is read with the memory of the first, and no error says so.",
    ),
)

QUIZ = (
    QuizQuestion(
        "keep_a_state/quiz-proof",
        "The first answer of a stateful file is right. What does it prove?",
        {
            "The file is right.": "The first call does not yet use anything that the file itself "
            "has kept.",
            "Nothing about what it keeps.": "Compare several calls in a row: what one leaves "
            "behind shows in the next, and an error can grow from there.",
            "The file keeps its state.": "A file that forgets everything gives the same first "
            "answer. The second shows it.",
        },
        "Nothing about what it keeps.",
    ),
    QuizQuestion(
        "keep_a_state/quiz-reset",
        "What begins a new digit in an open interpreter?",
        {
            "A reset of your own.": "Signatures of one file share the variable, so what one writes "
            "the other reads.",
            "reset_all_variables().": "It left both variables of this file as they were.",
            "A row of zeros.": "That is one more row, and the memory goes on from it.",
        },
        "A reset of your own.",
    ),
    QuizQuestion(
        "keep_a_state/quiz-two",
        "Two interpreters open one file and read two digits in turns. What happens?",
        {
            "They mix them up.": "Signatures share a state within one interpreter. Another "
            "interpreter has variables of its own.",
            "The second goes on from the first.": "It begins with the values in the file, and "
            "nothing ever writes into the file.",
            "Each reads its own digit.": "The variables live in an interpreter, beginning with the "
            "values that the file has.",
        },
        "Each reads its own digit.",
    ),
)

CARD = Card(
    symptom="The answer depends on the calls before, or goes on where a new stream should begin.",
    cause="A variable that is assigned stays in the file as state. It lives as long as its "
    "interpreter, and reset_all_variables() leaves it alone.",
    cure="functions = [model.step.get_concrete_function(), model.reset.get_concrete_function()]\n"
    "content = tf.lite.TFLiteConverter.from_concrete_functions(functions, model).convert()\n"
    'Interpreter(model_content=content).get_signature_runner("reset")()',
    pages=("variables", "convert"),
)
