"""What notebook 05 asks."""

from workbook_lib.lesson.content import Question, QuizQuestion, nearest


def band(share: float) -> str:
    """Say how much of the held-out digits a share is: of ten digits, chance names 10 % rightly."""
    if share > 0.9:
        return "all"
    return "half" if share > 0.2 else "chance"


PREDICTIONS = (
    Question(
        "quantize/float16-arithmetic",
        "A float32 input meets float16 weights. In what does this file compute?",
        {False: "in float16", True: "in float32: the weights are turned back first"},
        why="The file has two DEQUANTIZE ops besides, one for each layer. They turn the float16 "
        "weights back into float32, before these meet the float32 input.",
    ),
    Question(
        "quantize/blank-images",
        "Calibrate int8 with blank images. How many of the held-out digits does the file name "
        "rightly?",
        {
            "all": "as many as before",
            "half": "about half",
            "chance": "hardly more than by chance",
        },
        why="The ranges of the activations come from images without ink, so they are far too "
        "narrow, and the values of a real image are cut off at their ends.",
        key_of=band,
    ),
    Question(
        "quantize/tenth-call",
        "It was calibrated over five calls. At the tenth TensorFlow answers 10.5. And int8?",
        {10.5: "about 10.5", 5.5: "about 5.5", 1.5: "about 1.5: it starts again"},
        why="Calibration met no count above 5, so the range of the addition ends there. 5 + 1 has "
        "no integer of its own and stays 5, and the answer adds 0.5.",
        key_of=nearest(10.5, 5.5, 1.5),
    ),
)

QUIZ = (
    QuizQuestion(
        "quantize/quiz-no-data",
        "Which of these recipes needs no data from you?",
        {
            "int8": "Its activations need ranges, and these come from calibration.",
            "16x8": "Its activations have 16 bits and need ranges as well.",
            "dynamic range": "It has integers for the weights alone, and the converter knows "
            "their values.",
        },
        "dynamic range",
    ),
    QuizQuestion(
        "quantize/quiz-steps",
        "The debugger says that a layer has an error of 0.3 steps. What does that tell you?",
        {
            "It loses little more than rounding alone does.": "Rounding to whole steps makes an "
            "error of 0.29 steps.",
            "The layer should stay in float.": "Rounding alone costs as much, so float has little "
            "to win back here.",
            "The model loses 30 % of its accuracy.": "A step is the distance between two integers "
            "of a tensor. Accuracy is counted on held-out digits.",
        },
        "It loses little more than rounding alone does.",
    ),
    QuizQuestion(
        "quantize/quiz-state",
        "A count is calibrated up to 20, and the app calls 40 times. What does the file answer?",
        {
            "It counts on to 40.": "There is no integer beyond the end of the range.",
            "It stays at the value of the twentieth call, without an error.": "It saturates: "
            "20 of 40 calls agreed. Keep its ops in float, or calibrate up to a bound that holds.",
            "It begins again at 0.": "Integers of this kind stop at their end, and do not wrap "
            "around.",
        },
        "It stays at the value of the twentieth call, without an error.",
    ),
)
