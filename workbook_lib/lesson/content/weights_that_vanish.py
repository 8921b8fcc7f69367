"""Lesson 24: a module does not see the variables of Keras 3."""

from __future__ import annotations

from workbook_lib.lesson.content import Card, Question, QuizQuestion

FAMILIES = {"keras3-export": "vanished-text"}

PREDICTIONS = (
    Question(
        "weights_that_vanish/keras-owner",
        "The Keras model is handed to the converter as the owner. What comes of it?",
        {  # does the file answer right?
            True: "a file that answers right",
            False: "a file that answers wrong",
            None: "no file: the converter refuses",
        },
        why="Saving looks for tf.Variable. A Keras model has variables of Keras's class, so it is "
        "as wrong an owner as the service.",
        debrief="The file that answers right is a tempting answer, because the weights are in the "
        "model. Ask of which class its variables are, and for which class saving looks.",
    ),
)

QUIZ = (
    QuizQuestion(
        "weights_that_vanish/quiz-cure",
        "A Keras 3 model inside a tf.Module: the file answers garbage. Which line cures it?",
        {
            "self._variables = [v.value for v in model.variables]": "Now the module holds each "
            "tf.Variable itself, and saves its value.",
            "tf.lite.TFLiteConverter.from_concrete_functions([f], model)": "The variables of the "
            "Keras model are of Keras's class as well, and that file answered wrong.",
            "converter.allow_custom_ops = True": "No op is missing. The values of the variables "
            "are.",
        },
        "self._variables = [v.value for v in model.variables]",
    ),
    QuizQuestion(
        "weights_that_vanish/quiz-early",
        "What shows the fault before you convert anything?",
        {
            "The size of the SavedModel.": "The values are in it, under the names of variables "
            "that no function reads.",
            "A warning of tf.saved_model.save.": "There was none, and the converter was silent as "
            "well.",
            "module.variables is too short.": "What the module does not own, the function in the "
            "SavedModel does not find.",
        },
        "module.variables is too short.",
    ),
    QuizQuestion(
        "weights_that_vanish/quiz-table",
        "A file has six variables that are read and never initialized. Is it right?",
        {
            "Yes: a device fills them in.": "Nothing in the file does, and nobody outside can.",
            "No: they should be constants.": "The weights are in the file only where the converter "
            "could find their values.",
            "Yes, if the default delegates answer.": "They answer from memory that nobody set.",
        },
        "No: they should be constants.",
    ),
)

CARD = Card(
    symptom="The file of a Keras 3 model in a tf.Module converts and answers garbage, or stops at "
    "“variable != nullptr was not true”.",
    cause="A tf.Module does not see the variables of Keras 3, so the function that reads them does "
    "not find their values.",
    cure="module._variables = [variable.value for variable in model.variables]\n"
    "tf.saved_model.save(module, folder, signatures=module.__call__)\ncontent = "
    "tf.lite.TFLiteConverter.from_saved_model(folder).convert()",
    pages=("saved-model", "keras-export"),
)
