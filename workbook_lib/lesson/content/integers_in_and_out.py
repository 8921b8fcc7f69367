"""Appendix 98: how to talk to a file that takes int8."""

from __future__ import annotations

from workbook_lib.lesson.content import Card, Question, QuizQuestion

PREDICTIONS = (
    Question(
        "integers_in_and_out/cast",
        "The image has many values of ink, up to 0.9375. How many different integers does the cast "
        "leave?",
        {1: "one", 2: "two", 16: "as many as the image has"},
        why="A cast cuts the fraction off, so all ink below 1.0 becomes 0. In this file a 0 does "
        "not even stand for no ink, but for half of it.",
        debrief="“Two” comes from rounding, and is right for an image with full ink somewhere. Ask "
        "what real value the integer 0 stands for here, and how the image then looks to the model.",
    ),
)

QUIZ = (
    QuizQuestion(
        "integers_in_and_out/quiz-no-ink",
        "Which integer tells this file that a pixel has no ink?",
        {
            "0": "That is the cast's answer, and here it stands for 0.5.",
            "127": "That is 255 steps above the zero point: 1.0, which is full ink.",
            "-128": "No ink is no step away from the zero point, and that is -128.",
        },
        "-128",
    ),
    QuizQuestion(
        "integers_in_and_out/quiz-score",
        "The file answers -64 for a digit. Which score is that?",
        {
            "about 0.25": "It is 64 steps of 0.00391 above the zero point of -128.",
            "about -0.25": "That is -64 · 0.00391. The zero point has not been subtracted.",
            "-64": "This is an integer still. The real value needs the scale and the zero point.",
        },
        "about 0.25",
    ),
    QuizQuestion(
        "integers_in_and_out/quiz-whose",
        "Whose scale and zero point turn the answer into real values?",
        {
            "The input's.": "Here they are nearly the same, 0.00392 and 0.00391. They are two "
            "entries all the same.",
            "The output's.": "Each tensor has its own, and the file holds them.",
            "Those of int8: 1/255 and -128.": "They are not int8's: the input and the output of "
            "this very file differ in their scale.",
        },
        "The output's.",
    ),
)

CARD = Card(
    symptom="An int8 file answers with integers, or with real values that are far off.",
    cause="Nothing has turned its integers into real values. The output has a scale and a zero "
    "point of its own.",
    cure='found = runner.get_output_details()["output_0"]["quantization_parameters"]\n'
    'scores = (integers.astype(np.float32) - found["zero_points"][0]) * found["scales"][0]',
    pages=("quantization-spec", "inference"),
)
