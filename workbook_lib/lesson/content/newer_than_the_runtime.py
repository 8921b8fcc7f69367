"""Appendix 99: a file that is newer than the runtime."""

from __future__ import annotations

from workbook_lib.lesson.content import Card, Question, QuizQuestion

FAMILIES = {"runtime-too-old": "newer-why"}

PREDICTIONS = (
    Question(
        "newer_than_the_runtime/where",
        "Where does the runtime stop?",
        {
            "opening": "when it opens the file",
            "calling": "at the first call",
            "nowhere": "nowhere: it takes the newest version that it has",
        },
        why="The runtime looks up a kernel for every op when it opens the file, and it has none of "
        "this version. So a file that is too new is refused before it is called.",
        debrief="“At the first call” fits ops that only a call decides on. Ask what a user of an "
        "app would see in each case, and which is the better one.",
    ),
)

QUIZ = (
    QuizQuestion(
        "newer_than_the_runtime/quiz-lacks",
        "“Didn't find op for builtin opcode 'CONV_2D' version '99'”. What does the runtime lack?",
        {
            "Any CONV_2D.": "The message names a version. It knows those of its day.",
            "A custom op that was not linked.": "The message says builtin: it is an op that "
            "belongs to the runtime.",
            "This version of CONV_2D.": "The cell changed nothing but the version, and that is "
            "what was not found.",
        },
        "This version of CONV_2D.",
    ),
    QuizQuestion(
        "newer_than_the_runtime/quiz-old-device",
        "The runtime of a device cannot be changed. How do you get a file for it?",
        {
            "Convert with a TensorFlow of its age.": "A converter of that age writes the versions "
            "that this runtime knows.",
            "Write a lower version into the file.": "As in the cell, that changes a number. The op "
            "stays what the converter made of it.",
            "Catch the error, and call it all the same.": "There is nothing to call: the runtime "
            "stopped when it opened the file.",
        },
        "Convert with a TensorFlow of its age.",
    ),
    QuizQuestion(
        "newer_than_the_runtime/quiz-upgrade",
        "You upgrade ai-edge-litert. A program with tf.lite.Interpreter refuses the file as "
        "before. Why?",
        {
            "tf.lite.Interpreter has been deleted.": "The warning announces it for TF 2.20, and "
            "the cell, in a later one, still ran it.",
            "It uses the runtime inside TensorFlow.": "That one is of the age of your TensorFlow. "
            "ai_edge_litert has releases of its own.",
            "The file has to be packed again.": "pack makes bytes of the objects. The versions in "
            "them stay as they are.",
        },
        "It uses the runtime inside TensorFlow.",
    ),
)

CARD = Card(
    symptom="“Didn't find op for builtin opcode … version …”, on a device where other files run.",
    cause="The runtime there is older than the converter that made the file.",
    cure="from ai_edge_litert.interpreter import Interpreter  # pip install -U ai-edge-litert\n"
    "interpreter = Interpreter(model_content=content)  # in place of tf.lite.Interpreter\n# a "
    "runtime that cannot be changed: convert with the TensorFlow of its age",
    pages=("inference",),
)
