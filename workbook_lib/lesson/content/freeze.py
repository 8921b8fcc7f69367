"""Lesson 21: variables become constants."""

from __future__ import annotations

from workbook_lib.lesson.content import Card, Question, QuizQuestion

PREDICTIONS = (
    Question(
        "freeze/weights-to-zero",
        "The weight is set to zero. Whose answer changes?",
        {  # (the traced function's, the frozen function's)
            (True, False): "the traced function's",
            (False, True): "the frozen function's",
            (True, True): "both",
            (False, False): "neither",
        },
        why="The traced function reads the variable at every call. The frozen function has a copy "
        "of the numbers in its graph, from the moment when it was frozen.",
        debrief="“Both” is a tempting answer, because both came from one variable. Ask what each "
        "of the two takes in at a call: how many handles does either capture?",
    ),
)

QUIZ = (
    QuizQuestion(
        "freeze/quiz-afterwards",
        "You freeze a function, and then train on. With which weights does it answer?",
        {
            "The new ones.": "Setting the weight to zero changed nothing in its answer.",
            "Those that it was frozen with.": "Its graph holds a copy. So freeze last, when "
            "training is over.",
            "None, until it is frozen again.": "It goes on answering, without the variables.",
        },
        "Those that it was frozen with.",
    ),
    QuizQuestion(
        "freeze/quiz-signature",
        "A file answers, but its list of signatures is empty. What was left out?",
        {
            "The second argument, an owner.": "An empty tf.Module is enough for a frozen function, "
            "and then the file has a signature.",
            "The freezing: it still holds variables.": "Both files of the lesson hold constants "
            "only, and one of them has a signature.",
            "A name for the Python function.": "It is the same function in both files. What "
            "differs is the object beside it.",
        },
        "The second argument, an owner.",
    ),
    QuizQuestion(
        "freeze/quiz-exchange",
        "What takes the place of a ReadVariableOp when a function is frozen?",
        {
            "Nothing: the node goes away.": "The lesson's table has as many new Identity nodes as "
            "it has lost ReadVariableOp nodes.",
            "A Const, with the value.": "That is what takes the place of the handle.",
            "An Identity.": "There is nothing to read any more, so the node passes on what it is "
            "given.",
        },
        "An Identity.",
    ),
)

CARD = Card(
    symptom="The .tflite file has no signature, and TensorFlow warned that trackable_obj is "
    "missing.",
    cause="The function came to the converter alone, without an object that owns its variables.",
    cure="from tensorflow.python.framework import convert_to_constants\n"
    "frozen = convert_to_constants.convert_variables_to_constants_v2(traced)\n"
    "content = tf.lite.TFLiteConverter.from_concrete_functions([frozen], tf.Module()).convert()",
    pages=("convert", "variables"),
)
