"""What notebook 01 asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from workbook_lib.lesson.content import Question, QuizQuestion

if TYPE_CHECKING:
    from varhandle.sandbox import Record

_STAGES = ("model.add", "convert()", "Interpreter")


def stage_of(record: Record) -> str:
    """Say which call of the article's example stopped it, by the line that the record names."""
    if record.ok:
        return "nowhere"
    return next((stage for stage in _STAGES if stage in record.line), record.line)


def refused(outcomes: Mapping[str, str]) -> tuple[bool, ...]:
    """Say of each module, in the order in which they were converted, whether it was refused."""
    return tuple(outcome != "converted" for outcome in outcomes.values())


PREDICTIONS = (
    Question(
        "reproduce/where-it-stops",
        "Where does the article's first example stop?",
        {
            "model.add": "at model.add",
            "convert()": "in converter.convert()",
            "Interpreter": "in the interpreter",
            "nowhere": "nowhere: it converts",
        },
        why="The constant has 128 columns and the new layer has 10 units, so the two shapes do not "
        "fit, and the layer cannot be built: that is before there is a converter.",
        key_of=stage_of,
    ),
    Question(
        "reproduce/which-fails",
        "Which of the three does the converter refuse?",
        {
            (True, True, True): "all three",
            (False, True, True): "the two that assign",
            (False, False, True): "only the one that assigns another dtype",
            (False, False, False): "none of them",
        },
        why="The converter turns a variable that is only read into a constant, and for a float32 "
        "variable that is assigned it has builtin ops. For the other dtype it has none.",
        key_of=refused,
    ),
    Question(
        "reproduce/fixes-that-run",
        "How many of the three give a file that the interpreter here runs?",
        {0: "none", 1: "one", 2: "two", 3: "all three"},
        why="None of the three changes the dtype, which is the cause. The first two write the op "
        "into the file for a runtime that has a kernel for it, and this interpreter has none; with "
        "the third the converter refuses the same ops as before.",
    ),
    Question(
        "reproduce/silent",
        "The file converts and runs. Are its answers those of TensorFlow?",
        {True: "yes, on every call", False: "no"},
        why="The file reads six variables, and nothing in it gives them a value. The default "
        "delegate reads memory that nobody set, and raises no error.",
    ),
)

QUIZ = (
    QuizQuestion(
        "reproduce/quiz-gone",
        "A Keras model has 5 variables, and its .tflite file has none. Where did they go?",
        {
            "They are left out, so the file answers wrong.": "Parity found the same answers on "
            "every call, so their numbers must be in the file.",
            "They became constants, because the model only reads them.": "A variable that nothing "
            "assigns can never change, so its value may stand in the file once and for all.",
            "They stay in a second file beside it.": "A .tflite file comes alone: whatever it "
            "needs is inside.",
        },
        "They became constants, because the model only reads them.",
    ),
    QuizQuestion(
        "reproduce/quiz-look",
        "'tf.VarHandleOp' op is neither a custom op nor a flex op. What do you look for first?",
        {
            "What the model assigns, how, and in which dtype.": "The message comes from a variable "
            "that is assigned: in a dtype that the builtin ops do not carry, or only in a part.",
            "A way to take VarHandleOp out of the model.": "It is named first, and it only makes "
            "the handle. The ops that use the handle stand further down the list.",
            "A converter setting that lets the op through.": "SELECT_TF_OPS and allow_custom_ops "
            "let it through, and then the interpreter refuses the file.",
        },
        "What the model assigns, how, and in which dtype.",
    ),
    QuizQuestion(
        "reproduce/quiz-proof",
        "The file converts, loads and runs without a word. How do you know that it is right?",
        {
            "It ran without an error.": "So did the digits classifier of section 5, whose answers "
            "were not those of TensorFlow.",
            "No variable is left in it.": "That is no fault and no proof: a file may hold the "
            "wrong constants.",
            "Its answers are compared with TensorFlow's, over several calls.": "In section 5 that "
            "showed at once that the file answers otherwise.",
        },
        "Its answers are compared with TensorFlow's, over several calls.",
    ),
)
