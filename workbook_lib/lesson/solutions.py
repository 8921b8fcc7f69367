"""The solution of an exercise: its one source is a folded Markdown cell of the notebook.

An exercise is a code cell with the tag ``exercise`` (the stub) and, after it, a Markdown cell
with the tag ``solution``. Both name the exercise in ``metadata.workbook.exercise``.
"""

from __future__ import annotations

import json
import re
from typing import Any

from workbook_lib.locations import project_root

_FENCE = re.compile(r"^```python\n(.*?)\n```$", re.DOTALL | re.MULTILINE)


def solution_code(notebook: dict[str, Any], exercise_id: str) -> str:
    """Return the code of one solution.

    Raises ``ValueError``: the notebook has no solution for it, or the solution does not hold
    exactly one block of Python.
    """
    solutions = exercise_cells(notebook, "solution")
    if exercise_id not in solutions:
        raise ValueError(f"exercise {exercise_id!r} has no solution cell")
    blocks = _FENCE.findall("".join(solutions[exercise_id]["source"]))
    if len(blocks) != 1:
        raise ValueError(
            f"the solution of {exercise_id!r} holds {len(blocks)} blocks of Python, not one"
        )
    return str(blocks[0])


def exercise_cells(notebook: dict[str, Any], tag: str) -> dict[str, dict[str, Any]]:
    """Map exercise ids to the cells with this tag.

    Raises ``ValueError``: a cell does not name its exercise, or two name the same.
    """
    found: dict[str, dict[str, Any]] = {}
    for cell in notebook["cells"]:
        metadata = cell["metadata"]
        if tag not in metadata.get("tags", ()):
            continue
        exercise_id = metadata.get("workbook", {}).get("exercise")
        if not exercise_id:
            raise ValueError(f"a cell with the tag {tag!r} does not name its exercise")
        if exercise_id in found:
            raise ValueError(f"exercise {exercise_id!r} has two cells with the tag {tag!r}")
        found[exercise_id] = cell
    return found


def find_solution(exercise_id: str) -> str | None:
    """Look a solution up in the notebooks of the checkout; ``None`` where there is none."""
    try:
        paths = sorted((project_root() / "notebooks").glob("[0-9]*.ipynb"))
    except FileNotFoundError:
        return None
    for path in paths:
        try:
            return solution_code(json.loads(path.read_bytes()), exercise_id)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
    return None
