"""Appendix 97: which inputs an int8 converter should see."""

from __future__ import annotations

from workbook_lib.lesson.content import Card, Question, QuizQuestion

FAMILIES = {"full-integer-quantization": "missing-why"}


def band(share: float) -> str:
    """Say how much of the held-out digits a share is: of ten digits, chance names 10 % rightly."""
    if share > 0.9:
        return "all"
    return "half" if share > 0.2 else "chance"


PREDICTIONS = (
    Question(
        "calibration/blank-images",
        "Calibrate int8 with blank images. How many of the held-out digits does the file name "
        "rightly?",
        {
            "all": "nearly all",
            "half": "about half",
            "chance": "hardly more than by chance",
        },
        why="The ranges of the activations come from images without ink, so they are far too "
        "narrow, and the values of a real image are cut off at their ends.",
        key_of=band,
        debrief="The answer “nearly all” tempts, because there is no error and no warning. Ask "
        "where one would come from: for the converter, blank images are images like any others.",
    ),
)

QUIZ = (
    QuizQuestion(
        "calibration/quiz-ranges",
        "What do blank images get wrong?",
        {
            "The weights of the layers.": "The converter finds them in the model, whatever images "
            "it gets.",
            "The ranges between the layers.": "Nothing large flowed from a blank image. What a "
            "real one needs is cut off.",
            "The type: eight bits are too few.": "Calibrated with real images, int8 named over "
            "95 % rightly.",
        },
        "The ranges between the layers.",
    ),
    QuizQuestion(
        "calibration/quiz-held-out",
        "Why not calibrate with held-out images?",
        {
            "Nothing would be left to test with.": "What helped to make the file cannot show how "
            "it does on images that are new to it.",
            "They have no labels, which it needs.": "Calibration asks for none: the lesson's "
            "datasets yield images alone.",
            "The converter refuses them.": "It took even the blank ones, and said nothing.",
        },
        "Nothing would be left to test with.",
    ),
    QuizQuestion(
        "calibration/quiz-no-data",
        "Which recipe can do without data?",
        {
            "int8 throughout": "The converter raised a ValueError: it wants a representative "
            "dataset.",
            "16x8": "It has more bits for what flows, and needs data for the ranges all the same.",
            "int4 weights": "Only the weights are rounded, and these are in the model.",
        },
        "int4 weights",
    ),
)

CARD = Card(
    symptom="“For full integer quantization, a representative_dataset must be specified”, or an "
    "int8 file that is wrong on real inputs.",
    cause="The ranges between the layers come from the calibration data: none, or the wrong ones.",
    cure="def training_images():  # as the model gets them: same scaling, same kind\n"
    '    yield from ({"image": image[np.newaxis]} for image in train_images[:100])\n'
    "converter.representative_dataset = training_images",
    pages=("quantization-spec",),
)
