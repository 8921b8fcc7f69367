"""Lesson 32: a state that goes in and comes out at every call."""

from __future__ import annotations

from workbook_lib.lesson.content import Card, Question, QuizQuestion

PREDICTIONS = (
    Question(
        "lift_the_state/called-twice",
        "The lifted step is called twice, with the same row and the same state. The answers are",
        {True: "equal", False: "the second goes on from the first"},
        why="The lifted file keeps nothing from call to call. What it answers depends on the row "
        "and the state that you hand in, and both were the same.",
        debrief="Who chooses the second thinks of lesson 31's file. Ask where the new memory is "
        "after the first call: among the outputs, and nobody handed it in.",
    ),
)

QUIZ = (
    QuizQuestion(
        "lift_the_state/quiz-lift",
        "What becomes of a variable when the state is lifted?",
        {
            "A constant, with its first value.": "A constant could not change from call to call.",
            "A second file, with its value.": "The first values come back to you beside the file, "
            "and you hand them in with the first call.",
            "An input and an output.": "What is read first comes in, what is assigned goes out, "
            "and you carry it from one call to the next.",
        },
        "An input and an output.",
    ),
    QuizQuestion(
        "lift_the_state/quiz-streams",
        "Two scanners send rows in turns. What do you need with a lifted file?",
        {
            "Two states.": "The interpreter keeps nothing, so each call goes with the state of the "
            "scanner that sent the row.",
            "Two interpreters.": "That is what a stateful file needs. It would do no harm here, "
            "and costs memory.",
            "Two files.": "The file is the same for both: the state is an argument of it.",
        },
        "Two states.",
    ),
    QuizQuestion(
        "lift_the_state/quiz-forgotten",
        "You hand in the first state at every call. What happens?",
        {
            "The second call is refused, with an error.": "It cannot know: the inputs have the "
            "right names and shapes.",
            "Each row is read as a first one.": "No error says so. Only a comparison over several "
            "calls shows it.",
            "It goes on by itself.": "An input and an output of one name are still two tensors.",
        },
        "Each row is read as a first one.",
    ),
)

CARD = Card(
    symptom="The state has to be looked at, stored, or kept once for each of several streams.",
    cause="In the file it is out of reach, and there is one for each interpreter. `varhandle lift "
    "IN.tflite OUT.tflite` makes inputs and outputs of it.",
    cure="step = Interpreter(model_content=lifted_file).get_signature_runner()\noutputs = "
    "step(row=row, **state)  # the state goes in\nstate = {name: outputs[name] for name in state}  "
    "# and out, for the next call",
    pages=("variables", "convert"),
)
