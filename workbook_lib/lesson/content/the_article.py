"""Lesson 91: the article that this workbook started from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbook_lib.lesson.content import Card, Question, QuizQuestion

if TYPE_CHECKING:
    from varhandle.sandbox import Record

_STAGES = ("model.add", "convert()", "Interpreter")


def stage_of(record: Record) -> str:
    """Say which call of the article's example stopped it, by the line that the record names."""
    if record.ok:
        return "nowhere"
    return next((stage for stage in _STAGES if stage in record.line), record.line)


def answers_right(told: bool | str) -> bool | None:
    """Say whether the file answers right; ``None`` where the converter refused, in words."""
    return None if isinstance(told, str) else told


PREDICTIONS = (
    Question(
        "the_article/where-it-stops",
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
        debrief="The converter is a tempting answer, because the article says so. Ask who of the "
        "class has ever run an example before quoting it.",
    ),
    Question(
        "the_article/without-set-weights",
        "Leave the set_weights line out. What does the converter do?",
        {
            None: "it refuses",
            False: "it converts, with wrong answers",
            True: "it converts, with right answers",
        },
        why="set_weights only writes numbers into a variable that stays. With or without it the "
        "function reads its variables and assigns none, and that is why the converter can turn "
        "them into constants.",
        key_of=answers_right,
        debrief="Whoever expects a refusal believes the article. Ask what a Keras model holds "
        "before anybody sets its weights: are those not variables?",
    ),
)

QUIZ = (
    QuizQuestion(
        "the_article/quiz-blame",
        "An example with a tf.Variable fails. What shows whether the variable is to blame?",
        {
            "That it has one.": "With the shape mended the program still had its variable, and "
            "converted.",
            "The message, and its line.": "The first example stopped at model.add, and its message "
            "names two shapes and no VarHandleOp.",
            "That others report the same.": "The article reports it as well, and names another "
            "cause than the message does.",
        },
        "The message, and its line.",
    ),
    QuizQuestion(
        "the_article/quiz-without",
        "You add a line, and the model converts. What shows that the line did it?",
        {
            "Convert without the line.": "The second example converted in both ways, so its line "
            "was not the reason.",
            "Compare the file with TensorFlow.": "Both files answered right. That says that they "
            "are good, and not why.",
            "Look for the values that the line wrote.": "They are in the file either way: a "
            "variable that is only read becomes a constant with its value.",
        },
        "Convert without the line.",
    ),
    QuizQuestion(
        "the_article/quiz-kernel",
        "What is a layer's kernel after set_weights?",
        {
            "A constant, with the numbers.": "The traced function still has a read for each of its "
            "four variables.",
            "A new variable, with the numbers.": "first.kernel is the object that it was before.",
            "The same variable as before.": "set_weights writes into it. What makes a constant of "
            "it is the converter.",
        },
        "The same variable as before.",
    ),
)

CARD = Card(
    symptom="An explanation says that a tf.Variable cannot be converted, or that TensorFlow Lite "
    "has no VarHandleOp.",
    cause="A variable that is only read becomes a constant, and a float32 one that is assigned may "
    "stay. The example of the explanation may fail on something else.",
    cure="content = tf.lite.TFLiteConverter.from_keras_model(model).convert()\n"
    "tf.lite.experimental.Analyzer.analyze(model_content=content)\n# VAR_HANDLE in what it prints: "
    "a variable that stayed",
    pages=("convert", "variables"),
)
