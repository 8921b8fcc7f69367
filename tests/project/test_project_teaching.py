"""The teaching plans: lessons that there are, with their minutes, and clocks that add up."""

import re

import pytest

from workbook_lib.lesson.outline import read_outlines
from workbook_lib.locations import project_root

TEXT = (project_root() / "docs" / "teaching.md").read_text(encoding="utf-8")
DEBRIEF = 3  # minutes that a class takes more than a reader alone, as the page says
WHOLE = {"Ninety minutes": 90, "Three hours": 180, "A day": 435}


def rows(heading):
    section = TEXT.split(f"## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"^\| (\d+):(\d\d) \| (.+?) \| (\d+) \|$", section, re.MULTILINE)


@pytest.mark.parametrize("heading", WHOLE)
def test_a_plan_names_lessons_as_they_are_with_their_minutes(heading):
    known = {f"{one.number} {one.title}": one.minutes for one in read_outlines()}
    named = [(what, int(minutes)) for *_, what, minutes in rows(heading) if what[:2].isdigit()]
    assert len(named) >= 4
    for what, minutes in named:
        assert minutes == known[what] + DEBRIEF, what


@pytest.mark.parametrize(("heading", "whole"), WHOLE.items())
def test_a_plan_fills_its_time_and_its_clock_goes_on_by_the_minutes(heading, whole):
    plan = rows(heading)
    clock = int(plan[0][0]) * 60 + int(plan[0][1])
    start = clock
    for hour, minute, what, minutes in plan:
        assert int(hour) * 60 + int(minute) == clock, what
        clock += int(minutes)
    assert whole - 10 <= clock - start <= whole
