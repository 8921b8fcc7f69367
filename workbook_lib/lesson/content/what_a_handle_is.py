"""Lesson 14: what a VarHandleOp is, and where the value is."""

from __future__ import annotations

from workbook_lib.lesson.content import Card, Question, QuizQuestion

PREDICTIONS = (
    Question(
        "what_a_handle_is/same-name",
        "You assign through the first handle. What does the second read?",
        {
            (1.0, 2.0): "the value that was assigned",
            (0.0, 0.0): "zeros",
            "error": "nothing: it raises an error",
        },
        why="A handle holds no value. It holds a name, by which the runtime finds the value, and "
        "both handles have the same name.",
        key_of=tuple,
        debrief="Those who choose the error think of two variables. There are two handles, and one "
        "variable. Ask what the third handle would read, and why making it raised no error.",
    ),
)

QUIZ = (
    QuizQuestion(
        "what_a_handle_is/quiz-handle",
        "What does a VarHandleOp carry?",
        {
            "The value of the variable.": "The value is in the checkpoint, and in a running "
            "program in the runtime.",
            "The op that reads the variable.": "That is a node of its own, ReadVariableOp, which "
            "takes the handle.",
            "A name, a dtype and a shape.": "These are its attributes. It takes nothing, and gives "
            "a resource.",
        },
        "A name, a dtype and a shape.",
    ),
    QuizQuestion(
        "what_a_handle_is/quiz-made",
        "Nothing was assigned to a name. When does its handle give an error?",
        {
            "When it is made.": "A handle needs no value. Making the third one raised no error.",
            "When it is read.": "The read looks for the value and finds none.",
            "Never.": "TensorFlow's read raised FailedPreconditionError.",
        },
        "When it is read.",
    ),
    QuizQuestion(
        "what_a_handle_is/quiz-lost",
        "You get saved_model.pb alone. What is missing?",
        {
            "The values of the variables.": "They are in the checkpoint, in the folder variables, "
            "and the graph does not repeat them.",
            "The functions of the model.": "They stand in the library of the graph, which is in "
            "this file.",
            "The names of the variables.": "Each handle in the graph has its name.",
        },
        "The values of the variables.",
    ),
)

CARD = Card(
    symptom="A log or a drawing names VarHandleOp, ReadVariableOp and AssignVariableOp, and you "
    "look for the variable.",
    cause="In a graph, a variable is a handle without a value, and the ops that use it. The values "
    "of a SavedModel are in its checkpoint.",
    cure='checkpoint = f"{folder}/variables/variables"\n'
    "for name, shape in tf.train.list_variables(checkpoint):\n"
    "    print(name, shape)  # tf.train.load_variable(checkpoint, name) gives the numbers",
    pages=("variables", "saved-model"),
)
