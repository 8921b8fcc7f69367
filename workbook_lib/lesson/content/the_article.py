"""Lesson 91: the article that this workbook started from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbook_lib.lesson.content import Question

if TYPE_CHECKING:
    from varhandle.sandbox import Record

_STAGES = ("model.add", "convert()", "Interpreter")


def stage_of(record: Record) -> str:
    """Say which call of the article's example stopped it, by the line that the record names."""
    if record.ok:
        return "nowhere"
    return next((stage for stage in _STAGES if stage in record.line), record.line)


def answers_right(told: bool | str) -> bool | None:
    """Say whether the file answers right; ``None`` where the converter refused, in words."""
    return None if isinstance(told, str) else told


PREDICTIONS = (
    Question(
        "the_article/where-it-stops",
        "Where does the article's first example stop?",
        {
            "model.add": "at model.add",
            "convert()": "in converter.convert()",
            "Interpreter": "in the interpreter",
            "nowhere": "nowhere: it converts",
        },
        why="The constant has 128 columns and the new layer has 10 units, so the two shapes do not "
        "fit, and the layer cannot be built: that is before there is a converter.",
        key_of=stage_of,
        debrief="The converter is a tempting answer, because the article says so. Ask who of the "
        "class has ever run an example before quoting it.",
    ),
    Question(
        "the_article/without-set-weights",
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
