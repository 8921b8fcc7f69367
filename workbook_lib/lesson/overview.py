"""The map of the workbook and the board that shows how far you are."""

from __future__ import annotations

import html
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass

from varhandle.display import TONES, Rich, table_html, table_text
from varhandle.progress_bar import is_watched
from workbook_lib.lesson import progress
from workbook_lib.lesson.outline import NotebookOutline, outline
from workbook_lib.lesson.panels import Panel
from workbook_lib.lesson.progress import Progress
from workbook_lib.lesson.reset_control import reset_control

_BAR_LENGTH = 20


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
class _Table(Rich):
    caption: str
    headers: Sequence[str]
    rows: Sequence[Sequence[object]]
    closing: str = ""
    following: _Link | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.rows)} notebooks)"

    def text(self) -> str:
        """Return the table in plain text."""
        return f"{table_text(self.headers, self.rows)}\n{self._last()}".strip()

    def html(self) -> str:
        """Return the table in HTML, with links that work in JupyterLab."""
        last = html.escape(self.closing)
        if self.following:
            last = f"{last} {self.following.__html__()}"
        return table_html(self.headers, self.rows, self.caption) + (
            f"<div>{last}</div>" * bool(last)
        )

    def _last(self) -> str:
        return f"{self.closing} {self.following or ''}".strip()


class ProgressBoard(_Table):
    """Predictions made and exercises solved, a notebook a row.

    A notebook shows a control below it that begins a notebook afresh.
    """

    def _ipython_display_(self) -> None:
        from IPython.display import display

        # An output of its own: JupyterLab leads its links to the notebooks, but not a widget's.
        shown = display(self._repr_mimebundle_(), raw=True, display_id=True)
        if is_watched() and importlib.util.find_spec("ipywidgets"):
            display(
                reset_control(
                    outline(), reset, lambda: shown.update(board()._repr_mimebundle_(), raw=True)
                )
            )


class NotebookMap(_Table):
    """The notebooks in order, with the question and the minutes of each."""


def board() -> ProgressBoard:
    """Show how far you are in each notebook."""
    known = progress.read()
    notebooks = outline()
    unfinished = [n for n in notebooks if _done(n, known) < _whole(n)]
    return ProgressBoard(
        caption="Your progress",
        headers=("No.", "Notebook", "Predictions made", "Exercises right", "Done"),
        rows=[_board_row(notebook, known) for notebook in notebooks],
        closing="Next:" if unfinished else "",
        following=_Link(unfinished[0].title, unfinished[0].file) if unfinished else None,
    )


def _board_row(notebook: NotebookOutline, known: Progress) -> Sequence[object]:
    return (
        notebook.number,
        _Link(notebook.title, notebook.file),
        _count(_made(notebook, known), len(notebook.predictions)),
        _count(_right(notebook, known), len(notebook.exercises)),
        _Bar(notebook.title, _done(notebook, known), _whole(notebook)),
    )


def _count(done: int, whole: int) -> str:
    return f"{done} of {whole}" if whole else "none here"


def _made(notebook: NotebookOutline, known: Progress) -> int:
    return sum(prediction in known.predictions for prediction in notebook.predictions)


def _right(notebook: NotebookOutline, known: Progress) -> int:
    return sum(known.exercise(exercise).best == "right" for exercise in notebook.exercises)


def _done(notebook: NotebookOutline, known: Progress) -> int:
    return _made(notebook, known) + _right(notebook, known)


def _whole(notebook: NotebookOutline) -> int:
    return len(notebook.predictions) + len(notebook.exercises)


def map_of_notebooks() -> NotebookMap:
    """List the notebooks."""
    return NotebookMap(
        caption="The notebooks, in order",
        headers=("No.", "Notebook", "The question", "Minutes to read", "Minutes to do"),
        rows=[
            (
                notebook.number,
                _Link(notebook.title, notebook.file),
                notebook.question,
                "" if notebook.read_minutes is None else notebook.read_minutes,
                "" if notebook.do_minutes is None else notebook.do_minutes,
            )
            for notebook in outline()
        ],
    )


def reset(notebook: str) -> Panel:
    """Forget the progress of one notebook. Run its cells again to start over.

    Raises ``ValueError``: there is no such notebook; the message names those there are.
    """
    notebooks = outline()
    for found in notebooks:
        if notebook in (found.number, found.file, found.file.removesuffix(".ipynb")):
            warning = progress.record("reset", ids=[*found.predictions, *found.exercises])
            return Panel("neutral", f"Progress in “{found.title}” starts again from zero", warning)
    raise ValueError(f"no notebook {notebook!r}; there are {', '.join(n.file for n in notebooks)}")
