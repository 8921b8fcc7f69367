"""Lesson 11: the message, and what it is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbook_lib.lesson.content import Card, Question, QuizQuestion

if TYPE_CHECKING:
    from varhandle.sandbox import Record

FAMILIES = {"unsupported-variable-dtype": "literal-why"}


def converted_before(record: Record) -> int:
    """Count the functions that were converted before the cell stopped: each printed a line."""
    return len(record.output.splitlines())


PREDICTIONS = (
    Question(
        "the_error/which-fails",
        "What does the converter refuse?",
        {
            0: "float16: the first fails",
            1: "an assignment: the second fails",
            2: "only both together: the third fails",
            3: "nothing: none fails",
        },
        why="The converter turns a variable that is only read into a constant, which may be "
        "float16. One that is assigned needs builtin ops, and these take float32.",
        key_of=converted_before,
        debrief="“Float16” is a tempting answer, because the message names f16 in nearly every "
        "line; “an assignment” is one, because old advice says that no variable may be assigned. "
        "Ask: once it is converted, which ops on variables does read still need?",
    ),
)

QUIZ = (
    QuizQuestion(
        "the_error/quiz-gone",
        "A Keras model has 5 variables, and its .tflite file has none. Where are they?",
        {
            "Left out.": "The numbers are in it: without them the file "
            "could not answer as the model does.",
            "They became constants.": "A variable that nothing assigns can never change, so its "
            "value may stand in the file once and for all.",
            "In a second file.": "A .tflite file comes alone: whatever it needs is inside.",
        },
        "They became constants.",
    ),
    QuizQuestion(
        "the_error/quiz-look",
        "The converter names VarHandleOp. What do you look for?",
        {
            "What is assigned, and its dtype.": "The message comes from a variable that is "
            "assigned, and that the builtin ops cannot carry.",
            "A way to remove VarHandleOp.": "It is named first, and it only makes the handle. "
            "The ops that use the handle stand further down the list.",
            "A converter setting that allows it.": "Find the cause first. Lesson 12 tries the "
            "three settings that people name.",
        },
        "What is assigned, and its dtype.",
    ),
    QuizQuestion(
        "the_error/quiz-end",
        "The message is long. What tells you most?",
        {
            "Its first line, with one op.": "It names only the op that was met first, and that is "
            "nearly always VarHandleOp.",
            "The traceback above it.": "That is where your program called the converter. It says "
            "nothing about the model.",
            "The list of ops near its end.": "It names every op without a builtin, and the "
            "signature of VarHandleOp there shows the dtype.",
        },
        "The list of ops near its end.",
    ),
)

CARD = Card(
    symptom="The converter stops at “'tf.VarHandleOp' op is neither a custom op nor a flex op”.",
    cause="The model assigns a variable whose dtype the builtin ops for variables do not take, "
    "such as float16.",
    cure='self.total = tf.Variable(tf.zeros([4], tf.float32), name="total")  # keep it in float32\n'
    "self.total.assign_add(tf.cast(x, tf.float32))\nanswer = tf.cast(self.total, tf.float16)  # "
    "what the callers expect",
    pages=("convert", "select-ops"),
)
