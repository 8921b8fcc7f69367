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
        debrief="Nearly everybody believes the article and chooses the converter. Ask who of the "
        "class has ever run an example before quoting it.",
    ),
)
