"""Lesson 95: files that come from somebody else."""

from __future__ import annotations

from workbook_lib.lesson.content import Card, Question, QuizQuestion

PREDICTIONS = (
    Question(
        "a_strangers_file/first-call",
        "The interpreter runs this file. What comes of the first call?",
        {
            "ok": "the sum of the four numbers",
            "raised": "a Python exception",
            "crashed": "the process dies",
        },
        why="The variable of this file grows, and the process touched memory that was not its own. "
        "The operating system ends such a process, and no except can catch that.",
        debrief="An exception is a tempting answer, because Python nearly always gives one. Ask "
        "what would have become of the notebook without the child process.",
    ),
)

QUIZ = (
    QuizQuestion(
        "a_strangers_file/quiz-service",
        "A service runs the files of its users, each within try and except Exception. One of them "
        "uploads the growing file. What do the others see?",
        {
            "An error message, with the next call as before.": "That needs an exception. What came "
            "of the call was a SIGSEGV, and no except catches one.",
            "Wrong answers, until it is started again.": "The process died at the first call, and "
            "gave no answer at all.",
            "The service is gone, for all of them.": "The signal ends the process, whoever's call "
            "it was. So each file wants a process that can be lost.",
        },
        "The service is gone, for all of them.",
    ),
    QuizQuestion(
        "a_strangers_file/quiz-op",
        "A SavedModel has the ops AddV2, Const, RestoreV2, SaveV2 and WriteFile. Which of them is "
        "not to be expected of a model that only computes?",
        {
            "SaveV2": "The lesson's list has it too. With RestoreV2 it keeps the checkpoint, in "
            "every SavedModel.",
            "WriteFile": "Neither the computing nor the checkpoint needs it. It is as foreign here "
            "as ReadFile was.",
            "RestoreV2": "It reads the checkpoint that the model brings along, as in every "
            "SavedModel.",
        },
        "WriteFile",
    ),
    QuizQuestion(
        "a_strangers_file/quiz-unproved",
        "diagnose says “unproved”. What does that tell you about the model?",
        {
            "Its answers are not known.": "It has an op that is not on the list, so nobody ran it. "
            "Nothing was compared.",
            "It means harm.": "The list has the ops that only compute. Any other op is left alone, "
            "whatever it was meant for.",
            "Its file gives other answers than TensorFlow.": "That would take two runs to compare, "
            "and there was none.",
        },
        "Its answers are not known.",
    ),
)

CARD = Card(
    symptom="A SavedModel comes from somebody else, and may open your files or talk to other "
    "machines when it runs.",
    cause="TensorFlow runs every op of a graph, and some ops do more than compute.",
    cure="from tensorflow.python.saved_model.loader_impl import parse_saved_model  # runs nothing\n"
    "[graph] = (one.graph_def for one in parse_saved_model(folder).meta_graphs)\nprint({n.op for n "
    "in [*graph.node, *(n for f in graph.library.function for n in f.node_def)]})",
    pages=("security",),
)
