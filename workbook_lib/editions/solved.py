"""The solved edition: the same notebooks, their exercises solved."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from workbook_lib.lesson.solutions import fill_in_solutions
from workbook_lib.runs import canonical

if TYPE_CHECKING:
    from nbformat import NotebookNode

NOTE = (
    "*Solved edition: every exercise below holds its solution. "
    "The predictions are still yours to make.*"
)
"""Stands below the title, so that nobody takes the solved notebook for the learner's."""


def solved_edition(notebook: NotebookNode) -> NotebookNode:
    """Put the solution of every exercise in the place of its stub, and say so below the title.

    Args:
        notebook: The learner edition; it is left as it is.

    Returns:
        A copy without outputs, as :func:`workbook_lib.lesson.solutions.solved` makes it.

    Raises:
        ValueError: An exercise and its solution do not fit.
    """
    edition = fill_in_solutions(notebook)
    first = edition.cells[0] if edition.cells else None
    if first is not None and first.cell_type == "markdown":
        title, _, rest = first.source.partition("\n")
        first.source = f"{title}\n\n{NOTE}\n{rest}".rstrip()
    return edition


def checks(notebook: NotebookNode) -> list[tuple[str, str]]:
    """Say what the checks of an executed notebook said.

    Args:
        notebook: The notebook.

    Returns:
        Id of each cell with the tag ``check``, and the first line of what it said.
    """
    return [
        (str(cell.id), _first_line(cell))
        for cell in notebook.cells
        if "check" in cell.metadata.get("tags", ())
    ]


def _first_line(cell: NotebookNode) -> str:
    said = [output.data.get("text/plain", "") for output in cell.outputs if "data" in output]
    return said[-1].partition("\n")[0] if said else "nothing"


def write(notebooks: Mapping[str, NotebookNode], folder: Path) -> list[Path]:
    """Write notebooks in canonical form.

    Args:
        notebooks: File name to notebook.
        folder: Where to.

    Returns:
        The files.
    """
    import nbformat

    for name, notebook in notebooks.items():
        canonical.write(
            canonical.canonical_form(json.loads(nbformat.writes(notebook))), folder / name
        )
    return [folder / name for name in notebooks]
