"""Lesson 95: files that come from somebody else."""

from __future__ import annotations

from workbook_lib.lesson.content import Question

PREDICTIONS = (
    Question(
        "a_strangers_file/first-call",
        "The interpreter runs this file, in a process of its own. What comes of the first call?",
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
