"""Lesson 33: a state that leaves its range, or that is too fine for its steps."""

from __future__ import annotations

from workbook_lib.lesson.content import Card, Question, QuizQuestion, nearest

FAMILIES = {"quantised-state": "int8"}

PREDICTIONS = (
    Question(
        "state_in_int8/forty",
        "Calibrated with 40 rows, the file now reads 100. What does it count?",
        {40: "about 40", 100: "about 100", 255: "about 255"},
        why="Calibration met counts up to 40, so the range of the count ends there. 40 + 1 has no "
        "integer of its own, and it stays 40.",
        key_of=nearest(40, 100, 255),
        debrief="Who chooses 255 knows that int8 has 256 values. Ask what one step of them is "
        "worth: the scale decides, and the scale is made from what calibration saw.",
    ),
    Question(
        "state_in_int8/thousand",
        "Calibrated with 1,000 rows, the file reads 100. What does it count?",
        {0: "0", 40: "about 40", 100: "about 100"},
        why="The range goes up to 1,000 in 255 steps, so a step is nearly 4. Adding 1 is less than "
        "half a step, and is rounded away each time.",
        key_of=nearest(0, 40, 100),
        debrief="Nearly everybody chooses about 100, and so would most advice: more calibration "
        "data. Ask for the size of a step before the cell with the ranges is run.",
    ),
)

QUIZ = (
    QuizQuestion(
        "state_in_int8/quiz-step",
        "A sum in int8 ranges up to 2,550, and 3 is added at each call. What becomes of it?",
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
        "state_in_int8/quiz-memory",
        "Why does the memory of the reader still work in int8?",
        {
            "It is kept in float32.": "The variable is, and so is the count. What is computed with "
            "them goes through int8.",
            "tanh keeps it between -1 and 1.": "Calibration has seen its whole range, and it "
            "stays there however many rows come.",
            "It is assigned, and not added to.": "How the value gets into the variable makes no "
            "difference: a sum that is assigned saturates as well.",
        },
        "tanh keeps it between -1 and 1.",
    ),
    QuizQuestion(
        "state_in_int8/quiz-count",
        "You design a model that counts its calls, and will be quantized. How do you keep the "
        "count?",
        {
            "In a float32 variable.": "The converter gives the sum a scale, as it does with "
            "every float tensor.",
            "In a float32 variable, with a long calibration.": "A wide range has coarse steps, "
            "and then a small addition is lost.",
            "In an int32 variable.": "Calibration gives scales to float tensors. An integer "
            "is computed as it is.",
        },
        "In an int32 variable.",
    ),
)

CARD = Card(
    symptom="An int8 file is right for some calls. Then its state stands still, or drifts away.",
    cause="The sum has the range that calibration saw, in 255 steps. Beyond its end nothing is "
    "added, and what is less than half a step is lost.",
    cure='self.count = tf.Variable([0], name="count")  # counts in int32\n'
    "self.count.assign_add([1])\n"
    'options = tf.lite.experimental.QuantizationDebugOptions(denylisted_ops=["ADD"])  # sums',
    pages=("debugger", "variables"),
)
