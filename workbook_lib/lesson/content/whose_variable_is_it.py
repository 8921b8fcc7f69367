"""Lesson 15: how a function comes to its variables, and who owns them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbook_lib.lesson.content import Card, Question, QuizQuestion

if TYPE_CHECKING:
    from varhandle.graph import Graph

FAMILIES = {"uninitialised-variable": "owner-why"}


def read_and_set(graph: Graph) -> int:
    """Count the variables that something reads, and that have a value in the file."""
    return sum(bool(variable.reads and variable.initialized) for variable in graph.variables)


PREDICTIONS = (
    Question(
        "whose_variable_is_it/set",
        "Its signature reads six weights. How many of these have a value in the checkpoint?",
        {6: "all six", 3: "three", 0: "none"},
        why="The six values belong to handles that Keras's objects own, and no signature reads "
        "those. The signature reads six other handles, which have no owner, so nothing sets them.",
        debrief="Nearly all say six, because six is six. Let them read the table row by row. Ask "
        "which column would have told them before any conversion.",
        key_of=read_and_set,
    ),
)

QUIZ = (
    QuizQuestion(
        "whose_variable_is_it/quiz-captured",
        "How does a function of the graph come to its variable?",
        {
            "The handle is one more input.": "The main graph makes the handle, and "
            "each call passes it on until a ReadVariableOp takes it.",
            "It looks up the Python name.": "There is no Python in the graph, and "
            "inside the function the handle has another name.",
            "The value was copied into it.": "Then nothing in it could be "
            "assigned, and there would be no ReadVariableOp.",
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
            "The file reads a value that nobody set.": "No owner, no value in the checkpoint: "
            "nothing sets it, and the read is still there.",
            "Nothing: it is never used.": "It is read, as the column says.",
        },
        "The file reads a value that nobody set.",
    ),
)

CARD = Card(
    symptom="“variable != nullptr was not true”, “Could not find variable”, or garbage from a file "
    "that raised no error.",
    cause="A signature reads a variable that no object of the saved model owns, so the checkpoint "
    "has no value for it.",
    cure="class Service(tf.Module):\n"
    "    def __init__(self, scale):\n"
    "        self.scale = scale  # an attribute of what is saved: now the variable has an owner",
    pages=("saved-model", "variables"),
)
