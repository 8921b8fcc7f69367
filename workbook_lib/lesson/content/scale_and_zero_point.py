"""Lesson 27: how 8 bits hold a real number."""

from __future__ import annotations

from workbook_lib.lesson.content import Card, Question, QuizQuestion

PREDICTIONS = (
    Question(
        "scale_and_zero_point/full-ink",
        "Which integer does the file want for full ink, 1.0?",
        {1: "1", 100: "100", 127: "127", 255: "255"},
        why="The scale is 1/255, so 1.0 is 255 steps above 0.0. The zero point of -128 moves them "
        "to 127, the largest integer of an int8.",
        key_of=int,
        debrief="“255” comes from uint8 images, and “1” from a cast. Ask which integer then stands "
        "for no ink, and what a cast makes of an ink of 0.5.",
    ),
)

QUIZ = (
    QuizQuestion(
        "scale_and_zero_point/quiz-zero",
        "An int8 input has the scale 1/255 and the zero point -128. Which integer is 0.0?",
        {
            "0": "That is half the ink: (0 + 128) / 255.",
            "127": "That is 1.0: (127 + 128) / 255.",
            "-128": "The zero point is the integer that stands for 0.0.",
        },
        "-128",
    ),
    QuizQuestion(
        "scale_and_zero_point/quiz-channels",
        "The weights of a layer have 16 scales. What does that tell you?",
        {
            "The layer has 16 output channels.": "Weights are quantized per channel: each has a "
            "scale that fits its own weights.",
            "The layer has 16 inputs.": "Inputs come as one tensor, which has a single scale.",
            "The calibration had 16 images.": "Weights need no calibration, because the converter "
            "knows their values.",
        },
        "The layer has 16 output channels.",
    ),
    QuizQuestion(
        "scale_and_zero_point/quiz-outside",
        "A value between two layers comes out larger than any in the calibration. What happens?",
        {
            "The interpreter raises an error.": "There is no error: the kernel stops at the "
            "largest integer.",
            "It is cut off at the end of the range.": "127 is the largest integer, and it stands "
            "for the largest value that calibration met.",
            "It wraps around to a negative number.": "A cast by hand in NumPy does that. The "
            "kernels clip.",
        },
        "It is cut off at the end of the range.",
    ),
)

CARD = Card(
    symptom="An int8 file takes your array without an error, and its answers make no sense.",
    cause="The array was cast to int8, in place of being divided by the scale and moved by the "
    "zero point.",
    cure='pixel = runner.get_input_details()["image"]["quantization_parameters"]\n'
    'steps = np.round(image / pixel["scales"][0]) + pixel["zero_points"][0]\n'
    "integers = np.clip(steps, -128, 127).astype(np.int8)",
    pages=("quantization-spec",),
)
