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
        "Both have had one image so far. Now each is given five. Which takes them?",
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
        "A colleague's file is to be run, and you do not know its names. What do you do?",
        {
            "Ask the file: get_signature_list().": "It lists every signature with its inputs and "
            "outputs, and a runner takes them by these names.",
            "Take input 0 and output 0, whatever they are.": "Numbers change from conversion to "
            "conversion, also where the model stays the same.",
            "Convert the model again with names of your own.": "You have the file, and it says "
            "its names itself.",
        },
        "Ask the file: get_signature_list().",
    ),
    QuizQuestion(
        "run_it/quiz-tensors",
        "By tensor numbers, you want to hand over five images in place of one. What comes first?",
        {
            "Nothing: the first dimension is open.": "Open is what the file allows. Memory is "
            "planned for one image, and set_tensor refuses five.",
            "A new conversion with a batch of five.": "The file allows any batch: its "
            "shape_signature begins with -1.",
            "resize_tensor_input, then allocate_tensors.": "By numbers, a new shape needs a new "
            "plan. A runner does the same two calls for you.",
        },
        "resize_tensor_input, then allocate_tensors.",
    ),
    QuizQuestion(
        "run_it/quiz-compiled",
        "Why does CompiledModel ask you for buffers?",
        {
            "It cannot read a signature.": "It lists them as the interpreter does, and runs one by "
            "its name or its number.",
            "They may lie where a GPU or an NPU reaches them.": "They are made once and filled for "
            "each call, so nothing has to be copied from place to place.",
            "It runs several inputs at the same time.": "A call has one set of inputs, and a batch "
            "is one input.",
        },
        "They may lie where a GPU or an NPU reaches them.",
    ),
)

CARD = Card(
    symptom="“Cannot set tensor: Dimension mismatch”, or “Invalid Input Name”.",
    cause="The program gives another shape or name than the file has room or a name for.",
    cure="runner = interpreter.get_signature_runner()  # it resizes by itself\n"
    "(name,) = runner.get_input_details()\n"
    "answer = runner(**{name: images})",
    pages=("inference",),
)
