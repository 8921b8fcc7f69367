"""Appendix 99: a file that is newer than the runtime."""

from __future__ import annotations

from workbook_lib.lesson.content import Card, Question

FAMILIES = {"runtime-too-old": "newer-why"}

PREDICTIONS = (
    Question(
        "newer_than_the_runtime/where",
        "Where does the runtime stop?",
        {
            "opening": "when it opens the file",
            "calling": "at the first call",
            "nowhere": "nowhere: it takes the newest version that it has",
        },
        why="The runtime looks up a kernel for every op when it opens the file, and it has none of "
        "this version. So a file that is too new is refused before it is called.",
        debrief="“At the first call” fits ops that only a call decides on. Ask what a user of an "
        "app would see in each case, and which is the better one.",
    ),
)

CARD = Card(
    symptom="“Didn't find op for builtin opcode … version …”, on a device where other files run.",
    cause="The runtime there is older than the converter that made the file.",
    cure="pip install --upgrade ai-edge-litert",
    pages=("inference",),
)
