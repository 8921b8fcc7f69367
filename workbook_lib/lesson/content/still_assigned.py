"""Lesson 22: a function that assigns cannot be frozen."""

from __future__ import annotations

from workbook_lib.lesson.content import Card, Question, QuizQuestion

FAMILIES = {
    "frozen-but-assigned": "assigned-why",
    "gather-from-frozen-table": "assigned-why",
}

PREDICTIONS = (
    Question(
        "still_assigned/which-mode",
        "Which calls of a model with a BatchNormalization assign: model(x), model(x, "
        "training=False), model(x, training=True)?",
        {  # whether each of the three assigns
            (False, False, True): "the last alone",
            (True, False, True): "the first and the last",
            (True, True, True): "all three",
            (False, False, False): "none",
        },
        why="The layer assigns in training mode only. Outside fit a call that does not say its "
        "mode is an inference, so model(x) assigns nothing.",
        debrief="Those who choose “the first and the last” think that a new model starts in "
        "training mode, as in other frameworks. Ask: what does model.predict have to say, then?",
    ),
)

QUIZ = (
    QuizQuestion(
        "still_assigned/quiz-resource",
        "Freezing stops with “incompatible with expected resource”. What is in the function?",
        {
            "A variable of a dtype that LiteRT lacks.": "The lesson's count was a float32, which "
            "LiteRT has.",
            "A variable that was never trained.": "Freezing copies whatever numbers a variable "
            "has.",
            "A node that assigns a variable.": "Freezing had put a number in the place of the "
            "handle, and a number cannot be written to.",
        },
        "A node that assigns a variable.",
    ),
    QuizQuestion(
        "still_assigned/quiz-owner",
        "The function assigns a variable, and the assignment is the point. What do you do?",
        {
            "Hand over the variable's owner.": "Then the object is saved with its variables, and "
            "the one that is assigned stays one in the file.",
            "Freeze it, and assign in the app.": "A function that assigns cannot be frozen, and a "
            "constant cannot be assigned by anybody.",
            "Hand over an empty tf.Module as well.": "It does not hold the variable, so the "
            "converter can only freeze the function, and stops on the same words.",
        },
        "Hand over the variable's owner.",
    ),
    QuizQuestion(
        "still_assigned/quiz-mode",
        "A model was built with normalize(x, training=True). Which call is an inference?",
        {
            "model(x), since inference is the default.": "It is, as long as no layer was built "
            "with a mode of its own. This one was.",
            "model(x, training=False).": "What the call is given overrules what was built in.",
            "None: the mode was built in.": "The check's second model was of this kind, and it "
            "could be frozen.",
        },
        "model(x, training=False).",
    ),
)

CARD = Card(
    symptom="Freezing or converting stops at “Input 0 of node … was passed float from … "
    "incompatible with expected resource”.",
    cause="The function assigns a variable. Often it is a layer in training mode that does.",
    cure="spec = tf.TensorSpec([None, *model.input_shape[1:]])\ntraced = "
    "tf.function(model).get_concrete_function(spec, training=False)\n# or keep the variable: "
    "from_concrete_functions([traced], owner_of_the_variable)",
    pages=("convert", "variables"),
)
