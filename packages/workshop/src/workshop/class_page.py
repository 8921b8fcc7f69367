"""The page of a class: who is here, who is stuck where, and how far everybody is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from markupsafe import Markup

from varhandle.display import printable
from workbook_lib.lesson.standing import LessonStanding
from workbook_lib.runs.page import page_templates
from workshop.classroom import STATES, Classroom, LearnerStanding, place_status, state_of

_TEMPLATES = Path(__file__).with_name("templates")
_FADES = 60  # minutes


@dataclass(frozen=True)
class _Cell:
    """A learner in a lesson."""

    text: str
    looks: str  # a class of the style sheet
    share: int  # percent done
    title: str  # the same in words


@dataclass(frozen=True)
class _Row:
    """A learner."""

    name: str
    place: str
    open: str
    is_busy: bool
    last: str
    standing: LearnerStanding
    cells: Sequence[_Cell]


def render_class(classroom: Classroom, now: datetime | None = None, give_back: str = "") -> str:
    """Return the page; it needs nothing beside it.

    With ``now`` it tells how long ago somebody was active, else when. ``give_back`` is the address
    of the page on which a place is given back.
    """
    rows = [_row(classroom, one, now) for one in classroom.standings]
    templates = page_templates(_TEMPLATES)
    templates.filters["printable"] = printable
    template = templates.get_template("class.html.j2")
    page: str = template.render(
        class_style=Markup((_TEMPLATES / "class.css").read_text(encoding="utf-8")),
        classroom=classroom,
        figures=_figures(classroom),
        rows=rows,
        firsts=_firsts(classroom),
        whole=classroom.whole(),
        states=STATES,
        give_back=give_back,
        now=f"{now.astimezone():%H:%M}" if now else "",
    )
    return page


def _figures(classroom: Classroom) -> list[tuple[int, str]]:
    """Return what the first line of the page says: a number and what it counts."""
    figures = [(len(classroom.learners), "learners")]
    if classroom.is_live:
        places = [one.presence for one in classroom.learners if one.presence]
        figures += [
            (sum(place.is_open for place in places), "places open"),
            (sum(bool(place.notebooks) for place in places), "in a lesson"),
            (
                sum(any(one.is_busy for one in place.notebooks) for place in places),
                "running a cell",
            ),
        ]
    return [*figures, (sum(bool(one.stuck) for one in classroom.standings), "stuck")]


def _row(classroom: Classroom, one: LearnerStanding, now: datetime | None) -> _Row:
    learner = one.learner
    notebooks = learner.presence.notebooks if learner.presence else ()
    now_open, firsts = {note.file for note in notebooks}, _firsts(classroom)
    return _Row(
        printable(learner.name),
        place_status(learner),
        classroom.open_notebooks(learner),
        any(note.is_busy for note in notebooks),
        _when(learner.last, now),
        one,
        [_cell(one, lesson, now_open, firsts) for lesson in one.lessons],
    )


def _when(last: datetime | None, now: datetime | None) -> str:
    if last is None:
        return ""
    if now is None:
        return f"{last.astimezone():%b %d, %H:%M}"
    minutes = int((now - last).total_seconds() // 60)
    if minutes < 1:  # or ahead: a learner's file may say anything
        return "just now"
    if minutes <= _FADES:
        return f"{minutes} min ago"
    is_today = last.astimezone().date() == now.astimezone().date()
    return f"{last.astimezone():{'at %H:%M' if is_today else '%b %d, %H:%M'}}"


def _firsts(classroom: Classroom) -> set[str]:
    """Return the lessons with which a part of the workbook begins."""
    parts: dict[str, str] = {}
    for notebook in classroom.notebooks:
        parts.setdefault(notebook.part, notebook.file)
    return set(parts.values())


def _cell(
    one: LearnerStanding, lesson: LessonStanding, now_open: set[str], firsts: set[str]
) -> _Cell:
    notebook = lesson.notebook
    records = [one.learner.progress.exercise(id) for id in notebook.exercises]
    is_stuck = any(state_of(record) == "stuck" for record in records)
    is_open, is_seen = notebook.file in now_open, one.is_seen(lesson)
    looks = [
        "first" if notebook.file in firsts else "",
        "stuck" if is_stuck else "",
        "here" if is_open else "",
        "all" if lesson.whole and lesson.done == lesson.whole else "",
        "" if is_seen or is_open else "none",
    ]
    parts = [f"{lesson.done} of {lesson.whole} done" if lesson.whole else "nothing to answer here"]
    parts += ["stuck"] * is_stuck + ["open now"] * is_open
    if not lesson.done:
        parts.append("opened" if is_seen or is_open else "not opened")
    done = f"{lesson.done}/{lesson.whole}" if lesson.whole else "✓"
    return _Cell(
        done if is_seen or is_open else "·",
        " ".join(filter(None, looks)),
        100 * lesson.done // lesson.whole if lesson.whole else 0,
        f"{printable(one.learner.name)}, {notebook.number}: {', '.join(parts)}",
    )
