"""Lesson 12: the settings that people are told, and the cause that they leave alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbook_lib.lesson.content import Card, Question, QuizQuestion

if TYPE_CHECKING:
    from varhandle.sandbox import Record

FAMILIES = {
    "unsupported-variable-update": "part-why",
    "flex-variable": "fixes-why",
    "flex-op-missing": "fixes-why",
    "custom-op-missing": "fixes-why",
}


def written(record: Record) -> tuple[str, ...]:
    """Return the settings with which the converter did not refuse, as its own list of ops tells.

    Each refusal has printed a line: the setting, and what was said.
    """
    if not record.ok:
        return ("the cell stopped",)
    said = dict(line.split(": ", 1) for line in record.output.splitlines())
    by_converter = [name for name, told in said.items() if told.startswith("TF Select ops")]
    return tuple(name for name in ("flex", "custom", "off") if name not in by_converter)


PREDICTIONS = (
    Question(
        "three_fixes/which-write",
        "With which of the three settings does the converter write a file?",
        {
            (): "with none",
            ("flex",): "with Flex alone",
            ("flex", "custom"): "with Flex, and with custom ops",
            ("flex", "custom", "off"): "with all three",
        },
        why="Flex and custom ops let the converter write the same ops into the file, for a runtime "
        "that has kernels for them, and this interpreter has none. With the third it refuses the "
        "same op as before. None of the three changes the update, which is the cause.",
        key_of=written,
        debrief="“With Flex alone” is a tempting answer, because the message itself proposes it. "
        "“With all three” is one, because each is told as a cure. Ask: who would run "
        "TensorFlow's own op on a phone?",
    ),
)

QUIZ = (
    QuizQuestion(
        "three_fixes/quiz-flex",
        "A file made with SELECT_TF_OPS is refused by allocate_tensors. What is missing?",
        {
            "The Flex delegate.": "The file asks for TensorFlow's own ops, and "
            "only a runtime that links Flex has them.",
            "The weights.": "They are in the file. What lacks a kernel is the op.",
            "allow_custom_ops.": "It writes an op for which you must write the "
            "kernel yourself, so the file would be refused as well.",
        },
        "The Flex delegate.",
    ),
    QuizQuestion(
        "three_fixes/quiz-list",
        "The converter lists VarHandleOp, ReadVariableOp and ResourceScatterNdUpdate. The variable "
        "is float32. What do you mend?",
        {
            "The dtype.": "The builtin ops for variables take float32. Look for the "
            "op in the list that not every variable needs.",
            "The handle.": "Every variable has a handle. It "
            "is listed first because it comes first in the graph.",
            "The update.": "ResourceScatterNdUpdate is the one without a "
            "builtin, and the others are listed with it. Assign the whole value.",
        },
        "The update.",
    ),
    QuizQuestion(
        "three_fixes/quiz-int8",
        "An int8 variable converts with assign, and is refused with assign_add. Why?",
        {
            "No builtin variable is int8.": "Then assign would be refused as well.",
            "No builtin op adds plain int8.": "assign_add reads, adds and assigns. The "
            "list of ops has one entry, and that is the addition.",
            "assign_add assigns a part.": "It assigns the whole value, as assign does.",
        },
        "No builtin op adds plain int8.",
    ),
)

CARD = Card(
    symptom="The variable is float32, VarHandleOp is named all the same, and no setting of the "
    "converter gives a file that runs.",
    cause="A part of the variable is assigned. Further down, the list has "
    "ResourceStridedSliceAssign or a ResourceScatter op, and these have no builtin.",
    cure="whole = tf.concat([self.window[1:], x], axis=0)  # the whole new value\n"
    "self.window.assign(whole)  # in place of self.window[3:].assign(x)",
    pages=("select-ops", "convert"),
)
