"""The map of the workbook and the board that shows how far you are."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from varhandle.display import TONES, RichTable, Table
from workbook_lib.lesson import progress
from workbook_lib.lesson.certificate import FILE, read_certificate, write_certificate
from workbook_lib.lesson.control_box import as_control, is_interactive
from workbook_lib.lesson.drill_catalog import PAGE, all_drills
from workbook_lib.lesson.outline import read_outlines
from workbook_lib.lesson.panels import Panel
from workbook_lib.lesson.standing import standing_in

_BAR_LENGTH = 20
_EARNED = "Everything is right. Here is"


@dataclass(frozen=True)
class _Link:
    """A cell of a table: a title, and in HTML a link to the notebook next to this one."""

    title: str
    file: str

    def __str__(self) -> str:
        return self.title

    def __html__(self) -> str:
        return f'<a href="{html.escape(self.file)}">{html.escape(self.title)}</a>'


@dataclass(frozen=True)
class _Part:
    """A cell of a table: the part of the workbook whose lessons follow."""

    title: str

    def __str__(self) -> str:
        return self.title

    def __html__(self) -> str:
        return f"<b>{html.escape(self.title)}</b>"


@dataclass(frozen=True)
class _Bar:
    """A cell of a table: how much of a whole is done."""

    of_what: str
    done: int
    whole: int

    def __str__(self) -> str:
        if not self.whole:
            return ""
        filled = _BAR_LENGTH * self.done // self.whole
        return f"[{'#' * filled}{'.' * (_BAR_LENGTH - filled)}]"

    def __html__(self) -> str:
        if not self.whole:
            return ""
        share = 100 * self.done // self.whole
        name = html.escape(f"{self.of_what}: {self.done} of {self.whole} done")
        return (
            f'<div role="progressbar" aria-label="{name}" aria-valuemin="0" '
            f'aria-valuemax="{self.whole}" aria-valuenow="{self.done}" '
            f'style="width: 9em; height: 0.7em; '
            f'border: 1px solid {TONES["neutral"][1]}">'
            f'<div style="width: {share}%; height: 100%; '
            f'background-color: {TONES["right"][1]}"></div></div>'
        )


@dataclass(frozen=True)
class _NotebookTable(RichTable):
    caption: str
    headers: Sequence[str]
    rows: Sequence[Sequence[object]]
    following: _Link | None = None
    certificate: _Link | None = None

    def __repr__(self) -> str:
        count = sum(not isinstance(title, _Part) for _, title, *_ in self.rows)
        return f"{type(self).__name__}({count} notebooks)"

    def _table(self) -> Table:
        return self.headers, self.rows, self.caption

    def text(self) -> str:
        """Return the table in plain text, and what is next."""
        following = f"\nNext: {self.following}" if self.following else ""
        earned = f"\n{_EARNED} {self.certificate.file}" if self.certificate else ""
        return super().text() + following + earned

    def html(self) -> str:
        """Return the same in HTML, with links that work in JupyterLab."""
        following = f"<div>Next: {self.following.__html__()}</div>" if self.following else ""
        earned = f"<div>{_EARNED} {self.certificate.__html__()}</div>" if self.certificate else ""
        return super().html() + following + earned


class ProgressBoard(_NotebookTable):
    """Predictions made, exercises and quiz questions solved, a notebook a row.

    A notebook shows a control below it that begins a notebook afresh.
    """

    def _ipython_display_(self) -> None:
        from IPython.display import display

        # An output of its own: JupyterLab leads its links to the notebooks, but not a widget's.
        shown = display(self._repr_mimebundle_(), raw=True, display_id=True)
        if is_interactive():
            display(reset_control(lambda: shown.update(board()._repr_mimebundle_(), raw=True)))


class NotebookMap(_NotebookTable):
    """The notebooks in order, part by part, with the question and the minutes of each."""


def board() -> ProgressBoard:
    """Show how far you are in each notebook."""
    known = progress.read()
    rows: list[Sequence[object]] = []
    following, part = None, ""
    for notebook in read_outlines():
        if notebook.part != part and notebook.number != "00":
            rows.append(("", _Part(notebook.part), "", "", "", ""))
        part = notebook.part
        link = _Link(notebook.title, notebook.file)
        standing = standing_in(notebook, known)
        counts = (
            (standing.predictions, len(notebook.predictions)),
            (standing.exercises, len(notebook.exercises)),
            (standing.quiz, len(notebook.quiz)),
        )
        bar = _Bar(notebook.title, standing.done, standing.whole)
        told = (f"{done} of {whole}" if whole else "none here" for done, whole in counts)
        rows.append((notebook.number, link, *told, bar))
        if following is None and bar.done < bar.whole:
            following = link
    rows.append(("", *_drills_row(known)))
    headers = ("No.", "Notebook", "Predictions made", "Exercises right", "Quiz right", "Done")
    return ProgressBoard("Your progress", headers, rows, following, _certificate_link())


def _certificate_link() -> _Link | None:
    """Return a link to the certificate, written for it, once it is earned."""
    earned = read_certificate()
    if earned.missing or progress.is_off():
        return None
    page = progress.working_copy() / FILE
    try:
        write_certificate(earned, page)
    except OSError:
        return None
    return _Link("your certificate", f"../{FILE}")


def _drills_row(known: progress.Progress) -> tuple[object, ...]:
    ids = [drill.id for drill in all_drills()]
    right = sum(known.exercise(id).best == "right" for id in ids)
    bar = _Bar("Drills", right, len(ids))
    counts = ("none here", f"{right} of {len(ids)}", "none here")
    return _Link("Drills", f"../drills/{PAGE}"), *counts, bar


def map_of_notebooks() -> NotebookMap:
    """List the notebooks."""
    headers = ("No.", "Notebook", "The question", "Minutes")
    rows: list[Sequence[object]] = []
    for part, notebooks in groupby(read_outlines(), key=lambda notebook: notebook.part):
        lessons = list(notebooks)
        if lessons[0].number != "00":
            whole = sum(lesson.minutes or 0 for lesson in lessons)
            rows.append(("", _Part(part), "", whole or ""))
        for lesson in lessons:
            link = _Link(lesson.title, lesson.file)
            rows.append((lesson.number, link, lesson.question, lesson.minutes or ""))
    return NotebookMap("The notebooks, in order", headers, rows)


def reset(notebook: str) -> Panel:
    """Forget the progress of one notebook. Run its cells again to start over.

    Raises ``ValueError``: there is no such notebook; the message names those there are.
    """
    notebooks = read_outlines()
    for found in notebooks:
        if notebook in (found.number, found.file, found.file.removesuffix(".ipynb")):
            ids = [*found.predictions, *found.exercises, *found.quiz]
            warning = progress.record("reset", ids=ids)
            return Panel("neutral", f"Progress in “{found.title}” starts again from zero", warning)
    raise ValueError(f"no notebook {notebook!r}; there are {', '.join(n.file for n in notebooks)}")


def reset_control(changed: Callable[[], None]) -> Any:
    """Make the control that begins a notebook afresh: choose, press, confirm.

    ``changed`` is called after that, so that the board can be drawn anew.
    """
    from ipywidgets import HTML, Button, Dropdown, HBox, Layout, VBox

    choice = Dropdown(
        options=[(f"{n.number} {n.title}", n.file) for n in read_outlines()],
        description="Begin afresh:",
        tooltip="the notebook whose progress is to be forgotten",
        style={"description_width": "auto"},
        layout=Layout(width="20em"),
    )
    wide = Layout(width="auto")
    ask = Button(description="Forget its progress …", tooltip="asks once more", layout=wide)
    yes = Button(description="Yes, forget it", button_style="danger", layout=wide)
    no = Button(description="No, keep it", layout=wide)
    status, confirm = HTML(), HBox([yes, no], layout=Layout(display="none"))

    def say(markup: str) -> None:
        status.value = f'<div role="status">{markup}</div>'

    def put_away() -> None:
        confirm.layout.display = "none"
        ask.focus()

    def to_ask(_: Any) -> None:
        say(f"Forget your answers in {html.escape(str(choice.label))}?")
        confirm.layout.display = None
        no.focus()

    def to_forget(_: Any) -> None:
        say(reset(choice.value).html())
        changed()
        put_away()

    def to_keep(_: Any) -> None:
        say("Nothing is forgotten.")
        put_away()

    def other(_: Any) -> None:
        confirm.layout.display = "none"
        status.value = ""

    ask.on_click(to_ask)
    yes.on_click(to_forget)
    no.on_click(to_keep)
    choice.observe(other, names="value")
    line = HBox([choice, ask], layout=Layout(flex_flow="row wrap"))
    return as_control(VBox([line, status, confirm]), "workbook-reset")
