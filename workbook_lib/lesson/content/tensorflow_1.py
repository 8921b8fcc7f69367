"""Lesson 93: graphs of TensorFlow 1, frozen and not."""

from __future__ import annotations

from workbook_lib.lesson.content import Card, Question, QuizQuestion

FAMILIES = {"freezer-lost-variable": "tf1-lost", "unfrozen-graph": "tf1-unfrozen-why"}

PREDICTIONS = (
    Question(
        "tensorflow_1/unfrozen",
        "The graph has a variable, and no session gives it a value. What comes of it?",
        {
            "no file": "the converter refuses",
            "refused": "a file that the interpreter refuses",
            "wrong": "a file that answers wrongly",
            "right": "a file that answers rightly",
        },
        why="The converter writes the handle and the read into the file, and nothing that gives "
        "the variable a value. The default delegate reads memory that nobody set.",
        debrief="“The converter refuses” is a tempting answer, because a value is plainly missing. "
        "Ask what it would have to know: the value is in the session, and the converter never sees "
        "one.",
    ),
)

QUIZ = (
    QuizQuestion(
        "tensorflow_1/quiz-kinds",
        "A graph has VariableV2 in the place of VarHandleOp. Can it be frozen?",
        {
            "Yes, in the same way.": "Both kinds became a Const, and all four files answered 20.",
            "Not before use_resource=True.": "The first of the two graphs was made without it.",
            "Yes, but only by from_session.": "convert_variables_to_constants froze both kinds. "
            "from_session does the same and converts at once.",
        },
        "Yes, in the same way.",
    ),
    QuizQuestion(
        "tensorflow_1/quiz-missing",
        "Somebody sends you a GraphDef that nobody froze. What is missing?",
        {
            "Nothing: the converter freezes it.": "It made a file without an error, and the file "
            "has no value either.",
            "The values of its variables.": "They were in the session. A GraphDef has the handles "
            "and the reads.",
            "The names of its variables.": "Each variable is a node of the graph, with its name.",
        },
        "The values of its variables.",
    ),
    QuizQuestion(
        "tensorflow_1/quiz-plain",
        "Why run a new file once with the plain kernels?",
        {
            "They compute more exactly than a delegate.": "The default delegate did not round "
            "badly here. It read memory that nobody had set.",
            "They show what a device will answer.": "A device may use the delegate as well, and "
            "then it answers garbage without an error.",
            "They refuse a variable without a value.": "The default delegate raised no error and "
            "answered wrongly.",
        },
        "They refuse a variable without a value.",
    ),
)

CARD = Card(
    symptom="A graph of TensorFlow 1 converts without an error, and its file answers garbage.",
    cause="The values of its variables are in a session, or in a checkpoint, and the converter was "
    "given the graph alone.",
    cure="graph_def = session.graph.as_graph_def()\nfrozen = "
    "tf.compat.v1.graph_util.convert_variables_to_constants(session, graph_def, ['y'])\ncontent = "
    "tf.compat.v1.lite.TFLiteConverter(frozen, [x], [y]).convert()",
    pages=("variables", "convert"),
)
