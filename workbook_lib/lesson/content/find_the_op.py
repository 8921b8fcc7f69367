"""Lesson 35: the first op whose output differs although its inputs agree."""

from __future__ import annotations

from collections.abc import Mapping

from workbook_lib.lesson.content import Card, Question, QuizQuestion

FAMILIES = {"lost-activation": "real-why"}


def how_many_differ(largest: Mapping[str, float]) -> str:
    """Say which layers differ, by the largest difference of each in the order of execution."""
    found = [difference > 1e-4 for difference in largest.values()]
    if all(found):
        return "all"
    first = found.index(True) if any(found) else len(found)
    if first + 1 < len(found) and all(found[first:]):
        return "behind"
    return "one" if sum(found) == 1 else "some"


PREDICTIONS = (
    Question(
        "find_the_op/layers",
        "One op is at fault. Which of edges, shrink, strokes and flatten give something else?",
        {
            "one": "only the one with that op",
            "behind": "that one, and every layer behind it",
            "all": "all four",
        },
        why="What comes before the fault never meets it. What comes behind takes the wrong numbers "
        "in, so its outputs differ though its op is right.",
        key_of=how_many_differ,
        debrief="All three sound right to somebody. Ask what a list of all differing layers would "
        "be good for, and which entry of it says most.",
    ),
)

QUIZ = (
    QuizQuestion(
        "find_the_op/quiz-first",
        "Ten ops differ. Which one do you look at?",
        {
            "The first that is executed.": "Its inputs still agree, so the fault is in it. All "
            "others may only pass on what they were given.",
            "The one that differs most.": "Errors grow on the way. The largest is often near the "
            "end, far behind the fault.",
            "The last.": "It gives the answer. That is where you noticed it, and everything that "
            "went wrong has come together there.",
        },
        "The first that is executed.",
    ),
    QuizQuestion(
        "find_the_op/quiz-preserve",
        "Why experimental_preserve_all_tensors?",
        {
            "It makes the answers more exact.": "It changes where tensors lie in memory, and not "
            "what is computed.",
            "It gives the tensors names.": "The names are in the file in any case.",
            "Later ops may overwrite tensors.": "Tensors share memory. After the call you would "
            "read what came last to that place.",
        },
        "Later ops may overwrite tensors.",
    ),
    QuizQuestion(
        "find_the_op/quiz-rounding",
        "Two outputs differ by 3e-8. What does it tell you?",
        {
            "The op is at fault.": "Float32 has some seven digits, and the two runtimes add up in "
            "another order.",
            "Nothing: both are rounded.": "Compare with a tolerance that fits the dtype. For int8 "
            "that is a step or two of the tensor's scale.",
            "They are of different layers.": "Then they would not agree to seven digits.",
        },
        "Nothing: both are rounded.",
    ),
)

CARD = Card(
    symptom="A file converts, runs, and answers something else than its model.",
    cause="One op computes otherwise, or its weights are others. What comes behind mostly differs "
    "as well. `varhandle locate MODEL FILE.tflite` names the first.",
    cure="kept = Interpreter(model_content=content, experimental_preserve_all_tensors=True)\n"
    "kept.allocate_tensors()  # set the inputs, invoke, and get_tensor gives every op's output\n"
    "wanted = tf.keras.Model(model.inputs, [layer.output for layer in model.layers])",
    pages=("keras-export", "convert"),
)
