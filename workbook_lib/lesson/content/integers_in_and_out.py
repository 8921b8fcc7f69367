"""Appendix 98: how to talk to a file that takes int8."""

from __future__ import annotations

from workbook_lib.lesson.content import Card, Question

PREDICTIONS = (
    Question(
        "integers_in_and_out/cast",
        "The image has many values of ink, up to 0.9375. How many different integers does the cast "
        "leave?",
        {1: "one", 2: "two", 16: "as many as the image has"},
        why="A cast cuts the fraction off, so all ink below 1.0 becomes 0. In this file a 0 does "
        "not even stand for no ink, but for half of it.",
        debrief="“Two” comes from rounding, and is right for an image with full ink somewhere. "
        "Ask what real value the integer 0 stands for here, and how the image then looks to the "
        "model.",
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
