"""Lesson 94: one model in three formats."""

from __future__ import annotations

from collections.abc import Iterable

from workbook_lib.lesson.content import Question


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Name each once, in alphabetical order."""
    return tuple(sorted(set(names)))


PREDICTIONS = (
    Question(
        "formats_side_by_side/left-in-the-file",
        "Which of the three are still variables in the .tflite file?",
        {
            (): "none",
            ("total",): "total",
            ("calls", "total"): "total and calls",
            ("calls", "gain", "total"): "all three",
        },
        why="What decides is whether a signature that you convert assigns the variable. step "
        "assigns total and calls, so both stay; gain is only read, so it becomes a constant.",
        key_of=in_order,
        debrief="It is tempting to leave calls out, because nothing in the program reads it. Ask "
        "what an assign_add has to know before it can add.",
    ),
)
