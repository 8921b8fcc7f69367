"""Lesson 25: the names by which a file is called."""

from __future__ import annotations

from workbook_lib.lesson.content import Card, Question, QuizQuestion

PREDICTIONS = (
    Question(
        "signatures/look-alone",
        "Convert look alone. What is the total in that file?",
        {1: "a variable", 0: "a constant", None: "nothing: the converter refuses"},
        why="No signature in that file assigns the total. It is only read there, so the converter "
        "makes a constant of it.",
        debrief="“A variable” is a tempting answer, because the module has one. Ask whether "
        "anything in this file could ever change it, and what the converter does with such "
        "a value.",
    ),
)

QUIZ = (
    QuizQuestion(
        "signatures/quiz-which",
        "Which signatures decide whether a variable stays a variable in the file?",
        {
            "All that the SavedModel has.": "look alone gave a constant, though add and reset "
            "assign the total.",
            "Those that you convert.": "One of them must assign the variable.",
            "The one that is called first.": "The file is made before anybody calls it.",
        },
        "Those that you convert.",
    ),
    QuizQuestion(
        "signatures/quiz-shared",
        "add is called on one interpreter, then look. What does look see?",
        {
            "What add has left in the total.": "The signatures of a file share its variables, as "
            "long as they are called on one interpreter.",
            "The first value, since each signature has its own.": "In the lesson look answered "
            "what add had left.",
            "Nothing, until reset is called.": "A variable has a first value from the file.",
        },
        "What add has left in the total.",
    ),
    QuizQuestion(
        "signatures/quiz-name",
        "Who gives a function the name by which a device calls it?",
        {
            "The device, when it opens the file.": "It can only call what the file lists.",
            "Python: it is the function's own name.": "The lesson's file lists look, and the "
            "function is called read.",
            "You, by the keys of signatures.": "They are there when you save, and signature_keys "
            "chooses among them.",
        },
        "You, by the keys of signatures.",
    ),
)

CARD = Card(
    symptom="A state has become a constant in the file, or a function cannot be called by the name "
    "that you expect.",
    cause="The signatures that are converted decide: one of them must assign the variable, and "
    "their keys are the names.",
    cure='names = {"add": module.add, "look": module.look}\n'
    "tf.saved_model.save(module, folder, signatures=names)\n"
    "converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(names))",
    pages=("saved-model", "convert"),
)
