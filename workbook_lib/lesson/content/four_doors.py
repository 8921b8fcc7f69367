"""Lesson 23: the ways into the converter."""

from __future__ import annotations

from workbook_lib.lesson.content import Card, Question, QuizQuestion

FAMILIES = {"op-without-builtin": "flex-why"}


def keras_door(seen: tuple[bool, str]) -> str:
    """Say what Keras's own door made: no file, one that runs, or one that does not."""
    written, outcome = seen
    if not written:
        return "refused"
    return "runs" if outcome == "it runs" else "does not run"


PREDICTIONS = (
    Question(
        "four_doors/keras-door",
        'The total is float16. What does model.export(path, format="litert") do?',
        {
            "refused": "it raises an error as well",
            "runs": "it writes a file that runs",
            "does not run": "it writes a file that does not run",
        },
        why="Keras lets the converter use TensorFlow's own ops where there is no builtin. The "
        "converter then refuses nothing, and the interpreter has no kernels for these ops.",
        key_of=keras_door,
        debrief="The same error is a tempting answer, because it is the same converter. Ask which "
        "setting would let an op without a builtin through, and who might have set it.",
    ),
)

QUIZ = (
    QuizQuestion(
        "four_doors/quiz-flex",
        "The interpreter refuses a file of Model.export: Select TensorFlow ops are missing. Why?",
        {
            "Keras allowed Flex ops; the model has some.": "The other doors would have refused, "
            "and named the ops.",
            "The file was damaged when it was written.": "The interpreter could read all of it, "
            "and names the op that it has no kernel for.",
            "The interpreter is older than the converter.": "The newest one says the same. Flex "
            "ops are an add-on, which the Python packages do not bring along.",
        },
        "Keras allowed Flex ops; the model has some.",
    ),
    QuizQuestion(
        "four_doors/quiz-setting",
        "Which argument of Model.export keeps Flex ops out of the file?",
        {
            "None: Keras decides.": "The exercise has shown one.",
            "allow_custom_ops": "This lets more in: ops whose code you must write.",
            "target_spec": "Keras hands it to the converter, which then refuses an op without a "
            "builtin.",
        },
        "target_spec",
    ),
    QuizQuestion(
        "four_doors/quiz-same",
        "What do all four doors have in common, if a function comes with its owner?",
        {
            "They freeze every variable.": "The count of lesson 22, which came with its owner, "
            "stayed a variable.",
            "They lead through a SavedModel.": "So the question at each door is whether the object "
            "can be saved whole.",
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
