"""Lesson 92: what each release of TensorFlow did."""

from __future__ import annotations

from collections.abc import Iterable

from workbook_lib.lesson.content import Question

FAMILIES = {"constant-folding-failed": "matrix-why", "not-immutable": "matrix-why"}


def where_right(outcomes: Iterable[str]) -> str:
    """Say on which releases, from the oldest to the newest, a program worked, in a word."""
    works = [outcome == "works" for outcome in outcomes]
    if not any(works):
        return "none"
    return "older" if works == sorted(works, reverse=True) else "newer"


PREDICTIONS = (
    Question(
        "releases/older-helps",
        "A tf.Module has a Keras layer in it. TensorFlow 2.21 makes a file of it that answers "
        "garbage. On which of the measured releases is the file right?",
        {"older": "on the older ones", "newer": "on some of the newer ones", "none": "on none"},
        why="Up to 2.15 a layer was one of Keras 2, and its file was right. Since 2.16 it is one "
        "of Keras 3, and no release since then has made a right file of such a module.",
        key_of=where_right,
        debrief="A newer release is a tempting answer, because faults get mended. Ask what else an "
        "older one would bring back, and what becomes of the program in a year.",
    ),
)
