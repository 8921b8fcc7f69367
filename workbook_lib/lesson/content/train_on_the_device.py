"""Lesson 34: a training step whose gradients have builtin ops."""

from __future__ import annotations

from collections.abc import Mapping

from workbook_lib.lesson.content import Card, Question, QuizQuestion


def converted(outcomes: Mapping[str, str]) -> tuple[bool, ...]:
    """Say of each activation, in the order in which they were tried, whether it converted."""
    return tuple(outcome == "converted" for outcome in outcomes.values())


PREDICTIONS = (
    Question(
        "train_on_the_device/relu",
        "With which activation does the training step convert?",
        {
            (True, True): "with both",
            (True, False): "only with tf.nn.relu",
            (False, True): "only with tf.maximum",
            (False, False): "with neither",
        },
        why="Both have a builtin for the way forward. The gradient of tf.nn.relu is an op of its "
        "own, ReluGrad, with no builtin. That of a maximum is a comparison and a selection.",
        key_of=converted,
        debrief="“With neither” is a tempting answer, because old advice says that training needs "
        "Flex. Ask what the tape leaves in the graph: ordinary ops, and each has a builtin or has "
        "not.",
    ),
)

QUIZ = (
    QuizQuestion(
        "train_on_the_device/quiz-grad",
        "Inference converts, and the training step is refused. Where do you look?",
        {
            "At the optimizer.": "Plain gradient descent is a product and an assignment, and both "
            "have builtins.",
            "At the ops of gradients.": "The error names them. Each comes from an op of the way "
            "forward, which you can write otherwise.",
            "At the number of variables.": "There may be as many as you like.",
        },
        "At the ops of gradients.",
    ),
    QuizQuestion(
        "train_on_the_device/quiz-upstream",
        "What does the inner function of tf.custom_gradient return?",
        {
            "How the loss changes with the input.": "It gets how the loss changes with the output, "
            "and multiplies by the slope of the function: the chain rule.",
            "The slope of the function, without the loss.": "Then the layers above would have no "
            "part in it. The slope is multiplied by what comes in.",
            "The new weights.": "The weights are changed by the assignments, after all gradients "
            "are known.",
        },
        "How the loss changes with the input.",
    ),
    QuizQuestion(
        "train_on_the_device/quiz-restart",
        "The app is closed after training, and opened again. How does the file answer?",
        {
            "As after training.": "Nothing is ever written into the file.",
            "Not at all.": "The file is as it was, and it runs.",
            "As before training.": "The weights lived in the interpreter. Take them out with a "
            "signature, and put them back after a restart.",
        },
        "As before training.",
    ),
)

CARD = Card(
    symptom="The converter refuses a training step at ReluGrad or another op whose name ends in "
    "Grad.",
    cause="TensorFlow has an op of its own for that gradient, and LiteRT has no builtin for it.",
    cure="hidden = tf.maximum(images @ w1 + b1, 0.0)  # in place of tf.nn.relu\nslopes = "
    "tape.gradient(loss, [w1, b1])  # or tf.custom_gradient around the op\nfor weight, slope in "
    "zip([w1, b1], slopes): weight.assign_sub(rate * slope)",
    pages=("training", "select-ops"),
)
