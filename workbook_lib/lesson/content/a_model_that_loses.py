"""Lesson 28: what fewer bits cost, and how to win it back."""

from __future__ import annotations

from workbook_lib.lesson.content import Card, Question, QuizQuestion


def share_left(share: float) -> str:
    """Say in a word how much of a loss is left."""
    if share > 0.8:
        return "all"
    return "some" if share > 0.1 else "none"


PREDICTIONS = (
    Question(
        "a_model_that_loses/one-layer",
        "How much of int8's loss is left with that layer in float?",
        {"all": "nearly all of it", "some": "some of it", "none": "next to nothing"},
        why="The other layers make little more than the error of rounding. In this one, large and "
        "small weights share a step, and those for the largest channel all become 0.",
        key_of=share_left,
        debrief="Who thinks that every layer loses its share chooses “some of it”. Ask for the "
        "errors of the other layers, counted in their own steps.",
    ),
)

QUIZ = (
    QuizQuestion(
        "a_model_that_loses/quiz-weight",
        "An output channel has weights up to 0.35. What does int8 leave of one of 0.0003?",
        {
            "All of it: weights have many scales.": "One for each output channel, and it has to "
            "hold the weights for all input channels.",
            "Nothing: it becomes 0.": "A step is 0.35 / 127, or 0.0028. 0.0003 is nearer to 0 "
            "steps than to 1.",
            "The end of the range.": "A value that is cut off is too large for the range. This one "
            "is too small for a step.",
        },
        "Nothing: it becomes 0.",
    ),
    QuizQuestion(
        "a_model_that_loses/quiz-steps",
        "A layer has an error of 0.3 steps. What does that tell you?",
        {
            "It loses little more than rounding.": "Rounding to whole steps makes an error of 0.29 "
            "steps.",
            "It should stay in float.": "Rounding alone costs as much, so float has little to win "
            "back here.",
            "The model loses 30 % of its accuracy.": "A step is the distance between two integers "
            "of a tensor. Accuracy is counted on held-out digits.",
        },
        "It loses little more than rounding.",
    ),
    QuizQuestion(
        "a_model_that_loses/quiz-price",
        "What do you pay for a layer in float?",
        {
            "A new training.": "The weights stay as they are, and the converter writes them as "
            "floats.",
            "The accuracy of the other layers.": "Their integers stay as they were.",
            "Bytes.": "A float has four bytes, and an int8 one. A call may take longer as well: "
            "see the last bars of the plot.",
        },
        "Bytes.",
    ),
)

CARD = Card(
    symptom="The int8 file names far fewer inputs rightly than the float file does.",
    cause="In some tensor the values have very different sizes, and one scale has to hold all of "
    "them.",
    cure="options = tf.lite.experimental.QuantizationDebugOptions(denylisted_nodes=[worst])"
    "  # in float\n"
    'given = {"converter": converter, "debug_dataset": dataset, "debug_options": options}\n'
    "content = tf.lite.experimental.QuantizationDebugger(**given).get_nondebug_quantized_model()",
    pages=("quantizer", "debugger", "qat"),
)
