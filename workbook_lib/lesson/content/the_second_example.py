"""Lesson 90, of the appendix: the article's second example."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbook_lib.lesson.content import Question

if TYPE_CHECKING:
    from varhandle.evaluate.parity import Parity


def answers_right(parity: Parity | None) -> bool | None:
    """Say whether a file answers right; ``None`` where the converter gave no file to ask."""
    return None if parity is None else parity.passed


PREDICTIONS = (
    Question(
        "the_second_example/without-set-weights",
        "Leave the set_weights line out. What does the converter do?",
        {
            None: "it refuses",
            False: "it converts, with wrong answers",
            True: "it converts, with right answers",
        },
        why="set_weights only writes numbers into a variable that stays. With or without it the "
        "function reads its variables and assigns none, and that is why the converter can turn "
        "them into constants.",
        key_of=answers_right,
        debrief="Whoever expects a refusal believes the article. Ask what a Keras model holds "
        "before anybody sets its weights: are those not variables?",
    ),
)
