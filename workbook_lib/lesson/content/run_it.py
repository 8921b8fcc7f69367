"""Lesson 26: how a program runs the file."""

from __future__ import annotations

from workbook_lib.lesson.content import Card, Question, QuizQuestion

FAMILIES = {
    "interpreter-call": "by-name-why",
    "unwritten-output": "compiled-why",
    "dynamic-shape": "batch-why",
}

PREDICTIONS = (
    Question(
        "run_it/five-images",
        "Runner and CompiledModel have had one image, and now get five. Which takes them?",
        {
            (True, True): "both",
            (True, False): "only the runner",
            (False, True): "only the CompiledModel",
            (False, False): "neither",
        },
        why="A signature runner looks at the array, and resizes the input if its shape is another "
        "one. The buffer of a CompiledModel was made for one image, and five do not fit into it.",
        key_of=tuple,
        debrief="Whoever has used set_tensor chooses “neither”: there the program has to make room "
        "itself. Ask what a device gains if nothing is ever resized behind its back.",
    ),
)

QUIZ = (
    QuizQuestion(
        "run_it/quiz-names",
        "You are to run a colleague's file, and do not know its names. What do you do?",
        {
            "Call get_signature_list().": "It lists every signature with its inputs and outputs, "
            "and a runner takes them by these names.",
            "Take input 0 and output 0.": "Where a file has several of them, their order says "
            "nothing of what they are.",
            "Convert the model again.": "You have the file, and it says its names itself.",
        },
        "Call get_signature_list().",
    ),
    QuizQuestion(
        "run_it/quiz-room",
        "A CompiledModel made for one image is to name five. What comes first?",
        {
            "Nothing: the first dimension is open.": "Open is what the file allows. The buffers "
            "were made for one image, and `write` refuses five.",
            "A new conversion with a batch of five.": "The file allows any batch.",
            "Resize its input; then new buffers.": "A runner resizes by itself. With CompiledModel "
            "the program decides when memory is made.",
        },
        "Resize its input; then new buffers.",
    ),
    QuizQuestion(
        "run_it/quiz-compiled",
        "Why does CompiledModel ask you for buffers?",
        {
            "It cannot read a signature.": "It lists them as the interpreter does, and runs one by "
            "its name or its number.",
            "A GPU or an NPU may use them.": "They are made once and filled for each call, so "
            "nothing has to be copied from place to place.",
            "It runs several inputs at once.": "A call has one set of inputs, and a batch is one "
            "input.",
        },
        "A GPU or an NPU may use them.",
    ),
)

CARD = Card(
    symptom="“source buffer is larger than the tensor buffer”, or “Cannot set tensor: Dimension "
    "mismatch”.",
    cause="The program gives another shape than it has made room for.",
    cure="runner = interpreter.get_signature_runner()  # it resizes by itself\n(name,) = "
    "runner.get_input_details()\nanswer = runner(**{name: images})",
    pages=("inference",),
)
