"""Lesson 23: the ways into the converter."""

from __future__ import annotations

from collections.abc import Mapping

from workbook_lib.lesson.content import Card, Question, QuizQuestion

FAMILIES = {"op-without-builtin": "flex-why"}


def keras_door(seen: tuple[Mapping[str, bytes], Mapping[str, object]]) -> str:
    """Say what Keras's own door made: no file, one that answers, or one that does not run."""
    files, outcomes = seen
    if "Model.export" not in files:
        return "refused"
    return "answers" if isinstance(outcomes["Model.export"], list) else "does not run"


PREDICTIONS = (
    Question(
        "four_doors/keras-door",
        'The total is float16. What does model.export(path, format="litert") do?',
        {
            "refused": "it raises, as the converter does",
            "answers": "it writes a file that counts",
            "does not run": "it writes a file that the interpreter does not run",
        },
        why="Keras lets the converter use TensorFlow's own ops where there is no builtin. The "
        "converter then refuses nothing, and the interpreter has no kernels for these ops.",
        key_of=keras_door,
        debrief="Most expect the same error, since it is the same converter. Ask which setting "
        "would let an op without a builtin through, and who might have set it.",
    ),
)

QUIZ = (
    QuizQuestion(
        "four_doors/quiz-flex",
        "A file made by Model.export runs nowhere: Select TensorFlow ops are missing. Why?",
        {
            "Keras allowed Flex ops, and the model needs some.": "The other doors would have "
            "refused, and named the ops.",
            "The file was damaged when it was written.": "The interpreter could read all of it, "
            "and names the op that it has no kernel for.",
            "The interpreter is older than the converter.": "The newest one says the same. Flex "
            "ops are an add-on, which the Python packages do not bring along.",
        },
        "Keras allowed Flex ops, and the model needs some.",
    ),
    QuizQuestion(
        "four_doors/quiz-mode",
        "A model needs its training mode on the device. Which door keeps it?",
        {
            "from_keras_model.": "It traces the model with training=False, and the file of the "
            "lesson did not assign.",
            "Model.export with the format litert.": "Keras traces with training=False there, too.",
            "A SavedModel by Model.export(folder), and from_saved_model.": "The SavedModel is "
            "traced as the model was built, and its file assigned.",
        },
        "A SavedModel by Model.export(folder), and from_saved_model.",
    ),
    QuizQuestion(
        "four_doors/quiz-same",
        "What do all four doors have in common, if a function comes with its owner?",
        {
            "They freeze every variable.": "The total stayed a variable in every file: it counted.",
            "They lead through a SavedModel.": "So the question at each door is whether the "
            "object can be saved whole.",
            "They refuse ops without a builtin.": "Three of them do.",
        },
        "They lead through a SavedModel.",
    ),
)

CARD = Card(
    symptom='model.export(path, format="litert") succeeds, and the interpreter says that Select '
    "TensorFlow ops are not supported.",
    cause="Keras allows Flex ops without a word, where the converter would have refused.",
    cure="model.export(\n"
    '    path, format="litert", target_spec={"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]}\n'
    ")",
    pages=("keras-export", "select-ops", "saved-model"),
)
