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
        "a_model_that_loses/sixteen-bits",
        "How much of what int8 loses is still lost?",
        {"all": "all of it: the weights lose", "some": "some of it", "none": "next to nothing"},
        why="Two things lose here: what flows between the layers, and the weights. With 16 bits "
        "the first loses no more, and the int8 weights lose what they did.",
        key_of=share_left,
        debrief="“Next to nothing” is a good guess in most models, whose weights lose little. Ask "
        "which file of the next section has the same weights, and no integers besides.",
    ),
)

QUIZ = (
    QuizQuestion(
        "a_model_that_loses/quiz-no-data",
        "Which of these recipes needs no data from you?",
        {
            "int8": "Its activations need ranges, and these come from calibration.",
            "16x8": "Its activations have 16 bits and need ranges as well.",
            "dynamic range": "The converter knows the weights, and what flows gets a new range at "
            "every call.",
        },
        "dynamic range",
    ),
    QuizQuestion(
        "a_model_that_loses/quiz-steps",
        "The debugger says that a layer has an error of 0.3 steps. What does that tell you?",
        {
            "It loses little more than rounding alone does.": "Rounding to whole steps makes an "
            "error of 0.29 steps.",
            "The layer should stay in float.": "Rounding alone costs as much, so float has little "
            "to win back here.",
            "The model loses 30 % of its accuracy.": "A step is the distance between two integers "
            "of a tensor. Accuracy is counted on held-out digits.",
        },
        "It loses little more than rounding alone does.",
    ),
    QuizQuestion(
        "a_model_that_loses/quiz-rest",
        "What costs int8 the digits that 16x8 does not lose?",
        {
            "The last layer.": "The debugger finds no more than rounding there.",
            "What flows between the layers.": "Both have int8 weights. 16x8 gives more bits to "
            "what flows.",
            "Too few calibration images.": "16x8 was calibrated with the same ones.",
        },
        "What flows between the layers.",
    ),
)

CARD = Card(
    symptom="The int8 file names far fewer inputs rightly than the float file does.",
    cause="In some tensor the values have very different sizes, and one scale has to hold all of "
    "them.",
    cure="options = tf.lite.experimental.QuantizationDebugOptions(denylisted_nodes=[worst])\n"
    "debugger = tf.lite.experimental.QuantizationDebugger(converter=converter, "
    "debug_dataset=dataset, debug_options=options)\n"
    "content = debugger.get_nondebug_quantized_model()  # that layer in float",
    pages=("quantizer", "debugger", "qat"),
)
