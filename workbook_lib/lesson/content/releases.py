"""Lesson 92: what each release of TensorFlow did."""

from __future__ import annotations

from workbook_lib.lesson.content import Question

FAMILIES = {"constant-folding-failed": "matrix-why", "not-immutable": "matrix-why"}

PREDICTIONS = (
    Question(
        "releases/older-helps",
        "A model assigns a float16 variable. On how many of the measured releases does it convert "
        "with the defaults, and answer rightly?",
        {"all": "on all of them", "some": "on some", "none": "on none"},
        why="No release has builtin ops for a float16 variable that is assigned. What differs from "
        "release to release is how the refusal is worded.",
        debrief="Most choose “on some”, since so many threads end with a version number. Ask which "
        "row those threads were about.",
        key_of=lambda outcomes: (
            "all" if set(outcomes) == {"works"} else "some" if "works" in outcomes else "none"
        ),
    ),
)
