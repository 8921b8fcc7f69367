"""Lesson 96: TensorFlow Lite Micro."""

from __future__ import annotations

from workbook_lib.lesson.content import Card, QuizQuestion

FAMILIES = {
    "micro-needs-store": "about-micro",
    "micro-op-not-registered": "about-micro",
    "micro-arena-too-small": "about-micro",
}

QUIZ = (
    QuizQuestion(
        "on_a_microcontroller/quiz-missing",
        "A program on a chip has an op resolver and an arena. What does the file with the total "
        "still need?",
        {
            "A place for its variable.": "The file has one variable, and Micro makes no place for "
            "it by itself.",
            "The first value, handed in at the first call.": "That is what the lifted file asks "
            "for. This one sets it with CALL_ONCE.",
            "A signature runner.": "Micro has none: it knows inputs and outputs by their place.",
        },
        "A place for its variable.",
    ),
    QuizQuestion(
        "on_a_microcontroller/quiz-reset",
        "A total begins at 10. On Micro, three calls add 1 each, then comes reset(), and then two "
        "more calls add 1 each. What does the last one say?",
        {
            "12": "So it would be in a file that begins anew with its first value. In the lesson "
            "the call after reset() said 1.0, and not 11.0.",
            "15": "reset() does clear the total: the call after it said 1.0, and not 14.0.",
            "2": "reset() sets the variable to zero, and the first value is lost. The two calls "
            "add 1 each to that.",
        },
        "2",
    ),
    QuizQuestion(
        "on_a_microcontroller/quiz-lifted",
        "Where is the total of the lifted file between two calls?",
        {
            "In the variable, as before.": "The lifted file has none. Its inputs are total_state "
            "and x.",
            "With the program.": "One call's output is the next call's input, and so reset() has "
            "nothing to lose.",
            "In the file, where the 10 is.": "The 10 is handed in at the first call. It is "
            "initial_state that has it.",
        },
        "With the program.",
    ),
)

CARD = Card(
    symptom="On a chip a stateful file is refused at VAR_HANDLE, or begins with zeros after a "
    "reset.",
    cause="TensorFlow Lite Micro keeps variables in a store that the program creates, and its "
    "reset sets them to zero.",
    cure="@tf.function(input_signature=[tf.TensorSpec([1]), tf.TensorSpec([1])])\ndef add(x, "
    "total):  # no variable: the program hands the total in, at first 10\n"
    '    return {"total": total + x}  # and takes it out, for the next call',
    pages=("micro",),
)
