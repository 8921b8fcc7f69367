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
        "whose_variable_is_it/inputs",
        "You call step(x). How many inputs does its graph have?",
        {1: "1: x", 2: "2: x, and the model itself", 4: "4: x, and one for each variable"},
        why="A graph has no self. Each variable that the function uses is handed over as one more "
        "input, its handle, and the caller passes it along without your seeing it.",
        debrief="Many say one, since they wrote one. Those who say two think of self. Ask how the "
        "graph could reach a variable of Python, in a file without Python.",
    ),
    Question(
        "whose_variable_is_it/set",
        "The signature reads six weights. How many of them get their value from this checkpoint?",
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
        "A function of the graph reads a variable. How does it come to it?",
        {
            "Its handle is one more input of the function.": "The main graph makes the handle, and "
            "each call passes it on until a ReadVariableOp takes it.",
            "It looks the variable up by its Python name.": "There is no Python in the graph, and "
            "inside the function the handle has another name.",
            "The value was copied into it when it was traced.": "Then nothing in it could be "
            "assigned, and there would be no ReadVariableOp.",
        },
        "Its handle is one more input of the function.",
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
        "In the table a variable is read, has no owner, and is not initialized. What will come?",
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
