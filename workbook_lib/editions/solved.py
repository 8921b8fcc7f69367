"""The solved edition of a notebook, derived from the solutions that the notebook itself holds."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, TypeVar

from workbook_lib.lesson.observations import opening_cells
from workbook_lib.lesson.solutions import exercise_cells, solution_code

if TYPE_CHECKING:
    from nbformat import NotebookNode

Notebook = TypeVar("Notebook", bound=dict[str, Any])
"""A notebook as JSON gives it, or nbformat's ``NotebookNode``."""

# Below the title, so that nobody takes the solved notebook for the learner's.
_NOTE = (
    "*Solved edition: every exercise below holds its solution. "
    "The predictions are still yours to make.*"
)


def fill_in_solutions(notebook: Notebook) -> Notebook:
    """Put the solution of every exercise in the place of its stub, in a copy without outputs.

    Raises ``ValueError``: A stub has no solution, a solution has no stub, an exercise has two of
    either, or a cell does not name its exercise.
    """
    edition = copy.deepcopy(notebook)
    stubs = exercise_cells(edition, "exercise")
    for exercise_id in exercise_cells(notebook, "solution").keys() - stubs.keys():
        raise ValueError(f"exercise {exercise_id!r} has a solution, and no stub cell")
    for exercise_id, cell in stubs.items():
        cell["source"] = solution_code(notebook, exercise_id)
    for cell in edition["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None
    return edition


def solved_edition(notebook: NotebookNode) -> NotebookNode:
    """Fill in the solutions, and say so below the title. Raises as ``fill_in_solutions`` does."""
    edition = fill_in_solutions(notebook)
    first = edition.cells[0] if edition.cells else None
    if first is not None and first.cell_type == "markdown":
        title, _, rest = first.source.partition("\n")
        first.source = f"{title}\n\n{_NOTE}\n{rest}".rstrip()
    return edition


def without_answers(notebook: NotebookNode) -> NotebookNode:
    """Return an executed notebook as a learner gets it, but for its checks, which say Right."""
    kept, opening = copy.deepcopy(notebook), opening_cells(notebook)
    for cell in kept.cells:
        is_check = "check" in cell.metadata.get("tags", ())
        if cell.cell_type == "code" and not is_check and cell.id not in opening:
            cell.outputs, cell.execution_count = [], None
    return kept


def wrong_checks(notebook: NotebookNode) -> list[str]:
    """Name the checks of an executed notebook that do not say Right, with what they said."""
    wrong = []
    for cell in notebook.cells:
        if "check" in cell.metadata.get("tags", ()):
            texts = [out.data.get("text/plain", "") for out in cell.outputs if "data" in out]
            said = texts[-1].partition("\n")[0] if texts else "nothing"
            if said != "Right":
                wrong.append(f"check {cell.id}: {said}")
    return wrong
