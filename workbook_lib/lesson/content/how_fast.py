"""Lesson 29: where the time goes."""

from __future__ import annotations

from workbook_lib.lesson.content import Card, Question, QuizQuestion

PREDICTIONS = (
    Question(
        "how_fast/adding",
        "What does it answer, as it is and with that flag?",
        {
            (2049, 2049): "2049 both times: DEQUANTIZE makes it float32",
            (2049, 2048): "2049, and 2048 with the flag",
            (2048, 2048): "2048 both times: the weights are float16",
        },
        why="The runtime decides on the type. By default XNNPACK computes in float32, and with the "
        "flag in float16, though the file and its DEQUANTIZE op are the same.",
        key_of=tuple,
        debrief="2049 twice is a tempting answer, because the op list reads like a program. Ask "
        "who reads that list on a phone with a GPU, and what that reader may do with it.",
    ),
)

QUIZ = (
    QuizQuestion(
        "how_fast/quiz-float16",
        "A float16 file is half as large. Is it faster?",
        {
            "Yes: half the bytes are read.": "By default the weights become float32 when the file "
            "is opened, and the kernels read these.",
            "Measure on the device that counts.": "It depends on whether the runtime there "
            "computes in float16, and the file does not say.",
            "No: DEQUANTIZE takes time at every call.": "XNNPACK turns constant weights back once, "
            "when it opens the file.",
        },
        "Measure on the device that counts.",
    ),
    QuizQuestion(
        "how_fast/quiz-median",
        "Why the median of many runs, after a warm-up?",
        {
            "One run may be interrupted.": "A shared machine slows single runs down, and the first "
            "runs are slower as a rule.",
            "Python has no mean.": "It has, and one run that was interrupted moves it far.",
            "The runtime learns with every run.": "It learns nothing. The first runs are slower "
            "because nothing that they need is in the processor's cache yet.",
        },
        "One run may be interrupted.",
    ),
    QuizQuestion(
        "how_fast/quiz-cache",
        "What does the weight cache save?",
        {
            "Bytes of the .tflite file.": "The file stays as it is, and the cache is a second file "
            "beside it.",
            "Time of every call.": "A call uses packed weights with and without a cache.",
            "Time at the next opening.": "The weights are packed once and kept, in place of being "
            "packed at every start.",
        },
        "Time at the next opening.",
    ),
)

CARD = Card(
    symptom="An app starts slowly, since it opens a large .tflite file.",
    cause="XNNPACK packs the weights anew whenever a file is opened.",
    cure='cpu = CpuOptions(num_threads=1, xnnpack_weight_cache_path="model.cache")\n'
    "options = Options(hardware_accelerators=HardwareAccelerator.CPU, cpu_options=cpu)\n"
    'model = CompiledModel.from_file("model.tflite", options=options)',
    pages=("acceleration",),
)
