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
        "Three calls have added 1 each to a total that began at 10. What is the total on Micro "
        "right after reset()?",
        {
            "10": "The next call, which adds 1, would have said 11.0. It said 1.0.",
            "13": "reset() does clear it: with 13 kept, the next call would have said 14.0.",
            "0": "The next call said 1.0. So the first value is lost, and the total begins at "
            "zero.",
        },
        "0",
    ),
    QuizQuestion(
        "on_a_microcontroller/quiz-lifted",
        "Where is the total of the lifted file between two calls?",
        {
            "In the variable, as before.": "The lifted file has none. Its inputs are total_state "
            "and x.",
            "With the program, which hands it in again.": "One call's output is the next call's "
            "input, and so reset() has nothing to lose.",
            "In the file, where the 10 is.": "The 10 is handed in at the first call. It is "
            "initial_state that has it.",
        },
        "With the program, which hands it in again.",
    ),
)

CARD = Card(
    symptom="On a chip a stateful file is refused at VAR_HANDLE, or begins with zeros after a "
    "reset.",
    cause="TensorFlow Lite Micro keeps variables in a store that the program creates, and its "
    "reset sets them to zero.",
    cure="lifted = varhandle.lift_state(content)  # or: varhandle lift IN.tflite OUT.tflite\n"
    "state = lifted.start()  # what the program hands in at the first call",
    pages=("micro",),
)
