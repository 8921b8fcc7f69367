"""Lesson 93: graphs of TensorFlow 1, frozen and not."""

from __future__ import annotations

from workbook_lib.lesson.content import Card, Question

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
        "Ask what it would have to know: the value is in the session, and the converter "
        "never sees one.",
    ),
)

CARD = Card(
    symptom="A graph of TensorFlow 1 converts without an error, and its file answers garbage.",
    cause="The values of its variables are in a session, or in a checkpoint, and the converter was "
    "given the graph alone.",
    cure="graph_def = session.graph.as_graph_def()\n"
    "frozen = tf.compat.v1.graph_util.convert_variables_to_constants(session, graph_def, ['y'])\n"
    "content = tf.compat.v1.lite.TFLiteConverter(frozen, [x], [y]).convert()",
    pages=("variables",),
)
