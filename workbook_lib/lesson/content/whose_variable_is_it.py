"""Lesson 15: how a function comes to its variables, and who owns them."""

from __future__ import annotations

from workbook_lib.lesson.content import Card, Question, QuizQuestion

FAMILIES = {"uninitialised-variable": "owner-why"}

PREDICTIONS = (
    Question(
        "whose_variable_is_it/how-many",
        "The classifier has six weights. How many variables are in the saved service?",
        {0: "none: they are constants", 6: "six", 12: "twelve"},
        why="Keras's objects own six, whose values are in the checkpoint, and no signature reads "
        "them. The signature reads six others, which have no owner, so nothing sets them.",
        debrief="Six is a tempting answer, because the classifier has six. Let them read the table "
        "row by row. Ask which column would have told them of lesson 13 before any conversion.",
    ),
)

QUIZ = (
    QuizQuestion(
        "whose_variable_is_it/quiz-captured",
        "How does a function of the graph come to its variable?",
        {
            "The handle is one more input.": "The main graph makes the handle, and each call "
            "passes it on until a ReadVariableOp takes it.",
            "It looks up the Python name.": "There is no Python in the graph, and inside the "
            "function the handle has another name.",
            "The value was copied into it.": "Then nothing in it could be assigned, and there "
            "would be no ReadVariableOp.",
        },
        "The handle is one more input.",
    ),
    QuizQuestion(
        "whose_variable_is_it/quiz-assigns",
        "Which op shows that a signature assigns a variable?",
        {
            "VarHandleOp.": "Every variable has one, also those that are only read.",
            "ReadVariableOp.": "It reads. After an assignment there is often one as well, because "
            "assign returns the new value.",
            "AssignAddVariableOp.": "It takes the handle and what is to be added. Its like are "
            "AssignVariableOp and AssignSubVariableOp.",
        },
        "AssignAddVariableOp.",
    ),
    QuizQuestion(
        "whose_variable_is_it/quiz-owner",
        "A variable is read, has no owner, and is not initialized. What will come?",
        {
            "The converter refuses it.": "It converted in lesson 13, without a warning.",
            "It reads what nobody set.": "No owner, no value in the checkpoint: nothing sets it, "
            "and the read is still there.",
            "Nothing: it is never used.": "It is read, as the column says.",
        },
        "It reads what nobody set.",
    ),
)

CARD = Card(
    symptom="“variable != nullptr was not true”, “Could not find variable”, or garbage from a file "
    "that raised no error.",
    cause="A signature reads a variable that no object of the saved model owns, so the checkpoint "
    "has no value for it.",
    cure="class Service(tf.Module):\n    def __init__(self, scale):\n        self.scale = scale  # "
    "an attribute of what is saved: now the variable has an owner",
    pages=("saved-model", "variables"),
)
