"""Lesson 33: a state that leaves its range, or that is too fine for its steps."""

from __future__ import annotations

from workbook_lib.lesson.content import Card, Question, QuizQuestion, nearest

FAMILIES = {"quantised-state": "int8"}

PREDICTIONS = (
    Question(
        "state_in_int8/thousand",
        "Calibrated with 1,000 rows, the file reads 100. What does it count?",
        {0: "0", 40: "about 40", 100: "about 100"},
        why="The range goes up to 1,000 in 255 steps, so a step is nearly 4. Adding 1 is less than "
        "half a step, and is rounded away each time.",
        key_of=nearest(0, 40, 100),
        debrief="About 100 is a tempting answer, because more calibration data is the usual "
        "advice. Ask for the size of a step before the cell with the ranges is run.",
    ),
)

QUIZ = (
    QuizQuestion(
        "state_in_int8/quiz-step",
        "A sum in int8 ranges up to 2,550, and each call adds 3. What becomes of it?",
        {
            "It stays where it is.": "A step is 10, and 3 is less than half of it, so each "
            "addition is rounded away.",
            "It is right up to 2,550.": "The range would hold it. The steps of the range are too "
            "coarse for what is added.",
            "It grows three times too fast.": "Rounding goes to the nearest step, and the nearest "
            "one to 3 is 0.",
        },
        "It stays where it is.",
    ),
    QuizQuestion(
        "state_in_int8/quiz-range",
        "A sum in int8 was calibrated up to 40, and goes on growing. What becomes of it?",
        {
            "It begins anew below zero.": "The integers of a program may wrap around. Those of a "
            "quantized tensor are cut off at the end of the range.",
            "It stays at 40.": "That is the last of its 256 values, and whatever lies beyond "
            "becomes it.",
            "It raises an error.": "Nothing is raised: 40 is a value like any other.",
        },
        "It stays at 40.",
    ),
    QuizQuestion(
        "state_in_int8/quiz-count",
        "Where does a model that will be quantized count its calls?",
        {
            "In a float32 variable.": "The converter gives the sum a scale, as it does with "
            "every float tensor.",
            "In one with a long calibration.": "A wide range has coarse steps, "
            "and then a small addition is lost.",
            "In an int32 variable.": "Calibration gives scales to float tensors. An integer "
            "is computed as it is.",
        },
        "In an int32 variable.",
    ),
)

CARD = Card(
    symptom="An int8 file is right for some calls. Then its state stands still.",
    cause="The sum has the range that calibration saw, in 255 steps. Beyond its end nothing is "
    "added, and what is less than half a step is lost.",
    cure='self.count = tf.Variable([0], name="count")  # counts in int32\n'
    "self.count.assign_add([1])\n"
    'options = tf.lite.experimental.QuantizationDebugOptions(denylisted_ops=["ADD"])  # sums',
    pages=("debugger", "variables"),
)
