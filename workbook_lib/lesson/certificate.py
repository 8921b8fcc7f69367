"""A page that lists what a learner has done, once everything of the main parts is done."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path

from varhandle.atomic_write import write_text
from varhandle.display import counted, join_all, join_words, printable
from varhandle.html_page import page_html
from workbook_lib.lesson import progress
from workbook_lib.lesson.drill_catalog import all_drills
from workbook_lib.lesson.outline import PARTS, read_outlines
from workbook_lib.lesson.standing import LessonStanding, standing_in

FILE = "certificate.html"
"""What the page is called in a learner's copy."""

_OWN = (
    "This is the learner's own record. It was made on the learner's computer, out of the file in "
    "which the workbook notes what was answered. The exercises were checked by running them; "
    "nobody watched, and nobody has signed it. The name is the one that the learner typed."
)
_PRINT = (
    "To print it, or to keep it as a PDF: Ctrl+P (on a Mac ⌘P). In JupyterLab, first go one folder "
    "up from the lessons in the list of files, right-click certificate.html and choose “Open in "
    "New Browser Tab”."
)
_STYLE = Path(__file__).with_name("certificate.css")


@dataclass(frozen=True)
class Certificate:
    """What has been done, and whether it is everything.

    Everything is: each prediction of the main parts is made, each exercise and each quiz question
    of them is right. The appendix and the drills are named, and not required.
    """

    lessons: Sequence[LessonStanding]
    drills: int  # right
    all_drills: int

    @property
    def missing(self) -> Sequence[str]:
        """What is still to be done, a line for each lesson."""
        return [
            f"{one.notebook.number} {one.notebook.title}: {join_words(_missing_in(one))}"
            for one in self.lessons
            if not one.notebook.is_appendix and one.done < one.whole
        ]

    @property
    def last(self) -> datetime | None:
        """When the last of what is required was done."""
        times = [one.last for one in self.lessons if not one.notebook.is_appendix and one.last]
        return max(times, default=None)

    def html(self, name: str = "") -> str:
        """Return the page; without a name it has a line to type one on."""
        style = _STYLE.read_text(encoding="utf-8")
        return page_html("Certificate: the VarHandleOp workbook", self._body(name), style=style)

    def _body(self, name: str) -> str:
        main = [one for one in self.lessons if not one.notebook.is_appendix and one.whole]
        typed = html.escape(printable(name), quote=True)
        finished = f" on <b>{_day(self.last)}</b>" if self.last else ""
        return (
            "<header><p>The VarHandleOp workbook</p><h1>Certificate</h1></header>\n"
            '<p class="who"><label for="name">This is the record of</label>\n'
            f'<input id="name" value="{typed}" placeholder="type your name here" '
            'autocomplete="name" spellcheck="false"></p>\n'
            f"<p>who has made every prediction, solved every exercise and answered every quiz "
            f"question of {counted(len(main), 'lesson')}, and finished{finished}.</p>\n"
            '<table><thead><tr><th scope="col">Lesson</th>'
            '<th scope="col" class="number">Predictions<br>made</th>'
            '<th scope="col" class="number">Exercises<br>right</th>'
            '<th scope="col" class="number">Quiz<br>right</th>'
            '<th scope="col" class="number">Last<br>worked on</th></tr></thead>\n'
            f"<tbody>{''.join(_rows_html(main))}</tbody></table>\n"
            f'<p class="more">{html.escape(self._more())}</p>\n'
            f'<p class="own">{_OWN}</p>\n<p class="print">{_PRINT}</p>'
        )

    def _more(self) -> str:
        """Say what was done beside what is required."""
        begun = [
            f"{one.notebook.title} ({one.done} of {one.whole})"
            for one in self.lessons
            if one.notebook.is_appendix and one.done
        ]
        drills = f"{self.drills} of {self.all_drills} drills are right."
        return f"Also, and not required: {drills} Appendix: {join_all(begun)}."


def read_certificate() -> Certificate:
    """Look at the progress of the learner's copy that the working folder is in."""
    known, drills = progress.read(), all_drills()
    return Certificate(
        [standing_in(notebook, known) for notebook in read_outlines()],
        sum(known.exercise(drill.id).best == "right" for drill in drills),
        len(drills),
    )


def write_certificate(certificate: Certificate, file: Path, name: str = "") -> None:
    """Write the page; ``OSError`` if it cannot be written."""
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text(file, certificate.html(name))


def _missing_in(one: LessonStanding) -> list[str]:
    asks = one.notebook
    missing = (
        (len(asks.predictions) - one.predictions, "prediction"),
        (len(asks.exercises) - one.exercises, "exercise"),
        (len(asks.quiz) - one.quiz, "quiz question"),
    )
    return [counted(number, what) for number, what in missing if number]


def _rows_html(lessons: Sequence[LessonStanding]) -> Iterator[str]:
    for part, those in groupby(lessons, key=lambda one: one.notebook.part):
        if part and part != PARTS["0"]:  # which is the title of its one lesson
            yield f'<tr><th scope="colgroup" colspan="5">{html.escape(part)}</th></tr>\n'
        yield from map(_row_html, those)


def _row_html(one: LessonStanding) -> str:
    notebook = one.notebook
    counts = (len(notebook.predictions), len(notebook.exercises), len(notebook.quiz))
    told = (*(count or "none" for count in counts), _day(one.last, "%b"))
    cells = "".join(f'<td class="number">{text}</td>' for text in told)
    title = html.escape(f"{notebook.number} {notebook.title}")
    return f'<tr><th scope="row">{title}</th>{cells}</tr>\n'


def _day(when: datetime | None, month: str = "%B") -> str:
    if when is None:
        return "not known"
    here = when.astimezone()
    return f"{here:{month}} {here.day}, {here.year}"
